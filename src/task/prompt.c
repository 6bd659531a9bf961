/* prompt.c: flows as training and query sequences. */
#include "task/prompt.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "capture/alter.h"

static const float default_flow_weight = 0.1f, default_label_weight = 50, along_weight = 0.5f; /* of a label's */
enum { FLOW_ONE_IN = 8 }; /* in drawn classify prompts */

enum { LEAST_PACKET = 4 }; /* tokens */
/* of chance, apart from what to show */
static const uint64_t mix_stream = 0x6d6978, alter_stream = 0x616c746572, ask_stream = 0x61736b;

typedef struct manner { /* in which one flow is shown */
    wlmi_hider *hider;
    uint32_t payload, max_packets;
    int alter; /* -1: not */
    uint64_t seed; /* of the alteration */
} manner;

struct wlmi_prompter {
    wlmi_view view; /* its mix names at least one policy and one of each limit */
    const wlmi_net *net;
    wlmi_hider *hider[WLMI_SHARES_MAX][WLMI_SHARES_MAX]; /* of each policy and payload limit of the mix */
    wlmi_alterer *alterer;
    wlmi_packet_list before, after; /* of the altered flow at hand */
    wlm_flow_key key;               /* of that */
    wlmi_coder *coder;
    wlmi_tokens tokens; /* of the flow at hand; each with the role of the token after it */
    uint8_t first_role; /* of the first of them */
};

uint64_t wlmi_prompt_alter_seed(uint64_t hide_key)
{
    return wlmi_mix2(hide_key, alter_stream);
}

typedef struct shown { /* what of a flow went into the tokens */
    uint64_t packets;
    int whole; /* its last packet is among them, and none is cut */
    int along; /* questions stand between them */
} shown;

wlmi_view wlmi_view_default(const wlmi_codec *codec)
{
    wlmi_view view = {.codec = codec, .hide = WLM_HIDE_IDS, .payload = WLM_PAYLOAD_FULL, .context = 1024,
                      .flow_weight = default_flow_weight, .label_weight = default_label_weight, .alter = -1};
    return view;
}

/* What is not mixed is a mix of one. */
static void complete(wlmi_shares *shares, uint32_t own)
{
    if (!shares->count)
        *shares = (wlmi_shares){.count = 1, .value = {own}, .share = {1}};
}

static wlm_status make_hiders(wlmi_prompter *p, wlm_error *error)
{
    wlmi_mixture *mix = &p->view.mix;
    complete(&mix->hides, p->view.hide);
    complete(&mix->payloads, p->view.payload);
    complete(&mix->packets, p->view.max_packets);
    for (int i = 0; i < mix->hides.count; i++)
        for (int j = 0; j < mix->payloads.count; j++)
            WLMI_TRY(wlmi_hider_new(&p->hider[i][j], (wlm_hide)mix->hides.value[i],
                                    wlmi_codec_cut(p->view.codec, mix->payloads.value[j]), error));
    return mix->alters.count || p->view.alter >= 0 ? wlmi_alterer_new(&p->alterer, error) : WLM_OK;
}

wlm_status wlmi_prompter_new(wlmi_prompter **prompter, const wlmi_view *view, const wlmi_net *net, wlm_error *error)
{
    wlmi_prompter *p;
    wlm_status status;
    *prompter = NULL;
    if (view->context < WLMI_MIN_CONTEXT)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "a context of %d tokens; at least %d are needed",
                         view->context, WLMI_MIN_CONTEXT);
    if ((uint32_t)net->config.vocabulary != view->codec->vocabulary)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "codec %s has %u tokens, but the model knows %d", view->codec->name, view->codec->vocabulary,
                         net->config.vocabulary);
    if (view->shuffle_fields && !view->codec->shuffles)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "codec %s has no fields to shuffle",
                         view->codec->name);
    p = wlmi_alloc_zero(1, sizeof *p);
    if (!p)
        return WLMI_NO_MEMORY(error);
    p->view = *view;
    p->net = net;
    if (p->view.label_weight <= 0)
        p->view.label_weight = default_label_weight;
    status = make_hiders(p, error);
    if (status == WLM_OK)
        status = view->codec->make(&p->coder, error);
    if (status != WLM_OK) {
        wlmi_prompter_free(p);
        return status;
    }
    *prompter = p;
    return WLM_OK;
}

