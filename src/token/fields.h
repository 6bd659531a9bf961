/* fields.h: what the parts of the codec `fields` share: the table of fields, token ids, a packet as field values, and
 * a flow's state. docs/FIELDS.md has the language.
 *
 * A packet is: its flow; its shape where it is new; direction and kind; time; the fields that are not as predicted,
 * each a tag and its digits; its length; payload. */
#ifndef WLMI_FIELDS_H
#define WLMI_FIELDS_H

#include "token/codec.h"

/* ---- shapes: which headers a packet has */

enum { /* link layers with IP inside */
    WLMI_FL_ETHERNET,
    WLMI_FL_VLAN,  /* Ethernet with one 802.1Q tag */
    WLMI_FL_VLANS, /* with two tags */
    WLMI_FL_PPPOE, /* Ethernet, PPPoE session, PPP */
    WLMI_FL_RAW,
    WLMI_FL_RAW_BSD,
    WLMI_FL_RAW_OPENBSD,
    WLMI_FL_IPV4,
    WLMI_FL_IPV6,
    WLMI_FL_SLL,
    WLMI_FL_SLL2,
    WLMI_FL_NULL,
    WLMI_FL_LOOP,
    WLMI_FIELDS_LINKS
};

enum { WLMI_FN_TCP, WLMI_FN_UDP, WLMI_FN_ICMP, WLMI_FN_OTHER, WLMI_FN_6 = 4, WLMI_FIELDS_NETS = 8 };

enum { WLMI_SHAPES = WLMI_FIELDS_LINKS * WLMI_FIELDS_NETS, WLMI_SHAPE_GENERIC = WLMI_SHAPES };

enum { /* layers, as bits: a field is there where one of its layers is */
    WLMI_LAYER_LINK = 1,
    WLMI_LAYER_VLAN = 2,
    WLMI_LAYER_IP4 = 4,
    WLMI_LAYER_IP6 = 8,
    WLMI_LAYER_IP = 12,
    WLMI_LAYER_TCP = 16,
    WLMI_LAYER_UDP = 32,
    WLMI_LAYER_PORTS = 48,
    WLMI_LAYER_ICMP = 64,
    WLMI_LAYER_SUMMED = 112,
    WLMI_LAYER_OTHER = 128,
    WLMI_LAYER_GENERIC = 256
};

/* ---- the table of fields */

enum wlmi_code { /* how a value that was not predicted is written: the tag token holds a bucket, digits follow */
    WLMI_CODE_FIX,    /* the value in `bits`, `fold` of them in the bucket */
    WLMI_CODE_WIDE,   /* bytes: link header, addresses */
    WLMI_CODE_D16,    /* difference modulo 2^16: `fold` small ones in the bucket, 64 more for the high bits */
    WLMI_CODE_D32,    /* difference modulo 2^32: small ones, 16-bit ones, all */
    WLMI_CODE_ACK,    /* as the direction's last, or D32 */
    WLMI_CODE_PORT,   /* one of 32 known ports, or FIX with 6 bits folded */
    WLMI_CODE_FRAG,   /* other don't-fragment bit, or all 16 bits */
    WLMI_CODE_SUM,    /* a checksum class */
    WLMI_CODE_LAYOUT, /* TCP options: a known layout, a list, or their bytes */
    WLMI_CODE_BYTES,  /* IP options: number of words in the bucket, then bytes */
    WLMI_CODE_SACK,   /* difference: 20 bits, or 32 */
    WLMI_CODE_RULE,   /* padding and cutting: a rule, some with a number */
    WLMI_CODE_FLAG    /* the other of two */
};

enum { WLMI_KNOWN_PORTS = 32, WLMI_KNOWN_LAYOUTS = 40 };

