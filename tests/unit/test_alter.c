/* test_alter.c: each alteration changes what it says, and nothing else: checksums stay as right as they were, lengths
 * and times contradict nobody, and packets that it cannot work on pass as they are. */
#include "support/hostile.h"
#include "support/packets.h"
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/rng.h"
#include "capture/alter.h"
#include "capture/flow_key.h"

enum { SYN = WLMI_TCP_SYN, ACK = WLMI_TCP_ACK, PSH = WLMI_TCP_PSH, FIN = WLMI_TCP_FIN };
static const test_end client = {"10.11.12.13", 40123}, server = {"172.16.99.88", 443};
static const test_end client6 = {"2001:4860:1234::77", 40123}, server6 = {"2606:4700:5678::99", 443};

typedef struct flow {
    wlm_flow_key key;
    wlmi_packet_list in, out;
    wlmi_alterer *alterer;
} flow;

static void add(flow *f, const test_packet *ip, int64_t time_ns)
{
    test_packet p = test_ethernet(ip);
    wlm_packet view = test_view(&p, WLMI_LINK_ETHERNET, time_ns);
    wlm_error error;
    view.number = f->in.count + 1;
    if (!f->in.count) {
        wlmi_headers h;
        wlmi_decode(&view, &h);
        wlmi_flow_key_of(&view, &h, &f->key);
    }
    assert_ok(wlmi_packet_list_add(&f->in, &view, &error), &error);
}

static flow begin(void)
{
    flow f;
    wlm_error error;
    memset(&f, 0, sizeof f);
    assert_ok(wlmi_alterer_new(&f.alterer, &error), &error);
    return f;
}

static void end(flow *f)
{
    wlmi_alterer_free(f->alterer);
    wlmi_packet_list_free(&f->in);
    wlmi_packet_list_free(&f->out);
}

/* What a client and a server say: a handshake, then `segments` of the server's in bursts of four, each with a push at
 * its end and an acknowledgement behind it. */
static flow talk(test_end from, test_end to, int segments)
{
    flow f = begin();
    uint8_t payload[1000];
    int64_t t = INT64_C(1700000000000000000);
    test_packet p;
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 7);
    p = test_tcp_seq(from, to, SYN, 999, 0, "", 0);
    add(&f, &p, t);
    p = test_tcp_seq(to, from, SYN | ACK, 1999, 1000, "", 0);
    add(&f, &p, t += 1000);
    for (int i = 0; i < segments; i++) {
        int last = i % 4 == 3;
        p = test_tcp_seq(to, from, last ? ACK | PSH : ACK, 2000 + 1000 * (uint32_t)i, 1000, payload, sizeof payload);
        add(&f, &p, t += 1000);
        if (last) {
            p = test_tcp_seq(from, to, ACK, 1000, 3000 + 1000 * (uint32_t)i, "", 0);
            add(&f, &p, t += 50000);
        }
    }
    return f;
}

static wlm_flow_key alter(flow *f, wlmi_alteration kind, uint64_t seed)
{
    wlm_flow_key key = f->key;
    wlm_error error;
    assert_ok(wlmi_alter_flow(f->alterer, kind, seed, &key, &f->in, &f->out, &error), &error);
    return key;
}

static wlmi_headers headers_of(const wlm_packet *p)
{
    wlmi_headers h;
    wlmi_decode(p, &h);
    return h;
}

static int same_packet(const wlm_packet *a, const wlm_packet *b)
{
    return a->captured == b->captured && a->wire == b->wire && a->time_ns == b->time_ns && a->number == b->number &&
           a->link_type == b->link_type && !memcmp(a->data, b->data, a->captured);
}

static int same_list(const wlmi_packet_list *a, const wlmi_packet_list *b)
{
    for (size_t i = 0; i < a->count && a->count == b->count; i++) {
        wlm_packet p = wlmi_packet_list_at(a, i), q = wlmi_packet_list_at(b, i);
        if (!same_packet(&p, &q))
            return 0;
    }
    return a->count == b->count;
}

