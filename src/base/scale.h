/* scale.h: how small general compressors make a file, to judge other representations by. */
#ifndef WLMI_SCALE_H
#define WLMI_SCALE_H

#include "base/status.h"

typedef struct wlmi_scale wlmi_scale; /* compressors, used for one file after the other */

typedef struct wlmi_sizes {
    uint64_t plain, gzip, zstd; /* bytes: decompressed where the file is compressed; gzip -9; zstd -19 */
    uint64_t xz;                /* xz -9e; of wlmi_scale_bytes() alone */
} wlmi_sizes;

wlm_status wlmi_scale_new(wlmi_scale **scale, wlm_error *error);
void wlmi_scale_free(wlmi_scale *scale);
/* Adds the file's sizes; of a damaged compressed one what stands before the damage. */
wlm_status wlmi_scale_add(wlmi_scale *scale, const char *path, wlmi_sizes *sizes, wlm_error *error);
/* Adds what a file of these bytes would be, checksums and headers of the compressed files included. */
wlm_status wlmi_scale_bytes(wlmi_scale *scale, const uint8_t *bytes, size_t size, wlmi_sizes *sizes, wlm_error *error);
/* Adds its size under zstd -19 alone. */
wlm_status wlmi_scale_zstd(wlmi_scale *scale, const uint8_t *bytes, size_t size, uint64_t *zstd, wlm_error *error);

#endif
