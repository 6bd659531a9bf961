/* pieces.c: whole captures as training sequences. */
#include "task/pieces.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"

enum { PARTS = WLM_PART_NONE };

typedef struct spot { /* a packet of a capture */
    uint64_t number; /* in the capture */
    uint64_t flow, j; /* packet j of a flow of the folder */
    uint32_t source, file;
} spot;

typedef struct speaker { /* a flow that has spoken in the piece at hand */
    uint64_t flow;
    wlmi_hider *hider;
} speaker;

struct wlmi_pieces {
    const wlmi_dataset **data;
    wlmi_view view;
    const wlmi_net *net;
    spot *spot[PARTS];
    uint64_t spots[PARTS];
    wlmi_coder *coder;
    wlmi_tokens tokens; /* of the piece at hand; each with the role of the token after it */
    uint8_t first_role; /* of the first of them */
    speaker *speaker; /* [speakers] at hand; up to `hiders` of them have a hider */
    size_t speakers, hiders, capacity;
};

/* ---------------------------------------------------------------- the order of packets */

static uint64_t shown(const wlmi_view *view, const wlmi_shard_flow *flow)
{
    return view->max_packets && flow->packets > view->max_packets ? view->max_packets : flow->packets;
}

static int by_capture(const void *left, const void *right)
{
    const spot *a = left, *b = right;
    if (a->source != b->source)
        return a->source < b->source ? -1 : 1;
    if (a->file != b->file)
        return a->file < b->file ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

static wlm_status place_flow(wlmi_pieces *p, uint32_t source, uint64_t i, const wlmi_shard_flow *flow,
                             wlm_error *error)
{
    for (uint64_t j = 0; j < shown(&p->view, flow); j++) {
        wlm_packet packet;
        WLMI_TRY(wlmi_dataset_packet(p->data[source], i, j, &packet, error));
        p->spot[flow->part][p->spots[flow->part]++] = (spot){packet.number, i, j, source, flow->file};
    }
    return WLM_OK;
}

static wlm_status place_packets(wlmi_pieces *p, size_t count, wlm_error *error)
{
    uint64_t room[PARTS] = {0};
    wlmi_shard_flow flow;
    for (size_t s = 0; s < count; s++)
        for (uint64_t i = 0; i < wlmi_dataset_flows(p->data[s]); i++) {
            wlmi_dataset_flow(p->data[s], i, &flow);
            if (flow.part < WLM_PART_NONE)
                room[flow.part] += shown(&p->view, &flow);
        }
    for (int part = 0; part < PARTS; part++) {
        p->spot[part] = wlmi_alloc_array(room[part], sizeof *p->spot[part]);
        if (!p->spot[part])
            return WLMI_NO_MEMORY(error);
    }
    for (size_t s = 0; s < count; s++)
        for (uint64_t i = 0; i < wlmi_dataset_flows(p->data[s]); i++) {
            wlmi_dataset_flow(p->data[s], i, &flow);
            if (flow.part < WLM_PART_NONE)
                WLMI_TRY(place_flow(p, (uint32_t)s, i, &flow, error));
        }
    for (int part = 0; part < PARTS; part++)
        qsort(p->spot[part], p->spots[part], sizeof *p->spot[part], by_capture);
    return WLM_OK;
}

wlm_status wlmi_pieces_new(wlmi_pieces **pieces, const wlmi_dataset *const *data, size_t count, const wlmi_view *view,
                           const wlmi_net *net, wlm_error *error)
{
    wlmi_pieces *p;
    wlm_status status;
    *pieces = NULL;
    if (!view->codec->flows)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "codec %s does not tell flows apart: unit capture needs another one", view->codec->name);
    if (view->mix.hides.count > 1 || view->mix.payloads.count > 1 || view->mix.packets.count > 1 ||
        view->mix.alters.count || view->alter >= 0)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "unit capture shows all flows of a capture in one manner: nothing is mixed or altered");
    p = wlmi_alloc_zero(1, sizeof *p);
    if (!p)
        return WLMI_NO_MEMORY(error);
    p->view = *view;
    p->net = net;
    p->data = wlmi_alloc_array(count, sizeof *p->data);
    status = p->data ? view->codec->make(&p->coder, error) : WLMI_NO_MEMORY(error);
    for (size_t i = 0; p->data && i < count; i++)
        p->data[i] = data[i];
    if (status == WLM_OK)
        status = place_packets(p, count, error);
    if (status == WLM_OK)
        *pieces = p;
    else
        wlmi_pieces_free(p);
    return status;
}

void wlmi_pieces_free(wlmi_pieces *p)
{
    if (!p)
        return;
    for (int part = 0; part < PARTS; part++)
        wlmi_free(p->spot[part]);
    for (size_t i = 0; i < p->hiders; i++)
        wlmi_hider_free(p->speaker[i].hider);
    wlmi_free(p->speaker);
    if (p->coder)
        p->view.codec->drop(p->coder);
    wlmi_tokens_free(&p->tokens);
    wlmi_free(p->data);
    wlmi_free(p);
}

