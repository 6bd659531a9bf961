/* fields_grammar.c: which tokens may follow: the rows of borders, kinds and tags, and the bounds of numbers. */
#include <pthread.h>
#include <string.h>

#include "capture/capture.h"
#include "capture/decode.h"
#include "token/dns.h"
#include "token/fields_coder.h"

enum { /* the longest payload of a packet whose IP length is 0; longer ones go raw */
    LONG_FIRST = 62,
    LONG_MAX = LONG_FIRST << 20 | 0xfffff
};

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* ---- rows */

/* Bits of the word-th word that stand for tokens from..to. */
static uint64_t mask(unsigned word, unsigned from, unsigned to)
{
    uint64_t low = from > 64 * word ? UINT64_MAX << (from & 63) : UINT64_MAX;
    return to < 64 * word + 63 ? low & ((UINT64_C(2) << (to & 63)) - 1) : low;
}

static void set_range(uint64_t *row, unsigned from, unsigned count)
{
    unsigned to = from + count - 1;
    for (unsigned word = from >> 6; count && word <= to >> 6; word++)
        row[word] |= mask(word, from, to);
}

void wlmi_row_clear(uint64_t *row, unsigned from, unsigned count)
{
    unsigned to = from + count - 1;
    for (unsigned word = from >> 6; count && word <= to >> 6; word++)
        row[word] &= ~mask(word, from, to);
}

/* Which tags can stand where, before anything is predicted: the same for all coders. */
static uint64_t tag_rows[WLMI_ROWS][WLMI_T_WORDS];
static pthread_once_t tag_rows_once = PTHREAD_ONCE_INIT;

static void make_tag_rows(void)
{
    static const uint8_t link[3] = {WLMI_FL_RAW, WLMI_FL_ETHERNET, WLMI_FL_VLAN};
    for (int i = 0; i < WLMI_ROWS; i++) {
        int generic = i == WLMI_ROWS - 1;
        int shape = generic ? WLMI_SHAPE_GENERIC
                            : link[i / WLMI_FIELDS_NETS] * WLMI_FIELDS_NETS + i % WLMI_FIELDS_NETS;
        for (int f = 0; f < WLMI_F_COUNT; f++)
            if (wlmi_fields[f].layers & wlmi_shape_layers(shape)) {
                int narrow = wlmi_fields[f].code == WLMI_CODE_WIDE && i % WLMI_FIELDS_NETS >= WLMI_FN_6;
                set_range(tag_rows[i], wlmi_fields[f].tag, narrow ? 1 : wlmi_fields[f].buckets);
            }
        set_range(tag_rows[i], WLMI_T_LEN_SAME, WLMI_T_LEN_LONG - WLMI_T_LEN_SAME + 1);
    }
}

void wlmi_fields_make_rows(void)
{
    pthread_once(&tag_rows_once, make_tag_rows);
}

/* Kinds that fit the shape; raw ones where the packet need not have it. */
static void set_kinds(uint64_t *row, int shape, int raw)
{
    for (int direction = 0; direction < 2; direction++) {
        unsigned kind = WLMI_T_KIND + (unsigned)direction * WLMI_KINDS;
        if (shape != WLMI_SHAPE_GENERIC && shape % WLMI_FN_6 == WLMI_FN_TCP)
            set_range(row, kind + WLMI_KIND_TCP, WLMI_KIND_OTHER - WLMI_KIND_TCP + 1);
        else if (shape != WLMI_SHAPE_GENERIC)
            set_range(row, kind + WLMI_KIND_PLAIN, 1);
        if (raw)
            set_range(row, kind + WLMI_KIND_RAW, 1);
    }
}

