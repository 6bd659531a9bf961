/* linear.c: linear attention over whole segments, in chunks: what earlier chunks leave is a state S [K,K], z [K] per
 * head; inside a chunk the masked scores a = phi(q) phi(k)^T are formed as in softmax attention (Hua et al., 2022;
 * Yang et al., 2024). With n = a V + phi(q) S and c = rowsum(a) + phi(q) z: o = n / max(c, floor). */
#include "tensor/cpu/linear.h"

#include <omp.h>

#include "tensor/cpu/block.h"
#include "tensor/cpu/ops.h"

enum { B = WLMI_BLOCK };

/* One head of one segment; pointers at the head's first value of the segment's first token. Blocks in scratch have
 * rows of width = round16(K) values, or of B where tokens run along the row. */
typedef struct head {
    const float *q, *k, *v;
    float *o;                          /* forward */
    const float *d_o, *out;            /* backward: gradient of o, and o */
    float *dq, *dk, *dv;
    float *states;                     /* before each chunk: S [K, width] and z [width] */
    size_t state_step;                 /* from one chunk's state to the next */
    int o_stride, stride, K, n;
} head;

/* Chunks before segment s start at no later slot than this: ceil(n/B) of a segment never reaches the next one's. */
static size_t first_slot(wlmi_segments segments, int s)
{
    return (size_t)segments.starts[s] / B + (size_t)s;
}

static size_t state_values(int K)
{
    return (size_t)(K + 1) * wlmi_round16(K);
}

size_t LEVEL(linear_state_size)(int T, int segments, int heads, int K)
{
    return ((size_t)T / B + (size_t)segments) * (size_t)heads * state_values(K);
}

static void map_queries(float *restrict to, const float *restrict q, int stride, int rows, int K)
{
    const int width = wlmi_round16(K);
    const float root = sqrtf((float)K);
    for (int r = 0; r < rows; r++, to += width, q += stride) {
        float top = q[0], total = 0;
#pragma omp simd reduction(max : top)
        for (int i = 0; i < K; i++)
            top = q[i] > top ? q[i] : top;
#pragma omp simd reduction(+ : total)
        for (int i = 0; i < K; i++)
            total += to[i] = exp_float(q[i] - top);
        total = 1 / (total * root);
        for (int i = 0; i < K; i++)
            to[i] *= total;
        for (int i = K; i < width; i++)
            to[i] = 0;
    }
}

static void map_keys(float *restrict to, const float *restrict k, int stride, int rows, int K)
{
    const int width = wlmi_round16(K);
    for (int r = 0; r < rows; r++, to += width, k += stride) {
        for (int i = 0; i < K; i++)
            to[i] = map_key(k[i]);
        for (int i = K; i < width; i++)
            to[i] = 0;
    }
}

/* Keeps of a [rows, B] what is on or below the diagonal; c [rows] = its row sums + phi(q) z. */
static void mask_and_norm(float *restrict a, float *restrict c, const float *restrict queries,
                          const float *restrict z, int rows, int K)
{
    const int width = wlmi_round16(K);
    for (int r = 0; r < rows; r++, a += B) {
        float s = 0;
        for (int j = 0; j < B; j++) /* a constant count saves half of the time */
            a[j] = j <= r ? a[j] : 0;
#pragma omp simd reduction(+ : s)
        for (int j = 0; j < B; j++)
            s += a[j];
        c[r] = s;
    }
    for (int r = 0; r < rows; r++, queries += width) {
        float s = 0;
#pragma omp simd reduction(+ : s)
        for (int i = 0; i < width; i++)
            s += queries[i] * z[i];
        c[r] += s;
    }
}

static void write_output(float *restrict o, int stride, const float *restrict n, const float *restrict c,
                         int rows, int K)
{
    const int width = wlmi_round16(K);
    for (int r = 0; r < rows; r++) {
        const float part = 1 / (c[r] > LINEAR_FLOOR ? c[r] : LINEAR_FLOOR);
        for (int i = 0; i < K; i++)
            o[(size_t)r * stride + i] = n[r * width + i] * part;
    }
}