uint64_t wlmi_pieces_packets(const wlmi_pieces *p, wlm_part part)
{
    return part < WLM_PART_NONE ? p->spots[part] : 0;
}

/* ---------------------------------------------------------------- a piece */

/* The flow's hider, begun where the flow speaks for the first time in the piece. */
static wlm_status hider_of(wlmi_pieces *p, const spot *at, int64_t base_ns, wlmi_hider **hider, wlm_error *error)
{
    const uint32_t cut = wlmi_codec_cut(p->view.codec, p->view.payload);
    wlmi_shard_flow flow;
    for (size_t i = p->speakers; i-- > 0;)
        if (p->speaker[i].flow == at->flow) {
            *hider = p->speaker[i].hider;
            return WLM_OK;
        }
    if (p->speakers == p->hiders) {
        if (!wlmi_grow(&p->speaker, &p->capacity, p->hiders + 1, sizeof *p->speaker))
            return WLMI_NO_MEMORY(error);
        WLMI_TRY(wlmi_hider_new(&p->speaker[p->hiders].hider, p->view.hide, cut, error));
        p->hiders++;
    }
    wlmi_dataset_flow(p->data[at->source], at->flow, &flow);
    p->speaker[p->speakers].flow = at->flow;
    *hider = p->speaker[p->speakers++].hider;
    wlmi_hider_start(*hider, &flow.key, wlmi_mix2(flow.file, flow.first_packet), base_ns);
    return WLM_OK;
}

static void start(wlmi_pieces *p, uint64_t draw, int64_t start_ns)
{
    wlmi_coder_options options = {.start_ns = start_ns, .capture = 1};
    if (draw && p->view.shuffle_fields) {
        options.shuffle = 1;
        options.seed = wlmi_mix2(p->view.shuffle_fields, draw);
    }
    wlmi_codec_limit(p->view.codec, p->view.payload, &options);
    p->view.codec->start(p->coder, &options);
}

/* Tokens of the packets from spot[0] on, at most `room` of them; *used packets, of `left`. */
static wlm_status encode(wlmi_pieces *p, const spot *at, uint64_t left, uint64_t draw, size_t room, uint64_t *used,
                         wlm_error *error)
{
    const wlmi_codec *codec = p->view.codec;
    const uint32_t source = at->source, file = at->file;
    int64_t base_ns = 0;
    size_t before;
    *used = 0;
    p->tokens.count = 0;
    p->speakers = 0;
    for (; left-- > 0 && at->source == source && at->file == file; at++) {
        wlm_packet packet, hidden;
        wlmi_hider *hider = NULL;
        before = p->tokens.count;
        WLMI_TRY(wlmi_dataset_packet(p->data[at->source], at->flow, at->j, &packet, error));
        if (*used == 0)
            base_ns = packet.time_ns;
        WLMI_TRY(hider_of(p, at, base_ns, &hider, error));
        WLMI_TRY(wlmi_hide_packet(hider, &packet, &hidden, error));
        if (*used == 0)
            start(p, draw, hidden.time_ns);
        if (*used == 0)
            p->first_role = codec->role(p->coder);
        codec->set_flow(p->coder, at->flow);
        WLMI_TRY(codec->encode(p->coder, &hidden, &p->tokens, error));
        wlmi_tokens_look_ahead(codec, p->coder, &p->tokens, before);
        if (p->tokens.count > room) {
            p->tokens.count = *used ? before : room;
            *used += *used == 0;
            return WLM_OK;
        }
        ++*used;
    }
    before = p->tokens.count;
    WLMI_TRY(codec->encode_end(p->coder, WLMI_END_CUT, &p->tokens, error));
    wlmi_tokens_look_ahead(codec, p->coder, &p->tokens, before);
    if (p->tokens.count > room)
        p->tokens.count = before;
    return WLM_OK;
}

wlm_status wlmi_pieces_append(wlmi_pieces *p, wlm_part part, uint64_t first, uint64_t draw, wlmi_rows *rows,
                              uint64_t *used, wlm_error *error)
{
    const int32_t vocabulary = p->net->config.vocabulary;
    WLMI_TRY(encode(p, p->spot[part] + first, p->spots[part] - first, draw, (size_t)p->view.context - 1, used, error));
    WLMI_TRY(wlmi_rows_reserve(rows, p->tokens.count + 1, error));
    wlmi_rows_put(rows, vocabulary + WLMI_FLOW_ROW, 0, p->first_role);
    wlmi_prompt_tokens(rows, &p->tokens, vocabulary, 1);
    wlmi_rows_close(rows);
    return WLM_OK;
}