/* id, name, layers, code, bits, fold, buckets, hide class (what a hide policy removes it: i ids, m implicit, - none) */
#define WLMI_FIELDS(X)                                                                        \
    X(LINK, "link", WLMI_LAYER_LINK, WIDE, 0, 0, 1, 'i')                                      \
    X(VLAN, "vlan", WLMI_LAYER_VLAN, FIX, 16, 0, 1, 'i')                                      \
    X(TOS, "tos", WLMI_LAYER_IP, FIX, 8, 0, 1, '-')                                           \
    X(LABEL, "flow-label", WLMI_LAYER_IP6, FIX, 20, 0, 1, 'm')                                \
    X(ID, "ip-id", WLMI_LAYER_IP4, D16, 16, 16, 80, 'm')                                      \
    X(FRAG, "fragment", WLMI_LAYER_IP4, FRAG, 16, 0, 2, '-')                                  \
    X(TTL, "ttl", WLMI_LAYER_IP, FIX, 8, 0, 1, '-')                                         \
    X(SRC, "src", WLMI_LAYER_IP, WIDE, 0, 2, 4, 'i')                                          \
    X(DST, "dst", WLMI_LAYER_IP, WIDE, 0, 2, 4, 'i')                                          \
    X(PROTO, "protocol", WLMI_LAYER_OTHER, FIX, 8, 0, 1, '-')                                 \
    X(IPOPT, "ip-options", WLMI_LAYER_IP4, BYTES, 0, 0, 11, '-')                              \
    X(IPLEN, "ip-length-zero", WLMI_LAYER_IP, FLAG, 0, 0, 1, '-')                             \
    X(IPSUM, "ip-checksum", WLMI_LAYER_IP4, SUM, 16, 0, 5, 'm')                               \
    X(SPORT, "src-port", WLMI_LAYER_PORTS, PORT, 16, 6, 96, 'i')                              \
    X(DPORT, "dst-port", WLMI_LAYER_PORTS, PORT, 16, 6, 96, 'i')                              \
    X(SEQ, "seq", WLMI_LAYER_TCP, D32, 32, 0, 68, 'm')                                        \
    X(ACK, "ack", WLMI_LAYER_TCP, ACK, 32, 0, 69, 'm')                                        \
    X(WINDOW, "window", WLMI_LAYER_TCP, D16, 16, 16, 80, '-')                                 \
    X(URGENT, "urgent", WLMI_LAYER_TCP, FIX, 16, 0, 1, '-')                                   \
    X(LAYOUT, "options", WLMI_LAYER_TCP, LAYOUT, 0, 0, WLMI_KNOWN_LAYOUTS + 11, '-')          \
    X(MSS, "mss", WLMI_LAYER_TCP, FIX, 16, 0, 1, '-')                                       \
    X(SCALE, "window-scale", WLMI_LAYER_TCP, FIX, 4, 4, 16, '-')                              \
    X(TSVAL, "ts-value", WLMI_LAYER_TCP, D32, 32, 16, 84, 'm')                               \
    X(TSECR, "ts-echo", WLMI_LAYER_TCP, D32, 32, 16, 84, 'm')                                 \
    X(SACK0, "sack-left-1", WLMI_LAYER_TCP, SACK, 32, 0, 2, 'm')                              \
    X(SACK1, "sack-right-1", WLMI_LAYER_TCP, SACK, 32, 0, 2, 'm')                             \
    X(SACK2, "sack-left-2", WLMI_LAYER_TCP, SACK, 32, 0, 2, 'm')                              \
    X(SACK3, "sack-right-2", WLMI_LAYER_TCP, SACK, 32, 0, 2, 'm')                             \
    X(SACK4, "sack-left-3", WLMI_LAYER_TCP, SACK, 32, 0, 2, 'm')                              \
    X(SACK5, "sack-right-3", WLMI_LAYER_TCP, SACK, 32, 0, 2, 'm')                             \
    X(SACK6, "sack-left-4", WLMI_LAYER_TCP, SACK, 32, 0, 2, 'm')                              \
    X(SACK7, "sack-right-4", WLMI_LAYER_TCP, SACK, 32, 0, 2, 'm')                             \
    X(UDPLEN, "udp-length", WLMI_LAYER_UDP, D16, 16, 0, 64, '-')                              \
    X(ICMPTYPE, "icmp-type-code", WLMI_LAYER_ICMP, FIX, 16, 0, 1, '-')                        \
    X(ICMPHIGH, "icmp-id", WLMI_LAYER_ICMP, FIX, 16, 0, 1, 'i')                               \
    X(ICMPLOW, "icmp-seq", WLMI_LAYER_ICMP, FIX, 16, 0, 1, 'm')                               \
    X(SUM, "checksum", WLMI_LAYER_SUMMED, SUM, 16, 0, 5, 'm')                                 \
    X(PAD, "padding", WLMI_LAYER_IP, RULE, 16, 0, 3, 'i')                                     \
    X(TRAILER, "trailer", WLMI_LAYER_IP, FLAG, 0, 0, 1, 'i')                                  \
    X(CUT, "cut", WLMI_LAYER_IP, RULE, 20, 0, 3, '-')                                         \
    X(WIRE, "wire", WLMI_LAYER_GENERIC, FIX, 32, 2, 4, '-')                                    \
    X(CHECK, "frame-check", WLMI_LAYER_GENERIC, FLAG, 0, 0, 1, '-')

