/* packets.c: packets built by hand. */
#include "support/packets.h"

#include <arpa/inet.h>
#include <string.h>

#include "support/support.h"

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v & 0xffff);
}

/* The plainest form of RFC 1071: the sum as a big number, then folded. */
static uint16_t checksum(uint64_t sum, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum += (uint64_t)data[i] << (i % 2 ? 0 : 8);
    while (sum > 0xffff)
        sum = sum % 0x10000 + sum / 0x10000;
    return (uint16_t)(0xffff - sum);
}

static int address(const char *text, uint8_t out[16])
{
    if (strchr(text, ':')) {
        assert_int_equal(inet_pton(AF_INET6, text, out), 1);
        return 16;
    }
    assert_int_equal(inet_pton(AF_INET, text, out), 1);
    return 4;
}

test_packet test_ip(test_end from, test_end to, uint8_t proto, const void *data, size_t size)
{
    test_packet p = {{0}, 0};
    uint8_t src[16], dst[16];
    int n = address(from.address, src);
    assert_int_equal(address(to.address, dst), n);
    assert_true(size <= sizeof p.data - 40);
    if (n == 4) {
        p.data[0] = 0x45;
        put16(p.data + 2, (uint32_t)(20 + size));
        put16(p.data + 4, 0x1234);
        p.data[8] = 57;
        p.data[9] = proto;
        memcpy(p.data + 12, src, 4);
        memcpy(p.data + 16, dst, 4);
        put16(p.data + 10, checksum(0, p.data, 20));
        p.size = 20;
    } else {
        p.data[0] = 0x60;
        put16(p.data + 4, (uint32_t)size);
        p.data[6] = proto;
        p.data[7] = 57;
        memcpy(p.data + 8, src, 16);
        memcpy(p.data + 24, dst, 16);
        p.size = 40;
    }
    memcpy(p.data + p.size, data, size);
    p.size += (uint32_t)size;
    return p;
}

/* The packet with the checksum at `field` of its transport segment made right. */
static test_packet summed(test_end from, test_end to, uint8_t proto, uint8_t *segment, size_t size, size_t field)
{
    uint8_t ends[32];
    int n = address(from.address, ends);
    address(to.address, ends + n);
    uint64_t pseudo = 0;
    if (proto != WLMI_PROTO_ICMP)
        pseudo = (uint64_t)(0xffff - checksum(0, ends, 2 * (size_t)n)) + proto + size;
    put16(segment + field, 0);
    uint16_t sum = checksum(pseudo, segment, size);
    put16(segment + field, proto == WLMI_PROTO_UDP && sum == 0 ? 0xffff : sum);
    return test_ip(from, to, proto, segment, size);
}

test_packet test_tcp_seq(test_end from, test_end to, int flags, uint32_t seq, uint32_t ack, const void *data,
                         size_t size)
{
    uint8_t segment[4000] = {0};
    put16(segment, from.port);
    put16(segment + 2, to.port);
    put32(segment + 4, seq);
    put32(segment + 8, ack);
    segment[12] = 0x50;
    segment[13] = (uint8_t)flags;
    put16(segment + 14, 64240);
    if (size)
        memcpy(segment + 20, data, size);
    return summed(from, to, WLMI_PROTO_TCP, segment, 20 + size, 16);
}

test_packet test_tcp(test_end from, test_end to, int flags, const void *data, size_t size)
{
    return test_tcp_seq(from, to, flags, 1000, 2000, data, size);
}

test_packet test_udp(test_end from, test_end to, const void *data, size_t size)
{
    uint8_t segment[4000] = {0};
    put16(segment, from.port);
    put16(segment + 2, to.port);
    put16(segment + 4, (uint32_t)(8 + size));
    if (size)
        memcpy(segment + 8, data, size);
    return summed(from, to, WLMI_PROTO_UDP, segment, 8 + size, 6);
}

test_packet test_icmp(test_end from, test_end to, uint8_t type, uint8_t code, const void *data, size_t size)
{
    uint8_t segment[4000] = {type, code}, ignored[16];
    memcpy(segment + 4, data, size);
    return summed(from, to, address(from.address, ignored) == 4 ? WLMI_PROTO_ICMP : WLMI_PROTO_ICMPV6, segment,
                  4 + size, 2);
}

test_packet test_behind(const void *head, size_t size, const test_packet *inner)
{
    test_packet p = {{0}, (uint32_t)size + inner->size};
    memcpy(p.data, head, size);
    memcpy(p.data + size, inner->data, inner->size);
    return p;
}

test_packet test_ethernet(const test_packet *ip)
{
    uint8_t head[14] = {0, 0, 0x5e, 0, 0x53, 2, 0, 0, 0x5e, 0, 0x53, 1};
    put16(head + 12, ip->data[0] >> 4 == 4 ? 0x0800 : 0x86dd);
    return test_behind(head, sizeof head, ip);
}

wlm_packet test_view(const test_packet *packet, uint32_t link_type, int64_t time_ns)
{
    wlm_packet view = {.time_ns = time_ns, .captured = packet->size, .wire = packet->size, .link_type = link_type,
                       .number = 1, .data = packet->data};
    return view;
}
