/* tally.h: what bits were spent on: by section and protocol, by layer, link type and header field. */
#ifndef WLMI_TALLY_H
#define WLMI_TALLY_H

#include "base/status.h"
#include "token/codec.h"

enum { WLMI_OPENING, WLMI_HEADER, WLMI_TIME, WLMI_PAYLOAD, WLMI_SECTIONS }; /* parts of a packet's tokens */
enum { WLMI_ON_TCP, WLMI_ON_UDP, WLMI_ON_ICMP, WLMI_ON_IP, WLMI_ON_LINK, WLMI_ONS }; /* a packet's protocol */
extern const char *const wlmi_section_names[WLMI_SECTIONS], *const wlmi_on_names[WLMI_ONS];

typedef struct wlmi_cost {
    uint64_t tokens;
    double bits;
} wlmi_cost;

typedef struct wlmi_on_cost { /* of the packets of one protocol or link type */
    uint64_t packets, bytes; /* bytes: captured, and 16 for each record's header */
    wlmi_cost cost[WLMI_SECTIONS];
} wlmi_on_cost;

typedef struct wlmi_link_cost {
    uint32_t link_type;
    wlmi_on_cost on;
} wlmi_link_cost;

typedef struct wlmi_field_cost { /* of one header field */
    uint64_t there;      /* packets that have it, in so far as the codec tells */
    uint64_t told;       /* of those, that it is told of: it was not as predicted */
    uint64_t right;      /* of those that have it: the most likely tokens give the right value */
    uint64_t told_right; /* of those that are told */
    double bits;         /* of what is told; of the tokens that pass over it none */
} wlmi_field_cost;

typedef struct wlmi_mark { /* what a token tells of */
    uint8_t on, section, group;
    int16_t field; /* or WLMI_NO_FIELD */
    uint32_t link; /* index in the tally's */
} wlmi_mark;

typedef struct wlmi_tally {
    const wlmi_codec *codec;
    wlmi_on_cost on[WLMI_ONS];
    wlmi_cost group[WLMI_GROUPS]; /* none left in WLMI_GROUP_DATA */
    wlmi_link_cost *link;         /* in the order in which they were seen */
    size_t links, link_room;
    wlmi_field_cost *field;       /* [fields]: the codec's, then those of headers */
    int fields, codec_fields;
    int open;                     /* field whose value is being told, or WLMI_NO_FIELD */
    int open_right;               /* its tokens so far were the most likely */
    uint8_t last_on;              /* of the last packet marked */
    uint32_t last_link;
} wlmi_tally;

wlm_status wlmi_tally_init(wlmi_tally *tally, const wlmi_codec *codec, wlm_error *error);
void wlmi_tally_free(wlmi_tally *tally);
/* Counts a packet, to which the tokens belong that are marked next. */
wlm_status wlmi_tally_packet(wlmi_tally *tally, const wlm_packet *packet, wlm_error *error);
/* What `count` tokens tell of, with their own roles: the whole of the packet, or, where that is NULL, an end.
 * opening: it is the first of its flow and direction. */
void wlmi_tally_mark(const wlmi_tally *tally, const wlm_packet *packet, int opening, const wlmi_token *token,
                     const uint8_t *role, size_t count, wlmi_mark *mark);
/* Adds a token, in the order of the stream: what it cost, and which of those allowed was the most likely. */
void wlmi_tally_add(wlmi_tally *tally, const wlmi_mark *mark, uint8_t role, wlmi_token token,
                    const wlmi_allowed *allowed, wlmi_token best, double bits);
/* Ends the value that is being told. */
void wlmi_tally_close(wlmi_tally *tally);
const char *wlmi_tally_field_name(const wlmi_tally *tally, int field);

#endif
