/* conv.c: causal convolution of width 4 over columns, with SiLU. */
#include <omp.h>

#include "tensor/cpu/block.h"
#include "tensor/cpu/ops.h"
#include "tensor/cpu/simd.h"

enum { TAPS = 4, SPAN = 8 };

/* taps [TAPS, columns] = w [columns, TAPS] turned, for loops along the columns. */
static void turn_taps(float *taps, const float *w, int columns)
{
    for (int c = 0; c < columns; c++)
        for (int j = 0; j < TAPS; j++)
            taps[j * columns + c] = w[c * TAPS + j];
}

/* The rows that tap j reads at token t of a segment from `start` on; before it, zeros. */
INLINE const float *tap_row(const float *x, int stride, const float *zeros, int start, int t, int j)
{
    const int from = t - (TAPS - 1) + j;
    return from < start ? zeros : x + (size_t)from * stride;
}

static void conv_rows(float *restrict y, int y_stride, const float *restrict x, int stride,
                      const float *restrict taps, const float *restrict zeros, int start, int from, int to,
                      int C)
{
    for (int t = from; t < to; t++) {
        const float *a = tap_row(x, stride, zeros, start, t, 0), *b = tap_row(x, stride, zeros, start, t, 1);
        const float *c = tap_row(x, stride, zeros, start, t, 2), *d = x + (size_t)t * stride;
        float *row = y + (size_t)t * y_stride;
#pragma omp simd
        for (int i = 0; i < C; i++) {
            const float z = taps[i] * a[i] + taps[C + i] * b[i] + taps[2 * C + i] * c[i] + taps[3 * C + i] * d[i];
            row[i] = z * sigmoid_float(z);
        }
    }
}

void LEVEL(conv_forward)(wlmi_real *y, int y_stride, const wlmi_real *x, int x_stride, const wlmi_real *w,
                         wlmi_segments segments, int C)
{
    const int threads = wlmi_cpu_threads(8.0 * segments.starts[segments.count] * C);
    int count;
    size_t step;
    wlmi_block *blocks = LEVEL(block_cut)(segments, &count);
    float *taps = wlmi_cpu_scratch(1, (TAPS + 1) * (size_t)C, &step), *zeros;
    if (blocks && taps) {
        zeros = taps + (size_t)TAPS * C;
        turn_taps(taps, (const float *)w, C);
        memset(zeros, 0, (size_t)C * sizeof *zeros);
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int i = 0; i < count; i++)
            conv_rows((float *)y, y_stride, (const float *)x, x_stride, taps, zeros, blocks[i].start, blocks[i].from,
                      blocks[i].to, C);
    }
    wlmi_cpu_release(taps);
    wlmi_cpu_release(blocks);
}

/* Token t's gradient before SiLU: d [C]; sums [TAPS, C] += what it gives to the taps. */
INLINE void conv_token_backward(float *restrict d, float *restrict sums, const float *restrict dy,
                                const float *restrict x, int stride, const float *restrict taps,
                                const float *restrict zeros, int start, int t, int C)
{
    const float *x0 = tap_row(x, stride, zeros, start, t, 0), *x1 = tap_row(x, stride, zeros, start, t, 1);
    const float *x2 = tap_row(x, stride, zeros, start, t, 2), *x3 = x + (size_t)t * stride;
#pragma omp simd
    for (int i = 0; i < C; i++) {
        const float z = taps[i] * x0[i] + taps[C + i] * x1[i] + taps[2 * C + i] * x2[i] + taps[3 * C + i] * x3[i];
        const float s = sigmoid_float(z);
        d[i] = dy[i] * s * (1 + z * (1 - s));
        if (sums) {
            sums[i] += d[i] * x0[i];
            sums[C + i] += d[i] * x1[i];
            sums[2 * C + i] += d[i] * x2[i];
            sums[3 * C + i] += d[i] * x3[i];
        }
    }
}

/* One block's rows. d holds by turns four rows [C] of gradients before SiLU: an input row gets from that of its own
 * token and of the three that follow in the segment. */
