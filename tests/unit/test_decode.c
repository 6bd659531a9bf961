/* test_decode.c: every link layer, IP header and transport that decode knows; cuts at every length; checksums. */
#include "support/packets.h"
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/rng.h"

static const test_end client = {"192.0.2.7", 40000}, server = {"198.51.100.9", 443};
static const test_end client6 = {"2001:db8::7", 40000}, server6 = {"2001:db8::9", 443};

static wlmi_headers decoded(const test_packet *p, uint32_t link_type)
{
    wlm_packet view = test_view(p, link_type, 0);
    wlmi_headers h;
    wlmi_decode(&view, &h);
    return h;
}

/* The TCP packet between client and server stands at `network`. */
static void assert_tcp_at(const wlmi_headers *h, uint32_t network, uint32_t payload_len)
{
    assert_string_equal(wlmi_reason_name(h->reason), "decoded");
    assert_int_equal(h->ip_version, 4);
    assert_int_equal(h->network, network);
    assert_int_equal(h->network_len, 20);
    assert_int_equal(h->src_addr, network + 12);
    assert_int_equal(h->transport, network + 20);
    assert_int_equal(h->transport_len, 20);
    assert_int_equal(h->payload, network + 40);
    assert_int_equal(h->payload_len, payload_len);
    assert_int_equal(h->payload_wire_len, payload_len);
    assert_int_equal(h->src_port, 40000);
    assert_int_equal(h->dst_port, 443);
    assert_int_equal(h->tcp_flags, WLMI_TCP_ACK);
}

static void every_link_layer(void **state)
{
    static const struct {
        uint32_t link;
        uint8_t size, head[32];
    } links[] = {
        {WLMI_LINK_RAW, 0, {0}},
        {WLMI_LINK_RAW_BSD, 0, {0}},
        {WLMI_LINK_RAW_OPENBSD, 0, {0}},
        {WLMI_LINK_IPV4, 0, {0}},
        {WLMI_LINK_NULL, 4, {2, 0, 0, 0}},
        {WLMI_LINK_NULL, 4, {0, 0, 0, 2}},
        {WLMI_LINK_LOOP, 4, {0, 0, 0, 2}},
        {WLMI_LINK_PPP, 4, {0xff, 3, 0, 0x21}},
        {WLMI_LINK_PPP, 2, {0, 0x21}},
        {WLMI_LINK_PPP, 1, {0x21}},
        {WLMI_LINK_PPP_HDLC, 4, {0xff, 3, 0, 0x21}},
        {WLMI_LINK_PPP_HDLC, 4, {0x0f, 0, 8, 0}},
        {WLMI_LINK_ETHERNET, 14, {[12] = 8, 0}},
        {WLMI_LINK_ETHERNET | 0x24000000, 14, {[12] = 8, 0}}, /* with bits about the frame check sequence */
        {WLMI_LINK_ETHERNET, 18, {[12] = 0x81, 0, 0, 5, 8, 0}},
        {WLMI_LINK_ETHERNET, 22, {[12] = 0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0}},
        {WLMI_LINK_ETHERNET, 22, {[12] = 0x91, 0, 0, 5, 0x81, 0, 0, 6, 8, 0}},
        {WLMI_LINK_ETHERNET, 22, {[12] = 0, 88, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}},
        {WLMI_LINK_ETHERNET, 22, {[12] = 0x88, 0x64, 0x11, 0, 0, 1, 0, 42, 0, 0x21}},
        {WLMI_LINK_ETHERNET, 22, {[12] = 0x88, 0x47, 0, 1, 0, 64, 0, 2, 1, 64}},
        {WLMI_LINK_SLL, 16, {[3] = 1, [5] = 6, [14] = 8, 0}},
        {WLMI_LINK_SLL2, 20, {8, 0, [9] = 1, [11] = 6}},
    };
    test_packet ip = test_tcp(client, server, WLMI_TCP_ACK, "hello", 5);
    (void)state;
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        test_packet p = test_behind(links[i].head, links[i].size, &ip);
        wlmi_headers h = decoded(&p, links[i].link);
        assert_tcp_at(&h, links[i].size, 5);
    }
}