/* z [width] += sum of weight[r] * rows [rows, width]; weight NULL: all 1. */
static void sum_rows(float *restrict z, const float *restrict x, const float *restrict weight, int rows,
                     int width)
{
    for (int r = 0; r < rows; r++) {
        const float w = weight ? weight[r] : 1;
        for (int i = 0; i < width; i++)
            z[i] += w * x[r * width + i];
    }
}

/* Starts loading what the chunk from token `from` on reads, if there is one. */
static void fetch_chunk(const head *h, int from)
{
    const size_t at = (size_t)from * h->stride, o_at = (size_t)from * h->o_stride;
    const int rows = h->n - from < B ? h->n - from : B;
    if (from < 0 || rows <= 0)
        return;
    wlmi_block_fetch(h->q + at, h->stride, rows, h->K);
    wlmi_block_fetch(h->k + at, h->stride, rows, h->K);
    wlmi_block_fetch(h->v + at, h->stride, rows, h->K);
    if (h->d_o) {
        wlmi_block_fetch(h->d_o + o_at, h->o_stride, rows, h->K);
        wlmi_block_fetch(h->out + o_at, h->o_stride, rows, h->K);
    }
}

/* Features and masked scores of the chunk of `rows` tokens from token `from` on. */
static void chunk_scores(const head *h, int from, int rows, const float *state, float *queries, float *keys,
                         float *turned, float *scores, float *c)
{
    const int K = h->K, width = wlmi_round16(K);
    map_queries(queries, h->q + (size_t)from * h->stride, h->stride, rows, K);
    map_keys(keys, h->k + (size_t)from * h->stride, h->stride, rows, K);
    LEVEL(block_transpose)(turned, B, keys, width, rows, K);
    LEVEL(block_product)(scores, B, queries, width, 1, turned, B, rows, wlmi_round16(rows), K, 0, WLMI_C_LOWER);
    mask_and_norm(scores, c, queries, state + (size_t)K * width, rows, K);
}

static size_t forward_room(int K)
{
    return (size_t)B * B + 5 * (size_t)B * wlmi_round16(K) + B;
}

static void forward_task(const head *h, float *room)
{
    const int K = h->K, width = wlmi_round16(K);
    float *queries = room, *keys = queries + B * width, *turned = keys + B * width, *values = turned + B * width;
    float *n = values + B * width, *scores = n + B * width, *c = scores + B * B;
    float *state = h->states;
    memset(state, 0, state_values(K) * sizeof *state);
    fetch_chunk(h, 0);
    for (int from = 0; from < h->n; from += B) {
        const int rows = h->n - from < B ? h->n - from : B;
        chunk_scores(h, from, rows, state, queries, keys, turned, scores, c);
        fetch_chunk(h, from + B);
        LEVEL(block_copy)(values, h->v + (size_t)from * h->stride, h->stride, rows, K, 1);
        LEVEL(block_product)(n, width, scores, B, 1, values, width, rows, width, rows, 0, WLMI_A_LOWER);
        LEVEL(block_product)(n, width, queries, width, 1, state, width, rows, width, K, 1, WLMI_ALL);
        write_output(h->o + (size_t)from * h->o_stride, h->o_stride, n, c, rows, K);
        if (from + B < h->n) {
            float *next = state + h->state_step;
            memcpy(next, state, state_values(K) * sizeof *state);
            LEVEL(block_product)(next, width, keys, 1, width, values, width, K, width, rows, 1, WLMI_ALL);
            sum_rows(next + (size_t)K * width, keys, NULL, rows, width);
            state = next;
        }
    }
}

/* dn [rows, width] = d_o / max(c, floor), and c becomes dc = -(d_o . o) / c, or 0 at the floor. */
static void output_gradient(float *restrict dn, float *restrict c, const float *restrict d_o,
                            const float *restrict o, int stride, int rows, int K)
{
    const int width = wlmi_round16(K);
    for (int r = 0; r < rows; r++, dn += width) {
        const float part = 1 / (c[r] > LINEAR_FLOOR ? c[r] : LINEAR_FLOOR);
        const float *d = d_o + (size_t)r * stride, *out = o + (size_t)r * stride;
        float s = 0;
#pragma omp simd reduction(+ : s)
        for (int i = 0; i < K; i++)
            s += d[i] * out[i];
        for (int i = 0; i < K; i++)
            dn[i] = d[i] * part;
        for (int i = K; i < width; i++)
            dn[i] = 0;
        c[r] = c[r] > LINEAR_FLOOR ? -s * part : 0;
    }
}

