/* linear.h: the feature maps of linear heads, for the chunked and the recurrent form. */
#ifndef WLMI_LINEAR_H
#define WLMI_LINEAR_H

#include <math.h>

#include "tensor/cpu/simd.h"

#define LINEAR_CAP 8.0f
#define LINEAR_FLOOR 1e-3f

/* phi(q)_i = exp(q_i - query_shift(q)): the softmax over K features, scaled by K^-1/2. */
INLINE float query_shift(const float *q, int K)
{
    float top = q[0], total = 0;
#pragma omp simd reduction(max : top)
    for (int i = 0; i < K; i++)
        top = q[i] > top ? q[i] : top;
#pragma omp simd reduction(+ : total)
    for (int i = 0; i < K; i++)
        total += exp_float(q[i] - top);
    return top + logf(total * sqrtf((float)K));
}

INLINE float map_key(float k)
{
    return exp_float(LINEAR_CAP * tanh_float(k / LINEAR_CAP));
}

#endif
