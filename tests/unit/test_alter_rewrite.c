/* test_alter_rewrite.c: alterations that write into packets: checksums stay as right as they were, lengths contradict
 * nobody, and what is not to change does not. */
#include "support/altered.h"
#include "support/support.h"

#include <string.h>

#include "base/cursor.h"
#include "capture/flow_key.h"

enum { ACK = WLMI_TCP_ACK, PSH = WLMI_TCP_PSH, FIN = WLMI_TCP_FIN };
static const test_end client = {"10.11.12.13", 40123}, server = {"172.16.99.88", 443};
static const test_end client6 = {"2001:4860:1234::77", 40123}, server6 = {"2606:4700:5678::99", 443};

/* ---------------------------------------------------------------- nat */

static void nat_makes_other_ends_of_a_sound_flow(void **state)
{
    (void)state;
    for (int v6 = 0; v6 < 2; v6++) {
        test_altered f = test_altered_talk(v6 ? client6 : client, v6 ? server6 : server, 6);
        wlm_flow_key key = test_alter(&f, WLMI_ALTER_NAT, 5);
        assert_int_equal(f.out.count, f.in.count);
        test_altered_sound(&f.out);
        assert_memory_not_equal(key.src, f.key.src, key.addr_len);
        assert_memory_not_equal(key.dst, f.key.dst, key.addr_len);
        assert_int_not_equal(key.src_port, f.key.src_port);
        assert_int_equal(key.dst_port, 443);
        for (size_t i = 0; i < f.out.count; i++) {
            wlm_packet was = wlmi_packet_list_at(&f.in, i), is = wlmi_packet_list_at(&f.out, i);
            wlmi_headers h = test_altered_headers(&was), g = test_altered_headers(&is);
            int back = wlmi_flow_key_is_backward(&f.key, was.data, &h);
            assert_int_equal(wlmi_flow_key_is_backward(&key, is.data, &g), back);
            assert_memory_equal(is.data + g.src_addr, back ? key.dst : key.src, g.addr_len);
            assert_int_equal(back ? g.dst_port : g.src_port, key.src_port);
            assert_in_range(is.data[g.network + (v6 ? 7 : 8)], 57 - 3, 57 - 1);
            assert_memory_equal(is.data + g.transport + 4, was.data + h.transport + 4, 12);
            assert_memory_equal(is.data + g.payload, was.data + h.payload, h.payload_len);
        }
        test_altered_end(&f);
    }
}

static void nat_leaves_groups_and_links_alone_and_checksums_as_they_were(void **state)
{
    (void)state;
    static const test_end group = {"224.0.0.251", 5353}, self = {"169.254.7.7", 5353};
    test_altered f = test_altered_begin();
    test_packet p = test_udp(self, group, "whatever", 8), wrong = p;
    wlm_flow_key key;
    wrong.data[26] ^= 0x55;
    test_altered_add(&f, &p, 1);
    test_altered_add(&f, &wrong, 2);
    key = test_alter(&f, WLMI_ALTER_NAT, 5);
    assert_memory_equal(key.src, f.key.src, 16);
    assert_memory_equal(key.dst, f.key.dst, 16);
    for (size_t i = 0; i < 2; i++) {
        wlm_packet is = wlmi_packet_list_at(&f.out, i);
        wlmi_headers h = test_altered_headers(&is);
        assert_int_equal(wlmi_check_transport(is.data, &h), i ? WLMI_SUM_WRONG : WLMI_SUM_RIGHT);
        assert_int_equal(h.src_port, key.src_port);
    }
    test_altered_end(&f);
}

