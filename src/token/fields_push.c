/* fields_push.c: the decoder of `fields`: what a token does. */
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/rng.h"
#include "capture/capture.h"
#include "token/fields_coder.h"

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

void wlmi_expect(wlmi_coder *c, int role, int digits, uint32_t low, uint32_t high)
{
    c->role = (uint8_t)role;
    c->number.count = 0;
    c->number.bucket = 0;
    c->want = digits;
    c->first_low = low;
    c->first_high = high;
    c->may_match = 0;
}

/* ---- the packet's body */

static void add_byte(wlmi_coder *c, uint8_t byte)
{
    c->data[c->have++] = byte;
    c->string = wlmi_string_next(c->string, byte);
}

static wlm_status room(wlmi_coder *c, size_t size, wlm_error *error)
{
    return wlmi_grow(&c->data, &c->capacity, size + WLMI_HEADERS_MAX, 1) ? WLM_OK : WLMI_NO_MEMORY(error);
}

static wlmi_pushed complete(wlmi_coder *c)
{
    wlmi_values *h = &c->values;
    if (!c->raw && !c->summed)
        wlmi_fields_fill_sums(h, c->data);
    c->packet = (wlm_packet){.time_ns = h->time_ns, .captured = h->captured, .wire = h->wire,
                             .link_type = c->link_type, .number = c->packets + 1, .data = c->data};
    if (c->raw)
        wlmi_fields_absorb_raw(c, &c->packet, h->direction);
    else
        wlmi_fields_absorb(c, &c->packet, h->direction, c->refilled ? &c->again : NULL);
    wlmi_fields_border(c);
    return WLMI_PUSHED_PACKET;
}

/* ---- raw packets */

/* The packet as far as it is known. */
static wlm_packet raw_so_far(const wlmi_coder *c)
{
    const wlmi_values *h = &c->values;
    return (wlm_packet){.captured = h->captured, .wire = h->wire, .link_type = c->link_type, .data = c->data};
}

static wlm_status next_raw(wlmi_coder *c, wlmi_pushed *what, wlm_error *error)
{
    uint8_t check[WLMI_CHECK_MAX];
    WLMI_TRY(room(c, c->have, error));
    wlm_packet p = raw_so_far(c);
    if (c->have < c->told) {
        c->expected = c->have < WLMI_RAW_EXPECTED ? wlmi_raw_expect(c->history, &p, c->have) : -1;
        return WLM_OK;
    }
    if (c->told < p.captured) {
        wlmi_check_make(p.link_type, c->history->check_start, c->data, c->told, check);
        memcpy(c->data + c->told, check, p.captured - c->told);
    }
    *what = complete(c);
    return WLM_OK;
}

static wlm_status begin_raw(wlmi_coder *c, wlmi_pushed *what, wlm_error *error)
{
    WLMI_TRY(wlmi_fields_history(c, error));
    c->have = c->body = 0;
    c->told = wlmi_raw_told(&c->values, c->link_type);
    c->body_end = c->values.captured;
    c->run = 0;
    c->role = WLMI_R_GENERIC;
    return next_raw(c, what, error);
}

static wlm_status take_raw(wlmi_coder *c, wlmi_token token, wlmi_pushed *what, wlm_error *error)
{
    c->run = token < WLMI_T_RUN ? 0 : token - (uint32_t)WLMI_T_RUN + 1;
    if (c->run == 0) {
        add_byte(c, (uint8_t)token);
        return next_raw(c, what, error);
    }
    for (uint32_t i = 0; i < c->run; i++) {
        wlm_packet p = raw_so_far(c);
        add_byte(c, wlmi_raw_expect(c->history, &p, c->have));
    }
    return next_raw(c, what, error);
}

/* ---- packets with fields */

/* Whether the packet shows the checksum class that was told; the fill may happen to give another one's value. */
static int shows_class(wlmi_coder *c)
{
    const wlmi_values *h = &c->values;
    wlm_packet p = {.time_ns = h->time_ns, .captured = h->captured, .wire = h->wire, .link_type = c->link_type,
                    .data = c->data};
    wlmi_fields_fill_sums(h, c->data);
    c->summed = 1;
    c->refilled = wlmi_fields_parse(&p, &c->again) == WLMI_PARSED && c->again.shape == h->shape &&
                  c->again.flags == h->flags;
    if (!c->refilled)
        return 1;
    c->again.direction = h->direction;
    c->refilled = wlmi_fields_settle(&p, &c->predicted, &c->again);
    return !c->refilled || c->again.v[WLMI_F_SUM] == h->v[WLMI_F_SUM];
}

