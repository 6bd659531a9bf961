/* test_address.c: generated packets get addresses of their own, lengths that agree and checksums that are right. */
#include "support/packets.h"
#include "support/support.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/cursor.h"
#include "base/rng.h"
#include "capture/address.h"
#include "capture/hide.h"

static const test_end client = {"192.0.2.1", WLMI_HIDDEN_CLIENT_PORT}, server = {"198.51.100.1", WLMI_HIDDEN_SERVER_PORT};
static const test_end client6 = {"2001:db8::1", WLMI_HIDDEN_CLIENT_PORT};
static const test_end server6 = {"2001:db8:1::1", WLMI_HIDDEN_SERVER_PORT};

typedef struct placed {
    uint8_t room[4096];
    wlm_packet packet;
    wlmi_headers h;
    wlmi_mended mended;
} placed;

static wlmi_place place_for(const char *net, uint64_t index, uint16_t port)
{
    wlmi_address_plan plan;
    wlmi_place place;
    wlm_error error;
    assert_ok(wlmi_address_plan_make(&plan, net, 7, &error), &error);
    wlmi_place_make(&place, &plan, index, port);
    return place;
}

static void put(placed *p, wlmi_place *place, const test_packet *packet, uint32_t link, uint32_t wire)
{
    wlm_packet in = test_view(packet, link, 5);
    memset(p, 0, sizeof *p);
    if (wire)
        in.wire = wire;
    wlmi_place_packet(place, &in, p->room, &p->packet, &p->mended);
    wlmi_decode(&p->packet, &p->h);
}

static void assert_whole(const placed *p)
{
    assert_int_equal(p->packet.link_type, WLMI_LINK_ETHERNET);
    assert_int_equal(p->packet.captured, p->packet.wire);
    assert_int_equal(p->room[0] & 3, 2); /* locally administered, for one station */
    assert_int_equal(p->room[6] & 3, 2);
    assert_int_equal(p->h.network_end, p->packet.captured);
    if (p->h.ip_version == 4)
        assert_int_equal(wlmi_check_network(p->room, &p->h), WLMI_SUM_RIGHT);
    assert_int_equal(wlmi_check_transport(p->room, &p->h), WLMI_SUM_RIGHT);
}

static void both_directions_of_one_conversation(void **state)
{
    const test_packet sent[4] = {
        test_tcp(client, server, WLMI_TCP_SYN, "", 0), test_tcp(server, client, WLMI_TCP_SYN | WLMI_TCP_ACK, "", 0),
        test_tcp(client6, server6, WLMI_TCP_SYN, "", 0), test_udp(server6, client6, "answer", 6)};
    (void)state;
    for (int i = 0; i < 4; i++) {
        wlmi_place place = place_for(NULL, 3, 443);
        int back = i % 2, six = i / 2;
        placed p;
        put(&p, &place, &sent[i], WLMI_LINK_RAW, 0);
        assert_whole(&p);
        assert_int_equal(p.mended.lengths, 0);
        assert_int_equal(p.mended.checksums, 0);
        assert_int_equal(p.packet.time_ns, 5);
        assert_int_equal(back ? p.h.src_port : p.h.dst_port, 443);
        assert_int_equal(back ? p.h.dst_port : p.h.src_port, place.client_port);
        assert_memory_equal(p.room + (back ? p.h.dst_addr : p.h.src_addr), six ? place.client6 : place.client4,
                            six ? 16 : 4);
        assert_memory_equal(p.room + (back ? p.h.src_addr : p.h.dst_addr), six ? place.server6 : place.server4,
                            six ? 16 : 4);
        assert_memory_equal(p.room, back ? place.client_mac : place.server_mac, 6);
    }
}

static void who_opened_without_stand_ins(void **state)
{
    /* A model that nothing is hidden from gives packets with addresses and link layers of its own. */
    const test_end a = {"10.1.2.3", 1234}, b = {"10.9.9.9", 80};
    test_packet first = test_tcp(a, b, WLMI_TCP_SYN, "", 0), second = test_tcp(b, a, WLMI_TCP_ACK, "x", 1);
    wlmi_place place = place_for(NULL, 0, 8080);
    placed p;
    (void)state;
    first = test_ethernet(&first);
    second = test_ethernet(&second);
    put(&p, &place, &first, WLMI_LINK_ETHERNET, 0);
    assert_whole(&p);
    assert_int_equal(p.h.dst_port, 8080);
    put(&p, &place, &second, WLMI_LINK_ETHERNET, 0);
    assert_whole(&p);
    assert_int_equal(p.h.src_port, 8080);
    assert_memory_equal(p.room + p.h.src_addr, place.server4, 4);
}

