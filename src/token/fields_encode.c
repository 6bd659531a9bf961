/* fields_encode.c: the encoder of `fields`. It tells what its own prediction missed, and goes raw where the decoder's
 * functions would not give the packet back. */
#include <string.h>

#include "base/rng.h"
#include "capture/capture.h"
#include "token/fields_coder.h"

enum { HEAD_TOKENS = 256 }; /* more than all tokens of a packet but its bytes */

static void put(wlmi_tokens *out, int role, unsigned token)
{
    out->role[out->count] = (uint8_t)role;
    out->measure[out->count] = 0;
    out->token[out->count++] = (wlmi_token)token;
}

static void put_digits(wlmi_tokens *out, int role, uint32_t value, int digits)
{
    for (int i = 0; i < digits; i++)
        put(out, role + i, WLMI_T_DIGIT + (value >> WLMI_DIGIT_BITS * (digits - 1 - i) & 1023));
}

/* ---- head: flow, shape, kind, time */

/* Names the flow in unit capture; returns the role of the token to come. */
static int put_flow(wlmi_coder *c, const wlmi_flow_id *id, wlmi_tokens *out)
{
    int slot = wlmi_flows_find(&c->flows, id), index;
    if (slot < 0) {
        put(out, WLMI_R_BORDER, WLMI_T_NEW);
        c->flow = &c->flows.slot[wlmi_flows_open(&c->flows)].state;
        c->fresh = 1;
        return WLMI_R_NEW;
    }
    c->fresh = 0;
    c->flow = &c->flows.slot[slot].state;
    index = wlmi_flows_index(&c->flows, slot, WLMI_RECENT);
    if (index == 0)
        return WLMI_R_BORDER;
    if (index > 0) {
        put(out, WLMI_R_BORDER, (unsigned)(WLMI_T_RECENT + index - 1));
    } else {
        put(out, WLMI_R_BORDER, WLMI_T_SLOT);
        put_digits(out, WLMI_R_SLOT, (uint32_t)slot, 2);
    }
    wlmi_flows_use(&c->flows, slot);
    return WLMI_R_CHOSEN;
}

static void put_link_type(wlmi_tokens *out, int role, uint32_t link_type)
{
    int is_long = link_type >= 1024;
    put(out, role, is_long ? WLMI_T_LINK_LONG : WLMI_T_LINK_SHORT);
    put_digits(out, is_long ? WLMI_R_LINK : WLMI_R_LINK + 3, link_type, is_long ? 4 : 1);
}

static void put_kind(wlmi_tokens *out, int role, int kind, const wlmi_values *h)
{
    int tcp = kind != WLMI_KIND_RAW && h->shape % WLMI_FN_6 == WLMI_FN_TCP;
    if (tcp) {
        kind = WLMI_KIND_TCP;
        while (kind < WLMI_KIND_OTHER && wlmi_kind_flags[kind - WLMI_KIND_TCP] != h->flags)
            kind++;
    }
    put(out, role, (unsigned)(WLMI_T_KIND + h->direction * WLMI_KINDS + kind));
    if (kind == WLMI_KIND_OTHER)
        put_digits(out, WLMI_R_FLAGS, h->flags, 2);
}

static void put_time(const wlmi_coder *c, int64_t time_ns, wlmi_tokens *out)
{
    wlmi_step step;
    wlmi_step_spell(c->time_ns, time_ns, &step);
    put(out, WLMI_R_TIME, step.token);
    for (int i = 0; i < step.count; i++)
        put(out, WLMI_R_TIME_DIGIT + step.count - 1 - i, (unsigned)(WLMI_T_DIGIT + step.digit[i]));
    out->measure[out->count - 1] = wlmi_measure_of_time(c, time_ns);
}

/* ---- tags */

static void put_layout(const wlmi_tcp_layout *layout, int role, wlmi_tokens *out)
{
    int known = wlmi_known_layout(layout);
    if (known >= 0) {
        put(out, role, (unsigned)(WLMI_T_LAYOUT + known));
    } else if (layout->raw) {
        put(out, role, WLMI_T_LAYOUT + WLMI_KNOWN_LAYOUTS + layout->size / 4u);
        for (int i = 0; i < layout->size; i++)
            put(out, WLMI_R_LITERAL, layout->item[i]);
    } else {
        put(out, role, WLMI_T_LAYOUT + WLMI_KNOWN_LAYOUTS);
        for (int i = 0; i < layout->count; i++)
            put(out, WLMI_R_OPTION, WLMI_T_OPTION + 1u + layout->item[i]);
        put(out, WLMI_R_OPTION, WLMI_T_OPTION);
    }
}

