/* input.c: byte streams from files, pipes and memory, decompressed on the way. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/io.h"
#include "base/zalloc.h"

enum { RAW_SIZE = 1 << 17 };

typedef enum coding { PLAIN, GZIP, ZSTD } coding;

struct wlmi_input {
    char *name;
    int fd;             /* -1: memory */
    coding coding;
    const uint8_t *raw; /* bytes as they are stored, not yet taken */
    size_t raw_left;
    int raw_end;        /* nothing follows them */
    uint8_t *buffer;    /* RAW_SIZE, behind raw; NULL for memory */
    int inside;         /* in the middle of a gzip member or zstd frame */
    int gzip_ready;
    z_stream gzip;
    ZSTD_DStream *zstd;
    uint64_t offset;
    wlm_error error;    /* status other than WLM_OK: the stream is over for this reason */
};

/* One read(2), again where a signal came between. */
static wlm_status read_some(wlmi_input *input, void *out, size_t size, size_t *got)
{
    ssize_t n;
    do
        n = read(input->fd, out, size);
    while (n < 0 && errno == EINTR);
    *got = n > 0 ? (size_t)n : 0;
    if (n < 0)
        return wlmi_fail(&input->error, WLM_ERR_IO, input->name, input->offset, "cannot read: %s", strerror(errno));
    if (n == 0)
        input->raw_end = 1;
    return WLM_OK;
}

/* Makes at least `need` stored bytes ready, unless the file ends first. */
static wlm_status fill(wlmi_input *input, size_t need)
{
    if (input->raw_left < need && !input->raw_end) {
        memmove(input->buffer, input->raw, input->raw_left);
        input->raw = input->buffer;
    }
    while (input->raw_left < need && !input->raw_end) {
        size_t got;
        WLMI_TRY(read_some(input, input->buffer + input->raw_left, RAW_SIZE - input->raw_left, &got));
        input->raw_left += got;
    }
    return WLM_OK;
}