static void wrong_lengths_and_checksums_are_mended(void **state)
{
    wlmi_place place = place_for(NULL, 0, 53);
    test_packet udp = test_udp(client, server, "question", 8), tcp = test_tcp(client, server, WLMI_TCP_ACK, "abc", 3);
    placed p;
    (void)state;
    udp.data[3] = 200; /* total length */
    udp.data[25] = 3;  /* UDP length */
    put(&p, &place, &udp, WLMI_LINK_RAW, 0);
    assert_whole(&p);
    assert_int_equal(p.mended.lengths, 1);
    assert_int_equal(wlmi_load_be16(p.room + p.h.transport + 4), 16);
    tcp.data[10] ^= 1;
    tcp.data[37] ^= 1;
    put(&p, &place, &tcp, WLMI_LINK_RAW, 0);
    assert_whole(&p);
    assert_int_equal(p.mended.lengths, 0);
    assert_int_equal(p.mended.checksums, 2);
}

static void a_cut_packet_keeps_its_length_on_the_wire(void **state)
{
    wlmi_place place = place_for(NULL, 0, 80);
    test_packet tcp = test_tcp(client, server, WLMI_TCP_ACK, "0123456789", 10);
    placed p;
    (void)state;
    wlmi_store_be16(tcp.data + 2, 1500);
    put(&p, &place, &tcp, WLMI_LINK_RAW, 1400);
    assert_int_equal(p.packet.captured, 50 + 14);
    assert_int_equal(p.packet.wire, 1400 + 14);
    assert_int_equal(wlmi_load_be16(p.room + 14 + 2), 1400); /* the two disagreed */
    assert_int_equal(p.mended.lengths, 1);
    assert_int_equal(wlmi_check_network(p.room, &p.h), WLMI_SUM_RIGHT);
}

static void what_is_not_ip_is_carried_as_it_is(void **state)
{
    wlmi_place place = place_for(NULL, 0, 0);
    test_packet odd = {.data = {0x95, 1, 2, 3}, .size = 4}, stub = {.data = {0x45, 0, 0}, .size = 3};
    placed p;
    wlm_packet view = test_view(&odd, WLMI_LINK_RAW, 0);
    (void)state;
    assert_false(wlmi_is_ip_packet(&view));
    put(&p, &place, &odd, WLMI_LINK_RAW, 0);
    assert_int_equal(wlmi_load_be16(p.room + 12), 0x88b5);
    assert_memory_equal(p.room + 14, odd.data, 4);
    put(&p, &place, &stub, WLMI_LINK_RAW, 0);
    assert_int_equal(wlmi_load_be16(p.room + 12), 0x88b5);
}

static void any_bytes_become_a_sound_frame(void **state)
{
    static const uint32_t links[] = {WLMI_LINK_RAW, WLMI_LINK_ETHERNET, WLMI_LINK_NULL, WLMI_LINK_SLL, WLMI_LINK_IPV6};
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 11);
    for (int round = 0; round < 20000; round++) {
        wlmi_place place = place_for(NULL, (uint64_t)round, 0);
        test_packet in = test_tcp(client, server, (int)wlmi_rng_below(&rng, 64), "payload", 7);
        placed p;
        if (wlmi_rng_below(&rng, 2))
            in = test_udp(client6, server6, "payload", 7);
        for (int i = 0; i < 6; i++)
            in.data[wlmi_rng_below(&rng, in.size)] = (uint8_t)wlmi_rng_next(&rng);
        in.size = (uint32_t)wlmi_rng_below(&rng, in.size + 1);
        put(&p, &place, &in, links[wlmi_rng_below(&rng, 5)], 0);
        assert_true(p.packet.captured <= in.size + 14);
        assert_int_equal(p.packet.captured, p.packet.wire);
        if (wlmi_load_be16(p.room + 12) == 0x88b5)
            continue;
        assert_int_equal(p.h.network, 14);
        assert_int_equal(p.h.network_end, p.packet.captured);
        assert_true(wlmi_check_network(p.room, &p.h) != WLMI_SUM_WRONG);
        assert_true(wlmi_check_transport(p.room, &p.h) != WLMI_SUM_WRONG);
        assert_true(!p.h.addr_len || !memcmp(p.room + p.h.src_addr, place.client4, 4) ||
                    !memcmp(p.room + p.h.src_addr, place.server4, 4) || p.h.addr_len == 16);
    }
}