static void put_field(const wlmi_coder *c, int field, const wlmi_values *h, wlmi_tokens *out)
{
    int role = wlmi_tags_role(h);
    wlmi_spelled s;
    if (field == WLMI_F_LAYOUT) {
        put_layout(&h->layout, role, out);
        return;
    }
    if (field == WLMI_F_ACK && h->v[field] == c->flow->side[h->direction].ack) {
        put(out, role, WLMI_T_ACK);
        return;
    }
    wlmi_fields_spell(field, &c->predicted, h, &s);
    put(out, role, wlmi_fields[field].tag + (unsigned)s.bucket);
    for (int i = 0; i < s.count; i++)
        put(out, wlmi_digit_role(field, i), (unsigned)(WLMI_T_DIGIT + s.digit[i]));
    if (field == WLMI_F_IPOPT)
        for (uint32_t i = 0; i < 4 * h->v[field]; i++)
            put(out, WLMI_R_LITERAL, h->ip_options[i]);
}

static int differs(const wlmi_values *h, const wlmi_values *p, int field)
{
    switch (field) {
    case WLMI_F_LINK: return memcmp(h->link, p->link, sizeof h->link) != 0;
    case WLMI_F_SRC: return memcmp(h->address[0], p->address[0], 16) != 0;
    case WLMI_F_DST: return memcmp(h->address[1], p->address[1], 16) != 0;
    case WLMI_F_LAYOUT: return memcmp(&h->layout, &p->layout, sizeof h->layout) != 0;
    case WLMI_F_IPOPT:
        return h->v[field] != p->v[field] || memcmp(h->ip_options, p->ip_options, sizeof h->ip_options) != 0;
    case WLMI_F_MSS:
    case WLMI_F_SCALE:
    case WLMI_F_TSVAL:
    case WLMI_F_TSECR: return h->v[field] != p->v[field] && wlmi_layout_has(&h->layout, field);
    }
    if (field >= WLMI_F_SACK0 && field <= WLMI_F_SACK7)
        return h->v[field] != p->v[field] && wlmi_layout_has(&h->layout, field);
    return h->v[field] != p->v[field];
}

static void put_fields(const wlmi_coder *c, const wlmi_values *h, wlmi_tokens *out)
{
    uint32_t layers = wlmi_shape_layers(h->shape);
    uint8_t order[WLMI_F_COUNT];
    int count = 0;
    for (int f = 0; f < WLMI_F_COUNT; f++)
        if (wlmi_fields[f].layers & layers && differs(h, &c->predicted, f))
            order[count++] = (uint8_t)f;
    if (c->options.shuffle && count > 1) {
        wlmi_rng rng;
        wlmi_rng_seed(&rng, wlmi_mix2(c->options.seed, c->packets));
        for (int i = count - 1; i > 0; i--) {
            int j = (int)wlmi_rng_below(&rng, (uint64_t)i + 1);
            uint8_t other = order[i];
            order[i] = order[j];
            order[j] = other;
        }
    }
    for (int i = 0; i < count; i++)
        put_field(c, order[i], h, out);
}

static void put_length(const wlmi_coder *c, const wlmi_values *h, int raw, uint32_t length, wlmi_tokens *out)
{
    int role = wlmi_tags_role(h);
    uint32_t same = c->predicted.payload;
    if (length == same && length > 0) {
        put(out, role, WLMI_T_LEN_SAME);
    } else if (length < WLMI_LEN_SMALL) {
        put(out, role, WLMI_T_LEN + length);
    } else if (length <= UINT16_MAX) {
        put(out, role, WLMI_T_LEN_MID + (length >> WLMI_DIGIT_BITS));
        put_digits(out, WLMI_R_LEN + 2, length, 1);
    } else {
        put(out, role, WLMI_T_LEN_LONG);
        put_digits(out, WLMI_R_LEN, length, 3);
    }
    out->measure[out->count - 1] = wlmi_measure_of_length(h, raw, length);
}

/* ---- bodies */