#define WLMI_FIELD_ID(id, name, layers, code, bits, fold, buckets, hide) WLMI_F_##id,
enum { WLMI_FIELDS(WLMI_FIELD_ID) WLMI_F_COUNT };
/* What packets are told in beside fields. */
enum { WLMI_F_FLOW = WLMI_F_COUNT, WLMI_F_SHAPE, WLMI_F_KIND, WLMI_F_TIME, WLMI_F_LENGTH, WLMI_F_END };

typedef struct wlmi_field {
    const char *name;
    uint16_t layers;
    uint8_t code, bits, fold;
    char hide;
    uint16_t buckets;
    wlmi_token tag; /* of bucket 0 */
} wlmi_field;

extern const wlmi_field wlmi_fields[WLMI_F_COUNT];
int wlmi_field_of(wlmi_token tag) __attribute__((const));

/* ---- token ids */

enum { WLMI_DIGIT_BITS = 10, WLMI_RUN_MAX = 63, WLMI_RECENT = 64 };
enum { WLMI_LEN_SMALL = 32 };
enum { /* kinds: without TCP flags; with common ones (WLMI_KIND_FLAGS); with others; raw */
    WLMI_KIND_PLAIN,
    WLMI_KIND_TCP,
    WLMI_KIND_OTHER = WLMI_KIND_TCP + 11,
    WLMI_KIND_RAW,
    WLMI_KINDS
};
enum { WLMI_US_TOKENS = 176, WLMI_NS_TOKENS = 63, WLMI_BACK_TOKENS = 64 };

#define WLMI_FIELD_TAG(id, name, layers, code, bits, fold, buckets, hide) \
    WLMI_T_##id, WLMI_T_##id##_LAST = WLMI_T_##id + (buckets) - 1,
enum {
    WLMI_T_BYTE = 0,
    WLMI_T_DIGIT = 256,
    WLMI_T_END = WLMI_T_DIGIT + (1 << WLMI_DIGIT_BITS), /* closed, timeout, cut */
    WLMI_T_NEW = WLMI_T_END + 3,                        /* flows of unit capture */
    WLMI_T_SLOT,
    WLMI_T_RECENT,                                      /* second in the order of use, third, ... */
    WLMI_T_SHAPE = WLMI_T_RECENT + WLMI_RECENT - 1,
    WLMI_T_LINK_SHORT = WLMI_T_SHAPE + WLMI_SHAPES,     /* generic: a link type of one digit */
    WLMI_T_LINK_LONG,                                   /* of 32 bits */
    WLMI_T_KIND,
    WLMI_T_US = WLMI_T_KIND + 2 * WLMI_KINDS,           /* time steps in microseconds, in nanoseconds, backward */
    WLMI_T_NS = WLMI_T_US + WLMI_US_TOKENS,
    WLMI_T_BACK = WLMI_T_NS + WLMI_NS_TOKENS,
    WLMI_T_TAG = WLMI_T_BACK + WLMI_BACK_TOKENS,
    WLMI_T_BEFORE_TAGS = WLMI_T_TAG - 1,
    WLMI_FIELDS(WLMI_FIELD_TAG)
    WLMI_T_LEN_SAME, /* lengths: as the direction's last, small, 16 bits, 26 bits */
    WLMI_T_LEN,
    WLMI_T_LEN_MID = WLMI_T_LEN + WLMI_LEN_SMALL,
    WLMI_T_LEN_LONG = WLMI_T_LEN_MID + 64,
    WLMI_T_RUN,
    WLMI_T_OPTION = WLMI_T_RUN + WLMI_RUN_MAX, /* items of a list of TCP options; the first ends it */
    WLMI_T_COUNT = WLMI_T_OPTION + 11
};
#define WLMI_T_WORDS ((WLMI_T_COUNT + 63) / 64)