/* All checksums right, lengths those of the bytes, times not going back. */
static void check_sound(const wlmi_packet_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        wlm_packet p = wlmi_packet_list_at(list, i);
        wlmi_headers h = headers_of(&p);
        assert_int_equal(h.reason, WLMI_DECODED);
        assert_int_equal(h.network_wire_end, p.wire);
        if (h.ip_version == 4)
            assert_int_equal(wlmi_check_network(p.data, &h), WLMI_SUM_RIGHT);
        assert_int_equal(wlmi_check_transport(p.data, &h), WLMI_SUM_RIGHT);
        if (i)
            assert_true(p.time_ns >= list->packet[i - 1].time_ns);
    }
}

/* Whether every packet is one of the flow's, in its order. */
static int is_subset(const flow *f)
{
    size_t j = 0;
    for (size_t i = 0; i < f->out.count; i++, j++) {
        wlm_packet p = wlmi_packet_list_at(&f->out, i), q;
        do {
            if (j == f->in.count)
                return 0;
            q = wlmi_packet_list_at(&f->in, j);
        } while (!same_packet(&p, &q) && ++j);
    }
    return 1;
}

/* ---------------------------------------------------------------- each for itself */

static void every_name_finds_its_alteration(void **state)
{
    (void)state;
    size_t i = 0;
    for (; wlm_alteration_name(i); i++)
        assert_int_equal(wlmi_alter_find(wlm_alteration_name(i)), i);
    assert_int_equal(i, WLMI_ALTERATIONS);
    assert_int_equal(wlmi_alter_find("nat"), WLMI_ALTER_NAT);
    assert_int_equal(wlmi_alter_find("NAT"), -1);
    assert_int_equal(wlmi_alter_find(""), -1);
}

static void nat_makes_other_ends_of_a_sound_flow(void **state)
{
    (void)state;
    for (int v6 = 0; v6 < 2; v6++) {
        flow f = talk(v6 ? client6 : client, v6 ? server6 : server, 6);
        wlm_flow_key key = alter(&f, WLMI_ALTER_NAT, 5);
        assert_int_equal(f.out.count, f.in.count);
        check_sound(&f.out);
        assert_memory_not_equal(key.src, f.key.src, key.addr_len);
        assert_memory_not_equal(key.dst, f.key.dst, key.addr_len);
        assert_int_not_equal(key.src_port, f.key.src_port);
        assert_int_equal(key.dst_port, 443);
        for (size_t i = 0; i < f.out.count; i++) {
            wlm_packet was = wlmi_packet_list_at(&f.in, i), is = wlmi_packet_list_at(&f.out, i);
            wlmi_headers h = headers_of(&was), g = headers_of(&is);
            int back = wlmi_flow_key_is_backward(&f.key, was.data, &h);
            assert_int_equal(wlmi_flow_key_is_backward(&key, is.data, &g), back);
            assert_memory_equal(is.data + g.src_addr, back ? key.dst : key.src, g.addr_len);
            assert_int_equal(back ? g.dst_port : g.src_port, key.src_port);
            assert_in_range(is.data[g.network + (v6 ? 7 : 8)], 57 - 3, 57 - 1);
            assert_memory_equal(is.data + g.transport + 4, was.data + h.transport + 4, 12);
            assert_memory_equal(is.data + g.payload, was.data + h.payload, h.payload_len);
        }
        end(&f);
    }
}

