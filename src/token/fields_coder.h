/* fields_coder.h: the state of one stream of the codec `fields`, shared by its encoder and its decoder. */
#ifndef WLMI_FIELDS_CODER_H
#define WLMI_FIELDS_CODER_H

#include "base/measure.h"
#include "token/dns.h"
#include "token/fields.h"
#include "token/fields_check.h"
#include "token/fields_flows.h"
#include "token/fields_raw.h"
#include "token/tls.h"

enum { /* roles; those of digits say of which field and which digit */
    WLMI_R_BORDER,
    WLMI_R_SLOT, /* two digits */
    WLMI_R_NEW = WLMI_R_SLOT + 2,
    WLMI_R_CHOSEN, /* a flow was named */
    WLMI_R_LINK,   /* four digits, or the last alone */
    WLMI_R_KIND = WLMI_R_LINK + 4,
    WLMI_R_FLAGS, /* two digits */
    WLMI_R_TIME = WLMI_R_FLAGS + 2,
    WLMI_R_TIME_DIGIT, /* by digits to come, from 1 */
    WLMI_R_TAGS = WLMI_R_TIME_DIGIT + 7, /* TCP, UDP, ICMP, other, generic */
    WLMI_R_FIELD = WLMI_R_TAGS + 5,      /* four for each field */
    WLMI_R_LEN = WLMI_R_FIELD + 4 * WLMI_F_COUNT, /* three digits */
    WLMI_R_OPTION = WLMI_R_LEN + 3,
    WLMI_R_LITERAL,
    WLMI_R_PAYLOAD,
    WLMI_R_TRAILER,
    WLMI_R_GENERIC,
    WLMI_R_DONE,
    WLMI_R_COUNT
};

enum { WLMI_ROWS = 3 * WLMI_FIELDS_NETS + 1 }; /* tag rows, by network and transport and kind of link; generic */

struct wlmi_coder {
    wlmi_coder_options options;
    uint8_t role;
    int64_t measure; /* of the token last pushed, but a place, which the next byte's has */
    wlmi_end end;
    int64_t time_ns;  /* of the last packet */
    uint64_t packets; /* complete ones */
    wlmi_flow_state one; /* unit flow */
    wlmi_flows flows;    /* unit capture */
    wlmi_raw *history;   /* of raw packets; NULL until there is one */
    wlmi_flow_id given;  /* of the packet's flow, where the caller names it */
    int is_given;
    wlmi_flow_state *flow; /* the packet's, or the last one's; NULL: none yet */
    wlmi_unparsed why;     /* the packet last encoded went raw */

    /* the packet being read */
    int fresh; /* its flow begins with it */
    int raw;
    uint32_t link_type;
    wlmi_values predicted, values;
    wlmi_token low;    /* tags below may not follow */
    uint64_t row[WLMI_T_WORDS];     /* of a border, a kind, tags */
    uint64_t options_row[WLMI_T_WORDS]; /* of a list of TCP options */

    /* the number being read */
    int field;
    wlmi_spelled number, forbidden;
    int want;        /* digits it has */
    int may_match;   /* all digits so far are those of the forbidden one */
    uint32_t first_low, first_high;
    uint32_t bytes_want, bytes_have; /* of options told as bytes */
    wlmi_step step;

    uint8_t *data;
    size_t capacity;
    uint32_t have, told; /* bytes in data; where those end that tokens tell */
    uint32_t body, body_end; /* where a raw packet or a payload begins in data, and where it ends */
    uint32_t string;     /* base/measure.h, of the bytes so far */
    int bound;           /* generating: the row says which byte of the payload can come */
    wlmi_dns_asked asked; /* generating, unit flow */
    wlmi_tls tls;         /* the same */
    uint32_t run;              /* generic: length of the run just read */
    int expected;              /* generic: the byte to come; -1: none is expected */
    wlm_packet packet;
    int refilled;      /* payload was drawn, and `again` are the values of the packet with it */
    wlmi_values again;
    int summed;        /* its checksums were written with that */
};

/* The packet's index in its flow; until tokens name another flow it is that of the packet before. */
static inline uint32_t wlmi_fields_segment(const wlmi_coder *c)
{
    return c->flow ? c->flow->packets : 0;
}

/* The measure of the last token of a time. */
static inline int64_t wlmi_measure_of_time(const wlmi_coder *c, int64_t time_ns)
{
    return wlmi_measure_gap((int64_t)((uint64_t)time_ns - (uint64_t)c->time_ns));
}

/* The measure of the last token of a length, of a packet whose other values are known. */
int64_t wlmi_measure_of_length(const wlmi_values *h, int raw, uint32_t length);

static inline int wlmi_rows_index(const wlmi_values *h)
{
    uint32_t layers = wlmi_shape_layers(h->shape);
    return h->shape == WLMI_SHAPE_GENERIC ? 3 * WLMI_FIELDS_NETS
           : (layers & WLMI_LAYER_VLAN ? 2 : layers & WLMI_LAYER_LINK ? 1 : 0) * WLMI_FIELDS_NETS +
                 h->shape % WLMI_FIELDS_NETS;
}

static inline int wlmi_tags_role(const wlmi_values *h)
{
    return WLMI_R_TAGS + (h->shape == WLMI_SHAPE_GENERIC ? 4 : h->shape % WLMI_FN_6);
}

static inline int wlmi_is_field_digit(const wlmi_coder *c)
{
    return c->role >= WLMI_R_FIELD && c->role < WLMI_R_LEN;
}

static inline int wlmi_digit_role(int field, int digit)
{
    return WLMI_R_FIELD + 4 * field + (digit < 3 ? digit : 3);
}

