/* ref_ops.h: the scalar ops that work on each row, element or product by itself. See ref_table.h. */
#include <math.h>
#include <string.h>
#include <tgmath.h>

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

static void rmsnorm_forward(wlmi_real *y_, wlmi_real *rstd_, const wlmi_real *x_, const wlmi_real *g_, int T, int D)
{
    REAL *y = (REAL *)y_, *rstd = (REAL *)rstd_;
    const REAL *x = (const REAL *)x_, *g = (const REAL *)g_;
    for (int t = 0; t < T; t++, x += D, y += D) {
        REAL squares = 0;
        for (int d = 0; d < D; d++)
            squares += x[d] * x[d];
        rstd[t] = 1 / sqrt(squares / D + (REAL)1e-6);
        for (int d = 0; d < D; d++)
            y[d] = x[d] * rstd[t] * g[d];
    }
}

/* With n = x * rstd and a = dy * g: dx = rstd * (a - n * mean(a * n)). */
static void rmsnorm_backward(wlmi_real *dx_, wlmi_real *dg_, const wlmi_real *dy_, const wlmi_real *x_,
                             const wlmi_real *g_, const wlmi_real *rstd_, int T, int D)
{
    REAL *dx = (REAL *)dx_, *dg = (REAL *)dg_;
    const REAL *dy = (const REAL *)dy_, *x = (const REAL *)x_, *g = (const REAL *)g_, *rstd = (const REAL *)rstd_;
    for (int t = 0; t < T; t++, x += D, dx += D, dy += D) {
        REAL mean = 0;
        for (int d = 0; d < D; d++)
            mean += dy[d] * g[d] * x[d] * rstd[t] / D;
        for (int d = 0; d < D; d++) {
            REAL n = x[d] * rstd[t];
            dx[d] += rstd[t] * (dy[d] * g[d] - n * mean);
            dg[d] += dy[d] * n;
        }
    }
}

static void matmul_forward(wlmi_real *y_, const wlmi_real *x_, const wlmi_real *w_, int M, int N, int K,
                           int accumulate)
{
    REAL *y = (REAL *)y_;
    const REAL *x = (const REAL *)x_, *w = (const REAL *)w_;
    for (int m = 0; m < M; m++) {
        for (int n = 0; n < N; n++) {
            REAL s = accumulate ? y[(size_t)m * N + n] : 0;
            for (int k = 0; k < K; k++)
                s += x[(size_t)m * K + k] * w[(size_t)n * K + k];
            y[(size_t)m * N + n] = s;
        }
    }
}

static void matmul_backward_input(wlmi_real *dx_, const wlmi_real *dy_, const wlmi_real *w_, int M, int N, int K,
                                  int accumulate)
{
    REAL *dx = (REAL *)dx_;
    const REAL *dy = (const REAL *)dy_, *w = (const REAL *)w_;
    for (int m = 0; m < M; m++) {
        for (int k = 0; k < K; k++) {
            REAL s = accumulate ? dx[(size_t)m * K + k] : 0;
            for (int n = 0; n < N; n++)
                s += dy[(size_t)m * N + n] * w[(size_t)n * K + k];
            dx[(size_t)m * K + k] = s;
        }
    }
}

static void matmul_backward_weight(wlmi_real *dw_, const wlmi_real *dy_, const wlmi_real *x_, int M, int N, int K)
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

static REAL sigmoid(REAL x)
{
    return 1 / (1 + exp(-x));
}

static void swiglu_forward(wlmi_real *y_, const wlmi_real *gu_, int T, int F)
{
    REAL *y = (REAL *)y_;
    const REAL *gate = (const REAL *)gu_, *up = gate + F;
    for (int t = 0; t < T; t++, y += F, gate += 2 * F, up += 2 * F)
        for (int f = 0; f < F; f++)
            y[f] = gate[f] * sigmoid(gate[f]) * up[f];
}

static void swiglu_backward(wlmi_real *dgu_, const wlmi_real *dy_, const wlmi_real *gu_, int T, int F)
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

static void shift_forward(wlmi_real *y_, const wlmi_real *x_, wlmi_segments segments, int D)
{
    REAL *y = (REAL *)y_;
    const REAL *x = (const REAL *)x_;
    for (int s = 0; s < segments.count; s++) {
        for (int t = segments.starts[s]; t < segments.starts[s + 1]; t++) {
            for (int d = 0; d < D; d++) {
                if (d >= D / 2)
                    y[(size_t)t * D + d] = x[(size_t)t * D + d];
                else if (t > segments.starts[s])
                    y[(size_t)t * D + d] = x[(size_t)(t - 1) * D + d];
                else
                    y[(size_t)t * D + d] = 0;
            }
        }
    }
}

static void shift_backward(wlmi_real *dx_, const wlmi_real *dy_, wlmi_segments segments, int D)
{
    REAL *dx = (REAL *)dx_;
    const REAL *dy = (const REAL *)dy_;
    for (int s = 0; s < segments.count; s++) {
        for (int t = segments.starts[s]; t < segments.starts[s + 1]; t++) {
            for (int d = 0; d < D; d++) {
                if (d >= D / 2)
                    dx[(size_t)t * D + d] += dy[(size_t)t * D + d];
                else if (t + 1 < segments.starts[s + 1])
                    dx[(size_t)t * D + d] += dy[(size_t)(t + 1) * D + d];
            }
        }
    }
}

static void shift_step(wlmi_real *y_, const wlmi_real *x_, wlmi_segments rows, wlmi_real *const *before, int D,
                       int keep)
{
    REAL *y = (REAL *)y_;
    const REAL *x = (const REAL *)x_;
    const size_t half = (size_t)D / 2;
    shift_forward(y_, x_, rows, D);
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

static void cross_entropy_backward(wlmi_real *logits_, const int32_t *target, const int32_t *first,
                                   const int32_t *last, const float *weight, int T, int R)
{
    REAL *logits = (REAL *)logits_;
    for (int t = 0; t < T; t++, logits += R) {
        REAL lse = target[t] < 0 ? 0 : log_sum_exp(logits, first[t], last[t]);
        for (int r = 0; r < R; r++) {
            if (target[t] < 0 || r < first[t] || r >= last[t])
                logits[r] = 0;
            else
                logits[r] = weight[t] * (exp(logits[r] - lse) - (r == target[t]));
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
