/* cpu.h: what the files of the cpu backend share, and its ops, which backend.h describes.
 *
 * No result depends on the number of threads, but for products inside oneDNN: tasks are cut by the data alone. */
#ifndef WLMI_CPU_H
#define WLMI_CPU_H

#include "tensor/backend.h"

/* Threads for an op that takes `work` simple steps: one where waking others would cost more than it saves. */
int wlmi_cpu_threads(double work);
/* Scratch for an op, 64-byte aligned: `each` floats for each of `tasks` threads, taskwise distance in *step.
 * NULL on failure, which status() reports. Release with wlmi_free. */
float *wlmi_cpu_scratch(int tasks, size_t each, size_t *step);
/* Remembers a failure for status(). */
void wlmi_cpu_failed(wlm_status status, const wlm_error *error);

/* rows.c */
void wlmi_cpu_embed_forward(wlmi_real *out, const wlmi_real *table, const int32_t *ids, int T, int D, int accumulate);
void wlmi_cpu_embed_backward(wlmi_real *dtable, const wlmi_real *dout, const int32_t *ids, int T, int R, int D);
void wlmi_cpu_rmsnorm_forward(wlmi_real *y, wlmi_real *rstd, const wlmi_real *x, const wlmi_real *g, int T, int D);
void wlmi_cpu_rmsnorm_backward(wlmi_real *dx, wlmi_real *dg, const wlmi_real *dy, const wlmi_real *x,
                               const wlmi_real *g, const wlmi_real *rstd, int T, int D);
void wlmi_cpu_swiglu_forward(wlmi_real *y, const wlmi_real *gu, int T, int F);
void wlmi_cpu_swiglu_backward(wlmi_real *dgu, const wlmi_real *dy, const wlmi_real *gu, int T, int F);
void wlmi_cpu_shift_forward(wlmi_real *y, const wlmi_real *x, wlmi_segments segments, int D);
void wlmi_cpu_shift_backward(wlmi_real *dx, const wlmi_real *dy, wlmi_segments segments, int D);
void wlmi_cpu_cross_entropy_forward(wlmi_real *loss, const wlmi_real *logits, const int32_t *target,
                                    const int32_t *first, const int32_t *last, int T, int R);
void wlmi_cpu_cross_entropy_backward(wlmi_real *logits, const int32_t *target, const int32_t *first,
                                     const int32_t *last, const float *weight, int T, int R);

/* flat.c */
void wlmi_cpu_zero(wlmi_real *x, size_t n);
void wlmi_cpu_add(wlmi_real *y, const wlmi_real *x, size_t n);
void wlmi_cpu_scale(wlmi_real *x, double factor, size_t n);
void wlmi_cpu_from_float(wlmi_real *y, const float *x, size_t n);
void wlmi_cpu_to_float(float *y, const wlmi_real *x, size_t n);
double wlmi_cpu_sum(const wlmi_real *x, size_t n);
double wlmi_cpu_sum_squares(const wlmi_real *x, size_t n);
void wlmi_cpu_adamw(wlmi_real *param, wlmi_real *m, wlmi_real *v, const wlmi_real *grad, size_t n, double grad_scale,
                    double rate, double beta1, double beta2, double epsilon, double decay, uint64_t step);

/* product.c */
void wlmi_cpu_matmul_forward(wlmi_real *y, const wlmi_real *x, const wlmi_real *w, int M, int N, int K,
                             int accumulate);
void wlmi_cpu_matmul_backward_input(wlmi_real *dx, const wlmi_real *dy, const wlmi_real *w, int M, int N, int K,
                                    int accumulate);
void wlmi_cpu_matmul_backward_weight(wlmi_real *dw, const wlmi_real *dy, const wlmi_real *x, int M, int N, int K);

/* rotary.c */
void wlmi_cpu_rotary(wlmi_real *x, wlmi_segments segments, int stride, int heads, int K, int sign);

