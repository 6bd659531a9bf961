/* tokfile.c: the token file: a header, compressed frames of bounded size, a trailer. */
#include "token/tokfile.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/cursor.h"

enum { VERSION = 3, HEAD = 124, FRAME_HEAD = 24, TRAILER_HEAD = 120, TAG_FRAME = 0x314d5246, TAG_END = 0x31444e45 };
enum { ZSTD_LEVEL = 1, STEP = 1 << 16, NAME = 16, HASH = 64, DAMAGE_MAX = 255 };

static const uint8_t magic_bytes[WLMI_TOKFILE_MAGIC] = {0x89, 'W', 'L', 'M', 'T', 'O', 'K', '\n'};

int wlmi_tokfile_magic(const uint8_t magic[WLMI_TOKFILE_MAGIC])
{
    return !memcmp(magic, magic_bytes, sizeof magic_bytes);
}

static uint32_t checksum(const uint8_t *bytes, size_t size)
{
    return (uint32_t)crc32(0, bytes, (uInt)size);
}

/* ---- writing */

struct wlmi_tokfile_writer {
    wlmi_sink sink;
    ZSTD_CCtx *zstd;
    uint8_t *raw, *packed;
    size_t raw_capacity, packed_capacity;
    uint64_t written;
};

wlm_status wlmi_tokfile_writer_new(wlmi_tokfile_writer **writer, wlmi_sink sink, wlm_error *error)
{
    wlmi_tokfile_writer *w = wlmi_alloc_zero(1, sizeof *w);
    *writer = w;
    if (!w)
        return WLMI_NO_MEMORY(error);
    w->sink = sink;
    w->zstd = ZSTD_createCCtx();
    if (w->zstd && !ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)))
        return WLM_OK;
    wlmi_tokfile_writer_free(w);
    *writer = NULL;
    return WLMI_NO_MEMORY(error);
}

void wlmi_tokfile_writer_free(wlmi_tokfile_writer *w)
{
    if (!w)
        return;
    ZSTD_freeCCtx(w->zstd);
    wlmi_free(w->raw);
    wlmi_free(w->packed);
    wlmi_free(w);
}

static wlm_status put(wlmi_tokfile_writer *w, const void *data, size_t size, wlm_error *error)
{
    w->written += size;
    return w->sink.write(w->sink.owner, data, size, error);
}

wlm_status wlmi_tokfile_put_head(wlmi_tokfile_writer *w, const wlmi_tokfile_head *head, wlm_error *error)
{
    uint8_t b[HEAD] = {0};
    memcpy(b, magic_bytes, sizeof magic_bytes);
    wlmi_store_le16(b + 8, VERSION);
    b[10] = head->unit;
    b[11] = head->format;
    wlmi_store_le32(b + 12, head->codec_version);
    memcpy(b + 16, head->codec, strnlen(head->codec, NAME));
    memcpy(b + 32, head->codec_hash, HASH);
    wlmi_store_le64(b + 96, (uint64_t)head->start_ns);
    wlmi_store_le32(b + 104, head->payload);
    wlmi_store_le64(b + 108, head->seed);
    wlmi_store_le32(b + 116, head->flows);
    wlmi_store_le32(b + 120, checksum(b, 120));
    return put(w, b, sizeof b, error);
}

wlm_status wlmi_tokfile_put_frame(wlmi_tokfile_writer *w, const wlmi_frame *frame, wlm_error *error)
{
    size_t raw_size = 2 * frame->tokens + frame->beside_size, size;
    uint8_t head[FRAME_HEAD];
    if (frame->tokens > WLMI_FRAME_TOKENS || frame->beside_size > WLMI_FRAME_BESIDE)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "a frame is too large");
    if (!wlmi_grow(&w->raw, &w->raw_capacity, raw_size + 1, 1) ||
        !wlmi_grow(&w->packed, &w->packed_capacity, ZSTD_compressBound(raw_size), 1))
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < frame->tokens; i++)
        wlmi_store_le16(w->raw + 2 * i, frame->token[i]);
    if (frame->beside_size)
        memcpy(w->raw + 2 * frame->tokens, frame->beside, frame->beside_size);
    size = ZSTD_compress2(w->zstd, w->packed, w->packed_capacity, w->raw, raw_size);
    if (ZSTD_isError(size))
        return wlmi_fail(error, WLM_ERR_MEMORY, NULL, WLM_NO_OFFSET, "zstd: %s", ZSTD_getErrorName(size));
    wlmi_store_le32(head, TAG_FRAME);
    wlmi_store_le32(head + 4, (uint32_t)frame->tokens);
    wlmi_store_le32(head + 8, (uint32_t)frame->beside_size);
    wlmi_store_le32(head + 12, (uint32_t)size);
    wlmi_store_le32(head + 16, checksum(w->packed, size));
    wlmi_store_le32(head + 20, checksum(head, 20));
    WLMI_TRY(put(w, head, sizeof head, error));
    return put(w, w->packed, size, error);
}

