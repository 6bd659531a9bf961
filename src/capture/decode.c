/* decode.c: finds the headers of one packet: link layer, IP, transport. A header is reported only as far as its bytes
 * were captured. */
#include "capture/decode.h"

#include <string.h>

#include "base/cursor.h"

enum { /* EtherType numbers */
    TYPE_IPV4 = 0x0800,
    TYPE_ARP = 0x0806,
    TYPE_RARP = 0x8035,
    TYPE_VLAN = 0x8100,
    TYPE_IPV6 = 0x86dd,
    TYPE_MPLS = 0x8847,
    TYPE_MPLS_MULTICAST = 0x8848,
    TYPE_PPPOE_SESSION = 0x8864,
    TYPE_QINQ = 0x88a8,
    TYPE_QINQ_OLD = 0x9100
};

enum { /* IPv6 extension headers */
    NEXT_HOP_BY_HOP = 0,
    NEXT_ROUTING = 43,
    NEXT_FRAGMENT = 44,
    NEXT_AUTHENTICATION = 51,
    NEXT_NONE = 59,
    NEXT_DESTINATION = 60,
    EXTENSIONS_MAX = 32
};

enum { VLANS_MAX = 16, MPLS_MAX = 16, ADDRESS_FAMILY_IPV4 = 2, ARPHRD_NETLINK = 824, LLC_IN_COOKED = 4 };

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void stop(wlmi_headers *h, wlmi_reason reason)
{
    h->reason = reason;
}

/* A header ends too early: the capture's fault where it cut the IP packet, else the packet's own. */
static void stop_short(wlmi_headers *h)
{
    stop(h, h->network_end < h->network_wire_end ? WLMI_CUT : WLMI_MALFORMED);
}

static void payload_at(wlmi_headers *h, uint32_t at)
{
    h->payload = least(at, h->network_end);
    h->payload_len = h->network_end - h->payload;
    h->payload_wire_len = h->network_wire_end - least(at, h->network_wire_end);
}

/* ---------------------------------------------------------------- transport */

static void decode_tcp(const uint8_t *data, wlmi_headers *h, uint32_t size)
{
    const uint8_t *tcp = data + h->transport;
    if (size >= 14)
        h->tcp_flags = tcp[13];
    if (size < 20) {
        stop_short(h);
        return;
    }
    uint32_t length = (uint32_t)(tcp[12] >> 4) * 4;
    if (length < 20) {
        h->transport_len = 20;
        stop(h, WLMI_MALFORMED);
    } else if (length > size) {
        stop_short(h);
    } else {
        h->transport_len = length;
    }
}

static void decode_udp(const uint8_t *data, wlmi_headers *h, uint32_t size)
{
    if (size < 8) {
        stop_short(h);
        return;
    }
    h->transport_len = 8;
    payload_at(h, h->transport + 8);
    uint32_t length = wlmi_load_be16(data + h->transport + 4);
    if (length == 0 || h->fragment) /* 0: jumbogram or offloading; a fragment holds less than the length says */
        return;
    if (length < 8 || length - 8 > h->payload_wire_len) {
        stop(h, WLMI_MALFORMED);
        return;
    }
    h->payload_wire_len = length - 8;
    h->payload_len = least(h->payload_len, length - 8);
}

static void decode_icmp(const uint8_t *data, wlmi_headers *h, uint32_t size)
{
    const uint8_t *icmp = data + h->transport;
    int echo = h->proto == WLMI_PROTO_ICMP ? icmp[0] == 8 || icmp[0] == 0 : icmp[0] == 128 || icmp[0] == 129;
    if (size < 8) {
        stop_short(h);
        return;
    }
    h->transport_len = 8;
    if (echo)
        h->src_port = h->dst_port = wlmi_load_be16(icmp + 4);
}

/* proto and the fragment state are known; `at` is where the transport header would begin. */
static void decode_transport(const uint8_t *data, wlmi_headers *h, uint32_t at)
{
    uint32_t size = h->network_end - least(at, h->network_end);
    int ports = h->proto == WLMI_PROTO_TCP || h->proto == WLMI_PROTO_UDP || h->proto == WLMI_PROTO_SCTP;
    int icmp = h->proto == (h->ip_version == 4 ? WLMI_PROTO_ICMP : WLMI_PROTO_ICMPV6);

    payload_at(h, at);
    if (h->fragment == 2) {
        stop(h, WLMI_FRAGMENT);
        return;
    }
    if (!ports && !icmp) {
        stop(h, WLMI_UNKNOWN_TRANSPORT);
        return;
    }
    if (size < 4) {
        stop_short(h);
        return;
    }
    h->transport = at;
    h->transport_len = size;
    if (ports) {
        h->src_port = wlmi_load_be16(data + at);
        h->dst_port = wlmi_load_be16(data + at + 2);
    }
    if (h->proto == WLMI_PROTO_UDP) {
        decode_udp(data, h, size);
        return;
    }
    if (h->proto == WLMI_PROTO_TCP)
        decode_tcp(data, h, size);
    else if (icmp)
        decode_icmp(data, h, size);
    else if (size < 12)
        stop_short(h);
    else
        h->transport_len = 12;
    h->transport_len = least(h->transport_len, size);
    payload_at(h, at + h->transport_len);
}

