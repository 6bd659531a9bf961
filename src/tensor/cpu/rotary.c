/* rotary.c: rotary positions. An angle is that of the block's first token plus that of the place in the block, so
 * that the sines of a whole batch come from two short tables: cos(a + b) = cos a cos b - sin a sin b. */
#include <math.h>
#include <omp.h>

#include "tensor/cpu/block.h"
#include "tensor/cpu/ops.h"
#include "tensor/cpu/simd.h"
#include "tensor/turns.h"

/* cosines [K/2] then sines [K/2] of a position. */
static void fill_angles(float *to, int position, const uint64_t *speed, int K)
{
    for (int i = 0; i < K / 2; i++) {
        const double angle = wlmi_turn_radians(speed[i] * (uint64_t)position);
        to[i] = (float)cos(angle);
        to[K / 2 + i] = (float)sin(angle);
    }
}

/* place [rows, K]: angles of places in the block; first [K]: of the block's first token; turn [K]: working room. */
static void rotate_block(float *restrict x, int rows, int stride, int heads, int K, float sign,
                         const float *restrict place, const float *restrict first, float *restrict turn)
{
    const int half = K / 2;
    for (int r = 0; r < rows; r++, place += K) {
        for (int i = 0; i < half; i++) {
            turn[i] = first[i] * place[i] - first[half + i] * place[half + i];
            turn[half + i] = sign * (first[half + i] * place[i] + first[i] * place[half + i]);
        }
        for (int h = 0; h < heads; h++) {
            float *a = x + (size_t)r * stride + h * K, *b = a + half;
#pragma omp simd
            for (int i = 0; i < half; i++) {
                const float u = a[i], w = b[i];
                a[i] = u * turn[i] - w * turn[half + i];
                b[i] = u * turn[half + i] + w * turn[i];
            }
        }
    }
}

void LEVEL(rotary)(wlmi_real *x, wlmi_segments segments, int stride, int heads, int K, int sign)
{
    const int T = segments.starts[segments.count], threads = wlmi_cpu_threads(2.0 * T * heads * K);
    uint64_t speed[WLMI_MAX_HEAD_WIDTH / 2];
    int count, longest = 0;
    size_t step;
    wlmi_block *blocks = LEVEL(block_cut)(segments, &count);
    float *place = wlmi_cpu_scratch(1, (size_t)WLMI_BLOCK * K, &step);
    float *scratch = wlmi_cpu_scratch(threads, 2 * (size_t)K, &step);
    for (int i = 0; i < K / 2; i++)
        speed[i] = wlmi_turn_speed(i, K);
    if (blocks && place && scratch) {
        for (int i = 0; i < count; i++)
            longest = blocks[i].to - blocks[i].from > longest ? blocks[i].to - blocks[i].from : longest;
#pragma omp parallel num_threads(threads)
        {
            float *first = scratch + step * omp_get_thread_num(), *turn = first + K;
#pragma omp for schedule(static)
            for (int r = 0; r < longest; r++)
                fill_angles(place + (size_t)r * K, r, speed, K);
#pragma omp for schedule(static)
            for (int i = 0; i < count; i++) {
                const wlmi_block *b = &blocks[i];
                wlmi_block_fetch((float *)x + (size_t)b->from * stride, stride, b->to - b->from, heads * K);
                fill_angles(first, b->from - b->start, speed, K);
                rotate_block((float *)x + (size_t)b->from * stride, b->to - b->from, stride, heads, K, (float)sign,
                             place, first, turn);
            }
        }
    }
    wlmi_cpu_release(scratch);
    wlmi_cpu_release(place);
    wlmi_cpu_release(blocks);
}