/* Payload bytes that are tokens, of those captured. Where a transport header was not understood it is payload, and its
 * first bytes are told always, lest others would be understood. */
static inline uint32_t wlmi_payload_told(const wlmi_coder *c, int shape, uint32_t payload)
{
    uint32_t limit = c->options.payload_limit;
    if (shape % WLMI_FN_6 == WLMI_FN_OTHER && limit < 20)
        limit = 20;
    return c->options.payload_limited && payload > limit ? limit : payload;
}

/* Bytes of a raw packet that are tokens: all but a right check at the end. */
static inline uint32_t wlmi_raw_told(const wlmi_values *h, uint32_t link_type)
{
    uint32_t size = h->v[WLMI_F_CHECK] || h->wire != h->captured ? 0 : wlmi_check_size(link_type);
    return h->captured >= size ? h->captured - size : h->captured;
}

/* Room for the table of flows where the stream needs one. */
wlm_status wlmi_fields_ready(wlmi_coder *c, wlm_error *error);
/* Room for the history of raw packets. */
wlm_status wlmi_fields_history(wlmi_coder *c, wlm_error *error);
/* Takes a complete packet into the flow's state and the stream's. values: the packet's, parsed and settled against what
 * was predicted, where the caller has them. */
void wlmi_fields_absorb(wlmi_coder *c, const wlm_packet *packet, int direction, const wlmi_values *values);
/* The same for one that was told raw. */
void wlmi_fields_absorb_raw(wlmi_coder *c, const wlm_packet *packet, int direction);
/* Predicts a raw packet. */
void wlmi_fields_predict_raw(wlmi_coder *c, uint32_t link_type);

wlm_status wlmi_fields_encode(wlmi_coder *c, const wlm_packet *packet, wlmi_tokens *out, wlm_error *error);
wlm_status wlmi_fields_encode_end(wlmi_coder *c, wlmi_end end, wlmi_tokens *out, wlm_error *error);
/* ---- fields_grammar.c: the row that the coder keeps */
void wlmi_fields_make_rows(void);                     /* the tag rows, once */
void wlmi_fields_border(wlmi_coder *c);                        /* a packet can begin, or the stream end */
void wlmi_row_of_flow(wlmi_coder *c);                          /* shapes, or kinds of the shape that the flow has */
void wlmi_row_of_kinds(wlmi_coder *c, int shape, int raw);     /* raw: those too */
void wlmi_row_of_tags(wlmi_coder *c);
/* What may follow in a payload that is generated, behind the bytes so far: dns.h, tls.h. */
void wlmi_row_of_payload(wlmi_coder *c);
/* What its next payloads will have to fit: this one, of a packet with these values. */
void wlmi_note_payload(wlmi_coder *c, const wlmi_values *values, const uint8_t *payload, uint32_t size);
void wlmi_row_of_options(wlmi_coder *c);                       /* values of the options that the layout has */
void wlmi_row_clear(uint64_t *row, unsigned from, unsigned count);
uint32_t wlmi_longest_payload(const wlmi_coder *c);            /* as the fields told so far leave room */

/* ---- fields_sound.c: generating, what a sound pair of TCP hosts does not send, out of a row */
void wlmi_sound_kinds(const wlmi_coder *c, const wlmi_flow_state *flow, int shape, uint64_t *row);
void wlmi_sound_tags(wlmi_coder *c);    /* out of the coder's */
void wlmi_sound_options(wlmi_coder *c); /* the same, of values of options */
void wlmi_sound_list(wlmi_coder *c);    /* out of the row of a list of options, which begins */
const uint64_t *wlmi_sound_digits(const wlmi_coder *c); /* those that can come; NULL: all */

/* ---- fields_head.c, fields_tags.c: what the decoder does at a token */
void wlmi_take_head(wlmi_coder *c, wlmi_token token, wlmi_pushed *what); /* begins a packet or ends the stream */
void wlmi_take_flow(wlmi_coder *c, int slot);
void wlmi_take_link_type(wlmi_coder *c, uint32_t link_type);
void wlmi_take_time(wlmi_coder *c, wlmi_token token);
void wlmi_end_time(wlmi_coder *c);                     /* its step is told */
void wlmi_begin_tags(wlmi_coder *c);                   /* the head is told */
void wlmi_take_tag(wlmi_coder *c, wlmi_token token);
void wlmi_take_option(wlmi_coder *c, int option);      /* of a list of TCP options; -1 ends it */
void wlmi_take_literal(wlmi_coder *c, wlmi_token token);
void wlmi_end_field(wlmi_coder *c); /* the field is told: its tags are over, and unless shuffled those before it */

/* ---- fields_push.c */
/* A number of so many digits is to come, the first of them within low..high. */
void wlmi_expect(wlmi_coder *c, int role, int digits, uint32_t low, uint32_t high);
wlm_status wlmi_fields_push(wlmi_coder *c, wlmi_token token, wlmi_pushed *what, wlm_error *error);
void wlmi_fields_allowed(const wlmi_coder *c, wlmi_allowed *allowed);
void wlmi_fields_text(wlmi_coder *reader, const wlmi_tokens *tokens, char *text, size_t size);
const char *wlmi_fields_token_name(wlmi_token token, char text[32]);

extern const uint64_t wlmi_fields_rows[WLMI_R_COUNT][WLMI_T_WORDS];
extern const char *const wlmi_fields_role_names[WLMI_R_COUNT];
extern const char *const wlmi_fields_field_names[];
int wlmi_fields_field(uint8_t role, wlmi_token token);

#endif
