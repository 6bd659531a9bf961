/* steps.c: rotary positions, token shift and linear heads in their recurrent form: a few tokens of each of many
 * streams. A head of a stream takes its tokens in order, so that how they are cut into calls and who else is there
 * changes nothing. */
#include <omp.h>

#include "tensor/cpu/ops.h"
#include "tensor/cpu/linear.h"
#include "tensor/cpu/simd.h"
#include "tensor/turns.h"

/* ---------------------------------------------------------------- rotary positions */

void LEVEL(rotary_angles)(wlmi_real *angles, const uint64_t *position, int T, int K)
{
    const int half = K / 2;
    uint64_t speed[WLMI_MAX_HEAD_WIDTH / 2];
    for (int i = 0; i < half; i++)
        speed[i] = wlmi_turn_speed(i, K);
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads(20.0 * T * K))
    for (int t = 0; t < T; t++) {
        float *to = (float *)angles + (size_t)t * K;
        for (int i = 0; i < half; i++) {
            const double angle = wlmi_turn_radians(speed[i] * position[t]);
            to[i] = (float)cos(angle);
            to[half + i] = (float)sin(angle);
        }
    }
}

static void turn(float *restrict x, const float *restrict angles, int heads, int K)
{
    const int half = K / 2;
    for (int h = 0; h < heads; h++) {
        float *a = x + h * K, *b = a + half;
#pragma omp simd
        for (int i = 0; i < half; i++) {
            const float u = a[i], w = b[i];
            a[i] = u * angles[i] - w * angles[half + i];
            b[i] = u * angles[half + i] + w * angles[i];
        }
    }
}

void LEVEL(rotary_turn)(wlmi_real *x, const wlmi_real *angles, int T, int stride, int heads, int K)
{
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)T * heads * K / 4))
    for (int t = 0; t < T; t++)
        turn((float *)x + (size_t)t * stride, (const float *)angles + (size_t)t * K, heads, K);
}

/* ---------------------------------------------------------------- token shift */

void LEVEL(shift_step)(wlmi_act *y_, const wlmi_act *x_, wlmi_segments rows, wlmi_real *const *before, int D,
                       int keep)
{
    uint16_t *y = (uint16_t *)y_;
    const uint16_t *x = (const uint16_t *)x_;
    const int half = D / 2;
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)rows.starts[rows.count] * D))
    for (int s = 0; s < rows.count; s++) {
        float *last = (float *)before[s];
        for (int t = rows.starts[s]; t < rows.starts[s + 1]; t++) {
            uint16_t *to = y + (size_t)t * D;
            memcpy(to + half, x + (size_t)t * D + half, (size_t)(D - half) * sizeof *to);
            if (t > rows.starts[s])
                memcpy(to, x + (size_t)(t - 1) * D, (size_t)half * sizeof *to);
            else
                for (int d = 0; d < half; d++)
                    to[d] = narrow(last[d]);
        }
        for (int d = 0; keep && d < half; d++)
            last[d] = widen(x[(size_t)(rows.starts[s + 1] - 1) * D + d]);
    }
}

/* ---------------------------------------------------------------- linear heads */

/* next, the state that is read after this one, comes nearer meanwhile. */
INLINE void linear_token(float *restrict o, float *restrict s, float *restrict z, const float *restrict q,
                         const float *restrict k, const float *restrict v, const float *next, int K)
{
    const float shift = query_shift(q, K);
    float key[WLMI_MAX_HEAD_WIDTH], query[WLMI_MAX_HEAD_WIDTH], norm = 0;
    int j = 0;
#pragma omp simd reduction(+ : norm)
    for (int i = 0; i < K; i++) {
        key[i] = map_key(k[i]);
        query[i] = exp_float(q[i] - shift);
        z[i] += key[i];
        norm += query[i] * z[i];
    }
    for (; j + LANES <= K; j += LANES) {
        const lanes value = LANES_OF(v + j);
        lanes sum[2] = {{0}};
        for (int i = 0; i < K; i++) {
            const lanes now = LANES_OF(s + i * K + j) + key[i] * value;
            __builtin_prefetch(next + i * K + j, 1);
            *(lanes_at *)(s + i * K + j) = now;
            sum[i % 2] += query[i] * now;
        }
        *(lanes_at *)(o + j) = sum[0] + sum[1];
    }
    for (; j < K; j++) {
        o[j] = 0;
        for (int i = 0; i < K; i++)
            o[j] += query[i] * (s[i * K + j] += key[i] * v[j]);
    }
    norm = norm > LINEAR_FLOOR ? norm : LINEAR_FLOOR;
    for (j = 0; j < K; j++)
        o[j] /= norm;
}

void LEVEL(linear_step)(wlmi_real *o, int o_stride, const wlmi_real *q, const wlmi_real *k, const wlmi_real *v,
                        int stride, wlmi_segments rows, wlmi_real *const *state, int heads, int K, int keep)
{
    const int tasks = rows.count * heads;
    const int threads = wlmi_cpu_threads((double)rows.starts[rows.count] * heads * K * K / 8);
    const size_t square = (size_t)K * K;
    size_t step = 0;
    float *own = keep ? NULL : wlmi_cpu_scratch(threads, square + (size_t)K, &step);
    if (keep || own) {
#pragma omp parallel for schedule(static) num_threads(threads)
        for (int task = 0; task < tasks; task++) {
            const int b = task / heads, h = task % heads;
            float *s = (float *)state[b] + h * square, *z = (float *)state[b] + heads * square + (size_t)h * K;
            const float *next = task + 1 < tasks ? (float *)state[(task + 1) / heads] + (task + 1) % heads * square : s;
            if (!keep) {
                float *copy = own + step * omp_get_thread_num();
                memcpy(copy, s, square * sizeof *copy);
                memcpy(copy + square, z, (size_t)K * sizeof *copy);
                s = copy;
                z = copy + square;
            }
            for (int t = rows.starts[b]; t < rows.starts[b + 1]; t++) {
                const size_t at = (size_t)t * stride + h * K;
                float *to = (float *)o + (size_t)t * o_stride + h * K;
                if (K == 32) /* bounds that the compiler knows */
                    linear_token(to, s, z, (const float *)q + at, (const float *)k + at, (const float *)v + at, next, 32);
                else
                    linear_token(to, s, z, (const float *)q + at, (const float *)k + at, (const float *)v + at, next, K);
            }
        }
    }
    wlmi_cpu_release(own);
}
