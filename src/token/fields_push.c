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

/* ---- the packet's head */

static void expect(wlmi_coder *c, int role, int digits, uint32_t low, uint32_t high)
{
    c->role = (uint8_t)role;
    c->number.count = 0;
    c->number.bucket = 0;
    c->want = digits;
    c->first_low = low;
    c->first_high = high;
    c->may_match = 0;
}

static void choose_flow(wlmi_coder *c, int slot)
{
    c->flow = &c->flows.slot[slot].state;
    wlmi_flows_use(&c->flows, slot);
    c->fresh = 0;
}

/* Shape and link type are the flow's unless tokens say other. */
static void take_flow_defaults(wlmi_coder *c)
{
    c->values.shape = c->flow->shape;
    c->link_type = c->flow->link_type;
}

static void take_link_type(wlmi_coder *c, uint32_t link_type)
{
    c->link_type = link_type;
    c->values.shape = WLMI_SHAPE_GENERIC;
    c->role = WLMI_R_KIND;
    wlmi_row_of_kinds(c, WLMI_SHAPE_GENERIC, 1);
}

static void take_kind(wlmi_coder *c, int kind)
{
    c->values.direction = kind >= WLMI_KINDS;
    kind %= WLMI_KINDS;
    c->raw = kind == WLMI_KIND_RAW;
    c->values.flags = 0;
    if (kind >= WLMI_KIND_TCP && kind < WLMI_KIND_OTHER)
        c->values.flags = wlmi_kind_flags[kind - WLMI_KIND_TCP];
    c->role = WLMI_R_TIME;
    if (kind == WLMI_KIND_OTHER)
        expect(c, WLMI_R_FLAGS, 2, 0, 3);
}

/* Tokens that begin a packet: a flow, a shape, a kind; or that end the stream. */
static void take_head(wlmi_coder *c, wlmi_token token, wlmi_pushed *what)
{
    if (token >= WLMI_T_KIND) {
        if (c->role == WLMI_R_BORDER || c->role == WLMI_R_CHOSEN)
            take_flow_defaults(c);
        take_kind(c, token - WLMI_T_KIND);
    } else if (token >= WLMI_T_LINK_SHORT) {
        int is_long = token == WLMI_T_LINK_LONG;
        expect(c, is_long ? WLMI_R_LINK : WLMI_R_LINK + 3, is_long ? 4 : 1, 0, is_long ? 3 : 1023);
        if (c->flow && c->flow->opened) {
            uint32_t link = c->flow->link_type;
            c->may_match = (link >= 1024) == is_long;
            for (int i = 0; i < c->want; i++)
                c->forbidden.digit[i] = (uint16_t)(link >> 10 * (c->want - 1 - i) & 1023);
        }
    } else if (token >= WLMI_T_SHAPE) {
        c->values.shape = (uint8_t)(token - WLMI_T_SHAPE);
        c->link_type = wlmi_shape_link_type(c->values.shape);
        c->role = WLMI_R_KIND;
        wlmi_row_of_kinds(c, c->values.shape, 0);
    } else if (token >= WLMI_T_RECENT) {
        choose_flow(c, wlmi_flows_recent(&c->flows, token - WLMI_T_RECENT + 1));
        wlmi_row_of_flow(c);
        c->role = WLMI_R_CHOSEN;
    } else if (token == WLMI_T_SLOT) {
        expect(c, WLMI_R_SLOT, 2, 0, (c->flows.count - 1) >> WLMI_DIGIT_BITS);
    } else if (token == WLMI_T_NEW) {
        c->flow = &c->flows.slot[wlmi_flows_open(&c->flows)].state;
        c->fresh = 1;
        wlmi_row_of_flow(c);
        c->role = WLMI_R_NEW;
    } else {
        c->end = (wlmi_end)(token - WLMI_T_END);
        c->role = WLMI_R_DONE;
        *what = WLMI_PUSHED_END;
    }
}

/* ---- tags */

static void begin_tags(wlmi_coder *c)
{
    wlmi_values *p = &c->predicted;
    if (c->raw)
        c->values.shape = WLMI_SHAPE_GENERIC;
    p->shape = c->values.shape;
    p->direction = c->values.direction;
    p->flags = c->values.flags;
    p->time_ns = c->values.time_ns;
    if (c->raw)
        memset(p->v, 0, sizeof p->v);
    else
        wlmi_fields_predict(c->flow, p);
    c->values = *p;
    c->low = WLMI_T_TAG;
    c->role = (uint8_t)wlmi_tags_role(p);
    wlmi_row_of_tags(c);
}

/* The field is told: its tags are over, and unless shuffled those before it. */
static void end_field(wlmi_coder *c)
{
    const wlmi_field *f = &wlmi_fields[c->field];
    wlmi_row_clear(c->row, f->tag, f->buckets);
    if (!c->options.shuffle)
        c->low = (wlmi_token)(f->tag + f->buckets);
    if (c->field == WLMI_F_LAYOUT)
        wlmi_row_of_options(c);
    c->role = (uint8_t)wlmi_tags_role(&c->predicted);
}

