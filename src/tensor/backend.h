/* backend.h: the table of coarse operations that a model is made of, and who implements it.
 *
 * A backend has a real type for parameters, gradients, states and the residual stream (float, or double for the
 * gradient oracle), and an activation type for what goes into matrix products and between them (bf16 where the real
 * type is float and speed counts, else the real type). Buffers are plain arrays of them, row-major; wlmi_real and
 * wlmi_act are opaque so that they cannot be mixed up.
 * Packed rows: T tokens are several segments one after the other; segment s is tokens starts[s] .. starts[s+1]-1,
 * starts[0] = 0 and starts[segments] = T. Nothing crosses a border.
 * "+=" in a comment: the op adds to what is there. All reductions have a fixed order: the same call with the same
 * thread count gives the same bits.
 * Ops return nothing: one that cannot get scratch memory leaves its output undefined and the backend remembers it;
 * ask status() once after a chain of ops. Ops may be called from several threads at a time on different buffers. */
#ifndef WLMI_BACKEND_H
#define WLMI_BACKEND_H

#include "base/status.h"

typedef struct wlmi_real wlmi_real;
typedef struct wlmi_act wlmi_act;

/* A parameter matrix w [N,K], made ready for products. */
typedef struct wlmi_weight wlmi_weight;

enum { WLMI_MAX_HEAD_WIDTH = 512, WLMI_GRID_FLOAT = 16, WLMI_GRID_DOUBLE = 48 };

typedef struct wlmi_segments {
    int count;
    const int32_t *starts; /* [count + 1] */
} wlmi_segments;

/* What gated delta heads read and write: head blocks inside wider rows, as described at rotary() below. */
typedef struct wlmi_delta {
    wlmi_segments segments;
    int heads, K;
    int stride, gate_stride, o_stride;
    const wlmi_real *q, *k, *v;        /* [T, heads, K], rows of `stride` */
    const wlmi_real *forget, *write;   /* [T, heads], rows of gate_stride: before their maps */
    const wlmi_real *log_rate, *bias;  /* [heads] */
    wlmi_real *o;                      /* [T, heads, K], rows of o_stride */
} wlmi_delta;

typedef struct wlmi_delta_gradient {
    int o_stride;
    const wlmi_real *d_o;              /* [T, heads, K], rows of this o_stride */
    wlmi_real *dq, *dk, *dv;           /* as q, k, v, which they may be themselves; written, not added */
    wlmi_real *d_forget, *d_write;     /* as forget, write; written, not added */
    wlmi_real *d_log_rate, *d_bias;    /* [heads] += */
} wlmi_delta_gradient;

/* What window and full heads of one stream remember: the keys and values of its last tokens, rounded as activations
 * are. The token at position p stands in block p / 16 % (slots / 16), in an order there that the backend likes. */
enum { WLMI_RING_BLOCK = 16 };
typedef struct wlmi_ring {
    wlmi_act *slot;  /* [slots / 16, 2, 16, heads, K], each block in an order of the backend's own */
    int slots;       /* a multiple of 16, at least as many as will be held and seen */
    uint64_t held;   /* tokens that the stream has had */
} wlmi_ring;

