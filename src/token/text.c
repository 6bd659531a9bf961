/* text.c: a capture's tokens for people, a packet a line: as they stand in unit capture, or flow by flow. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "token/slots.h"
#include "token/streams.h"

enum { LINE = 4096 };

typedef struct kept { /* lines of a flow until it ends, each with its NUL */
    char *text;
    size_t size, capacity;
} kept;

typedef struct texter {
    const wlmi_codec *codec;
    wlmi_streams writing, reading;
    wlmi_slots *flows; /* unit flow */
    kept *kept;        /* unit flow: [slots] */
    wlmi_tokens tokens;
    int (*line)(void *user, const char *text);
    void *user;
    char text[LINE];
} texter;

/* Token by token, of a codec that has no better form. */
static void plain_text(texter *t)
{
    size_t used = 0;
    t->text[0] = 0;
    for (size_t i = 0; i < t->tokens.count && used < LINE - 32; i++) {
        char name[32];
        used += (size_t)snprintf(t->text + used, LINE - used, "%s%s", i ? " " : "",
                                 t->codec->token_name(t->tokens.token[i], name));
    }
}

/* The packet's tokens, in its stream, as a line in text[]. */
static wlm_status tell(texter *t, uint32_t slot, const wlm_packet *packet, wlm_error *error)
{
    t->tokens.count = 0;
    WLMI_TRY(t->codec->encode(wlmi_streams_at(&t->writing, slot), packet, &t->tokens, error));
    if (t->codec->text)
        t->codec->text(wlmi_streams_at(&t->reading, slot), &t->tokens, t->text, LINE);
    else
        plain_text(t);
    return WLM_OK;
}

static wlm_status open_streams(texter *t, uint32_t slot, int64_t start_ns, wlm_error *error)
{
    WLMI_TRY(wlmi_streams_open(&t->writing, slot, start_ns, error));
    return wlmi_streams_open(&t->reading, slot, start_ns, error);
}

/* ---- unit flow */

static wlm_status keep(texter *t, uint32_t slot, wlm_error *error)
{
    kept *k = &t->kept[slot];
    size_t size = strlen(t->text) + 1;
    if (!wlmi_grow(&k->text, &k->capacity, k->size + size, 1))
        return WLMI_NO_MEMORY(error);
    memcpy(k->text + k->size, t->text, size);
    k->size += size;
    return WLM_OK;
}

/* Names the flow, as its first line. */
static wlm_status keep_title(texter *t, uint32_t slot, const wlmi_flow *flow, wlm_error *error)
{
    const wlm_flow_key *k = &flow->key;
    char src[64], dst[64];
    wlmi_address_text(k->src, k->addr_len, src);
    wlmi_address_text(k->dst, k->addr_len, dst);
    snprintf(t->text, LINE, "flow %" PRIu64 ": %s.%u > %s.%u, protocol %u, link type %" PRIu32, flow->id, src,
             k->src_port, dst, k->dst_port, k->proto, k->link_type);
    return keep(t, slot, error);
}

static wlm_status end_flows(texter *t, wlm_error *error)
{
    size_t count;
    const wlmi_ended *ended = wlmi_slots_ended(t->flows, &count);
    for (size_t i = 0; i < count; i++) {
        kept *k = &t->kept[ended[i].slot];
        t->tokens.count = 0;
        WLMI_TRY(t->codec->encode_end(wlmi_streams_at(&t->writing, ended[i].slot), ended[i].end, &t->tokens, error));
        wlmi_streams_close(&t->writing, ended[i].slot);
        wlmi_streams_close(&t->reading, ended[i].slot);
        plain_text(t);
        WLMI_TRY(keep(t, ended[i].slot, error));
        for (size_t at = 0; at < k->size; at += strlen(k->text + at) + 1)
            if (t->line(t->user, k->text + at) != 0)
                return WLM_STOPPED;
        k->size = 0;
    }
    return WLM_OK;
}

static wlm_status flow_packet(texter *t, const wlm_packet *packet, wlm_error *error)
{
    const wlmi_flow *flow;
    uint32_t slot;
    int opened;
    WLMI_TRY(wlmi_slots_of(t->flows, packet, packet->captured, &flow, &slot, &opened, error));
    WLMI_TRY(end_flows(t, error));
    if (opened) {
        WLMI_TRY(open_streams(t, slot, packet->time_ns, error));
        WLMI_TRY(keep_title(t, slot, flow, error));
    }
    WLMI_TRY(tell(t, slot, packet, error));
    return keep(t, slot, error);
}

/* ---- */

static wlm_status capture_packet(texter *t, const wlm_packet *packet, wlm_error *error)
{
    if (!t->writing.open)
        WLMI_TRY(open_streams(t, 0, packet->time_ns, error));
    WLMI_TRY(tell(t, 0, packet, error));
    return t->line(t->user, t->text) == 0 ? WLM_OK : WLM_STOPPED;
}

static wlm_status text_packets(texter *t, wlm_capture *capture, wlm_error *error)
{
    wlm_packet packet;
    wlm_status status;
    while ((status = wlm_capture_next(capture, &packet, error)) == WLM_OK)
        WLMI_TRY(t->flows ? flow_packet(t, &packet, error) : capture_packet(t, &packet, error));
    if (status != WLM_END && (status != WLM_ERR_FORMAT || !t->flows))
        return status;
    if (t->flows) {
        wlm_status told;
        wlmi_slots_flush(t->flows);
        told = end_flows(t, status == WLM_END ? error : NULL);
        return told == WLM_OK && status == WLM_ERR_FORMAT ? status : told;
    }
    return WLM_OK;
}

static wlm_status prepare(texter *t, const wlm_token_options *options, wlm_error *error)
{
    wlmi_coder_options coding;
    WLMI_TRY(wlmi_codec_choose(options, &t->codec, &coding, error));
    const uint32_t slots = coding.capture ? 1 : WLMI_STREAMS_MAX;
    WLMI_TRY(wlmi_streams_make(&t->writing, t->codec, &coding, slots, error));
    WLMI_TRY(wlmi_streams_make(&t->reading, t->codec, &coding, slots, error));
    if (coding.capture)
        return WLM_OK;
    t->kept = wlmi_alloc_zero(slots, sizeof *t->kept);
    return t->kept ? wlmi_slots_new(&t->flows, slots, error) : WLMI_NO_MEMORY(error);
}

wlm_status wlm_token_text(const char *path, const wlm_token_options *options,
                          int (*line)(void *user, const char *text), void *user, wlm_error *error)
{
    texter t = {.line = line, .user = user};
    wlm_capture *capture = NULL;
    wlm_status status = prepare(&t, options, error);
    if (status == WLM_OK)
        status = wlm_capture_open(&capture, path, error);
    if (status == WLM_OK)
        status = text_packets(&t, capture, error);
    wlm_capture_close(capture);
    for (uint32_t i = 0; t.kept && i < WLMI_STREAMS_MAX; i++)
        wlmi_free(t.kept[i].text);
    wlmi_free(t.kept);
    wlmi_slots_free(t.flows);
    wlmi_streams_free(&t.writing);
    wlmi_streams_free(&t.reading);
    wlmi_tokens_free(&t.tokens);
    return status;
}
