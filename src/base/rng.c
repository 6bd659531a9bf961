/* rng.c: seeded chance. */
#include "base/rng.h"

#include <math.h>

uint64_t wlmi_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t wlmi_mix2(uint64_t seed, uint64_t index)
{
    return wlmi_mix(wlmi_mix(seed) ^ index);
}

void wlmi_rng_seed(wlmi_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        rng->s[i] = wlmi_mix2(seed, (uint64_t)i);
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t wlmi_rng_next(wlmi_rng *rng)
{
    uint64_t *s = rng->s, t = s[1] << 17;
    uint64_t result = rotate_left(s[0] + s[3], 23) + s[0];
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t wlmi_rng_below(wlmi_rng *rng, uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, x;
    do
        x = wlmi_rng_next(rng);
    while (x >= limit);
    return x % n;
}

double wlmi_rng_uniform(wlmi_rng *rng)
{
    return (double)(wlmi_rng_next(rng) >> 11) * 0x1p-53;
}

double wlmi_rng_normal(wlmi_rng *rng)
{
    /* Box-Muller without the spare value, so that the state is the whole state. */
    double u = 1.0 - wlmi_rng_uniform(rng), v = wlmi_rng_uniform(rng);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

uint64_t wlmi_permute(uint64_t seed, uint64_t i, uint64_t n)
{
    int half = 1;
    while (half < 32 && (UINT64_C(1) << (2 * half)) < n)
        half++;
    uint64_t mask = (UINT64_C(1) << half) - 1;
    do {
        uint64_t left = i >> half, right = i & mask;
        for (uint64_t round = 0; round < 6; round++) {
            uint64_t next = left ^ (wlmi_mix2(seed + round, right) & mask);
            left = right;
            right = next;
        }
        i = (left << half) | right;
    } while (i >= n);
    return i;
}
