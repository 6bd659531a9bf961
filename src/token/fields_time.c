/* fields_time.c: the step from one packet's time to the next, log-scale and exact: a token for the magnitude, with the
 * highest bits of the mantissa folded in where that spares a digit, then digits of 10 bits. Steps of whole microseconds
 * have tokens of their own, so that the resolution of a capture need not be known. */
#include "token/fields.h"

enum { FOLDS = 30, PERIOD = 36 }; /* of 10 magnitudes 4 fold 1 to 4 bits, 6 fold none */

static int magnitude(uint64_t x) /* bits below the leading one */
{
    return 63 - __builtin_clzll(x);
}

static void put_digits(uint64_t mantissa, int bits, wlmi_step *step)
{
    step->count = (uint8_t)((bits + WLMI_DIGIT_BITS - 1) / WLMI_DIGIT_BITS);
    for (int i = 0; i < step->count; i++)
        step->digit[i] = (uint16_t)(mantissa >> WLMI_DIGIT_BITS * (step->count - 1 - i) & 1023);
}

/* Token 0: no step; 1: one microsecond; then 36 tokens for every 10 magnitudes. */
static void put_micro(uint64_t x, wlmi_step *step)
{
    int e = x ? magnitude(x) : 0, period = (e - 1) / 10, r = (e - 1) % 10;
    uint64_t mantissa = x ^ UINT64_C(1) << e;
    step->count = 0;
    if (x <= 1) {
        step->token = (wlmi_token)(WLMI_T_US + x);
    } else if (r < 4) {
        step->token = (wlmi_token)(WLMI_T_US + 2 + PERIOD * period + (2 << r) - 2 + (int)(mantissa >> 10 * period));
        put_digits(mantissa & ((UINT64_C(1) << 10 * period) - 1), 10 * period, step);
    } else {
        step->token = (wlmi_token)(WLMI_T_US + 2 + PERIOD * period + FOLDS + r - 4);
        put_digits(mantissa, e, step);
    }
}

typedef struct grade { /* what a token says: the bits above `bits` further ones */
    uint64_t lead;
    int bits;
    uint64_t unit;
    int back;
} grade;

static grade grade_of(wlmi_token token)
{
    grade g = {0, 0, 1000, 0};
    if (token >= WLMI_T_BACK) {
        g.bits = token - WLMI_T_BACK;
        g.back = 1;
    } else if (token >= WLMI_T_NS) {
        g.bits = token - WLMI_T_NS;
    } else {
        int k = token - WLMI_T_US - 2;
        if (k < 0) {
            g.lead = (uint64_t)(k + 2);
            return g;
        }
        int period = k / PERIOD;
        k %= PERIOD;
        if (k < FOLDS) {
            g.bits = 10 * period;
            g.lead = (uint64_t)(k + 2) << g.bits;
        } else {
            g.bits = 10 * period + 5 + k - FOLDS;
            g.lead = UINT64_C(1) << g.bits;
        }
        return g;
    }
    g.unit = 1;
    g.lead = UINT64_C(1) << g.bits;
    return g;
}

void wlmi_step_spell(int64_t before, int64_t time, wlmi_step *step)
{
    uint64_t x = (uint64_t)time - (uint64_t)before; /* modulo 2^64, so that every pair of times has a step */
    if (x >> 63) {
        x = 0 - x;
        step->token = (wlmi_token)(WLMI_T_BACK + magnitude(x));
        put_digits(x ^ UINT64_C(1) << magnitude(x), magnitude(x), step);
    } else if (x % 1000 == 0 && (x / 1000) >> 45 == 0) {
        put_micro(x / 1000, step);
    } else {
        step->token = (wlmi_token)(WLMI_T_NS + magnitude(x));
        put_digits(x ^ UINT64_C(1) << magnitude(x), magnitude(x), step);
    }
}

int wlmi_step_digits(wlmi_token token, uint32_t *first_high)
{
    int bits = grade_of(token).bits, rest = bits % WLMI_DIGIT_BITS;
    *first_high = (1u << (rest ? rest : WLMI_DIGIT_BITS)) - 1;
    return (bits + WLMI_DIGIT_BITS - 1) / WLMI_DIGIT_BITS;
}

int64_t wlmi_step_read(int64_t before, const wlmi_step *step)
{
    grade g = grade_of(step->token);
    uint64_t x = 0;
    for (int i = 0; i < step->count; i++)
        x = x << WLMI_DIGIT_BITS | step->digit[i];
    x = (x | g.lead) * g.unit;
    return (int64_t)(g.back ? (uint64_t)before - x : (uint64_t)before + x);
}
