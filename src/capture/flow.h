/* flow.h: the flow table: bidirectional 5-tuples with interface and link type, timeouts, TCP open and close,
 * a bound on the flows held, and deterministic least-recently-used eviction. What has no 5-tuple groups by network
 * addresses and protocol, else by link-layer endpoints, else by link type and interface alone. */
#ifndef WLMI_FLOW_H
#define WLMI_FLOW_H

#include "base/status.h"
#include "capture/decode.h"

typedef struct wlmi_flow_options {
    uint32_t max_flows;         /* 0: 131072 */
    int64_t idle_ns;            /* 0: 120 s; a TCP flow that closed is let go after 5 s */
    int64_t active_ns;          /* 0: none: a flow may live as long as it speaks */
    size_t user_size;           /* bytes of the caller's own, zeroed, beside each flow */
} wlmi_flow_options;

typedef struct wlmi_flow {
    uint64_t id;                /* from 1, in order of opening */
    wlm_flow_key key;           /* source is who opened */
    wlm_flow_start start;
    wlm_flow_end end;           /* meaningful once expired */
    int64_t first_ns, last_ns;  /* first packet's time; greatest time */
    uint64_t first_packet;      /* number of its first packet */
    uint64_t packets[2];        /* forward (source to destination), backward */
    uint64_t bytes[2];          /* wire bytes */
    void *user;                 /* user_size bytes */
} wlmi_flow;

typedef struct wlmi_flow_table wlmi_flow_table;

/* expired(owner, flow): called once for each flow when it ends; it is gone afterwards. It must not call the table. */
wlm_status wlmi_flow_table_new(wlmi_flow_table **table, const wlmi_flow_options *options,
                               void (*expired)(void *owner, wlmi_flow *flow), void *owner, wlm_error *error);
/* The flow of a packet, made where it is new; *backward tells the direction. First expires what timed out by this
 * packet's time. The flow stays valid until it expires. Who opened: sender of a SYN, receiver of a SYN-ACK or of an
 * ICMP echo reply, else the sender of the first packet seen. A SYN on a closed flow, or one with another sequence
 * start on a flow that had data, begins a new flow of the same key. Later fragments belong to the flow of their first
 * fragment where that was seen not long ago, else their ports are 0.
 * Where the table is full, a closed flow ends early, as closed; else the least recently used one is evicted. */
wlm_status wlmi_flow_of(wlmi_flow_table *table, const wlm_packet *packet, const wlmi_headers *headers,
                        wlmi_flow **flow, int *backward, wlm_error *error);
/* Ends all flows in order of opening: those closed, or idle past the timeout by the newest packet's time, as such;
 * flows other than TCP that were silent for the last 5 s as timed out too; others as WLM_END_EOF. */
void wlmi_flow_table_flush(wlmi_flow_table *table);
/* Ends one flow now with the given reason. */
void wlmi_flow_let_go(wlmi_flow_table *table, wlmi_flow *flow, wlm_flow_end end);
uint64_t wlmi_flow_table_evictions(const wlmi_flow_table *table);
size_t wlmi_flow_table_size(const wlmi_flow_table *table); /* flows held now */
void wlmi_flow_table_free(wlmi_flow_table *table);         /* without expiring */

/* Community ID v1 with seed 0 ("1:..."), or an empty string where the flow has none: without IP, TCP or UDP whose
 * ports are not known, ICMP other than echo. */
void wlmi_community_id(const wlm_flow_key *key, char text[40]);
/* Address as text, by addr_len (4, 6, 8 or 16 bytes); empty for 0. */
void wlmi_address_text(const uint8_t *address, int addr_len, char text[64]);

#endif