static void conv_block_backward(float *restrict dx, float *restrict sums, float *restrict d, const float *restrict dy,
                                int y_stride, const float *restrict x, int stride, const float *restrict taps,
                                const float *restrict zeros, const wlmi_block *b, int C)
{
    for (int t = b->from; t < b->to + TAPS - 1; t++) {
        float *now = d + t % TAPS * C;
        if (t < b->to)
            conv_token_backward(now, sums, dy + (size_t)t * y_stride, x, stride, taps, zeros, b->start, t, C);
        else if (t < b->end)
            conv_token_backward(now, NULL, dy + (size_t)t * y_stride, x, stride, taps, zeros, b->start, t, C);
        else
            memset(now, 0, (size_t)C * sizeof *now);
        if (t - (TAPS - 1) >= b->from) {
            const float *d0 = d + (t + 1) % TAPS * C, *d1 = d + (t + 2) % TAPS * C, *d2 = d + (t + 3) % TAPS * C;
            float *to = dx + (size_t)(t - (TAPS - 1)) * stride;
            for (int i = 0; i < C; i++)
                to[i] = taps[3 * C + i] * d0[i] + taps[2 * C + i] * d1[i] + taps[C + i] * d2[i] + taps[i] * now[i];
        }
    }
}

/* Each task takes SPAN blocks and sums the taps' gradients by itself; its sums are added in the order of tasks. */
void LEVEL(conv_backward)(wlmi_real *dx, wlmi_real *dw, const wlmi_real *dy, int y_stride, const wlmi_real *x,
                          int x_stride, const wlmi_real *w, wlmi_segments segments, int C)
{
    const int threads = wlmi_cpu_threads(16.0 * segments.starts[segments.count] * C);
    const size_t all = (size_t)TAPS * C;
    int count, tasks;
    size_t step, shared;
    wlmi_block *blocks = LEVEL(block_cut)(segments, &count);
    float *room, *taps = wlmi_cpu_scratch(1, all + (size_t)C, &shared), *zeros;
    tasks = (count + SPAN - 1) / SPAN;
    room = blocks ? wlmi_cpu_scratch(tasks, 2 * all, &step) : NULL; /* sums and d of each */
    if (blocks && taps && room) {
        zeros = taps + all;
        turn_taps(taps, (const float *)w, C);
        memset(zeros, 0, (size_t)C * sizeof *zeros);
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int task = 0; task < tasks; task++) {
            float *sums = room + step * (size_t)task;
            memset(sums, 0, all * sizeof *sums);
            for (int i = task * SPAN; i < count && i < (task + 1) * SPAN; i++)
                conv_block_backward((float *)dx, sums, sums + all, (const float *)dy, y_stride, (const float *)x,
                                    x_stride, taps, zeros, &blocks[i], C);
        }
        for (int task = 0; task < tasks; task++)
            for (int c = 0; c < C; c++)
                for (int j = 0; j < TAPS; j++)
                    ((float *)dw)[c * TAPS + j] += room[step * (size_t)task + (size_t)j * C + c];
    }
    wlmi_cpu_release(room);
    wlmi_cpu_release(taps);
    wlmi_cpu_release(blocks);
}

/* last [TAPS - 1, C]: the inputs before x, oldest first; x takes its place among them. */
static void conv_token(float *restrict x, float *restrict last, const float *restrict taps, int C)
{
#pragma omp simd
    for (int c = 0; c < C; c++) {
        const float oldest = last[c], middle = last[C + c], newest = last[2 * C + c], now = x[c];
        const float z = taps[c] * oldest + taps[C + c] * middle + taps[2 * C + c] * newest + taps[3 * C + c] * now;
        x[c] = z * sigmoid_float(z);
        last[c] = middle;
        last[C + c] = newest;
        last[2 * C + c] = now;
    }
}

void LEVEL(conv_step)(wlmi_real *x, int x_stride, wlmi_segments rows, wlmi_real *const *state, size_t at,
                      const wlmi_real *w, int C, int keep)
{
    const int threads = wlmi_cpu_threads(8.0 * rows.starts[rows.count] * C);
    const size_t size = (TAPS - 1) * (size_t)C;
    size_t step = 0, unused;
    float *own = keep ? NULL : wlmi_cpu_scratch(threads, size, &step);
    float *taps = wlmi_cpu_scratch(1, TAPS * (size_t)C, &unused);
    if (taps && (keep || own)) {
        turn_taps(taps, (const float *)w, C);
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int b = 0; b < rows.count; b++) {
            float *last = (float *)state[b] + at;
            if (!keep)
                last = memcpy(own + step * omp_get_thread_num(), last, size * sizeof *last);
            for (int t = rows.starts[b]; t < rows.starts[b + 1]; t++)
                conv_token((float *)x + (size_t)t * x_stride, last, taps, C);
        }
    }
    wlmi_cpu_release(taps);
    wlmi_cpu_release(own);
}
