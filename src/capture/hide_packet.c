/* hide_packet.c: policies ids and implicit over one IP packet: addresses and ports in its headers, then whatever of its
 * content is known to name someone, then numbers (implicit), then the checksums. */
#include "capture/hide_parts.h"

#include <string.h>

#include "base/cursor.h"
#include "capture/flow_key.h"

enum { DEPTH_MAX = 2, PORT_DNS = 53, PORT_MDNS = 5353, PORT_LLMNR = 5355, PORT_NETBIOS = 137, PORT_NETBIOS_DATA = 138 };

/* ---------------------------------------------------------------- headers */

static void hide_ports(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, const wlmi_headers *h, int depth)
{
    int backward = depth == 0 && wlmi_flow_key_is_backward(&hider->flow, in, h);
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
    int backward = depth == 0 && wlmi_flow_key_is_backward(&hider->flow, in, h);
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

void wlmi_hide_names(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, const wlmi_headers *h)
{
    if (h->transport != WLMI_ABSENT && h->proto == WLMI_PROTO_UDP)
        hide_udp(hider, in, out, h);
    if (h->transport != WLMI_ABSENT && h->proto == WLMI_PROTO_TCP)
        hide_tcp(hider, in, out, h);
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
    wlmi_move_checksums(in, out, &h);
    if (hider->policy == WLM_HIDE_IMPLICIT) /* a wrong one tells of the card that would have written it */
        wlmi_mend_checksums(out, &h);
}
