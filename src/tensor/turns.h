/* turns.h: angles of rotary positions, counted in whole units of 2^-64 turns: they wrap as turns do, so that a phase is
 * exact and the phases of two positions differ by that of their distance, however far from the start they are. */
#ifndef WLMI_TURNS_H
#define WLMI_TURNS_H

#include <math.h>
#include <stdint.h>

#define WLMI_TURN 6.283185307179586

/* What pair i of a head of K values turns by per token: 10000^(-2i/K) radians. Times a position: its phase. */
static inline uint64_t wlmi_turn_speed(int i, int K)
{
    return (uint64_t)ldexp(pow(10000, -2.0 * i / K) / WLMI_TURN, 64);
}

static inline double wlmi_turn_radians(uint64_t phase)
{
    return WLMI_TURN * ldexp((double)phase, -64);
}

#endif
