/* delta_chunk.c: one chunk of a gated delta head: reading it, its decays and scores, the triangular system. */
#include <math.h>

#include "tensor/cpu/delta.h"
#include "tensor/cpu/simd.h"

enum { B = WLMI_BLOCK, BAND = 16 };

typedef float v16 __attribute__((vector_size(64), aligned(4), may_alias));

size_t LEVEL(delta_chunk_room)(int K)
{
    return 3 * (size_t)B * B + 5 * (size_t)B * wlmi_round16(K) + 8 * (size_t)B;
}

float *LEVEL(delta_chunk_place)(wlmi_delta_chunk *c, float *room, int K)
{
    float **const wide[] = {&c->queries, &c->keys, &c->values, &c->turned, &c->writes};
    float **const square[] = {&c->decay, &c->below, &c->scores};
    float **const column[] = {&c->g, &c->e, &c->rest, &c->write, &c->log_a, &c->slope, &c->q_part, &c->k_part};
    for (int i = 0; i < 5; i++, room += B * wlmi_round16(K))
        *wide[i] = room;
    for (int i = 0; i < 3; i++, room += B * B)
        *square[i] = room;
    for (int i = 0; i < 8; i++, room += B)
        *column[i] = room;
    return room;
}

void LEVEL(delta_fetch)(const wlmi_delta_head *h, int from)
{
    const int rows = h->n - from < B ? h->n - from : B;
    if (from < 0 || rows <= 0)
        return;
    wlmi_block_fetch(h->q + (size_t)from * h->stride, h->stride, rows, h->K);
    wlmi_block_fetch(h->k + (size_t)from * h->stride, h->stride, rows, h->K);
    wlmi_block_fetch(h->v + (size_t)from * h->stride, h->stride, rows, h->K);
    wlmi_block_fetch(h->forget + (size_t)from * h->gate_stride, h->gate_stride, rows, 1);
    wlmi_block_fetch(h->write + (size_t)from * h->gate_stride, h->gate_stride, rows, 1);
    if (h->d_o)
        wlmi_block_fetch(h->d_o + (size_t)from * h->d_stride, h->d_stride, rows, h->K);
}

/* to [rows, width] = x / sqrt(scale (|x|^2 + 1e-6)), and that factor in part [rows]. */
static void unit_rows(float *restrict to, float *restrict part, const float *restrict x, int stride, int rows,
                      int K, float scale)
{
    const int width = wlmi_round16(K);
    for (int r = 0; r < rows; r++, to += width, x += stride) {
        float squares = 0;
#pragma omp simd reduction(+ : squares)
        for (int i = 0; i < K; i++)
            squares += x[i] * x[i];
        part[r] = 1 / sqrtf((squares + 1e-6f) * scale);
        for (int i = 0; i < K; i++)
            to[i] = x[i] * part[r];
        for (int i = K; i < width; i++)
            to[i] = 0;
    }
}

static void read_gates(wlmi_delta_chunk *c, const wlmi_delta_head *h, int from)
{
    float sum = 0;
    for (int r = 0; r < c->rows; r++) {
        const size_t at = (size_t)(from + r) * h->gate_stride;
        const float z = h->forget[at] + h->bias, small = expf(-fabsf(z));
        c->log_a[r] = -h->rate * ((z > 0 ? z : 0) + log1pf(small));
        c->slope[r] = -h->rate * (z > 0 ? 1 : small) / (1 + small);
        c->write[r] = 1 / (1 + expf(-h->write[at]));
        c->g[r] = sum += c->log_a[r];
    }
    for (int r = 0; r < c->rows; r++) {
        c->e[r] = expf(c->g[r]);
        c->rest[r] = expf(sum - c->g[r]);
    }
}

/* L; N = -b (K K^T, which it holds, . L) below the diagonal; P = (Q K^T, which it holds) . L. Zeros elsewhere. */
static void apply_decay(float *restrict decay, float *restrict below, float *restrict scores,
                        const float *restrict g, const float *restrict write, int rows)
{
    const int padded = wlmi_round16(rows);
    for (int r = 0; r < rows; r++, decay += B, below += B, scores += B) {
        const int columns = wlmi_round16(r + 1);
        const float gr = g[r], b = -write[r];
        for (int j = 0; j < columns; j++) {
            const float l = exp_float(gr - g[j]);
            decay[j] = j <= r ? l : 0;
            scores[j] = j <= r ? scores[j] * l : 0;
            below[j] = j < r ? below[j] * l * b : 0;
        }
        for (int j = columns; j < padded; j++)
            decay[j] = scores[j] = below[j] = 0;
    }
}

