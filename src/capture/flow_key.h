/* flow_key.h: which flow a packet belongs to: its key, what both directions have in common, and the ports of
 * fragments. */
#ifndef WLMI_FLOW_KEY_H
#define WLMI_FLOW_KEY_H

#include "capture/decode.h"

/* What must be equal for packets to be of one flow: endpoints in the order of their bytes, so that both directions
 * give the same. Without padding: it is hashed and compared as bytes. */
typedef struct wlmi_identity {
    uint8_t low[16], high[16];
    uint16_t low_port, high_port;
    uint8_t proto, addr_len;
    uint16_t zero;
    uint32_t link_type, interface;
} wlmi_identity;

/* Key with the packet's sender as source; unknown parts stay 0. */
void wlmi_flow_key_of(const wlm_packet *packet, const wlmi_headers *headers, wlm_flow_key *key);
/* Source and destination change places. */
void wlmi_flow_key_turn(wlm_flow_key *key);
/* Whether the source comes first in the order of bytes. */
int wlmi_flow_key_is_ordered(const wlm_flow_key *key);
/* 1 where a packet goes from the destination of its flow to the source. */
int wlmi_flow_key_is_backward(const wlm_flow_key *key, const uint8_t *data, const wlmi_headers *headers);
void wlmi_identity_of(const wlm_flow_key *key, wlmi_identity *identity);
uint64_t wlmi_identity_hash(const wlmi_identity *identity);

typedef struct wlmi_fragment { /* ports of a datagram whose first fragment was seen */
    uint8_t src[16], dst[16];
    uint32_t id;
    uint16_t src_port, dst_port;
    uint8_t proto, used;
    int64_t time_ns;
} wlmi_fragment;

enum { WLMI_FRAGMENTS = 256 };

/* Remembers the ports of first fragments and gives them to later ones. recent: WLMI_FRAGMENTS slots, zeroed at first;
 * each holds the last datagram that fell into it. */
void wlmi_fragment_ports(wlmi_fragment *recent, const wlm_packet *packet, const wlmi_headers *headers,
                         wlm_flow_key *key);

#endif
