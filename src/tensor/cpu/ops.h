/* ops.h: the ops of the cpu backend, which backend.h describes, as each level has them. */
#ifndef WLMI_OPS_H
#define WLMI_OPS_H

#include "tensor/cpu/cpu.h"

/* rows.c */
void LEVEL(embed_forward)(wlmi_real *out, const wlmi_real *table, const int32_t *ids, int T, int D, int accumulate);
void LEVEL(embed_backward)(wlmi_real *dtable, const wlmi_real *dout, const int32_t *ids, int T, int R, int D);
void LEVEL(rmsnorm_forward)(wlmi_act *y, wlmi_real *rstd, const wlmi_real *x, const wlmi_real *g,
                            const wlmi_segments *shift, int T, int D);
void LEVEL(rmsnorm_backward)(wlmi_real *dx, wlmi_act *sum, wlmi_real *dg, const wlmi_act *dy, const wlmi_real *x,
                             const wlmi_real *g, const wlmi_real *rstd, const wlmi_segments *shift, int T, int D);
void LEVEL(swiglu_forward)(wlmi_act *y, const wlmi_act *gu, int T, int F);
void LEVEL(swiglu_backward)(wlmi_act *dgu, const wlmi_act *dy, const wlmi_act *gu, int T, int F);
void LEVEL(cross_entropy_forward)(wlmi_real *loss, const wlmi_real *logits, const int32_t *target,
                                  const int32_t *first, const int32_t *last, int T, int R);
void LEVEL(cross_entropy_backward)(wlmi_act *dlogits, const wlmi_real *logits, const int32_t *target,
                                   const int32_t *first, const int32_t *last, const float *weight, int T, int R);

/* flat.c */
void LEVEL(zero)(wlmi_real *x, size_t n);
void LEVEL(add)(wlmi_real *y, const wlmi_real *x, size_t n);
void LEVEL(scale)(wlmi_real *x, double factor, size_t n);
void LEVEL(to_grid)(wlmi_real *x, size_t n);
void LEVEL(from_float)(wlmi_real *y, const float *x, size_t n);
void LEVEL(to_float)(float *y, const wlmi_real *x, size_t n);
void LEVEL(to_act)(wlmi_act *y, const wlmi_real *x, size_t n);
void LEVEL(to_real)(wlmi_real *y, const wlmi_act *x, size_t n);
double LEVEL(sum)(const wlmi_real *x, size_t n);
double LEVEL(sum_squares)(const wlmi_real *x, size_t n);
void LEVEL(adamw)(wlmi_real *param, wlmi_real *m, wlmi_real *v, const wlmi_real *grad, size_t n, double grad_scale,
                  double rate, double beta1, double beta2, double epsilon, double decay, uint64_t step);

/* product.c */
const char *LEVEL(products_type)(void);
wlmi_weight *LEVEL(weight_new)(int N, int K);
void LEVEL(weight_set)(wlmi_weight *weight, const wlmi_real *w, int backward);
void LEVEL(weight_quantise)(wlmi_weight *weight, int on);
void LEVEL(weight_free)(wlmi_weight *weight);
void LEVEL(matmul_forward)(wlmi_act *y, const wlmi_act *x, const wlmi_weight *w, int M, int N, int K);
void LEVEL(matmul_forward_onto)(wlmi_real *y, const wlmi_real *base, const wlmi_act *x, const wlmi_weight *w, int M,
                                int N, int K);
void LEVEL(matmul_forward_rows)(wlmi_real *y, const wlmi_act *x, const wlmi_weight *w, int M, int first, int last,
                                int K);
void LEVEL(matmul_backward_input)(wlmi_act *dx, const wlmi_act *dy, const wlmi_weight *w, int M, int N, int K);
void LEVEL(matmul_backward_input_real)(wlmi_real *dx, const wlmi_act *dy, const wlmi_weight *w, int M, int N, int K);
void LEVEL(matmul_backward_weight)(wlmi_real *dw, const wlmi_act *dy, const wlmi_act *x, int M, int N, int K);
void LEVEL(product)(wlmi_real *c, const wlmi_real *a, int a_transposed, const wlmi_real *b, int b_transposed, int M,
                    int N, int K, int accumulate);

