/* gate_norm.c: RMSNorm of each head's output times SiLU of its gate. Rows go to threads in pieces of 64. */
#include <math.h>
#include <omp.h>

#include "tensor/cpu/ops.h"
#include "tensor/cpu/simd.h"

enum { PIECE = 64 };

INLINE float head_rstd(const float *x, int K)
{
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int i = 0; i < K; i++)
        squares += x[i] * x[i];
    return 1 / sqrtf(squares / (float)K + 1e-6f);
}

static void norm_heads(float *y, int y_stride, const float *x, int x_stride, const float *restrict gate,
                       int gate_stride, const float *restrict g, int rows, int heads, int K)
{
    for (int r = 0; r < rows; r++, y += y_stride, x += x_stride, gate += gate_stride) {
        for (int h = 0; h < heads; h++) {
            const float rstd = head_rstd(x + h * K, K);
#pragma omp simd
            for (int i = 0; i < K; i++) {
                const float z = gate[h * K + i];
                y[h * K + i] = x[h * K + i] * rstd * g[i] * z * sigmoid_float(z);
            }
        }
    }
}

void LEVEL(gate_norm_forward)(wlmi_real *y, int y_stride, const wlmi_real *x, int x_stride, const wlmi_real *gate,
                              int gate_stride, const wlmi_real *g, int T, int heads, int K)
{
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads(6.0 * T * heads * K))
    for (int t = 0; t < T; t += PIECE)
        norm_heads((float *)y + (size_t)t * y_stride, y_stride, (const float *)x + (size_t)t * x_stride, x_stride,
                   (const float *)gate + (size_t)t * gate_stride, gate_stride, (const float *)g,
                   T - t < PIECE ? T - t : PIECE, heads, K);
}

/* With e = dy g silu(gate), the gradient of x * rstd: dx = rstd (e - x rstd^2 mean(e x)). dg [K] +=. */
static void norm_heads_backward(float *restrict dx, int dx_stride, float *restrict d_gate, float *restrict dg,
                                const float *restrict dy, int y_stride, const float *restrict x, int x_stride,
                                const float *restrict gate, int gate_stride, const float *restrict g, int rows,
                                int heads, int K)
{
    for (int r = 0; r < rows; r++) {
        for (int h = 0; h < heads; h++) {
            const float *in = x + (size_t)r * x_stride + h * K, *z = gate + (size_t)r * gate_stride + h * K;
            const float *d = dy + (size_t)r * y_stride + h * K, rstd = head_rstd(in, K);
            float *to = dx + (size_t)r * dx_stride + h * K, *to_gate = d_gate + (size_t)r * gate_stride + h * K;
            float mean = 0;
#pragma omp simd reduction(+ : mean)
            for (int i = 0; i < K; i++) {
                const float s = sigmoid_float(z[i]), unit = d[i] * in[i] * rstd, e = d[i] * g[i] * z[i] * s;
                dg[i] += unit * z[i] * s;
                to_gate[i] = unit * g[i] * s * (1 + z[i] * (1 - s));
                to[i] = e * rstd;
                mean += e * in[i];
            }
            mean *= rstd * rstd * rstd / (float)K;
            for (int i = 0; i < K; i++)
                to[i] -= in[i] * mean;
        }
    }
}

/* The gain's gradient: sums of 64 rows each, then of those in order, so that any schedule gives the same bits. */
void LEVEL(gate_norm_backward)(wlmi_real *dx, int dx_stride, wlmi_real *d_gate, wlmi_real *dg, const wlmi_real *dy,
                               int y_stride, const wlmi_real *x, int x_stride, const wlmi_real *gate,
                               int gate_stride, const wlmi_real *g, int T, int heads, int K)
{
    const int pieces = (T + PIECE - 1) / PIECE;
    size_t step;
    float *sums = wlmi_cpu_scratch(pieces, (size_t)K, &step);
    if (!sums)
        return;
    memset(sums, 0, (size_t)pieces * step * sizeof *sums);
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads(12.0 * T * heads * K))
    for (int i = 0; i < pieces; i++) {
        const size_t t = (size_t)i * PIECE;
        norm_heads_backward((float *)dx + t * dx_stride, dx_stride, (float *)d_gate + t * gate_stride,
                            sums + (size_t)i * step, (const float *)dy + t * y_stride, y_stride,
                            (const float *)x + t * x_stride, x_stride, (const float *)gate + t * gate_stride,
                            gate_stride, (const float *)g, T - (int)t < PIECE ? T - (int)t : PIECE, heads, K);
    }
    for (int i = 0; i < pieces; i++)
        for (int c = 0; c < K; c++)
            ((float *)dg)[c] += sums[(size_t)i * step + c];
    wlmi_cpu_release(sums);
}
