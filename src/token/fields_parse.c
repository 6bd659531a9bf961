/* fields_parse.c: a packet taken apart into field values: a function of the packet alone. */
#include <string.h>

#include "base/cursor.h"
#include "capture/decode.h"
#include "token/fields.h"

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static int is_tag(uint32_t type)
{
    return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

/* Kind of link behind the addresses, of at least 24 bytes; the type of what it carries. */
static int parse_ethernet(const uint8_t *d, wlmi_values *h, uint32_t *type)
{
    uint32_t outer = wlmi_load_be16(d + 12), inner = wlmi_load_be16(d + 16);
    *type = outer;
    if (outer == 0x8864) {
        memcpy(h->link, d, 12);
        memcpy(h->link + 12, d + 14, 4); /* version, code, session; a length follows */
        *type = wlmi_load_be16(d + 20) == 0x0021 ? 0x0800 : wlmi_load_be16(d + 20) == 0x0057 ? 0x86dd : 1;
        return WLMI_FL_PPPOE;
    }
    if (is_tag(outer) && is_tag(inner)) {
        memcpy(h->link, d, 20);
        *type = wlmi_load_be16(d + 20);
        return WLMI_FL_VLANS;
    }
    memcpy(h->link, d, 12);
    if (outer != 0x8100)
        return WLMI_FL_ETHERNET;
    h->v[WLMI_F_VLAN] = wlmi_load_be16(d + 14);
    *type = inner;
    return WLMI_FL_VLAN;
}

/* Link header: the shape's link, or -1. */
static int parse_link(const wlm_packet *p, wlmi_values *h, int *version)
{
    const uint8_t *d = p->data;
    uint32_t type = 0;
    int link;
    switch (p->link_type) {
    case WLMI_LINK_ETHERNET:
        if (p->captured < 24)
            return -1;
        link = parse_ethernet(d, h, &type);
        break;
    case WLMI_LINK_SLL:
        if (p->captured < 16)
            return -1;
        link = WLMI_FL_SLL;
        memcpy(h->link, d, 14);
        type = wlmi_load_be16(d + 14);
        break;
    case WLMI_LINK_SLL2:
        if (p->captured < 20)
            return -1;
        link = WLMI_FL_SLL2;
        memcpy(h->link, d + 2, 18);
        type = wlmi_load_be16(d);
        break;
    case WLMI_LINK_NULL:
    case WLMI_LINK_LOOP:
        if (p->captured < 4)
            return -1;
        link = p->link_type == WLMI_LINK_NULL ? WLMI_FL_NULL : WLMI_FL_LOOP;
        memcpy(h->link, d, 4);
        break;
    case WLMI_LINK_RAW: link = WLMI_FL_RAW; break;
    case WLMI_LINK_RAW_BSD: link = WLMI_FL_RAW_BSD; break;
    case WLMI_LINK_RAW_OPENBSD: link = WLMI_FL_RAW_OPENBSD; break;
    case WLMI_LINK_IPV4: link = WLMI_FL_IPV4; break;
    case WLMI_LINK_IPV6: link = WLMI_FL_IPV6; break;
    default: return -1;
    }
    h->network = (uint32_t)wlmi_shape_link_size(link * WLMI_FIELDS_NETS);
    if (p->captured <= h->network)
        return -1;
    *version = d[h->network] >> 4;
    if (type && type != (*version == 4 ? 0x0800 : 0x86dd))
        return -1;
    return *version == 4 || *version == 6 ? link : -1;
}

/* TCP options into a layout and values; what is not typed is kept as bytes. */
static void parse_options(const uint8_t *options, uint32_t size, wlmi_values *h)
{
    wlmi_tcp_layout *layout = &h->layout;
    unsigned seen = 0;
    memset(layout, 0, sizeof *layout);
    layout->size = (uint8_t)size;
    for (uint32_t at = 0; at < size;) {
        const uint8_t *o = options + at;
        int option = -1;
        uint32_t left = size - at, length = o[0] < 2 ? 1 : left >= 2 ? o[1] : 0;
        switch (o[0]) {
        case 0: option = WLMI_OPTION_EOL; break;
        case 1: option = WLMI_OPTION_NOP; break;
        case 2: option = length == 4 ? WLMI_OPTION_MSS : -1; break;
        case 3: option = length == 3 && left >= 3 && o[2] < 16 ? WLMI_OPTION_SCALE : -1; break;
        case 4: option = length == 2 ? WLMI_OPTION_SACKP : -1; break;
        case 5: option = length >= 10 && length <= 34 && length % 8 == 2
                             ? WLMI_OPTION_SACK + (int)(length - 10) / 8 : -1; break;
        case 8: option = length == 10 ? WLMI_OPTION_TS : -1; break;
        }
        int sort = option > WLMI_OPTION_SACK ? WLMI_OPTION_SACK : option;
        int after_end = seen & 1u << WLMI_OPTION_EOL && option != WLMI_OPTION_EOL;
        int again = option > WLMI_OPTION_NOP && seen & 1u << sort; /* each field has one value */
        if (option < 0 || length > left || after_end || again) {
            layout->raw = 1;
            layout->count = 0;
            memset(layout->item, 0, sizeof layout->item);
            memcpy(layout->item, options, size);
            return;
        }
        seen |= 1u << sort;
        layout->item[layout->count++] = (uint8_t)option;
        if (option == WLMI_OPTION_MSS) {
            h->v[WLMI_F_MSS] = wlmi_load_be16(o + 2);
        } else if (option == WLMI_OPTION_SCALE) {
            h->v[WLMI_F_SCALE] = o[2];
        } else if (option == WLMI_OPTION_TS) {
            h->v[WLMI_F_TSVAL] = wlmi_load_be32(o + 2);
            h->v[WLMI_F_TSECR] = wlmi_load_be32(o + 6);
        } else if (option >= WLMI_OPTION_SACK) {
            for (uint32_t i = 0; i < (length - 2) / 4; i++)
                h->v[WLMI_F_SACK0 + i] = wlmi_load_be32(o + 2 + 4 * i);
        }
        at += length;
    }
}

/* The transport header in `size` bytes that IP claims, of which `there` were captured: its length, or 0 where it has
 * no fields of its own. */
static uint32_t parse_transport(const uint8_t *d, uint32_t size, uint32_t there, int net, wlmi_values *h)
{
    uint32_t length;
    switch (net) {
    case WLMI_FN_TCP:
        if (there < 20 || size < 20)
            return 0;
        length = (uint32_t)(d[12] >> 4) * 4;
        if (length < 20 || length > there || length > size)
            return 0;
        h->v[WLMI_F_SPORT] = wlmi_load_be16(d);
        h->v[WLMI_F_DPORT] = wlmi_load_be16(d + 2);
        h->v[WLMI_F_SEQ] = wlmi_load_be32(d + 4);
        h->v[WLMI_F_ACK] = wlmi_load_be32(d + 8);
        h->flags = wlmi_load_be16(d + 12) & 0xfff;
        h->v[WLMI_F_WINDOW] = wlmi_load_be16(d + 14);
        h->v[WLMI_F_SUM] = wlmi_load_be16(d + 16);
        h->v[WLMI_F_URGENT] = wlmi_load_be16(d + 18);
        parse_options(d + 20, length - 20, h);
        return length;
    case WLMI_FN_UDP:
        if (there < 8 || size < 8)
            return 0;
        h->v[WLMI_F_SPORT] = wlmi_load_be16(d);
        h->v[WLMI_F_DPORT] = wlmi_load_be16(d + 2);
        h->v[WLMI_F_UDPLEN] = (wlmi_load_be16(d + 4) - size) & 0xffff;
        h->v[WLMI_F_SUM] = wlmi_load_be16(d + 6);
        return 8;
    case WLMI_FN_ICMP:
        if (there < 8 || size < 8)
            return 0;
        h->v[WLMI_F_ICMPTYPE] = wlmi_load_be16(d);
        h->v[WLMI_F_SUM] = wlmi_load_be16(d + 2);
        h->v[WLMI_F_ICMPHIGH] = wlmi_load_be16(d + 4);
        h->v[WLMI_F_ICMPLOW] = wlmi_load_be16(d + 6);
        return 8;
    }
    return 0;
}

static int net_of(uint32_t protocol, int version)
{
    uint32_t icmp = version == 4 ? WLMI_PROTO_ICMP : WLMI_PROTO_ICMPV6;
    return protocol == WLMI_PROTO_TCP   ? WLMI_FN_TCP
           : protocol == WLMI_PROTO_UDP ? WLMI_FN_UDP
           : protocol == icmp           ? WLMI_FN_ICMP
                                        : WLMI_FN_OTHER;
}

wlmi_unparsed wlmi_fields_parse(const wlm_packet *p, wlmi_values *h)
{
    int version = 0, link, net;
    uint32_t header, total, protocol;
    memset(h, 0, sizeof *h);
    h->time_ns = p->time_ns;
    h->captured = p->captured;
    h->wire = p->wire;
    link = parse_link(p, h, &version);
    if (link < 0)
        return WLMI_UNPARSED_LINK;
    const uint8_t *ip = p->data + h->network;
    uint32_t there = p->captured - h->network;
    if (there < (version == 4 ? 20 : 40))
        return WLMI_UNPARSED_CUT;
    if (p->wire < p->captured)
        return WLMI_UNPARSED_LENGTHS;
    if (version == 4) {
        header = (uint32_t)(ip[0] & 15) * 4;
        if (header < 20)
            return WLMI_UNPARSED_LENGTHS;
        if (header > there)
            return WLMI_UNPARSED_CUT;
        total = wlmi_load_be16(ip + 2);
        protocol = ip[9];
        h->v[WLMI_F_TOS] = ip[1];
        h->v[WLMI_F_ID] = wlmi_load_be16(ip + 4);
        h->v[WLMI_F_FRAG] = wlmi_load_be16(ip + 6);
        h->v[WLMI_F_TTL] = ip[8];
        h->v[WLMI_F_IPSUM] = wlmi_load_be16(ip + 10);
        h->v[WLMI_F_IPOPT] = header / 4 - 5;
        memcpy(h->ip_options, ip + 20, header - 20);
        memcpy(h->address[0], ip + 12, 4);
        memcpy(h->address[1], ip + 16, 4);
    } else {
        header = 40;
        total = wlmi_load_be16(ip + 4);
        total = total ? total + 40 : 0;
        protocol = ip[6];
        h->v[WLMI_F_TOS] = wlmi_load_be16(ip) >> 4 & 255;
        h->v[WLMI_F_LABEL] = wlmi_load_be32(ip) & 0xfffff;
        h->v[WLMI_F_TTL] = ip[7];
        memcpy(h->address[0], ip + 8, 16);
        memcpy(h->address[1], ip + 24, 16);
    }
    if (total == 0) {
        h->v[WLMI_F_IPLEN] = 1;
        total = p->wire - h->network;
    }
    if (total < header || total > p->wire - h->network)
        return WLMI_UNPARSED_LENGTHS;
    net = h->v[WLMI_F_FRAG] & 0x1fff ? WLMI_FN_OTHER : net_of(protocol, version);
    h->transport = h->network + header;
    header = parse_transport(p->data + h->transport, total - header, least(total, there) - header, net, h);
    if (header == 0) {
        net = WLMI_FN_OTHER;
        h->v[WLMI_F_PROTO] = protocol;
    }
    h->headers = h->transport + header;
    h->payload = h->network + total - h->headers;
    h->shape = (uint8_t)(link * WLMI_FIELDS_NETS + (version == 4 ? 0 : WLMI_FN_6) + net);
    return WLMI_PARSED;
}
