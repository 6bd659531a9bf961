/* flow_sampler.c: a flow, token by token: a row goes out to the model, logits come back, the next token is drawn. */
#include "task/flow_sampler.h"

#include <string.h>

#include "base/alloc.h"
#include "capture/address.h"
#include "capture/decode.h"
#include "task/mix.h"

enum { LEAST_SNAP = 128, LONGEST_SNAP = 65535 };

struct wlmi_flow_sampler {
    wlm_model *model;
    const wlmi_codec *codec;
    wlmi_flow_sampler_options options;
    wlmi_coder *coder;
    wlmi_candidate *scratch;  /* [vocabulary] */
    uint64_t *banned;         /* [(vocabulary + 63) / 64]: tokens that are not sampled now */
    int capture;              /* unit capture */
    wlmi_token opens;         /* unit capture: the token that opens a flow */
    wlmi_coder_options coding; /* of the current flow */
    wlmi_tokens tokens;       /* of the current flow, its beginning included */
    wlmi_tokens again;        /* as the codec writes the same packets */
    uint8_t *frame;           /* room for one packet */
    size_t frame_capacity;
    /* The current flow: */
    wlmi_sampled_flow *flow;
    int label;                /* -1: none */
    wlmi_rng rng;
    int sound, over;
    wlmi_rows rows;           /* of the current try that the model is to take in, from `given` on */
    int given;
    int afresh;               /* the first of them begins a stream */
};

static void ban(wlmi_flow_sampler *s, wlmi_token token, int banned)
{
    uint64_t bit = UINT64_C(1) << (token & 63);
    if (banned)
        s->banned[token >> 6] |= bit;
    else
        s->banned[token >> 6] &= ~bit;
}

/* The token that ends a stream as cut, found by letting the codec write it. */
static wlm_status ban_cut(wlmi_flow_sampler *s, wlm_error *error)
{
    const wlmi_coder_options plain = {.start_ns = 0};
    s->codec->start(s->coder, &plain);
    WLMI_TRY(s->codec->encode_end(s->coder, WLMI_END_CUT, &s->tokens, error));
    for (size_t i = 0; i < s->tokens.count; i++)
        ban(s, s->tokens.token[i], 1);
    s->tokens.count = 0;
    return WLM_OK;
}

/* The token that opens a flow, found likewise: a stream's first packet begins with it. */
static wlm_status find_opening(wlmi_flow_sampler *s, wlm_error *error)
{
    const wlmi_coder_options plain = {.capture = 1};
    const wlm_packet any = {.data = (const uint8_t *)""};
    s->codec->start(s->coder, &plain);
    WLMI_TRY(s->codec->encode(s->coder, &any, &s->tokens, error));
    s->opens = s->tokens.token[0];
    s->tokens.count = 0;
    return WLM_OK;
}

static wlm_status prepare(wlmi_flow_sampler *s, wlm_error *error)
{
    WLMI_TRY(s->codec->make(&s->coder, error));
    s->scratch = wlmi_alloc_array(s->codec->vocabulary, sizeof *s->scratch);
    s->banned = wlmi_alloc_zero((s->codec->vocabulary + 63) / 64, sizeof *s->banned);
    if (!s->scratch || !s->banned)
        return WLMI_NO_MEMORY(error);
    if (s->capture)
        WLMI_TRY(find_opening(s, error));
    return s->options.end_anywhere ? WLM_OK : ban_cut(s, error);
}

wlm_status wlmi_flow_sampler_new(wlmi_flow_sampler **sampler, wlm_model *model,
                                 const wlmi_flow_sampler_options *options, wlm_error *error)
{
    wlmi_flow_sampler *s;
    wlm_status status;
    *sampler = NULL;
    WLMI_TRY(wlmi_sampling_check(&options->sampling, error));
    s = wlmi_alloc_zero(1, sizeof *s);
    if (!s)
        return WLMI_NO_MEMORY(error);
    s->model = model;
    s->codec = model->codec;
    s->capture = model->net->record.unit == WLM_UNIT_CAPTURE;
    s->options = *options;
    status = prepare(s, error);
    if (status == WLM_OK)
        *sampler = s;
    else
        wlmi_flow_sampler_free(s);
    return status;
}

