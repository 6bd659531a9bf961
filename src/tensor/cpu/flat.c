/* flat.c: ops on plain arrays: the optimiser, sums, copies. Cut into pieces by their length alone. */
#include <math.h>

#include "tensor/cpu/ops.h"
#include "tensor/cpu/simd.h"

enum { PIECE = 8192 };

static size_t piece(size_t n, size_t at)
{
    return n - at < PIECE ? n - at : PIECE;
}

static void narrow_piece(uint16_t *restrict y, const float *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = narrow(x[i]);
}

static void widen_piece(float *restrict y, const uint16_t *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = widen(x[i]);
}

void LEVEL(to_act)(wlmi_act *y, const wlmi_real *x, size_t n)
{
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)n))
    for (size_t at = 0; at < n; at += PIECE)
        narrow_piece((uint16_t *)y + at, (const float *)x + at, piece(n, at));
}

void LEVEL(to_real)(wlmi_real *y, const wlmi_act *x, size_t n)
{
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)n))
    for (size_t at = 0; at < n; at += PIECE)
        widen_piece((float *)y + at, (const uint16_t *)x + at, piece(n, at));
}

void LEVEL(zero)(wlmi_real *x, size_t n)
{
    float *to = (float *)x;
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)n))
    for (size_t at = 0; at < n; at += PIECE)
        memset(to + at, 0, piece(n, at) * sizeof(float));
}

static void add_piece(float *restrict y, const float *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

void LEVEL(add)(wlmi_real *y, const wlmi_real *x, size_t n)
{
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)n))
    for (size_t at = 0; at < n; at += PIECE)
        add_piece((float *)y + at, (const float *)x + at, piece(n, at));
}

static void scale_piece(float *x, float factor, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] *= factor;
}

void LEVEL(scale)(wlmi_real *x, double factor, size_t n)
{
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)n))
    for (size_t at = 0; at < n; at += PIECE)
        scale_piece((float *)x + at, (float)factor, piece(n, at));
}

static void to_grid_piece(float *x, size_t n)
{
    const float steps = 1 << WLMI_GRID_FLOAT, step = 1 / steps;
    for (size_t i = 0; i < n; i++)
        x[i] = rintf(x[i] * steps) * step;
}

void LEVEL(to_grid)(wlmi_real *x, size_t n)
{
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)n))
    for (size_t at = 0; at < n; at += PIECE)
        to_grid_piece((float *)x + at, piece(n, at));
}

void LEVEL(from_float)(wlmi_real *y, const float *x, size_t n)
{
    memcpy(y, x, n * sizeof(float));
}

void LEVEL(to_float)(float *y, const wlmi_real *x, size_t n)
{
    memcpy(y, x, n * sizeof(float));
}

static double sum_piece(const float *x, size_t n)
{
    double total = 0;
#pragma omp simd reduction(+ : total)
    for (size_t i = 0; i < n; i++)
        total += x[i];
    return total;
}

static double squares_piece(const float *x, size_t n)
{
    double total = 0;
#pragma omp simd reduction(+ : total)
    for (size_t i = 0; i < n; i++)
        total += (double)x[i] * x[i];
    return total;
}

/* 64 parts by length alone, added up in order. */
static double in_parts(double (*part)(const float *, size_t), const float *x, size_t n)
{
    enum { PARTS = 64 };
    double partial[PARTS], total = 0;
    const size_t each = n / PARTS + 1;
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)n))
    for (int i = 0; i < PARTS; i++) {
        size_t from = i * each < n ? i * each : n, to = from + each < n ? from + each : n;
        partial[i] = part(x + from, to - from);
    }
    for (int i = 0; i < PARTS; i++)
        total += partial[i];
    return total;
}

double LEVEL(sum)(const wlmi_real *x, size_t n)
{
    return in_parts(sum_piece, (const float *)x, n);
}

double LEVEL(sum_squares)(const wlmi_real *x, size_t n)
{
    return in_parts(squares_piece, (const float *)x, n);
}

typedef struct rates {
    float grad_scale, beta1, beta2, rest1, rest2, move, unbias2, epsilon, shrink;
} rates;

static void adamw_piece(float *restrict param, float *restrict m, float *restrict v,
                        const float *restrict grad, size_t n, const rates *restrict r)
{
    for (size_t i = 0; i < n; i++) {
        float g = grad[i] * r->grad_scale;
        m[i] = r->beta1 * m[i] + r->rest1 * g;
        v[i] = r->beta2 * v[i] + r->rest2 * g * g;
        param[i] -= r->move * m[i] / (sqrtf(v[i] * r->unbias2) + r->epsilon) + r->shrink * param[i];
    }
}

void LEVEL(adamw)(wlmi_real *param, wlmi_real *m, wlmi_real *v, const wlmi_real *grad, size_t n, double grad_scale,
                  double rate, double beta1, double beta2, double epsilon, double decay, uint64_t step)
{
    const rates r = {
        .grad_scale = (float)grad_scale,
        .beta1 = (float)beta1,
        .beta2 = (float)beta2,
        .rest1 = (float)(1 - beta1),
        .rest2 = (float)(1 - beta2),
        .move = (float)(rate / (1 - pow(beta1, (double)step))),
        .unbias2 = (float)(1 / (1 - pow(beta2, (double)step))),
        .epsilon = (float)epsilon,
        .shrink = (float)(rate * decay),
    };
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads(4.0 * n))
    for (size_t at = 0; at < n; at += PIECE)
        adamw_piece((float *)param + at, (float *)m + at, (float *)v + at, (const float *)grad + at,
                    piece(n, at), &r);
}