/* da [rows, B] = (dn V^T, which it holds, + dc) on or below the diagonal, else 0. */
static void score_gradient(float *restrict da, const float *restrict dc, int rows)
{
    const int padded = wlmi_round16(rows);
    for (int r = 0; r < rows; r++, da += B)
        for (int j = 0; j < padded; j++)
            da[j] = j <= r ? da[j] + dc[r] : 0;
}

/* Through the softmax: dq = phi (dphi - sum(dphi phi) sqrt(K)), with dphi = df + dc z. */
static void write_queries(float *restrict dq, int stride, float *restrict df, const float *restrict queries,
                          const float *restrict dc, const float *restrict z, int rows, int K)
{
    const int width = wlmi_round16(K);
    const float root = sqrtf((float)K);
    for (int r = 0; r < rows; r++, df += width, queries += width) {
        float mean = 0;
#pragma omp simd reduction(+ : mean)
        for (int i = 0; i < K; i++) {
            df[i] += dc[r] * z[i];
            mean += df[i] * queries[i];
        }
        mean *= root;
        for (int i = 0; i < K; i++)
            dq[(size_t)r * stride + i] = queries[i] * (df[i] - mean);
    }
}

/* Through the bounded exponential: dk = (df + dz) phi (1 - tanh(k / cap)^2). */
static void write_keys(float *restrict dk, const float *restrict k, int stride, const float *restrict df,
                       const float *restrict keys, const float *restrict dz, int rows, int K)
{
    const int width = wlmi_round16(K);
    for (int r = 0; r < rows; r++, df += width, keys += width) {
        for (int i = 0; i < K; i++) {
            const float bend = tanh_float(k[(size_t)r * stride + i] / LINEAR_CAP);
            dk[(size_t)r * stride + i] = (df[i] + dz[i]) * keys[i] * (1 - bend * bend);
        }
    }
}

static void write_values(float *dv, int stride, const float *from, int rows, int K)
{
    for (int r = 0; r < rows; r++)
        memcpy(dv + (size_t)r * stride, from + (size_t)r * wlmi_round16(K), (size_t)K * sizeof *dv);
}

static size_t backward_room(int K)
{
    return 2 * (size_t)B * B + 6 * (size_t)B * wlmi_round16(K) + B + 2 * state_values(K);
}

/* Chunks from the last to the first; dstate is the gradient of the state after the chunk. */
static void backward_task(const head *h, float *room)
{
    const int K = h->K, width = wlmi_round16(K);
    float *queries = room, *keys = queries + B * width, *turned = keys + B * width, *values = turned + B * width;
    float *dn = values + B * width, *df = dn + B * width, *scores = df + B * width, *da = scores + B * B;
    float *c = da + B * B, *dstate = c + B, *turned_state = dstate + state_values(K);
    float *dz = dstate + (size_t)K * width;
    memset(dstate, 0, state_values(K) * sizeof *dstate);
    fetch_chunk(h, (h->n - 1) / B * B);
    for (int from = (h->n - 1) / B * B; from >= 0; from -= B) {
        const int rows = h->n - from < B ? h->n - from : B;
        const size_t at = (size_t)from * h->stride, o_at = (size_t)from * h->o_stride;
        const float *state = h->states + (size_t)(from / B) * h->state_step;
        chunk_scores(h, from, rows, state, queries, keys, turned, scores, c);
        fetch_chunk(h, from - B);
        LEVEL(block_copy)(values, h->v + at, h->stride, rows, K, 1);
        output_gradient(dn, c, h->d_o + o_at, h->out + o_at, h->o_stride, rows, K);
        LEVEL(block_transpose)(turned, B, values, width, rows, K);
        LEVEL(block_product)(da, B, dn, width, 1, turned, B, rows, wlmi_round16(rows), K, 0, WLMI_C_LOWER);
        score_gradient(da, c, rows);

        LEVEL(block_transpose)(turned_state, width, state, width, K, K);
        LEVEL(block_product)(df, width, da, B, 1, keys, width, rows, width, rows, 0, WLMI_A_LOWER);
        LEVEL(block_product)(df, width, dn, width, 1, turned_state, width, rows, width, K, 1, WLMI_ALL);
        write_queries(h->dq + at, h->stride, df, queries, c, state + (size_t)K * width, rows, K);

        LEVEL(block_transpose)(turned_state, width, dstate, width, K, K);
        LEVEL(block_product)(df, width, da, 1, B, queries, width, rows, width, rows, 0, WLMI_A_UPPER);
        LEVEL(block_product)(df, width, values, width, 1, turned_state, width, rows, width, K, 1, WLMI_ALL);
        write_keys(h->dk + at, h->k + at, h->stride, df, keys, dz, rows, K);

        LEVEL(block_product)(df, width, scores, 1, B, dn, width, rows, width, rows, 0, WLMI_A_UPPER);
        LEVEL(block_product)(df, width, keys, width, 1, dstate, width, rows, width, K, 1, WLMI_ALL);
        write_values(h->dv + at, h->stride, df, rows, K);

        LEVEL(block_product)(dstate, width, queries, 1, width, dn, width, K, width, rows, 1, WLMI_ALL);
        sum_rows(dz, queries, c, rows, width);
    }
}