void wlmi_sampled_flow_free(wlmi_sampled_flow *flow)
{
    wlmi_packet_list_free(&flow->packets);
    wlmi_free(flow->of);
}

void wlmi_flow_sampler_free(wlmi_flow_sampler *s)
{
    if (!s)
        return;
    if (s->coder)
        s->codec->drop(s->coder);
    wlmi_rows_free(&s->rows);
    wlmi_tokens_free(&s->tokens);
    wlmi_tokens_free(&s->again);
    wlmi_free(s->scratch);
    wlmi_free(s->banned);
    wlmi_free(s->frame);
    wlmi_free(s);
}

/* For a row that the model is to take in; those before it were given out if `s->given` says so. */
static wlm_status make_room(wlmi_flow_sampler *s, wlm_error *error)
{
    if (s->given == s->rows.tokens) {
        wlmi_rows_clear(&s->rows);
        s->given = 0;
    }
    return wlmi_rows_reserve(&s->rows, 1, error);
}

static wlm_status put(wlmi_flow_sampler *s, int32_t id, int32_t role, wlm_error *error)
{
    WLMI_TRY(make_room(s, error));
    wlmi_rows_put(&s->rows, id, 0, role);
    return WLM_OK;
}

static wlm_status put_token(wlmi_flow_sampler *s, size_t i, wlm_error *error)
{
    WLMI_TRY(make_room(s, error));
    wlmi_rows_put_token(&s->rows, &s->tokens, i);
    return WLM_OK;
}

/* Takes a packet of the flow with that number. */
static wlm_status keep(wlmi_flow_sampler *s, const wlm_packet *packet, uint64_t number, wlm_error *error)
{
    wlmi_sampled_flow *flow = s->flow;
    if (!wlmi_grow(&flow->of, &flow->of_capacity, flow->packets.count + 1, sizeof *flow->of))
        return WLMI_NO_MEMORY(error);
    flow->of[flow->packets.count] = number;
    flow->flows = number < flow->flows ? flow->flows : number + 1;
    if (s->capture)
        ban(s, s->opens, flow->flows >= s->options.flows);
    return wlmi_packet_list_add(&flow->packets, packet, error);
}