/* One of the bytes that the row permits. */
static uint8_t draw_byte(const wlmi_coder *c, wlmi_rng *rng)
{
    unsigned count = 0, drawn = 0;
    for (unsigned b = 0; b < 256; b++)
        if (c->row[b >> 6] >> (b & 63) & 1 && wlmi_rng_below(rng, ++count) == 0)
            drawn = b;
    return (uint8_t)drawn;
}

/* Payload without tokens is drawn from the seed. */
static void fill(wlmi_coder *c, uint32_t end)
{
    uint32_t from = c->have, tries = 8;
    wlmi_rng rng;
    if (from >= end)
        return;
    wlmi_rng_seed(&rng, wlmi_mix2(c->options.seed, c->packets));
    do {
        c->have = from;
        for (wlmi_row_of_payload(c); c->bound && c->have < end; wlmi_row_of_payload(c))
            c->data[c->have++] = draw_byte(c, &rng);
        for (; end - c->have >= 8; c->have += 8)
            wlmi_store_le64(c->data + c->have, wlmi_rng_next(&rng));
        for (uint64_t bits = wlmi_rng_next(&rng); c->have < end; bits >>= 8)
            c->data[c->have++] = (uint8_t)bits;
    } while (!shows_class(c) && --tries > 0);
}

static uint32_t payload_end(const wlmi_values *h)
{
    uint32_t end = least(h->headers + h->payload, h->captured);
    return end > h->headers ? end : h->headers;
}

static wlm_status after_payload(wlmi_coder *c, wlmi_pushed *what, wlm_error *error)
{
    const wlmi_values *h = &c->values;
    WLMI_TRY(room(c, h->captured, error));
    fill(c, c->body_end);
    wlmi_note_payload(c, h, c->data + c->body, c->have - c->body);
    if (h->captured > c->have && h->v[WLMI_F_TRAILER]) {
        c->told = h->captured;
        c->role = WLMI_R_TRAILER;
        return WLM_OK;
    }
    if (h->captured > c->have)
        memset(c->data + c->have, 0, h->captured - c->have);
    *what = complete(c);
    return WLM_OK;
}

static wlm_status take_length(wlmi_coder *c, uint32_t length, wlmi_pushed *what, wlm_error *error)
{
    wlmi_values *h = &c->values;
    WLMI_TRY(room(c, 0, error));
    c->measure = wlmi_measure_of_length(h, c->raw, length);
    c->refilled = c->summed = 0;
    c->string = 0;
    if (c->raw) {
        h->captured = length;
        h->wire = length + h->v[WLMI_F_WIRE];
        return begin_raw(c, what, error);
    }
    h->payload = length;
    wlmi_fields_build(h, c->data);
    wlmi_fields_measure(h);
    c->have = c->body = h->headers;
    c->body_end = payload_end(h);
    c->told = h->headers + wlmi_payload_told(c, h->shape, c->body_end - c->body);
    c->role = WLMI_R_PAYLOAD;
    WLMI_TRY(room(c, least(c->told, UINT16_MAX), error));
    wlmi_row_of_payload(c);
    return c->have == c->told ? after_payload(c, what, error) : WLM_OK;
}

static wlm_status take_length_token(wlmi_coder *c, wlmi_token token, wlmi_pushed *what, wlm_error *error)
{
    uint32_t same = c->predicted.payload, max = wlmi_longest_payload(c);
    if (token == WLMI_T_LEN_SAME)
        return take_length(c, same, what, error);
    if (token < WLMI_T_LEN_MID)
        return take_length(c, token - (uint32_t)WLMI_T_LEN, what, error);
    int is_long = token == WLMI_T_LEN_LONG, bucket = is_long ? 0 : token - WLMI_T_LEN_MID;
    int last = !is_long && (uint32_t)bucket == max >> WLMI_DIGIT_BITS;
    wlmi_expect(c, is_long ? WLMI_R_LEN : WLMI_R_LEN + 2, is_long ? 3 : 1, !is_long && bucket == 0 ? WLMI_LEN_SMALL : 0,
           is_long ? max >> 20 : last ? max & 1023 : 1023);
    c->number.bucket = (uint16_t)bucket;
    c->may_match = same > 0 && (is_long ? same > UINT16_MAX : same <= UINT16_MAX && same >> 10 == (uint32_t)bucket);
    for (int i = 0; i < c->want; i++)
        c->forbidden.digit[i] = (uint16_t)(same >> WLMI_DIGIT_BITS * (c->want - 1 - i) & 1023);
    return WLM_OK;
}

