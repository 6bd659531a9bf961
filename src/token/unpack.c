/* unpack.c: a token file to its capture. Nothing in the file is believed: every length is checked against the frame,
 * every token against the grammar, and the whole against the trailer's digest. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/digest.h"
#include "capture/capture.h"
#include "token/streams.h"
#include "token/transcode.h"

struct wlmi_unpacker {
    wlmi_tokfile_reader *reader;
    const char *name;
    wlmi_sink sink;
    const wlmi_codec *codec; /* NULL until the header was read */
    wlm_token_options expected;
    int expects;
    wlmi_tokfile_head head;
    wlmi_streams streams;
    uint64_t slot;           /* of the stream at hand; 0 in unit capture */
    wlmi_layout layout;
    uint32_t interface;
    wlmi_frame frame;
    size_t at;               /* tokens of the frame that were taken */
    wlmi_cursor beside;
    int ended;               /* the trailer was read */
    wlmi_sha256 sha;
    wlm_token_report report;
};

wlm_status wlmi_unpacker_new(wlmi_unpacker **unpacker, wlmi_source source, wlmi_sink sink, wlm_error *error)
{
    wlmi_unpacker *u = wlmi_alloc_zero(1, sizeof *u);
    wlm_status status;
    *unpacker = NULL;
    if (!u)
        return WLMI_NO_MEMORY(error);
    u->name = source.name;
    u->sink = sink;
    wlmi_sha256_init(&u->sha);
    status = wlmi_tokfile_reader_new(&u->reader, source, error);
    if (status == WLM_OK)
        *unpacker = u;
    else
        wlmi_unpacker_free(u);
    return status;
}

void wlmi_unpacker_free(wlmi_unpacker *u)
{
    if (!u)
        return;
    wlmi_streams_free(&u->streams);
    wlmi_tokfile_reader_free(u->reader);
    wlmi_layout_free(&u->layout);
    wlmi_free(u);
}

const wlm_token_report *wlmi_unpacker_report(const wlmi_unpacker *u)
{
    return &u->report;
}

static wlm_status refuse(const wlmi_unpacker *u, wlm_error *error, const char *cause)
{
    return wlmi_fail(error, WLM_ERR_FORMAT, u->name, wlmi_tokfile_offset(u->reader), "%s", cause);
}

void wlmi_unpacker_expect(wlmi_unpacker *u, const wlm_token_options *expected)
{
    u->expects = expected != NULL;
    if (expected)
        u->expected = *expected;
}

/* Whether this build can read the file. */
static wlm_status check_head(const wlmi_unpacker *u, const wlmi_tokfile_head *head, const wlmi_codec **out,
                             wlm_error *error)
{
    const wlmi_codec *codec = *out = wlmi_codec_find(head->codec);
    int capture = head->unit == WLM_UNIT_CAPTURE;
    char hash[65];
    if (head->unit != WLM_UNIT_FLOW && !capture)
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, u->name, 10, "a token file of unit %u", head->unit);
    if (!codec)
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, u->name, 16, "made with codec '%s', unknown here", head->codec);
    wlmi_codec_hash(codec, hash);
    if (head->codec_version != codec->version || strcmp(head->codec_hash, hash))
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, u->name, 32, "made with another version of codec '%s'",
                         head->codec);
    if (head->payload != WLM_PAYLOAD_FULL && !codec->limits_payload)
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, u->name, 104, "limited payload, which codec '%s' does not know",
                         head->codec);
    uint32_t flows = wlmi_streams_flows(codec, capture);
    if (capture ? head->flows != flows : head->flows == 0 || head->flows > flows)
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, u->name, 116, "made with a table of %u flows; here it has %u",
                         head->flows, flows);
    return WLM_OK;
}

/* Whether it is what the caller took it for. */
static wlm_status check_expected(const wlmi_unpacker *u, const wlmi_tokfile_head *head, wlm_error *error)
{
    const wlm_token_options *e = &u->expected;
    char limit[2][16] = {"full", "full"};
    if (!u->expects)
        return WLM_OK;
    if (e->codec && strcmp(e->codec, head->codec))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, u->name, WLM_NO_OFFSET, "made with codec '%s', not '%s'",
                         head->codec, e->codec);
    if (e->unit != WLM_UNIT_INHERIT && e->unit != (wlm_unit)head->unit)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, u->name, WLM_NO_OFFSET, "made with unit %s, not %s",
                         wlm_unit_name((wlm_unit)head->unit), wlm_unit_name(e->unit));
    if (e->payload == WLM_PAYLOAD_INHERIT || e->payload == head->payload)
        return WLM_OK;
    if (head->payload != WLM_PAYLOAD_FULL)
        snprintf(limit[0], sizeof limit[0], "%u", head->payload);
    if (e->payload != WLM_PAYLOAD_FULL)
        snprintf(limit[1], sizeof limit[1], "%u", e->payload);
    return wlmi_fail(error, WLM_ERR_ARGUMENT, u->name, WLM_NO_OFFSET, "made with payload %s, not %s", limit[0],
                     limit[1]);
}

