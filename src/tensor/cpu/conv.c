/* conv.c: causal convolution of width 4 over columns, with SiLU. */
#include <omp.h>

#include "tensor/cpu/block.h"
#include "tensor/cpu/ops.h"
#include "tensor/cpu/simd.h"

enum { TAPS = 4, COLUMNS = 64, SPAN = WLMI_BLOCK };

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
    float *taps = wlmi_cpu_scratch(1, (TAPS + 1) * (size_t)C, &step), *zeros = taps + (size_t)TAPS * C;
    if (blocks && taps) {
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

/* Some columns of one block's rows: d [SPAN + 3, COLUMNS] are the gradients before SiLU of its tokens and of the three
 * that follow in the segment; every input row gets from four of them. sums [TAPS, COLUMNS] += the taps' gradient. */
static void conv_block_backward(float *restrict dx, float *restrict sums, const float *restrict dy,
                                int y_stride, const float *restrict x, int stride, const float *restrict taps,
                                const wlmi_block *b, int columns)
{
    static const float zeros[COLUMNS];
    float d[SPAN + TAPS - 1][COLUMNS];
    const int rows = b->to - b->from, more = b->end - b->to < TAPS - 1 ? b->end - b->to : TAPS - 1;
    for (int r = 0; r < rows + more; r++) {
        const int t = b->from + r;
        const float *row[TAPS], *gradient = dy + (size_t)t * y_stride;
        for (int j = 0; j < TAPS; j++)
            row[j] = tap_row(x, stride, zeros, b->start, t, j);
#pragma omp simd
        for (int i = 0; i < columns; i++) {
            const float z = taps[i] * row[0][i] + taps[columns + i] * row[1][i] + taps[2 * columns + i] * row[2][i] +
                            taps[3 * columns + i] * row[3][i];
            const float s = sigmoid_float(z);
            d[r][i] = gradient[i] * s * (1 + z * (1 - s));
        }
        for (int j = 0; r < rows && j < TAPS; j++)
            for (int i = 0; i < columns; i++)
                sums[j * COLUMNS + i] += d[r][i] * row[j][i];
    }
    for (int r = rows + more; r < rows + TAPS - 1; r++)
        memset(d[r], 0, sizeof d[r]);
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < columns; i++)
            dx[(size_t)(b->from + r) * stride + i] = taps[3 * columns + i] * d[r][i] +
                                                     taps[2 * columns + i] * d[r + 1][i] +
                                                     taps[columns + i] * d[r + 2][i] + taps[i] * d[r + 3][i];
}

/* Each task owns some columns, so that the taps' gradients are summed in order of t. */
void LEVEL(conv_backward)(wlmi_real *dx, wlmi_real *dw, const wlmi_real *dy, int y_stride, const wlmi_real *x,
                          int x_stride, const wlmi_real *w, wlmi_segments segments, int C)
{
    const int threads = wlmi_cpu_threads(16.0 * segments.starts[segments.count] * C);
    int count;
    wlmi_block *blocks = LEVEL(block_cut)(segments, &count);
    if (!blocks)
        return;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int from = 0; from < C; from += COLUMNS) {
        const int columns = C - from < COLUMNS ? C - from : COLUMNS;
        float taps[TAPS * COLUMNS], *const gradient = (float *)dw + (size_t)from * TAPS;
        turn_taps(taps, (const float *)w + (size_t)from * TAPS, columns);
        for (int i = 0; i < count; i++) {
            const wlmi_block *b = &blocks[i];
            float sums[TAPS * COLUMNS] = {0};
            if (i + 1 < count) {
                const int next = blocks[i + 1].from, rows = blocks[i + 1].to - next;
                wlmi_block_fetch((const float *)x + (size_t)next * x_stride + from, x_stride, rows, columns);
                wlmi_block_fetch((const float *)dy + (size_t)next * y_stride + from, y_stride, rows, columns);
            }
            conv_block_backward((float *)dx + from, sums, (const float *)dy + from, y_stride, (const float *)x + from,
                                x_stride, taps, b, columns);
            for (int c = 0; c < columns; c++)
                for (int j = 0; j < TAPS; j++)
                    gradient[c * TAPS + j] += sums[j * COLUMNS + c];
        }
    }
    wlmi_cpu_release(blocks);
}

static void conv_token(float *restrict x, float *restrict last, const float *restrict w, int C)
{
    for (int c = 0; c < C; c++) {
        const float now = x[c];
        const float z = w[c * TAPS] * last[c] + w[c * TAPS + 1] * last[C + c] + w[c * TAPS + 2] * last[2 * C + c] +
                        w[c * TAPS + 3] * now;
        x[c] = z * sigmoid_float(z);
        last[c] = last[C + c];
        last[C + c] = last[2 * C + c];
        last[2 * C + c] = now;
    }
}

void LEVEL(conv_step)(wlmi_real *x, int x_stride, wlmi_segments rows, wlmi_real *const *state, size_t at,
                      const wlmi_real *w, int C, int keep)
{
    const int threads = wlmi_cpu_threads(8.0 * rows.starts[rows.count] * C);
    const size_t size = (TAPS - 1) * (size_t)C;
    size_t step = 0;
    float *own = keep ? NULL : wlmi_cpu_scratch(threads, size, &step);
    if (keep || own) {
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int b = 0; b < rows.count; b++) {
            float *last = (float *)state[b] + at;
            if (!keep)
                last = memcpy(own + step * omp_get_thread_num(), last, size * sizeof *last);
            for (int t = rows.starts[b]; t < rows.starts[b + 1]; t++)
                conv_token((float *)x + (size_t)t * x_stride, last, (const float *)w, C);
        }
    }
    wlmi_cpu_release(own);
}
