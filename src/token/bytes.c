/* bytes.c: the codec `bytes`, its grammar and decoder: TrafficGPT's tokens (arXiv 2403.05822), made exact.
 * docs/TOKENS.md has the layout.
 *
 * A packet is: start; link type; time since the packet before, as an exponent and the bits below the leading one;
 * captured length; length on the wire; one token per byte. Every number has one spelling, so that packets and tokens
 * determine each other. The role of the next token is the whole control state; numbers of several tokens are read
 * into one register that bounds each further digit. */
#include <stdio.h>

#include "base/alloc.h"
#include "capture/capture.h"
#include "capture/decode.h"
#include "token/bytes.h"

static const int64_t longest_step = INT64_C(3600) * 1000000000; /* generating: an hour */

static const char *const role_names[ROLES] = {
    "border", "link", "link-long", "time", "time-1", "time-2", "time-3", "time-4", "time-5", "time-6", "time-7",
    "time-8", "captured", "captured-low", "captured-long", "wire", "wire-low", "wire-long", "data", "done"};

#define ALL UINT64_MAX
#define BIT(token) (UINT64_C(1) << ((token) & 63))
#define ROW_BYTES {ALL, ALL, ALL, ALL, 0}
#define ROW_BYTES_SAME {ALL, ALL, ALL, ALL, BIT(SAME)}

static const uint64_t rows[ROLES][WORDS] = {
    [BORDER] = {0, 0, 0, 0, BIT(START) | BIT(CLOSED) | BIT(TIMEOUT) | BIT(CUT)},
    [LINK] = ROW_BYTES_SAME,
    [LINK_LONG] = ROW_BYTES,
    [TIME] = {ALL, ALL, 0, 0, 0},
    [TIME_1] = ROW_BYTES,
    [TIME_1 + 1] = ROW_BYTES,
    [TIME_1 + 2] = ROW_BYTES,
    [TIME_1 + 3] = ROW_BYTES,
    [TIME_1 + 4] = ROW_BYTES,
    [TIME_1 + 5] = ROW_BYTES,
    [TIME_1 + 6] = ROW_BYTES,
    [TIME_1 + 7] = ROW_BYTES,
    [CAPTURED] = ROW_BYTES,
    [CAPTURED_LOW] = ROW_BYTES,
    [CAPTURED_LONG] = ROW_BYTES,
    [WIRE] = ROW_BYTES_SAME,
    [WIRE_LOW] = ROW_BYTES,
    [WIRE_LONG] = ROW_BYTES,
    [DATA] = ROW_BYTES,
};

/* What a generated flow can begin with: the link types that decode knows; LINK_2 leads to SLL2 alone. */
static const uint64_t generated_links[WORDS] = {
    BIT(WLMI_LINK_NULL) | BIT(WLMI_LINK_ETHERNET) | BIT(WLMI_LINK_PPP) | BIT(WLMI_LINK_RAW_BSD) |
        BIT(WLMI_LINK_RAW_OPENBSD) | BIT(WLMI_LINK_PPP_HDLC),
    BIT(WLMI_LINK_RAW) | BIT(WLMI_LINK_LOOP) | BIT(WLMI_LINK_SLL), 0,
    BIT(WLMI_LINK_IPV4) | BIT(WLMI_LINK_IPV6) | BIT(LINK_2), 0};

/* The longest step that a sampler may take from here. */
static uint64_t step_bound(const wlmi_coder *c)
{
    int64_t room = c->packet.time_ns > 0 ? INT64_MAX - c->packet.time_ns : INT64_MAX;
    return (uint64_t)(room < longest_step ? room : longest_step);
}

static uint32_t captured_bound(const wlmi_coder *c)
{
    uint32_t snap = c->options.snap_length ? c->options.snap_length : 65535;
    return c->options.generating && snap < WLMI_RECORD_MAX ? snap : (uint32_t)WLMI_RECORD_MAX;
}