static void nat_leaves_groups_and_links_alone_and_checksums_as_they_were(void **state)
{
    (void)state;
    static const test_end group = {"224.0.0.251", 5353}, self = {"169.254.7.7", 5353};
    flow f = begin();
    test_packet p = test_udp(self, group, "whatever", 8), wrong = p;
    wlm_flow_key key;
    wrong.data[26] ^= 0x55;
    add(&f, &p, 1);
    add(&f, &wrong, 2);
    key = alter(&f, WLMI_ALTER_NAT, 5);
    assert_memory_equal(key.src, f.key.src, 16);
    assert_memory_equal(key.dst, f.key.dst, 16);
    for (size_t i = 0; i < 2; i++) {
        wlm_packet is = wlmi_packet_list_at(&f.out, i);
        wlmi_headers h = headers_of(&is);
        assert_int_equal(wlmi_check_transport(is.data, &h), i ? WLMI_SUM_WRONG : WLMI_SUM_RIGHT);
        assert_int_equal(h.src_port, key.src_port);
    }
    end(&f);
}

/* A host that does not count has another counter behind the translator; none stays none. */
static void nat_counts_identifications_anew(void **state)
{
    (void)state;
    flow f = begin();
    for (int i = 0; i < 4; i++) {
        test_packet p = test_udp(client, server, "ab", 2);
        uint16_t id = (uint16_t)(i == 2 ? 0 : 7000 + 1111 * i);
        if (i == 2)
            p.data[6] = 0x40;
        p.data[4] = (uint8_t)(id >> 8);
        p.data[5] = (uint8_t)id;
        add(&f, &p, i);
    }
    alter(&f, WLMI_ALTER_NAT, 8);
    uint16_t id[4];
    for (size_t i = 0; i < 4; i++)
        id[i] = wlmi_load_be16(wlmi_packet_list_at(&f.out, i).data + 14 + 4);
    assert_int_equal((uint16_t)(id[1] - id[0]), 1);
    assert_int_equal(id[2], 0);
    assert_int_equal((uint16_t)(id[3] - id[1]), 1);
    end(&f);
}

static void oneway_keeps_one_direction(void **state)
{
    (void)state;
    flow f = talk(client, server, 8);
    size_t seen[2] = {0, 0};
    for (uint64_t seed = 0; seed < 20; seed++) {
        alter(&f, WLMI_ALTER_ONEWAY, seed);
        assert_true(f.out.count > 0 && f.out.count < f.in.count && is_subset(&f));
        wlm_packet first = wlmi_packet_list_at(&f.out, 0);
        wlmi_headers h = headers_of(&first);
        int back = wlmi_flow_key_is_backward(&f.key, first.data, &h);
        seen[back] = f.out.count;
        for (size_t i = 0; i < f.out.count; i++) {
            wlm_packet p = wlmi_packet_list_at(&f.out, i);
            wlmi_headers g = headers_of(&p);
            assert_int_equal(wlmi_flow_key_is_backward(&f.key, p.data, &g), back);
        }
    }
    assert_int_equal(seen[0] + seen[1], f.in.count); /* both were drawn */
    end(&f);
}

static void midstream_takes_one_to_eight_from_the_front(void **state)
{
    (void)state;
    flow f = talk(client, server, 20);
    int drawn[9] = {0};
    for (uint64_t seed = 0; seed < 200; seed++) {
        alter(&f, WLMI_ALTER_MIDSTREAM, seed);
        size_t gone = f.in.count - f.out.count;
        wlm_packet last = wlmi_packet_list_at(&f.out, f.out.count - 1);
        assert_in_range(gone, 1, 8);
        drawn[gone]++;
        assert_int_equal(last.number, f.in.count);
        assert_int_equal(f.out.packet[0].number, gone + 1);
        assert_true(is_subset(&f));
    }
    for (int k = 1; k <= 8; k++)
        assert_true(drawn[k] > 0);
    end(&f);
}

static void one_packet_stays_whatever_happens(void **state)
{
    (void)state;
    flow f = begin();
    test_packet p = test_udp(client, server, "ab", 2);
    add(&f, &p, 7);
    for (int kind = 0; kind < WLMI_ALTERATIONS; kind++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            alter(&f, (wlmi_alteration)kind, seed);
            assert_int_equal(f.out.count, 1);
            assert_int_equal(f.out.packet[0].time_ns, 7);
        }
    end(&f);
}

