/* safetensors.h: the safetensors container: an 8-byte little-endian header length, a JSON header (dtype, shape,
 * data_offsets per tensor, __metadata__ of strings), then the tensors without gaps. All ours are F32 or BF16, of 1 or
 * 2 dimensions. Format: github.com/huggingface/safetensors (README). */
#ifndef WLMI_SAFETENSORS_H
#define WLMI_SAFETENSORS_H

#include <jansson.h>

#include "tensor/backend.h"

/* ---- writing */

typedef struct wlmi_tensor_out {
    char name[160];
    wlm_dtype dtype;        /* BF16: rounded to the nearest, ties to even */
    int dims;               /* 1 or 2 */
    size_t shape[2];
    const wlmi_real *value; /* [shape] */
} wlmi_tensor_out;

/* metadata: an object of strings, or NULL where the caller ran out of memory making it; its reference is taken.
 * Atomic. The header is padded with spaces so that the first tensor starts at a multiple of 64; F32 tensors stand before
 * BF16 ones, so that each starts at a multiple of its values' size. */
wlm_status wlmi_safetensors_write(const char *path, const wlmi_backend *backend, const wlmi_tensor_out *tensors,
                                  int count, json_t *metadata, wlm_error *error);

/* ---- reading */

typedef struct wlmi_tensor_in {
    const char *name;
    wlm_dtype dtype;
    int dims;
    size_t shape[2];
    size_t at, count; /* byte in the file; values */
    int used;         /* was read */
} wlmi_tensor_in;

typedef struct wlmi_safetensors {
    const uint8_t *data;
    size_t size;
    const char *name;   /* of the file, for errors; borrowed */
    json_t *header;
    wlmi_tensor_in *tensor;
    int tensors;
    size_t count;       /* of all values */
} wlmi_safetensors;

/* Checks everything about the container before it allocates for it. Memory and name are borrowed until close. */
wlm_status wlmi_safetensors_open(wlmi_safetensors *file, const void *data, size_t size, const char *name,
                                 wlm_error *error);
void wlmi_safetensors_close(wlmi_safetensors *file);
/* The type of most values. */
wlm_dtype wlmi_safetensors_dtype(const wlmi_safetensors *file);
/* A metadata string, or WLM_ERR_FORMAT naming the key. */
wlm_status wlmi_safetensors_text(const wlmi_safetensors *file, const char *key, const char **text, wlm_error *error);
/* The same, parsed as JSON: *value is a new reference. */
wlm_status wlmi_safetensors_json(const wlmi_safetensors *file, const char *key, json_t **value, wlm_error *error);
/* Reads a tensor that must have this name and shape (dims 1: cols unused) and finite values. */
wlm_status wlmi_safetensors_read(wlmi_safetensors *file, const wlmi_backend *backend, const char *name, int dims,
                                 size_t rows, size_t cols, wlmi_real *value, wlm_error *error);
/* WLM_ERR_FORMAT naming the first tensor that was never read. */
wlm_status wlmi_safetensors_all_read(const wlmi_safetensors *file, wlm_error *error);

#endif
