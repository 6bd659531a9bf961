/* rng.h: the one source of chance: seeded, splittable, the same on every machine.
 * Generator: xoshiro256++ (Blackman and Vigna, 2019); seeding and hashing: SplitMix64 (Steele et al., 2014). */
#ifndef WLMI_RNG_H
#define WLMI_RNG_H

#include <stdint.h>

typedef struct wlmi_rng {
    uint64_t s[4]; /* whole state: save and restore by copying */
} wlmi_rng;

/* A well-mixed 64-bit hash of one word. */
uint64_t wlmi_mix(uint64_t x);
/* Hash of two words: a stream of its own for every (seed, index) pair. */
uint64_t wlmi_mix2(uint64_t seed, uint64_t index);

void wlmi_rng_seed(wlmi_rng *rng, uint64_t seed);
uint64_t wlmi_rng_next(wlmi_rng *rng);
/* Uniform in [0, n), without bias; n >= 1. */
uint64_t wlmi_rng_below(wlmi_rng *rng, uint64_t n);
/* Uniform in [0, 1) with 53 bits. */
double wlmi_rng_uniform(wlmi_rng *rng);
/* Standard normal. */
double wlmi_rng_normal(wlmi_rng *rng);

/* The i-th element of a seeded random permutation of [0, n), in constant memory (cycle-walking Feistel). */
uint64_t wlmi_permute(uint64_t seed, uint64_t i, uint64_t n);

#endif