void wlmi_prompter_free(wlmi_prompter *p)
{
    if (!p)
        return;
    if (p->coder)
        p->view.codec->drop(p->coder);
    for (int i = 0; i < WLMI_SHARES_MAX; i++)
        for (int j = 0; j < WLMI_SHARES_MAX; j++)
            wlmi_hider_free(p->hider[i][j]);
    wlmi_alterer_free(p->alterer);
    wlmi_packet_list_free(&p->before);
    wlmi_packet_list_free(&p->after);
    wlmi_tokens_free(&p->tokens);
    wlmi_free(p);
}

static wlm_status get_altered(const void *user, uint64_t j, wlm_packet *packet, wlm_error *error)
{
    const wlmi_prompter *p = user;
    (void)error;
    *packet = wlmi_packet_list_at(&p->after, j);
    return WLM_OK;
}

/* ---------------------------------------------------------------- in which manner */

static int at_random(const wlmi_shares *shares, wlmi_rng *rng)
{
    return wlmi_shares_at(shares, wlmi_shares_sum(shares), wlmi_rng_uniform(rng));
}

static int longest(const wlmi_shares *payloads)
{
    int at = 0;
    for (int i = 1; i < payloads->count; i++)
        if (payloads->value[i] > payloads->value[at])
            at = i;
    return at;
}

static manner choose(const wlmi_prompter *p, const wlmi_flow_packets *flow, wlmi_prompt prompt, uint64_t draw)
{
    const wlmi_mixture *mix = &p->view.mix;
    int hide = 0, payload = 0, packets = 0, alter = -1;
    uint32_t most;
    uint64_t seed = wlmi_mix2(draw, alter_stream);
    wlmi_rng rng;
    if (prompt == WLMI_PROMPT_GENERATE) {
        payload = longest(&mix->payloads);
    } else if (draw) {
        wlmi_rng_seed(&rng, wlmi_mix2(draw, mix_stream));
        hide = at_random(&mix->hides, &rng);
        payload = mix->hides.value[hide] == WLM_HIDE_SHAPE ? 0 : at_random(&mix->payloads, &rng); /* shape shows none */
        packets = at_random(&mix->packets, &rng);
        alter = wlmi_shares_at(&mix->alters, 1, wlmi_rng_uniform(&rng));
        alter = alter < 0 ? -1 : (int)mix->alters.value[alter];
    }
    if (p->view.alter >= 0) {
        alter = p->view.alter;
        seed = wlmi_prompt_alter_seed(flow->hide_key);
    }
    most = draw && mix->hides.value[hide] == WLM_HIDE_SHAPE ? wlmi_mix_packets(mix, WLM_HIDE_SHAPE)
                                                            : mix->packets.value[packets];
    return (manner){p->hider[hide][payload], mix->payloads.value[payload], most, alter, seed};
}

/* The flow as what befell it left it; `to` is of the prompter's memory, until the next. */
static wlm_status befall(wlmi_prompter *p, const wlmi_flow_packets *flow, const manner *m, wlmi_flow_packets *to,
                         wlm_error *error)
{
    const wlmi_alteration kind = (wlmi_alteration)m->alter;
    uint64_t reach = wlmi_alter_reach(kind, m->max_packets ? m->max_packets : (uint64_t)p->view.context / LEAST_PACKET);
    uint64_t count = reach < flow->packets ? reach : flow->packets;
    wlmi_packet_list_cut(&p->before, 0);
    for (uint64_t j = 0; j < count; j++) {
        wlm_packet packet;
        WLMI_TRY(flow->get(flow->user, j, &packet, error));
        WLMI_TRY(wlmi_packet_list_add(&p->before, &packet, error));
    }
    p->key = *flow->key;
    WLMI_TRY(wlmi_alter_flow(p->alterer, kind, m->seed, &p->key, &p->before, &p->after, error));
    *to = (wlmi_flow_packets){&p->key, p->after.count, flow->end, flow->hide_key, get_altered, p,
                              flow->more || count < flow->packets};
    return WLM_OK;
}

/* ---------------------------------------------------------------- what is shown */