static void link_addresses(void **state)
{
    test_packet ip = test_tcp(client, server, WLMI_TCP_ACK, "", 0), p = test_ethernet(&ip);
    uint8_t cooked[16] = {[3] = 1, [5] = 6, [14] = 8, 0};
    (void)state;
    wlmi_headers h = decoded(&p, WLMI_LINK_ETHERNET);
    assert_int_equal(h.link_dst, 0);
    assert_int_equal(h.link_src, 6);
    assert_int_equal(h.link_addr_len, 6);
    p = test_behind(cooked, sizeof cooked, &ip);
    h = decoded(&p, WLMI_LINK_SLL);
    assert_int_equal(h.link_src, 6);
    assert_int_equal(h.link_dst, WLMI_ABSENT);
    assert_int_equal(h.link_addr_len, 6);
}

static void padding_is_not_payload(void **state)
{
    test_packet ip = test_tcp(client, server, WLMI_TCP_ACK, "", 0), p = test_ethernet(&ip);
    (void)state;
    p.size = 60;
    wlmi_headers h = decoded(&p, WLMI_LINK_ETHERNET);
    assert_tcp_at(&h, 14, 0);
    assert_int_equal(h.network_end, 54);
    assert_int_equal(h.network_wire_end, 54);
}

static void ipv4_options_and_total_length_zero(void **state)
{
    test_packet p = test_udp(client, server, "hello", 5);
    (void)state;
    memmove(p.data + 28, p.data + 20, p.size - 20);
    memset(p.data + 20, 1, 8);
    p.size += 8;
    p.data[0] = 0x47;
    p.data[3] += 8;
    wlmi_headers h = decoded(&p, WLMI_LINK_RAW);
    assert_int_equal(h.reason, WLMI_DECODED);
    assert_int_equal(h.network_len, 28);
    assert_int_equal(h.transport, 28);
    assert_int_equal(h.payload_len, 5);
    p.data[2] = p.data[3] = 0; /* segmentation offloading */
    h = decoded(&p, WLMI_LINK_RAW);
    assert_int_equal(h.reason, WLMI_DECODED);
    assert_int_equal(h.network_wire_end, p.size);
    assert_int_equal(h.payload_len, 5);
}

static void fragments(void **state)
{
    test_packet p = test_udp(client, server, "0123456789abcdef", 16);
    (void)state;
    p.data[6] = 0x20;
    wlmi_headers h = decoded(&p, WLMI_LINK_RAW);
    assert_int_equal(h.reason, WLMI_DECODED);
    assert_int_equal(h.fragment, 1);
    assert_int_equal(h.fragment_id, 0x1234);
    assert_int_equal(h.src_port, 40000);
    p.data[6] = 0;
    p.data[7] = 9;
    h = decoded(&p, WLMI_LINK_RAW);
    assert_int_equal(h.reason, WLMI_FRAGMENT);
    assert_int_equal(h.fragment, 2);
    assert_int_equal(h.transport, WLMI_ABSENT);
    assert_int_equal(h.payload, 20);
    assert_int_equal(h.payload_len, 24);
    assert_int_equal(h.src_port, 0);
}

/* An IPv6 packet whose extension headers stand before a UDP datagram. */
static test_packet extended(const uint8_t *ext, size_t size, uint8_t first)
{
    uint8_t inner[256];
    test_packet udp = test_udp(client6, server6, "hello", 5);
    memcpy(inner, ext, size);
    memcpy(inner + size, udp.data + 40, 13);
    return test_ip(client6, server6, first, inner, size + 13);
}

static void ipv6_extension_headers(void **state)
{
    static const uint8_t all[] = {
        43, 0, 1, 4, 0, 0, 0, 0,             /* hop by hop */
        60, 0, 0, 0, 0, 0, 0, 0,             /* routing, nothing left */
        51, 0, 1, 4, 0, 0, 0, 0,             /* destination options */
        44, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, /* authentication, 12 bytes */
        17, 0, 0, 1, 0, 0, 0, 77,            /* fragment: the first */
    };
    static const uint8_t later[] = {17, 0, 0, 8, 0, 0, 0, 77}, routed[] = {17, 0, 0, 1, 0, 0, 0, 0};
    (void)state;
    test_packet p = extended(all, sizeof all, 0);
    wlmi_headers h = decoded(&p, WLMI_LINK_RAW);
    assert_int_equal(h.reason, WLMI_DECODED);
    assert_int_equal(h.proto, WLMI_PROTO_UDP);
    assert_int_equal(h.network_len, 40 + sizeof all);
    assert_int_equal(h.fragment, 1);
    assert_int_equal(h.fragment_id, 77);
    assert_int_equal(h.payload_len, 5);
    assert_int_equal(h.addr_len, 16);
    p = extended(later, sizeof later, 44);
    h = decoded(&p, WLMI_LINK_RAW);
    assert_int_equal(h.reason, WLMI_FRAGMENT);
    assert_int_equal(h.transport, WLMI_ABSENT);
    p = extended(routed, sizeof routed, 43); /* the pseudo header would hold another destination */
    h = decoded(&p, WLMI_LINK_RAW);
    assert_int_equal(wlmi_check_transport(p.data, &h), WLMI_SUM_UNKNOWN);
    p.data[43] = 0;
    assert_int_equal(wlmi_check_transport(p.data, &h), WLMI_SUM_RIGHT);
    uint8_t endless[64 * 8] = {0};
    for (size_t i = 0; i < sizeof endless; i += 8)
        endless[i] = 60;
    p = test_ip(client6, server6, 60, endless, sizeof endless);
    h = decoded(&p, WLMI_LINK_RAW);
    assert_int_equal(h.reason, WLMI_MALFORMED);
}