/* ---------------------------------------------------------------- network */

static void decode_ipv4(const wlm_packet *p, wlmi_headers *h, uint32_t at)
{
    const uint8_t *ip = p->data + at;
    uint32_t room = p->captured - at;
    if (room < 20) {
        stop(h, WLMI_CUT);
        return;
    }
    uint32_t length = (uint32_t)(ip[0] & 15) * 4, total = wlmi_load_be16(ip + 2);
    uint32_t fragment = wlmi_load_be16(ip + 6);
    h->ip_version = 4;
    h->network = at;
    h->network_len = least(length < 20 ? 20 : length, room);
    h->src_addr = at + 12;
    h->dst_addr = at + 16;
    h->addr_len = 4;
    h->proto = ip[9];
    h->fragment = fragment & 0x1fff ? 2 : fragment & 0x2000 ? 1 : 0;
    h->fragment_id = h->fragment ? wlmi_load_be16(ip + 4) : 0;
    if (total == 0)
        h->network_wire_end = p->wire > p->captured ? p->wire : p->captured;
    else
        h->network_wire_end = at + (total < 20 ? 20 : total);
    h->network_end = least(h->network_wire_end, p->captured);
    if (length < 20 || (total != 0 && total < length)) {
        h->network_len = least(h->network_len, h->network_end - at);
        payload_at(h, at + h->network_len);
        stop(h, WLMI_MALFORMED);
    } else if (length > room) {
        payload_at(h, at + length);
        stop(h, WLMI_CUT);
    } else {
        decode_transport(p->data, h, at + length);
    }
}

/* Length of the extension header at `ext`, of which at least 8 bytes are there. */
static uint32_t extension_length(uint8_t type, const uint8_t *ext)
{
    if (type == NEXT_FRAGMENT)
        return 8;
    return type == NEXT_AUTHENTICATION ? ((uint32_t)ext[1] + 2) * 4 : ((uint32_t)ext[1] + 1) * 8;
}

static int is_extension(uint8_t type)
{
    return type == NEXT_HOP_BY_HOP || type == NEXT_ROUTING || type == NEXT_FRAGMENT || type == NEXT_AUTHENTICATION ||
           type == NEXT_DESTINATION;
}

static void decode_ipv6(const wlm_packet *p, wlmi_headers *h, uint32_t at)
{
    const uint8_t *ip = p->data + at;
    if (p->captured - at < 40) {
        stop(h, WLMI_CUT);
        return;
    }
    uint32_t length = wlmi_load_be16(ip + 4), next = at + 40;
    h->ip_version = 6;
    h->network = at;
    h->src_addr = at + 8;
    h->dst_addr = at + 24;
    h->addr_len = 16;
    h->proto = ip[6];
    /* Length 0 with something inside: a jumbogram, or offloading left it to the network card. */
    if (length == 0 && h->proto != NEXT_NONE)
        h->network_wire_end = p->wire > p->captured ? p->wire : p->captured;
    else
        h->network_wire_end = next + length;
    h->network_end = least(h->network_wire_end, p->captured);
    for (int i = 0; is_extension(h->proto) && h->fragment != 2; i++) {
        const uint8_t *ext = p->data + next;
        uint32_t size = h->network_end - next;
        if (i == EXTENSIONS_MAX || size < 8 || extension_length(h->proto, ext) > size) {
            h->network_len = next - at;
            payload_at(h, next);
            if (i == EXTENSIONS_MAX)
                stop(h, WLMI_MALFORMED);
            else
                stop_short(h);
            return;
        }
        if (h->proto == NEXT_FRAGMENT) {
            uint32_t fragment = wlmi_load_be16(ext + 2);
            h->fragment = fragment & 0xfff8 ? 2 : fragment & 1;
            h->fragment_id = h->fragment ? wlmi_load_be32(ext + 4) : 0;
        }
        next += extension_length(h->proto, ext);
        h->proto = ext[0];
    }
    h->network_len = next - at;
    decode_transport(p->data, h, next);
}

