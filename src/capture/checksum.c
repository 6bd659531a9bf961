/* checksum.c: Internet checksums (RFC 1071) of decoded packets: what state they are in, writing
 * right ones, and moving them with what they cover. */
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

/* ---------------------------------------------------------------- moving */

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

void wlmi_move_checksums(const uint8_t *in, uint8_t *out, const wlmi_headers *h)
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