static void icmp_echo_has_its_identifier_as_ports(void **state)
{
    static const uint8_t rest[] = {0x12, 0x34, 0, 1, 'x'};
    (void)state;
    test_packet p = test_icmp(client, server, 8, 0, rest, sizeof rest);
    wlmi_headers h = decoded(&p, WLMI_LINK_RAW);
    assert_int_equal(h.reason, WLMI_DECODED);
    assert_int_equal(h.src_port, 0x1234);
    assert_int_equal(h.dst_port, 0x1234);
    assert_int_equal(h.payload_len, 1);
    p = test_icmp(client6, server6, 129, 0, rest, sizeof rest);
    h = decoded(&p, WLMI_LINK_RAW);
    assert_int_equal(h.src_port, 0x1234);
    assert_int_equal(wlmi_check_transport(p.data, &h), WLMI_SUM_RIGHT);
    p = test_icmp(client, server, 3, 1, rest, sizeof rest);
    h = decoded(&p, WLMI_LINK_RAW);
    assert_int_equal(h.src_port, 0);
}

static void arp_and_others(void **state)
{
    test_packet p = {{[12] = 8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, 60};
    (void)state;
    wlmi_headers h = decoded(&p, WLMI_LINK_ETHERNET);
    assert_int_equal(h.reason, WLMI_DECODED);
    assert_int_equal(h.arp, 1);
    assert_int_equal(h.ip_version, 0);
    assert_int_equal(h.network, 14);
    assert_int_equal(h.network_end, 42);
    assert_int_equal(h.payload_len, 0);
    p.data[13] = 7;
    h = decoded(&p, WLMI_LINK_ETHERNET);
    assert_int_equal(h.reason, WLMI_UNKNOWN_NETWORK);
    h = decoded(&p, 195);
    assert_int_equal(h.reason, WLMI_UNKNOWN_LINK);
    assert_int_equal(h.payload, 0);
    assert_int_equal(h.payload_len, 60);
    p = test_ip(client, server, 47, "gre", 3);
    h = decoded(&p, WLMI_LINK_RAW);
    assert_int_equal(h.reason, WLMI_UNKNOWN_TRANSPORT);
    assert_int_equal(h.proto, 47);
    assert_int_equal(h.payload_len, 3);
}

static void contradictions_are_malformed(void **state)
{
    test_packet p = test_tcp(client, server, WLMI_TCP_ACK, "hello", 5);
    (void)state;
    p.data[32] = 0x40; /* TCP header of 16 bytes */
    wlmi_headers h = decoded(&p, WLMI_LINK_RAW);
    assert_int_equal(h.reason, WLMI_MALFORMED);
    assert_int_equal(h.src_port, 40000);
    p.data[32] = 0xf0; /* longer than the packet */
    h = decoded(&p, WLMI_LINK_RAW);
    assert_int_equal(h.reason, WLMI_MALFORMED);
    p.data[0] = 0x44; /* IP header of 16 bytes */
    h = decoded(&p, WLMI_LINK_RAW);
    assert_int_equal(h.reason, WLMI_MALFORMED);
    assert_int_equal(h.transport, WLMI_ABSENT);
    p = test_udp(client, server, "hello", 5);
    p.data[25] = 50;
    h = decoded(&p, WLMI_LINK_RAW);
    assert_int_equal(h.reason, WLMI_MALFORMED);
    assert_int_equal(h.payload_len, 5);
    p.data[25] = 11; /* UDP may end before IP does */
    h = decoded(&p, WLMI_LINK_RAW);
    assert_int_equal(h.reason, WLMI_DECODED);
    assert_int_equal(h.payload_len, 3);
}

static void assert_in_bounds(const wlmi_headers *h, uint32_t captured)
{
    assert_true(h->network_end <= captured);
    assert_true(h->network_end <= h->network_wire_end);
    assert_true(h->payload <= h->network_end && h->payload_len <= h->network_end - h->payload);
    assert_true(h->payload_len <= h->payload_wire_len);
    if (h->network == WLMI_ABSENT) {
        assert_int_equal(h->ip_version, 0);
        assert_int_equal(h->transport, WLMI_ABSENT);
        return;
    }
    assert_true(h->network + h->network_len <= h->network_end);
    if (h->ip_version) {
        assert_true(h->network_len >= (h->ip_version == 4 ? 20 : 40));
        assert_true(h->dst_addr + h->addr_len <= h->network_end);
    }
    if (h->transport != WLMI_ABSENT) {
        assert_true(h->transport >= h->network + h->network_len);
        assert_true(h->transport_len >= 4 && h->transport + h->transport_len <= h->network_end);
    }
}

/* In memory of exactly that size, so that a sanitizer sees a read behind the end. */
static void decode_exactly(const uint8_t *data, uint32_t captured, uint32_t wire, uint32_t link_type)
{
    uint8_t *copy = malloc(captured ? captured : 1);
    assert_non_null(copy);
    memcpy(copy, data, captured);
    wlm_packet view = {.captured = captured, .wire = wire, .link_type = link_type, .data = copy};
    wlmi_headers h;
    wlmi_decode(&view, &h);
    assert_in_bounds(&h, captured);
    wlmi_check_network(copy, &h);
    wlmi_check_transport(copy, &h);
    wlmi_mend_checksums(copy, &h);
    free(copy);
}

static void cut_at_every_length(void **state)
{
    test_packet ip = test_tcp(client, server, WLMI_TCP_ACK, "hello", 5), p = test_ethernet(&ip);
    (void)state;
    for (uint32_t n = 0; n < p.size; n++) {
        wlm_packet view = test_view(&p, WLMI_LINK_ETHERNET, 0);
        wlmi_headers h;
        view.captured = n;
        decode_exactly(p.data, n, p.size, WLMI_LINK_ETHERNET);
        wlmi_decode(&view, &h);
        assert_int_equal(h.reason, n < 54 ? WLMI_CUT : WLMI_DECODED);
        assert_int_equal(h.ip_version, n < 34 ? 0 : 4);
        assert_int_equal(h.src_port, n < 38 ? 0 : 40000);
        assert_int_equal(h.tcp_flags, n < 48 ? 0 : WLMI_TCP_ACK);
        if (n >= 54)
            assert_int_equal(h.payload_wire_len, 5);
        if (n >= 34)
            assert_int_equal(wlmi_check_transport(p.data, &h), n < 38 ? WLMI_SUM_NONE : WLMI_SUM_UNKNOWN);
    }
}

static void any_bytes_stay_in_bounds(void **state)
{
    static const uint32_t links[] = {0, 1, 9, 12, 14, 50, 101, 108, 113, 228, 229, 276};
    static const uint16_t types[] = {0x0800, 0x86dd, 0x0806, 0x8100, 0x8847, 0x8864, 40};
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 11);
    for (int i = 0; i < 30000; i++) {
        uint8_t data[160];
        uint32_t size = (uint32_t)wlmi_rng_below(&rng, sizeof data), link = links[wlmi_rng_below(&rng, 12)];
        for (size_t j = 0; j < sizeof data; j++)
            data[j] = (uint8_t)wlmi_rng_next(&rng);
        if (i % 3)
            wlmi_store_be16(data + (link == 1 ? 12 : link == 113 ? 14 : 0), types[wlmi_rng_below(&rng, 7)]);
        uint8_t *ip = data + (link == 1 ? 14 : link == 113 ? 16 : link == 276 ? 20 : link % 12 ? 0 : 4);
        if (i % 5) {
            ip[0] = i % 2 ? 0x45 : 0x60;
            ip[i % 2 ? 2 : 4] = 0;
            ip[i % 2 ? 9 : 6] = (uint8_t[]){6, 17, 1, 58, 44, 43, 0, 51}[wlmi_rng_below(&rng, 8)];
        }
        decode_exactly(data, size, size + (uint32_t)wlmi_rng_below(&rng, 3) * 40, link);
    }
}

