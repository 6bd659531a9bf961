/* products.h: matrix products: oneDNN's (onednn.c, the only door to it), or, in builds without it, our own
 * (own_products.c).
 *
 * Same shape, inputs and threads: same bits. WLM_ERR_MEMORY and WLM_ERR_UNSUPPORTED leave results undefined. */
#ifndef WLMI_PRODUCTS_H
#define WLMI_PRODUCTS_H

#include "base/status.h"

typedef enum wlmi_number { WLMI_F32, WLMI_BF16 } wlmi_number; /* float, or uint16_t: its upper half */

/* c [M,N] = a b, row-major; M, N, K >= 1. Sums are float whatever the types. */
typedef struct wlmi_product {
    int M, N, K;
    int a_transposed; /* a is stored [K,M], not [M,K] */
    int b_transposed; /* b is stored [N,K], not [K,N] */
    int accumulate;   /* c +=, not c = */
    wlmi_number in;   /* a, b; bf16 only where wlmi_products_have_bf16() */
    wlmi_number out;  /* c */
} wlmi_product;

/* base: NULL, or float [M,N], apart from c, which is added. */
wlm_status wlmi_multiply(const wlmi_product *product, void *c, const void *a, const void *b, const float *base,
                               int threads, wlm_error *error);

/* A matrix b [K,N] in the order in which products read it fastest, for many of them. */
typedef struct wlmi_packed wlmi_packed;
/* Without values. */
wlm_status wlmi_packed_new(wlmi_packed **packed, int N, int K, wlmi_number type, int b_transposed,
                                  wlm_error *error);
/* Takes b's values, stored [K,N], or [N,K] where b_transposed. */
wlm_status wlmi_pack(wlmi_packed *packed, const float *b, int threads, wlm_error *error);
void wlmi_packed_free(wlmi_packed *packed);
/* The product's N, K and `in` are those of b; b_transposed is not read. */
wlm_status wlmi_multiply_packed(const wlmi_product *product, void *c, const void *a, const wlmi_packed *b,
                                      const float *base, int threads, wlm_error *error);

/* Whether bf16 can be multiplied: the processor does so, in oneDNN's eyes, which ONEDNN_MAX_CPU_ISA closes. Our own
 * products know floats alone. */
int wlmi_products_have_bf16(void);
const char *wlmi_products_library(void); /* "oneDNN 2.6.3"; until the thread's next call */

#endif
