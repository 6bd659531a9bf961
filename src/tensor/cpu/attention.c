/* attention.c: causal softmax attention in blocks of queries by blocks of keys, so that scores never leave the cache
 * and what lies outside the window costs nothing. The forward pass keeps a running maximum and sum per query (online
 * softmax: Milakov and Gimelshein, 2018); the backward pass computes probabilities again from the log-sum-exp, as
 * FlashAttention does (Dao et al., 2022). */
#include <math.h>
#include <omp.h>

#include "tensor/cpu/block.h"
#include "tensor/cpu/ops.h"
#include "tensor/cpu/simd.h"

enum { B = WLMI_BLOCK };

static const float nothing = -1e30f; /* a score that is not there */

/* Keys [*from, *to) of the block that starts at token `key` that the token `query` sees. */
INLINE void visible(int query, int key, int keys, int window, int *from, int *to)
{
    *from = query - key >= window ? query - key - window + 1 : 0;
    *to = query - key + 1 < keys ? query - key + 1 : keys;
}

/* First block start at or before the first token that `query` sees. */
static int first_key_block(const wlmi_block *b, int query, int window)
{
    return query - b->start < window ? b->start : b->start + (query - window + 1 - b->start) / B * B;
}

/* Scores s [rows, B] of queries from token `query` on become exp(score - top) with 0 where nothing is seen; top and
 * total [rows] take the block in, and o [rows, width] so far is scaled to the new top. fade [B] is working room. */
static void softmax_block(float *restrict s, float *restrict top, float *restrict total, float *restrict fade,
                          float *restrict o, int width, int rows, int query, int key, int keys, int window)
{
    const int padded = wlmi_round16(keys);
    for (int r = 0; r < rows; r++) {
        float *row = s + r * B, highest = top[r];
        int from, to;
        visible(query + r, key, keys, window, &from, &to);
        if (from > 0 || to < padded)
            for (int j = 0; j < padded; j++)
                row[j] = j >= from && j < to ? row[j] : nothing;
#pragma omp simd reduction(max : highest)
        for (int j = 0; j < padded; j++)
            highest = row[j] > highest ? row[j] : highest;
        fade[r] = top[r] - highest;
        top[r] = highest;
    }
    for (int r = 0; r < rows; r++)
        fade[r] = exp_float(fade[r]);
    for (int r = 0; r < rows; r++) {
        float *row = s + r * B, sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int j = 0; j < padded; j++) {
            const float p = exp_float(row[j] - top[r]);
            sum += row[j] = row[j] == nothing ? 0 : p;
        }
        total[r] = total[r] * fade[r] + sum;
        for (int i = 0; i < width; i++)
            o[r * width + i] *= fade[r];
    }
}

static void write_rows(float *restrict o, int o_stride, float *restrict lse, int heads,
                       const float *restrict sum, const float *restrict top, const float *restrict total,
                       int rows, int K)
{
    const int width = wlmi_round16(K);
    for (int r = 0; r < rows; r++) {
        const float part = 1 / total[r];
        for (int i = 0; i < K; i++)
            o[(size_t)r * o_stride + i] = sum[r * width + i] * part;
        lse[(size_t)r * heads] = top[r] + logf(total[r]);
    }
}

static size_t forward_room(int K)
{
    return (size_t)B * B + 4 * (size_t)B * wlmi_round16(K) + 3 * B;
}

/* One block of queries of one head; all pointers at the head's first value of token 0. */
static void forward_task(float *o, int o_stride, float *lse, const float *q, const float *k, const float *v,
                         int stride, const wlmi_block *b, int heads, int K, int window, float *room)
{
    const int rows = b->to - b->from, width = wlmi_round16(K);
    float *queries = room, *keys = queries + B * width, *values = keys + B * width, *sum = values + B * width;
    float *scores = sum + B * width, *top = scores + B * B, *total = top + B;
    float *fade = total + B;
    wlmi_block_fetch(q + (size_t)b->from * stride, stride, rows, K);
    wlmi_block_fetch(k + (size_t)b->from * stride, stride, rows, K);
    wlmi_block_fetch(v + (size_t)b->from * stride, stride, rows, K);
    for (int r = 0; r < rows; r++) {
        top[r] = nothing;
        total[r] = 0;
    }
    memset(sum, 0, (size_t)rows * width * sizeof *sum);
    LEVEL(block_copy)(queries, q + (size_t)b->from * stride, stride, rows, K, 1 / sqrtf((float)K));
    for (int key = first_key_block(b, b->from, window); key < b->to; key += B) {
        const int n = b->end - key < B ? b->end - key : B, diagonal = key == b->from;
        LEVEL(block_transpose)(keys, B, k + (size_t)key * stride, stride, n, K);
        LEVEL(block_copy)(values, v + (size_t)key * stride, stride, n, K, 1);
        LEVEL(block_product)(scores, B, queries, width, 1, keys, B, rows, wlmi_round16(n), K, 0,
                           diagonal ? WLMI_C_LOWER : WLMI_ALL);
        softmax_block(scores, top, total, fade, sum, width, rows, b->from, key, n, window);
        LEVEL(block_product)(sum, width, scores, B, 1, values, width, rows, width, n, 1,
                           diagonal ? WLMI_A_LOWER : WLMI_ALL);
    }
    write_rows(o + (size_t)b->from * o_stride, o_stride, lse + (size_t)b->from * heads, heads, sum, top, total, rows,
               K);
}

