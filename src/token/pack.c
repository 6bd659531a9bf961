/* pack.c: a capture to a token file. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "capture/capture.h"
#include "token/beside.h"
#include "token/slots.h"
#include "token/streams.h"
#include "token/transcode.h"

enum { PACKET_TOKENS = 256, BESIDE_ENOUGH = 1 << 20 }; /* room for a packet's other tokens; beside bytes of a frame */

struct wlmi_packer {
    wlm_capture *capture;
    const wlmi_codec *codec;
    wlmi_coder_options options;
    wlmi_streams writing;
    wlmi_streams reading; /* where payload is limited: decodes the packets, so that the rest is of what will be read */
    wlmi_streams again;   /* and with a tap: encodes those, for comparison */
    wlmi_tokens compared;
    wlmi_tokfile_writer *writer;
    wlmi_sink tap;
    wlmi_slots *flows;
    uint32_t slot;      /* of the stream at hand; 0 in unit capture */
    wlmi_tokens tokens; /* of the frame at hand */
    wlmi_beside beside;
    uint32_t interface; /* of the section, where foretold packets are */
    int begun;          /* the header was written */
    int ended;          /* the trailer was */
    int damaged;        /* what is left goes as it is */
    wlmi_sha256 sha;
    wlm_token_report report;
};

wlm_status wlmi_packer_new(wlmi_packer **packer, wlm_capture *capture, const wlmi_codec *codec,
                           const wlmi_coder_options *options, wlmi_sink sink, wlmi_sink tap, wlm_error *error)
{
    wlmi_packer *p = wlmi_alloc_zero(1, sizeof *p);
    const uint32_t streams = options->capture ? 1 : WLMI_STREAMS_MAX;
    wlm_status status;
    *packer = NULL;
    if (!p) {
        wlm_capture_close(capture);
        return WLMI_NO_MEMORY(error);
    }
    p->capture = capture;
    p->codec = codec;
    p->options = *options;
    p->tap = tap;
    p->report.unit = options->capture ? WLM_UNIT_CAPTURE : WLM_UNIT_FLOW;
    p->report.payload = options->payload_limited ? options->payload_limit : WLM_PAYLOAD_FULL;
    p->report.damage_offset = WLM_NO_OFFSET;
    wlmi_sha256_init(&p->sha);
    WLMI_TRY_GOTO(status, wlmi_streams_make(&p->writing, codec, options, streams, error), fail);
    if (options->payload_limited)
        WLMI_TRY_GOTO(status, wlmi_streams_make(&p->reading, codec, options, streams, error), fail);
    if (options->payload_limited && tap.write)
        WLMI_TRY_GOTO(status, wlmi_streams_make(&p->again, codec, options, streams, error), fail);
    WLMI_TRY_GOTO(status, wlmi_tokfile_writer_new(&p->writer, sink, error), fail);
    WLMI_TRY_GOTO(status, wlmi_slots_new(&p->flows, WLMI_STREAMS_MAX, error), fail);
    *packer = p;
    return WLM_OK;
fail:
    wlmi_packer_free(p);
    return status;
}

void wlmi_packer_free(wlmi_packer *p)
{
    if (!p)
        return;
    wlm_capture_close(p->capture);
    wlmi_streams_free(&p->writing);
    wlmi_streams_free(&p->reading);
    wlmi_streams_free(&p->again);
    wlmi_tokens_free(&p->compared);
    wlmi_tokfile_writer_free(p->writer);
    wlmi_slots_free(p->flows);
    wlmi_tokens_free(&p->tokens);
    wlmi_beside_free(&p->beside);
    wlmi_free(p);
}

const wlm_token_report *wlmi_packer_report(const wlmi_packer *p)
{
    return &p->report;
}

/* ---- beside the tokens */

static const uint8_t *suffix_of(const wlmi_item *item, size_t *size)
{
    size_t at = item->data_at + item->packet.captured;
    *size = item->size - at;
    return item->bytes + at;
}