static void decode_ip(const wlm_packet *p, wlmi_headers *h, uint32_t at)
{
    if (at >= p->captured)
        stop(h, WLMI_CUT);
    else if (p->data[at] >> 4 == 4)
        decode_ipv4(p, h, at);
    else if (p->data[at] >> 4 == 6)
        decode_ipv6(p, h, at);
    else
        stop(h, WLMI_UNKNOWN_NETWORK);
}

static void decode_arp(const wlm_packet *p, wlmi_headers *h, uint32_t at)
{
    if (p->captured - at < 8) {
        stop(h, WLMI_CUT);
        return;
    }
    uint32_t length = 8 + 2 * ((uint32_t)p->data[at + 4] + p->data[at + 5]);
    h->arp = 1;
    h->network = at;
    h->network_wire_end = at + length;
    h->network_end = least(h->network_wire_end, p->captured);
    h->network_len = h->network_end - at;
    payload_at(h, h->network_wire_end);
    if (h->network_end < h->network_wire_end)
        stop(h, WLMI_CUT);
}

/* ---------------------------------------------------------------- link layer */

static void decode_mpls(const wlm_packet *p, wlmi_headers *h, uint32_t at)
{
    for (int labels = 0; labels < MPLS_MAX; labels++, at += 4) {
        if (p->captured - at < 4) {
            stop(h, WLMI_CUT);
            return;
        }
        if (p->data[at + 2] & 1) { /* bottom of the stack: what follows has no type, so its first bits must tell */
            decode_ip(p, h, at + 4);
            return;
        }
    }
    stop(h, WLMI_UNKNOWN_NETWORK);
}

static void decode_ppp(const wlm_packet *p, wlmi_headers *h, uint32_t at)
{
    wlmi_cursor c = wlmi_cursor_over(p->data, p->captured);
    c.at = at;
    if (wlmi_left(&c) >= 2 && p->data[at] == 0xff && p->data[at + 1] == 0x03)
        c.at += 2;
    uint32_t protocol = wlmi_u8(&c);
    if (!(protocol & 1)) /* both bytes stand unless the first is odd: protocol field compression */
        protocol = protocol << 8 | wlmi_u8(&c);
    h->ether_type = protocol == 0x0021 ? TYPE_IPV4 : protocol == 0x0057 ? TYPE_IPV6 : 0;
    if (c.overrun)
        stop(h, WLMI_CUT);
    else if (h->ether_type)
        decode_ip(p, h, (uint32_t)c.at);
    else if (protocol == 0x0281)
        decode_mpls(p, h, (uint32_t)c.at);
    else
        stop(h, WLMI_UNKNOWN_NETWORK);
}

/* at: behind the type, which may be that of a tag, or a length with LLC behind it. */
static void decode_type(const wlm_packet *p, wlmi_headers *h, uint32_t type, uint32_t at)
{
    while ((type == TYPE_VLAN || type == TYPE_QINQ || type == TYPE_QINQ_OLD) && h->vlans < VLANS_MAX) {
        h->ether_type = (uint16_t)type;
        if (p->captured - at < 4) {
            stop(h, WLMI_CUT);
            return;
        }
        type = wlmi_load_be16(p->data + at + 2);
        at += 4;
        h->vlans++;
    }
    if (type <= 1500) {
        static const uint8_t snap[6] = {0xaa, 0xaa, 0x03, 0, 0, 0};
        if (p->captured - at < 8 || memcmp(p->data + at, snap, sizeof snap) != 0) {
            stop(h, WLMI_UNKNOWN_NETWORK);
            return;
        }
        type = wlmi_load_be16(p->data + at + 6);
        at += 8;
    }
    h->ether_type = (uint16_t)type;
    switch (type) {
    case TYPE_IPV4:
    case TYPE_IPV6: decode_ip(p, h, at); break;
    case TYPE_ARP:
    case TYPE_RARP: decode_arp(p, h, at); break;
    case TYPE_MPLS:
    case TYPE_MPLS_MULTICAST: decode_mpls(p, h, at); break;
    case TYPE_PPPOE_SESSION:
        if (p->captured - at < 6)
            stop(h, WLMI_CUT);
        else
            decode_ppp(p, h, at + 6);
        break;
    default: stop(h, WLMI_UNKNOWN_NETWORK);
    }
}

