/* rows.c: ops that treat each token's row by itself. Rows go to threads in pieces of 64. */
#include <math.h>

#include "tensor/cpu/ops.h"
#include "tensor/cpu/simd.h"

enum { PIECE = 64, COLUMNS = 64 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

void LEVEL(embed_forward)(wlmi_real *out_, const wlmi_real *table_, const int32_t *ids, int T, int D, int accumulate)
{
    float *out = (float *)out_;
    const float *table = (const float *)table_;
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)T * D))
    for (int t = 0; t < T; t++) {
        float *to = out + (size_t)t * D;
        const float *from = table + (size_t)ids[t] * D;
        if (accumulate)
            for (int d = 0; d < D; d++)
                to[d] += from[d];
        else
            memcpy(to, from, (size_t)D * sizeof *to);
    }
}

/* Each task owns some columns, so that every row gets its sums in order of t. */
void LEVEL(embed_backward)(wlmi_real *dtable_, const wlmi_real *dout_, const int32_t *ids, int T, int R, int D)
{
    float *dtable = (float *)dtable_;
    const float *dout = (const float *)dout_;
    (void)R;
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)T * D))
    for (int from = 0; from < D; from += COLUMNS) {
        const int to = least(from + COLUMNS, D);
        for (int t = 0; t < T; t++)
            for (int d = from; d < to; d++)
                dtable[(size_t)ids[t] * D + d] += dout[(size_t)t * D + d];
    }
}

static void norm_rows(float *restrict y, float *restrict rstd, const float *restrict x, const float *restrict g,
                      int T, int D)
{
    for (int t = 0; t < T; t++, x += D, y += D) {
        float squares = 0, r;
#pragma omp simd reduction(+ : squares)
        for (int d = 0; d < D; d++)
            squares += x[d] * x[d];
        rstd[t] = r = 1 / sqrtf(squares / D + 1e-6f);
        for (int d = 0; d < D; d++)
            y[d] = x[d] * r * g[d];
    }
}

void LEVEL(rmsnorm_forward)(wlmi_real *y_, wlmi_real *rstd_, const wlmi_real *x_, const wlmi_real *g, int T, int D)
{
    float *y = (float *)y_, *rstd = (float *)rstd_;
    const float *x = (const float *)x_;
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)T * D))
    for (int t = 0; t < T; t += PIECE)
        norm_rows(y + (size_t)t * D, rstd + t, x + (size_t)t * D, (const float *)g, least(PIECE, T - t), D);
}

static void norm_rows_input(float *restrict dx, const float *restrict dy, const float *restrict x,
                            const float *restrict g, const float *restrict rstd, int T, int D)
{
    for (int t = 0; t < T; t++, x += D, dx += D, dy += D) {
        const float r = rstd[t];
        float mean = 0;
#pragma omp simd reduction(+ : mean)
        for (int d = 0; d < D; d++)
            mean += dy[d] * g[d] * x[d];
        mean *= r * r / D;
        for (int d = 0; d < D; d++)
            dx[d] += r * (dy[d] * g[d] - x[d] * mean);
    }
}

/* Some columns of dg [D]: sums of 64 rows at a time, so that rounding does not grow with T. */
static void norm_columns(float *restrict dg, const float *restrict dy, const float *restrict x,
                         const float *restrict rstd, int T, int D, int columns)
{
    for (int from = 0; from < T; from += PIECE) {
        float part[COLUMNS] = {0};
        for (int t = from; t < least(from + PIECE, T); t++)
            for (int d = 0; d < columns; d++)
                part[d] += dy[(size_t)t * D + d] * x[(size_t)t * D + d] * rstd[t];
        for (int d = 0; d < columns; d++)
            dg[d] += part[d];
    }
}

void LEVEL(rmsnorm_backward)(wlmi_real *dx_, wlmi_real *dg_, const wlmi_real *dy_, const wlmi_real *x_,
                             const wlmi_real *g, const wlmi_real *rstd_, int T, int D)
{
    float *dx = (float *)dx_, *dg = (float *)dg_;
    const float *dy = (const float *)dy_, *x = (const float *)x_, *rstd = (const float *)rstd_;
    const int threads = wlmi_cpu_threads((double)T * D);
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static) nowait
        for (int t = 0; t < T; t += PIECE)
            norm_rows_input(dx + (size_t)t * D, dy + (size_t)t * D, x + (size_t)t * D, (const float *)g, rstd + t,
                            least(PIECE, T - t), D);
#pragma omp for schedule(static)
        for (int d = 0; d < D; d += COLUMNS)
            norm_columns(dg + d, dy + d, x + d, rstd, T, D, least(COLUMNS, D - d));
    }
}

static void swiglu_rows(float *restrict y, const float *restrict gate, int T, int F)
{
    for (int t = 0; t < T; t++, y += F, gate += 2 * (size_t)F)
        for (int f = 0; f < F; f++)
            y[f] = gate[f] * sigmoid_float(gate[f]) * gate[F + f];
}

