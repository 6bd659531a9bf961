/* hide_packet.c: policies ids and implicit over one IP packet: addresses and ports in its headers, then whatever of its
 * content is known to name someone, then numbers (implicit), then the checksums. */
#include "capture/hide_parts.h"

#include <string.h>

#include "base/cursor.h"

enum { DEPTH_MAX = 2, PORT_DNS = 53, PORT_MDNS = 5353, PORT_LLMNR = 5355, PORT_NETBIOS = 137, PORT_NETBIOS_DATA = 138 };

int wlmi_hide_is_backward(const wlmi_hider *hider, const uint8_t *data, const wlmi_headers *h)
{
    const wlm_flow_key *f = &hider->flow;
    if (h->ip_version == 0 || h->addr_len != f->addr_len)
        return 0;
    const uint8_t *src = data + h->src_addr, *dst = data + h->dst_addr;
    int forward = !memcmp(src, f->src, h->addr_len) && !memcmp(dst, f->dst, h->addr_len);
    int backward = !memcmp(src, f->dst, h->addr_len) && !memcmp(dst, f->src, h->addr_len);
    if (forward && backward) /* a host that talks to itself */
        return h->src_port != f->src_port && h->src_port == f->dst_port;
    return backward;
}

/* ---------------------------------------------------------------- checksums */

/* The checksum at `field` over `size` bytes at `at`, given sums of what else it covers: moved by RFC 1624, equation 3,
 * over all of the range at once, so that right stays right and wrong stays wrong. */
static void move_sum(const uint8_t *in, uint8_t *out, uint32_t at, uint32_t size, uint32_t field, uint32_t before,
                     uint32_t after)
{
    uint16_t was = wlmi_sum_fold(wlmi_sum(before, in + at, size)), is = wlmi_sum_fold(wlmi_sum(after, out + at, size));
    uint16_t old = wlmi_load_be16(in + field);
    if (was != is)
        wlmi_store_be16(out + field, wlmi_sum_fold((uint32_t)(uint16_t)~old + was + (uint16_t)~is));
}

/* Whether a checksum is 0 without being right: whoever sent it left it out, or to the network card. */
static int left_out(const uint8_t *field, wlmi_checksum state)
{
    return wlmi_load_be16(field) == 0 && state != WLMI_SUM_RIGHT;
}

/* SCTP's checksum is a CRC-32C (RFC 9260), which is linear: what the change of the ports alone, followed by zeros,
 * would make is what the checksum changes by. */