static void snap_cuts_what_was_captured_and_not_what_was_sent(void **state)
{
    (void)state;
    static const wlmi_alteration kind[] = {WLMI_ALTER_SNAP96, WLMI_ALTER_SNAP128};
    flow f = talk(client, server, 4);
    for (int k = 0; k < 2; k++) {
        alter(&f, kind[k], 1);
        assert_int_equal(f.out.count, f.in.count);
        for (size_t i = 0; i < f.out.count; i++) {
            wlm_packet was = wlmi_packet_list_at(&f.in, i), is = wlmi_packet_list_at(&f.out, i);
            uint32_t length = k ? 128 : 96;
            assert_int_equal(is.captured, was.captured < length ? was.captured : length);
            assert_int_equal(is.wire, was.wire);
            assert_memory_equal(is.data, was.data, is.captured);
        }
    }
    end(&f);
}

static void sampling_and_loss_keep_their_shares(void **state)
{
    (void)state;
    flow f = talk(client, server, 400);
    double kept[2] = {0, 0};
    for (uint64_t seed = 0; seed < 40; seed++)
        for (int k = 0; k < 2; k++) {
            alter(&f, k ? WLMI_ALTER_LOSS1 : WLMI_ALTER_SAMPLE10, seed);
            assert_true(is_subset(&f));
            kept[k] += (double)f.out.count / (double)f.in.count / 40;
        }
    assert_true(kept[0] > 0.09 && kept[0] < 0.11);
    assert_true(kept[1] > 0.985 && kept[1] < 0.995);
    end(&f);
}

static void reorder_swaps_neighbours_and_leaves_times_in_place(void **state)
{
    (void)state;
    flow f = talk(client, server, 100);
    size_t swaps = 0;
    alter(&f, WLMI_ALTER_REORDER, 3);
    assert_int_equal(f.out.count, f.in.count);
    check_sound(&f.out);
    for (size_t i = 0; i < f.out.count; i++) {
        uint64_t from = f.out.packet[i].number - 1;
        assert_int_equal(f.out.packet[i].time_ns, f.in.packet[i].time_ns);
        assert_true(from == i || from == i + 1 || from + 1 == i);
        if (from == i + 1) {
            assert_int_equal(f.out.packet[i + 1].number, i + 1);
            swaps++;
        }
    }
    assert_in_range(swaps, 3, 25);
    end(&f);
}

static void jitter_changes_gaps_and_nothing_else(void **state)
{
    (void)state;
    flow f = talk(client, server, 100);
    size_t longer = 0;
    alter(&f, WLMI_ALTER_JITTER, 3);
    assert_int_equal(f.out.count, f.in.count);
    check_sound(&f.out);
    assert_int_equal(f.out.packet[0].time_ns, f.in.packet[0].time_ns);
    for (size_t i = 1; i < f.out.count; i++) {
        wlm_packet was = wlmi_packet_list_at(&f.in, i), is = wlmi_packet_list_at(&f.out, i);
        double before = (double)(was.time_ns - f.in.packet[i - 1].time_ns);
        double factor = (double)(is.time_ns - f.out.packet[i - 1].time_ns) / before;
        assert_true(factor > 0.05 && factor < 20);
        longer += factor > 1;
        assert_memory_equal(is.data, was.data, was.captured);
    }
    assert_in_range(longer, f.in.count / 4, 3 * f.in.count / 4);
    end(&f);
}

static void jitter_survives_times_at_their_limits(void **state)
{
    (void)state;
    static const int64_t time[] = {INT64_MIN, -5, INT64_MAX - 1, INT64_MIN, 0, INT64_MAX};
    flow f = begin();
    test_packet p = test_udp(client, server, "ab", 2);
    for (size_t i = 0; i < sizeof time / sizeof *time; i++)
        add(&f, &p, time[i]);
    for (uint64_t seed = 0; seed < 50; seed++) {
        alter(&f, WLMI_ALTER_JITTER, seed);
        for (size_t i = 1; i < f.out.count; i++)
            assert_true(f.out.packet[i].time_ns >= f.out.packet[i - 1].time_ns);
    }
    end(&f);
}