/* Of a body that is `end` bytes long the bytes told, from `at` on. end 0: a trailer, whose bytes have no places. */
typedef struct body {
    const uint8_t *data;
    uint32_t at, told, end, string;
} body;

static void pass(body *b)
{
    b->string = wlmi_string_next(b->string, b->data[b->at++]);
}

/* What the token says that told the bytes before. */
static int64_t measure_behind(const body *b)
{
    const wlmi_byte_place place = {b->at, b->end - b->at, b->string};
    return b->end && b->at < b->told ? wlmi_measure_place(&place) : 0;
}

static void put_bytes(wlmi_tokens *out, int role, body b)
{
    memset(out->role + out->count, role, b.told - b.at);
    while (b.at < b.told) {
        out->token[out->count] = b.data[b.at];
        pass(&b);
        out->measure[out->count++] = measure_behind(&b);
    }
}

static void put_generic(wlmi_raw *history, const wlm_packet *p, uint32_t told, wlmi_tokens *out)
{
    const uint32_t known = told < WLMI_RAW_EXPECTED ? told : WLMI_RAW_EXPECTED;
    body b = {p->data, 0, told, p->captured, 0};
    while (b.at < known) {
        uint32_t run = 0;
        while (b.at < known && run < WLMI_RUN_MAX && wlmi_raw_expect(history, p, b.at) == p->data[b.at]) {
            run++;
            pass(&b);
        }
        put(out, WLMI_R_GENERIC, run ? WLMI_T_RUN + run - 1 : p->data[b.at]);
        if (!run)
            pass(&b);
        out->measure[out->count - 1] = measure_behind(&b);
    }
    put_bytes(out, WLMI_R_GENERIC, b);
}

/* ---- a packet */

/* Whether the headers come back: everything but checksums, for which a class was found that gives them. */
static int rebuilds(const wlmi_values *h, const wlm_packet *p)
{
    static const uint8_t sum_at[4] = {16, 6, 2, 0};
    uint8_t built[WLMI_HEADERS_MAX];
    wlmi_values again = *h;
    int net = h->shape % WLMI_FN_6;
    wlmi_fields_build(&again, built);
    wlmi_fields_measure(&again);
    if (again.headers != h->headers || again.wire != p->wire || again.captured != p->captured)
        return 0;
    if (wlmi_shape_layers(h->shape) & WLMI_LAYER_IP4)
        memcpy(built + h->network + 10, p->data + h->network + 10, 2);
    if (net != WLMI_FN_OTHER)
        memcpy(built + h->transport + sum_at[net], p->data + h->transport + sum_at[net], 2);
    return !memcmp(built, p->data, h->headers);
}

static int is_zero(const uint8_t *data, uint32_t size)
{
    uint8_t all = 0;
    for (uint32_t i = 0; i < size; i++)
        all |= data[i];
    return all == 0;
}

static wlmi_unparsed prepare(wlmi_coder *c, const wlm_packet *p, wlmi_values *h)
{
    enum { LONG = 1 << 25 };
    uint32_t end = h->headers + h->payload;
    if (h->payload > LONG || p->captured < h->headers)
        return WLMI_UNPARSED_LENGTHS;
    h->direction = (uint8_t)wlmi_fields_direction(c->flow, h);
    c->predicted.shape = h->shape;
    c->predicted.direction = h->direction;
    c->predicted.flags = h->flags;
    c->predicted.time_ns = p->time_ns;
    wlmi_fields_predict(c->flow, &c->predicted);
    if (!wlmi_fields_settle(p, &c->predicted, h))
        return WLMI_UNPARSED_LENGTHS;
    h->v[WLMI_F_TRAILER] = p->captured > end && !is_zero(p->data + end, p->captured - end);
    return rebuilds(h, p) ? WLMI_PARSED : WLMI_UNPARSED_BUILD;
}

static void encode_parsed(wlmi_coder *c, const wlm_packet *p, const wlmi_values *h, int role, wlmi_tokens *out)
{
    uint32_t end = h->headers + h->payload, size = (p->captured < end ? p->captured : end) - h->headers;
    if (!c->flow->opened || c->flow->shape != h->shape) {
        put(out, role, (unsigned)(WLMI_T_SHAPE + h->shape));
        role = WLMI_R_KIND;
    }
    put_kind(out, role, WLMI_KIND_PLAIN, h);
    put_time(c, p->time_ns, out);
    put_fields(c, h, out);
    put_length(c, h, 0, h->payload, out);
    put_bytes(out, WLMI_R_PAYLOAD, (body){p->data + h->headers, 0, wlmi_payload_told(c, h->shape, size), size, 0});
    if (h->v[WLMI_F_TRAILER])
        put_bytes(out, WLMI_R_TRAILER, (body){p->data + end, 0, p->captured - end, 0, 0});
    wlmi_note_payload(c, h, p->data + h->headers, size);
}

