/* hide_parts.h: what the parts of hiding share. Every part reads the packet as it came (`in`) and writes to a copy
 * (`out`) of the same length, so that parts may touch the same bytes in any order: what stands for a name or an
 * address depends on the flow's key and on the original alone. Checksums are set right once, at the end. */
#ifndef WLMI_HIDE_PARTS_H
#define WLMI_HIDE_PARTS_H

#include "capture/hide.h"

typedef struct wlmi_base { /* what is taken off a number, from the first that was seen on */
    uint32_t value;
    uint8_t known;
} wlmi_base;

typedef struct wlmi_bases {        /* of the numbers that one direction counts */
    wlmi_base id, fragment, label; /* identification of IPv4 and of IPv6's fragment header; flow label */
    wlmi_base sequence, time;      /* TCP's sequence number and TSval */
} wlmi_bases;

struct wlmi_hider {
    wlm_hide policy;
    uint32_t payload;
    uint64_t key;
    int64_t base_ns;
    wlm_flow_key flow;
    uint8_t end[2][16];    /* what stands for source and destination */
    char end_text[2][64];  /* their real addresses as text; empty where there is none */
    wlmi_bases bases[2];   /* policy implicit: forward, backward */
    int names_only;        /* whole names, and no addresses: an alteration, not a policy */
    uint8_t *buffer;
    size_t capacity;
};

/* ---- hide_address.c: stand-ins for addresses */

/* What stands for an IP address of 4 or 16 bytes: multicast stays multicast, link-local stays link-local;
 * broadcast, unspecified and loopback stay. */
void wlmi_hide_address(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, uint32_t size);
/* Link-layer addresses: group addresses and zero stay. */
void wlmi_hide_link_address(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, uint32_t size);
/* Writes a stand-in for an IPv4 address over its text of `size` characters, numbers divided by dots or commas. */
void wlmi_hide_address_text(const wlmi_hider *hider, const uint8_t address[4], const char *in, char *out, size_t size);
/* Every exact occurrence of an endpoint's address as text, as 16 bytes, or as 4 bytes that accident seldom makes. */
void wlmi_hide_endpoints(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size);
/* Every exact occurrence of an endpoint's link-layer address of 6 bytes or more. */
void wlmi_hide_link_endpoints(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size);

/* ---- hide_config.c: protocols that carry addresses in fixed places */

void wlmi_hide_arp(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size);
void wlmi_hide_dhcp(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size);
/* Neighbour discovery: in and out at the ICMPv6 header. */
void wlmi_hide_neighbour(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size);
/* Addresses in the options of an IPv4 header of `size` bytes. */
void wlmi_hide_ipv4_options(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size);
/* Addresses in the routing headers of an IPv6 header of `size` bytes, extension headers included. */
void wlmi_hide_ipv6_routing(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size);

/* ---- hide_name.c: stand-ins for names */

enum { WLMI_LABELS_MAX = 128 };
typedef struct wlmi_labels { /* a name's labels, from the left: where they stand in `in` */
    uint32_t at[WLMI_LABELS_MAX];
    uint32_t size[WLMI_LABELS_MAX];
    int count;
} wlmi_labels;

/* Rewrites the registered domain of a name. */
void wlmi_hide_labels(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, const wlmi_labels *labels);
/* The same for a name as text with dots. */
void wlmi_hide_name(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size);
/* Letters by letters, digits by digits, whatever the name is. */
void wlmi_hide_word(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size);
/* Server name of a TLS Client Hello that begins the payload. */
void wlmi_hide_client_hello(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size);

/* ---- hide_packet.c */

/* Rewrites an IP packet as policy ids or implicit says, from its first header byte to its end. wire: its bytes before
 * the capture cut it. depth: how many IP packets it stands in. */
void wlmi_hide_ip(wlmi_hider *hider, const uint8_t *in, uint8_t *out, uint32_t captured, uint32_t wire, int depth);

/* Rewrites the names in a packet's payload, as far as hiding knows where they stand. The hider has `names_only` set. */
void wlmi_hide_names(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, const wlmi_headers *headers);

/* ---- hide_implicit.c */

/* Rebases IPv4 identification, IPv6 flow label and fragment identification, TCP sequence and acknowledgement numbers,
 * SACK edges and timestamps. A packet inside another counts as the first of a flow of its own. */
void wlmi_hide_implicit(wlmi_hider *hider, const uint8_t *in, uint8_t *out, const wlmi_headers *headers, int depth);

/* ---- hide_dns.c */

/* A DNS message (also multicast DNS, LLMNR, NetBIOS names). sure: the port says so, and even a cut message is
 * rewritten as far as it goes; else only what is a whole message from first to last byte. 1: it was one. */
int wlmi_hide_dns(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size, int sure);

/* ---- hide_text.c */

/* Names, addresses and the flow's ports in text protocols (HTTP, SIP, RTSP, FTP, SMTP ...). */
void wlmi_hide_text(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size);

#endif
