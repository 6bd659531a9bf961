/* delta_step.c: gated delta heads token by token, for many streams at once. */
#include <math.h>
#include <omp.h>

#include "tensor/cpu/ops.h"
#include "tensor/cpu/simd.h"

typedef struct token {
    float q[WLMI_MAX_HEAD_WIDTH], k[WLMI_MAX_HEAD_WIDTH]; /* q^, k^ */
    const float *v;                                       /* [K] */
    float qk, keep, write;                                /* q^ . k^, a, b */
} token;

static void normalise(token *restrict t, const float *restrict q, const float *restrict k, int K)
{
    float qq = 0, kk = 0, qk = 0, q_part, k_part;
#pragma omp simd reduction(+ : qq, kk, qk)
    for (int i = 0; i < K; i++) {
        qq += q[i] * q[i];
        kk += k[i] * k[i];
        qk += q[i] * k[i];
    }
    q_part = 1 / sqrtf((qq + 1e-6f) * (float)K);
    k_part = 1 / sqrtf(kk + 1e-6f);
    t->qk = qk * q_part * k_part;
    for (int i = 0; i < K; i++) {
        t->q[i] = q[i] * q_part;
        t->k[i] = k[i] * k_part;
    }
}

enum { WIDE = 2 * LANES };

/* WIDE columns of S by themselves: read once for k^ S and q^ S, and once written; o = a q^ S + (q^ . k^) u. S is [K,K],
 * s and o point at the first column; next, where S stands that will be read after this one, has it come nearer: streams
 * lie far apart. Sums over even and odd rows need not wait for each other. */
INLINE void wide_columns(float *restrict o, float *restrict s, const float *restrict v, const token *restrict t,
                         const float *next, int K)
{
    lanes found[2][2] = {{{0}}}, read[2][2] = {{{0}}};
#pragma GCC unroll 2
    for (int i = 0; i + 1 < K; i += 2)
#pragma GCC unroll 2
        for (int odd = 0; odd < 2; odd++) {
            const float *row = s + (i + odd) * K;
            const lanes low = LANES_OF(row), high = LANES_OF(row + LANES);
            __builtin_prefetch(next + (i + odd) * K, 1);
            __builtin_prefetch(next + (i + odd) * K + LANES, 1);
            found[odd][0] += t->k[i + odd] * low;
            found[odd][1] += t->k[i + odd] * high;
            read[odd][0] += t->q[i + odd] * low;
            read[odd][1] += t->q[i + odd] * high;
        }
    const lanes low = t->write * (LANES_OF(v) - t->keep * (found[0][0] + found[1][0]));
    const lanes high = t->write * (LANES_OF(v + LANES) - t->keep * (found[0][1] + found[1][1]));
    *(lanes_at *)o = t->keep * (read[0][0] + read[1][0]) + t->qk * low;
    *(lanes_at *)(o + LANES) = t->keep * (read[0][1] + read[1][1]) + t->qk * high;
    for (int i = 0; i < K; i++, s += K) {
        *(lanes_at *)s = t->keep * LANES_OF(s) + t->k[i] * low;
        *(lanes_at *)(s + LANES) = t->keep * LANES_OF(s + LANES) + t->k[i] * high;
    }
}

static void one_column(float *restrict o, float *restrict s, float v, const token *restrict t, int K)
{
    float found = 0, read = 0;
    for (int i = 0; i < K; i++) {
        found += t->k[i] * s[i * K];
        read += t->q[i] * s[i * K];
    }
    found = t->write * (v - t->keep * found);
    *o = t->keep * read + t->qk * found;
    for (int i = 0; i < K; i++)
        s[i * K] = t->keep * s[i * K] + t->k[i] * found;
}

INLINE void delta_token(float *restrict o, float *restrict s, const token *restrict t, const float *next, int K)
{
    int j = 0;
    for (; j + WIDE <= K && K % 2 == 0; j += WIDE)
        wide_columns(o + j, s + j, t->v + j, t, next + j, K);
    for (; j < K; j++)
        one_column(o + j, s + j, t->v[j], t, K);
}

void LEVEL(delta_step)(const wlmi_delta *d, wlmi_real *const *state, int keep)
{
    const int K = d->K, heads = d->heads, tasks = d->segments.count * heads;
    const int threads = wlmi_cpu_threads((double)d->segments.starts[d->segments.count] * heads * K * K / 4);
    const size_t square = (size_t)K * K;
    size_t step = 0;
    float *room = keep ? NULL : wlmi_cpu_scratch(threads, square, &step);
    if (!keep && !room)
        return;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int task = 0; task < tasks; task++) {
        const int b = task / heads, h = task % heads;
        const float rate = expf(((const float *)d->log_rate)[h]);
        float *s = (float *)state[b] + h * square;
        const float *next = task + 1 < tasks ? (float *)state[(task + 1) / heads] + (task + 1) % heads * square : s;
        if (!keep)
            s = memcpy(room + step * omp_get_thread_num(), s, square * sizeof *s);
        for (int t = d->segments.starts[b]; t < d->segments.starts[b + 1]; t++) {
            const size_t gate = (size_t)t * d->gate_stride + (size_t)h, row = (size_t)t * d->stride + (size_t)h * K;
            const float z = ((const float *)d->forget)[gate] + ((const float *)d->bias)[h];
            float *o = (float *)d->o + (size_t)t * d->o_stride + (size_t)h * K;
            token now;
            now.v = (const float *)d->v + row;
            now.keep = expf(-rate * ((z > 0 ? z : 0) + log1pf(expf(-fabsf(z)))));
            now.write = 1 / (1 + expf(-((const float *)d->write)[gate]));
            normalise(&now, (const float *)d->q + row, (const float *)d->k + row, K);
            if (K == 32) /* bounds that the compiler knows */
                delta_token(o, s, &now, next, 32);
            else
                delta_token(o, s, &now, next, K);
        }
    }
    wlmi_cpu_release(room);
}