/* Tokens of the packets from `from` on, at most `room` of them. */
static wlm_status encode(wlmi_prompter *p, const wlmi_flow_packets *flow, const manner *m, uint64_t from, uint64_t draw,
                         size_t room, shown *s, wlm_error *error)
{
    const wlmi_codec *codec = p->view.codec;
    uint64_t most = flow->packets - from;
    wlm_packet packet, hidden;
    p->tokens.count = 0;
    s->packets = 0;
    s->whole = 0;
    if (m->max_packets && most > m->max_packets)
        most = m->max_packets;
    while (s->packets < most) {
        size_t before = p->tokens.count;
        WLMI_TRY(flow->get(flow->user, from + s->packets, &packet, error));
        if (s->packets == 0)
            wlmi_hider_start(m->hider, flow->key, flow->hide_key, packet.time_ns);
        WLMI_TRY(wlmi_hide_packet(m->hider, &packet, &hidden, error));
        if (s->packets == 0) {
            wlmi_coder_options options = {.start_ns = hidden.time_ns};
            if (draw && p->view.shuffle_fields) {
                options.shuffle = 1;
                options.seed = wlmi_mix2(p->view.shuffle_fields, draw);
            }
            wlmi_codec_limit(codec, m->payload, &options);
            codec->start(p->coder, &options);
            p->first_role = codec->role(p->coder);
        }
        WLMI_TRY(codec->encode(p->coder, &hidden, &p->tokens, error));
        wlmi_tokens_look_ahead(codec, p->coder, &p->tokens, before);
        if (p->tokens.count > room) {
            p->tokens.count = s->packets ? before : room;
            s->packets += s->packets == 0;
            return WLM_OK;
        }
        s->packets++;
    }
    s->whole = from + s->packets == flow->packets && !flow->more;
    return WLM_OK;
}

/* Forgets all but the first packets. */
static void keep_packets(wlmi_tokens *tokens, uint64_t packets)
{
    while (tokens->count && tokens->packet[tokens->count - 1] >= packets)
        tokens->count--;
}

/* Chooses and encodes what the sequence is to show. */
static wlm_status show(wlmi_prompter *p, const wlmi_flow_packets *flow, wlmi_prompt prompt, uint64_t draw, size_t room,
                       shown *s, wlm_error *error)
{
    const manner m = choose(p, flow, prompt, draw);
    wlmi_flow_packets altered;
    wlmi_rng rng;
    wlmi_rng_seed(&rng, draw);
    if (m.alter >= 0) {
        WLMI_TRY(befall(p, flow, &m, &altered, error));
        flow = &altered;
    }
    WLMI_TRY(encode(p, flow, &m, 0, draw, room, s, error));
    if (draw && prompt == WLMI_PROMPT_PLAIN && !s->whole && flow->packets > 1 && wlmi_rng_below(&rng, 4) == 0)
        WLMI_TRY(encode(p, flow, &m, 1 + wlmi_rng_below(&rng, flow->packets - 1), draw, room, s, error));
    s->along = draw && prompt == WLMI_PROMPT_CLASSIFY && (wlmi_rng_below(&rng, 4) != 0 || p->view.uncut);
    if (draw && prompt == WLMI_PROMPT_CLASSIFY && !s->along && s->packets > 1) {
        s->packets = 1 + wlmi_rng_below(&rng, s->packets);
        keep_packets(&p->tokens, s->packets);
    }
    if (s->whole && prompt != WLMI_PROMPT_CLASSIFY) {
        size_t before = p->tokens.count;
        WLMI_TRY(p->view.codec->encode_end(p->coder, wlmi_end_of(flow->end), &p->tokens, error));
        wlmi_tokens_look_ahead(p->view.codec, p->coder, &p->tokens, before);
        if (p->tokens.count > room)
            p->tokens.count = before;
    }
    return WLM_OK;
}

static wlm_status check(const wlmi_prompter *p, const wlmi_flow_packets *flow, wlmi_prompt prompt, int task, int label,
                        wlm_error *error)
{
    if (flow->packets == 0)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "a flow without packets");
    if (prompt == WLMI_PROMPT_PLAIN)
        return WLM_OK;
    if (task < 0 || task >= p->net->tasks || label >= p->net->task[task].labels ||
        (label < 0 && prompt == WLMI_PROMPT_GENERATE))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no task or label for a prompt");
    return WLM_OK;
}

void wlmi_prompt_tokens(wlmi_rows *rows, const wlmi_tokens *tokens, int32_t vocabulary, float weight)
{
    for (size_t i = 0; i < tokens->count; i++) {
        if (weight > 0)
            wlmi_rows_aim(rows, tokens->token[i], 0, vocabulary, weight);
        wlmi_rows_put_token(rows, tokens, i);
    }
}

/* <ask> <task>, and the label if it is known. */
static void put_question(const wlmi_prompter *p, const wlmi_task *t, int label, uint64_t packets, float weight,
                         wlmi_rows *rows)
{
    const int32_t outside = (int32_t)p->view.codec->roles;
    wlmi_rows_put(rows, p->net->config.vocabulary + WLMI_ASK_ROW, (int32_t)packets, outside);
    wlmi_rows_put(rows, t->row, (int32_t)packets, outside);
    if (label >= 0)
        wlmi_rows_aim(rows, t->row + 1 + label, t->row + 1, t->row + 1 + t->labels, weight);
}