static void bytes_allowed(const wlmi_coder *c, wlmi_allowed *a)
{
    int generating = c->options.generating;
    uint32_t bound;
    a->row = rows[c->role];
    a->low = 0;
    a->high = 255;
    a->except = -1;
    switch (c->role) {
    case BORDER:
        a->low = START;
        a->high = generating && c->packets == 0 ? START : CUT;
        break;
    case LINK:
        if (c->packets == 0) {
            a->row = generating ? generated_links : a->row;
            break;
        }
        a->low = generating ? SAME : 0;
        a->high = SAME;
        a->except = c->packet.link_type < LINK_2 ? (int32_t)c->packet.link_type : -1;
        break;
    case TIME:
        a->high = (wlmi_token)(generating ? bits_of(step_bound(c)) : TIME_TOKENS - 1);
        break;
    case CAPTURED:
        bound = captured_bound(c);
        a->high = bound < SHORT_LENGTHS ? (wlmi_token)(bound >> 8) : LENGTH_4;
        break;
    case WIRE:
        a->low = generating ? SAME : 0;
        a->high = SAME;
        if (generating == WLMI_GENERATING_CUT) { /* in two tokens, and more than was captured */
            a->low = (wlmi_token)((c->packet.captured + 1) >> 8 < LENGTH_4 ? (c->packet.captured + 1) >> 8 : SAME);
            a->except = LENGTH_4;
        }
        break;
    case DATA:
        break;
    case DONE:
        a->low = 1;
        a->high = 0;
        break;
    default:
        wlmi_number_bounds(&c->number, a);
    }
}

static wlm_status bytes_make(wlmi_coder **coder, wlm_error *error)
{
    *coder = wlmi_alloc_zero(1, sizeof **coder);
    return *coder ? WLM_OK : WLMI_NO_MEMORY(error);
}

static void bytes_start(wlmi_coder *c, const wlmi_coder_options *options)
{
    c->options = *options;
    c->role = BORDER;
    c->packets = 0;
    c->packet = (wlm_packet){.time_ns = options->start_ns};
}

static void bytes_drop(wlmi_coder *c)
{
    if (!c)
        return;
    wlmi_free(c->data);
    wlmi_free(c);
}

/* ---- decoding */

static void expect(wlmi_coder *c, int role, uint64_t value, int digits, uint64_t low, uint64_t high, uint64_t except)
{
    c->role = (uint8_t)role;
    c->number = (wlmi_number){value, low, high, except, digits};
}

static void take_step(wlmi_coder *c, uint64_t magnitude)
{
    uint64_t time = (uint64_t)c->packet.time_ns; /* modulo 2^64, so that every pair of times has a step */
    c->packet.time_ns = (int64_t)(c->backward ? time - magnitude : time + magnitude);
    c->role = CAPTURED;
}

static void take_time(wlmi_coder *c, wlmi_token token)
{
    int bits, digits;
    uint64_t high;
    c->backward = token >= BACKWARD;
    bits = c->backward ? token - BACKWARD + 1 : token;
    c->leading = bits ? UINT64_C(1) << (bits - 1) : 0;
    if (bits <= 1 || bits == 64) { /* of 64 bits there is one step, that to the far end */
        take_step(c, c->leading);
        return;
    }
    high = c->leading - 1;
    if (c->options.generating && step_bound(c) - c->leading < high)
        high = step_bound(c) - c->leading;
    digits = (bits + 6) / 8;
    expect(c, TIME_1 + digits - 1, 0, digits, 0, high, WLMI_NO_EXCEPT);
}

static void take_length(wlmi_coder *c, int low_role, wlmi_token token, uint64_t low, uint64_t bound, uint64_t except)
{
    if (token == LENGTH_4)
        expect(c, low_role + 1, 0, 4, SHORT_LENGTHS, bound, except);
    else
        expect(c, low_role, token, 1, low, bound < SHORT_LENGTHS ? bound : SHORT_LENGTHS - 1, except);
}

static wlmi_pushed complete(wlmi_coder *c)
{
    static const uint8_t nothing[1];
    c->packet.data = c->data ? c->data : nothing;
    c->packet.number = ++c->packets;
    c->role = BORDER;
    return WLMI_PUSHED_PACKET;
}

static wlmi_pushed take_wire(wlmi_coder *c, uint32_t wire)
{
    c->packet.wire = wire;
    c->have = 0;
    c->role = DATA;
    return c->packet.captured ? WLMI_PUSHED : complete(c);
}

/* One more digit; the number that it completes goes where the role says. */
static wlmi_pushed take_digit(wlmi_coder *c, wlmi_token token)
{
    c->number.value = c->number.value << 8 | token;
    if (--c->number.left > 0) {
        if (c->role > TIME_1 && c->role < CAPTURED)
            c->role--;
        return WLMI_PUSHED;
    }
    switch (c->role) {
    case LINK_LONG:
        c->packet.link_type = (uint32_t)c->number.value;
        c->role = TIME;
        return WLMI_PUSHED;
    case TIME_1:
        take_step(c, c->leading | c->number.value);
        return WLMI_PUSHED;
    case CAPTURED_LOW:
    case CAPTURED_LONG:
        c->packet.captured = (uint32_t)c->number.value;
        c->role = WIRE;
        return WLMI_PUSHED;
    default:
        return take_wire(c, (uint32_t)c->number.value);
    }
}