void LEVEL(delta_chunk_read)(wlmi_delta_chunk *c, const wlmi_delta_head *h, int from)
{
    const int K = h->K, width = wlmi_round16(K), stride = h->stride;
    const size_t at = (size_t)from * stride;
    c->rows = h->n - from < B ? h->n - from : B;
    unit_rows(c->queries, c->q_part, h->q + at, stride, c->rows, K, (float)K);
    unit_rows(c->keys, c->k_part, h->k + at, stride, c->rows, K, 1);
    LEVEL(block_copy)(c->values, h->v + at, stride, c->rows, K, 1);
    read_gates(c, h, from);
    for (int r = c->rows; r < wlmi_round16(c->rows); r++)
        c->g[r] = c->g[c->rows - 1];
    LEVEL(block_transpose)(c->turned, B, c->keys, width, c->rows, K);
    LEVEL(block_product)(c->below, B, c->keys, width, 1, c->turned, B, c->rows, wlmi_round16(c->rows), K, 0,
                       WLMI_C_LOWER);
    LEVEL(block_product)(c->scores, B, c->queries, width, 1, c->turned, B, c->rows, wlmi_round16(c->rows), K, 0,
                       WLMI_C_LOWER);
    apply_decay(c->decay, c->below, c->scores, c->g, c->write, c->rows);
}

/* Within a band of `rows` <= BAND rows: by substitution from the first row down. */
static void solve_down(float *x, const float *below, int rows, int width)
{
    for (int c = 0; c < width; c += 16) {
        for (int i = 1; i < rows; i++) {
            v16 sum = *(v16 *)(x + i * width + c);
            for (int j = 0; j < i; j++)
                sum += below[i * B + j] * *(v16 *)(x + j * width + c);
            *(v16 *)(x + i * width + c) = sum;
        }
    }
}

/* The same with N transposed, from the last row up. */
static void solve_up(float *x, const float *below, int rows, int width)
{
    for (int c = 0; c < width; c += 16) {
        for (int i = rows - 2; i >= 0; i--) {
            v16 sum = *(v16 *)(x + i * width + c);
            for (int j = i + 1; j < rows; j++)
                sum += below[j * B + i] * *(v16 *)(x + j * width + c);
            *(v16 *)(x + i * width + c) = sum;
        }
    }
}

void LEVEL(delta_solve)(float *x, const float *below, int rows, int width, int transposed)
{
    const int bands = (rows + BAND - 1) / BAND;
    for (int band = 0; band < bands; band++) {
        const int i = (transposed ? bands - 1 - band : band) * BAND, n = rows - i < BAND ? rows - i : BAND;
        const float *diagonal = below + i * B + i;
        if (transposed) {
            if (i + n < rows)
                LEVEL(block_product)(x + i * width, width, diagonal + n * B, 1, B, x + (i + n) * width, width, n, width,
                                   rows - i - n, 1, WLMI_ALL);
            solve_up(x + i * width, diagonal, n, width);
        } else {
            if (i > 0)
                LEVEL(block_product)(x + i * width, width, below + i * B, B, 1, x, width, n, width, i, 1, WLMI_ALL);
            solve_down(x + i * width, diagonal, n, width);
        }
    }
}

void LEVEL(delta_scale_rows)(float *to, const float *from, const float *part, float factor, int rows, int width)
{
    for (int r = 0; r < rows; r++) {
        const float f = factor * part[r];
#pragma omp simd
        for (int i = 0; i < width; i++)
            to[r * width + i] = f * from[r * width + i];
    }
}

/* r = b (v - e r). */
static void missing_values(float *restrict r, const float *restrict values, const float *restrict write,
                           const float *restrict e, int rows, int width)
{
    for (int t = 0; t < rows; t++)
        for (int i = 0; i < width; i++)
            r[t * width + i] = write[t] * (values[t * width + i] - e[t] * r[t * width + i]);
}

void LEVEL(delta_chunk_solve)(wlmi_delta_chunk *c, const float *state, int K)
{
    const int width = wlmi_round16(K);
    LEVEL(block_product)(c->writes, width, c->keys, width, 1, state, width, c->rows, width, K, 0, WLMI_ALL);
    missing_values(c->writes, c->values, c->write, c->e, c->rows, width);
    LEVEL(delta_solve)(c->writes, c->below, c->rows, width, 0);
}
