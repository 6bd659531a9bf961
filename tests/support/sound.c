/* sound.c: checks packets against the standards: RFC 791, 768, 792, 4443, 8200, 9293. */
#include "support/sound.h"

#include <string.h>

static uint32_t be(const uint8_t *p, int size)
{
    uint32_t value = 0;
    while (size-- > 0)
        value = value << 8 | *p++;
    return value;
}

/* The one's complement sum over 16-bit words; of data with a right checksum 0xffff. */
static uint32_t ones_sum(uint32_t sum, const uint8_t *data, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* Where IP begins; 0xffff: nowhere. *inside: bytes that the link layer says there are. */
static uint32_t network_of(const wlm_packet *p, uint32_t *inside)
{
    uint32_t at = 12, type;
    *inside = 0;
    switch (p->link_type) {
    case 1:
        while (p->captured >= at + 2 && (be(p->data + at, 2) == 0x8100 || be(p->data + at, 2) == 0x88a8))
            at += 4;
        if (p->captured < at + 10)
            return 0xffff;
        type = be(p->data + at, 2);
        if (type != 0x8864)
            return at + 2;
        *inside = be(p->data + at + 6, 2) - 2;
        return at + 10;
    case 12:
    case 14:
    case 101:
    case 228:
    case 229: return 0;
    case 0:
    case 108: return 4;
    case 113: return 16;
    case 276: return 20;
    }
    return 0xffff;
}

static const char *check_tcp(sound_flow *flow, int from, const uint8_t *tcp, uint32_t size)
{
    sound_end *here = &flow->end[from], *there = &flow->end[!from];
    uint32_t seq = be(tcp + 4, 4), ack = be(tcp + 8, 4), header = tcp[12] >> 4 << 2, flags = tcp[13];
    if (header < 20 || header > size)
        return "TCP header length";
    if (here->sent ? seq != here->next : there->acked && seq != there->ack)
        return "TCP sequence number";
    if (flags & 16 ? there->sent && ack != there->next : ack != 0)
        return "TCP acknowledgement number";
    here->sent = 1;
    here->next = seq + (size - header) + (flags & 1) + (flags >> 1 & 1);
    if (flags & 16) {
        here->acked = 1;
        here->ack = ack;
    }
    return NULL;
}

static const char *check_transport(sound_flow *flow, int protocol, const uint8_t *ends, uint32_t address_size,
                                   const uint8_t *data, uint32_t size)
{
    uint32_t pseudo = ones_sum(size + (uint32_t)protocol, ends, 2 * address_size);
    int ports = protocol == 6 || protocol == 17, from = 0;
    if (size < (protocol == 6 ? 20u : 8u))
        return "transport header is cut";
    if (protocol == 17 && be(data + 4, 2) != size)
        return "UDP length";
    if (ones_sum(protocol == 1 ? 0 : pseudo, data, size) != 0xffff || (protocol == 17 && be(data + 6, 2) == 0))
        return "transport checksum";
    if (flow->protocol != protocol || flow->address_size != address_size) {
        *flow = (sound_flow){.protocol = protocol, .address_size = address_size};
        for (int end = 0; end < 2; end++) {
            memcpy(flow->end[end].address, ends + (uint32_t)end * address_size, address_size);
            flow->end[end].port = (uint16_t)(ports ? be(data + 2 * end, 2) : 0);
        }
    }
    if (!memcmp(ends, ends + address_size, address_size) && (!ports || be(data, 2) == be(data + 2, 2)))
        return NULL; /* who sent it nobody can tell */
    from = memcmp(ends, flow->end[0].address, address_size) != 0 ||
           (ports && be(data, 2) != flow->end[0].port);
    return protocol == 6 ? check_tcp(flow, from, data, size) : NULL;
}

const char *sound_packet(sound_flow *flow, const wlm_packet *p)
{
    uint32_t inside, at = network_of(p, &inside), size, header;
    if (p->captured != p->wire)
        return "cut";
    if (at == 0xffff || p->captured < at + 20)
        return "no IP";
    const uint8_t *ip = p->data + at;
    int version = ip[0] >> 4, protocol;
    uint32_t address_size = version == 4 ? 4 : 16;
    header = version == 4 ? 4u * (ip[0] & 15) : 40;
    if ((version != 4 && version != 6) || header < 20 || p->captured < at + header)
        return "IP version or header length";
    size = version == 4 ? be(ip + 2, 2) : be(ip + 4, 2) + 40;
    protocol = ip[version == 4 ? 9 : 6];
    if (size < header || size > p->captured - at || (inside && size != inside))
        return "IP length";
    if (p->captured - at > size && p->captured != 60)
        return "more than the packet";
    if (version == 4 && ones_sum(0, ip, header) != 0xffff)
        return "IPv4 checksum";
    if (version == 4 && be(ip + 6, 2) & 0xbfff)
        return "a fragment";
    if (protocol == 6 || protocol == 17 || protocol == (version == 4 ? 1 : 58))
        return check_transport(flow, protocol, ip + (version == 4 ? 12 : 8), address_size, ip + header, size - header);
    return NULL;
}