static wlm_status take_byte(wlmi_coder *c, wlmi_token token, wlmi_pushed *what, wlm_error *error)
{
    WLMI_TRY(room(c, c->have, error));
    add_byte(c, (uint8_t)token);
    if (c->have < c->told) {
        if (c->role == WLMI_R_PAYLOAD)
            wlmi_row_of_payload(c);
        return WLM_OK;
    }
    if (c->role == WLMI_R_PAYLOAD)
        return after_payload(c, what, error);
    *what = complete(c);
    return WLM_OK;
}

/* ---- digits */

static uint64_t number_value(const wlmi_coder *c)
{
    uint64_t value = c->number.bucket;
    for (int i = 0; i < c->number.count; i++)
        value = value << WLMI_DIGIT_BITS | c->number.digit[i];
    return value;
}

static wlm_status take_digit(wlmi_coder *c, wlmi_token token, wlmi_pushed *what, wlm_error *error)
{
    int i = c->number.count;
    c->number.digit[c->number.count++] = (uint16_t)(token - WLMI_T_DIGIT);
    c->may_match = c->may_match && c->forbidden.digit[i] == token - WLMI_T_DIGIT;
    if (c->number.count < c->want) {
        if (wlmi_is_field_digit(c))
            c->role = (uint8_t)wlmi_digit_role(c->field, i + 1);
        else if (c->role >= WLMI_R_TIME_DIGIT && c->role < WLMI_R_TAGS)
            c->role--;
        else
            c->role++;
        return WLM_OK;
    }
    if (wlmi_is_field_digit(c)) {
        wlmi_fields_read(c->field, &c->predicted, &c->number, &c->values);
        wlmi_end_field(c);
    } else if (c->role == WLMI_R_TIME_DIGIT) {
        memcpy(c->step.digit, c->number.digit, sizeof c->step.digit);
        wlmi_end_time(c);
    } else if (c->role == WLMI_R_LEN + 2) {
        return take_length(c, (uint32_t)number_value(c), what, error);
    } else if (c->role == WLMI_R_FLAGS + 1) {
        c->values.flags = (uint16_t)number_value(c);
        c->role = WLMI_R_TIME;
    } else if (c->role == WLMI_R_LINK + 3) {
        wlmi_take_link_type(c, (uint32_t)number_value(c));
    } else {
        wlmi_take_flow(c, (int)number_value(c));
        wlmi_row_of_flow(c);
        c->role = WLMI_R_CHOSEN;
    }
    return WLM_OK;
}

/* Any token but a byte inside payload, which nothing binds while it is read. Kept out of line, so that those bytes, most
 * tokens, save no registers. */
static __attribute__((noinline)) wlm_status push_checked(wlmi_coder *c, wlmi_token token, wlmi_pushed *what,
                                                         wlm_error *error)
{
    wlmi_allowed allowed;
    WLMI_TRY(wlmi_fields_ready(c, error));
    wlmi_fields_allowed(c, &allowed);
    if (token >= WLMI_T_COUNT || !wlmi_is_allowed(&allowed, token))
        return wlmi_fail(error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "token %u cannot stand as %s of packet %llu",
                         token, wlmi_fields_role_names[c->role], (unsigned long long)c->packets + 1);
    switch (c->role) {
    case WLMI_R_BORDER:
    case WLMI_R_NEW:
    case WLMI_R_CHOSEN:
    case WLMI_R_KIND: wlmi_take_head(c, token, what); return WLM_OK;
    case WLMI_R_TIME: wlmi_take_time(c, token); return WLM_OK;
    case WLMI_R_TAGS:
    case WLMI_R_TAGS + 1:
    case WLMI_R_TAGS + 2:
    case WLMI_R_TAGS + 3:
    case WLMI_R_TAGS + 4:
        if (token >= WLMI_T_LEN_SAME)
            return take_length_token(c, token, what, error);
        wlmi_take_tag(c, token);
        return WLM_OK;
    case WLMI_R_OPTION: wlmi_take_option(c, token - WLMI_T_OPTION - 1); return WLM_OK;
    case WLMI_R_LITERAL: wlmi_take_literal(c, token); return WLM_OK;
    case WLMI_R_PAYLOAD:
    case WLMI_R_TRAILER: return take_byte(c, token, what, error);
    case WLMI_R_GENERIC: return take_raw(c, token, what, error);
    }
    return take_digit(c, token, what, error);
}

wlm_status wlmi_fields_push(wlmi_coder *c, wlmi_token token, wlmi_pushed *what, wlm_error *error)
{
    *what = WLMI_PUSHED;
    c->measure = 0;
    if (c->role != WLMI_R_PAYLOAD || token >= WLMI_T_DIGIT || c->have + 1 == c->told || c->have == c->capacity ||
        c->options.generating)
        return push_checked(c, token, what, error);
    add_byte(c, (uint8_t)token);
    return WLM_OK;
}