/* Begins a try. */
static wlm_status begin(wlmi_flow_sampler *s, wlm_error *error)
{
    wlmi_sampled_flow *flow = s->flow;
    const wlmi_packet_list *beginning = s->options.beginning;
    uint32_t longest = s->options.max_tokens < LEAST_SNAP ? LEAST_SNAP : s->options.max_tokens;
    const wlmi_net *net = s->model->net;
    const uint32_t payload = wlmi_mix_longest(&net->record);
    wlmi_coder_options coding = {
        .generating = payload == WLM_PAYLOAD_FULL ? WLMI_GENERATING_WHOLE : WLMI_GENERATING_CUT,
        .snap_length = longest < LONGEST_SNAP ? longest : LONGEST_SNAP,
        .capture = s->capture, .shuffle = net->record.shuffle_fields != 0};
    wlmi_codec_limit(s->codec, payload, &coding);
    if (coding.payload_limited) { /* the decoder makes packets whole, and few of their bytes are tokens */
        coding.generating = WLMI_GENERATING_WHOLE;
        coding.snap_length = LONGEST_SNAP;
    }
    if (coding.payload_limited || coding.shuffle)
        coding.seed = wlmi_rng_next(&s->rng);
    int32_t vocabulary = (int32_t)s->codec->vocabulary, none = (int32_t)s->codec->roles, first_role;
    wlmi_packet_list_cut(&flow->packets, 0);
    flow->flows = flow->unsound = 0;
    if (s->capture)
        ban(s, s->opens, 0);
    s->tokens.count = 0;
    if (beginning && beginning->count)
        coding.start_ns = beginning->packet[0].time_ns;
    s->coding = coding;
    s->codec->start(s->coder, &coding);
    first_role = s->codec->role(s->coder);
    wlmi_rows_clear(&s->rows);
    s->given = 0;
    s->afresh = s->sound = 1;
    flow->out_of_tokens = 0;
    if (s->options.task >= 0) {
        int32_t row = net->task[s->options.task].row;
        WLMI_TRY(put(s, row, none, error));
        WLMI_TRY(put(s, row + 1 + s->label, first_role, error));
    } else {
        WLMI_TRY(put(s, vocabulary + WLMI_FLOW_ROW, first_role, error));
    }
    for (size_t i = 0; beginning && i < beginning->count; i++) {
        wlm_packet packet = wlmi_packet_list_at(beginning, i);
        size_t before = s->tokens.count;
        if (s->capture)
            s->codec->set_flow(s->coder, 0);
        WLMI_TRY(s->codec->encode(s->coder, &packet, &s->tokens, error));
        wlmi_tokens_look_ahead(s->codec, s->coder, &s->tokens, before);
        WLMI_TRY(keep(s, &packet, 0, error));
    }
    if (s->tokens.count >= s->options.max_tokens && s->tokens.count)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "the prefix takes %zu tokens and leaves nothing of %u", s->tokens.count,
                         s->options.max_tokens);
    for (size_t i = 0; i < s->tokens.count; i++)
        WLMI_TRY(put_token(s, i, error));
    return WLM_OK;
}

/* Whether a flow may go on from this packet, its index-th: as it will be written, lengths mended, its headers decode. */
static wlm_status judge(wlmi_flow_sampler *s, const wlm_packet *packet, size_t index, int *sound, wlm_error *error)
{
    wlmi_place place = {.opener_length = 0};
    wlmi_mended mended = {0, 0};
    wlm_packet placed;
    wlmi_headers h;
    if (!wlmi_grow(&s->frame, &s->frame_capacity, (size_t)packet->captured + WLMI_ETHERNET_HEADER, 1))
        return WLMI_NO_MEMORY(error);
    wlmi_place_packet(&place, packet, s->frame, &placed, &mended);
    wlmi_decode(&placed, &h);
    *sound = h.ip_version && h.reason != WLMI_MALFORMED && (h.reason != WLMI_CUT || placed.wire > placed.captured);
    if (index == 0 && !s->options.begin_anywhere && h.proto == WLMI_PROTO_TCP)
        *sound &= (h.tcp_flags & (WLMI_TCP_SYN | WLMI_TCP_ACK)) == WLMI_TCP_SYN;
    return WLM_OK;
}

/* Samples one token and takes it in. */
static wlm_status step(wlmi_flow_sampler *s, const float *logits, wlmi_pushed *what, wlm_error *error)
{
    wlmi_allowed allowed;
    const uint32_t packet = s->codec->segment(s->coder);
    int32_t token;
    s->codec->allowed(s->coder, &allowed);
    token = wlmi_sample(&s->options.sampling, logits, s->codec->vocabulary, &allowed, s->banned, s->scratch,
                        &s->rng);
    if (token < 0)
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, NULL, WLM_NO_OFFSET, "codec %s leaves no token to sample",
                         s->codec->name);
    WLMI_TRY(s->codec->push(s->coder, (wlmi_token)token, what, error));
    if (!wlmi_tokens_reserve(&s->tokens, 1))
        return WLMI_NO_MEMORY(error);
    s->tokens.token[s->tokens.count] = (wlmi_token)token;
    s->tokens.role[s->tokens.count] = s->codec->role(s->coder);
    s->tokens.measure[s->tokens.count] = wlmi_codec_measure(s->codec, s->coder);
    s->tokens.packet[s->tokens.count++] = packet;
    if (*what == WLMI_PUSHED_END)
        return WLM_OK;
    return put_token(s, s->tokens.count - 1, error);
}