/* Shapes that the flow does not have, and kinds of the one that it has. */
static void set_shapes(const wlmi_coder *c, uint64_t *row, const wlmi_flow_state *flow)
{
    int generating = c->options.generating;
    if (!flow || !flow->opened) {
        set_range(row, WLMI_T_SHAPE, WLMI_SHAPES + (generating ? 0 : 2));
        return;
    }
    if (!generating) {
        set_range(row, WLMI_T_SHAPE, WLMI_SHAPES + 2);
        if (flow->shape != WLMI_SHAPE_GENERIC)
            wlmi_row_clear(row, WLMI_T_SHAPE + flow->shape, 1);
    }
    set_kinds(row, flow->shape, !generating || flow->shape == WLMI_SHAPE_GENERIC);
    wlmi_sound_kinds(c, flow, flow->shape, row);
}

void wlmi_row_of_kinds(wlmi_coder *c, int shape, int raw)
{
    memset(c->row, 0, sizeof c->row);
    set_kinds(c->row, shape, raw);
    wlmi_sound_kinds(c, c->flow ? c->flow : &c->one, shape, c->row);
}

void wlmi_row_of_flow(wlmi_coder *c)
{
    memset(c->row, 0, sizeof c->row);
    set_shapes(c, c->row, c->flow);
}

void wlmi_fields_border(wlmi_coder *c)
{
    c->role = WLMI_R_BORDER;
    memset(c->row, 0, sizeof c->row);
    if (!c->options.generating || c->packets)
        set_range(c->row, WLMI_T_END, 3);
    if (!c->options.capture) {
        set_shapes(c, c->row, c->flow);
        return;
    }
    set_range(c->row, WLMI_T_NEW, 1);
    if (c->flows.count > 0) {
        set_range(c->row, WLMI_T_SLOT, 1);
        set_range(c->row, WLMI_T_RECENT, least(c->flows.count, WLMI_RECENT) - 1);
        set_shapes(c, c->row, c->flow);
    }
}

/* ---- rows of tags */

uint32_t wlmi_longest_payload(const wlmi_coder *c)
{
    const wlmi_values *h = &c->values;
    uint32_t headers, link, snap = c->options.snap_length ? c->options.snap_length : 65535;
    int net = h->shape % WLMI_FN_6, is4 = h->shape % WLMI_FIELDS_NETS < WLMI_FN_6;
    if (c->raw)
        return c->options.generating ? least(snap, 65535) : (uint32_t)WLMI_RECORD_MAX - 1;
    if (h->v[WLMI_F_IPLEN])
        return LONG_MAX;
    link = (uint32_t)wlmi_shape_link_size(h->shape);
    headers = (is4 ? 20 + 4 * h->v[WLMI_F_IPOPT] : 0u) +
              (net == WLMI_FN_TCP ? 20u + h->layout.size : net == WLMI_FN_OTHER ? 0u : 8u);
    if (c->options.generating && (c->options.generating == WLMI_GENERATING_WHOLE || h->v[WLMI_F_CUT] == 0)) {
        uint32_t all = headers + link + (is4 ? 0 : 40);
        return least(snap > all ? snap - all : 0, 65535 - headers);
    }
    return 65535 - headers;
}

static int is_option_value(int field)
{
    return field >= WLMI_F_MSS && field <= WLMI_F_SACK7;
}

/* Values of options that the layout does not have are not told; shuffled, they may come before the layout. */
void wlmi_row_of_options(wlmi_coder *c)
{
    if (c->options.shuffle || c->values.shape % WLMI_FN_6 != WLMI_FN_TCP)
        return;
    for (int f = WLMI_F_MSS; f <= WLMI_F_SACK7; f++) {
        const wlmi_field *field = &wlmi_fields[f];
        if (!wlmi_layout_has(&c->values.layout, f))
            wlmi_row_clear(c->row, field->tag, field->buckets);
        else if (is_option_value(f))
            set_range(c->row, field->tag, field->buckets);
    }
    if (wlmi_layout_has(&c->values.layout, WLMI_F_SCALE))
        wlmi_row_clear(c->row, wlmi_fields[WLMI_F_SCALE].tag + c->predicted.v[WLMI_F_SCALE], 1);
    wlmi_sound_options(c);
}

