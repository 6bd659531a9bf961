/* steps.c: mixers one token at a time. */
#include "tensor/cpu/cpu.h"
#include "tensor/cpu/linear.h"
#include "tensor/cpu/simd.h"

enum { PIECE = 64 };

/* One head: keys and values of consecutive slots are `row` values apart. Scores are taken 64 tokens at a time, oldest
 * first, with a running maximum. */
CLONES static void attention_head(float *restrict o, const float *restrict q, const float *restrict keys,
                                  const float *restrict values, int newest, int n, int capacity, int row, int K)
{
    const float factor = 1 / sqrtf((float)K);
    float top = 0, total = 0;
    int slot = newest - (n - 1) >= 0 ? newest - (n - 1) : newest - (n - 1) + capacity;
    for (int i = 0; i < K; i++)
        o[i] = 0;
    for (int done = 0; done < n; done += PIECE) {
        const int count = n - done < PIECE ? n - done : PIECE, first = slot;
        float score[PIECE], highest, fade;
        for (int j = 0; j < count; j++) {
            const float *key = keys + (size_t)slot * row;
            float s = 0;
#pragma omp simd reduction(+ : s)
            for (int i = 0; i < K; i++)
                s += q[i] * key[i];
            score[j] = s * factor;
            slot = slot + 1 == capacity ? 0 : slot + 1;
        }
        highest = done ? top : score[0];
        for (int j = 0; j < count; j++)
            highest = score[j] > highest ? score[j] : highest;
        fade = done ? exp_float(top - highest) : 0;
        top = highest;
        total *= fade;
        for (int i = 0; i < K; i++)
            o[i] *= fade;
        for (int j = 0; j < count; j++)
            score[j] = exp_float(score[j] - top);
        slot = first;
        for (int j = 0; j < count; j++) {
            const float *value = values + (size_t)slot * row;
            total += score[j];
            for (int i = 0; i < K; i++)
                o[i] += score[j] * value[i];
            slot = slot + 1 == capacity ? 0 : slot + 1;
        }
    }
    for (int i = 0; i < K; i++)
        o[i] /= total;
}

void wlmi_cpu_attention_step(wlmi_real *o, const wlmi_real *q, const wlmi_real *keys, const wlmi_real *values,
                             int newest, int n, int capacity, int heads, int K)
{
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)n * heads * K / 8))
    for (int h = 0; h < heads; h++)
        attention_head((float *)o + h * K, (const float *)q + h * K, (const float *)keys + h * K,
                       (const float *)values + h * K, newest, n, capacity, heads * K, K);
}

CLONES static void linear_head(float *restrict o, float *restrict s, float *restrict z, const float *restrict q,
                               const float *restrict k, const float *restrict v, int K)
{
    const float shift = query_shift(q, K);
    float norm = 0;
    for (int j = 0; j < K; j++)
        o[j] = 0;
    for (int i = 0; i < K; i++, s += K) {
        const float key = map_key(k[i]), query = exp_float(q[i] - shift);
        z[i] += key;
        norm += query * z[i];
        for (int j = 0; j < K; j++) {
            s[j] += key * v[j];
            o[j] += query * s[j];
        }
    }
    norm = norm > LINEAR_FLOOR ? norm : LINEAR_FLOOR;
    for (int j = 0; j < K; j++)
        o[j] /= norm;
}

void wlmi_cpu_linear_step(wlmi_real *o, wlmi_real *s, wlmi_real *z, const wlmi_real *q, const wlmi_real *k,
                          const wlmi_real *v, int heads, int K)
{
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)heads * K * K / 8))
    for (int h = 0; h < heads; h++)
        linear_head((float *)o + h * K, (float *)s + (size_t)h * K * K, (float *)z + h * K, (const float *)q + h * K,
                    (const float *)k + h * K, (const float *)v + h * K, K);
}
