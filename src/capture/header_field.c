/* header_field.c: which header field a byte of a packet belongs to. */
#include "capture/header_field.h"

#include <stddef.h>

enum {
    LINK, IP_VERSION, TOS, FLOW_LABEL, IP_LENGTH, IP_ID, FRAGMENT, TTL, PROTOCOL, IP_SUM, SRC, DST, IP_OPTIONS,
    SRC_PORT, DST_PORT, SEQ, ACK, TCP_FLAGS, WINDOW, SUM, URGENT, OPTIONS, UDP_LENGTH, ICMP_TYPE, ICMP_REST, FIELDS
};

static const char *const names[FIELDS + 1] = {
    "link", "ip-version", "tos", "flow-label", "ip-length", "ip-id", "fragment", "ttl", "protocol", "ip-checksum",
    "src", "dst", "ip-options", "src-port", "dst-port", "seq", "ack", "tcp-flags", "window", "checksum", "urgent",
    "options", "udp-length", "icmp-type-code", "icmp-rest", NULL};

typedef struct span { /* from where the one before ends */
    uint32_t end;     /* in the header; 0: all the rest of it */
    int field;
} span;

static const span ip4[] = {{1, IP_VERSION}, {2, TOS},       {4, IP_LENGTH}, {6, IP_ID}, {8, FRAGMENT},   {9, TTL},
                           {10, PROTOCOL},  {12, IP_SUM},   {16, SRC},      {20, DST},  {0, IP_OPTIONS}};
static const span ip6[] = {{1, IP_VERSION}, {4, FLOW_LABEL}, {6, IP_LENGTH}, {7, PROTOCOL}, {8, TTL},
                           {24, SRC},       {40, DST},       {0, IP_OPTIONS}};
static const span tcp[] = {{2, SRC_PORT},   {4, DST_PORT}, {8, SEQ},     {12, ACK},   {14, TCP_FLAGS},
                           {16, WINDOW},    {18, SUM},     {20, URGENT}, {0, OPTIONS}};
static const span udp[] = {{2, SRC_PORT}, {4, DST_PORT}, {6, UDP_LENGTH}, {0, SUM}};
static const span icmp[] = {{2, ICMP_TYPE}, {4, SUM}, {0, ICMP_REST}};

static int look_up(const span *s, uint32_t offset)
{
    while (s->end && offset >= s->end)
        s++;
    return s->field;
}

int wlmi_header_field(const wlm_packet *packet, const wlmi_headers *h, uint32_t offset)
{
    if (!h->ip_version || offset >= packet->captured || offset >= h->payload)
        return -1;
    if (offset < h->network)
        return LINK;
    if (h->transport == WLMI_ABSENT || offset < h->transport)
        return look_up(h->ip_version == 4 ? ip4 : ip6, offset - h->network);
    switch (h->proto) {
    case WLMI_PROTO_TCP: return look_up(tcp, offset - h->transport);
    case WLMI_PROTO_UDP: return look_up(udp, offset - h->transport);
    case WLMI_PROTO_ICMP:
    case WLMI_PROTO_ICMPV6: return look_up(icmp, offset - h->transport);
    default: return -1;
    }
}

const char *wlmi_header_field_name(int field)
{
    return names[field < FIELDS ? field : FIELDS];
}
