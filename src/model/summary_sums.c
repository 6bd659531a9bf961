/* summary_sums.c: what a stream's measures add up to, in constant memory. */
#include <math.h>

#include "base/measure.h"
#include "model/summary.h"

enum { /* of the state */
    PACKETS,
    GAP,      /* before the packet whose length is to come, seconds */
    DURATION, /* seconds */
    CHANGES,  /* of direction */
    LAST,     /* direction */
    SINCE,    /* [2]: seconds since the last packet of either direction */
    IS_IP6 = SINCE + 2,
    SERIES,
    FIRST = SERIES + 5 * WLMI_SUMMARY_SERIES, /* [WLMI_SUMMARY_FIRST, 2]: size, negative backward; gap before it */
    HEADER = FIRST + 2 * WLMI_SUMMARY_FIRST,  /* [2, WLMI_SUMMARY_HEADER]: of either direction */
    IN_BODY = HEADER + 2 * WLMI_SUMMARY_HEADER, /* whether the next token can be a byte of the packet's payload */
    TOLD,                                     /* [2]: bytes of either direction */
    BYTES = TOLD + 2                          /* [2, WLMI_SUMMARY_BYTES] */
};
_Static_assert(BYTES + 2 * WLMI_SUMMARY_BYTES == WLMI_SUMMARY_STATE, "nothing stands behind the bytes");
enum { FLAGS = 8, TTL = FLAGS, WINDOW, OPTIONS, SCALE, WHOLE, ID, LAST_TTL, LAST_WINDOW }; /* of a direction's headers:
    packets with each flag; what its first packet had; what its last had */
enum { COUNT, MEAN, SQUARES, LEAST, MOST, PARTS }; /* of a series; squares of differences from the mean */
enum { SIZES, SIZES_OF, FULL_OF = SIZES_OF + 2, GAPS = FULL_OF + 2, GAPS_OF };

static const float absent = -30, no_byte = -1, microseconds = 1e6f;

/* ---------------------------------------------------------------- adding up */

/* Welford, 1962. */
static void add(float *state, int series, float x)
{
    float *s = state + SERIES + PARTS * series, off = x - s[MEAN];
    s[COUNT]++;
    s[MEAN] += off / s[COUNT];
    s[SQUARES] += off * (x - s[MEAN]);
    s[LEAST] = s[COUNT] == 1 || x < s[LEAST] ? x : s[LEAST];
    s[MOST] = s[COUNT] == 1 || x > s[MOST] ? x : s[MOST];
}

static void take_header(float *state, const wlmi_measured *p, int is_first)
{
    float *s = state + HEADER + WLMI_SUMMARY_HEADER * p->backward;
    for (int i = 0; i < FLAGS; i++)
        s[i] += (float)(p->flags >> i & 1);
    s[LAST_TTL] = (float)p->ttl;
    s[LAST_WINDOW] = (float)p->window;
    if (!is_first)
        return;
    s[TTL] = (float)p->ttl;
    s[WINDOW] = (float)p->window;
    s[OPTIONS] = (float)p->options;
    s[SCALE] = (float)p->scale;
    s[WHOLE] = (float)p->keeps_whole;
    s[ID] = (float)p->has_id;
}

static void take_packet(float *s, const wlmi_measured *p)
{
    const int backward = p->backward, first = s[PACKETS] == 0;
    const float size = (float)p->length;
    const float gap = first ? 0 : s[GAP];
    if (s[PACKETS] < WLMI_SUMMARY_FIRST) {
        float *own = s + FIRST + 2 * (int)s[PACKETS];
        own[0] = backward ? -size : size;
        own[1] = gap;
    }
    if (!first) {
        add(s, GAPS, gap);
        s[DURATION] += gap;
        s[SINCE] += gap;
        s[SINCE + 1] += gap;
        s[CHANGES] += (int)s[LAST] != backward;
    }
    if (s[SERIES + PARTS * (SIZES_OF + backward) + COUNT] > 0)
        add(s, GAPS_OF + backward, s[SINCE + backward]);
    s[SINCE + backward] = 0;
    if (first)
        s[IS_IP6] = (float)p->is_ip6;
    take_header(s, p, s[SERIES + PARTS * (SIZES_OF + backward) + COUNT] == 0);
    add(s, SIZES, size);
    add(s, SIZES_OF + backward, size);
    if (size > 0)
        add(s, FULL_OF + backward, size);
    s[LAST] = (float)backward;
    s[PACKETS]++;
}

