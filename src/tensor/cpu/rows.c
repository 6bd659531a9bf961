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

/* How a norm's output is shifted: features below `half` go to the token behind in the segment. */
typedef struct shifted {
    const wlmi_segments *segments; /* NULL: not at all */
    int half;                      /* 0 then */
} shifted;

static shifted shift_of(const wlmi_segments *segments, int D)
{
    return (shifted){segments, segments ? D / 2 : 0};
}

/* The segment that token t is in. */
static int segment_of(const wlmi_segments *segments, int t)
{
    int low = 0, high = segments ? segments->count - 1 : 0;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (segments->starts[middle + 1] <= t)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void norm_row(uint16_t *restrict to, uint16_t *restrict ahead, float *restrict rstd, const float *restrict x,
                     const float *restrict g, int half, int D)
{
    float squares = 0, r;
#pragma omp simd reduction(+ : squares)
    for (int d = 0; d < D; d++)
        squares += x[d] * x[d];
    *rstd = r = 1 / sqrtf(squares / D + 1e-6f);
    for (int d = 0; ahead && d < half; d++)
        ahead[d] = narrow(x[d] * r * g[d]);
    for (int d = half; d < D; d++)
        to[d] = narrow(x[d] * r * g[d]);
}

void LEVEL(rmsnorm_forward)(wlmi_act *y_, wlmi_real *rstd_, const wlmi_real *x_, const wlmi_real *g,
                            const wlmi_segments *segments, int T, int D)
{
    uint16_t *y = (uint16_t *)y_;
    float *rstd = (float *)rstd_;
    const float *x = (const float *)x_;
    const shifted shift = shift_of(segments, D);
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)T * D))
    for (int from = 0; from < T; from += PIECE) {
        int s = segment_of(segments, from);
        for (int t = from; t < least(from + PIECE, T); t++) {
            uint16_t *to = y + (size_t)t * D, *ahead = NULL;
            if (shift.half) {
                s += segments->starts[s + 1] <= t;
                if (segments->starts[s] == t)
                    memset(to, 0, (size_t)shift.half * sizeof *to);
                if (segments->starts[s + 1] > t + 1)
                    ahead = to + D;
            }
            norm_row(to, ahead, rstd + t, x + (size_t)t * D, (const float *)g, shift.half, D);
        }
    }
}

/* Some features of a row: what they add to mean(dy g x). */
INLINE float norm_mean(const uint16_t *restrict dy, const float *restrict x, const float *restrict g, int n)
{
    float mean = 0;
#pragma omp simd reduction(+ : mean)
    for (int d = 0; d < n; d++)
        mean += widen(dy[d]) * g[d] * x[d];
    return mean;
}

INLINE void norm_input(float *restrict dx, float *restrict dg, const uint16_t *restrict dy, const float *restrict x,
                       const float *restrict g, float r, float mean, int n)
{
#pragma omp simd
    for (int d = 0; d < n; d++) {
        const float own = widen(dy[d]);
        dx[d] += r * (own * g[d] - x[d] * mean);
        dg[d] += own * x[d] * r;
    }
}

/* low, high: the gradients of features below `half` and from there on. */
static void norm_row_backward(float *restrict dx, uint16_t *restrict sum, float *restrict dg,
                              const uint16_t *restrict low, const uint16_t *restrict high, const float *restrict x,
                              const float *restrict g, float r, int half, int D)
{
    const float mean = (norm_mean(low, x, g, half) + norm_mean(high + half, x + half, g + half, D - half)) * r * r / D;
    norm_input(dx, dg, low, x, g, r, mean, half);
    norm_input(dx + half, dg + half, high + half, x + half, g + half, r, mean, D - half);
    for (int d = 0; sum && d < D; d++)
        sum[d] = narrow(dx[d]);
}

/* dg: sums of 64 rows each, then of those in order: rounding does not grow with T, and any schedule gives the same
 * bits. */