static void expect_bytes(wlmi_coder *c, uint32_t count)
{
    c->role = WLMI_R_LITERAL;
    c->bytes_want = count;
    c->bytes_have = 0;
}

static void take_layout(wlmi_coder *c, int bucket)
{
    wlmi_tcp_layout *layout = &c->values.layout;
    if (bucket < WLMI_KNOWN_LAYOUTS) {
        wlmi_layout_known(bucket, layout);
        end_field(c);
        return;
    }
    memset(layout, 0, sizeof *layout);
    if (bucket == WLMI_KNOWN_LAYOUTS) {
        memcpy(c->options_row, wlmi_fields_rows[WLMI_R_OPTION], sizeof c->options_row);
        c->role = WLMI_R_OPTION;
        return;
    }
    layout->raw = 1;
    layout->size = (uint8_t)(4 * (bucket - WLMI_KNOWN_LAYOUTS));
    c->may_match = 0;
    expect_bytes(c, layout->size);
}

static void take_option(wlmi_coder *c, int option)
{
    wlmi_tcp_layout *layout = &c->values.layout;
    if (option < 0) {
        end_field(c);
        return;
    }
    layout->item[layout->count++] = (uint8_t)option;
    layout->size = (uint8_t)(layout->size + wlmi_option_length[option]);
    if (option >= WLMI_OPTION_SACK)
        wlmi_row_clear(c->options_row, WLMI_T_OPTION + 1 + WLMI_OPTION_SACK, 4);
    else if (option > WLMI_OPTION_NOP)
        wlmi_row_clear(c->options_row, (unsigned)(WLMI_T_OPTION + 1 + option), 1);
}

static void take_tag(wlmi_coder *c, wlmi_token token)
{
    int f = c->field = wlmi_field_of(token), bucket = token - wlmi_fields[f].tag;
    if (wlmi_fields[f].code == WLMI_CODE_LAYOUT) {
        take_layout(c, bucket);
        return;
    }
    if (wlmi_fields[f].code == WLMI_CODE_BYTES) {
        c->values.v[f] = (uint32_t)bucket;
        memset(c->values.ip_options, 0, sizeof c->values.ip_options);
        c->may_match = (uint32_t)bucket == c->predicted.v[f];
        expect_bytes(c, 4 * (uint32_t)bucket);
        if (bucket == 0)
            end_field(c);
        return;
    }
    expect(c, wlmi_digit_role(f, 0), wlmi_fields_digits(f, c->predicted.shape, bucket),
           wlmi_fields_first_low(f, bucket), wlmi_fields_first_high(f, c->predicted.shape, bucket));
    c->number.bucket = (uint16_t)bucket;
    c->may_match = wlmi_fields_forbidden(f, &c->predicted, &c->forbidden) && c->forbidden.bucket == bucket &&
                   c->forbidden.count == c->want;
    if (f == WLMI_F_ACK && bucket == 0) {
        c->values.v[f] = c->flow->side[c->values.direction].ack;
        end_field(c);
    } else if (c->want == 0) {
        wlmi_fields_read(f, &c->predicted, &c->number, &c->values);
        end_field(c);
    }
}

/* ---- the packet's body */

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
    wlmi_fields_absorb(c, &c->packet, h->direction, c->refilled ? &c->again : NULL);
    wlmi_fields_border(c);
    return WLMI_PUSHED_PACKET;
}

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
    fill(c, payload_end(h));
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
    c->refilled = c->summed = 0;
    if (c->raw) {
        h->captured = length;
        h->wire = length + h->v[WLMI_F_WIRE];
        c->have = 0;
        c->told = length;
        c->run = 0;
        c->role = WLMI_R_GENERIC;
        if (length == 0)
            *what = complete(c);
        return WLM_OK;
    }
    h->payload = length;
    wlmi_fields_build(h, c->data);
    wlmi_fields_measure(h);
    c->have = h->headers;
    c->told = h->headers + wlmi_payload_told(c, h->shape, payload_end(h) - h->headers);
    c->role = WLMI_R_PAYLOAD;
    WLMI_TRY(room(c, least(c->told, UINT16_MAX), error));
    return c->have == c->told ? after_payload(c, what, error) : WLM_OK;
}