static void take_link(wlmi_coder *c, wlmi_token token)
{
    uint64_t except = c->packets ? c->packet.link_type : WLMI_NO_EXCEPT;
    if (token == LINK_2 && c->options.generating)
        expect(c, LINK_LONG, 0, 2, WLMI_LINK_SLL2, WLMI_LINK_SLL2, WLMI_NO_EXCEPT);
    else if (token == LINK_2)
        expect(c, LINK_LONG, 0, 2, LINK_2, UINT16_MAX, except);
    else if (token == LINK_4)
        expect(c, LINK_LONG, 0, 4, UINT16_MAX + 1, UINT32_MAX, except);
    else {
        if (token != SAME)
            c->packet.link_type = token;
        c->role = TIME;
    }
}

static wlm_status bytes_push(wlmi_coder *c, wlmi_token token, wlmi_pushed *what, wlm_error *error)
{
    wlmi_allowed allowed;
    *what = WLMI_PUSHED;
    if (c->role == DATA && token < START) { /* most tokens are */
        if (c->have == c->capacity && !wlmi_grow(&c->data, &c->capacity, c->have + 1, 1))
            return WLMI_NO_MEMORY(error);
        c->data[c->have++] = (uint8_t)token;
        if (c->have == c->packet.captured)
            *what = complete(c);
        return WLM_OK;
    }
    bytes_allowed(c, &allowed);
    if (token >= VOCABULARY || !wlmi_is_allowed(&allowed, token))
        return wlmi_fail(error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "token %u cannot stand as %s of packet %llu",
                         token, role_names[c->role], (unsigned long long)c->packets + 1);
    switch (c->role) {
    case BORDER:
        if (token == START) {
            c->role = LINK;
            break;
        }
        c->end = (wlmi_end)(token - CLOSED);
        c->role = DONE;
        *what = WLMI_PUSHED_END;
        break;
    case LINK: take_link(c, token); break;
    case TIME: take_time(c, token); break;
    case CAPTURED:
        take_length(c, CAPTURED_LOW, token, c->options.generating ? 1 : 0, captured_bound(c), WLMI_NO_EXCEPT);
        break;
    case WIRE:
        if (token == SAME)
            *what = take_wire(c, c->packet.captured);
        else
            take_length(c, WIRE_LOW, token, c->options.generating ? c->packet.captured + 1 : 0, UINT32_MAX,
                        c->packet.captured);
        break;
    default: *what = take_digit(c, token);
    }
    return WLM_OK;
}

/* ---- the state, told */

static const wlm_packet *bytes_packet(const wlmi_coder *c)
{
    return &c->packet;
}

static wlmi_end bytes_end(const wlmi_coder *c)
{
    return c->end;
}

static uint8_t bytes_role(const wlmi_coder *c)
{
    return c->role;
}

static uint32_t bytes_segment(const wlmi_coder *c)
{
    return (uint32_t)c->packets;
}

static int bytes_at_border(const wlmi_coder *c)
{
    return c->role == BORDER;
}

static const char *bytes_token_name(wlmi_token token, char text[32])
{
    static const char *const names[] = {"start", "same", "closed", "timeout", "cut"};
    if (token < START)
        snprintf(text, 32, "%02x", token);
    else
        snprintf(text, 32, "%s", token < VOCABULARY ? names[token - START] : "unknown");
    return text;
}

static wlmi_group bytes_group(uint8_t role, wlmi_token token)
{
    (void)token;
    return role == DATA ? WLMI_GROUP_DATA : role >= TIME && role < CAPTURED ? WLMI_GROUP_TIME : WLMI_GROUP_LINK;
}

static const char *const field_names[] = {"border", "link-type", "time", "captured-length", "wire-length", NULL};

static int bytes_field(uint8_t role, wlmi_token token)
{
    (void)token;
    return role == DATA ? WLMI_NO_FIELD : role >= WIRE ? 4 : role >= CAPTURED ? 3 : role >= TIME ? 2 : role > BORDER;
}

const wlmi_codec wlmi_codec_bytes = {
    .name = "bytes",
    .version = 1,
    .vocabulary = VOCABULARY,
    .roles = ROLES,
    .role_names = role_names,
    .rows = &rows[0][0],
    .make = bytes_make,
    .start = bytes_start,
    .drop = bytes_drop,
    .encode = wlmi_bytes_encode,
    .encode_end = wlmi_bytes_encode_end,
    .push = bytes_push,
    .packet = bytes_packet,
    .end = bytes_end,
    .allowed = bytes_allowed,
    .role = bytes_role,
    .segment = bytes_segment,
    .at_border = bytes_at_border,
    .token_name = bytes_token_name,
    .group = bytes_group,
    .field_names = field_names,
    .field = bytes_field,
};
