/* output.c: files written whole or not at all, compressed where their name says so. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/zalloc.h"

enum { BUFFER_SIZE = 1 << 17, ZSTD_LEVEL = 3 };

struct wlmi_output {
    char *path;      /* final name, or what errors call it */
    char *temporary; /* NULL: written in place (standard output, devices, pipes) */
    int fd;
    uint8_t *buffer; /* BUFFER_SIZE bytes on their way to the file */
    size_t filled;
    int gzip_ready;
    z_stream gzip;
    ZSTD_CCtx *zstd;
    uint64_t offset;
};

static wlm_status no_write(const wlmi_output *output, const char *what, wlm_error *error)
{
    return wlmi_fail(error, WLM_ERR_IO, output->path, WLM_NO_OFFSET, "cannot %s: %s", what, strerror(errno));
}

static wlm_status write_all(wlmi_output *output, const uint8_t *data, size_t size, wlm_error *error)
{
    while (size) {
        ssize_t n = write(output->fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return no_write(output, "write", error);
        data += n;
        size -= (size_t)n;
    }
    return WLM_OK;
}

static wlm_status flush(wlmi_output *output, wlm_error *error)
{
    size_t n = output->filled;
    output->filled = 0;
    return write_all(output, output->buffer, n, error);
}

static void release(wlmi_output *output)
{
    if (output->gzip_ready)
        deflateEnd(&output->gzip);
    ZSTD_freeCCtx(output->zstd);
    if (output->fd > STDERR_FILENO)
        close(output->fd);
    wlmi_free(output->buffer);
    wlmi_free(output->temporary);
    wlmi_free(output->path);
    wlmi_free(output);
}

static int ends_in(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    return n > m && !strcmp(path + n - m, ending);
}

/* A neighbour of the final name, so that the rename stays inside one file system. */
static int open_temporary(wlmi_output *output)
{
    static atomic_uint next;
    size_t size = strlen(output->path) + 48;
    output->temporary = wlmi_alloc(size);
    if (!output->temporary) {
        errno = ENOMEM;
        return -1;
    }
    for (;;) {
        int fd;
        snprintf(output->temporary, size, "%s.part-%ld-%u", output->path, (long)getpid(), atomic_fetch_add(&next, 1));
        fd = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
}

/* Renaming over a device or pipe would replace it, over a symbolic link too: the first is written in place, the
 * second is followed. */
static wlm_status open_target(wlmi_output *output, const char *path, wlm_error *error)
{
    struct stat st;
    char real[PATH_MAX];
    int in_place = !strcmp(path, "-");
    if (!in_place && realpath(path, real)) {
        path = real;
        in_place = stat(path, &st) == 0 && !S_ISREG(st.st_mode);
    }
    output->path = wlmi_strdup(strcmp(path, "-") ? path : "standard output");
    if (!output->path)
        return WLMI_NO_MEMORY(error);
    if (!strcmp(path, "-"))
        output->fd = STDOUT_FILENO;
    else if (in_place)
        output->fd = open(path, O_WRONLY | O_CLOEXEC);
    else
        output->fd = open_temporary(output);
    if (output->fd < 0 && errno == ENOMEM)
        return WLMI_NO_MEMORY(error);
    return output->fd < 0 ? no_write(output, "create", error) : WLM_OK;
}

wlm_status wlmi_output_open(wlmi_output **out, const char *path, wlm_error *error)
{
    wlmi_output *output = wlmi_alloc_zero(1, sizeof *output);
    wlm_status status;
    *out = NULL;
    if (!output)
        return WLMI_NO_MEMORY(error);
    output->fd = -1;
    status = open_target(output, path, error);
    if (status != WLM_OK) {
        wlmi_free(output->temporary);
        output->temporary = NULL;
        goto fail;
    }
    output->buffer = wlmi_alloc(BUFFER_SIZE);
    status = WLM_ERR_MEMORY;
    if (!output->buffer)
        goto fail;
    if (ends_in(path, ".gz")) {
        output->gzip.zalloc = wlmi_zalloc;
        output->gzip.zfree = wlmi_zfree;
        if (deflateInit2(&output->gzip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
            goto fail;
        output->gzip_ready = 1;
    } else if (ends_in(path, ".zst")) {
        output->zstd = ZSTD_createCCtx();
        if (!output->zstd || ZSTD_isError(ZSTD_CCtx_setParameter(output->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) ||
            ZSTD_isError(ZSTD_CCtx_setParameter(output->zstd, ZSTD_c_checksumFlag, 1)))
            goto fail;
    }
    *out = output;
    return WLM_OK;
fail:
    if (status == WLM_ERR_MEMORY)
        WLMI_NO_MEMORY(error);
    wlmi_output_discard(output);
    return status;
}

static wlm_status put_plain(wlmi_output *output, const uint8_t *data, size_t size, wlm_error *error)
{
    if (size > BUFFER_SIZE - output->filled)
        WLMI_TRY(flush(output, error));
    if (size > BUFFER_SIZE)
        return write_all(output, data, size, error);
    memcpy(output->buffer + output->filled, data, size);
    output->filled += size;
    return WLM_OK;
}

static wlm_status put_gzip(wlmi_output *output, const uint8_t *data, size_t size, int last, wlm_error *error)
{
    z_stream *z = &output->gzip;
    int result = Z_OK;
    do {
        size_t give = size < 1u << 30 ? size : 1u << 30;
        z->next_in = (z_const Bytef *)(uintptr_t)data;
        z->avail_in = (uInt)give;
        do {
            z->next_out = output->buffer + output->filled;
            z->avail_out = (uInt)(BUFFER_SIZE - output->filled);
            result = deflate(z, last && give == size ? Z_FINISH : Z_NO_FLUSH);
            output->filled = BUFFER_SIZE - z->avail_out;
            if (z->avail_out == 0)
                WLMI_TRY(flush(output, error));
        } while (z->avail_in || (last && give == size && result != Z_STREAM_END));
        data += give;
        size -= give;
    } while (size);
    return WLM_OK;
}

static wlm_status put_zstd(wlmi_output *output, const uint8_t *data, size_t size, int last, wlm_error *error)
{
    ZSTD_inBuffer from = {data, size, 0};
    size_t left;
    do {
        ZSTD_outBuffer to = {output->buffer, BUFFER_SIZE, output->filled};
        left = ZSTD_compressStream2(output->zstd, &to, &from, last ? ZSTD_e_end : ZSTD_e_continue);
        output->filled = to.pos;
        if (ZSTD_isError(left))
            return wlmi_fail(error, WLM_ERR_MEMORY, output->path, WLM_NO_OFFSET, "zstd: %s", ZSTD_getErrorName(left));
        if (to.pos == BUFFER_SIZE)
            WLMI_TRY(flush(output, error));
    } while (from.pos < from.size || (last && left));
    return WLM_OK;
}

wlm_status wlmi_output_write(wlmi_output *output, const void *data, size_t size, wlm_error *error)
{
    if (size == 0)
        return WLM_OK;
    output->offset += size;
    if (output->gzip_ready)
        return put_gzip(output, data, size, 0, error);
    if (output->zstd)
        return put_zstd(output, data, size, 0, error);
    return put_plain(output, data, size, error);
}

uint64_t wlmi_output_offset(const wlmi_output *output)
{
    return output->offset;
}

static wlm_status complete(wlmi_output *output, wlm_error *error)
{
    if (output->gzip_ready)
        WLMI_TRY(put_gzip(output, (const uint8_t *)"", 0, 1, error));
    else if (output->zstd)
        WLMI_TRY(put_zstd(output, NULL, 0, 1, error));
    WLMI_TRY(flush(output, error));
    if (!output->temporary)
        return WLM_OK;
    if (fsync(output->fd) != 0)
        return no_write(output, "sync", error);
    return rename(output->temporary, output->path) == 0 ? WLM_OK : no_write(output, "rename", error);
}

wlm_status wlmi_output_finish(wlmi_output *output, wlm_error *error)
{
    wlm_status status = complete(output, error);
    if (status != WLM_OK)
        wlmi_output_discard(output);
    else
        release(output);
    return status;
}

void wlmi_output_discard(wlmi_output *output)
{
    if (!output)
        return;
    if (output->temporary)
        unlink(output->temporary);
    release(output);
}