/* What was predicted cannot be told where a tag alone would tell it. */
static void clear_predicted(wlmi_coder *c)
{
    const wlmi_values *p = &c->predicted;
    const wlmi_flow_side *side = &c->flow->side[p->direction];
    uint32_t layers = wlmi_shape_layers(p->shape);
    static const uint8_t single[] = {WLMI_F_IPSUM, WLMI_F_SUM, WLMI_F_PAD, WLMI_F_CUT, WLMI_F_SPORT,
                                     WLMI_F_DPORT};
    for (size_t i = 0; i < sizeof single && !c->raw; i++) {
        const wlmi_field *f = &wlmi_fields[single[i]];
        wlmi_spelled s;
        wlmi_fields_spell(single[i], p, p, &s);
        if (f->layers & layers && s.count == 0)
            wlmi_row_clear(c->row, f->tag + s.bucket, 1);
    }
    if (!c->raw && p->v[WLMI_F_IPOPT] == 0)
        wlmi_row_clear(c->row, WLMI_T_IPOPT, 1);
    if (!c->raw && layers & WLMI_LAYER_TCP) {
        int known = wlmi_known_layout(&p->layout);
        if (known >= 0)
            wlmi_row_clear(c->row, (unsigned)(WLMI_T_LAYOUT + known), 1);
        if (p->v[WLMI_F_ACK] == side->ack)
            wlmi_row_clear(c->row, WLMI_T_ACK, 1);
    }
    if (c->raw && !wlmi_check_size(c->link_type))
        wlmi_row_clear(c->row, WLMI_T_CHECK, 1);
    if (p->payload == 0)
        wlmi_row_clear(c->row, WLMI_T_LEN_SAME, 1);
    else if (p->payload < WLMI_LEN_SMALL)
        wlmi_row_clear(c->row, WLMI_T_LEN + p->payload, 1);
}

/* Generated packets have right checksums, or none, and are whole unless cut behind the headers is asked for. */
static void clear_implausible(wlmi_coder *c)
{
    if (c->options.generating == WLMI_GENERATING_WHOLE)
        wlmi_row_clear(c->row, WLMI_T_CUT, wlmi_fields[WLMI_F_CUT].buckets);
    wlmi_row_clear(c->row, WLMI_T_CUT + WLMI_CUT_FRAME, 1);
    wlmi_row_clear(c->row, WLMI_T_WIRE, wlmi_fields[WLMI_F_WIRE].buckets);
    wlmi_row_clear(c->row, WLMI_T_IPLEN, 1);
    wlmi_row_clear(c->row, WLMI_T_PAD + WLMI_PAD_FIXED, 1);
    wlmi_row_clear(c->row, WLMI_T_UDPLEN, wlmi_fields[WLMI_F_UDPLEN].buckets);
    wlmi_row_clear(c->row, WLMI_T_IPSUM + 1, wlmi_fields[WLMI_F_IPSUM].buckets - 1u);
    wlmi_row_clear(c->row, WLMI_T_SUM + WLMI_SUM_CLASS_PARTIAL, 1);
    wlmi_row_clear(c->row, WLMI_T_SUM + WLMI_SUM_CLASS_DIFF, 2);
    for (int i = 0; i < WLMI_KNOWN_LAYOUTS; i++) { /* that end inside a word, or are too long: no header has them */
        wlmi_tcp_layout layout;
        wlmi_layout_known(i, &layout);
        if (layout.size % 4 || layout.size > 40)
            wlmi_row_clear(c->row, (unsigned)(WLMI_T_LAYOUT + i), 1);
    }
    if (c->values.shape % WLMI_FN_6 != WLMI_FN_UDP)
        wlmi_row_clear(c->row, WLMI_T_SUM + WLMI_SUM_CLASS_ZERO, 1);
    if (c->raw) /* an empty packet */
        wlmi_row_clear(c->row, WLMI_T_LEN, 1);
    if (c->raw && !c->predicted.v[WLMI_F_CHECK])
        wlmi_row_clear(c->row, WLMI_T_CHECK, 1);
}

