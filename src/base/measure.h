/* measure.h: what a token says in numbers, beside itself, for models to add up (model/summary.h). A length that is spelt
 * in digits looks like no other length, one that is told as "the same" names none, and what a header has as predicted
 * takes no token at all. A token has one measure at most, never negative; 0: it has none.
 *   The last token of a packet's time: nanoseconds since the packet before.
 *   The last token of its length: the packet's size, direction and header.
 *   Of what follows that, tokens behind which a byte of the same body comes: where that byte stands (model/place.h). */
#ifndef WLMI_MEASURE_H
#define WLMI_MEASURE_H

#include <stdint.h>

enum { WLMI_MEASURE_PLACE, WLMI_MEASURE_GAP, WLMI_MEASURE_FORWARD, WLMI_MEASURE_BACKWARD }; /* the lowest two bits */

/* A packet in numbers; what its headers do not have is 0, as all of a raw packet's but its size. */
typedef struct wlmi_measured {
    int backward;
    uint32_t length;  /* payload bytes, of a raw packet all bytes on the wire; 262,143 stands for more too */
    uint32_t ttl;     /* hop limit; 0 behind WLMI_SHAPE_PROTOCOL, whose header says nothing */
    uint32_t flags;   /* TCP: CWR to FIN */
    uint32_t window;  /* TCP: as the field has it */
    uint32_t options; /* TCP: words of options, 0 to 10 */
    uint32_t scale;   /* TCP: 1 + window scale where the packet has that option; 15 stands for more too */
    int is_ip6, keeps_whole, has_id; /* IPv4: don't fragment; identification is not 0 */
} wlmi_measured;

/* What policy shape makes of every packet's protocol: one for experiments (RFC 3692), so that it shows. */
enum { WLMI_SHAPE_PROTOCOL = 253 };

/* Where a byte stands in its packet's payload, or in a raw packet. */
typedef struct wlmi_byte_place {
    uint32_t offset; /* bytes before it; 262,143 stands for more too, as of left */
    uint32_t left;   /* bytes from it on, itself among them: at least 1 */
    uint32_t string; /* as wlmi_string_next() says */
} wlmi_byte_place;

enum { WLMI_STRING_ENDED = 1, WLMI_STRING_STATES = 65, WLMI_TEXT = 32 };

/* Many formats tell a string's length in the byte before it: names of DNS, MQTT, Kerberos. What a byte makes of the state
 * (0: at first): 1 + the bytes that are to come if the last byte that can be no text was such a length. Behind the last
 * of them stands the next length, which may be a text's byte too. */
static inline uint32_t wlmi_string_next(uint32_t state, uint8_t byte)
{
    const uint32_t longest = state == WLMI_STRING_ENDED ? WLMI_STRING_STATES - 1 : WLMI_TEXT;
    return byte > 0 && byte < longest ? byte + 1u : state > 0 ? state - 1 : 0;
}

static inline int64_t wlmi_measure_place(const wlmi_byte_place *p)
{
    const uint64_t most = 0x3ffff, offset = p->offset < most ? p->offset : most, left = p->left < most ? p->left : most;
    return (int64_t)(WLMI_MEASURE_PLACE | left << 2 | offset << 20 | (uint64_t)p->string << 38);
}

/* Of a measure that is a place's. */
static inline wlmi_byte_place wlmi_measured_place(int64_t measure)
{
    const uint64_t m = (uint64_t)measure;
    return (wlmi_byte_place){.offset = m >> 20 & 0x3ffff, .left = m >> 2 & 0x3ffff, .string = m >> 38 & 127};
}

static inline int64_t wlmi_measure_gap(int64_t ns)
{
    const int64_t most = INT64_MAX >> 2;
    return (ns < 0 ? 0 : ns > most ? most : ns) * 4 + WLMI_MEASURE_GAP;
}

static inline int64_t wlmi_measure_packet(const wlmi_measured *p)
{
    const uint64_t length = p->length < 0x3ffff ? p->length : 0x3ffff, scale = p->scale < 15 ? p->scale : 15;
    return (int64_t)((uint64_t)(p->backward ? WLMI_MEASURE_BACKWARD : WLMI_MEASURE_FORWARD) | length << 2 |
                     (uint64_t)(p->ttl & 255) << 20 | (uint64_t)(p->flags & 255) << 28 |
                     (uint64_t)(p->window & 65535) << 36 | (uint64_t)(p->options & 15) << 52 | scale << 56 |
                     (uint64_t)(p->is_ip6 != 0) << 60 | (uint64_t)(p->keeps_whole != 0) << 61 |
                     (uint64_t)(p->has_id != 0) << 62);
}

/* Of a measure that is a packet's. */
static inline wlmi_measured wlmi_measured_packet(int64_t measure)
{
    const uint64_t m = (uint64_t)measure;
    return (wlmi_measured){.backward = (m & 3) == WLMI_MEASURE_BACKWARD, .length = m >> 2 & 0x3ffff,
                           .ttl = m >> 20 & 255, .flags = m >> 28 & 255, .window = m >> 36 & 65535,
                           .options = m >> 52 & 15, .scale = m >> 56 & 15, .is_ip6 = m >> 60 & 1,
                           .keeps_whole = m >> 61 & 1, .has_id = m >> 62 & 1};
}

#endif