/* Runs a task for every head of every segment; `all` holds pointers of token 0, head 0. Every value is written by
 * one task: any schedule gives the same bits. */
static void run(void (*task)(const head *, float *), size_t room, const head *all, wlmi_segments segments, int heads)
{
    const int K = all->K, T = segments.starts[segments.count];
    const int threads = wlmi_cpu_threads(64.0 * T * heads * K);
    size_t step;
    float *scratch = wlmi_cpu_scratch(threads, room, &step);
    if (!scratch)
        return;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int i = 0; i < segments.count * heads; i++) {
        const int s = i / heads, start = segments.starts[s];
        const size_t inside = (size_t)(i % heads) * K;
        const size_t at = (size_t)start * all->stride + inside, o_at = (size_t)start * all->o_stride + inside;
        head h = *all;
        h.n = segments.starts[s + 1] - start;
        h.q += at;
        h.k += at;
        h.v += at;
        if (h.o) {
            h.o += o_at;
        } else {
            h.d_o += o_at;
            h.out += o_at;
            h.dq += at;
            h.dk += at;
            h.dv += at;
        }
        h.state_step = (size_t)heads * state_values(K);
        h.states += first_slot(segments, s) * h.state_step + (size_t)(i % heads) * state_values(K);
        task(&h, scratch + step * omp_get_thread_num());
    }
    wlmi_cpu_release(scratch);
}

void LEVEL(linear_forward)(wlmi_real *o, int o_stride, wlmi_real *state, const wlmi_real *q, const wlmi_real *k,
                           const wlmi_real *v, int stride, wlmi_segments segments, int heads, int K)
{
    const head all = {
        .q = (const float *)q, .k = (const float *)k, .v = (const float *)v, .o = (float *)o,
        .states = (float *)state, .o_stride = o_stride, .stride = stride, .K = K,
    };
    run(forward_task, forward_room(K), &all, segments, heads);
}

void LEVEL(linear_backward)(wlmi_real *dq, wlmi_real *dk, wlmi_real *dv, const wlmi_real *d_o, const wlmi_real *o,
                            int o_stride, wlmi_real *state, const wlmi_real *q, const wlmi_real *k,
                            const wlmi_real *v, int stride, wlmi_segments segments, int heads, int K)
{
    const head all = {
        .q = (const float *)q, .k = (const float *)k, .v = (const float *)v, .d_o = (const float *)d_o,
        .out = (const float *)o, .dq = (float *)dq, .dk = (float *)dk, .dv = (float *)dv,
        .states = (float *)state, .o_stride = o_stride, .stride = stride, .K = K,
    };
    run(backward_task, backward_room(K), &all, segments, heads);
}