static wlm_status beside_record(wlmi_packer *p, const wlmi_item *item, wlm_error *error)
{
    const wlmi_layout *layout = wlmi_capture_layout(p->capture);
    uint32_t interface = item->packet.interface - layout->interfaces_before;
    size_t suffix_size;
    const uint8_t *suffix = suffix_of(item, &suffix_size);
    wlmi_wrap wrap;
    if (wlmi_layout_wrap(layout, &item->packet, interface, &wrap) && wrap.prefix_size == item->data_at &&
        wrap.suffix_size == suffix_size && !memcmp(wrap.prefix, item->bytes, wrap.prefix_size) &&
        !memcmp(wrap.suffix, suffix, suffix_size)) {
        if (interface != p->interface) {
            WLMI_TRY(wlmi_beside_operation(&p->beside, WLMI_BESIDE_INTERFACE, interface, error));
            p->interface = interface;
        }
        p->beside.run++;
        return WLM_OK;
    }
    WLMI_TRY(wlmi_beside_literal(&p->beside, WLMI_BESIDE_PACKET, item->bytes, item->data_at, error));
    WLMI_TRY(wlmi_beside_number(&p->beside, suffix_size, error));
    return wlmi_beside_bytes(&p->beside, suffix, suffix_size, error);
}

/* ---- frames */

static wlm_status open_streams(wlmi_packer *p, uint32_t slot, int64_t start_ns, wlm_error *error)
{
    WLMI_TRY(wlmi_streams_open(&p->writing, slot, start_ns, error));
    if (p->reading.slots)
        WLMI_TRY(wlmi_streams_open(&p->reading, slot, start_ns, error));
    return p->again.slots ? wlmi_streams_open(&p->again, slot, start_ns, error) : WLM_OK;
}

static void close_streams(wlmi_packer *p, uint32_t slot)
{
    wlmi_streams_close(&p->writing, slot);
    if (p->reading.slots)
        wlmi_streams_close(&p->reading, slot);
    if (p->again.slots)
        wlmi_streams_close(&p->again, slot);
}

/* The header waits for the first packet, whose time becomes time zero, or for the first frame. */
static wlm_status begin(wlmi_packer *p, int64_t start_ns, wlm_error *error)
{
    wlmi_tokfile_head head = {.unit = (uint8_t)p->report.unit, .codec_version = p->codec->version,
                              .start_ns = start_ns, .payload = p->report.payload, .seed = p->options.seed,
                              .flows = wlmi_streams_flows(p->codec, p->options.capture)};
    if (p->begun)
        return WLM_OK;
    p->begun = 1;
    head.format = (uint8_t)wlm_capture_format(p->capture);
    snprintf(head.codec, sizeof head.codec, "%s", p->codec->name);
    wlmi_codec_hash(p->codec, head.codec_hash);
    p->options.start_ns = start_ns;
    if (p->options.capture)
        WLMI_TRY(open_streams(p, 0, start_ns, error));
    return wlmi_tokfile_put_head(p->writer, &head, error);
}

static wlm_status put_frame(wlmi_packer *p, wlm_error *error)
{
    wlmi_frame frame;
    WLMI_TRY(begin(p, 0, error));
    WLMI_TRY(wlmi_beside_run(&p->beside, error));
    if (p->tokens.count == 0 && p->beside.size == 0)
        return WLM_OK;
    frame = (wlmi_frame){p->tokens.token, p->tokens.count, p->beside.bytes, p->beside.size};
    p->report.tokens += p->tokens.count;
    p->tokens.count = 0;
    p->beside.size = 0;
    return wlmi_tokfile_put_frame(p->writer, &frame, error);
}

/* A packet of more tokens than a frame holds: all but the last go ahead. What stands beside so far goes with the first
 * of them: it may name the packet's stream. */
static wlm_status put_ahead(wlmi_packer *p, int *frames, wlm_error *error)
{
    size_t done = 0;
    for (; p->tokens.count - done > WLMI_FRAME_TOKENS; done += WLMI_FRAME_TOKENS) {
        wlmi_frame frame = {p->tokens.token + done, WLMI_FRAME_TOKENS, p->beside.bytes, p->beside.size};
        WLMI_TRY(wlmi_tokfile_put_frame(p->writer, &frame, error));
        p->beside.size = 0;
        *frames = 1;
    }
    if (done) {
        p->report.tokens += done;
        p->tokens.count -= done;
        memmove(p->tokens.token, p->tokens.token + done, p->tokens.count * sizeof *p->tokens.token);
    }
    return WLM_OK;
}

