/* bf16.h: the upper half of a float, as matrix engines and networks take it. */
#ifndef WLMI_BF16_H
#define WLMI_BF16_H

#include <stdint.h>
#include <string.h>

/* Rounded to the nearest, ties to even; what is not finite stays so. */
static inline uint16_t wlmi_to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40); /* a NaN whose low half may hold all that makes it one */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float wlmi_from_bf16(uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

#endif