static coding told_by(const uint8_t *raw, size_t size)
{
    if (size >= 3 && raw[0] == 0x1f && raw[1] == 0x8b && raw[2] == 8)
        return GZIP;
    if (size >= 4 && (wlmi_load_le32(raw) == ZSTD_MAGICNUMBER ||
                      (wlmi_load_le32(raw) & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START))
        return ZSTD;
    return PLAIN;
}

static wlm_status prepare(wlmi_input *input)
{
    WLMI_TRY(fill(input, 4));
    input->coding = told_by(input->raw, input->raw_left);
    if (input->coding == GZIP) {
        input->gzip.zalloc = wlmi_zalloc;
        input->gzip.zfree = wlmi_zfree;
        if (inflateInit2(&input->gzip, 15 + 16) != Z_OK)
            return WLMI_NO_MEMORY(&input->error);
        input->gzip_ready = input->inside = 1;
    } else if (input->coding == ZSTD) {
        input->zstd = ZSTD_createDStream();
        if (!input->zstd)
            return WLMI_NO_MEMORY(&input->error);
    }
    return WLM_OK;
}

static wlm_status finish_open(wlmi_input **out, wlmi_input *input, wlm_error *error)
{
    wlm_status status = prepare(input);
    if (status == WLM_OK) {
        *out = input;
        return WLM_OK;
    }
    if (error)
        *error = input->error;
    wlmi_input_close(input);
    return status;
}

static wlmi_input *make(const char *name)
{
    wlmi_input *input = wlmi_alloc_zero(1, sizeof *input);
    if (!input)
        return NULL;
    input->fd = -1;
    input->name = wlmi_strdup(name);
    if (input->name)
        return input;
    wlmi_free(input);
    return NULL;
}

wlm_status wlmi_input_open(wlmi_input **out, const char *path, wlm_error *error)
{
    int standard = !strcmp(path, "-");
    wlmi_input *input = make(standard ? "standard input" : path);
    *out = NULL;
    if (!input || !(input->buffer = wlmi_alloc(RAW_SIZE))) {
        wlmi_input_close(input);
        return WLMI_NO_MEMORY(error);
    }
    input->raw = input->buffer;
    input->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (input->fd < 0) {
        wlmi_fail(error, WLM_ERR_IO, path, WLM_NO_OFFSET, "cannot open: %s", strerror(errno));
        wlmi_input_close(input);
        return WLM_ERR_IO;
    }
    return finish_open(out, input, error);
}

wlm_status wlmi_input_open_memory(wlmi_input **out, const void *data, size_t size, const char *name,
                                  wlm_error *error)
{
    wlmi_input *input = make(name);
    *out = NULL;
    if (!input)
        return WLMI_NO_MEMORY(error);
    input->raw = data;
    input->raw_left = size;
    input->raw_end = 1;
    return finish_open(out, input, error);
}

static wlm_status damaged(wlmi_input *input, const char *cause)
{
    return wlmi_fail(&input->error, WLM_ERR_FORMAT, input->name, input->offset, "%s", cause);
}

static wlm_status read_plain(wlmi_input *input, uint8_t *out, size_t size, size_t *got)
{
    size_t n = size < input->raw_left ? size : input->raw_left;
    if (n == 0 && input->raw_end)
        return WLM_OK;
    if (n == 0 && size >= RAW_SIZE)
        return read_some(input, out, size, got);
    if (n == 0) {
        WLMI_TRY(fill(input, 1));
        n = size < input->raw_left ? size : input->raw_left;
    }
    if (n)
        memcpy(out, input->raw, n);
    input->raw += n;
    input->raw_left -= n;
    *got = n;
    return WLM_OK;
}

static wlm_status read_gzip(wlmi_input *input, uint8_t *out, size_t size, size_t *got)
{
    z_stream *z = &input->gzip;
    size_t room = size < 1u << 30 ? size : 1u << 30, give;
    int result;
    WLMI_TRY(fill(input, 1));
    if (!input->inside) {
        while (input->raw_left && *input->raw == 0) { /* padding, as tapes leave it */
            input->raw++;
            if (--input->raw_left == 0)
                WLMI_TRY(fill(input, 1));
        }
        if (!input->raw_left)
            return WLM_OK;
        if (*input->raw != 0x1f)
            return damaged(input, "bytes after the gzip stream's end");
        inflateReset(z);
        input->inside = 1;
    }
    give = input->raw_left < 1u << 30 ? input->raw_left : 1u << 30;
    z->next_in = (z_const Bytef *)(uintptr_t)input->raw;
    z->avail_in = (uInt)give;
    z->next_out = out;
    z->avail_out = (uInt)room;
    result = inflate(z, Z_NO_FLUSH);
    input->raw += give - z->avail_in;
    input->raw_left -= give - z->avail_in;
    *got = room - z->avail_out;
    if (result == Z_STREAM_END)
        input->inside = 0;
    else if (result == Z_MEM_ERROR)
        return WLMI_NO_MEMORY(&input->error);
    else if (result != Z_OK && result != Z_BUF_ERROR)
        return damaged(input, "the gzip stream is corrupt");
    else if (*got == 0 && input->raw_left == 0 && input->raw_end)
        return damaged(input, "the gzip stream is truncated");
    return WLM_OK;
}

static wlm_status read_zstd(wlmi_input *input, uint8_t *out, size_t size, size_t *got)
{
    ZSTD_outBuffer to = {out, size, 0};
    ZSTD_inBuffer from;
    size_t result;
    WLMI_TRY(fill(input, 1));
    if (!input->inside && !input->raw_left)
        return WLM_OK;
    from = (ZSTD_inBuffer){input->raw, input->raw_left, 0};
    result = ZSTD_decompressStream(input->zstd, &to, &from);
    input->raw += from.pos;
    input->raw_left -= from.pos;
    *got = to.pos;
    if (ZSTD_isError(result))
        return damaged(input, input->inside ? "the zstd stream is corrupt" : "bytes after the zstd stream's end");
    input->inside = result != 0;
    if (input->inside && to.pos == 0 && input->raw_left == 0 && input->raw_end)
        return damaged(input, "the zstd stream is truncated");
    return WLM_OK;
}

wlm_status wlmi_input_read(wlmi_input *input, void *out, size_t size, size_t *got, wlm_error *error)
{
    *got = 0;
    while (*got < size && input->error.status == WLM_OK) {
        uint8_t *at = (uint8_t *)out + *got;
        size_t n = 0;
        int more = input->raw_left || !input->raw_end || input->inside;
        switch (input->coding) {
        case PLAIN: read_plain(input, at, size - *got, &n); break;
        case GZIP: read_gzip(input, at, size - *got, &n); break;
        case ZSTD: read_zstd(input, at, size - *got, &n); break;
        }
        *got += n;
        input->offset += n;
        if (input->error.status == WLM_ERR_FORMAT) /* bytes may have come out together with the failure */
            input->error.offset = input->offset;
        if (n == 0 && !more)
            break;
    }
    if (*got > 0 || input->error.status == WLM_OK)
        return WLM_OK;
    if (error)
        *error = input->error;
    return input->error.status;
}

uint64_t wlmi_input_offset(const wlmi_input *input)
{
    return input->offset;
}

const char *wlmi_input_name(const wlmi_input *input)
{
    return input->name;
}

void wlmi_input_close(wlmi_input *input)
{
    if (!input)
        return;
    if (input->gzip_ready)
        inflateEnd(&input->gzip);
    ZSTD_freeDStream(input->zstd);
    if (input->fd > STDIN_FILENO)
        close(input->fd);
    wlmi_free(input->buffer);
    wlmi_free(input->name);
    wlmi_free(input);
}