void wlmi_row_of_tags(wlmi_coder *c)
{
    memcpy(c->row, tag_rows[wlmi_rows_index(&c->predicted)], sizeof c->row);
    clear_predicted(c);
    wlmi_row_of_options(c);
    if (c->options.generating) {
        clear_implausible(c);
        wlmi_sound_tags(c);
    }
}

/* ---- payload */

static int is_over(const wlmi_values *h, int transport)
{
    return h->shape != WLMI_SHAPE_GENERIC && h->shape % WLMI_FN_6 == transport;
}

static wlmi_tls_segment segment_of(const wlmi_values *h, const uint8_t *payload)
{
    return (wlmi_tls_segment){payload, h->payload, h->direction, (h->flags & WLMI_TCP_PSH) != 0};
}

/* Few other protocols have what looks like the beginning of a DNS message with room for what it announces, or of a TLS
 * record that ends where it must. Behind a message comes another. Only in unit flow do segments follow each other. */
void wlmi_row_of_payload(wlmi_coder *c)
{
    const wlmi_values *h = &c->values;
    const uint8_t *payload = c->data + c->body;
    const uint32_t have = c->have - c->body;
    c->bound = 0;
    if (!c->options.generating)
        return;
    memset(c->row, 0, sizeof c->row);
    if (is_over(h, WLMI_FN_UDP)) {
        c->bound = (c->flow->is_dns || wlmi_dns_begins(payload, have)) &&
                   wlmi_dns_next(payload, have, h->payload, &c->asked, h->direction, c->row);
    } else if (is_over(h, WLMI_FN_TCP) && !c->options.capture) {
        const wlmi_tls_segment segment = segment_of(h, payload);
        c->bound = wlmi_tls_next(&c->tls, &segment, have, c->row);
    }
}

static void note_udp(wlmi_coder *c, const wlmi_values *values, const uint8_t *payload, uint32_t size)
{
    uint64_t row[4];
    c->flow->is_dns = size > WLMI_DNS_HEADER && wlmi_dns_next(payload, size - 1, size, NULL, values->direction, row) &&
                      (row[payload[size - 1] >> 6] >> (payload[size - 1] & 63) & 1);
    if (c->flow->is_dns && !c->options.capture)
        wlmi_dns_said(&c->asked, payload, size, values->direction);
}

void wlmi_note_payload(wlmi_coder *c, const wlmi_values *values, const uint8_t *payload, uint32_t size)
{
    if (!c->options.generating || !size)
        return;
    c->flow->is_dns = 0;
    if (is_over(values, WLMI_FN_UDP)) {
        note_udp(c, values, payload, size);
    } else if (is_over(values, WLMI_FN_TCP) && !c->options.capture) {
        const wlmi_tls_segment segment = segment_of(values, payload);
        wlmi_tls_said(&c->tls, &segment, size);
    }
}

/* ---- what may follow */

static void allowed_tags(const wlmi_coder *c, wlmi_allowed *a)
{
    uint32_t max = wlmi_longest_payload(c);
    a->row = c->row;
    a->low = c->low;
    a->high = max > UINT16_MAX             ? WLMI_T_LEN_LONG
              : max >= WLMI_LEN_SMALL ? (wlmi_token)(WLMI_T_LEN_MID + (max >> WLMI_DIGIT_BITS))
                                           : (wlmi_token)(WLMI_T_LEN + max);
    if (c->predicted.payload > max)
        a->except = WLMI_T_LEN_SAME;
}