void LEVEL(rmsnorm_backward)(wlmi_real *dx_, wlmi_act *sum_, wlmi_real *dg_, const wlmi_act *dy_, const wlmi_real *x_,
                             const wlmi_real *g, const wlmi_real *rstd_, const wlmi_segments *segments, int T, int D)
{
    float *dx = (float *)dx_, *dg = (float *)dg_;
    uint16_t *sum = (uint16_t *)sum_;
    const uint16_t *dy = (const uint16_t *)dy_;
    const float *x = (const float *)x_, *rstd = (const float *)rstd_;
    const shifted shift = shift_of(segments, D);
    const int pieces = (T + PIECE - 1) / PIECE;
    size_t step, zero_step;
    float *sums = wlmi_cpu_scratch(pieces, (size_t)D, &step), *zeros = wlmi_cpu_scratch(1, (size_t)D, &zero_step);
    if (sums && zeros) {
        memset(zeros, 0, (size_t)D * sizeof *zeros);
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads(2.0 * T * D))
        for (int i = 0; i < pieces; i++) {
            int s = segment_of(segments, i * PIECE);
            memset(sums + (size_t)i * step, 0, (size_t)D * sizeof *sums);
            for (int t = i * PIECE; t < least((i + 1) * PIECE, T); t++) {
                const size_t at = (size_t)t * D;
                const uint16_t *low = dy + at;
                if (shift.half) {
                    s += segments->starts[s + 1] <= t;
                    low = segments->starts[s + 1] > t + 1 ? dy + at + D : (const uint16_t *)(const void *)zeros;
                }
                norm_row_backward(dx + at, sum ? sum + at : NULL, sums + (size_t)i * step, low, dy + at, x + at,
                                  (const float *)g, rstd[t], shift.half, D);
            }
        }
        for (int i = 0; i < pieces; i++)
            for (int d = 0; d < D; d++)
                dg[d] += sums[(size_t)i * step + d];
    }
    wlmi_cpu_release(sums);
    wlmi_cpu_release(zeros);
}

static void swiglu_rows(uint16_t *restrict y, const uint16_t *restrict gate, int T, int F)
{
    for (int t = 0; t < T; t++, y += F, gate += 2 * (size_t)F)
        for (int f = 0; f < F; f++) {
            const float z = widen(gate[f]);
            y[f] = narrow(z * sigmoid_float(z) * widen(gate[F + f]));
        }
}

void LEVEL(swiglu_forward)(wlmi_act *y, const wlmi_act *gu, int T, int F)
{
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads(4.0 * T * F))
    for (int t = 0; t < T; t += PIECE)
        swiglu_rows((uint16_t *)y + (size_t)t * F, (const uint16_t *)gu + 2 * (size_t)t * F, least(PIECE, T - t), F);
}

static void swiglu_rows_input(uint16_t *restrict dgate, const uint16_t *restrict dy, const uint16_t *restrict gate,
                              int T, int F)
{
    for (int t = 0; t < T; t++, dy += F, gate += 2 * (size_t)F, dgate += 2 * (size_t)F) {
        for (int f = 0; f < F; f++) {
            const float z = widen(gate[f]), d = widen(dy[f]), s = sigmoid_float(z);
            dgate[f] = narrow(d * widen(gate[F + f]) * s * (1 + z * (1 - s)));
            dgate[F + f] = narrow(d * z * s);
        }
    }
}

void LEVEL(swiglu_backward)(wlmi_act *dgu, const wlmi_act *dy, const wlmi_act *gu, int T, int F)
{
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads(4.0 * T * F))
    for (int t = 0; t < T; t += PIECE)
        swiglu_rows_input((uint16_t *)dgu + 2 * (size_t)t * F, (const uint16_t *)dy + (size_t)t * F,
                          (const uint16_t *)gu + 2 * (size_t)t * F, least(PIECE, T - t), F);
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

static void row_loss_input(uint16_t *restrict dx, const float *restrict x, int target, int n, float weight)
{
    const float lse = log_sum_exp(x, n);
    for (int i = 0; i < n; i++)
        dx[i] = narrow(weight * exp_float(x[i] - lse));
    dx[target] = narrow(weight * (exp_float(x[target] - lse) - 1));
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

void LEVEL(cross_entropy_backward)(wlmi_act *dlogits_, const wlmi_real *logits_, const int32_t *target,
                                   const int32_t *first, const int32_t *last, const float *weight, int T, int R)
{
    uint16_t *dlogits = (uint16_t *)dlogits_;
    const float *logits = (const float *)logits_;
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads(2.0 * T * R))
    for (int t = 0; t < T; t++) {
        uint16_t *row = dlogits + (size_t)t * R;
        if (target[t] < 0) {
            memset(row, 0, (size_t)R * sizeof *row);
            continue;
        }
        memset(row, 0, (size_t)first[t] * sizeof *row);
        row_loss_input(row + first[t], logits + (size_t)t * R + first[t], target[t] - first[t], last[t] - first[t],
                       weight[t]);
        memset(row + last[t], 0, (size_t)(R - last[t]) * sizeof *row);
    }
}
