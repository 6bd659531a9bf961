/* bytes.h: what encoder, decoder and grammar of the codec `bytes` share: its tokens, roles and state.
 * Names are short because nothing else includes it. */
#ifndef WLMI_BYTES_H
#define WLMI_BYTES_H

#include "token/number.h"

enum { START = 256, SAME, CLOSED, TIMEOUT, CUT, VOCABULARY, WORDS = (VOCABULARY + 63) / 64 };

enum { /* first tokens that announce a longer number */
    LINK_2 = 254,   /* a link type in 2 bytes */
    LINK_4 = 255,   /* in 4 bytes */
    LENGTH_4 = 255, /* a length in 4 bytes; else the token is the high one of 2 */
    SHORT_LENGTHS = LENGTH_4 << 8
};

enum { BACKWARD = 64, TIME_TOKENS = 128 }; /* time tokens: 0..63 bits forward, 1..64 bits backward */

enum role {
    BORDER,
    LINK,
    LINK_LONG,
    TIME,
    TIME_1, /* bits below the leading one, this many bytes still to come; up to TIME_1 + 7 */
    CAPTURED = TIME_1 + 8,
    CAPTURED_LOW,
    CAPTURED_LONG,
    WIRE,
    WIRE_LOW,
    WIRE_LONG,
    DATA,
    DONE,
    ROLES
};

struct wlmi_coder {
    wlmi_coder_options options;
    uint8_t role;
    wlmi_number number;
    int backward;         /* the time step being read is negative */
    uint64_t leading;     /* its leading bit */
    wlm_packet packet;    /* being read, or the last one complete; link_type and time_ns: those of the one before */
    uint64_t packets;     /* complete ones */
    uint8_t *data;
    size_t have, capacity;
    wlmi_end end;
};

static inline int bits_of(uint64_t x)
{
    return x ? 64 - __builtin_clzll(x) : 0;
}

wlm_status wlmi_bytes_encode(wlmi_coder *coder, const wlm_packet *packet, wlmi_tokens *out, wlm_error *error);
wlm_status wlmi_bytes_encode_end(wlmi_coder *coder, wlmi_end end, wlmi_tokens *out, wlm_error *error);

#endif
