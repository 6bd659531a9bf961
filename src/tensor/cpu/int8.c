/* int8.c: products of bytes.
 *
 * The processor's instruction multiplies unsigned by signed bytes, four at a time: x is stored as q + 128, and 128 times
 * the sum of w's row taken off again. */
#include "tensor/cpu/int8.h"

#include <math.h>
#ifdef __AVX512VNNI__
#include <immintrin.h>
#endif

#include "base/alloc.h"
#include "tensor/cpu/simd.h"

/* w's rows stand in panels of 64, which a tile of a few rows of x is multiplied by at a time. */
enum { PANEL = 64, STEP = 4, TILE = 6, MOST_TILES = 16, ZERO = 128 };
enum { STREAM_BYTES = 8 << 20 }; /* of a product: more than L2 holds */
enum { MOST_K = INT32_MAX / (255 * 127) };

struct wlmi_int8 {
    int N, K, steps, panels; /* steps: of 4 columns of w */
    int8_t *value;           /* [panels, steps, PANEL, STEP], 0 where w ends */
    float *scale;            /* [panels * PANEL] */
    int32_t *excess;         /* [panels * PANEL]: 128 times the sum of the row */
};

/* ---------------------------------------------------------------- rounding */

/* The largest magnitude in x [K]; NaN where one is not finite. */
static float largest(const float *x, int K)
{
    uint32_t most = 0;
    float result;
    for (int k = 0; k < K; k++) {
        uint32_t bits;
        memcpy(&bits, &x[k], sizeof bits);
        bits &= 0x7fffffff;
        most = bits > most ? bits : most;
    }
    memcpy(&result, &most, sizeof result);
    return most < 0x7f800000 ? result : NAN;
}

/* q [K] = x / scale + 128, rounded; returns the scale. */
static float quantise(uint8_t *restrict q, const float *restrict x, int K)
{
    const float most = largest(x, K), factor = most > 1e-30f ? 127.0f / most : 0; /* also where NaN */
    if (factor == 0)
        memset(q, ZERO, (size_t)K);
    else
        for (int k = 0; k < K; k++)
            q[k] = (uint8_t)(int32_t)(x[k] * factor + ((float)ZERO + 0.5f));
    return most / 127.0f;
}

static void take_row(wlmi_int8 *w, uint8_t *q, const float *row, int n)
{
    int8_t *to = w->value + (size_t)(n / PANEL) * w->steps * PANEL * STEP + (size_t)(n % PANEL) * STEP;
    w->scale[n] = quantise(q, row, w->K);
    w->excess[n] = 0;
    for (int k = 0; k < w->K; k++) {
        to[(size_t)(k / STEP) * PANEL * STEP + k % STEP] = (int8_t)(q[k] - ZERO);
        w->excess[n] += ZERO * (q[k] - ZERO);
    }
}

wlmi_int8 *LEVEL(int8_new)(const float *from, int N, int K)
{
    wlmi_int8 *w = K <= MOST_K ? wlmi_alloc_zero(1, sizeof *w) : NULL;
    uint8_t *q = wlmi_alloc((size_t)K);
    wlm_error error;
    if (w) {
        w->N = N;
        w->K = K;
        w->steps = (K + STEP - 1) / STEP;
        w->panels = (N + PANEL - 1) / PANEL;
        const size_t rows = (size_t)w->panels * PANEL, bytes = rows * (size_t)w->steps * STEP;
        w->value = wlmi_alloc_aligned(bytes);
        w->scale = wlmi_alloc_zero(rows, sizeof *w->scale);
        w->excess = wlmi_alloc_zero(rows, sizeof *w->excess);
        if (q && w->value && w->scale && w->excess) {
            memset(w->value, 0, bytes);
            for (int n = 0; n < N; n++)
                take_row(w, q, from + (size_t)n * K, n);
            wlmi_free(q);
            return w;
        }
    }
    wlmi_free(q);
    LEVEL(int8_free)(w);
    wlmi_cpu_failed(K <= MOST_K ? WLMI_NO_MEMORY(&error)
                                : wlmi_fail(&error, WLM_ERR_UNSUPPORTED, NULL, WLM_NO_OFFSET,
                                            "rows of %d values are too long for int8", K), &error);
    return NULL;
}