/* attention.c */
void wlmi_cpu_attention_forward(wlmi_real *o, int o_stride, wlmi_real *lse, const wlmi_real *q, const wlmi_real *k,
                                const wlmi_real *v, int stride, wlmi_segments segments, int heads, int K, int window);
void wlmi_cpu_attention_backward(wlmi_real *dq, wlmi_real *dk, wlmi_real *dv, const wlmi_real *d_o,
                                 const wlmi_real *o, int o_stride, const wlmi_real *lse, const wlmi_real *q,
                                 const wlmi_real *k, const wlmi_real *v, int stride, wlmi_segments segments, int heads,
                                 int K, int window);
/* steps.c */
void wlmi_cpu_rotary_angles(wlmi_real *angles, const uint64_t *position, int T, int K);
void wlmi_cpu_rotary_turn(wlmi_real *x, const wlmi_real *angles, int T, int stride, int heads, int K);
void wlmi_cpu_shift_step(wlmi_real *y, const wlmi_real *x, wlmi_segments rows, wlmi_real *const *before, int D,
                         int keep);
void wlmi_cpu_attention_step(wlmi_real *o, int o_stride, const wlmi_real *q, const wlmi_real *k, const wlmi_real *v,
                             int stride, wlmi_segments rows, const wlmi_ring *ring, int heads, int K, int window,
                             int keep);
void wlmi_cpu_linear_step(wlmi_real *o, int o_stride, const wlmi_real *q, const wlmi_real *k, const wlmi_real *v,
                          int stride, wlmi_segments rows, wlmi_real *const *state, int heads, int K, int keep);

/* linear.c */
size_t wlmi_cpu_linear_state_size(int T, int segments, int heads, int K);
void wlmi_cpu_linear_forward(wlmi_real *o, int o_stride, wlmi_real *state, const wlmi_real *q, const wlmi_real *k,
                             const wlmi_real *v, int stride, wlmi_segments segments, int heads, int K);
void wlmi_cpu_linear_backward(wlmi_real *dq, wlmi_real *dk, wlmi_real *dv, const wlmi_real *d_o, const wlmi_real *o,
                              int o_stride, wlmi_real *state, const wlmi_real *q, const wlmi_real *k,
                              const wlmi_real *v, int stride, wlmi_segments segments, int heads, int K);

/* conv.c */
void wlmi_cpu_conv_forward(wlmi_real *y, int y_stride, const wlmi_real *x, int x_stride, const wlmi_real *w,
                           wlmi_segments segments, int C);
void wlmi_cpu_conv_backward(wlmi_real *dx, wlmi_real *dw, const wlmi_real *dy, int y_stride, const wlmi_real *x,
                            int x_stride, const wlmi_real *w, wlmi_segments segments, int C);
void wlmi_cpu_conv_step(wlmi_real *x, int x_stride, wlmi_segments rows, wlmi_real *const *state, size_t at,
                        const wlmi_real *w, int C, int keep);

/* delta.c, delta_backward.c, delta_step.c */
size_t wlmi_cpu_delta_kept_size(int T, int segments, int heads, int K);
void wlmi_cpu_delta_forward(const wlmi_delta *d, wlmi_real *kept);
void wlmi_cpu_delta_backward(const wlmi_delta *d, const wlmi_delta_gradient *gradient, wlmi_real *kept);
void wlmi_cpu_delta_step(const wlmi_delta *d, wlmi_real *const *state, int keep);

/* gate_norm.c */
void wlmi_cpu_gate_norm_forward(wlmi_real *y, int y_stride, const wlmi_real *x, int x_stride, const wlmi_real *gate,
                                int gate_stride, const wlmi_real *g, int T, int heads, int K);
void wlmi_cpu_gate_norm_backward(wlmi_real *dx, int dx_stride, wlmi_real *d_gate, wlmi_real *dg, const wlmi_real *dy,
                                 int y_stride, const wlmi_real *x, int x_stride, const wlmi_real *gate,
                                 int gate_stride, const wlmi_real *g, int T, int heads, int K);

#endif