static int inside(const uint8_t *address, const char *base, int bits)
{
    uint8_t want[16];
    inet_pton(strchr(base, ':') ? AF_INET6 : AF_INET, base, want);
    for (int bit = 0; bit < bits; bit++)
        if ((address[bit / 8] ^ want[bit / 8]) >> (7 - bit % 8) & 1)
            return 0;
    return 1;
}

static void addresses_come_from_the_ranges_and_differ(void **state)
{
    wlmi_address_plan plan, own, small;
    wlmi_place place;
    wlm_error error;
    static uint8_t seen[254][16384];
    (void)state;
    assert_ok(wlmi_address_plan_make(&plan, NULL, 1, &error), &error);
    assert_ok(wlmi_address_plan_make(&own, "10.20.0.0/15", 1, &error), &error);
    assert_ok(wlmi_address_plan_make(&small, "fd00::4/127", 1, &error), &error);
    for (uint64_t i = 0; i < 20000; i++) {
        wlmi_place_make(&place, &plan, i, 0);
        assert_true(inside(place.client4, "192.0.2.0", 24));
        assert_true(inside(place.server4, "198.51.100.0", 24) || inside(place.server4, "203.0.113.0", 24));
        assert_true(inside(place.client6, "2001:db8::", 32) && inside(place.server6, "2001:db8::", 32));
        assert_in_range(place.client4[3], 1, 254);
        assert_true(place.client_port >= 49152 && place.server_port >= 1024 && place.server_port < 49152);
        assert_int_equal(seen[place.client4[3] - 1][place.client_port - 49152]++, 0);
        wlmi_place_make(&place, &own, i, 22);
        assert_true(inside(place.client4, "10.20.0.0", 15) && inside(place.server4, "10.20.0.0", 15));
        assert_memory_not_equal(place.client4, place.server4, 4);
        assert_true(inside(place.client6, "2001:db8::", 32));
        assert_int_equal(place.server_port, 22);
        wlmi_place_make(&place, &small, i, 22);
        assert_true(inside(place.client6, "fd00::4", 127) && inside(place.server6, "fd00::4", 127));
        assert_memory_not_equal(place.client6, place.server6, 16);
    }
}

static void networks_that_are_none_are_refused(void **state)
{
    static const char *const wrong[] = {"", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "x/8", "10.0.0.0/ 8", "10.0.0.0/8x",
                                        "fd00::/129", "/8", "10.0.0.1/32", "fd00::1/128"};
    wlmi_address_plan plan;
    wlm_error error;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(wlmi_address_plan_make(&plan, wrong[i], 1, &error), WLM_ERR_ARGUMENT);
}

