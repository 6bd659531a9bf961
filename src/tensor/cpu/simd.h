/* simd.h: elementary functions whose loops the compiler vectorises. */
#ifndef WLMI_SIMD_H
#define WLMI_SIMD_H

#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* To and from bf16: as in base/bf16.h, in a form that vectorises. */
INLINE uint16_t narrow(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

INLINE float widen(uint16_t x)
{
    const uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

/* 16 floats, which the compiler keeps in as many registers as they take: for sums that a loop over an array in memory
 * would store and load again at every turn. */
typedef float lanes __attribute__((vector_size(64)));
typedef uint32_t lane_bits __attribute__((vector_size(64)));
typedef float lanes_at __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint16_t narrow_lanes_at __attribute__((vector_size(32), aligned(2), may_alias));
enum { LANES = 16 };
#define LANES_OF(x) (*(const lanes_at *)(x))
#define WIDENED_LANES_OF(x) ((lanes)(__builtin_convertvector(*(const narrow_lanes_at *)(x), lane_bits) << 16))

/* exp(x) for x in [-87, 88], outside as at the border, relative error below 2e-7; loops over it vectorise.
 * exp(x) = 2^n exp(r) with n = round(x / ln 2), ln 2 in two parts; the polynomial for |r| <= ln(2)/2 is that of the
 * Cephes library's expf (Moshier, 1992). NaN stays NaN. */
INLINE float exp_float(float x)
{
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it leaves the rounded integer in the low mantissa bits */
    float t, n, r, p, power;
    uint32_t bits;
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    t = x * 1.44269504088896341f + round;
    n = t - round;
    r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    memcpy(&bits, &t, sizeof bits);
    bits = (bits + 127) << 23;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

INLINE float sigmoid_float(float x)
{
    return 1.0f / (1.0f + exp_float(-x));
}

/* Absolute error below 3e-7. */
INLINE float tanh_float(float x)
{
    return 1.0f - 2.0f / (1.0f + exp_float(2.0f * x));
}

#endif