void LEVEL(attention_forward)(wlmi_real *o, int o_stride, wlmi_real *lse, const wlmi_real *q, const wlmi_real *k,
                              const wlmi_real *v, int stride, wlmi_segments segments, int heads, int K, int window)
{
    const int threads = wlmi_cpu_threads(64.0 * segments.starts[segments.count] * heads * K);
    int count;
    size_t step;
    wlmi_block *blocks = LEVEL(block_cut)(segments, &count);
    float *scratch = wlmi_cpu_scratch(threads, forward_room(K), &step);
    if (blocks && scratch) {
#pragma omp parallel for schedule(dynamic) num_threads(threads)
        for (int i = 0; i < count * heads; i++) {
            const int h = i % heads;
            forward_task((float *)o + h * K, o_stride, (float *)lse + h, (const float *)q + h * K,
                         (const float *)k + h * K, (const float *)v + h * K, stride, &blocks[i / heads], heads, K,
                         window, scratch + step * omp_get_thread_num());
        }
    }
    wlmi_cpu_release(scratch);
    wlmi_cpu_release(blocks);
}

/* delta [rows] = d_o . o. */
static void dots(float *restrict delta, const float *restrict d_o, const float *restrict o, int stride,
                 int rows, int K)
{
    for (int r = 0; r < rows; r++) {
        float s = 0;
#pragma omp simd reduction(+ : s)
        for (int i = 0; i < K; i++)
            s += d_o[(size_t)r * stride + i] * o[(size_t)r * stride + i];
        delta[r] = s;
    }
}

/* Scores s [rows, B] become probabilities p = exp(score - lse), and dp = d_o . v becomes p * (dp - delta). */
static void unsoftmax_block(float *restrict s, float *restrict dp, const float *restrict lse, int heads,
                            const float *restrict delta, int rows, int query, int key, int keys, int window)
{
    const int padded = wlmi_round16(keys);
    for (int r = 0; r < rows; r++, s += B, dp += B) {
        const float base = lse[(size_t)r * heads], d = delta[r];
        int from, to;
        visible(query + r, key, keys, window, &from, &to);
        if (from > 0 || to < padded)
            for (int j = 0; j < padded; j++)
                s[j] = j >= from && j < to ? s[j] : nothing;
        for (int j = 0; j < padded; j++) {
            const float p = exp_float(s[j] - base), dscore = p * (dp[j] - d);
            dp[j] = s[j] == nothing ? 0 : dscore;
            s[j] = s[j] == nothing ? 0 : p;
        }
    }
}

/* y [rows, K] += factor * x [rows, round16(K)]. */
static void add_rows(float *restrict y, int stride, const float *restrict x, int rows, int K, float factor)
{
    const int width = wlmi_round16(K);
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < K; i++)
            y[(size_t)r * stride + i] += factor * x[r * width + i];
}

static void zero_rows(float *x, int stride, int rows, int K)
{
    for (int r = 0; r < rows; r++)
        memset(x + (size_t)r * stride, 0, (size_t)K * sizeof *x);
}

static size_t backward_room(int K, int longest)
{
    return 2 * (size_t)B * B + 8 * (size_t)B * wlmi_round16(K) + (size_t)longest;
}

typedef struct gradients {
    float *dq, *dk, *dv;
    const float *d_o, *o, *lse, *q, *k, *v; /* all at the head's first value of the segment's first token */
    int o_stride, stride, heads, K, window;
} gradients;

