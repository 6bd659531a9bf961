/* scale.c: sizes of files under gzip -9, zstd -19 and xz -9e. What they write is counted and forgotten. */
#include "base/scale.h"

#include <lzma.h>
#include <string.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/zalloc.h"

enum { BLOCK = 1 << 20, WASTE = 1 << 16, GZIP_LEVEL = 9, ZSTD_LEVEL = 19, XZ_LEVEL = 9 };

struct wlmi_scale {
    uint8_t *block, *waste; /* what is read; what is written */
    z_stream gzip;
    int gzip_ready;
    ZSTD_CCtx *zstd;
};

wlm_status wlmi_scale_new(wlmi_scale **scale, wlm_error *error)
{
    wlmi_scale *s = *scale = wlmi_alloc_zero(1, sizeof *s);
    if (!s)
        return WLMI_NO_MEMORY(error);
    s->block = wlmi_alloc(BLOCK);
    s->waste = wlmi_alloc(WASTE);
    s->gzip.zalloc = wlmi_zalloc;
    s->gzip.zfree = wlmi_zfree;
    s->gzip_ready = deflateInit2(&s->gzip, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    s->zstd = ZSTD_createCCtx();
    if (s->block && s->waste && s->gzip_ready && s->zstd &&
        !ZSTD_isError(ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)))
        return WLM_OK;
    wlmi_scale_free(s);
    *scale = NULL;
    return WLMI_NO_MEMORY(error);
}

void wlmi_scale_free(wlmi_scale *s)
{
    if (!s)
        return;
    if (s->gzip_ready)
        deflateEnd(&s->gzip);
    ZSTD_freeCCtx(s->zstd);
    wlmi_free(s->block);
    wlmi_free(s->waste);
    wlmi_free(s);
}

/* Takes the next bytes of a file, at most 4 GB of them. */
static uint64_t gzip_bytes(wlmi_scale *s, uint8_t *block, size_t size, int last)
{
    uint64_t bytes = 0;
    int result;
    s->gzip.next_in = block;
    s->gzip.avail_in = (uInt)size;
    do {
        s->gzip.next_out = s->waste;
        s->gzip.avail_out = WASTE;
        result = deflate(&s->gzip, last ? Z_FINISH : Z_NO_FLUSH);
        bytes += WASTE - s->gzip.avail_out;
    } while (s->gzip.avail_in || (last && result == Z_OK));
    return bytes;
}