/* A host that does not count has another counter behind the translator; none stays none. */
static void nat_counts_identifications_anew(void **state)
{
    (void)state;
    test_altered f = test_altered_begin();
    for (int i = 0; i < 4; i++) {
        test_packet p = test_udp(client, server, "ab", 2);
        uint16_t id = (uint16_t)(i == 2 ? 0 : 7000 + 1111 * i);
        if (i == 2)
            p.data[6] = 0x40;
        p.data[4] = (uint8_t)(id >> 8);
        p.data[5] = (uint8_t)id;
        test_altered_add(&f, &p, i);
    }
    test_alter(&f, WLMI_ALTER_NAT, 8);
    uint16_t id[4];
    for (size_t i = 0; i < 4; i++)
        id[i] = wlmi_load_be16(wlmi_packet_list_at(&f.out, i).data + 14 + 4);
    assert_int_equal((uint16_t)(id[1] - id[0]), 1);
    assert_int_equal(id[2], 0);
    assert_int_equal((uint16_t)(id[3] - id[1]), 1);
    test_altered_end(&f);
}

/* ---------------------------------------------------------------- names */

static int out_holds(const test_altered *f, const char *text)
{
    return memmem(f->out.bytes, f->out.used, text, strlen(text)) != NULL;
}

static void noname_replaces_whole_names_and_no_address(void **state)
{
    (void)state;
    static const char request[] = "GET / HTTP/1.1\r\nHost: shop.wirelm.example\r\nX-From: 10.11.12.13\r\n\r\n";
    static const uint8_t query[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\4shop\6wirelm\7example\0\0\1\0\1";
    static const test_end dns = {"172.16.99.88", 53};
    test_altered f = test_altered_begin(), g = test_altered_begin();
    test_packet p = test_tcp(client, server, ACK | PSH, request, sizeof request - 1);
    test_altered_add(&f, &p, 1);
    test_altered_add(&f, &p, 2);
    test_alter(&f, WLMI_ALTER_NONAME, 6);
    assert_int_equal(f.out.count, 2);
    assert_false(out_holds(&f, "shop") || out_holds(&f, "wirelm") || out_holds(&f, "example"));
    assert_true(out_holds(&f, "Host: ") && out_holds(&f, "X-From: 10.11.12.13\r\n"));
    test_altered_sound(&f.out);
    assert_memory_equal(wlmi_packet_list_at(&f.out, 0).data, wlmi_packet_list_at(&f.out, 1).data,
                        54 + sizeof request - 1);
    p = test_udp(client, dns, query, sizeof query - 1);
    test_altered_add(&g, &p, 1);
    test_alter(&g, WLMI_ALTER_NONAME, 6);
    assert_false(out_holds(&g, "shop") || out_holds(&g, "wirelm") || out_holds(&g, "example"));
    test_altered_sound(&g.out);
    test_altered_end(&f);
    test_altered_end(&g);
}

static size_t client_hello(uint8_t *hello, const char *name)
{
    static const uint8_t head[] = {22, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3};
    size_t n = strlen(name), at = sizeof head;
    memcpy(hello, head, at);
    for (int i = 0; i < 32; i++)
        hello[at++] = (uint8_t)(0xa0 + i);
    memcpy(hello + at, "\0\0\2\x13\1\1\0", 7);
    at += 7;
    wlmi_store_be16(hello + at, (uint16_t)(n + 9));
    wlmi_store_be16(hello + at + 2, 0);
    wlmi_store_be16(hello + at + 4, (uint16_t)(n + 5));
    wlmi_store_be16(hello + at + 6, (uint16_t)(n + 3));
    hello[at + 8] = 0;
    wlmi_store_be16(hello + at + 9, (uint16_t)n);
    memcpy(hello + at + 11, name, n);
    at += 11 + n;
    wlmi_store_be16(hello + 3, (uint16_t)(at - 5));
    wlmi_store_be16(hello + 7, (uint16_t)(at - 9));
    return at;
}

static void noname_and_randomise_rewrite_a_hello_each_its_part(void **state)
{
    (void)state;
    uint8_t hello[300];
    size_t size = client_hello(hello, "shop.wirelm.example");
    test_altered f = test_altered_begin();
    test_packet p = test_tcp(client, server, ACK | PSH, hello, size);
    test_altered_add(&f, &p, 1);
    test_altered_add(&f, &p, 2);
    test_alter(&f, WLMI_ALTER_NONAME, 6);
    test_altered_sound(&f.out);
    assert_false(out_holds(&f, "shop") || out_holds(&f, "wirelm") || out_holds(&f, "example"));
    assert_memory_equal(wlmi_packet_list_at(&f.out, 0).data + 54, hello, size - 19);
    test_alter(&f, WLMI_ALTER_RANDOMISE, 6);
    test_altered_sound(&f.out);
    const uint8_t *is = wlmi_packet_list_at(&f.out, 0).data + 54;
    assert_memory_equal(is, hello, 11);
    assert_memory_not_equal(is + 11, hello + 11, 8);
    assert_memory_equal(is + 43, hello + 43, size - 43);
    assert_memory_equal(is, wlmi_packet_list_at(&f.out, 1).data + 54, size); /* sent again, it is the same again */
    test_altered_end(&f);
}

static void randomise_moves_starts_and_keeps_moves(void **state)
{
    (void)state;
    test_altered f = test_altered_talk(client, server, 8);
    wlm_flow_key key = test_alter(&f, WLMI_ALTER_RANDOMISE, 4);
    uint32_t moved[2] = {0, 0};
    int seen[2] = {0, 0};
    test_altered_sound(&f.out);
    assert_int_not_equal(key.src_port, f.key.src_port);
    for (size_t i = 0; i < f.out.count; i++) {
        wlm_packet was = wlmi_packet_list_at(&f.in, i), is = wlmi_packet_list_at(&f.out, i);
        wlmi_headers h = test_altered_headers(&was), g = test_altered_headers(&is);
        int back = wlmi_flow_key_is_backward(&f.key, was.data, &h);
        uint32_t move = wlmi_load_be32(is.data + g.transport + 4) - wlmi_load_be32(was.data + h.transport + 4);
        assert_int_equal(wlmi_flow_key_is_backward(&key, is.data, &g), back);
        if (seen[back])
            assert_int_equal(move, moved[back]);
        moved[back] = move;
        seen[back] = 1;
        if (h.tcp_flags & ACK)
            assert_int_equal(wlmi_load_be32(is.data + g.transport + 8) - wlmi_load_be32(was.data + h.transport + 8),
                             moved[!back]);
        assert_memory_equal(is.data + g.payload, was.data + h.payload, h.payload_len);
    }
    assert_true(moved[0] != 0 && moved[1] != 0 && moved[0] != moved[1]);
    test_altered_end(&f);
}

/* ---------------------------------------------------------------- offload */

/* All payload of the server's, in the order of the packets. */
static size_t said(const wlmi_packet_list *list, uint8_t *text, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < list->count; i++) {
        wlm_packet p = wlmi_packet_list_at(list, i);
        wlmi_headers h = test_altered_headers(&p);
        assert_true(n + h.payload_len <= room);
        memcpy(text + n, p.data + h.payload, h.payload_len);
        n += h.payload_len;
    }
    return n;
}

