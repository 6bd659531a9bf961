/* place.c: counts as rows. */
#include "model/place.h"

/* 1.. for n = 0, 1, 2... */
static int32_t count_row(uint32_t n)
{
    uint32_t row = n + 1;
    if (row >= WLMI_PLACE_EXACT) {
        const uint32_t octave = 31 - (uint32_t)__builtin_clz(row), half = row >> (octave - 1) & 1;
        row = WLMI_PLACE_EXACT + 2 * octave + half - 11; /* 48 is the upper half of octave 5 */
    }
    return (int32_t)(row < WLMI_PLACE_COUNTS ? row : WLMI_PLACE_COUNTS - 1);
}

/* The last token before a payload says how long it is. */
static wlmi_byte_place place_behind(int64_t measure)
{
    const int kind = (int)(measure & 3);
    if (kind == WLMI_MEASURE_FORWARD || kind == WLMI_MEASURE_BACKWARD)
        return (wlmi_byte_place){.left = wlmi_measured_packet(measure).length};
    return kind == WLMI_MEASURE_PLACE ? wlmi_measured_place(measure) : (wlmi_byte_place){.left = 0};
}

void wlmi_place_rows(const int64_t *measure, int T, int32_t *row)
{
    for (int t = 0; t < T; t++) {
        const wlmi_byte_place p = place_behind(measure[t]);
        row[t] = p.left ? count_row(p.offset) : 0;
        row[T + t] = WLMI_PLACE_COUNTS + (p.left ? count_row(p.left - 1) : 0);
        row[2 * T + t] = 2 * WLMI_PLACE_COUNTS + (int32_t)(p.string < WLMI_STRING_STATES ? p.string : 0);
    }
}
