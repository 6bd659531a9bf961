/* attention_step.c: softmax heads in their recurrent form: a few tokens of each of many streams.
 *
 * Keys and values are remembered in bf16, as activations are: they leave the window as they came, so that rounding does
 * not add up. A ring is cut into blocks of 16 tokens, position p being token p % 16 of block p / 16; in a block each
 * head has its keys feature by feature, [K,16], so that 16 scores are taken at once, then its values [16,K]. Tokens of
 * the call stand in blocks of the same kind, the first of which begins as the ring's; a token goes through the blocks
 * that it sees from the oldest on, which makes the same sums however a stream's tokens are cut into calls. */
#include <float.h>
#include <math.h>

#include "tensor/cpu/ops.h"
#include "tensor/cpu/simd.h"

enum { BLOCK = WLMI_RING_BLOCK /* = LANES */, BLOCKS = 4, PIECE = BLOCK * BLOCKS };

typedef struct step {
    wlmi_segments rows;
    const wlmi_ring *ring;
    uint16_t *own; /* blocks of the call's tokens, own_blocks() says where */
    size_t size;   /* of a block: [heads, 2, BLOCK * K] */
    int heads, K, window;
} step;

/* Of segment s, from the one that its stream has come to on: at most n / BLOCK + 2, and the next segment's are behind
 * them. */
static uint16_t *own_blocks(const step *a, int s)
{
    return a->own + ((size_t)(a->rows.starts[s] / BLOCK) + 2 * (size_t)s) * a->size;
}

static uint16_t *ring_block(const step *a, int s, uint64_t block)
{
    return (uint16_t *)a->ring[s].slot + block % (uint64_t)(a->ring[s].slots / BLOCK) * a->size;
}

/* Tokens [from, to) of a block. */
static void copy_tokens(const step *a, uint16_t *to_block, const uint16_t *block, int from, int to)
{
    const int K = a->K;
    if (from == 0 && to == BLOCK) {
        memcpy(to_block, block, a->size * sizeof *block);
        return;
    }
    for (int h = 0; h < 2 * a->heads; h += 2) {
        const size_t keys = (size_t)h * BLOCK * K, values = keys + (size_t)BLOCK * K + (size_t)from * K;
        for (int i = 0; i < K; i++)
            for (int j = from; j < to; j++)
                to_block[keys + (size_t)i * BLOCK + j] = block[keys + (size_t)i * BLOCK + j];
        memcpy(to_block + values, block + values, (size_t)(to - from) * K * sizeof *block);
    }
}

static void take_token(const step *a, uint16_t *block, int j, const float *k, const float *v)
{
    const int K = a->K;
    for (int h = 0; h < a->heads; h++, k += K, v += K, block += 2 * BLOCK * K) {
        uint16_t *value = block + (BLOCK + j) * K;
        for (int i = 0; i < K; i++)
            block[i * BLOCK + j] = narrow(k[i]);
        for (int i = 0; i < K; i++)
            value[i] = narrow(v[i]);
    }
}

static void take_tokens(const step *a, int s, const float *k, const float *v, int stride)
{
    const int start = a->rows.starts[s], n = a->rows.starts[s + 1] - start, before = (int)(a->ring[s].held % BLOCK);
    uint16_t *own = own_blocks(a, s);
    if (before)
        copy_tokens(a, own, ring_block(a, s, a->ring[s].held / BLOCK), 0, before);
    for (int t = 0; t < n; t++)
        take_token(a, own + (size_t)((before + t) / BLOCK) * a->size, (before + t) % BLOCK,
                   k + (size_t)(start + t) * stride, v + (size_t)(start + t) * stride);
}

/* The oldest first, as far as the ring reaches. */
static void write_ring(const step *a, int s)
{
    const int before = (int)(a->ring[s].held % BLOCK), end = before + a->rows.starts[s + 1] - a->rows.starts[s];
    const int blocks = (end + BLOCK - 1) / BLOCK, most = a->ring[s].slots / BLOCK + 1;
    for (int b = blocks < most ? 0 : blocks - most; b < blocks; b++)
        copy_tokens(a, ring_block(a, s, a->ring[s].held / BLOCK + (uint64_t)b), own_blocks(a, s) + (size_t)b * a->size,
                    b ? 0 : before, b + 1 < blocks ? BLOCK : end - b * BLOCK);
}

/* score [BLOCK] = q [K] times keys [K, BLOCK]: four sums, which need not wait for each other. */
INLINE void score_block(float *restrict score, const float *restrict q, const uint16_t *restrict keys, int K)
{
    lanes a = {0}, b = {0}, c = {0}, d = {0};
    int i = 0;
    for (; i + 3 < K; i += 4, keys += 4 * BLOCK) {
        a += q[i] * WIDENED_LANES_OF(keys);
        b += q[i + 1] * WIDENED_LANES_OF(keys + BLOCK);
        c += q[i + 2] * WIDENED_LANES_OF(keys + 2 * BLOCK);
        d += q[i + 3] * WIDENED_LANES_OF(keys + 3 * BLOCK);
    }
    for (; i < K; i++, keys += BLOCK)
        a += q[i] * WIDENED_LANES_OF(keys);
    a = (a + b) + (c + d);
    memcpy(score, &a, sizeof a);
}