static void decode_ethernet(const wlm_packet *p, wlmi_headers *h)
{
    if (p->captured < 14) {
        stop(h, WLMI_CUT);
        return;
    }
    h->link_dst = 0;
    h->link_src = 6;
    h->link_addr_len = 6;
    decode_type(p, h, wlmi_load_be16(p->data + 12), 14);
}

/* Linux cooked capture, versions 1 and 2: only the sender's address is told. */
static void decode_cooked(const wlm_packet *p, wlmi_headers *h, int version)
{
    uint32_t size = version == 1 ? 16 : 20;
    if (p->captured < size) {
        stop(h, WLMI_CUT);
        return;
    }
    uint32_t hardware = wlmi_load_be16(p->data + (version == 1 ? 2 : 8));
    uint32_t length = version == 1 ? wlmi_load_be16(p->data + 4) : p->data[11];
    uint32_t type = wlmi_load_be16(p->data + (version == 1 ? 14 : 0));
    if (length > 0) {
        h->link_src = version == 1 ? 6 : 12;
        h->link_addr_len = least(length, 8);
    }
    if (hardware == ARPHRD_NETLINK || (type <= 1500 && type != LLC_IN_COOKED))
        stop(h, WLMI_UNKNOWN_NETWORK);
    else
        decode_type(p, h, type, size);
}

/* The address family stands in the byte order of the machine that captured; only small numbers are used. */
static void decode_loopback(const wlm_packet *p, wlmi_headers *h)
{
    if (p->captured < 4) {
        stop(h, WLMI_CUT);
        return;
    }
    uint32_t family = wlmi_load_be32(p->data);
    if (family > 0xffff)
        family = wlmi_load_le32(p->data);
    /* 24, 28 and 30 are IPv6 on the BSDs and Darwin, 10 on Linux, 23 on Windows. */
    if (family == ADDRESS_FAMILY_IPV4 || family == 10 || family == 23 || family == 24 || family == 28 || family == 30)
        decode_ip(p, h, 4);
    else
        stop(h, WLMI_UNKNOWN_NETWORK);
}

static void decode_hdlc(const wlm_packet *p, wlmi_headers *h)
{
    int cisco = p->captured >= 1 && (p->data[0] == 0x0f || p->data[0] == 0x8f);
    if (!cisco)
        decode_ppp(p, h, 0);
    else if (p->captured < 4)
        stop(h, WLMI_CUT);
    else
        decode_type(p, h, wlmi_load_be16(p->data + 2), 4);
}

void wlmi_decode(const wlm_packet *packet, wlmi_headers *headers)
{
    memset(headers, 0, sizeof *headers);
    headers->link_src = headers->link_dst = headers->network = headers->transport = WLMI_ABSENT;
    headers->src_addr = headers->dst_addr = WLMI_ABSENT;
    headers->payload = WLMI_ABSENT;
    switch (packet->link_type & 0xffff) { /* above stand bits about the frame check sequence */
    case WLMI_LINK_ETHERNET: decode_ethernet(packet, headers); break;
    case WLMI_LINK_SLL: decode_cooked(packet, headers, 1); break;
    case WLMI_LINK_SLL2: decode_cooked(packet, headers, 2); break;
    case WLMI_LINK_NULL:
    case WLMI_LINK_LOOP: decode_loopback(packet, headers); break;
    case WLMI_LINK_PPP: decode_ppp(packet, headers, 0); break;
    case WLMI_LINK_PPP_HDLC: decode_hdlc(packet, headers); break;
    case WLMI_LINK_RAW:
    case WLMI_LINK_RAW_BSD:
    case WLMI_LINK_RAW_OPENBSD:
    case WLMI_LINK_IPV4:
    case WLMI_LINK_IPV6: decode_ip(packet, headers, 0); break;
    default: stop(headers, WLMI_UNKNOWN_LINK);
    }
    if (headers->network == WLMI_ABSENT) { /* nothing known above the link layer: all of the packet is payload */
        headers->network_end = packet->captured;
        headers->network_wire_end = packet->wire > packet->captured ? packet->wire : packet->captured;
        headers->payload = 0;
        headers->payload_len = headers->network_end;
        headers->payload_wire_len = headers->network_wire_end;
    }
}

const char *wlmi_reason_name(wlmi_reason reason)
{
    static const char *const name[] = {"decoded",  "unknown link", "unknown network", "unknown transport",
                                       "fragment", "cut",          "malformed"};
    return (unsigned)reason < sizeof name / sizeof *name ? name[reason] : "unknown";
}
