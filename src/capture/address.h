/* address.h: gives generated packets a place in a network: addresses, ports and an Ethernet header of the flow's own,
 * lengths that agree with the packet and checksums that are right. docs/GENERATE.md says what that changes. */
#ifndef WLMI_ADDRESS_H
#define WLMI_ADDRESS_H

#include "base/status.h"

/* Addresses first, first + 1 ... first + hosts - 1 behind a base, but for those that are taken. */
typedef struct wlmi_address_range {
    uint8_t base[16];
    int length; /* 4 or 16 */
    uint64_t first, hosts;
    uint64_t *taken; /* [taken_count], ascending: 0 is the first */
    size_t taken_count, taken_capacity;
} wlmi_address_range;

/* Where clients and servers live. */
typedef struct wlmi_address_plan {
    uint64_t seed;
    wlmi_address_range client4, server4[2], client6, server6;
    int shared4, shared6; /* client and server share one range */
} wlmi_address_plan;

/* net: "10.1.0.0/16", "fd00::/64"; NULL, and the other IP version: the documentation ranges 192.0.2.0/24 (clients),
 * 198.51.100.0/24 and 203.0.113.0/24 (servers), and 2001:db8::/32 (RFC 5737, RFC 3849). */
wlm_status wlmi_address_plan_make(wlmi_address_plan *plan, const char *net, uint64_t seed, wlm_error *error);

/* From now on no flow has this address [length]. */
wlm_status wlmi_address_plan_avoid(wlmi_address_plan *plan, const uint8_t *address, int length, wlm_error *error);
/* WLM_ERR_ARGUMENT where too few addresses are left. */
wlm_status wlmi_address_plan_check(const wlmi_address_plan *plan, wlm_error *error);
/* Needed after wlmi_address_plan_avoid. */
void wlmi_address_plan_free(wlmi_address_plan *plan);

/* The endpoints of one flow. */
typedef struct wlmi_place {
    uint8_t client4[4], server4[4], client6[16], server6[16];
    uint16_t client_port, server_port;
    uint8_t client_mac[6], server_mac[6]; /* locally administered: 02:00 and the IPv4 address */
    uint8_t opener[16], peer[16];         /* who they are in the packets as sampled: set by the first IP packet */
    uint16_t opener_port, peer_port;
    int to_group;                         /* the first IP packet goes to a group or broadcast address: this one */
    uint8_t group[16];
    int opener_length;                    /* 0: no IP packet yet */
} wlmi_place;

/* The place of flow `index`: client address and port differ between any two flows, as far as the range reaches
 * (16384 ports for each host). server_port 0: a random one of 1024 .. 49151. */
void wlmi_place_make(wlmi_place *place, const wlmi_address_plan *plan, uint64_t index, uint16_t server_port);

typedef struct wlmi_mended {
    uint64_t lengths;   /* packets whose IP or UDP length contradicted the packet */
    uint64_t checksums; /* checksums that were wrong as sampled */
} wlmi_mended;

enum { WLMI_ETHERNET_HEADER = 14 };

/* 1 where the packet can be placed as IP: it has a whole IP header. */
int wlmi_is_ip_packet(const wlm_packet *in);

/* Puts a sampled packet of any link type into an Ethernet frame at `room` (in->captured + WLMI_ETHERNET_HEADER bytes)
 * and makes *out describe it. Packets go from the client or to it as the sampled addresses say.
 * Where the first goes to a group or broadcast address, the client's all go there.
 * IP and UDP lengths are made to agree with in->wire, which may be more than was captured.
 * What is no IP packet is carried as it is under the experimental EtherType 0x88b5. */
void wlmi_place_packet(wlmi_place *place, const wlm_packet *in, uint8_t *room, wlm_packet *out,
                       wlmi_mended *mended);

#endif
