/* checksum.c: Internet checksums (RFC 1071) of decoded packets: what state they are in, and writing right ones. */
#include "capture/decode.h"

#include "base/cursor.h"

uint32_t wlmi_sum(uint32_t sum, const uint8_t *data, size_t size)
{
    uint64_t wide = sum;
    for (; size >= 8; size -= 8, data += 8) { /* in ones' complement a word of two is the sum of both */
        uint64_t words = wlmi_load_be64(data);
        wide += (words >> 32) + (words & UINT32_MAX);
    }
    for (; size >= 2; size -= 2, data += 2)
        wide += wlmi_load_be16(data);
    if (size)
        wide += (uint32_t)data[0] << 8;
    while (wide >> 32)
        wide = (wide & UINT32_MAX) + (wide >> 32);
    return (uint32_t)wide;
}

uint16_t wlmi_sum_fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* The whole of a sum that includes its checksum field is 0 where the field is right. */
static int adds_up(uint32_t sum)
{
    return wlmi_sum_fold(sum) == 0;
}

wlmi_checksum wlmi_check_network(const uint8_t *data, const wlmi_headers *h)
{
    if (h->ip_version != 4)
        return WLMI_SUM_NONE;
    uint32_t length = (uint32_t)(data[h->network] & 15) * 4;
    if (length < 20 || length > h->network_len)
        return WLMI_SUM_UNKNOWN;
    return adds_up(wlmi_sum(0, data + h->network, length)) ? WLMI_SUM_RIGHT : WLMI_SUM_WRONG;
}

/* Offset of the checksum in the transport header; 0 where the protocol has none of this kind. */
static uint32_t field_offset(const wlmi_headers *h)
{
    if (h->transport == WLMI_ABSENT)
        return 0;
    switch (h->proto) {
    case WLMI_PROTO_TCP: return 16;
    case WLMI_PROTO_UDP: return 6;
    case WLMI_PROTO_ICMP:
    case WLMI_PROTO_ICMPV6: return 2;
    }
    return 0;
}

/* A source route that is not used up: the pseudo header holds the last destination, not the one in the header. */
static int is_source_routed(const uint8_t *data, const wlmi_headers *h)
{
    const uint8_t *ip = data + h->network;
    if (h->ip_version == 4) {
        for (uint32_t at = 20; at + 1 < h->network_len && ip[at] != 0;) {
            if (ip[at] == 1) {
                at++;
                continue;
            }
            if ((ip[at] == 131 || ip[at] == 137) && at + 2 < h->network_len && ip[at + 2] <= ip[at + 1])
                return 1;
            at += ip[at + 1] < 2 ? 2 : ip[at + 1];
        }
        return 0;
    }
    uint8_t type = ip[6];
    for (uint32_t at = 40; at + 8 <= h->network_len;) { /* decode has walked these headers: their lengths fit */
        if (type == 43 && ip[at + 3] != 0)
            return 1;
        uint32_t length = type == 44 ? 8 : type == 51 ? ((uint32_t)ip[at + 1] + 2) * 4 : ((uint32_t)ip[at + 1] + 1) * 8;
        type = ip[at];
        at += length;
    }
    return 0;
}

/* Sum of pseudo header and transport segment, checksum field included. 0: the bytes are not all there.
 * UDP counts by its own length, as its header says. */
static int transport_sum(const uint8_t *data, const wlmi_headers *h, uint32_t *sum)
{
    uint32_t length = h->network_wire_end - h->transport;
    if (h->proto == WLMI_PROTO_UDP && h->transport_len >= 8) {
        uint32_t own = wlmi_load_be16(data + h->transport + 4);
        if (own > length || (own > 0 && own < 8))
            return 0;
        length = own ? own : length;
    }
    if (h->fragment || h->transport + length > h->network_end || is_source_routed(data, h))
        return 0;
    *sum = 0;
    if (h->proto != WLMI_PROTO_ICMP) /* the addresses stand side by side */
        *sum = wlmi_sum((length >> 16) + (length & 0xffff) + h->proto, data + h->src_addr, 2 * h->addr_len);
    *sum = wlmi_sum(*sum, data + h->transport, length);
    return 1;
}

wlmi_checksum wlmi_check_transport(const uint8_t *data, const wlmi_headers *h)
{
    uint32_t field = field_offset(h), sum;
    if (!field)
        return WLMI_SUM_NONE;
    if (field + 2 > h->transport_len)
        return WLMI_SUM_UNKNOWN;
    if (h->proto == WLMI_PROTO_UDP && wlmi_load_be16(data + h->transport + field) == 0)
        return WLMI_SUM_ZERO;
    if (!transport_sum(data, h, &sum))
        return WLMI_SUM_UNKNOWN;
    return adds_up(sum) ? WLMI_SUM_RIGHT : WLMI_SUM_WRONG;
}

void wlmi_mend_checksums(uint8_t *data, const wlmi_headers *h)
{
    uint32_t field = field_offset(h), sum;
    wlmi_checksum network = wlmi_check_network(data, h), transport = wlmi_check_transport(data, h);

    if (network == WLMI_SUM_WRONG) {
        uint8_t *ip = data + h->network;
        wlmi_store_be16(ip + 10, 0);
        wlmi_store_be16(ip + 10, wlmi_sum_fold(wlmi_sum(0, ip, (uint32_t)(ip[0] & 15) * 4)));
    }
    /* IPv4 allows UDP to go without; IPv6 does not. */
    if (transport == WLMI_SUM_WRONG || (transport == WLMI_SUM_ZERO && h->ip_version == 6)) {
        uint8_t *at = data + h->transport + field;
        uint16_t old = wlmi_load_be16(at);
        wlmi_store_be16(at, 0);
        if (!transport_sum(data, h, &sum)) {
            wlmi_store_be16(at, old);
            return;
        }
        uint16_t right = wlmi_sum_fold(sum);
        wlmi_store_be16(at, h->proto == WLMI_PROTO_UDP && right == 0 ? 0xffff : right);
    }
}
