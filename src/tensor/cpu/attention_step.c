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

/* Up to MANY tokens of a stream are done together: what they see is read and widened once. Each has the sums that it
 * would have by itself, as far as values are finite. Their partial sums fill the registers where there are 32. */
#if defined __AVX512F__
enum { MANY = 4 };
#else
enum { MANY = 1 };
#endif

typedef struct asker { /* one of them */
    const float *q;    /* [K] */
    float *o;          /* [K] */
    float top, total;  /* highest score, and the sum of shares */
    float score[PIECE];
} asker;

/* score [BLOCK] from `at` on = q [K] times keys [K, BLOCK], for N of them: four sums, which need not wait for each
 * other. next, keys that will be read after these, comes nearer meanwhile: a head's blocks lie far apart. */
INLINE void score_block(asker *restrict of, int N, int at, const uint16_t *restrict keys, const uint16_t *next, int K)
{
    lanes sum[MANY][4] = {{{0}}};
    int i = 0;
    for (; i + 3 < K; i += 4, keys += 4 * BLOCK, next += 4 * BLOCK)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            const lanes key = WIDENED_LANES_OF(keys + j * BLOCK);
            if (j % 2 == 0) /* two rows are 64 bytes */
                __builtin_prefetch(next + j * BLOCK);
#pragma GCC unroll 4
            for (int n = 0; n < N; n++)
                sum[n][j] += of[n].q[i + j] * key;
        }
    for (; i < K; i++, keys += BLOCK)
        for (int n = 0; n < N; n++)
            sum[n][0] += of[n].q[i] * WIDENED_LANES_OF(keys);
#pragma GCC unroll 4
    for (int n = 0; n < N; n++)
        *(lanes_at *)(of[n].score + at) = (sum[n][0] + sum[n][1]) + (sum[n][2] + sum[n][3]);
}

/* o [K] += shares [BLOCK] from `at` on times values [BLOCK, K], for N of them; a token outside [from, to) has no share,
 * and none of its is read. next as for score_block. */
INLINE void add_block(asker *restrict of, int N, int at, const uint16_t *restrict values, const uint16_t *next, int from,
                      int to, int K)
{
    int i = 0;
    for (; i + LANES <= K; i += LANES) {
        lanes sum[MANY][4] = {{{0}}};
#pragma GCC unroll 4
        for (int n = 0; n < N; n++)
            sum[n][0] = LANES_OF(of[n].o + i);
        for (int j = 0; j < BLOCK; j += 4)
#pragma GCC unroll 4
            for (int m = 0; m < 4; m++) {
                const lanes value =
                    WIDENED_LANES_OF(values + (j + m < from ? from : j + m < to ? j + m : to - 1) * K + i);
                if (i % 32 == 0) /* 64 bytes of a row */
                    __builtin_prefetch(next + (j + m) * K + i);
#pragma GCC unroll 4
                for (int n = 0; n < N; n++)
                    sum[n][m] += of[n].score[at + j + m] * value;
            }
#pragma GCC unroll 4
        for (int n = 0; n < N; n++)
            *(lanes_at *)(of[n].o + i) = (sum[n][0] + sum[n][1]) + (sum[n][2] + sum[n][3]);
    }
    for (; i < K; i++)
        for (int n = 0; n < N; n++)
            for (int j = from; j < to; j++)
                of[n].o[i] += of[n].score[at + j] * widen(values[j * K + i]);
}

/* A piece's scores become shares; o fades by how much higher the highest score now is. */
INLINE void share_piece(asker *restrict of, int from, int to, float factor, int K)
{
    float highest = of->top, fade, total = 0, *restrict score = of->score;
    for (int j = 0; j < PIECE; j++)
        score[j] = j >= from && j < to ? score[j] * factor : -FLT_MAX;
    for (int j = 0; j < PIECE; j++)
        highest = score[j] > highest ? score[j] : highest;
    fade = exp_float(of->top - highest);
    for (int j = 0; j < PIECE; j++)
        score[j] = j >= from && j < to ? exp_float(score[j] - highest) : 0;
#pragma omp simd reduction(+ : total)
    for (int j = 0; j < PIECE; j++)
        total += score[j];
    for (int i = 0; i < K; i++)
        of->o[i] *= fade;
    of->top = highest;
    of->total = of->total * fade + total;
}

static uint64_t oldest_seen(const step *a, uint64_t now)
{
    return now < (uint64_t)a->window ? 0 : now + 1 - (uint64_t)a->window;
}

/* Block `block` of the stream, from the ring or of the call's tokens. */
INLINE const uint16_t *any_block(const step *a, int s, uint64_t block)
{
    const uint64_t own = a->ring[s].held / BLOCK;
    return block < own ? ring_block(a, s, block) : own_blocks(a, s) + (size_t)(block - own) * a->size;
}