static void offload_merges_what_continues(void **state)
{
    (void)state;
    static uint8_t before[1 << 16], after[1 << 16];
    for (int v6 = 0; v6 < 2; v6++) {
        test_altered f = test_altered_talk(v6 ? client6 : client, v6 ? server6 : server, 16);
        test_alter(&f, WLMI_ALTER_OFFLOAD, 1);
        assert_int_equal(f.out.count, 2 + 4 + 4); /* handshake, bursts, acknowledgements */
        test_altered_sound(&f.out);
        wlm_packet burst = wlmi_packet_list_at(&f.out, 2);
        wlmi_headers h = test_altered_headers(&burst);
        assert_int_equal(h.payload_len, 4000);
        assert_int_equal(h.tcp_flags, ACK | PSH);
        assert_int_equal(burst.number, 3);
        assert_int_equal(burst.time_ns, f.in.packet[5].time_ns);
        size_t n = said(&f.in, before, sizeof before);
        assert_int_equal(said(&f.out, after, sizeof after), n);
        assert_memory_equal(after, before, n);
        test_altered_end(&f);
    }
}

/* A segment behind a gap, with other options, with a longer payload or a flag begins anew. */
static void offload_stops_where_a_receiver_would(void **state)
{
    (void)state;
    static const uint8_t payload[1500];
    static const struct {
        uint32_t first, second, seq, ack;
        int flags;
        size_t packets;
    } cases[] = {
        {1000, 1000, 2000, 5, ACK, 1},  {1000, 500, 2000, 5, ACK, 1}, {500, 1000, 1500, 5, ACK, 2},
        {1000, 1000, 2001, 5, ACK, 2},  {1000, 1000, 1000, 5, ACK, 2}, {1000, 1000, 2000, 6, ACK, 2},
        {1000, 1000, 2000, 5, ACK | WLMI_TCP_RST, 2}, {1000, 1000, 2000, 5, ACK | FIN, 1},
        {1000, 1000, 2000, 5, ACK | WLMI_TCP_URG, 2}, {1000, 0, 2000, 5, ACK, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_altered f = test_altered_begin();
        test_packet p = test_tcp_seq(client, server, ACK, 1000, 5, payload, cases[i].first);
        test_altered_add(&f, &p, 1);
        p = test_tcp_seq(client, server, cases[i].flags, cases[i].seq, cases[i].ack, payload, cases[i].second);
        test_altered_add(&f, &p, 2);
        test_alter(&f, WLMI_ALTER_OFFLOAD, 1);
        assert_int_equal(f.out.count, cases[i].packets);
        if (f.out.count == 2)
            assert_true(test_altered_same(&f.in, &f.out));
        else
            test_altered_sound(&f.out);
        test_altered_end(&f);
    }
}

static void offload_ends_at_what_ip_can_carry(void **state)
{
    (void)state;
    static const uint8_t payload[1400];
    test_altered f = test_altered_begin();
    for (uint32_t i = 0; i < 100; i++) {
        test_packet p = test_tcp_seq(client, server, ACK, 1400 * i, 5, payload, sizeof payload);
        test_altered_add(&f, &p, (int64_t)i);
    }
    test_alter(&f, WLMI_ALTER_OFFLOAD, 1);
    test_altered_sound(&f.out);
    assert_int_equal(f.out.count, 3);
    for (size_t i = 0; i < f.out.count; i++)
        assert_true(f.out.packet[i].wire <= 14 + 65535);
    test_altered_end(&f);
}

static void offload_keeps_wrong_checksums_wrong(void **state)
{
    (void)state;
    test_altered f = test_altered_begin();
    for (uint32_t i = 0; i < 2; i++) {
        test_packet p = test_tcp_seq(client, server, ACK, 4 * i, 5, "abcd", 4);
        p.data[36] = p.data[37] = 0; /* left to the network card */
        test_altered_add(&f, &p, (int64_t)i);
    }
    test_alter(&f, WLMI_ALTER_OFFLOAD, 1);
    assert_int_equal(f.out.count, 1);
    wlm_packet p = wlmi_packet_list_at(&f.out, 0);
    wlmi_headers h = test_altered_headers(&p);
    assert_int_equal(wlmi_check_network(p.data, &h), WLMI_SUM_RIGHT);
    assert_int_equal(wlmi_check_transport(p.data, &h), WLMI_SUM_WRONG);
    test_altered_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nat_makes_other_ends_of_a_sound_flow),
        cmocka_unit_test(nat_leaves_groups_and_links_alone_and_checksums_as_they_were),
        cmocka_unit_test(nat_counts_identifications_anew),
        cmocka_unit_test(noname_replaces_whole_names_and_no_address),
        cmocka_unit_test(noname_and_randomise_rewrite_a_hello_each_its_part),
        cmocka_unit_test(randomise_moves_starts_and_keeps_moves),
        cmocka_unit_test(offload_merges_what_continues),
        cmocka_unit_test(offload_stops_where_a_receiver_would),
        cmocka_unit_test(offload_ends_at_what_ip_can_carry),
        cmocka_unit_test(offload_keeps_wrong_checksums_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