/* The flow of a drawn classify prompt. A few of its tokens stand for all: labels alone teach as well, and logits over
 * the vocabulary are a third of a small model's work. Along it, the label is mostly asked after 1, 2, 4, 8 ... packets
 * too, while the context has room; what comes behind a question is not predicted from it. */
static void put_drawn(const wlmi_prompter *p, const wlmi_task *t, int label, int along, uint64_t draw, wlmi_rows *rows)
{
    const int32_t V = p->net->config.vocabulary;
    const wlmi_tokens *k = &p->tokens;
    int room = along && label >= 0 ? p->view.context - 3 - (int)k->count : 0, asked = 0;
    wlmi_rng rng;
    wlmi_rng_seed(&rng, wlmi_mix2(draw, ask_stream));
    for (size_t i = 0; i < k->count; i++) {
        const uint64_t before = k->packet[i];
        if (room >= 2 && i && before != k->packet[i - 1] && (before & (before - 1)) == 0 &&
            wlmi_rng_below(&rng, 10) < 7) {
            put_question(p, t, label, before, along_weight * p->view.label_weight, rows);
            room -= 2;
            asked = 1;
        }
        if (p->view.flow_weight > 0 && !asked && wlmi_rng_below(&rng, FLOW_ONE_IN) == 0)
            wlmi_rows_aim(rows, k->token[i], 0, V, p->view.flow_weight * FLOW_ONE_IN);
        asked = 0;
        wlmi_rows_put_token(rows, k, i);
    }
}

wlm_status wlmi_prompter_flow(wlmi_prompter *p, const wlmi_flow_packets *flow, wlmi_prompt prompt, int task, int label,
                              uint64_t draw, wlmi_rows *rows, uint64_t *packets_used, wlm_error *error)
{
    const wlmi_codec *codec = p->view.codec;
    const int32_t V = p->net->config.vocabulary, outside = (int32_t)codec->roles;
    const float weight = prompt == WLMI_PROMPT_CLASSIFY ? p->view.flow_weight : 1;
    const int head = prompt == WLMI_PROMPT_GENERATE ? 2 : 1, tail = prompt == WLMI_PROMPT_CLASSIFY ? 2 : 0;
    const wlmi_task *t;
    shown s;
    WLMI_TRY(check(p, flow, prompt, task, label, error));
    WLMI_TRY(show(p, flow, prompt, draw, (size_t)(p->view.context - head - tail), &s, error));
    WLMI_TRY(wlmi_rows_reserve(rows, (size_t)p->view.context, error));
    t = prompt == WLMI_PROMPT_PLAIN ? NULL : &p->net->task[task];
    if (prompt == WLMI_PROMPT_GENERATE) {
        wlmi_rows_put(rows, t->row, 0, outside);
        wlmi_rows_put(rows, t->row + 1 + label, 0, p->first_role);
    } else {
        wlmi_rows_put(rows, V + WLMI_FLOW_ROW, 0, p->first_role);
    }
    if (prompt == WLMI_PROMPT_CLASSIFY && draw)
        put_drawn(p, t, label, s.along, draw, rows);
    else
        wlmi_prompt_tokens(rows, &p->tokens, V, weight);
    if (prompt == WLMI_PROMPT_CLASSIFY)
        put_question(p, t, label, s.packets, p->view.label_weight, rows);
    wlmi_rows_close(rows);
    if (packets_used)
        *packets_used = s.packets;
    return WLM_OK;
}

typedef struct place {
    const wlmi_dataset *data;
    uint64_t flow;
} place;

static wlm_status get(const void *user, uint64_t j, wlm_packet *packet, wlm_error *error)
{
    const place *at = user;
    return wlmi_dataset_packet(at->data, at->flow, j, packet, error);
}

wlm_status wlmi_prompter_append(wlmi_prompter *p, const wlmi_dataset *data, uint64_t flow, wlmi_prompt prompt, int task,
                                int label, uint64_t draw, wlmi_rows *rows, uint64_t *packets_used, wlm_error *error)
{
    const place at = {data, flow};
    wlmi_shard_flow f;
    wlmi_flow_packets packets;
    wlmi_dataset_flow(data, flow, &f);
    packets = (wlmi_flow_packets){&f.key, f.packets, f.end, wlmi_mix2(f.file, f.first_packet), get, &at, 0};
    return wlmi_prompter_flow(p, &packets, prompt, task, label, draw, rows, packets_used, error);
}