/* One head of one segment of n tokens. */
static void backward_task(const gradients *g, int n, float *room)
{
    const int K = g->K, width = wlmi_round16(K), stride = g->stride;
    const float factor = 1 / sqrtf((float)K);
    float *queries = room, *keys = queries + B * width, *turned_keys = keys + B * width;
    float *turned_values = turned_keys + B * width, *outputs = turned_values + B * width;
    float *dqueries = outputs + B * width, *dkeys = dqueries + B * width, *dvalues = dkeys + B * width;
    float *p = dvalues + B * width, *dp = p + B * B, *delta = dp + B * B;
    wlmi_block_fetch(g->d_o, g->o_stride, n, K);
    wlmi_block_fetch(g->o, g->o_stride, n, K);
    dots(delta, g->d_o, g->o, g->o_stride, n, K);
    zero_rows(g->dq, stride, n, K);
    zero_rows(g->dk, stride, n, K);
    zero_rows(g->dv, stride, n, K);
    for (int key = 0; key < n; key += B) {
        const int columns = n - key < B ? n - key : B, padded = wlmi_round16(columns);
        const size_t at = (size_t)key * stride;
        LEVEL(block_copy)(keys, g->k + at, stride, columns, K, 1);
        LEVEL(block_transpose)(turned_keys, B, g->k + at, stride, columns, K);
        LEVEL(block_transpose)(turned_values, B, g->v + at, stride, columns, K);
        memset(dkeys, 0, (size_t)columns * width * sizeof *dkeys);
        memset(dvalues, 0, (size_t)columns * width * sizeof *dvalues);
        for (int query = key; query < n && query - (key + columns - 1) < g->window; query += B) {
            const int rows = n - query < B ? n - query : B, diagonal = query == key;
            const wlmi_part lower = diagonal ? WLMI_C_LOWER : WLMI_ALL, upper = diagonal ? WLMI_A_UPPER : WLMI_ALL;
            LEVEL(block_copy)(queries, g->q + (size_t)query * stride, stride, rows, K, factor);
            LEVEL(block_copy)(outputs, g->d_o + (size_t)query * g->o_stride, g->o_stride, rows, K, 1);
            LEVEL(block_product)(p, B, queries, width, 1, turned_keys, B, rows, padded, K, 0, lower);
            LEVEL(block_product)(dp, B, outputs, width, 1, turned_values, B, rows, padded, K, 0, lower);
            unsoftmax_block(p, dp, g->lse + (size_t)query * g->heads, g->heads, delta + query, rows, query, key,
                            columns, g->window);
            LEVEL(block_product)(dvalues, width, p, 1, B, outputs, width, columns, width, rows, 1, upper);
            LEVEL(block_product)(dkeys, width, dp, 1, B, queries, width, columns, width, rows, 1, upper);
            LEVEL(block_product)(dqueries, width, dp, B, 1, keys, width, rows, width, columns, 0,
                               diagonal ? WLMI_A_LOWER : WLMI_ALL);
            add_rows(g->dq + (size_t)query * stride, stride, dqueries, rows, K, factor);
        }
        add_rows(g->dk + at, stride, dkeys, columns, K, 1);
        add_rows(g->dv + at, stride, dvalues, columns, K, 1);
    }
}

void LEVEL(attention_backward)(wlmi_real *dq, wlmi_real *dk, wlmi_real *dv, const wlmi_real *d_o, const wlmi_real *o,
                               int o_stride, const wlmi_real *lse, const wlmi_real *q, const wlmi_real *k,
                               const wlmi_real *v, int stride, wlmi_segments segments, int heads, int K, int window)
{
    const int threads = wlmi_cpu_threads(64.0 * segments.starts[segments.count] * heads * K);
    int longest = 0;
    size_t step;
    float *scratch;
    for (int s = 0; s < segments.count; s++) {
        const int n = segments.starts[s + 1] - segments.starts[s];
        longest = n > longest ? n : longest;
    }
    scratch = wlmi_cpu_scratch(threads, backward_room(K, longest), &step);
    if (!scratch)
        return;
    /* Every value is written by one task: any schedule gives the same bits. */
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int i = 0; i < segments.count * heads; i++) {
        const int s = i / heads, h = i % heads, start = segments.starts[s];
        const size_t at = (size_t)start * stride + h * K, o_at = (size_t)start * o_stride + h * K;
        const gradients g = {
            .dq = (float *)dq + at, .dk = (float *)dk + at, .dv = (float *)dv + at,
            .d_o = (const float *)d_o + o_at, .o = (const float *)o + o_at,
            .lse = (const float *)lse + (size_t)start * heads + h,
            .q = (const float *)q + at, .k = (const float *)k + at, .v = (const float *)v + at,
            .o_stride = o_stride, .stride = stride, .heads = heads, .K = K, .window = window,
        };
        backward_task(&g, segments.starts[s + 1] - start, scratch + step * omp_get_thread_num());
    }
    wlmi_cpu_release(scratch);
}