/* All but a few hosts are taken: flows live on those that are left, and their clients still differ. */
static void addresses_that_are_taken_are_left_alone(void **state)
{
    static const char *const nets[] = {NULL, "10.1.2.0/24", "fd00::/120"};
    (void)state;
    for (int n = 0; n < 3; n++) {
        wlmi_address_plan plan;
        wlmi_place place[300];
        wlm_error error;
        assert_ok(wlmi_address_plan_make(&plan, nets[n], 3, &error), &error);
        for (int host = 255; host >= 0; host--) {
            const uint8_t v4[5][4] = {{192, 0, 2, (uint8_t)host}, {198, 51, 100, (uint8_t)host}, {10, 1, 2, (uint8_t)host},
                                      {10, 1, 3, (uint8_t)host}, {203, 0, 113, (uint8_t)host}};
            const uint8_t v6[16] = {0xfd, [15] = (uint8_t)host};
            for (int i = 0; i < 5 && host % 50; i++)
                assert_ok(wlmi_address_plan_avoid(&plan, v4[i], 4, &error), &error);
            if (host % 50)
                assert_ok(wlmi_address_plan_avoid(&plan, v6, 16, &error), &error);
        }
        assert_ok(wlmi_address_plan_check(&plan, &error), &error);
        for (int i = 0; i < 300; i++) {
            wlmi_place_make(&place[i], &plan, (uint64_t)i, 80);
            assert_int_equal(place[i].client4[3] % 50, 0);
            assert_int_equal(place[i].server4[3] % 50, 0);
            assert_true(n != 2 || (place[i].client6[15] % 50 == 0 && place[i].server6[15] % 50 == 0));
            assert_true(memcmp(place[i].client4, place[i].server4, 4) != 0);
            for (int k = 0; k < i; k++)
                assert_true(place[i].client_port != place[k].client_port ||
                            memcmp(place[i].client4, place[k].client4, 4) != 0);
        }
        for (int host = 0; host < 256; host++) {
            const uint8_t v4[3][4] = {{192, 0, 2, (uint8_t)host}, {10, 1, 2, (uint8_t)host}};
            const uint8_t v6[16] = {0xfd, [15] = (uint8_t)host};
            assert_ok(wlmi_address_plan_avoid(&plan, v4[0], 4, &error), &error);
            assert_ok(wlmi_address_plan_avoid(&plan, v4[1], 4, &error), &error);
            assert_ok(wlmi_address_plan_avoid(&plan, v6, 16, &error), &error);
        }
        assert_int_equal(wlmi_address_plan_check(&plan, &error), WLM_ERR_ARGUMENT);
        wlmi_address_plan_free(&plan);
    }
}

/* A flow that began between two hosts stays between them. */
static void a_group_later_on_is_none(void **state)
{
    const test_end group = {"233.252.0.1", 53};
    const test_packet sent[2] = {test_udp(client, server, "a", 1), test_udp(client, group, "b", 1)};
    wlmi_place place = place_for(NULL, 3, 53);
    uint8_t first[4];
    (void)state;
    for (int i = 0; i < 2; i++) {
        placed p;
        put(&p, &place, &sent[i], WLMI_LINK_RAW, 0);
        assert_whole(&p);
        if (i == 0)
            memcpy(first, p.room + p.h.dst_addr, 4);
        assert_memory_equal(p.room + p.h.dst_addr, first, 4);
    }
}

static void groups_stay(void **state)
{
    const test_end group = {"233.252.0.1", 5353}, all = {"255.255.255.255", 67}, group6 = {"ff0e::db8:0:1", 5353};
    const test_packet sent[3] = {test_udp(client, group, "a", 1), test_udp(client, all, "b", 1),
                                 test_udp(client6, group6, "c", 1)};
    static const uint8_t mac[3][6] = {
        {0x01, 0, 0x5e, 0x7c, 0, 1}, {255, 255, 255, 255, 255, 255}, {0x33, 0x33, 0, 0, 0, 1}};
    (void)state;
    for (int i = 0; i < 3; i++) {
        wlmi_place place = place_for(NULL, 3, 5353);
        placed p;
        put(&p, &place, &sent[i], WLMI_LINK_RAW, 0);
        assert_memory_equal(p.room + p.h.dst_addr, sent[i].data + (i == 2 ? 24 : 16), p.h.addr_len);
        assert_memory_equal(p.room, mac[i], 6);
        assert_int_equal(p.h.dst_port, 5353);
        assert_int_equal(wlmi_check_transport(p.room, &p.h), WLMI_SUM_RIGHT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_directions_of_one_conversation),
        cmocka_unit_test(who_opened_without_stand_ins),
        cmocka_unit_test(wrong_lengths_and_checksums_are_mended),
        cmocka_unit_test(a_cut_packet_keeps_its_length_on_the_wire),
        cmocka_unit_test(what_is_not_ip_is_carried_as_it_is),
        cmocka_unit_test(any_bytes_become_a_sound_frame),
        cmocka_unit_test(addresses_come_from_the_ranges_and_differ),
        cmocka_unit_test(groups_stay),
        cmocka_unit_test(a_group_later_on_is_none),
        cmocka_unit_test(addresses_that_are_taken_are_left_alone),
        cmocka_unit_test(networks_that_are_none_are_refused),
    };
    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
