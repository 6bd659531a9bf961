/* number.h: a number read digit by digit, each digit a byte, with bounds that hold after any prefix: the register
 * behind those roles of a grammar that spell numbers. */
#ifndef WLMI_NUMBER_H
#define WLMI_NUMBER_H

#include "token/codec.h"

#define WLMI_NO_EXCEPT UINT64_MAX

typedef struct wlmi_number { /* big-endian digits that make a value in low..high other than except */
    uint64_t value, low, high, except;
    int left; /* digits to come, at most 8 */
} wlmi_number;

/* Digits of x above the last `left` ones. */
static inline uint64_t wlmi_number_above(uint64_t x, int left)
{
    return left >= 8 ? 0 : x >> 8 * left;
}

/* Cuts `allowed` to what the next digit can be. The bounds leave at least two values after any prefix of their own
 * wherever there is an exception. */
static inline void wlmi_number_bounds(const wlmi_number *n, wlmi_allowed *allowed)
{
    int after = n->left - 1;
    allowed->low = 0;
    if (n->value == wlmi_number_above(n->low, n->left))
        allowed->low = (wlmi_token)(wlmi_number_above(n->low, after) & 255);
    allowed->high = 255;
    if (n->value == wlmi_number_above(n->high, n->left))
        allowed->high = (wlmi_token)(wlmi_number_above(n->high, after) & 255);
    if (after == 0 && n->except <= n->high && n->value == n->except >> 8)
        allowed->except = (int32_t)(n->except & 255);
}

#endif