/* rotary.c */
void LEVEL(rotary)(wlmi_real *x, wlmi_segments segments, int stride, int heads, int K, int sign);

/* attention.c */
void LEVEL(attention_forward)(wlmi_real *o, int o_stride, wlmi_real *lse, const wlmi_real *q, const wlmi_real *k,
                              const wlmi_real *v, int stride, wlmi_segments segments, int heads, int K, int window);
void LEVEL(attention_backward)(wlmi_real *dq, wlmi_real *dk, wlmi_real *dv, const wlmi_real *d_o,
                               const wlmi_real *o, int o_stride, const wlmi_real *lse, const wlmi_real *q,
                               const wlmi_real *k, const wlmi_real *v, int stride, wlmi_segments segments, int heads,
                               int K, int window);
/* steps.c */
void LEVEL(rotary_angles)(wlmi_real *angles, const uint64_t *position, int T, int K);
void LEVEL(rotary_turn)(wlmi_real *x, const wlmi_real *angles, int T, int stride, int heads, int K);
void LEVEL(shift_step)(wlmi_act *y, const wlmi_act *x, wlmi_segments rows, wlmi_real *const *before, int D,
                       int keep);
void LEVEL(attention_step)(wlmi_real *o, int o_stride, const wlmi_real *q, const wlmi_real *k, const wlmi_real *v,
                           int stride, wlmi_segments rows, const wlmi_ring *ring, int heads, int K, int window,
                           int keep);
void LEVEL(linear_step)(wlmi_real *o, int o_stride, const wlmi_real *q, const wlmi_real *k, const wlmi_real *v,
                        int stride, wlmi_segments rows, wlmi_real *const *state, int heads, int K, int keep);

/* linear.c */
size_t LEVEL(linear_state_size)(int T, int segments, int heads, int K);
void LEVEL(linear_forward)(wlmi_real *o, int o_stride, wlmi_real *state, const wlmi_real *q, const wlmi_real *k,
                           const wlmi_real *v, int stride, wlmi_segments segments, int heads, int K);
void LEVEL(linear_backward)(wlmi_real *dq, wlmi_real *dk, wlmi_real *dv, const wlmi_real *d_o, const wlmi_real *o,
                            int o_stride, wlmi_real *state, const wlmi_real *q, const wlmi_real *k,
                            const wlmi_real *v, int stride, wlmi_segments segments, int heads, int K);

/* conv.c */
void LEVEL(conv_forward)(wlmi_real *y, int y_stride, const wlmi_real *x, int x_stride, const wlmi_real *w,
                         wlmi_segments segments, int C);
void LEVEL(conv_backward)(wlmi_real *dx, wlmi_real *dw, const wlmi_real *dy, int y_stride, const wlmi_real *x,
                          int x_stride, const wlmi_real *w, wlmi_segments segments, int C);
void LEVEL(conv_step)(wlmi_real *x, int x_stride, wlmi_segments rows, wlmi_real *const *state, size_t at,
                      const wlmi_real *w, int C, int keep);

/* delta.c, delta_backward.c, delta_step.c */
size_t LEVEL(delta_kept_size)(int T, int segments, int heads, int K);
void LEVEL(delta_forward)(const wlmi_delta *d, wlmi_real *kept);
void LEVEL(delta_backward)(const wlmi_delta *d, const wlmi_delta_gradient *gradient, wlmi_real *kept);
void LEVEL(delta_step)(const wlmi_delta *d, wlmi_real *const *state, int keep);

/* gate_norm.c */
void LEVEL(gate_norm_forward)(wlmi_real *y, int y_stride, const wlmi_real *x, int x_stride, const wlmi_real *gate,
                              int gate_stride, const wlmi_real *g, int T, int heads, int K);
void LEVEL(gate_norm_backward)(wlmi_real *dx, int dx_stride, wlmi_real *d_gate, wlmi_real *dg, const wlmi_real *dy,
                               int y_stride, const wlmi_real *x, int x_stride, const wlmi_real *gate,
                               int gate_stride, const wlmi_real *g, int T, int heads, int K);

#endif