typedef struct wlmi_backend {
    const char *name;
    const char *level; /* the instructions it is compiled for, "avx2" say; NULL: there is no choice */
    size_t real_size;  /* 4 or 8 */
    size_t act_size;   /* 2, or real_size */
    const char *(*describe)(void); /* e.g. "oneDNN 2.6.3, bf16, 2 threads" */
    /* Threads of every op called from now on, in all threads of the process; 0: as many as OpenMP would take by
     * itself. The caller's own OpenMP settings stay as they are. */
    void (*set_threads)(int threads);
    int (*threads)(void); /* that ops called now would take, at most */
    /* Does tasks 0 .. tasks - 1 at a time, each on one thread, as ops called in it are; worker is below threads(), and no
     * two tasks at a time have the same. */
    void (*each)(void (*task)(void *user, int i, int worker), void *user, int tasks);
    /* The first failure of an op in the calling thread since the last call of status(), which forgets it. */
    wlm_status (*status)(wlm_error *error);

    void (*zero)(wlmi_real *x, size_t n);
    void (*add)(wlmi_real *y, const wlmi_real *x, size_t n); /* y += x */
    void (*scale)(wlmi_real *x, double factor, size_t n);    /* x *= factor */
    /* x to the nearest multiple of 2^-WLMI_GRID_FLOAT, or of 2^-WLMI_GRID_DOUBLE for doubles: sums and differences of
     * such numbers below 2^8, or 2^5, are exact. */
    void (*to_grid)(wlmi_real *x, size_t n);
    void (*from_float)(wlmi_real *y, const float *x, size_t n);
    void (*to_float)(float *y, const wlmi_real *x, size_t n);
    void (*to_act)(wlmi_act *y, const wlmi_real *x, size_t n);
    void (*to_real)(wlmi_real *y, const wlmi_act *x, size_t n);

    /* Embedding. table [R,D], ids [T] in [0,R); out [T,D] = table[ids], or += with accumulate. */
    void (*embed_forward)(wlmi_real *out, const wlmi_real *table, const int32_t *ids, int T, int D, int accumulate);
    /* dtable[ids] += dout, in order of t. */
    void (*embed_backward)(wlmi_real *dtable, const wlmi_real *dout, const int32_t *ids, int T, int R, int D);

    /* RMSNorm (Zhang and Sennrich, 2019): n = x * rstd * g, rstd = 1 / sqrt(mean(x^2) + 1e-6), and y = n, or, given
     * `shift`, y = n shifted by a token (TrafficGPT): features [0, D/2) come from the token before in the segment (0 at
     * its start), the others from the token itself. x, y [T,D], g [D], rstd [T]. */
    void (*rmsnorm_forward)(wlmi_act *y, wlmi_real *rstd, const wlmi_real *x, const wlmi_real *g,
                            const wlmi_segments *shift, int T, int D);
    /* dx [T,D] +=, dg [D] +=. sum, unless NULL, is what dx then is. */
    void (*rmsnorm_backward)(wlmi_real *dx, wlmi_act *sum, wlmi_real *dg, const wlmi_act *dy, const wlmi_real *x,
                             const wlmi_real *g, const wlmi_real *rstd, const wlmi_segments *shift, int T, int D);

    /* Without values; NULL on failure, which status() reports. */
    wlmi_weight *(*weight_new)(int N, int K);
    /* Takes w's values, which must stay where they are, and as they are until this is called again. backward: the
     * weight will serve matmul_backward_input too. */
    void (*weight_set)(wlmi_weight *weight, const wlmi_real *w, int backward);
    /* on: until the next weight_set, the three forward products below round w to int8, each row to multiples of its
     * largest value / 127, and x likewise, add exactly, and round nothing else. Off: as before. NULL: there is no such
     * thing. */
    void (*weight_quantise)(wlmi_weight *weight, int on);
    void (*weight_free)(wlmi_weight *weight); /* or NULL */

    /* Linear map without bias. x [M,K], w [N,K], y [M,N] = x w^T. */
    void (*matmul_forward)(wlmi_act *y, const wlmi_act *x, const wlmi_weight *w, int M, int N, int K);
    /* The same, kept exact, on top of base [M,N], which may be NULL: 0, or y. */
    void (*matmul_forward_onto)(wlmi_real *y, const wlmi_real *base, const wlmi_act *x, const wlmi_weight *w, int M,
                                int N, int K);
    /* The same for rows [first, last) of w alone: y [M, last - first]. */
    void (*matmul_forward_rows)(wlmi_real *y, const wlmi_act *x, const wlmi_weight *w, int M, int first, int last,
                                int K);
    /* dx [M,K] = dy w. */
    void (*matmul_backward_input)(wlmi_act *dx, const wlmi_act *dy, const wlmi_weight *w, int M, int N, int K);
    void (*matmul_backward_input_real)(wlmi_real *dx, const wlmi_act *dy, const wlmi_weight *w, int M, int N, int K);
    /* dw [N,K] += dy^T x. */
    void (*matmul_backward_weight)(wlmi_real *dw, const wlmi_act *dy, const wlmi_act *x, int M, int N, int K);

    /* Any matrices, which may be rounded as activations are: c [M,N] = a b, or += with accumulate. a is stored [M,K],
     * or [K,M] where a_transposed; b is stored [K,N], or [N,K] where b_transposed. */
    void (*product)(wlmi_real *c, const wlmi_real *a, int a_transposed, const wlmi_real *b, int b_transposed, int M,
                    int N, int K, int accumulate);

    /* SwiGLU (Shazeer, 2020). gu [T,2F]: gate then up; y [T,F] = silu(gate) * up. */
    void (*swiglu_forward)(wlmi_act *y, const wlmi_act *gu, int T, int F);
    /* dgu [T,2F] = (written, not added). */
    void (*swiglu_backward)(wlmi_act *dgu, const wlmi_act *dy, const wlmi_act *gu, int T, int F);

    /* y = x shifted as above, where the rows of each segment go on a stream; before[s] [D/2]: those features of the
     * token before. keep: those of the segment's last row replace them. x, y [T,D], not in place. */
    void (*shift_step)(wlmi_act *y, const wlmi_act *x, wlmi_segments rows, wlmi_real *const *before, int D, int keep);

    /* The mixers below read and write head blocks inside wider rows: x points at the first head's first value of
     * token 0, tokens are `stride` values apart, heads K values apart. */

    /* Rotary positions (Su et al., 2021), in place, pairs (i, i + K/2), base 10000, position = index in segment;
     * turns.h says how angles are counted. sign +1 rotates, -1 rotates back (which is also the backward). */
    void (*rotary)(wlmi_real *x, wlmi_segments segments, int stride, int heads, int K, int sign);
    /* The same in two halves, for tokens anywhere in their streams: angles [T,K], cosines [K/2] then sines of each
     * token's position. */
    void (*rotary_angles)(wlmi_real *angles, const uint64_t *position, int T, int K);
    void (*rotary_turn)(wlmi_real *x, const wlmi_real *angles, int T, int stride, int heads, int K);

    /* Causal softmax attention, q scaled by K^-1/2; token t sees t-window+1 .. t of its segment (window >= 1;
     * INT_MAX: all). o [T, heads*K] with its own stride; lse [T,heads]: log-sum-exp kept for backward. */
    void (*attention_forward)(wlmi_real *o, int o_stride, wlmi_real *lse, const wlmi_real *q, const wlmi_real *k,
                              const wlmi_real *v, int stride, wlmi_segments segments, int heads, int K, int window);
    /* dq, dk, dv share `stride`; written, not added. */
    void (*attention_backward)(wlmi_real *dq, wlmi_real *dk, wlmi_real *dv, const wlmi_real *d_o, const wlmi_real *o,
                               int o_stride, const wlmi_real *lse, const wlmi_real *q, const wlmi_real *k,
                               const wlmi_real *v, int stride, wlmi_segments segments, int heads, int K, int window);
    /* The rows of each segment go on a stream that has had ring[s].held tokens; they see the ring and each other.
     * keep: they are written to the ring, oldest first; else it is only read. o as above. The same bits however a
     * stream's tokens are cut into calls. */
    void (*attention_step)(wlmi_real *o, int o_stride, const wlmi_real *q, const wlmi_real *k, const wlmi_real *v,
                           int stride, wlmi_segments rows, const wlmi_ring *ring, int heads, int K, int window,
                           int keep);

    /* Linear attention in TrafficGPT's form (REFERENCES: Katharopoulos et al., 2020; feature maps as in the public
     * library that TrafficGPT matches): phi(q) = softmax over the head's features, scaled by K^-1/2;
     * phi(k) = exp(cap * tanh(k / cap)), cap = 8, which bounds the exponent without looking ahead;
     * S_t = S_{t-1} + phi(k_t)^T v_t, z_t = z_{t-1} + phi(k_t); o_t = phi(q_t) S_t / max(phi(q_t) z_t, 1e-3).
     * Chunked inside. state: scratch kept from forward for backward, linear_state_size() values. */
    size_t (*linear_state_size)(int T, int segments, int heads, int K);
    void (*linear_forward)(wlmi_real *o, int o_stride, wlmi_real *state, const wlmi_real *q, const wlmi_real *k,
                           const wlmi_real *v, int stride, wlmi_segments segments, int heads, int K);
    void (*linear_backward)(wlmi_real *dq, wlmi_real *dk, wlmi_real *dv, const wlmi_real *d_o, const wlmi_real *o,
                            int o_stride, wlmi_real *state, const wlmi_real *q, const wlmi_real *k,
                            const wlmi_real *v, int stride, wlmi_segments segments, int heads, int K);
    /* The rows of each segment go on a stream whose S [heads,K,K], then z [heads,K], is state[s]. keep: they are taken
     * into it; else it is only read. The same bits however a stream's tokens are cut into calls. */
    void (*linear_step)(wlmi_real *o, int o_stride, const wlmi_real *q, const wlmi_real *k, const wlmi_real *v,
                        int stride, wlmi_segments rows, wlmi_real *const *state, int heads, int K, int keep);

    /* Causal convolution of width 4, each column by itself, then SiLU: y_t = silu(sum over j of w[c,j] * x_{t-3+j}),
     * x being 0 before the segment. x [T,C] in rows of x_stride, y of y_stride, w [C,4]. */
    void (*conv_forward)(wlmi_real *y, int y_stride, const wlmi_real *x, int x_stride, const wlmi_real *w,
                         wlmi_segments segments, int C);
    /* dx, in rows of x_stride, is written, not added; dw [C,4] +=. */
    void (*conv_backward)(wlmi_real *dx, wlmi_real *dw, const wlmi_real *dy, int y_stride, const wlmi_real *x,
                          int x_stride, const wlmi_real *w, wlmi_segments segments, int C);
    /* In place; the rows of each segment go on a stream. state[s] + at: [3,C], the last inputs, oldest first. keep:
     * these are taken in; else the state is only read. The same bits however a stream's tokens are cut into calls. */
    void (*conv_step)(wlmi_real *x, int x_stride, wlmi_segments rows, wlmi_real *const *state, size_t at,
                      const wlmi_real *w, int C, int keep);

    /* Gated delta rule (Yang, Kautz and Hatamizadeh, 2024, arXiv 2412.06464). With k^ = k / sqrt(|k|^2 + 1e-6), q^
     * likewise and scaled by K^-1/2, a = exp(-exp(log_rate) softplus(forget + bias)), b = sigmoid(write), per head:
     * P = a_t S_{t-1}; S_t = P + k^_t^T b_t (v_t - k^_t P); o_t = q^_t S_t.
     * kept: delta_kept_size() values from forward to backward. */
    size_t (*delta_kept_size)(int T, int segments, int heads, int K);
    void (*delta_forward)(const wlmi_delta *d, wlmi_real *kept);
    void (*delta_backward)(const wlmi_delta *d, const wlmi_delta_gradient *gradient, wlmi_real *kept);
    /* The rows of each segment go on a stream whose S [heads,K,K] is state[s]; keep as for conv_step. */
    void (*delta_step)(const wlmi_delta *d, wlmi_real *const *state, int keep);

    /* Norm and gate per head: y = x * rstd * g * silu(gate), rstd = 1 / sqrt(mean(x^2 of the head) + 1e-6); g [K].
     * x, y and gate [T, heads, K], each with rows of its own stride; y may be x. */
    void (*gate_norm_forward)(wlmi_real *y, int y_stride, const wlmi_real *x, int x_stride, const wlmi_real *gate,
                              int gate_stride, const wlmi_real *g, int T, int heads, int K);
    /* dx, in rows of dx_stride, and d_gate, of gate_stride, are written, not added; dg [K] +=. */
    void (*gate_norm_backward)(wlmi_real *dx, int dx_stride, wlmi_real *d_gate, wlmi_real *dg, const wlmi_real *dy,
                               int y_stride, const wlmi_real *x, int x_stride, const wlmi_real *gate, int gate_stride,
                               const wlmi_real *g, int T, int heads, int K);

    /* Softmax cross-entropy over the columns first[t] .. last[t]-1 of logits [T,R]; target is one of them, or -1: no
     * loss (0) and no gradient. loss [T] in nats, not yet weighted. */
    void (*cross_entropy_forward)(wlmi_real *loss, const wlmi_real *logits, const int32_t *target,
                                  const int32_t *first, const int32_t *last, int T, int R);
    /* dlogits [T,R] = weight[t] * (softmax - onehot) inside the columns, 0 elsewhere. */
    void (*cross_entropy_backward)(wlmi_act *dlogits, const wlmi_real *logits, const int32_t *target,
                                   const int32_t *first, const int32_t *last, const float *weight, int T, int R);

    double (*sum)(const wlmi_real *x, size_t n);         /* fixed order, accumulated in double */
    double (*sum_squares)(const wlmi_real *x, size_t n);
    /* AdamW (Loshchilov and Hutter, 2019) on n parameters; step from 1; grad is multiplied by grad_scale first. */
    void (*adamw)(wlmi_real *param, wlmi_real *m, wlmi_real *v, const wlmi_real *grad, size_t n, double grad_scale,
                  double rate, double beta1, double beta2, double epsilon, double decay, uint64_t step);
} wlmi_backend;

extern const wlmi_backend wlmi_backend_ref;    /* scalar float */
extern const wlmi_backend wlmi_backend_ref64;  /* the same source as double: the gradient oracle */
/* The cpu backend, oneDNN's products and OpenMP, at each level that this processor has, the best first. NULL past the
 * last, which is "baseline". */
const wlmi_backend *wlmi_backend_cpu(size_t i);

/* "cpu", "cpu-LEVEL", "ref", "ref64"; NULL name: "cpu". NULL where there is none. */
const wlmi_backend *wlmi_backend_find(const char *name);

static inline wlmi_real *wlmi_at(const wlmi_backend *b, const wlmi_real *x, size_t n)
{
    return (wlmi_real *)((char *)(uintptr_t)x + n * b->real_size);
}
static inline wlmi_act *wlmi_act_at(const wlmi_backend *b, const wlmi_act *x, size_t n)
{
    return (wlmi_act *)((char *)(uintptr_t)x + n * b->act_size);
}

#endif