/* A payload byte is a token of its own in every codec that measures, and the token before one says where it stands. */
static void take_byte(float *state, float byte)
{
    const int way = (int)state[LAST];
    const int at = (int)state[TOLD + way];
    if (at < WLMI_SUMMARY_BYTES) {
        state[BYTES + WLMI_SUMMARY_BYTES * way + at] = byte;
        state[TOLD + way]++;
    }
}

void wlmi_summary_take(float *state, int32_t token, int64_t measure)
{
    const int kind = (int)(measure & 3);
    const wlmi_measured packet = wlmi_measured_packet(measure);
    if (state[IN_BODY] > 0 && token < 256)
        take_byte(state, (float)token);
    state[IN_BODY] = (float)(measure != 0 && kind != WLMI_MEASURE_GAP);
    if (kind == WLMI_MEASURE_GAP)
        state[GAP] = (float)((double)(measure >> 2) * 1e-9);
    else if (kind != WLMI_MEASURE_PLACE)
        take_packet(state, &packet);
}

enum { /* of the numbers */
    HEADER_NUMBERS = 6 * WLMI_SUMMARY_SERIES + 2 + 2 * WLMI_SUMMARY_FIRST + 1,
    BYTE_NUMBERS = HEADER_NUMBERS + 2 * WLMI_SUMMARY_HEADER
};

int wlmi_summary_shown(const float *number)
{
    for (int way = 0; way < 2; way++) {
        const float *header = number + HEADER_NUMBERS + WLMI_SUMMARY_HEADER * way;
        for (int i = 0; i < WLMI_SUMMARY_HEADER; i++)
            if (header[i] > 0)
                return WLMI_SHOWN_HEADERS;
        if (number[BYTE_NUMBERS + WLMI_SUMMARY_BYTES * way] > no_byte)
            return WLMI_SHOWN_HEADERS;
    }
    return WLMI_SHOWN_SHAPE;
}

static float logarithm(float x)
{
    return copysignf(log2f(1 + fabsf(x)), x);
}

void wlmi_summary_numbers(const float *state, float *number)
{
    for (int i = 0; i < WLMI_SUMMARY_SERIES; i++) {
        const float *s = state + SERIES + PARTS * i, unit = i < GAPS ? 1 : microseconds;
        const int none = s[COUNT] == 0;
        *number++ = logarithm(s[COUNT]);
        *number++ = logarithm(unit * s[COUNT] * s[MEAN]);
        *number++ = none ? absent : logarithm(unit * s[MEAN]);
        *number++ = none ? absent : logarithm(unit * sqrtf(s[SQUARES] / s[COUNT]));
        *number++ = none ? absent : logarithm(unit * s[LEAST]);
        *number++ = none ? absent : logarithm(unit * s[MOST]);
    }
    *number++ = logarithm(microseconds * state[DURATION]);
    *number++ = logarithm(state[CHANGES]);
    for (int i = 0; i < WLMI_SUMMARY_FIRST; i++) {
        const int none = i >= state[PACKETS];
        *number++ = none ? absent : logarithm(state[FIRST + 2 * i]);
        *number++ = none ? absent : logarithm(microseconds * state[FIRST + 2 * i + 1]);
    }
    *number++ = state[IS_IP6];
    for (int way = 0; way < 2; way++) {
        const float *s = state + HEADER + WLMI_SUMMARY_HEADER * way;
        const int none = state[SERIES + PARTS * (SIZES_OF + way) + COUNT] == 0;
        for (int i = 0; i < WLMI_SUMMARY_HEADER; i++)
            *number++ = none ? absent : i == WINDOW || i == LAST_WINDOW || i < FLAGS ? logarithm(s[i]) : s[i];
    }
    for (int way = 0; way < 2; way++)
        for (int i = 0; i < WLMI_SUMMARY_BYTES; i++)
            *number++ = i < state[TOLD + way] ? state[BYTES + WLMI_SUMMARY_BYTES * way + i] : no_byte;
}
