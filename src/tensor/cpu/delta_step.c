/* delta_step.c: gated delta heads token by token, for many streams at once. */
#include <math.h>
#include <omp.h>

#include "tensor/cpu/ops.h"
#include "tensor/cpu/simd.h"

/* S is read once for k^ S and q^ S, and once written: o = a q^ S + (q^ . k^) u. found [K]: working room. */
static void delta_token(float *restrict o, float *restrict s, float *restrict found, const float *restrict q,
                        const float *restrict k, const float *restrict v, float a, float b, int K)
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
    qk *= q_part * k_part;
    for (int j = 0; j < K; j++)
        found[j] = o[j] = 0;
    for (int i = 0; i < K; i++) {
        const float qi = q[i] * q_part * a, ki = k[i] * k_part * a;
        for (int j = 0; j < K; j++) {
            found[j] += ki * s[i * K + j];
            o[j] += qi * s[i * K + j];
        }
    }
    for (int j = 0; j < K; j++) {
        found[j] = b * (v[j] - found[j]);
        o[j] += qk * found[j];
    }
    for (int i = 0; i < K; i++) {
        const float ki = k[i] * k_part;
        for (int j = 0; j < K; j++)
            s[i * K + j] = a * s[i * K + j] + ki * found[j];
    }
}

void LEVEL(delta_step)(const wlmi_delta *d, wlmi_real *const *state, int keep)
{
    const int K = d->K, heads = d->heads, tasks = d->segments.count * heads;
    const int threads = wlmi_cpu_threads((double)d->segments.starts[d->segments.count] * heads * K * K / 4);
    const size_t square = (size_t)K * K;
    size_t step;
    float *room = wlmi_cpu_scratch(threads, (size_t)K + (keep ? 0 : square), &step);
    if (!room)
        return;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int task = 0; task < tasks; task++) {
        const int b = task / heads, h = task % heads;
        const float rate = expf(((const float *)d->log_rate)[h]);
        float *found = room + step * omp_get_thread_num(), *s = (float *)state[b] + h * square;
        if (!keep)
            s = memcpy(found + K, s, square * sizeof *s);
        for (int t = d->segments.starts[b]; t < d->segments.starts[b + 1]; t++) {
            const size_t gate = (size_t)t * d->gate_stride + (size_t)h, row = (size_t)t * d->stride + (size_t)h * K;
            const float z = ((const float *)d->forget)[gate] + ((const float *)d->bias)[h];
            const float a = expf(-rate * ((z > 0 ? z : 0) + log1pf(expf(-fabsf(z)))));
            const float write = 1 / (1 + expf(-((const float *)d->write)[gate]));
            delta_token((float *)d->o + (size_t)t * d->o_stride + (size_t)h * K, s, found, (const float *)d->q + row,
                        (const float *)d->k + row, (const float *)d->v + row, a, write, K);
        }
    }
    wlmi_cpu_release(room);
}