static wlm_status seen(wlmi_packer *p, const uint8_t *bytes, size_t size, wlm_error *error)
{
    wlmi_sha256_update(&p->sha, bytes, size);
    p->report.capture_bytes += size;
    return p->tap.write && size ? p->tap.write(p->tap.owner, bytes, size, error) : WLM_OK;
}

static wlm_status seen_packet(wlmi_packer *p, const wlmi_item *item, wlm_error *error)
{
    size_t size;
    const uint8_t *suffix = suffix_of(item, &size);
    WLMI_TRY(seen(p, item->bytes, item->data_at, error));
    WLMI_TRY(seen(p, item->packet.data, item->packet.captured, error));
    return seen(p, suffix, size, error);
}

static wlm_status differs(const wlmi_packer *p, wlm_error *error, const char *cause)
{
    return wlmi_fail(error, WLM_ERR_FORMAT, NULL, p->report.capture_bytes, "packet %llu: %s",
                     (unsigned long long)p->report.packets + 1, cause);
}

/* Gives the packet the data that decoding its tokens, those from `first` on, gives. */
static wlm_status replace(wlmi_packer *p, wlm_packet *packet, size_t first, wlm_error *error)
{
    wlmi_coder *reader = wlmi_streams_at(&p->reading, p->slot), *again = wlmi_streams_at(&p->again, p->slot);
    const wlmi_token *tokens = p->tokens.token + first;
    size_t count = p->tokens.count - first;
    const wlm_packet *decoded;
    wlmi_pushed what = WLMI_PUSHED;
    for (size_t i = 0; i < count; i++)
        WLMI_TRY(p->codec->push(reader, tokens[i], &what, error));
    decoded = p->codec->packet(reader);
    if (what != WLMI_PUSHED_PACKET || decoded->captured != packet->captured)
        return differs(p, error, "the decoded packet has another length");
    if (packet->captured && memcmp(packet->data, decoded->data, packet->captured))
        p->report.lossy = 1;
    packet->data = decoded->data;
    if (!again)
        return WLM_OK;
    p->compared.count = 0;
    WLMI_TRY(p->codec->encode(again, packet, &p->compared, error));
    return p->compared.count == count && !memcmp(p->compared.token, tokens, count * sizeof *tokens)
               ? WLM_OK
               : differs(p, error, "the decoded packet has other tokens");
}

/* ---- streams */

static wlm_status end_stream(wlmi_packer *p, uint32_t slot, wlmi_end end, wlm_error *error)
{
    if (p->tokens.count == WLMI_FRAME_TOKENS)
        WLMI_TRY(put_frame(p, error));
    if (!p->options.capture)
        WLMI_TRY(wlmi_beside_operation(&p->beside, WLMI_BESIDE_END, slot, error));
    WLMI_TRY(p->codec->encode_end(wlmi_streams_at(&p->writing, slot), end, &p->tokens, error));
    close_streams(p, slot);
    return WLM_OK;
}

static wlm_status end_streams(wlmi_packer *p, wlm_error *error)
{
    size_t count;
    const wlmi_ended *ended = wlmi_slots_ended(p->flows, &count);
    for (size_t i = 0; i < count; i++)
        WLMI_TRY(end_stream(p, ended[i].slot, ended[i].end, error));
    return WLM_OK;
}

/* Bytes that say which flow the packet belongs to. Where payload is drawn that must not be any of it: behind IPv6
 * extension headers a transport header may have no tokens. */
static uint32_t deciding(const wlmi_packer *p, const wlm_packet *packet)
{
    enum { IPV6_AND_TOLD = 40 + 20 };
    wlmi_headers headers;
    if (!p->reading.slots)
        return packet->captured;
    wlmi_decode(packet, &headers);
    return headers.ip_version == 6 ? headers.network + IPV6_AND_TOLD : packet->captured;
}