static void checksums_of_every_kind(void **state)
{
    static const uint8_t echo[] = {0, 1, 0, 2, 'a', 'b', 'c'};
    test_packet all[6];
    (void)state;
    all[0] = test_tcp(client, server, WLMI_TCP_ACK, "odd", 3);
    all[1] = test_udp(client, server, "even", 4);
    all[2] = test_icmp(client, server, 8, 0, echo, sizeof echo);
    all[3] = test_tcp(client6, server6, WLMI_TCP_SYN, "", 0);
    all[4] = test_udp(client6, server6, "odd", 3);
    all[5] = test_icmp(client6, server6, 128, 0, echo, sizeof echo);
    for (size_t i = 0; i < 6; i++) {
        test_packet bad = all[i];
        wlmi_headers h = decoded(&bad, WLMI_LINK_RAW);
        assert_int_equal(wlmi_check_network(bad.data, &h), i < 3 ? WLMI_SUM_RIGHT : WLMI_SUM_NONE);
        assert_int_equal(wlmi_check_transport(bad.data, &h), WLMI_SUM_RIGHT);
        bad.data[h.network + (i < 3 ? 10 : 0)] ^= i < 3 ? 1 : 0;
        bad.data[h.transport + (uint32_t[]){16, 6, 2, 16, 6, 2}[i]] ^= 0x40;
        assert_int_equal(wlmi_check_network(bad.data, &h), i < 3 ? WLMI_SUM_WRONG : WLMI_SUM_NONE);
        assert_int_equal(wlmi_check_transport(bad.data, &h), WLMI_SUM_WRONG);
        wlmi_mend_checksums(bad.data, &h);
        assert_memory_equal(bad.data, all[i].data, bad.size);
    }
    wlmi_headers h = decoded(&all[1], WLMI_LINK_RAW);
    all[1].data[h.transport + 6] = all[1].data[h.transport + 7] = 0;
    assert_int_equal(wlmi_check_transport(all[1].data, &h), WLMI_SUM_ZERO);
    wlmi_mend_checksums(all[1].data, &h);
    assert_int_equal(wlmi_check_transport(all[1].data, &h), WLMI_SUM_ZERO);
}