static wlm_status zstd_bytes(wlmi_scale *s, size_t size, int last, const char *path, uint64_t *bytes, wlm_error *error)
{
    ZSTD_inBuffer from = {s->block, size, 0};
    size_t left;
    do {
        ZSTD_outBuffer to = {s->waste, WASTE, 0};
        left = ZSTD_compressStream2(s->zstd, &to, &from, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return wlmi_fail(error, WLM_ERR_MEMORY, path, WLM_NO_OFFSET, "zstd: %s", ZSTD_getErrorName(left));
        *bytes += to.pos;
    } while (from.pos < from.size || (last && left));
    return WLM_OK;
}

wlm_status wlmi_scale_add(wlmi_scale *s, const char *path, wlmi_sizes *sizes, wlm_error *error)
{
    wlmi_input *input;
    size_t got = BLOCK;
    wlm_status status;
    WLMI_TRY(wlmi_input_open(&input, path, error));
    deflateReset(&s->gzip);
    ZSTD_CCtx_reset(s->zstd, ZSTD_reset_session_only);
    do { /* a file of one block ends with it, so that zstd knows how short it is and needs no large window */
        status = wlmi_input_read(input, s->block, BLOCK, &got, error);
        if (status != WLM_OK && status != WLM_ERR_FORMAT)
            break;
        int last = got < BLOCK || status == WLM_ERR_FORMAT;
        sizes->plain += got;
        sizes->gzip += gzip_bytes(s, s->block, got, last);
        status = zstd_bytes(s, got, last, path, &sizes->zstd, error);
        got = last ? 0 : got;
    } while (status == WLM_OK && got);
    wlmi_input_close(input);
    return status;
}

/* ---- a file in memory */

static uint64_t gzip_at_once(wlmi_scale *s, const uint8_t *bytes, size_t size)
{
    uint64_t total = 0;
    deflateReset(&s->gzip);
    for (size_t from = 0, n; from < size; from += n) { /* copied, since zlib takes no const */
        n = size - from < BLOCK ? size - from : BLOCK;
        memcpy(s->block, bytes + from, n);
        total += gzip_bytes(s, s->block, n, from + n == size);
    }
    return size ? total : gzip_bytes(s, s->block, 0, 1);
}

wlm_status wlmi_scale_zstd(wlmi_scale *s, const uint8_t *bytes, size_t size, uint64_t *zstd, wlm_error *error)
{
    ZSTD_inBuffer from = {bytes, size, 0};
    size_t left;
    ZSTD_CCtx_reset(s->zstd, ZSTD_reset_session_only);
    ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_checksumFlag, 1); /* as the program writes it */
    do {
        ZSTD_outBuffer to = {s->waste, WASTE, 0};
        left = ZSTD_compressStream2(s->zstd, &to, &from, ZSTD_e_end);
        if (ZSTD_isError(left))
            return wlmi_fail(error, WLM_ERR_MEMORY, NULL, WLM_NO_OFFSET, "zstd: %s", ZSTD_getErrorName(left));
        *zstd += to.pos;
    } while (left);
    ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_checksumFlag, 0);
    return WLM_OK;
}

/* liblzma's allocation hooks. */
static void *xz_alloc(void *owner, size_t count, size_t size)
{
    (void)owner;
    return wlmi_alloc_zero(count, size);
}

static void xz_free(void *owner, void *block)
{
    (void)owner;
    wlmi_free(block);
}

/* A dictionary as large as the file, but no larger than that of -9, gives what that one would, without its 674 MB. */
static wlm_status xz_bytes(wlmi_scale *s, const uint8_t *bytes, size_t size, uint64_t *xz, wlm_error *error)
{
    const lzma_allocator allocator = {xz_alloc, xz_free, NULL};
    lzma_stream stream = LZMA_STREAM_INIT;
    lzma_options_lzma options;
    const lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, NULL}};
    lzma_ret result = LZMA_OPTIONS_ERROR;
    uint32_t dictionary = LZMA_DICT_SIZE_MIN;
    stream.allocator = &allocator;
    if (!lzma_lzma_preset(&options, XZ_LEVEL | LZMA_PRESET_EXTREME)) {
        while (dictionary < size && dictionary < options.dict_size)
            dictionary *= 2;
        options.dict_size = dictionary < options.dict_size ? dictionary : options.dict_size;
        result = lzma_stream_encoder(&stream, filters, LZMA_CHECK_CRC64);
    }
    stream.next_in = bytes;
    stream.avail_in = size;
    while (result == LZMA_OK) {
        stream.next_out = s->waste;
        stream.avail_out = WASTE;
        result = lzma_code(&stream, LZMA_FINISH);
    }
    *xz += stream.total_out;
    lzma_end(&stream);
    return result == LZMA_STREAM_END ? WLM_OK : wlmi_fail(error, WLM_ERR_MEMORY, NULL, WLM_NO_OFFSET, "xz: status %d",
                                                         (int)result);
}

wlm_status wlmi_scale_bytes(wlmi_scale *s, const uint8_t *bytes, size_t size, wlmi_sizes *sizes, wlm_error *error)
{
    sizes->plain += size;
    sizes->gzip += gzip_at_once(s, bytes, size);
    WLMI_TRY(wlmi_scale_zstd(s, bytes, size, &sizes->zstd, error));
    return xz_bytes(s, bytes, size, &sizes->xz, error);
}