/* ---------------------------------------------------------------- names */

static int out_holds(const flow *f, const char *text)
{
    return memmem(f->out.bytes, f->out.used, text, strlen(text)) != NULL;
}

static void noname_replaces_whole_names_and_no_address(void **state)
{
    (void)state;
    static const char request[] = "GET / HTTP/1.1\r\nHost: shop.wirelm.example\r\nX-From: 10.11.12.13\r\n\r\n";
    static const uint8_t query[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\4shop\6wirelm\7example\0\0\1\0\1";
    static const test_end dns = {"172.16.99.88", 53};
    flow f = begin(), g = begin();
    test_packet p = test_tcp(client, server, ACK | PSH, request, sizeof request - 1);
    add(&f, &p, 1);
    add(&f, &p, 2);
    alter(&f, WLMI_ALTER_NONAME, 6);
    assert_int_equal(f.out.count, 2);
    assert_false(out_holds(&f, "shop") || out_holds(&f, "wirelm") || out_holds(&f, "example"));
    assert_true(out_holds(&f, "Host: ") && out_holds(&f, "X-From: 10.11.12.13\r\n"));
    check_sound(&f.out);
    assert_memory_equal(wlmi_packet_list_at(&f.out, 0).data, wlmi_packet_list_at(&f.out, 1).data, 54 + sizeof request - 1);
    p = test_udp(client, dns, query, sizeof query - 1);
    add(&g, &p, 1);
    alter(&g, WLMI_ALTER_NONAME, 6);
    assert_false(out_holds(&g, "shop") || out_holds(&g, "wirelm") || out_holds(&g, "example"));
    check_sound(&g.out);
    end(&f);
    end(&g);
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
    flow f = begin();
    test_packet p = test_tcp(client, server, ACK | PSH, hello, size);
    add(&f, &p, 1);
    add(&f, &p, 2);
    alter(&f, WLMI_ALTER_NONAME, 6);
    check_sound(&f.out);
    assert_false(out_holds(&f, "shop") || out_holds(&f, "wirelm") || out_holds(&f, "example"));
    assert_memory_equal(wlmi_packet_list_at(&f.out, 0).data + 54, hello, size - 19);
    alter(&f, WLMI_ALTER_RANDOMISE, 6);
    check_sound(&f.out);
    const uint8_t *is = wlmi_packet_list_at(&f.out, 0).data + 54;
    assert_memory_equal(is, hello, 11);
    assert_memory_not_equal(is + 11, hello + 11, 8);
    assert_memory_equal(is + 43, hello + 43, size - 43);
    assert_memory_equal(is, wlmi_packet_list_at(&f.out, 1).data + 54, size); /* sent again, it is the same again */
    end(&f);
}

static void randomise_moves_starts_and_keeps_moves(void **state)
{
    (void)state;
    flow f = talk(client, server, 8);
    wlm_flow_key key = alter(&f, WLMI_ALTER_RANDOMISE, 4);
    uint32_t moved[2] = {0, 0};
    int seen[2] = {0, 0};
    check_sound(&f.out);
    assert_int_not_equal(key.src_port, f.key.src_port);
    for (size_t i = 0; i < f.out.count; i++) {
        wlm_packet was = wlmi_packet_list_at(&f.in, i), is = wlmi_packet_list_at(&f.out, i);
        wlmi_headers h = headers_of(&was), g = headers_of(&is);
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
    end(&f);
}

/* ---------------------------------------------------------------- offload */

/* All payload of the server's, in the order of the packets. */
static size_t said(const wlmi_packet_list *list, uint8_t *text, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < list->count; i++) {
        wlm_packet p = wlmi_packet_list_at(list, i);
        wlmi_headers h = headers_of(&p);
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
        flow f = talk(v6 ? client6 : client, v6 ? server6 : server, 16);
        alter(&f, WLMI_ALTER_OFFLOAD, 1);
        assert_int_equal(f.out.count, 2 + 4 + 4); /* handshake, bursts, acknowledgements */
        check_sound(&f.out);
        wlm_packet burst = wlmi_packet_list_at(&f.out, 2);
        wlmi_headers h = headers_of(&burst);
        assert_int_equal(h.payload_len, 4000);
        assert_int_equal(h.tcp_flags, ACK | PSH);
        assert_int_equal(burst.number, 3);
        assert_int_equal(burst.time_ns, f.in.packet[5].time_ns);
        size_t n = said(&f.in, before, sizeof before);
        assert_int_equal(said(&f.out, after, sizeof after), n);
        assert_memory_equal(after, before, n);
        end(&f);
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
        flow f = begin();
        test_packet p = test_tcp_seq(client, server, ACK, 1000, 5, payload, cases[i].first);
        add(&f, &p, 1);
        p = test_tcp_seq(client, server, cases[i].flags, cases[i].seq, cases[i].ack, payload, cases[i].second);
        add(&f, &p, 2);
        alter(&f, WLMI_ALTER_OFFLOAD, 1);
        assert_int_equal(f.out.count, cases[i].packets);
        if (f.out.count == 2)
            assert_true(same_list(&f.in, &f.out));
        else
            check_sound(&f.out);
        end(&f);
    }
}

static void offload_ends_at_what_ip_can_carry(void **state)
{
    (void)state;
    static const uint8_t payload[1400];
    flow f = begin();
    for (uint32_t i = 0; i < 100; i++) {
        test_packet p = test_tcp_seq(client, server, ACK, 1400 * i, 5, payload, sizeof payload);
        add(&f, &p, (int64_t)i);
    }
    alter(&f, WLMI_ALTER_OFFLOAD, 1);
    check_sound(&f.out);
    assert_int_equal(f.out.count, 3);
    for (size_t i = 0; i < f.out.count; i++)
        assert_true(f.out.packet[i].wire <= 14 + 65535);
    end(&f);
}

static void offload_keeps_wrong_checksums_wrong(void **state)
{
    (void)state;
    flow f = begin();
    for (uint32_t i = 0; i < 2; i++) {
        test_packet p = test_tcp_seq(client, server, ACK, 4 * i, 5, "abcd", 4);
        p.data[36] = p.data[37] = 0; /* left to the network card */
        add(&f, &p, (int64_t)i);
    }
    alter(&f, WLMI_ALTER_OFFLOAD, 1);
    assert_int_equal(f.out.count, 1);
    wlm_packet p = wlmi_packet_list_at(&f.out, 0);
    wlmi_headers h = headers_of(&p);
    assert_int_equal(wlmi_check_network(p.data, &h), WLMI_SUM_RIGHT);
    assert_int_equal(wlmi_check_transport(p.data, &h), WLMI_SUM_WRONG);
    end(&f);
}

/* ---------------------------------------------------------------- all of them */

static void the_seed_decides(void **state)
{
    (void)state;
    flow f = talk(client, server, 40), g = talk(client, server, 40);
    for (int kind = 0; kind < WLMI_ALTERATIONS; kind++) {
        wlm_flow_key a = alter(&f, (wlmi_alteration)kind, 11), b = alter(&g, (wlmi_alteration)kind, 11);
        assert_memory_equal(&a, &b, sizeof a);
        assert_true(same_list(&f.out, &g.out));
    }
    alter(&f, WLMI_ALTER_NAT, 1);
    alter(&g, WLMI_ALTER_NAT, 2);
    assert_false(same_list(&f.out, &g.out));
    end(&f);
    end(&g);
}

static void packets_of_all_kinds_pass(void **state)
{
    (void)state;
    static hostile_packets s;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        hostile_make(&s, seed, 1 + (int)(seed % 3));
        if (!s.count)
            continue;
        flow f = begin();
        wlm_error error;
        for (size_t i = 0; i < s.count; i++)
            assert_ok(wlmi_packet_list_add(&f.in, &s.packet[i], &error), &error);
        wlmi_headers h = headers_of(&s.packet[seed % s.count]);
        wlmi_flow_key_of(&s.packet[seed % s.count], &h, &f.key);
        for (int kind = 0; kind < WLMI_ALTERATIONS; kind++) {
            alter(&f, (wlmi_alteration)kind, seed);
            assert_in_range(f.out.count, 1, s.count);
            for (size_t i = 0; i < f.out.count; i++) {
                wlm_packet p = wlmi_packet_list_at(&f.out, i);
                wlmi_headers after = headers_of(&p);
                assert_true(after.network_end <= p.captured || after.network == WLMI_ABSENT);
            }
        }
        end(&f);
    }
}

