/* measure.h: what a token says in numbers, beside itself, for models to add up (model/summary.h). A length that is spelt
 * in digits looks like no other length, and one that is told as "the same" names none. A token has one measure at most:
 *   the last token of a packet's time: nanoseconds since the packet before;
 *   the last token of its length: payload bytes (a raw packet's captured bytes), by direction. */
#ifndef WLMI_MEASURE_H
#define WLMI_MEASURE_H

#include <stdint.h>

enum { WLMI_MEASURE_GAP = 1, WLMI_MEASURE_FORWARD, WLMI_MEASURE_BACKWARD };

/* 0: the token has none. */
static inline int64_t wlmi_measure_gap(int64_t ns)
{
    const int64_t most = INT64_MAX >> 2;
    return (ns < 0 ? 0 : ns > most ? most : ns) * 4 + WLMI_MEASURE_GAP;
}

static inline int64_t wlmi_measure_length(int backward, uint32_t bytes)
{
    return (int64_t)bytes * 4 + (backward ? WLMI_MEASURE_BACKWARD : WLMI_MEASURE_FORWARD);
}

#endif