/* Whether the packet ends with a right check, which is not told then. Returns the bytes that are. */
static uint32_t settle_check(wlmi_coder *c, const wlm_packet *p, wlmi_values *h)
{
    h->wire = p->wire;
    h->captured = p->captured;
    if (wlmi_check_of(p))
        h->v[WLMI_F_CHECK] = !wlmi_raw_checked(c->history, p);
    return wlmi_raw_told(h, p->link_type);
}

static void encode_raw(wlmi_coder *c, const wlm_packet *p, int role, wlmi_tokens *out)
{
    wlmi_values *h = &c->predicted;
    h->direction = (uint8_t)wlmi_fields_raw_direction(c->flow, p);
    wlmi_fields_predict_raw(c, p->link_type);
    wlmi_values values = *h;
    values.v[WLMI_F_WIRE] = p->wire - p->captured;
    uint32_t told = settle_check(c, p, &values);
    if (!c->flow->opened || c->flow->link_type != p->link_type) {
        put_link_type(out, role, p->link_type);
        role = WLMI_R_KIND;
    }
    put_kind(out, role, WLMI_KIND_RAW, h);
    put_time(c, p->time_ns, out);
    put_fields(c, &values, out);
    put_length(c, &values, 1, p->captured, out);
    put_generic(c->history, p, told, out);
}

static void set_segments(wlmi_tokens *out, size_t first, uint32_t segment)
{
    for (size_t i = first; i < out->count; i++)
        out->packet[i] = segment;
}

wlm_status wlmi_fields_encode(wlmi_coder *c, const wlm_packet *p, wlmi_tokens *out, wlm_error *error)
{
    size_t first = out->count;
    wlmi_values values;
    wlmi_flow_id id;
    int role = WLMI_R_BORDER;
    if (c->role != WLMI_R_BORDER || p->captured >= WLMI_RECORD_MAX)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         c->role != WLMI_R_BORDER ? "a packet cannot begin here" : "a packet is too long to encode");
    WLMI_TRY(wlmi_fields_ready(c, error));
    if (!wlmi_tokens_reserve(out, HEAD_TOKENS + (size_t)p->captured))
        return WLMI_NO_MEMORY(error);
    wlmi_unparsed why = wlmi_fields_parse(p, &values);
    if (c->options.capture) {
        if (c->is_given)
            id = c->given;
        else
            wlmi_flow_id_of(p, why == WLMI_PARSED ? &values : NULL, &id);
        uint32_t before = wlmi_fields_segment(c);
        role = put_flow(c, &id, out);
        set_segments(out, first, before);
        first = out->count;
    }
    if (why == WLMI_PARSED)
        why = prepare(c, p, &values);
    c->why = why;
    if (why != WLMI_PARSED)
        WLMI_TRY(wlmi_fields_history(c, error));
    if (why == WLMI_PARSED)
        encode_parsed(c, p, &values, role, out);
    else
        encode_raw(c, p, role, out);
    set_segments(out, first, wlmi_fields_segment(c));
    if (why == WLMI_PARSED)
        wlmi_fields_absorb(c, p, values.direction, &values);
    else
        wlmi_fields_absorb_raw(c, p, c->predicted.direction);
    wlmi_fields_border(c);
    return WLM_OK;
}

wlm_status wlmi_fields_encode_end(wlmi_coder *c, wlmi_end end, wlmi_tokens *out, wlm_error *error)
{
    if (c->role != WLMI_R_BORDER)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "a stream cannot end here");
    if (!wlmi_tokens_reserve(out, 1))
        return WLMI_NO_MEMORY(error);
    out->packet[out->count] = wlmi_fields_segment(c);
    put(out, WLMI_R_BORDER, (unsigned)(WLMI_T_END + (int)end));
    c->end = end;
    c->role = WLMI_R_DONE;
    return WLM_OK;
}
