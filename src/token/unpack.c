/* unpack.c: a token file to its capture. Nothing in the file is believed: every length is checked against the frame,
 * every token against the grammar, and the whole against the trailer's digest. */
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/digest.h"
#include "capture/capture.h"
#include "token/transcode.h"

struct wlmi_unpacker {
    wlmi_tokfile_reader *reader;
    const char *name;
    wlmi_sink sink;
    const wlmi_codec *codec; /* NULL until the header was read */
    wlmi_coder *coder;
    uint32_t payload;        /* limit of the file */
    wlmi_layout layout;
    uint32_t interface;
    wlmi_frame frame;
    size_t at;               /* tokens of the frame that were taken */
    wlmi_cursor beside;
    int closed;              /* the end token was taken */
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
    if (u->coder)
        u->codec->drop(u->coder);
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

static wlm_status begin(wlmi_unpacker *u, wlm_error *error)
{
    wlmi_tokfile_head head;
    const wlmi_codec *codec;
    wlmi_coder_options options;
    char hash[65];
    WLMI_TRY(wlmi_tokfile_get_head(u->reader, &head, error));
    if (head.unit != WLMI_UNIT_CAPTURE)
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, u->name, 10, "a token file of unit %u", head.unit);
    codec = wlmi_codec_find(head.codec);
    if (!codec)
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, u->name, 16, "made with codec '%s', unknown here", head.codec);
    wlmi_codec_hash(codec, hash);
    if (head.codec_version != codec->version || strcmp(head.codec_hash, hash))
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, u->name, 32, "made with another version of codec '%s'",
                         head.codec);
    if (head.payload != WLM_PAYLOAD_FULL && !codec->limits_payload)
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, u->name, 104, "limited payload, which codec '%s' does not know",
                         head.codec);
    WLMI_TRY(codec->make(&u->coder, error));
    u->codec = codec;
    u->payload = head.payload;
    options = (wlmi_coder_options){.start_ns = head.start_ns, .capture = 1, .seed = head.seed};
    wlmi_codec_limit(codec, head.payload, &options);
    codec->start(u->coder, &options);
    return WLM_OK;
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

static wlm_status push(wlmi_unpacker *u, wlmi_pushed *what, wlm_error *error)
{
    wlm_status status = u->codec->push(u->coder, u->frame.token[u->at], what, error);
    if (status != WLM_OK) {
        if (error && status == WLM_ERR_FORMAT)
            error->offset = wlmi_tokfile_offset(u->reader);
        return wlmi_in_file(error, status, u->name);
    }
    u->at++;
    u->report.tokens++;
    return WLM_OK;
}

/* Takes tokens up to the end of the next packet. */
static wlm_status next_packet(wlmi_unpacker *u, const wlm_packet **packet, wlm_error *error)
{
    wlmi_pushed what = WLMI_PUSHED;
    while (what == WLMI_PUSHED) {
        if (u->at == u->frame.tokens)
            return refuse(u, error, "a frame has fewer packets than it says");
        WLMI_TRY(push(u, &what, error));
    }
    if (what == WLMI_PUSHED_END)
        return refuse(u, error, "the stream ends before its packets do");
    u->report.packets++;
    *packet = u->codec->packet(u->coder);
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
        WLMI_TRY(push(u, &what, error));
        if (what == WLMI_PUSHED_PACKET)
            return refuse(u, error, "a frame has more packets than it says");
        u->closed |= what == WLMI_PUSHED_END;
    }
    return WLM_OK;
}

static wlm_status check(wlmi_unpacker *u, const wlm_token_report *trailer, wlm_error *error)
{
    wlmi_sha256_final(&u->sha, u->report.sha256);
    if (!u->closed)
        return refuse(u, error, "the token stream has no end");
    if (u->report.packets != trailer->packets || u->report.tokens != trailer->tokens ||
        u->report.capture_bytes != trailer->capture_bytes)
        return refuse(u, error, "the trailer's counts are not those of the file");
    if (strcmp(u->report.sha256, trailer->sha256))
        return refuse(u, error, "the capture's digest is not the trailer's");
    u->report = *trailer;
    u->report.payload = u->payload;
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