wlm_status wlmi_tokfile_put_trailer(wlmi_tokfile_writer *w, const wlm_token_report *report, wlm_error *error)
{
    uint8_t b[TRAILER_HEAD + DAMAGE_MAX + 4] = {0};
    size_t length = strnlen(report->damage, DAMAGE_MAX), end = TRAILER_HEAD + length;
    wlmi_store_le32(b, TAG_END);
    wlmi_store_le32(b + 4, (uint32_t)length);
    wlmi_store_le64(b + 8, report->packets);
    wlmi_store_le64(b + 16, report->flows);
    wlmi_store_le64(b + 24, report->tokens);
    wlmi_store_le64(b + 32, report->capture_bytes);
    wlmi_store_le64(b + 40, report->damage_offset);
    memcpy(b + 48, report->sha256, HASH);
    memcpy(b + TRAILER_HEAD, report->damage, length); /* 112..119 are kept for later, zero */
    wlmi_store_le32(b + end, checksum(b, end));
    return put(w, b, end + 4, error);
}

uint64_t wlmi_tokfile_written(const wlmi_tokfile_writer *w)
{
    return w->written;
}

/* ---- reading */

struct wlmi_tokfile_reader {
    wlmi_source source;
    ZSTD_DCtx *zstd;
    uint8_t *packed, *raw;
    wlmi_token *token;
    size_t packed_capacity, raw_capacity, token_capacity;
    uint64_t offset, start; /* read so far; where the piece at hand began */
};

wlm_status wlmi_tokfile_reader_new(wlmi_tokfile_reader **reader, wlmi_source source, wlm_error *error)
{
    wlmi_tokfile_reader *r = wlmi_alloc_zero(1, sizeof *r);
    *reader = r;
    if (!r)
        return WLMI_NO_MEMORY(error);
    r->source = source;
    r->zstd = ZSTD_createDCtx();
    if (r->zstd)
        return WLM_OK;
    wlmi_free(r);
    *reader = NULL;
    return WLMI_NO_MEMORY(error);
}

void wlmi_tokfile_reader_free(wlmi_tokfile_reader *r)
{
    if (!r)
        return;
    ZSTD_freeDCtx(r->zstd);
    wlmi_free(r->packed);
    wlmi_free(r->raw);
    wlmi_free(r->token);
    wlmi_free(r);
}

static wlm_status refuse(const wlmi_tokfile_reader *r, wlm_error *error, const char *cause)
{
    return wlmi_fail(error, WLM_ERR_FORMAT, r->source.name, r->start, "%s", cause);
}

/* Exactly `size` bytes to packed[at]; the buffer grows only as they come. */
static wlm_status get(wlmi_tokfile_reader *r, size_t at, size_t size, wlm_error *error)
{
    while (size) {
        size_t step = size < at + STEP ? size : at + STEP, got;
        if (!wlmi_grow(&r->packed, &r->packed_capacity, at + step, 1))
            return WLMI_NO_MEMORY(error);
        WLMI_TRY(r->source.read(r->source.owner, r->packed + at, step, &got, error));
        if (got == 0)
            return wlmi_fail(error, WLM_ERR_FORMAT, r->source.name, r->offset, "the token file is truncated");
        r->offset += got;
        at += got;
        size -= got;
    }
    return WLM_OK;
}

static wlm_status check_end(wlmi_tokfile_reader *r, wlm_error *error)
{
    uint8_t more;
    size_t got;
    WLMI_TRY(r->source.read(r->source.owner, &more, 1, &got, error));
    if (got)
        return wlmi_fail(error, WLM_ERR_FORMAT, r->source.name, r->offset, "bytes after the token file's end");
    return WLM_OK;
}

/* Text of the file that will be shown: printable, whatever it was. */
static void copy_text(char *to, const uint8_t *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = from[i] >= ' ' && from[i] < 127 ? (char)from[i] : '?';
    to[size] = 0;
}

wlm_status wlmi_tokfile_get_head(wlmi_tokfile_reader *r, wlmi_tokfile_head *head, wlm_error *error)
{
    const uint8_t *b;
    uint16_t version;
    WLMI_TRY(get(r, 0, WLMI_TOKFILE_MAGIC, error));
    if (!wlmi_tokfile_magic(r->packed))
        return refuse(r, error, "not a token file");
    WLMI_TRY(get(r, WLMI_TOKFILE_MAGIC, HEAD - WLMI_TOKFILE_MAGIC, error));
    b = r->packed;
    version = wlmi_load_le16(b + 8);
    if (version != VERSION)
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, r->source.name, 8, "token file version %u; this build reads %u",
                         version, VERSION);
    if (wlmi_load_le32(b + 120) != checksum(b, 120))
        return refuse(r, error, "the header's checksum is wrong");
    memset(head, 0, sizeof *head);
    head->unit = b[10];
    head->format = b[11];
    head->codec_version = wlmi_load_le32(b + 12);
    copy_text(head->codec, b + 16, strnlen((const char *)b + 16, NAME));
    copy_text(head->codec_hash, b + 32, HASH);
    head->start_ns = (int64_t)wlmi_load_le64(b + 96);
    head->payload = wlmi_load_le32(b + 104);
    head->seed = wlmi_load_le64(b + 108);
    head->flows = wlmi_load_le32(b + 116);
    return WLM_OK;
}