void LEVEL(swiglu_forward)(wlmi_real *y, const wlmi_real *gu, int T, int F)
{
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads(4.0 * T * F))
    for (int t = 0; t < T; t += PIECE)
        swiglu_rows((float *)y + (size_t)t * F, (const float *)gu + 2 * (size_t)t * F, least(PIECE, T - t), F);
}

static void swiglu_rows_input(float *restrict dgate, const float *restrict dy, const float *restrict gate,
                              int T, int F)
{
    for (int t = 0; t < T; t++, dy += F, gate += 2 * (size_t)F, dgate += 2 * (size_t)F) {
        for (int f = 0; f < F; f++) {
            float s = sigmoid_float(gate[f]);
            dgate[f] = dy[f] * gate[F + f] * s * (1 + gate[f] * (1 - s));
            dgate[F + f] = dy[f] * gate[f] * s;
        }
    }
}

void LEVEL(swiglu_backward)(wlmi_real *dgu, const wlmi_real *dy, const wlmi_real *gu, int T, int F)
{
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads(4.0 * T * F))
    for (int t = 0; t < T; t += PIECE)
        swiglu_rows_input((float *)dgu + 2 * (size_t)t * F, (const float *)dy + (size_t)t * F,
                          (const float *)gu + 2 * (size_t)t * F, least(PIECE, T - t), F);
}

/* In parallel over segments: packed batches have many. */
void LEVEL(shift_forward)(wlmi_real *y_, const wlmi_real *x_, wlmi_segments segments, int D)
{
    float *y = (float *)y_;
    const float *x = (const float *)x_;
    const size_t half = (size_t)D / 2, T = (size_t)segments.starts[segments.count];
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)T * D))
    for (int s = 0; s < segments.count; s++) {
        for (size_t t = segments.starts[s]; t < (size_t)segments.starts[s + 1]; t++) {
            if (t == (size_t)segments.starts[s])
                memset(y + t * D, 0, half * sizeof *y);
            else
                memcpy(y + t * D, x + (t - 1) * D, half * sizeof *y);
            memcpy(y + t * D + half, x + t * D + half, (D - half) * sizeof *y);
        }
    }
}

void LEVEL(shift_backward)(wlmi_real *dx_, const wlmi_real *dy_, wlmi_segments segments, int D)
{
    float *dx = (float *)dx_;
    const float *dy = (const float *)dy_;
    const size_t half = (size_t)D / 2, T = (size_t)segments.starts[segments.count];
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)T * D))
    for (int s = 0; s < segments.count; s++) {
        const size_t end = segments.starts[s + 1];
        for (size_t t = segments.starts[s]; t < end; t++) {
            for (size_t d = 0; d < half && t + 1 < end; d++)
                dx[t * D + d] += dy[(t + 1) * D + d];
            for (size_t d = half; d < (size_t)D; d++)
                dx[t * D + d] += dy[t * D + d];
        }
    }
}

/* log(sum(exp(x))) of n values. */
INLINE float log_sum_exp(const float *x, int n)
{
    float top = x[0], total = 0;
#pragma omp simd reduction(max : top)
    for (int i = 0; i < n; i++)
        top = x[i] > top ? x[i] : top;
#pragma omp simd reduction(+ : total)
    for (int i = 0; i < n; i++)
        total += exp_float(x[i] - top);
    return top + logf(total);
}

static float row_loss(const float *x, int target, int n)
{
    return log_sum_exp(x, n) - x[target];
}

static void row_loss_input(float *x, int target, int n, float weight)
{
    const float lse = log_sum_exp(x, n);
    for (int i = 0; i < n; i++)
        x[i] = weight * exp_float(x[i] - lse);
    x[target] -= weight;
}

void LEVEL(cross_entropy_forward)(wlmi_real *loss_, const wlmi_real *logits_, const int32_t *target,
                                  const int32_t *first, const int32_t *last, int T, int R)
{
    float *loss = (float *)loss_;
    const float *logits = (const float *)logits_;
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads(2.0 * T * R))
    for (int t = 0; t < T; t++)
        loss[t] = target[t] < 0 ? 0 : row_loss(logits + (size_t)t * R + first[t], target[t] - first[t],
                                               last[t] - first[t]);
}

void LEVEL(cross_entropy_backward)(wlmi_real *logits_, const int32_t *target, const int32_t *first,
                                   const int32_t *last, const float *weight, int T, int R)
{
    float *logits = (float *)logits_;
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads(2.0 * T * R))
    for (int t = 0; t < T; t++) {
        float *row = logits + (size_t)t * R;
        if (target[t] < 0) {
            memset(row, 0, (size_t)R * sizeof *row);
            continue;
        }
        memset(row, 0, (size_t)first[t] * sizeof *row);
        row_loss_input(row + first[t], target[t] - first[t], last[t] - first[t], weight[t]);
        memset(row + last[t], 0, (size_t)(R - last[t]) * sizeof *row);
    }
}
