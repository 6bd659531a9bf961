/* scale.c: sizes of files under gzip -9 and zstd -19. What they write is counted and forgotten. */
#include "base/scale.h"

#include <zstd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/zalloc.h"

enum { BLOCK = 1 << 20, WASTE = 1 << 16, GZIP_LEVEL = 9, ZSTD_LEVEL = 19 };

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

static uint64_t gzip_bytes(wlmi_scale *s, size_t size, int last)
{
    uint64_t bytes = 0;
    int result;
    s->gzip.next_in = s->block;
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
        sizes->gzip += gzip_bytes(s, got, last);
        status = zstd_bytes(s, got, last, path, &sizes->zstd, error);
        got = last ? 0 : got;
    } while (status == WLM_OK && got);
    wlmi_input_close(input);
    return status;
}