static wlm_status begin(wlmi_unpacker *u, wlm_error *error)
{
    const wlmi_tokfile_head *head = &u->head;
    const wlmi_codec *codec;
    wlmi_coder_options options;
    WLMI_TRY(wlmi_tokfile_get_head(u->reader, &u->head, error));
    WLMI_TRY(check_head(u, head, &codec, error));
    WLMI_TRY(check_expected(u, head, error));
    options = (wlmi_coder_options){.capture = head->unit == WLM_UNIT_CAPTURE, .seed = head->seed};
    wlmi_codec_limit(codec, head->payload, &options);
    WLMI_TRY(wlmi_streams_make(&u->streams, codec, &options, options.capture ? 1 : head->flows, error));
    u->codec = codec;
    return options.capture ? wlmi_streams_open(&u->streams, 0, head->start_ns, error) : WLM_OK;
}

static wlm_status emit(wlmi_unpacker *u, const uint8_t *bytes, size_t size, wlm_error *error)
{
    wlmi_sha256_update(&u->sha, bytes, size);
    u->report.capture_bytes += size;
    return size ? u->sink.write(u->sink.owner, bytes, size, error) : WLM_OK;
}

static uint64_t take_number(wlmi_cursor *c)
{
    uint64_t n = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t b = wlmi_u8(c);
        n |= (uint64_t)(b & 127) << shift;
        if (b < 128)
            return n;
    }
    c->overrun = 1;
    return 0;
}

/* A number and so many bytes. */
static const uint8_t *take_bytes(wlmi_cursor *c, size_t *size)
{
    uint64_t n = take_number(c);
    const uint8_t *bytes = n <= wlmi_left(c) ? wlmi_take(c, (size_t)n) : NULL;
    *size = bytes ? (size_t)n : 0;
    if (!bytes)
        c->overrun = 1;
    return bytes;
}

/* The stream in a slot takes the frame's next token. */
static wlm_status push(wlmi_unpacker *u, uint64_t slot, wlmi_pushed *what, wlm_error *error)
{
    wlmi_coder *coder = wlmi_streams_at(&u->streams, slot);
    wlm_status status;
    if (!coder)
        return refuse(u, error, "tokens of a flow that is not open");
    status = u->codec->push(coder, u->frame.token[u->at], what, error);
    if (status != WLM_OK) {
        if (error && status == WLM_ERR_FORMAT)
            error->offset = wlmi_tokfile_offset(u->reader);
        return wlmi_in_file(error, status, u->name);
    }
    u->at++;
    u->report.tokens++;
    if (*what == WLMI_PUSHED_END)
        wlmi_streams_close(&u->streams, (uint32_t)slot);
    return WLM_OK;
}

/* Takes tokens up to the end of the next packet. */
static wlm_status next_packet(wlmi_unpacker *u, const wlm_packet **packet, wlm_error *error)
{
    wlmi_pushed what = WLMI_PUSHED;
    while (what == WLMI_PUSHED) {
        if (u->at == u->frame.tokens)
            return refuse(u, error, "a frame has fewer packets than it says");
        WLMI_TRY(push(u, u->slot, &what, error));
    }
    if (what == WLMI_PUSHED_END)
        return refuse(u, error, "the stream ends before its packets do");
    u->report.packets++;
    *packet = u->codec->packet(wlmi_streams_at(&u->streams, u->slot));
    return WLM_OK;
}

static wlm_status foretold(wlmi_unpacker *u, uint64_t count, wlm_error *error)
{
    while (count-- > 0) {
        const wlm_packet *packet;
        wlmi_wrap wrap;
        WLMI_TRY(next_packet(u, &packet, error));
        if (!wlmi_layout_wrap(&u->layout, packet, u->interface, &wrap))
            return refuse(u, error, "a packet that no record can hold");
        WLMI_TRY(emit(u, wrap.prefix, wrap.prefix_size, error));
        WLMI_TRY(emit(u, packet->data, packet->captured, error));
        WLMI_TRY(emit(u, wrap.suffix, wrap.suffix_size, error));
    }
    return WLM_OK;
}

static wlm_status given(wlmi_unpacker *u, wlm_error *error)
{
    const wlm_packet *packet;
    size_t prefix_size, suffix_size;
    const uint8_t *prefix = take_bytes(&u->beside, &prefix_size), *suffix = take_bytes(&u->beside, &suffix_size);
    if (u->beside.overrun)
        return WLM_OK;
    WLMI_TRY(next_packet(u, &packet, error));
    WLMI_TRY(emit(u, prefix, prefix_size, error));
    WLMI_TRY(emit(u, packet->data, packet->captured, error));
    return emit(u, suffix, suffix_size, error);
}