/* Head h of N tokens of segment s, the t-th and those behind it, all of one block, which see from one block on. */
INLINE void attend(asker *restrict of, int N, const step *a, int s, int t, int h, int K)
{
    const uint64_t now = a->ring[s].held + (uint64_t)t, last = now + (uint64_t)N - 1;
    const uint64_t begin = oldest_seen(a, now) / BLOCK;
    const size_t part = 2 * (size_t)h * BLOCK * K;
    const float factor = 1 / sqrtf((float)K);
    for (int n = 0; n < N; n++) {
        of[n].top = -FLT_MAX;
        of[n].total = 0;
        for (int i = 0; i < K; i++)
            of[n].o[i] = 0;
    }
    for (uint64_t first = begin; first <= last / BLOCK; first += BLOCKS) {
        const int blocks = last / BLOCK - first < BLOCKS ? (int)(last / BLOCK - first) + 1 : BLOCKS;
        const uint64_t end = (first + BLOCKS) * BLOCK;
        const uint16_t *block[BLOCKS], *next[BLOCKS]; /* next: of this head, or the first ones of the head behind it */
        int from = 0, to = 0;                         /* that any of them sees */
        for (int b = 0; b < BLOCKS; b++)
            if (b < blocks) {
                block[b] = any_block(a, s, first + (uint64_t)b) + part;
                next[b] = first + BLOCKS + (uint64_t)b <= last / BLOCK ? any_block(a, s, first + BLOCKS + (uint64_t)b) + part
                          : h + 1 < a->heads ? any_block(a, s, begin + (uint64_t)b) + part + 2 * BLOCK * K
                                             : block[b];
                score_block(of, N, b * BLOCK, block[b], next[b], K);
            } else {
                for (int n = 0; n < N; n++)
                    memset(of[n].score + b * BLOCK, 0, BLOCK * sizeof *of[n].score);
            }
        for (int n = 0; n < N; n++) {
            const uint64_t oldest = oldest_seen(a, now + (uint64_t)n);
            const int sees = first == begin ? (int)(oldest % BLOCK) : 0;
            to = now + (uint64_t)n < end ? (int)(now + (uint64_t)n - first * BLOCK) + 1 : PIECE;
            from = n ? from : sees;
            share_piece(&of[n], sees, to, factor, K);
        }
        for (int b = 0; b < blocks; b++)
            add_block(of, N, b * BLOCK, block[b] + BLOCK * K, next[b] + BLOCK * K, b ? 0 : from,
                      to < (b + 1) * BLOCK ? to - b * BLOCK : BLOCK, K);
    }
    for (int n = 0; n < N; n++)
        for (int i = 0; i < K; i++)
            of[n].o[i] /= of[n].total;
}

/* The bounds are such as the compiler knows. */
static void attend_some(asker *of, int N, const step *a, int s, int t, int h)
{
    const int K = a->K;
    if (N == MANY)
        K == 32 ? attend(of, MANY, a, s, t, h, 32) : attend(of, MANY, a, s, t, h, K);
    else if (N == 2)
        K == 32 ? attend(of, MANY < 2 ? MANY : 2, a, s, t, h, 32) : attend(of, MANY < 2 ? MANY : 2, a, s, t, h, K);
    else
        K == 32 ? attend(of, 1, a, s, t, h, 32) : attend(of, 1, a, s, t, h, K);
}

/* How many of the `left` tokens from stream position `now` on are done together. */
static int together(const step *a, uint64_t now, int left)
{
    const int inside = BLOCK - (int)(now % BLOCK);
    for (int n = MANY; n > 1; n /= 2)
        if (n <= left && n <= inside &&
            oldest_seen(a, now) / BLOCK == oldest_seen(a, now + (uint64_t)n - 1) / BLOCK)
            return n;
    return 1;
}

/* All heads of tokens [t, t + count) of segment s. */
static void attend_tokens(const step *a, int s, int t, int count, float *o, int o_stride, const float *q, int stride)
{
    const int K = a->K, row = a->rows.starts[s] + t;
    asker of[MANY];
    for (int done = 0, n; done < count; done += n) {
        n = together(a, a->ring[s].held + (uint64_t)(t + done), count - done);
        for (int h = 0; h < a->heads; h++) {
            for (int i = 0; i < n; i++) {
                of[i].q = q + (size_t)(row + done + i) * stride + h * K;
                of[i].o = o + (size_t)(row + done + i) * o_stride + h * K;
            }
            attend_some(of, n, a, s, t + done, h);
        }
    }
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
            const int segment = segment_of(rows, row), t = row - rows.starts[segment];
            const int left = rows.starts[segment + 1] - row, n = MANY - (int)((ring[segment].held + (uint64_t)t) % MANY);
            if (t == 0 || n == MANY) /* others go with the row before */
                attend_tokens(&a, segment, t, n < left ? n : left, (float *)o, o_stride, (const float *)q, stride);
        }
#pragma omp for schedule(static)
        for (int s = 0; s < (keep ? rows.count : 0); s++)
            write_ring(&a, s);
    }
    wlmi_cpu_release(room);
}