/* ---- a packet as values */

enum wlmi_option { /* TCP options that are typed, by length */
    WLMI_OPTION_EOL,
    WLMI_OPTION_NOP,
    WLMI_OPTION_SACKP,
    WLMI_OPTION_SCALE,
    WLMI_OPTION_MSS,
    WLMI_OPTION_TS,
    WLMI_OPTION_SACK, /* of 1 block; then 2, 3, 4 */
    WLMI_OPTIONS = WLMI_OPTION_SACK + 4
};
extern const uint8_t wlmi_option_length[WLMI_OPTIONS];

typedef struct wlmi_layout_of_options {
    uint8_t count, size; /* options; bytes */
    uint8_t raw;         /* not typed: the bytes stand in item[] */
    uint8_t item[40];
} wlmi_tcp_layout;

enum { WLMI_SUM_CLASS_RIGHT, WLMI_SUM_CLASS_PARTIAL, WLMI_SUM_CLASS_ZERO, WLMI_SUM_CLASS_DIFF, WLMI_SUM_CLASS_CARRIED };
#define WLMI_RULE(rule, number) ((uint32_t)(rule) << 24 | (number)) /* of padding, cutting and checksums */
enum { WLMI_PAD_NONE, WLMI_PAD_60, WLMI_PAD_FIXED };
enum { WLMI_CUT_NONE, WLMI_CUT_PAYLOAD, WLMI_CUT_FRAME };

enum { WLMI_LINK_MAX = 22, WLMI_HEADERS_MAX = WLMI_LINK_MAX + 60 + 60 };

typedef struct wlmi_values {
    uint8_t shape, direction;
    uint16_t flags;           /* TCP: reserved bits and flags, 12 bits */
    int64_t time_ns;
    uint32_t v[WLMI_F_COUNT]; /* where the field is no wider than 32 bits */
    uint8_t link[WLMI_LINK_MAX];
    uint8_t address[2][16];   /* source, destination */
    uint8_t ip_options[40];   /* v[IPOPT] words */
    wlmi_tcp_layout layout;
    /* what follows from a packet, not from fields */
    uint32_t payload;         /* payload length by the headers; predicted: that of `length-same`, or 0 */
    uint32_t headers, network, transport; /* length of all headers; where they begin */
    uint32_t captured, wire;
} wlmi_values;

/* ---- a flow's state: changes in wlmi_fields_update() alone */

typedef struct wlmi_flow_side {
    uint8_t seen, seq_known, syn_seen, fin_seen, rst_seen, data_seen, ts_known, scale_known, scale;
    uint8_t link_kind, link[WLMI_LINK_MAX];
    uint8_t tos, ttl;
    uint16_t vlan, fragment, id, id_step, id_before, window, syn_window, mss, ip_options_words;
    uint32_t label, next_seq, ack, tsval, hz, length;
    uint32_t ipsum, sum, pad, cut;
    uint64_t total; /* payload bytes sent; of raw packets all that was captured */
    int64_t ts_ns; /* when tsval was told */
    uint32_t ts_first;
    int64_t ts_first_ns;
    uint16_t icmp_type, icmp_high, icmp_low;
    uint8_t protocol;
    wlmi_tcp_layout syn_layout, layout;
    uint8_t ip_options[40];
} wlmi_flow_side;

typedef struct wlmi_flow_state {
    uint8_t opened, shape, ends_known;
    uint32_t link_type, packets;
    uint8_t address[2][16]; /* forward source and destination */
    uint8_t raw_seen, raw_end[16]; /* raw packets: the forward one's link-layer source */
    uint8_t is_dns;                /* generating: its last payload was a message as dns.h has it */
    uint16_t port[2];
    int64_t first_ns; /* time of the first packet */
    wlmi_flow_side side[2];
} wlmi_flow_state;