static wlm_status literal(wlmi_unpacker *u, int header, wlm_error *error)
{
    size_t size;
    const uint8_t *bytes = take_bytes(&u->beside, &size);
    if (!bytes)
        return WLM_OK;
    if (header) {
        wlm_status status = wlmi_layout_literal(&u->layout, bytes, size, error);
        if (status != WLM_OK) {
            if (error)
                error->offset = wlmi_tokfile_offset(u->reader);
            return wlmi_in_file(error, status, u->name);
        }
    }
    return emit(u, bytes, size, error);
}

/* Operations of unit flow. */
static wlm_status open_stream(wlmi_unpacker *u, wlm_error *error)
{
    uint64_t slot = take_number(&u->beside), late = take_number(&u->beside);
    if (u->beside.overrun)
        return WLM_OK;
    if (slot >= u->streams.slots || wlmi_streams_at(&u->streams, slot))
        return refuse(u, error, "a flow opens where none can");
    u->slot = slot;
    return wlmi_streams_open(&u->streams, (uint32_t)slot, (int64_t)((uint64_t)u->head.start_ns + late), error);
}

static wlm_status end_stream(wlmi_unpacker *u, wlm_error *error)
{
    uint64_t slot = take_number(&u->beside);
    wlmi_pushed what;
    if (u->beside.overrun)
        return WLM_OK;
    if (u->at == u->frame.tokens)
        return refuse(u, error, "a frame has fewer ends than it says");
    WLMI_TRY(push(u, slot, &what, error));
    return what == WLMI_PUSHED_END ? WLM_OK : refuse(u, error, "a flow does not end where it should");
}

static wlm_status operation(wlmi_unpacker *u, wlm_error *error)
{
    uint64_t n;
    switch (take_number(&u->beside)) {
    case WLMI_BESIDE_RUN:
        n = take_number(&u->beside);
        return u->beside.overrun ? WLM_OK : foretold(u, n, error);
    case WLMI_BESIDE_PACKET: return given(u, error);
    case WLMI_BESIDE_HEADER: return literal(u, 1, error);
    case WLMI_BESIDE_INTERFACE:
        n = take_number(&u->beside);
        u->interface = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
        return WLM_OK;
    case WLMI_BESIDE_REST: return literal(u, 0, error);
    case WLMI_BESIDE_OPEN: return open_stream(u, error);
    case WLMI_BESIDE_FLOW: u->slot = take_number(&u->beside); return WLM_OK;
    case WLMI_BESIDE_END: return end_stream(u, error);
    default: return refuse(u, error, "an unknown operation beside the tokens");
    }
}

static wlm_status take_frame(wlmi_unpacker *u, wlm_error *error)
{
    u->at = 0;
    u->beside = wlmi_cursor_over(u->frame.beside, u->frame.beside_size);
    while (wlmi_left(&u->beside)) {
        WLMI_TRY(operation(u, error));
        if (u->beside.overrun)
            return refuse(u, error, "an operation beside the tokens is cut off");
    }
    while (u->at < u->frame.tokens) { /* the beginning of a packet that ends in a later frame, or the end token */
        wlmi_pushed what;
        WLMI_TRY(push(u, u->slot, &what, error));
        if (what == WLMI_PUSHED_PACKET)
            return refuse(u, error, "a frame has more packets than it says");
    }
    return WLM_OK;
}

static wlm_status check(wlmi_unpacker *u, const wlm_token_report *trailer, wlm_error *error)
{
    wlmi_sha256_final(&u->sha, u->report.sha256);
    if (u->streams.open)
        return refuse(u, error, "the token stream has no end");
    if (u->report.packets != trailer->packets || u->report.tokens != trailer->tokens ||
        u->report.capture_bytes != trailer->capture_bytes)
        return refuse(u, error, "the trailer's counts are not those of the file");
    if (strcmp(u->report.sha256, trailer->sha256))
        return refuse(u, error, "the capture's digest is not the trailer's");
    u->report = *trailer;
    u->report.unit = (wlm_unit)u->head.unit;
    u->report.payload = u->head.payload;
    u->ended = 1;
    return WLM_END;
}

wlm_status wlmi_unpacker_step(wlmi_unpacker *u, wlm_error *error)
{
    wlm_token_report trailer;
    wlm_status status;
    if (u->ended)
        return WLM_END;
    if (!u->codec)
        WLMI_TRY(begin(u, error));
    status = wlmi_tokfile_next(u->reader, &u->frame, &trailer, error);
    if (status == WLM_END)
        return check(u, &trailer, error);
    WLMI_TRY(status);
    return take_frame(u, error);
}