/* o [K] += share [BLOCK] times values [BLOCK, K]; a token outside [from, to) has no share, and none of its is read. */
INLINE void add_block(float *restrict o, const float *restrict share, const uint16_t *restrict values, int from, int to,
                      int K)
{
    int i = 0;
    for (; i + LANES <= K; i += LANES, o += LANES) {
        lanes a = LANES_OF(o), b = {0}, c = {0}, d = {0};
        for (int j = 0; j < BLOCK; j += 4) {
            const uint16_t *v[4];
            for (int n = 0; n < 4; n++)
                v[n] = values + (j + n < from ? from : j + n < to ? j + n : to - 1) * K + i;
            a += share[j] * WIDENED_LANES_OF(v[0]);
            b += share[j + 1] * WIDENED_LANES_OF(v[1]);
            c += share[j + 2] * WIDENED_LANES_OF(v[2]);
            d += share[j + 3] * WIDENED_LANES_OF(v[3]);
        }
        a = (a + b) + (c + d);
        memcpy(o, &a, sizeof a);
    }
    for (; i < K; i++, o++)
        for (int j = from; j < to; j++)
            *o += share[j] * widen(values[j * K + i]);
}

typedef struct softmax {
    float top, total;
} softmax;

/* A piece's scores become shares; o fades by how much higher the highest score now is. */
INLINE void share_piece(float *restrict o, float *restrict score, softmax *sum, int from, int to, float factor, int K)
{
    float highest = sum->top, fade, total = 0;
    for (int j = 0; j < PIECE; j++)
        score[j] = j >= from && j < to ? score[j] * factor : -FLT_MAX;
    for (int j = 0; j < PIECE; j++)
        highest = score[j] > highest ? score[j] : highest;
    fade = exp_float(sum->top - highest);
    for (int j = 0; j < PIECE; j++)
        score[j] = j >= from && j < to ? exp_float(score[j] - highest) : 0;
#pragma omp simd reduction(+ : total)
    for (int j = 0; j < PIECE; j++)
        total += score[j];
    for (int i = 0; i < K; i++)
        o[i] *= fade;
    *sum = (softmax){highest, sum->total * fade + total};
}

INLINE void attend(float *restrict o, const float *restrict q, const step *a, int s, int t, int h, int K)
{
    const uint64_t now = a->ring[s].held + (uint64_t)t, own = a->ring[s].held / BLOCK;
    const uint64_t oldest = now < (uint64_t)a->window ? 0 : now + 1 - (uint64_t)a->window;
    const size_t part = 2 * (size_t)h * BLOCK * K;
    const float factor = 1 / sqrtf((float)K);
    softmax sum = {-FLT_MAX, 0};
    for (int i = 0; i < K; i++)
        o[i] = 0;
    for (uint64_t first = oldest / BLOCK; first <= now / BLOCK; first += BLOCKS) {
        const int blocks = now / BLOCK - first < BLOCKS ? (int)(now / BLOCK - first) + 1 : BLOCKS;
        const int from = first == oldest / BLOCK ? (int)(oldest % BLOCK) : 0;
        const int to = now - first * BLOCK < PIECE ? (int)(now - first * BLOCK) + 1 : PIECE;
        const uint16_t *block[BLOCKS];
        float score[PIECE] = {0};
        for (int b = 0; b < blocks; b++) {
            block[b] = (first + (uint64_t)b < own ? ring_block(a, s, first + (uint64_t)b)
                                                  : own_blocks(a, s) + (size_t)(first + (uint64_t)b - own) * a->size) +
                       part;
            score_block(score + b * BLOCK, q, block[b], K);
        }
        share_piece(o, score, &sum, from, to, factor, K);
        for (int b = 0; b < blocks; b++)
            add_block(o, score + b * BLOCK, block[b] + BLOCK * K, b ? 0 : from,
                      to < (b + 1) * BLOCK ? to - b * BLOCK : BLOCK, K);
    }
    for (int i = 0; i < K; i++)
        o[i] /= sum.total;
}

/* Tokens that the rows see, all streams together: what the work grows with. */
static double tokens_seen(const step *a)
{
    double seen = 0;
    for (int s = 0; s < a->rows.count; s++)
        seen += (a->rows.starts[s + 1] - a->rows.starts[s]) * fmin((double)a->ring[s].held + 1, (double)a->window);
    return seen;
}

static int segment_of(wlmi_segments rows, int t)
{
    int low = 0, high = rows.count - 1;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (rows.starts[middle + 1] <= t)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void LEVEL(attention_step)(wlmi_real *o, int o_stride, const wlmi_real *q, const wlmi_real *k, const wlmi_real *v,
                           int stride, wlmi_segments rows, const wlmi_ring *ring, int heads, int K, int window,
                           int keep)
{
    const int T = rows.starts[rows.count];
    step a = {.rows = rows, .ring = ring, .size = 2 * (size_t)heads * BLOCK * K, .heads = heads, .K = K,
              .window = window};
    const int threads = wlmi_cpu_threads(tokens_seen(&a) * heads * K / 8);
    size_t unused;
    float *room = wlmi_cpu_scratch(1, ((size_t)(T / BLOCK) + 2 * (size_t)rows.count) * a.size / 2, &unused);
    if (!room)
        return;
    a.own = (uint16_t *)(void *)room;
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (int s = 0; s < rows.count; s++)
            take_tokens(&a, s, (const float *)k, (const float *)v, stride);
#pragma omp for schedule(dynamic, 4)
        for (int row = 0; row < T; row++) {
            const int s = segment_of(rows, row), t = row - rows.starts[s];
            for (int h = 0; h < heads; h++) {
                const float *of = (const float *)q + (size_t)row * stride + h * K;
                float *to = (float *)o + (size_t)row * o_stride + h * K;
                if (K == 32) /* bounds that the compiler knows */
                    attend(to, of, &a, s, t, h, 32);
                else
                    attend(to, of, &a, s, t, h, K);
            }
        }
#pragma omp for schedule(static)
        for (int s = 0; s < (keep ? rows.count : 0); s++)
            write_ring(&a, s);
    }
    wlmi_cpu_release(room);
}