static void a_udp_sum_of_zero_is_written_as_ones(void **state)
{
    test_packet p = test_udp(client, server, "\0\0", 2);
    (void)state;
    wlmi_headers h = decoded(&p, WLMI_LINK_RAW);
    uint16_t sum = wlmi_load_be16(p.data + h.transport + 6); /* the complement of all else: as payload it makes 0 */
    wlmi_store_be16(p.data + h.payload, sum);
    wlmi_store_be16(p.data + h.transport + 6, 1);
    wlmi_mend_checksums(p.data, &h);
    assert_int_equal(wlmi_load_be16(p.data + h.transport + 6), 0xffff);
    assert_int_equal(wlmi_check_transport(p.data, &h), WLMI_SUM_RIGHT);
}

/* Against RFC 1071 word by word, the carry taken in at once, from every place and of every short size. */
static void sums_are_those_of_the_slow_way(void **state)
{
    uint8_t data[80];
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 13);
    for (size_t i = 0; i < sizeof data; i++) /* many ones, so that sums carry */
        data[i] = wlmi_rng_below(&rng, 3) ? 0xff : (uint8_t)wlmi_rng_next(&rng);
    for (size_t from = 0; from < 8; from++)
        for (size_t size = 0; from + size <= sizeof data; size++) {
            uint32_t before = size % 2 ? UINT32_MAX : (uint32_t)size, slow = before % 65536 + before / 65536;
            for (size_t i = 0; i < size; i++) {
                slow += i % 2 ? data[from + i] : (uint32_t)data[from + i] << 8;
                slow = slow % 65536 + slow / 65536;
            }
            assert_int_equal(wlmi_sum_fold(wlmi_sum(before, data + from, size)), wlmi_sum_fold(slow));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_link_layer),
        cmocka_unit_test(link_addresses),
        cmocka_unit_test(padding_is_not_payload),
        cmocka_unit_test(ipv4_options_and_total_length_zero),
        cmocka_unit_test(fragments),
        cmocka_unit_test(ipv6_extension_headers),
        cmocka_unit_test(icmp_echo_has_its_identifier_as_ports),
        cmocka_unit_test(arp_and_others),
        cmocka_unit_test(contradictions_are_malformed),
        cmocka_unit_test(cut_at_every_length),
        cmocka_unit_test(any_bytes_stay_in_bounds),
        cmocka_unit_test(sums_are_those_of_the_slow_way),
        cmocka_unit_test(checksums_of_every_kind),
        cmocka_unit_test(a_udp_sum_of_zero_is_written_as_ones),
    };
    return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