/* ---- fields_shape.c */
uint32_t wlmi_shape_layers(int shape) __attribute__((const));
uint32_t wlmi_shape_link_type(int shape);
int wlmi_shape_link_size(int shape);  /* bytes before IP */
int wlmi_shape_link_bytes(int shape); /* of them told by the field `link` */
extern const uint16_t wlmi_kind_flags[WLMI_KIND_OTHER - WLMI_KIND_TCP];
extern const uint16_t wlmi_known_ports[WLMI_KNOWN_PORTS];
/* Index of a layout that has a token, or -1; and back. */
int wlmi_known_layout(const wlmi_tcp_layout *layout);
void wlmi_layout_known(int index, wlmi_tcp_layout *layout);
int wlmi_layout_has(const wlmi_tcp_layout *layout, int field); /* whether the option that carries the field is there */

/* ---- fields_parse.c: a function of the packet alone */
typedef enum wlmi_unparsed {
    WLMI_PARSED,
    WLMI_UNPARSED_LINK,    /* a link type or network protocol without fields of its own */
    WLMI_UNPARSED_CUT,     /* headers are not all there */
    WLMI_UNPARSED_LENGTHS, /* lengths contradict each other */
    WLMI_UNPARSED_BUILD,   /* fields do not give the packet back */
    WLMI_UNPARSED_COUNT
} wlmi_unparsed;
wlmi_unparsed wlmi_fields_parse(const wlm_packet *packet, wlmi_values *values);

/* ---- fields_build.c */
/* Writes the headers (checksums zero) and sets headers, network, transport; payload must be set. */
void wlmi_fields_build(wlmi_values *values, uint8_t out[WLMI_HEADERS_MAX]);
/* Sets wire and captured by the rules for padding and cutting. */
void wlmi_fields_measure(wlmi_values *values);
/* Fills the checksums of the built packet of which `captured` bytes are there. */
void wlmi_fields_fill_sums(const wlmi_values *values, uint8_t *data);
/* Chooses rules that give what the packet has (padding, cut, checksums), the predicted ones first. 0: none does. */
int wlmi_fields_settle(const wlm_packet *packet, const wlmi_values *predicted, wlmi_values *values);

/* ---- fields_predict.c */
/* The values' shape, direction, flags and time are set; all else is predicted. */
void wlmi_fields_predict(const wlmi_flow_state *state, wlmi_values *predicted);
/* Direction that parsed values have in the flow. */
int wlmi_fields_direction(const wlmi_flow_state *state, const wlmi_values *values);

/* ---- fields_update.c */
/* values: parsed and settled; NULL for a raw packet. */
void wlmi_fields_update(wlmi_flow_state *state, const wlm_packet *packet, int direction, const wlmi_values *values);
/* The raw packet's: backward where its link-layer source is not that of the first. */
int wlmi_fields_raw_direction(const wlmi_flow_state *state, const wlm_packet *packet);

/* ---- fields_number.c: values as buckets and digits */
enum { WLMI_DIGITS_MAX = 16 };
typedef struct wlmi_spelled {
    uint16_t bucket;
    uint8_t count;
    uint16_t digit[WLMI_DIGITS_MAX];
} wlmi_spelled;
/* The value that differs from the predicted one. */
void wlmi_fields_spell(int field, const wlmi_values *predicted, const wlmi_values *values, wlmi_spelled *out);
/* The spelling that would give the predicted value: forbidden. 0: there is none. */
int wlmi_fields_forbidden(int field, const wlmi_values *predicted, wlmi_spelled *out);
void wlmi_fields_read(int field, const wlmi_values *predicted, const wlmi_spelled *spelled, wlmi_values *values);
int wlmi_fields_digits(int field, int shape, int bucket);                 /* how many follow the tag */
uint32_t wlmi_fields_first_high(int field, int shape, int bucket);        /* greatest first digit */
uint32_t wlmi_fields_first_low(int field, int bucket);

typedef struct wlmi_step { /* a time step: token, digits */
    wlmi_token token;
    uint8_t count;
    uint16_t digit[8];
} wlmi_step;
void wlmi_step_spell(int64_t before, int64_t time, wlmi_step *step);
int wlmi_step_digits(wlmi_token token, uint32_t *first_high);
int64_t wlmi_step_read(int64_t before, const wlmi_step *step);

#endif