/* Whether the codec writes the flow's packets as other tokens than were sampled. Behind its own the sampled ones may
 * have an end or the beginning of one more packet, but no packet: the same tokens decode to the same packets. */
static wlm_status compare(wlmi_flow_sampler *s, wlmi_sampled_flow *flow, wlm_error *error)
{
    flow->reencoded_differently = 0;
    if (s->coding.shuffle)
        return WLM_OK;
    s->again.count = 0;
    s->codec->start(s->coder, &s->coding);
    for (size_t i = 0; i < flow->packets.count; i++) {
        wlm_packet packet = wlmi_packet_list_at(&flow->packets, i);
        if (s->capture)
            s->codec->set_flow(s->coder, flow->of[i]);
        WLMI_TRY(s->codec->encode(s->coder, &packet, &s->again, error));
    }
    flow->reencoded_differently =
        s->again.count > s->tokens.count ||
        memcmp(s->again.token, s->tokens.token, s->again.count * sizeof *s->again.token) != 0;
    return WLM_OK;
}

/* The try has come to its end: it is kept, or the next one begins. */
static wlm_status end_try(wlmi_flow_sampler *s, wlm_error *error)
{
    if (!s->sound && s->flow->given_up + 1 < WLMI_FLOW_TRIES) {
        s->flow->given_up++;
        return begin(s, error);
    }
    s->flow->flawed = !s->sound;
    s->over = 1;
    return compare(s, s->flow, error);
}

static wlm_status take_packet(wlmi_flow_sampler *s, wlm_error *error)
{
    int good = 0;
    WLMI_TRY(judge(s, s->codec->packet(s->coder), s->flow->packets.count, &good, error));
    if (s->capture)
        s->flow->unsound += !good;
    else
        s->sound &= good;
    if (!s->sound && s->flow->given_up + 1 < WLMI_FLOW_TRIES)
        return WLM_OK;
    return keep(s, s->codec->packet(s->coder), s->capture ? s->codec->flow(s->coder) : 0, error);
}

/* One token further. A last try is kept as it is, to its end. */
static wlm_status advance(wlmi_flow_sampler *s, const float *logits, wlm_error *error)
{
    wlmi_pushed what;
    if (s->tokens.count >= s->options.max_tokens && s->flow->packets.count) {
        s->flow->out_of_tokens = 1;
        return end_try(s, error);
    }
    if (s->options.stop && *s->options.stop)
        return WLM_STOPPED;
    WLMI_TRY(step(s, logits, &what, error));
    s->flow->tokens++;
    if (what == WLMI_PUSHED_PACKET) {
        WLMI_TRY(take_packet(s, error));
        if (!s->sound && s->flow->given_up + 1 < WLMI_FLOW_TRIES)
            return end_try(s, error);
    }
    return what == WLMI_PUSHED_END ? end_try(s, error) : WLM_OK;
}

wlm_status wlmi_flow_sampler_begin(wlmi_flow_sampler *s, uint64_t number, uint64_t seed, wlmi_sampled_flow *flow,
                                   wlm_error *error)
{
    s->label = s->options.label_of ? s->options.label_of(s->options.from, number) : s->options.label;
    wlmi_rng_seed(&s->rng, seed);
    s->flow = flow;
    s->over = 0;
    flow->tokens = 0;
    flow->given_up = 0;
    return begin(s, error);
}

wlm_status wlmi_flow_sampler_next(wlmi_flow_sampler *s, const float *logits, wlmi_sampler_row *row, int *over,
                                  wlm_error *error)
{
    while (!s->over && s->given == s->rows.tokens)
        WLMI_TRY(advance(s, logits, error));
    *over = s->over;
    if (s->over)
        return WLM_OK;
    *row = (wlmi_sampler_row){s->rows.id[s->given], s->rows.packet[s->given], s->rows.role[s->given], s->rows.measure[s->given],
                              s->afresh};
    s->afresh = 0;
    s->given++;
    return WLM_OK;
}