void LEVEL(int8_free)(wlmi_int8 *w)
{
    if (!w)
        return;
    wlmi_free(w->value);
    wlmi_free(w->scale);
    wlmi_free(w->excess);
    wlmi_free(w);
}

/* ---------------------------------------------------------------- products */

#ifdef __AVX512VNNI__
/* sum [R, PANEL] = x [R, steps * STEP] times a panel. R is a constant where this is called. */
INLINE void tile(int32_t *restrict sum, const uint8_t *restrict x, const int8_t *restrict panel, int steps, int R)
{
    enum { VECTORS = PANEL / 16 };
    __m512i s[TILE][VECTORS];
    const size_t stride = (size_t)steps * STEP;
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            s[r][v] = _mm512_setzero_si512();
    for (int k = 0; k < steps; k++, panel += PANEL * STEP) {
        __m512i w[VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            w[v] = _mm512_load_si512(panel + 64 * v);
#pragma GCC unroll 6
        for (int r = 0; r < R; r++) {
            int32_t four;
            memcpy(&four, x + (size_t)r * stride + (size_t)k * STEP, sizeof four);
            const __m512i a = _mm512_set1_epi32(four);
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++)
                s[r][v] = _mm512_dpbusd_epi32(s[r][v], a, w[v]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            _mm512_storeu_si512(sum + PANEL * r + 16 * v, s[r][v]);
}
#else
INLINE void tile(int32_t *restrict sum, const uint8_t *restrict x, const int8_t *restrict panel, int steps, int R)
{
    memset(sum, 0, sizeof *sum * PANEL * (size_t)R);
    for (int k = 0; k < steps; k++, panel += PANEL * STEP)
        for (int r = 0; r < R; r++) {
            const uint8_t *a = x + ((size_t)r * steps + k) * STEP;
            for (int n = 0; n < PANEL; n++)
                sum[PANEL * r + n] += a[0] * panel[STEP * n] + a[1] * panel[STEP * n + 1] +
                                      a[2] * panel[STEP * n + 2] + a[3] * panel[STEP * n + 3];
        }
}
#endif

static void tile_of(int32_t *sum, const uint8_t *x, const int8_t *panel, int steps, int rows)
{
    switch (rows) {
    case 1: tile(sum, x, panel, steps, 1); break;
    case 2: tile(sum, x, panel, steps, 2); break;
    case 3: tile(sum, x, panel, steps, 3); break;
    case 4: tile(sum, x, panel, steps, 4); break;
    case 5: tile(sum, x, panel, steps, 5); break;
    default: tile(sum, x, panel, steps, TILE);
    }
}

typedef struct product {
    void *y;
    int to_act;
    const float *base;
    const uint8_t *x;     /* [M, steps * STEP] */
    const float *x_scale; /* [M] */
    const wlmi_int8 *w;
    int M, first, last;
    int chunk;            /* rows that a thread takes at a time: whole tiles */
    int stream;           /* y is larger than caches */
} product;

/* At most MOST_TILES, and as many chunks for each thread as for the others where there are tiles enough. */
static int rows_of_chunk(int M, int threads)
{
    const int tiles = (M + TILE - 1) / TILE, least = (tiles + MOST_TILES - 1) / MOST_TILES;
    const int chunks = (least + threads - 1) / threads * threads;
    return (tiles + chunks - 1) / chunks * TILE;
}

/* y [PANEL] = value, past the caches, which need not fetch what is written whole. */
INLINE void stream_panel(float *y, const float *value)
{
#ifdef __AVX512VNNI__
    if ((uintptr_t)y % 64 == 0) {
        for (int i = 0; i < PANEL; i += 16)
            _mm512_stream_ps(y + i, _mm512_loadu_ps(value + i));
        return;
    }
#endif
    memcpy(y, value, PANEL * sizeof *y);
}

/* Columns [from, to) of one row's sums of a panel; `at`: where the first of them belongs in y. */
INLINE void put_columns(const product *p, const int32_t *restrict sum, const int32_t *restrict excess,
                        const float *restrict scale, float a, size_t at, int from, int to)
{
    float value[PANEL];
    for (int i = from; i < to; i++)
        value[i] = a * scale[i] * (float)(sum[i] - excess[i]);
    if (p->to_act) {
        uint16_t *restrict y = (uint16_t *)p->y + at;
        for (int i = from; i < to; i++)
            y[i - from] = narrow(value[i]);
    } else if (p->base) {
        float *y = (float *)p->y + at;
        const float *base = p->base + at;
        for (int i = from; i < to; i++)
            value[i] += base[i - from];
        memcpy(y, value + from, (size_t)(to - from) * sizeof *y);
    } else if (p->stream && to - from == PANEL) {
        stream_panel((float *)p->y + at, value);
    } else {
        memcpy((float *)p->y + at, value + from, (size_t)(to - from) * sizeof *value);
    }
}

static void put(const product *p, const int32_t *sum, int m, int panel)
{
    const int n = panel * PANEL, from = p->first > n ? p->first - n : 0, to = p->last - n < PANEL ? p->last - n : PANEL;
    const size_t at = (size_t)m * (size_t)(p->last - p->first) + (size_t)(n + from - p->first);
    const int32_t *excess = p->w->excess + n;
    const float *scale = p->w->scale + n;
    if (from == 0 && to == PANEL) /* bounds that the compiler knows */
        put_columns(p, sum, excess, scale, p->x_scale[m], at, 0, PANEL);
    else
        put_columns(p, sum, excess, scale, p->x_scale[m], at, from, to);
}

/* A panel by a chunk of rows. */
static void multiply(const product *p, int panel, int chunk)
{
    const wlmi_int8 *w = p->w;
    const int end = (chunk + 1) * p->chunk < p->M ? (chunk + 1) * p->chunk : p->M;
    const int8_t *values = w->value + (size_t)panel * w->steps * PANEL * STEP;
    for (int m = chunk * p->chunk; m < end; m += TILE) {
        const int rows = end - m < TILE ? end - m : TILE;
        int32_t sum[TILE * PANEL];
        tile_of(sum, p->x + (size_t)m * w->steps * STEP, values, w->steps, rows);
        for (int r = 0; r < rows; r++)
            put(p, sum + PANEL * r, m + r, panel);
    }
#ifdef __AVX512VNNI__
    if (p->stream)
        _mm_sfence();
#endif
}

static void take_x(uint8_t *q, float *scale, float *row, const wlmi_act *x, const wlmi_int8 *w, int m)
{
    const uint16_t *from = (const uint16_t *)x + (size_t)m * w->K;
    const int width = w->steps * STEP;
    for (int k = 0; k < w->K; k++)
        row[k] = widen(from[k]);
    q += (size_t)m * width;
    scale[m] = quantise(q, row, w->K);
    memset(q + w->K, ZERO, (size_t)(width - w->K));
}

void LEVEL(int8_product)(void *y, int to_act, const float *base, const wlmi_act *x, const wlmi_int8 *w, int M, int first,
                         int last)
{
    const int panels = (last - 1) / PANEL + 1, before = first / PANEL;
    const int threads = wlmi_cpu_threads((double)M * (last - first) * w->K / 64);
    const int chunk = rows_of_chunk(M, threads), chunks = (M + chunk - 1) / chunk;
    const size_t width = (size_t)w->steps * STEP;
    size_t step;
    uint8_t *q = (uint8_t *)wlmi_cpu_scratch(1, ((size_t)M * width + 3) / 4, &step);
    float *scale = wlmi_cpu_scratch(1, (size_t)M, &step);
    float *row = wlmi_cpu_scratch(chunks, (size_t)w->K, &step);
    if (q && scale && row) {
        const product p = {y, to_act, base, q, scale, w, M, first, last, chunk,
                           (double)M * (last - first) * sizeof(float) > STREAM_BYTES};
#pragma omp parallel num_threads(threads)
        {
#pragma omp for schedule(static)
            for (int c = 0; c < chunks; c++)
                for (int m = c * chunk; m < (c + 1) * chunk && m < M; m++)
                    take_x(q, scale, row + (size_t)c * step, x, w, m);
#pragma omp for collapse(2) schedule(static)
            for (int panel = before; panel < panels; panel++)
                for (int c = 0; c < chunks; c++)
                    multiply(&p, panel, c);
        }
    }
    wlmi_cpu_release(row);
    wlmi_cpu_release(scale);
    wlmi_cpu_release(q);
}