static wlm_status take_length_token(wlmi_coder *c, wlmi_token token, wlmi_pushed *what, wlm_error *error)
{
    uint32_t same = c->flow->side[c->values.direction].length, max = wlmi_longest_payload(c);
    if (token == WLMI_T_LEN_SAME)
        return take_length(c, same, what, error);
    if (token < WLMI_T_LEN_MID)
        return take_length(c, token - (uint32_t)WLMI_T_LEN, what, error);
    int is_long = token == WLMI_T_LEN_LONG, bucket = is_long ? 0 : token - WLMI_T_LEN_MID;
    int last = !is_long && (uint32_t)bucket == max >> WLMI_DIGIT_BITS;
    expect(c, is_long ? WLMI_R_LEN : WLMI_R_LEN + 2, is_long ? 3 : 1, !is_long && bucket == 0 ? WLMI_LEN_SMALL : 0,
           is_long ? max >> 20 : last ? max & 1023 : 1023);
    c->number.bucket = (uint16_t)bucket;
    c->may_match = same > 0 && (is_long ? same > UINT16_MAX : same <= UINT16_MAX && same >> 10 == (uint32_t)bucket);
    for (int i = 0; i < c->want; i++)
        c->forbidden.digit[i] = (uint16_t)(same >> WLMI_DIGIT_BITS * (c->want - 1 - i) & 1023);
    return WLM_OK;
}

static wlm_status take_byte(wlmi_coder *c, wlmi_token token, wlmi_pushed *what, wlm_error *error)
{
    if (c->have + WLMI_RUN_MAX > c->capacity)
        WLMI_TRY(room(c, c->have + WLMI_RUN_MAX, error));
    if (token >= WLMI_T_RUN) {
        c->run = token - (uint32_t)WLMI_T_RUN + 1;
        memcpy(c->data + c->have, c->flow->side[c->values.direction].before + c->have, c->run);
        c->have += c->run;
    } else {
        c->data[c->have++] = (uint8_t)token;
        c->run = 0;
    }
    if (c->have < c->told)
        return WLM_OK;
    if (c->role == WLMI_R_PAYLOAD)
        return after_payload(c, what, error);
    *what = complete(c);
    return WLM_OK;
}

static void take_literal(wlmi_coder *c, wlmi_token token)
{
    if (c->field == WLMI_F_LAYOUT) {
        c->values.layout.item[c->bytes_have] = (uint8_t)token;
    } else {
        c->values.ip_options[c->bytes_have] = (uint8_t)token;
        c->may_match = c->may_match && c->predicted.ip_options[c->bytes_have] == token;
    }
    if (++c->bytes_have == c->bytes_want)
        end_field(c);
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
        end_field(c);
    } else if (c->role == WLMI_R_TIME_DIGIT) {
        memcpy(c->step.digit, c->number.digit, sizeof c->step.digit);
        c->values.time_ns = wlmi_step_read(c->time_ns, &c->step);
        begin_tags(c);
    } else if (c->role == WLMI_R_LEN + 2) {
        return take_length(c, (uint32_t)number_value(c), what, error);
    } else if (c->role == WLMI_R_FLAGS + 1) {
        c->values.flags = (uint16_t)number_value(c);
        c->role = WLMI_R_TIME;
    } else if (c->role == WLMI_R_LINK + 3) {
        take_link_type(c, (uint32_t)number_value(c));
    } else {
        choose_flow(c, (int)number_value(c));
        wlmi_row_of_flow(c);
        c->role = WLMI_R_CHOSEN;
    }
    return WLM_OK;
}

static void take_time(wlmi_coder *c, wlmi_token token)
{
    uint32_t high;
    int digits = wlmi_step_digits(token, &high);
    c->step.token = token;
    c->step.count = (uint8_t)digits;
    if (digits == 0) {
        c->values.time_ns = wlmi_step_read(c->time_ns, &c->step);
        begin_tags(c);
    } else {
        expect(c, WLMI_R_TIME_DIGIT + digits - 1, digits, 0, high);
    }
}

/* Any token but a byte inside payload. Kept out of line, so that those bytes, most tokens, save no registers. */
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
    case WLMI_R_KIND: take_head(c, token, what); return WLM_OK;
    case WLMI_R_TIME: take_time(c, token); return WLM_OK;
    case WLMI_R_TAGS:
    case WLMI_R_TAGS + 1:
    case WLMI_R_TAGS + 2:
    case WLMI_R_TAGS + 3:
    case WLMI_R_TAGS + 4:
        if (token >= WLMI_T_LEN_SAME)
            return take_length_token(c, token, what, error);
        take_tag(c, token);
        return WLM_OK;
    case WLMI_R_OPTION: take_option(c, token - WLMI_T_OPTION - 1); return WLM_OK;
    case WLMI_R_LITERAL: take_literal(c, token); return WLM_OK;
    case WLMI_R_PAYLOAD:
    case WLMI_R_TRAILER:
    case WLMI_R_GENERIC: return take_byte(c, token, what, error);
    }
    return take_digit(c, token, what, error);
}

wlm_status wlmi_fields_push(wlmi_coder *c, wlmi_token token, wlmi_pushed *what, wlm_error *error)
{
    *what = WLMI_PUSHED;
    if (c->role != WLMI_R_PAYLOAD || token >= WLMI_T_DIGIT || c->have + 1 == c->told || c->have == c->capacity)
        return push_checked(c, token, what, error);
    c->data[c->have++] = (uint8_t)token;
    return WLM_OK;
}
