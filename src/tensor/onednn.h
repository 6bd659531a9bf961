/* onednn.h: matrix products through oneDNN, the only door to it. */
#ifndef WLMI_ONEDNN_H
#define WLMI_ONEDNN_H

#include "base/status.h"

/* c [M,N] = a b, or += with accumulate, row-major. a is stored [M,K], or [K,M] where a_transposed;
 * b is stored [K,N], or [N,K] where b_transposed. M, N, K >= 1.
 * Inputs are rounded to bf16 where the processor multiplies it faster; sums and c are float either way.
 * Same dimensions, inputs and threads: same bits. WLM_ERR_MEMORY and WLM_ERR_UNSUPPORTED leave c undefined. */
wlm_status wlmi_onednn_product(float *c, const float *a, int a_transposed, const float *b, int b_transposed, int M,
                               int N, int K, int accumulate, int threads, wlm_error *error);

/* The same with inputs in bf16: what oneDNN by itself can do. Not on every processor: see wlmi_onednn_type(). */
wlm_status wlmi_onednn_product_bf16(float *c, const uint16_t *a, int a_transposed, const uint16_t *b, int b_transposed,
                                    int M, int N, int K, int accumulate, int threads, wlm_error *error);

/* "bf16" or "f32": how inputs are multiplied; and oneDNN's version. */
const char *wlmi_onednn_type(void);
void wlmi_onednn_version(int *major, int *minor, int *patch);

/* Tests: 0 multiplies float inputs as they are on every processor; 1 goes back to what the processor has. */
void wlmi_onednn_use_bf16(int use);

#endif