static void allowed_digit(const wlmi_coder *c, wlmi_allowed *a)
{
    int i = c->number.count, last = i == c->want - 1;
    uint32_t low = 0, high = (1 << WLMI_DIGIT_BITS) - 1;
    if (i == 0) {
        low = c->first_low;
        high = c->first_high;
    }
    if (c->role == WLMI_R_LEN + 1 && c->number.digit[0] == 0)
        low = 64; /* shorter ones have fewer digits */
    else if (c->role == WLMI_R_LINK + 2 && c->number.digit[0] == 0 && c->number.digit[1] == 0)
        low = 1;
    else if (wlmi_is_field_digit(c) && wlmi_fields[c->field].code == WLMI_CODE_SUM && last &&
             c->number.bucket == WLMI_SUM_CLASS_DIFF && c->number.digit[0] == 0)
        low = 1;
    else if (c->role == WLMI_R_SLOT + 1 && c->number.digit[0] == (c->flows.count - 1) >> WLMI_DIGIT_BITS)
        high = (c->flows.count - 1) & 1023;
    a->low = (wlmi_token)(WLMI_T_DIGIT + low);
    a->high = (wlmi_token)(WLMI_T_DIGIT + high);
    if (last && c->may_match)
        a->except = WLMI_T_DIGIT + c->forbidden.digit[i];
    if (c->options.generating) {
        const uint64_t *row = wlmi_sound_digits(c);
        a->row = row ? row : a->row;
    }
}

static void allowed_option(const wlmi_coder *c, wlmi_allowed *a)
{
    const wlmi_tcp_layout *layout = &c->values.layout;
    int room = 40 - layout->size, most = WLMI_OPTIONS - 1;
    int same = !memcmp(layout, &c->predicted.layout, sizeof *layout);
    while (most >= 0 && wlmi_option_length[most] > room)
        most--;
    if (layout->count && layout->item[layout->count - 1] == WLMI_OPTION_EOL && most > WLMI_OPTION_EOL)
        most = WLMI_OPTION_EOL;
    a->row = c->options_row;
    a->low = layout->size % 4 || (same && room) ? WLMI_T_OPTION + 1 : WLMI_T_OPTION;
    a->high = (wlmi_token)(WLMI_T_OPTION + 1 + most);
}

static void allowed_generic(const wlmi_coder *c, wlmi_allowed *a)
{
    uint32_t end = least(c->told, WLMI_RAW_EXPECTED);
    a->low = WLMI_T_BYTE;
    a->high = WLMI_T_BYTE + 255;
    a->except = c->expected;
    if (c->have >= end)
        return;
    if (c->run == 0 || c->run == WLMI_RUN_MAX) /* a run ends where it must */
        a->high = (wlmi_token)(WLMI_T_RUN + least(end - c->have, WLMI_RUN_MAX) - 1);
}

void wlmi_fields_allowed(const wlmi_coder *c, wlmi_allowed *a)
{
    a->row = wlmi_fields_rows[c->role];
    a->low = 0;
    a->high = WLMI_T_COUNT - 1;
    a->except = -1;
    switch (c->role) {
    case WLMI_R_BORDER:
    case WLMI_R_NEW:
    case WLMI_R_CHOSEN:
    case WLMI_R_KIND: a->row = c->row; break;
    case WLMI_R_TIME:
        if (c->options.generating) { /* at most an hour, never back */
            int64_t room = c->time_ns > 0 ? INT64_MAX - c->time_ns : INT64_MAX;
            a->high = room < INT64_C(5000000000000) ? WLMI_T_US : WLMI_T_US + 2 + 3 * 36 + 5; /* below 2^32 us */
        }
        break;
    case WLMI_R_TAGS:
    case WLMI_R_TAGS + 1:
    case WLMI_R_TAGS + 2:
    case WLMI_R_TAGS + 3:
    case WLMI_R_TAGS + 4: allowed_tags(c, a); break;
    case WLMI_R_OPTION: allowed_option(c, a); break;
    case WLMI_R_LITERAL:
        if (c->may_match && c->bytes_have == c->bytes_want - 1)
            a->except = c->predicted.ip_options[c->bytes_have];
        break;
    case WLMI_R_GENERIC: allowed_generic(c, a); break;
    case WLMI_R_PAYLOAD:
        if (c->bound)
            a->row = c->row;
        break;
    case WLMI_R_TRAILER: break;
    case WLMI_R_DONE:
        a->low = 1;
        a->high = 0;
        break;
    default: allowed_digit(c, a);
    }
}