static void move_crc(const uint8_t *in, uint8_t *out, uint32_t at, uint32_t wire_size)
{
    uint32_t crc = 0;
    for (uint32_t i = 0; i < wire_size; i++) {
        crc ^= i < 4 ? (uint32_t)(in[at + i] ^ out[at + i]) : 0;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    wlmi_store_le32(out + at + 8, wlmi_load_le32(in + at + 8) ^ crc);
}

static void move_checksums(const uint8_t *in, uint8_t *out, const wlmi_headers *h)
{
    if (h->ip_version == 4 && !left_out(in + h->network + 10, wlmi_check_network(in, h)))
        move_sum(in, out, h->network, h->network_len, h->network + 10, 0, 0);
    if (h->transport == WLMI_ABSENT)
        return;
    uint32_t size = h->network_end - h->transport, before = 0, after = 0;
    if (h->proto == WLMI_PROTO_SCTP) {
        if (h->transport_len >= 12 && !h->fragment)
            move_crc(in, out, h->transport, h->network_wire_end - h->transport);
        return;
    }
    uint32_t field = h->proto == WLMI_PROTO_TCP ? 16 : h->proto == WLMI_PROTO_UDP ? 6 : 2;
    if (field + 2 > h->transport_len)
        return;
    if (left_out(in + h->transport + field, wlmi_check_transport(in, h)))
        return;
    if (h->proto == WLMI_PROTO_UDP) {
        uint32_t own = h->transport_len >= 8 ? wlmi_load_be16(in + h->transport + 4) : 0;
        if (own >= 8 && own < size)
            size = own;
    }
    if (h->proto != WLMI_PROTO_ICMP) {
        before = wlmi_sum(0, in + h->src_addr, 2 * h->addr_len);
        after = wlmi_sum(0, out + h->src_addr, 2 * h->addr_len);
    }
    move_sum(in, out, h->transport, size, h->transport + field, before, after);
    if (h->proto == WLMI_PROTO_UDP && wlmi_load_be16(out + h->transport + field) == 0)
        wlmi_store_be16(out + h->transport + field, 0xffff);
}

/* ---------------------------------------------------------------- headers */

static void hide_ports(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, const wlmi_headers *h, int depth)
{
    int backward = depth == 0 && wlmi_hide_is_backward(hider, in, h);
    uint8_t *at = out + h->transport;
    if (h->proto == WLMI_PROTO_TCP || h->proto == WLMI_PROTO_UDP || h->proto == WLMI_PROTO_SCTP) {
        wlmi_store_be16(at, backward ? WLMI_HIDDEN_SERVER_PORT : WLMI_HIDDEN_CLIENT_PORT);
        wlmi_store_be16(at + 2, backward ? WLMI_HIDDEN_CLIENT_PORT : WLMI_HIDDEN_SERVER_PORT);
    } else if (h->src_port && h->transport_len >= 8) { /* an echo's identifier */
        wlmi_store_be16(at + 4, WLMI_HIDDEN_CLIENT_PORT);
    }
}

static void hide_addresses(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, const wlmi_headers *h, int depth)
{
    const wlm_flow_key *f = &hider->flow;
    int backward = depth == 0 && wlmi_hide_is_backward(hider, in, h);
    if (depth == 0 && h->addr_len == f->addr_len && !memcmp(f->src, f->dst, h->addr_len)) {
        memcpy(out + h->src_addr, hider->end[backward], h->addr_len); /* equal addresses: the role tells */
        memcpy(out + h->dst_addr, hider->end[!backward], h->addr_len);
    } else {
        wlmi_hide_address(hider, in + h->src_addr, out + h->src_addr, h->addr_len);
        wlmi_hide_address(hider, in + h->dst_addr, out + h->dst_addr, h->addr_len);
    }
    if (h->ip_version == 4)
        wlmi_hide_ipv4_options(hider, in + h->network, out + h->network, h->network_len);
    else
        wlmi_hide_ipv6_routing(hider, in + h->network, out + h->network, h->network_len);
}

/* ---------------------------------------------------------------- content */

static int is_port(const wlmi_headers *h, uint16_t port)
{
    return h->src_port == port || h->dst_port == port;
}

static void hide_udp(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, const wlmi_headers *h)
{
    const uint8_t *from = in + h->payload;
    uint8_t *to = out + h->payload;
    uint32_t size = h->payload_len;
    int dns = is_port(h, PORT_DNS) || is_port(h, PORT_MDNS) || is_port(h, PORT_LLMNR) || is_port(h, PORT_NETBIOS);
    if (is_port(h, 67) || is_port(h, 68))
        wlmi_hide_dhcp(hider, from, to, size);
    else if (is_port(h, PORT_NETBIOS_DATA) && size >= 8)
        wlmi_hide_address(hider, from + 4, to + 4, 4);
    else if (!wlmi_hide_dns(hider, from, to, size, dns))
        wlmi_hide_text(hider, from, to, size);
}

static void hide_tcp(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, const wlmi_headers *h)
{
    const uint8_t *from = in + h->payload;
    uint8_t *to = out + h->payload;
    uint32_t size = h->payload_len, at = 0;
    while (size - at > 14) { /* DNS messages, each behind its length */
        uint32_t length = wlmi_load_be16(from + at), room = size - at - 2;
        int port = is_port(h, PORT_DNS);
        if (!wlmi_hide_dns(hider, from + at + 2, to + at + 2, length < room ? length : room, port))
            break;
        at += 2 + (length < room ? length : room);
    }
    if (at > 0)
        return;
    wlmi_hide_client_hello(hider, from, to, size);
    wlmi_hide_text(hider, from, to, size);
}

static void hide_icmp(wlmi_hider *hider, const uint8_t *in, uint8_t *out, const wlmi_headers *h, int depth)
{
    uint8_t type = in[h->transport];
    int error = h->proto == WLMI_PROTO_ICMP ? type == 3 || type == 4 || type == 5 || type == 11 || type == 12
                                            : type >= 1 && type <= 4;
    if (h->transport_len < 8)
        return;
    if (h->proto == WLMI_PROTO_ICMP && type == 5) /* redirect: the better router */
        wlmi_hide_address(hider, in + h->transport + 4, out + h->transport + 4, 4);
    if (h->proto == WLMI_PROTO_ICMPV6)
        wlmi_hide_neighbour(hider, in + h->transport, out + h->transport, h->network_end - h->transport);
    if (error) /* the packet that it is about, or its beginning */
        wlmi_hide_ip(hider, in + h->payload, out + h->payload, h->payload_len, h->payload_wire_len, depth + 1);
}

static void hide_content(wlmi_hider *hider, const uint8_t *in, uint8_t *out, const wlmi_headers *h, int depth)
{
    enum { IP_IN_IP = 4, IPV6_IN_IP = 41 };
    wlmi_hide_endpoints(hider, in + h->payload, out + h->payload, h->network_end - h->payload);
    if (h->fragment == 2)
        wlmi_hide_text(hider, in + h->payload, out + h->payload, h->payload_len);
    else if (h->proto == IP_IN_IP || h->proto == IPV6_IN_IP)
        wlmi_hide_ip(hider, in + h->payload, out + h->payload, h->payload_len, h->payload_wire_len, depth + 1);
    else if (h->transport == WLMI_ABSENT)
        return;
    else if (h->proto == WLMI_PROTO_UDP)
        hide_udp(hider, in, out, h);
    else if (h->proto == WLMI_PROTO_TCP)
        hide_tcp(hider, in, out, h);
    else if (h->proto != WLMI_PROTO_SCTP)
        hide_icmp(hider, in, out, h, depth);
}

void wlmi_hide_ip(wlmi_hider *hider, const uint8_t *in, uint8_t *out, uint32_t captured, uint32_t wire, int depth)
{
    wlm_packet packet = {.captured = captured, .wire = wire, .link_type = WLMI_LINK_RAW, .data = in};
    wlmi_headers h;
    wlmi_decode(&packet, &h);
    if (h.ip_version == 0 || depth > DEPTH_MAX)
        return;
    hide_addresses(hider, in, out, &h, depth);
    if (h.transport != WLMI_ABSENT)
        hide_ports(hider, in, out, &h, depth);
    hide_content(hider, in, out, &h, depth);
    if (hider->policy == WLM_HIDE_IMPLICIT)
        wlmi_hide_implicit(hider, in, out, &h, depth);
    move_checksums(in, out, &h);
    if (hider->policy == WLM_HIDE_IMPLICIT) /* a wrong one tells of the card that would have written it */
        wlmi_mend_checksums(out, &h);
}
