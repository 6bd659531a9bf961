/* level.h: sizes and times on a log scale, for models to have beside tokens. A number that is spelt in digits looks like
 * no other number, one that is told as "the same" or as a difference names none; a level lies near those of numbers like
 * it. A token has one level at most:
 *   a packet's kind: the payload bytes that its direction has sent in the packets before;
 *   the last token of its time: how long the flow has lasted;
 *   the last token of its length: its length. */
#ifndef WLMI_LEVEL_H
#define WLMI_LEVEL_H

#include <stdint.h>

enum {
    WLMI_LEVEL_NONE,
    WLMI_LEVEL_LENGTH,        /* in bytes, four levels to the octave; forward, then backward */
    WLMI_LEVEL_LENGTHS = 72,
    WLMI_LEVEL_TOTAL = WLMI_LEVEL_LENGTH + 2 * WLMI_LEVEL_LENGTHS, /* likewise */
    WLMI_LEVEL_TOTALS = 96,
    WLMI_LEVEL_ELAPSED = WLMI_LEVEL_TOTAL + 2 * WLMI_LEVEL_TOTALS, /* in microseconds, two to the octave */
    WLMI_LEVEL_ELAPSEDS = 80,
    WLMI_LEVELS = WLMI_LEVEL_ELAPSED + WLMI_LEVEL_ELAPSEDS
};

/* x with `bits` bits after its leading one, counted on without a gap; levels - 1 for all that is larger. */
static inline uint16_t wlmi_level_of(uint64_t x, int bits, int levels)
{
    const int beyond = x >> (bits + 1) ? 63 - __builtin_clzll(x) - bits : 0; /* bits that do not count */
    const int level = (beyond << bits) + (int)(x >> beyond);
    return (uint16_t)(level < levels ? level : levels - 1);
}

static inline uint16_t wlmi_level_length(int backward, uint64_t bytes)
{
    return (uint16_t)(WLMI_LEVEL_LENGTH + (backward ? WLMI_LEVEL_LENGTHS : 0) +
                      wlmi_level_of(bytes, 2, WLMI_LEVEL_LENGTHS));
}

static inline uint16_t wlmi_level_total(int backward, uint64_t bytes)
{
    return (uint16_t)(WLMI_LEVEL_TOTAL + (backward ? WLMI_LEVEL_TOTALS : 0) +
                      wlmi_level_of(bytes, 2, WLMI_LEVEL_TOTALS));
}

static inline uint16_t wlmi_level_elapsed(int64_t ns)
{
    return (uint16_t)(WLMI_LEVEL_ELAPSED + wlmi_level_of(ns > 0 ? (uint64_t)ns / 1000 : 0, 1, WLMI_LEVEL_ELAPSEDS));
}

#endif