static wlm_status get_frame(wlmi_tokfile_reader *r, wlmi_frame *frame, wlm_error *error)
{
    uint32_t tokens, beside, size, sum;
    size_t raw_size, result;
    WLMI_TRY(get(r, 4, FRAME_HEAD - 4, error));
    tokens = wlmi_load_le32(r->packed + 4);
    beside = wlmi_load_le32(r->packed + 8);
    size = wlmi_load_le32(r->packed + 12);
    sum = wlmi_load_le32(r->packed + 16);
    if (wlmi_load_le32(r->packed + 20) != checksum(r->packed, 20))
        return refuse(r, error, "a frame header's checksum is wrong");
    if (tokens > WLMI_FRAME_TOKENS || beside > WLMI_FRAME_BESIDE)
        return refuse(r, error, "a frame claims too much");
    raw_size = 2 * (size_t)tokens + beside;
    if (size > ZSTD_compressBound(raw_size))
        return refuse(r, error, "a frame claims too much");
    WLMI_TRY(get(r, 0, size, error));
    if (sum != checksum(r->packed, size))
        return refuse(r, error, "a frame's checksum is wrong");
    if (ZSTD_getFrameContentSize(r->packed, size) != raw_size)
        return refuse(r, error, "a frame is corrupt: its length is another");
    if (!wlmi_grow(&r->raw, &r->raw_capacity, raw_size + 1, 1) ||
        !wlmi_grow(&r->token, &r->token_capacity, tokens, sizeof *r->token))
        return WLMI_NO_MEMORY(error);
    result = ZSTD_decompressDCtx(r->zstd, r->raw, raw_size, r->packed, size);
    if (ZSTD_isError(result) || result != raw_size)
        return wlmi_fail(error, WLM_ERR_FORMAT, r->source.name, r->start, "a frame is corrupt: %s",
                         ZSTD_isError(result) ? ZSTD_getErrorName(result) : "it is short");
    for (size_t i = 0; i < tokens; i++)
        r->token[i] = wlmi_load_le16(r->raw + 2 * i);
    *frame = (wlmi_frame){r->token, tokens, r->raw + 2 * (size_t)tokens, beside};
    return WLM_OK;
}

static wlm_status get_trailer(wlmi_tokfile_reader *r, wlm_token_report *trailer, wlm_error *error)
{
    const uint8_t *b;
    uint32_t length;
    WLMI_TRY(get(r, 4, TRAILER_HEAD - 4, error));
    length = wlmi_load_le32(r->packed + 4);
    if (length > DAMAGE_MAX)
        return refuse(r, error, "the trailer claims too much");
    WLMI_TRY(get(r, TRAILER_HEAD, length + 4, error));
    b = r->packed;
    if (wlmi_load_le32(b + TRAILER_HEAD + length) != checksum(b, TRAILER_HEAD + length))
        return refuse(r, error, "the trailer's checksum is wrong");
    memset(trailer, 0, sizeof *trailer);
    trailer->packets = wlmi_load_le64(b + 8);
    trailer->flows = wlmi_load_le64(b + 16);
    trailer->tokens = wlmi_load_le64(b + 24);
    trailer->capture_bytes = wlmi_load_le64(b + 32);
    trailer->damage_offset = wlmi_load_le64(b + 40);
    copy_text(trailer->sha256, b + 48, HASH);
    copy_text(trailer->damage, b + TRAILER_HEAD, length);
    WLMI_TRY(check_end(r, error));
    trailer->token_file_bytes = r->offset;
    return WLM_END;
}

wlm_status wlmi_tokfile_next(wlmi_tokfile_reader *r, wlmi_frame *frame, wlm_token_report *trailer, wlm_error *error)
{
    uint32_t tag;
    r->start = r->offset;
    WLMI_TRY(get(r, 0, 4, error));
    tag = wlmi_load_le32(r->packed);
    if (tag == TAG_FRAME)
        return get_frame(r, frame, error);
    if (tag == TAG_END)
        return get_trailer(r, trailer, error);
    return refuse(r, error, "neither a frame nor the trailer");
}

uint64_t wlmi_tokfile_offset(const wlmi_tokfile_reader *r)
{
    return r->start;
}