static void no_packets_give_none(void **state)
{
    (void)state;
    flow f = begin();
    for (int kind = 0; kind < WLMI_ALTERATIONS; kind++) {
        alter(&f, (wlmi_alteration)kind, 1);
        assert_int_equal(f.out.count, 0);
    }
    end(&f);
}

static void failed_allocations_leak_nothing(void **state)
{
    (void)state;
    for (int kind = 0; kind < WLMI_ALTERATIONS; kind++) {
        flow f = talk(client, server, 8);
        wlm_status status = WLM_ERR_MEMORY;
        for (uint64_t k = 1; status == WLM_ERR_MEMORY; k++) {
            wlm_flow_key key = f.key;
            wlmi_alterer *alterer;
            wlm_error error;
            wlmi_packet_list_free(&f.out);
            assert_true(k < 100);
            wlmi_alloc_fail_at(k);
            status = wlmi_alterer_new(&alterer, &error);
            if (status == WLM_OK)
                status = wlmi_alter_flow(alterer, (wlmi_alteration)kind, 1, &key, &f.in, &f.out, &error);
            wlmi_alloc_fail_at(0);
            wlmi_alterer_free(alterer);
            if (status != WLM_OK)
                assert_memory_equal(&key, &f.key, sizeof key);
        }
        assert_int_equal(status, WLM_OK);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_finds_its_alteration),
        cmocka_unit_test(nat_makes_other_ends_of_a_sound_flow),
        cmocka_unit_test(nat_leaves_groups_and_links_alone_and_checksums_as_they_were),
        cmocka_unit_test(nat_counts_identifications_anew),
        cmocka_unit_test(oneway_keeps_one_direction),
        cmocka_unit_test(midstream_takes_one_to_eight_from_the_front),
        cmocka_unit_test(one_packet_stays_whatever_happens),
        cmocka_unit_test(snap_cuts_what_was_captured_and_not_what_was_sent),
        cmocka_unit_test(sampling_and_loss_keep_their_shares),
        cmocka_unit_test(reorder_swaps_neighbours_and_leaves_times_in_place),
        cmocka_unit_test(jitter_changes_gaps_and_nothing_else),
        cmocka_unit_test(jitter_survives_times_at_their_limits),
        cmocka_unit_test(noname_replaces_whole_names_and_no_address),
        cmocka_unit_test(noname_and_randomise_rewrite_a_hello_each_its_part),
        cmocka_unit_test(randomise_moves_starts_and_keeps_moves),
        cmocka_unit_test(offload_merges_what_continues),
        cmocka_unit_test(offload_stops_where_a_receiver_would),
        cmocka_unit_test(offload_ends_at_what_ip_can_carry),
        cmocka_unit_test(offload_keeps_wrong_checksums_wrong),
        cmocka_unit_test(the_seed_decides),
        cmocka_unit_test(packets_of_all_kinds_pass),
        cmocka_unit_test(no_packets_give_none),
        cmocka_unit_test(failed_allocations_leak_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