/* Finds the packet's flow, and in unit flow ends, opens and names streams. */
static wlm_status choose_stream(wlmi_packer *p, const wlm_packet *packet, wlm_error *error)
{
    const wlmi_flow *flow;
    uint32_t slot;
    int opened;
    WLMI_TRY(wlmi_slots_of(p->flows, packet, deciding(p, packet), &flow, &slot, &opened, error));
    p->report.flows += (uint64_t)opened;
    if (p->options.capture)
        return WLM_OK;
    WLMI_TRY(end_streams(p, error));
    if (opened) {
        uint64_t late = (uint64_t)packet->time_ns - (uint64_t)p->options.start_ns;
        WLMI_TRY(wlmi_beside_operation(&p->beside, WLMI_BESIDE_OPEN, slot, error));
        WLMI_TRY(wlmi_beside_number(&p->beside, late, error));
        WLMI_TRY(open_streams(p, slot, packet->time_ns, error));
    } else if (slot != p->slot) {
        WLMI_TRY(wlmi_beside_operation(&p->beside, WLMI_BESIDE_FLOW, slot, error));
    }
    p->slot = slot;
    return WLM_OK;
}

static wlm_status pack_packet(wlmi_packer *p, wlmi_item *item, int *frames, wlm_error *error)
{
    size_t first;
    WLMI_TRY(begin(p, item->packet.time_ns, error));
    WLMI_TRY(choose_stream(p, &item->packet, error));
    if (p->tokens.count && p->tokens.count + item->packet.captured + PACKET_TOKENS > WLMI_FRAME_TOKENS) {
        WLMI_TRY(put_frame(p, error));
        *frames = 1;
    }
    first = p->tokens.count;
    WLMI_TRY(p->codec->encode(wlmi_streams_at(&p->writing, p->slot), &item->packet, &p->tokens, error));
    if (p->reading.slots)
        WLMI_TRY(replace(p, &item->packet, first, error));
    WLMI_TRY(seen_packet(p, item, error));
    WLMI_TRY(put_ahead(p, frames, error));
    WLMI_TRY(beside_record(p, item, error));
    p->report.packets++;
    return WLM_OK;
}

static wlm_status finish(wlmi_packer *p, wlm_error *error)
{
    WLMI_TRY(begin(p, 0, error));
    if (p->options.capture) {
        WLMI_TRY(end_stream(p, 0, WLMI_END_CUT, error));
    } else {
        wlmi_slots_flush(p->flows);
        WLMI_TRY(end_streams(p, error));
    }
    WLMI_TRY(put_frame(p, error));
    wlmi_sha256_final(&p->sha, p->report.sha256);
    WLMI_TRY(wlmi_tokfile_put_trailer(p->writer, &p->report, error));
    p->report.token_file_bytes = wlmi_tokfile_written(p->writer);
    p->ended = 1;
    return WLM_END;
}

static wlm_status step_rest(wlmi_packer *p, wlm_error *error)
{
    const uint8_t *bytes;
    size_t size;
    wlm_status status = wlmi_capture_rest(p->capture, &bytes, &size, error);
    if (status == WLM_END)
        return finish(p, error);
    WLMI_TRY(status);
    WLMI_TRY(seen(p, bytes, size, error));
    return wlmi_beside_literal(&p->beside, WLMI_BESIDE_REST, bytes, size, error);
}

static wlm_status step_item(wlmi_packer *p, int *frames, wlm_error *error)
{
    wlm_error why;
    wlmi_item item;
    wlm_status status = wlmi_capture_item(p->capture, &item, &why);
    if (status == WLM_END)
        return finish(p, error);
    if (status == WLM_ERR_FORMAT) {
        p->damaged = 1;
        p->report.damage_offset = why.offset;
        snprintf(p->report.damage, sizeof p->report.damage, "%.255s", why.cause);
        return WLM_OK;
    }
    if (status != WLM_OK) {
        if (error)
            *error = why;
        return status;
    }
    if (item.is_packet)
        return pack_packet(p, &item, frames, error);
    WLMI_TRY(seen(p, item.bytes, item.size, error));
    return wlmi_beside_literal(&p->beside, WLMI_BESIDE_HEADER, item.bytes, item.size, error);
}

wlm_status wlmi_packer_step(wlmi_packer *p, wlm_error *error)
{
    int frames = 0;
    if (p->ended)
        return WLM_END;
    while (!frames) {
        WLMI_TRY(p->damaged ? step_rest(p, error) : step_item(p, &frames, error));
        if (p->beside.size > BESIDE_ENOUGH) {
            WLMI_TRY(put_frame(p, error));
            frames = 1;
        }
    }
    return WLM_OK;
}
