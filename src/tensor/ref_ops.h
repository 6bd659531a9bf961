/* ref_ops.h: the scalar ops that work on each row, element or product by itself. See ref_table.h. */
#include <math.h>
#include <string.h>
#include <tgmath.h>

#include "base/alloc.h"
#include "tensor/backend.h"

#include "tensor/turns.h"

static void zero(wlmi_real *x_, size_t n)
{
    REAL *x = (REAL *)x_;
    for (size_t i = 0; i < n; i++)
        x[i] = 0;
}

static void add(wlmi_real *y_, const wlmi_real *x_, size_t n)
{
    REAL *y = (REAL *)y_;
    const REAL *x = (const REAL *)x_;
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void scale(wlmi_real *x_, double factor, size_t n)
{
    REAL *x = (REAL *)x_;
    for (size_t i = 0; i < n; i++)
        x[i] *= (REAL)factor;
}

static void to_grid(wlmi_real *x_, size_t n)
{
    REAL *x = (REAL *)x_;
    const double steps = ldexp(1, sizeof(REAL) == sizeof(double) ? WLMI_GRID_DOUBLE : WLMI_GRID_FLOAT);
    for (size_t i = 0; i < n; i++)
        x[i] = (REAL)(rint((double)x[i] * steps) / steps);
}

static void from_float(wlmi_real *y_, const float *x, size_t n)
{
    REAL *y = (REAL *)y_;
    for (size_t i = 0; i < n; i++)
        y[i] = (REAL)x[i];
}

static void to_float(float *y, const wlmi_real *x_, size_t n)
{
    const REAL *x = (const REAL *)x_;
    for (size_t i = 0; i < n; i++)
        y[i] = (float)x[i];
}

static void embed_forward(wlmi_real *out_, const wlmi_real *table_, const int32_t *ids, int T, int D, int accumulate)
{
    REAL *out = (REAL *)out_;
    const REAL *table = (const REAL *)table_;
    for (int t = 0; t < T; t++) {
        for (int d = 0; d < D; d++) {
            REAL x = table[(size_t)ids[t] * D + d];
            out[(size_t)t * D + d] = accumulate ? out[(size_t)t * D + d] + x : x;
        }
    }
}

static void embed_backward(wlmi_real *dtable_, const wlmi_real *dout_, const int32_t *ids, int T, int R, int D)
{
    REAL *dtable = (REAL *)dtable_;
    const REAL *dout = (const REAL *)dout_;
    (void)R;
    for (int t = 0; t < T; t++)
        for (int d = 0; d < D; d++)
            dtable[(size_t)ids[t] * D + d] += dout[(size_t)t * D + d];
}

static void to_act(wlmi_act *y, const wlmi_real *x, size_t n)
{
    memcpy(y, x, n * sizeof(REAL));
}

static void to_real(wlmi_real *y, const wlmi_act *x, size_t n)
{
    memcpy(y, x, n * sizeof(REAL));
}

/* y = x [T,D] shifted, which it may not be. */
static void shift(REAL *y, const REAL *x, const wlmi_segments *segments, int D)
{
    for (int s = 0; s < segments->count; s++)
        for (int t = segments->starts[s]; t < segments->starts[s + 1]; t++)
            for (int d = 0; d < D; d++) {
                if (d >= D / 2)
                    y[(size_t)t * D + d] = x[(size_t)t * D + d];
                else
                    y[(size_t)t * D + d] = t > segments->starts[s] ? x[(size_t)(t - 1) * D + d] : 0;
            }
}

/* dy [T,D], of what was shifted, at token t and feature d of what was not. */
static REAL unshifted(const REAL *dy, const wlmi_segments *segments, int segment_end, int D, int t, int d)
{
    if (!segments || d >= D / 2)
        return dy[(size_t)t * D + d];
    return t + 1 < segment_end ? dy[(size_t)(t + 1) * D + d] : 0;
}

static void rmsnorm_forward(wlmi_act *y_, wlmi_real *rstd_, const wlmi_real *x_, const wlmi_real *g_,
                            const wlmi_segments *shift, int T, int D)
{
    REAL *y = (REAL *)y_, *rstd = (REAL *)rstd_;
    const REAL *x = (const REAL *)x_, *g = (const REAL *)g_;
    for (int t = 0; t < T; t++) {
        REAL squares = 0;
        for (int d = 0; d < D; d++)
            squares += x[(size_t)t * D + d] * x[(size_t)t * D + d];
        rstd[t] = 1 / sqrt(squares / D + (REAL)1e-6);
    }
    for (int t = 0, s = 0; t < T; t++) {
        int start;
        while (shift && shift->starts[s + 1] <= t)
            s++;
        start = shift ? shift->starts[s] : 0;
        for (int d = 0; d < D; d++) {
            int from = shift && d < D / 2 ? t - 1 : t;
            y[(size_t)t * D + d] = from < start ? 0 : x[(size_t)from * D + d] * rstd[from] * g[d];
        }
    }
}

/* With n = x * rstd and a = dy * g: dx = rstd * (a - n * mean(a * n)), dy being that of the token itself. */
static void rmsnorm_backward(wlmi_real *dx_, wlmi_act *sum_, wlmi_real *dg_, const wlmi_act *dy_, const wlmi_real *x_,
                             const wlmi_real *g_, const wlmi_real *rstd_, const wlmi_segments *shift, int T, int D)
{
    REAL *dx = (REAL *)dx_, *sum = (REAL *)sum_, *dg = (REAL *)dg_;
    const REAL *dy = (const REAL *)dy_, *x = (const REAL *)x_, *g = (const REAL *)g_, *rstd = (const REAL *)rstd_;
    for (int t = 0, s = 0; t < T; t++, x += D, dx += D) {
        REAL mean = 0;
        int end;
        while (shift && shift->starts[s + 1] <= t)
            s++;
        end = shift ? shift->starts[s + 1] : T;
        for (int d = 0; d < D; d++)
            mean += unshifted(dy, shift, end, D, t, d) * g[d] * x[d] * rstd[t] / D;
        for (int d = 0; d < D; d++) {
            REAL n = x[d] * rstd[t], own = unshifted(dy, shift, end, D, t, d);
            dx[d] += rstd[t] * (own * g[d] - n * mean);
            dg[d] += own * n;
        }
        if (sum)
            memcpy(sum + (size_t)t * D, dx, (size_t)D * sizeof *dx);
    }
}

typedef struct ref_weight {
    const REAL *w;
    int N, K;
} ref_weight;

static _Thread_local int no_memory; /* for status() */

static wlmi_weight *weight_new(int N, int K)
{
    ref_weight *weight = wlmi_alloc(sizeof *weight);
    if (weight)
        *weight = (ref_weight){NULL, N, K};
    else
        no_memory = 1;
    return (wlmi_weight *)weight;
}

static void weight_set(wlmi_weight *weight, const wlmi_real *w, int backward)
{
    (void)backward;
    ((ref_weight *)weight)->w = (const REAL *)w;
}

static void weight_free(wlmi_weight *weight)
{
    wlmi_free(weight);
}

static const REAL *values(const wlmi_weight *weight)
{
    return ((const ref_weight *)weight)->w;
}

/* y = base + x w^T. */
static void multiply(REAL *y, const REAL *base, const REAL *x, const REAL *w, int M, int N, int K)
{
    for (int m = 0; m < M; m++) {
        for (int n = 0; n < N; n++) {
            REAL s = base ? base[(size_t)m * N + n] : 0;
            for (int k = 0; k < K; k++)
                s += x[(size_t)m * K + k] * w[(size_t)n * K + k];
            y[(size_t)m * N + n] = s;
        }
    }
}

static void matmul_forward(wlmi_act *y, const wlmi_act *x, const wlmi_weight *w, int M, int N, int K)
{
    multiply((REAL *)y, NULL, (const REAL *)x, values(w), M, N, K);
}

static void matmul_forward_onto(wlmi_real *y, const wlmi_real *base, const wlmi_act *x, const wlmi_weight *w, int M,
                                int N, int K)
{
    multiply((REAL *)y, (const REAL *)base, (const REAL *)x, values(w), M, N, K);
}

static void matmul_forward_rows(wlmi_real *y, const wlmi_act *x, const wlmi_weight *w, int M, int first, int last,
                                int K)
{
    multiply((REAL *)y, NULL, (const REAL *)x, values(w) + (size_t)first * K, M, last - first, K);
}

static void matmul_backward_input_real(wlmi_real *dx_, const wlmi_act *dy_, const wlmi_weight *weight, int M, int N,
                                       int K)
{
    REAL *dx = (REAL *)dx_;
    const REAL *dy = (const REAL *)dy_, *w = values(weight);
    for (int m = 0; m < M; m++) {
        for (int k = 0; k < K; k++) {
            REAL s = 0;
            for (int n = 0; n < N; n++)
                s += dy[(size_t)m * N + n] * w[(size_t)n * K + k];
            dx[(size_t)m * K + k] = s;
        }
    }
}

static void matmul_backward_input(wlmi_act *dx, const wlmi_act *dy, const wlmi_weight *weight, int M, int N, int K)
{
    matmul_backward_input_real((wlmi_real *)dx, dy, weight, M, N, K);
}

static void matmul_backward_weight(wlmi_real *dw_, const wlmi_act *dy_, const wlmi_act *x_, int M, int N, int K)
{
    REAL *dw = (REAL *)dw_;
    const REAL *dy = (const REAL *)dy_, *x = (const REAL *)x_;
    for (int n = 0; n < N; n++) {
        for (int k = 0; k < K; k++) {
            REAL s = 0;
            for (int m = 0; m < M; m++)
                s += dy[(size_t)m * N + n] * x[(size_t)m * K + k];
            dw[(size_t)n * K + k] += s;
        }
    }
}

static void product(wlmi_real *c_, const wlmi_real *a_, int a_transposed, const wlmi_real *b_, int b_transposed, int M,
                    int N, int K, int accumulate)
{
    REAL *c = (REAL *)c_;
    const REAL *a = (const REAL *)a_, *b = (const REAL *)b_;
    for (int m = 0; m < M; m++) {
        for (int n = 0; n < N; n++) {
            REAL s = accumulate ? c[(size_t)m * N + n] : 0;
            for (int k = 0; k < K; k++)
                s += a[a_transposed ? (size_t)k * M + m : (size_t)m * K + k] *
                     b[b_transposed ? (size_t)n * K + k : (size_t)k * N + n];
            c[(size_t)m * N + n] = s;
        }
    }
}

static REAL sigmoid(REAL x)
{
    return 1 / (1 + exp(-x));
}

static void swiglu_forward(wlmi_act *y_, const wlmi_act *gu_, int T, int F)
{
    REAL *y = (REAL *)y_;
    const REAL *gate = (const REAL *)gu_, *up = gate + F;
    for (int t = 0; t < T; t++, y += F, gate += 2 * F, up += 2 * F)
        for (int f = 0; f < F; f++)
            y[f] = gate[f] * sigmoid(gate[f]) * up[f];
}

static void swiglu_backward(wlmi_act *dgu_, const wlmi_act *dy_, const wlmi_act *gu_, int T, int F)
{
    REAL *dgate = (REAL *)dgu_, *dup = dgate + F;
    const REAL *dy = (const REAL *)dy_, *gate = (const REAL *)gu_, *up = gate + F;
    for (int t = 0; t < T; t++, dy += F, gate += 2 * F, up += 2 * F, dgate += 2 * F, dup += 2 * F) {
        for (int f = 0; f < F; f++) {
            REAL s = sigmoid(gate[f]);
            dgate[f] = dy[f] * up[f] * s * (1 + gate[f] * (1 - s));
            dup[f] = dy[f] * gate[f] * s;
        }
    }
}

static void shift_step(wlmi_act *y_, const wlmi_act *x_, wlmi_segments rows, wlmi_real *const *before, int D,
                       int keep)
{
    REAL *y = (REAL *)y_;
    const REAL *x = (const REAL *)x_;
    const size_t half = (size_t)D / 2;
    shift(y, x, &rows, D);
    for (int s = 0; s < rows.count; s++) {
        memcpy(y + (size_t)rows.starts[s] * D, before[s], half * sizeof *y);
        if (keep)
            memcpy(before[s], x + (size_t)(rows.starts[s + 1] - 1) * D, half * sizeof *x);
    }
}

/* log(sum(exp(x[first .. last-1]))). */
static REAL log_sum_exp(const REAL *x, int first, int last)
{
    REAL top = x[first], total = 0;
    for (int i = first; i < last; i++)
        top = x[i] > top ? x[i] : top;
    for (int i = first; i < last; i++)
        total += exp(x[i] - top);
    return top + log(total);
}

static void cross_entropy_forward(wlmi_real *loss_, const wlmi_real *logits_, const int32_t *target,
                                  const int32_t *first, const int32_t *last, int T, int R)
{
    REAL *loss = (REAL *)loss_;
    const REAL *logits = (const REAL *)logits_;
    for (int t = 0; t < T; t++, logits += R)
        loss[t] = target[t] < 0 ? 0 : log_sum_exp(logits, first[t], last[t]) - logits[target[t]];
}

static void cross_entropy_backward(wlmi_act *dlogits_, const wlmi_real *logits_, const int32_t *target,
                                   const int32_t *first, const int32_t *last, const float *weight, int T, int R)
{
    REAL *dlogits = (REAL *)dlogits_;
    const REAL *logits = (const REAL *)logits_;
    for (int t = 0; t < T; t++, logits += R, dlogits += R) {
        REAL lse = target[t] < 0 ? 0 : log_sum_exp(logits, first[t], last[t]);
        for (int r = 0; r < R; r++) {
            if (target[t] < 0 || r < first[t] || r >= last[t])
                dlogits[r] = 0;
            else
                dlogits[r] = weight[t] * (exp(logits[r] - lse) - (r == target[t]));
        }
    }
}

static double sum(const wlmi_real *x_, size_t n)
{
    const REAL *x = (const REAL *)x_;
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += x[i];
    return total;
}

static double sum_squares(const wlmi_real *x_, size_t n)
{
    const REAL *x = (const REAL *)x_;
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += (double)x[i] * x[i];
    return total;
}

/* Algorithm 2 of the paper; decay is not multiplied by beta's corrections, only by the rate. */
static void adamw(wlmi_real *param_, wlmi_real *m_, wlmi_real *v_, const wlmi_real *grad_, size_t n,
                  double grad_scale, double rate, double beta1, double beta2, double epsilon, double decay,
                  uint64_t step)
{
    REAL *param = (REAL *)param_, *m = (REAL *)m_, *v = (REAL *)v_;
    const REAL *grad = (const REAL *)grad_;
    REAL unbias1 = 1 / (1 - pow(beta1, (double)step)), unbias2 = 1 / (1 - pow(beta2, (double)step));
    for (size_t i = 0; i < n; i++) {
        REAL g = grad[i] * (REAL)grad_scale;
        m[i] = (REAL)beta1 * m[i] + (REAL)(1 - beta1) * g;
        v[i] = (REAL)beta2 * v[i] + (REAL)(1 - beta2) * g * g;
        param[i] -= (REAL)rate * (m[i] * unbias1 / (sqrt(v[i] * unbias2) + (REAL)epsilon) + (REAL)decay * param[i]);
    }
}
