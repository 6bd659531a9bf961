/* decode.h: finds the headers of one packet. Never an error path: a malformed packet gives what decoded, and why
 * the rest did not. Nothing is copied; offsets point into the packet. */
#ifndef WLMI_DECODE_H
#define WLMI_DECODE_H

#include "wirelm.h"

enum { /* LINKTYPE_ numbers that decode knows */
    WLMI_LINK_NULL = 0,
    WLMI_LINK_ETHERNET = 1,
    WLMI_LINK_PPP = 9,
    WLMI_LINK_RAW_BSD = 12, /* raw IP as some systems number it; 14 on OpenBSD */
    WLMI_LINK_RAW_OPENBSD = 14,
    WLMI_LINK_PPP_HDLC = 50,
    WLMI_LINK_RAW = 101,
    WLMI_LINK_LOOP = 108,
    WLMI_LINK_SLL = 113,
    WLMI_LINK_IPV4 = 228,
    WLMI_LINK_IPV6 = 229,
    WLMI_LINK_SLL2 = 276
};

enum { WLMI_PROTO_ICMP = 1, WLMI_PROTO_TCP = 6, WLMI_PROTO_UDP = 17, WLMI_PROTO_ICMPV6 = 58, WLMI_PROTO_SCTP = 132 };

enum { WLMI_TCP_FIN = 1, WLMI_TCP_SYN = 2, WLMI_TCP_RST = 4, WLMI_TCP_PSH = 8, WLMI_TCP_ACK = 16, WLMI_TCP_URG = 32 };

typedef enum wlmi_reason { /* why decoding stopped where it did */
    WLMI_DECODED = 0,      /* to the payload */
    WLMI_UNKNOWN_LINK,     /* no decoder for this link type */
    WLMI_UNKNOWN_NETWORK,  /* the link layer carries something that is neither IP nor ARP */
    WLMI_UNKNOWN_TRANSPORT,/* IP, but not TCP, UDP, SCTP, ICMP */
    WLMI_FRAGMENT,         /* a later fragment: no transport header */
    WLMI_CUT,              /* the capture length ends inside a header */
    WLMI_MALFORMED         /* lengths contradict each other */
} wlmi_reason;

#define WLMI_ABSENT UINT32_MAX

typedef struct wlmi_headers {
    wlmi_reason reason;
    uint16_t ether_type;       /* of the innermost link header; 0 unknown */
    uint8_t vlans;             /* VLAN tags passed */
    uint8_t ip_version;        /* 4, 6: at least the fixed header was captured; 0: none */
    uint8_t proto;             /* transport protocol, after IPv6 extension headers; 0 with ip_version 0 */
    uint8_t arp;               /* network header is ARP */
    uint8_t fragment;          /* 1: first fragment, 2: later fragment */
    uint8_t tcp_flags;         /* 0 where they were not captured */
    uint32_t fragment_id;      /* of a first or later fragment */
    uint32_t link_src, link_dst, link_addr_len; /* offsets of link-layer addresses, WLMI_ABSENT */
    uint32_t network;          /* offset of the IP or ARP header, WLMI_ABSENT */
    uint32_t network_len;      /* IP header with options and extension headers */
    uint32_t network_end;      /* where the IP packet ends by its own length, at most `captured`;
                                  what follows is link-layer padding or trailer */
    uint32_t network_wire_end; /* the same, not cut to `captured` (IPv4 total length 0, as offloading leaves it: wire) */
    uint32_t transport;        /* offset of the TCP, UDP, SCTP, ICMP header, of which at least 4 bytes are there;
                                  else WLMI_ABSENT */
    uint32_t transport_len;    /* with TCP options; where reason is cut or malformed, what there is of it */
    uint32_t payload;          /* offset of the first byte after all known headers (= network_end where nothing is
                                  left; 0 where nothing above the link layer is known) */
    uint32_t payload_len;      /* captured payload bytes, up to network_end and the end that UDP's length states */
    uint32_t payload_wire_len; /* payload bytes by the headers' own lengths */
    uint32_t src_addr, dst_addr, addr_len; /* offsets of IP addresses, and 4 or 16; WLMI_ABSENT and 0 */
    uint16_t src_port, dst_port;           /* TCP, UDP, SCTP; ICMP echo: identifier in both; else 0 */
} wlmi_headers;

void wlmi_decode(const wlm_packet *packet, wlmi_headers *headers);
const char *wlmi_reason_name(wlmi_reason reason);

/* Internet checksum (RFC 1071) helpers. A sum is a running 32-bit one's complement sum over 16-bit words. */
uint32_t wlmi_sum(uint32_t sum, const uint8_t *data, size_t size); /* an odd last byte counts as its word's high half */
uint16_t wlmi_sum_fold(uint32_t sum);                              /* folded and complemented */

typedef enum wlmi_checksum {
    WLMI_SUM_NONE,    /* the packet has no such checksum (SCTP's is of another kind) */
    WLMI_SUM_RIGHT,
    WLMI_SUM_ZERO,    /* UDP without one */
    WLMI_SUM_WRONG,
    WLMI_SUM_UNKNOWN  /* cut or fragmented: cannot be computed */
} wlmi_checksum;

/* State of the IPv4 header checksum and of the transport checksum. */
wlmi_checksum wlmi_check_network(const uint8_t *data, const wlmi_headers *headers);
wlmi_checksum wlmi_check_transport(const uint8_t *data, const wlmi_headers *headers);
/* Writes right ones (leaves NONE, UNKNOWN, and UDP's zero over IPv4 alone). */
void wlmi_mend_checksums(uint8_t *data, const wlmi_headers *headers);
/* Moves the checksums of `out`, which is `in` with other bytes in the same places, by what changed (RFC 1624): right stays
 * right, wrong stays wrong, left out stays left out, also where the capture cut the packet. SCTP's CRC moves with the
 * ports alone. */
void wlmi_move_checksums(const uint8_t *in, uint8_t *out, const wlmi_headers *headers);

#endif
