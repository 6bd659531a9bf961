/* delta_step.c: gated delta heads one token at a time, for many streams at once. */
#include <math.h>

#include "base/alloc.h"
#include "tensor/cpu/cpu.h"
#include "tensor/cpu/simd.h"

/* S is read once for k^ S and q^ S, and once written: o = a q^ S + (q^ . k^) u. found [K]: working room. */
CLONES static void delta_token(float *restrict o, float *restrict s, float *restrict found, const float *restrict q,
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

void wlmi_cpu_delta_step(const wlmi_delta *d, wlmi_real *const *state, size_t at, int B)
{
    const int K = d->K, heads = d->heads;
    size_t step;
    float *found = wlmi_cpu_scratch(B * heads, (size_t)K, &step);
    if (!found)
        return;
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)B * heads * K * K / 4))
    for (int i = 0; i < B * heads; i++) {
        const int b = i / heads, h = i % heads;
        const size_t gate = (size_t)b * d->gate_stride + (size_t)h;
        const size_t row = (size_t)b * d->stride + (size_t)h * K;
        const float z = ((const float *)d->forget)[gate] + ((const float *)d->bias)[h];
        const float rate = expf(((const float *)d->log_rate)[h]);
        const float a = expf(-rate * ((z > 0 ? z : 0) + log1pf(expf(-fabsf(z)))));
        const float write = 1 / (1 + expf(-((const float *)d->write)[gate]));
        delta_token((float *)d->o + (size_t)b * d->o_stride + (size_t)h * K,
                    (float *)state[b] + at + (size_t)h * K * K, found + (size_t)i * step, (const float *)d->q + row,
                    (const float *)d->k + row, (const float *)d->v + row, a, write, K);
    }
    wlmi_free(found);
}
