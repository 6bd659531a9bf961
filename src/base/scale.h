/* scale.h: how small general compressors make a file, to judge other representations by. */
#ifndef WLMI_SCALE_H
#define WLMI_SCALE_H

#include "base/status.h"

typedef struct wlmi_scale wlmi_scale; /* compressors, used for one file after the other */

typedef struct wlmi_sizes {
    uint64_t plain, gzip, zstd; /* bytes: decompressed where the file is compressed; gzip -9; zstd -19 */
} wlmi_sizes;

wlm_status wlmi_scale_new(wlmi_scale **scale, wlm_error *error);
void wlmi_scale_free(wlmi_scale *scale);
/* Adds the file's sizes; of a damaged compressed one what stands before the damage. */
wlm_status wlmi_scale_add(wlmi_scale *scale, const char *path, wlmi_sizes *sizes, wlm_error *error);

#endif
