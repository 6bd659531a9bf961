/* test_hide_implicit.c: under policy implicit, where a host's counters stood does not show, and how they move does. */
#include "support/packets.h"
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "capture/hide.h"

enum { SYN = WLMI_TCP_SYN, ACK = WLMI_TCP_ACK, RST = WLMI_TCP_RST, IP = 20, TCP = IP + 20 };

typedef struct host { /* what a recording has by accident */
    test_end end;
    uint32_t sequence, time;
    uint16_t id;
} host;

typedef struct step { /* of a conversation, in numbers from 0 */
    int from, flags;
    uint32_t sequence, acknowledged, time, echo;
    uint16_t id;
    uint32_t sack; /* 0: none; else its left edge, 10 before the right one */
} step;

#define NONE UINT32_MAX

/* The second host answers the SYN without an IP ID, as Linux does; a segment is sent again; time goes back once; one
 * reset echoes no time though it acknowledges. */
static const step talk[] = {
    {0, SYN, 0, 0, 0, NONE, 0, 0},          {1, SYN | ACK, 0, 1, 0, 0, 0, 0},
    {0, ACK, 1, 1, 40, 0, 1, 0},            {0, ACK, 1, 1, 41, 0, 2, 0},
    {1, ACK, 1, 101, 30, 41, 7, 0},         {1, ACK, 301, 101, 31, 41, 9, 0},
    {0, ACK, 101, 1, 75, 30, 4, 301},       {1, ACK, 1, 101, 99, 75, 11, 0},
    {0, ACK, 101, 401, 160, 99, 3, 0},      {0, ACK, 100, 401, 150, 99, 300, 0},
    {1, RST | ACK, 401, 101, 180, NONE, 12, 0},
    {1, RST, 401, 0, 200, NONE, 13, 0},
};
enum { STEPS = sizeof talk / sizeof *talk };

static const host usual[2] = {{{"10.11.12.13", 40123}, 5000, 70000, 10}, {{"172.16.99.88", 443}, 900000, 1234567, 600}};
static const host wrapping[2] = {{{"10.99.0.77", 51000}, UINT32_MAX - 50, UINT32_MAX - 60, 65531},
                                 {{"203.0.113.9", 8443}, UINT32_MAX - 200, UINT32_MAX - 32, 65530}};

static test_packet packet_of(const host hosts[2], int at)
{
    const step *s = &talk[at];
    const host *own = &hosts[s->from], *other = &hosts[!s->from];
    int syn_ack = s->flags == (SYN | ACK);
    uint8_t options[24 + 6] = {1, 1, 8, 10};
    wlmi_store_be32(options + 4, own->time + s->time);
    if (s->echo != NONE)
        wlmi_store_be32(options + 8, other->time + s->echo);
    memcpy(options + 12, s->sack ? "\1\1\5\12" : "\1\1\1\1", 4);
    memset(options + 16, 1, 8);
    if (s->sack) {
        wlmi_store_be32(options + 16, other->sequence + s->sack);
        wlmi_store_be32(options + 20, other->sequence + s->sack + 10);
    }
    memcpy(options + 24, "hello!", 6);
    test_packet p = test_tcp_seq(own->end, other->end, s->flags, own->sequence + s->sequence,
                                 s->flags & ACK ? other->sequence + s->acknowledged : 0, options, sizeof options);
    p.data[IP + 12] = 11 << 4;
    p.data[6] = 0x40; /* must not be fragmented */
    wlmi_store_be16(p.data + 4, syn_ack ? 0 : (uint16_t)(own->id + s->id));
    wlm_packet view = test_view(&p, WLMI_LINK_RAW, 0);
    wlmi_headers h;
    wlmi_decode(&view, &h);
    wlmi_mend_checksums(p.data, &h);
    return p;
}

static wlm_flow_key key_between(test_end from, test_end to, uint8_t proto)
{
    test_packet p = test_ip(from, to, proto, "", 0);
    wlm_flow_key key = {.proto = proto, .src_port = from.port, .dst_port = to.port, .link_type = WLMI_LINK_RAW};
    key.addr_len = p.data[0] >> 4 == 4 ? 4 : 16;
    memcpy(key.src, p.data + (key.addr_len == 4 ? 12 : 8), key.addr_len);
    memcpy(key.dst, p.data + (key.addr_len == 4 ? 16 : 24), key.addr_len);
    return key;
}

static wlmi_hider *hider_of(test_end from, test_end to, uint8_t proto)
{
    wlm_flow_key key = key_between(from, to, proto);
    wlmi_hider *hider;
    wlm_error error;
    assert_ok(wlmi_hider_new(&hider, WLM_HIDE_IMPLICIT, WLM_PAYLOAD_FULL, &error), &error);
    wlmi_hider_start(hider, &key, 42, 0);
    return hider;
}

/* Hides the first `captured` bytes, from memory that ends there. */
static test_packet hide_cut(wlmi_hider *hider, const test_packet *in, uint32_t captured)
{
    wlm_packet view = test_view(in, WLMI_LINK_RAW, 0), out;
    wlm_error error;
    test_packet p;
    uint8_t *copy = malloc(captured);
    assert_non_null(copy);
    memcpy(copy, in->data, captured);
    view.data = copy;
    view.captured = captured;
    assert_ok(wlmi_hide_packet(hider, &view, &out, &error), &error);
    assert_int_equal(out.captured, captured);
    assert_int_equal(out.wire, in->size);
    p.size = captured;
    memcpy(p.data, out.data, captured);
    free(copy);
    return p;
}

static test_packet hide(wlmi_hider *hider, const test_packet *in)
{
    return hide_cut(hider, in, in->size);
}

static void hide_talk(const host hosts[2], int from, test_packet out[STEPS])
{
    wlmi_hider *hider = hider_of(hosts[0].end, hosts[1].end, WLMI_PROTO_TCP);
    for (int i = from; i < STEPS; i++) {
        test_packet p = packet_of(hosts, i);
        out[i] = hide(hider, &p);
    }
    wlmi_hider_free(hider);
}

static void assert_right(const uint8_t *data, uint32_t size, wlmi_checksum transport)
{
    wlm_packet view = {.captured = size, .wire = size, .link_type = WLMI_LINK_RAW, .data = data};
    wlmi_headers h;
    wlmi_decode(&view, &h);
    assert_int_equal(wlmi_check_network(data, &h), h.ip_version == 4 ? WLMI_SUM_RIGHT : WLMI_SUM_NONE);
    assert_int_equal(wlmi_check_transport(data, &h), transport);
}

static void where_counters_stood_does_not_show(void **state)
{
    test_packet a[STEPS], b[STEPS];
    (void)state;
    hide_talk(usual, 0, a);
    hide_talk(wrapping, 0, b);
    for (int i = 0; i < STEPS; i++) {
        assert_int_equal(a[i].size, b[i].size);
        assert_memory_equal(a[i].data, b[i].data, a[i].size);
        assert_right(a[i].data, a[i].size, WLMI_SUM_RIGHT);
    }
}

static void how_counters_move_does(void **state)
{
    test_packet out[STEPS];
    (void)state;
    hide_talk(wrapping, 0, out);
    for (int i = 0; i < STEPS; i++) {
        const step *s = &talk[i];
        const uint8_t *p = out[i].data;
        int first_id = s->from == 0 ? 0 : 7;
        assert_int_equal(wlmi_load_be16(p + 4), s->flags == (SYN | ACK) ? 0 : s->id - first_id + 1);
        assert_int_equal(wlmi_load_be32(p + IP + 4), s->sequence);
        assert_int_equal(wlmi_load_be32(p + IP + 8), s->acknowledged);
        assert_int_equal(wlmi_load_be32(p + TCP + 4), s->time + 1);
        assert_int_equal(wlmi_load_be32(p + TCP + 8), s->echo == NONE ? 0 : s->echo + 1);
        if (s->sack) {
            assert_int_equal(wlmi_load_be32(p + TCP + 16), s->sack);
            assert_int_equal(wlmi_load_be32(p + TCP + 20), s->sack + 10);
        }
        assert_int_equal(p[IP + 13], s->flags);
        assert_memory_equal(p + out[i].size - 6, "hello!", 6);
    }
}

static void wrong_checksums_become_right(void **state)
{
    test_packet right[STEPS];
    wlmi_hider *hider = hider_of(usual[0].end, usual[1].end, WLMI_PROTO_TCP);
    (void)state;
    hide_talk(usual, 0, right);
    for (int i = 0; i < STEPS; i++) {
        test_packet p = packet_of(usual, i);
        if (i % 2) {
            memset(p.data + 10, 0, 2); /* left to the network card */
            memset(p.data + IP + 16, 0, 2);
        } else {
            p.data[10] ^= 0x5a;
            p.data[IP + 17] ^= 0xa5;
        }
        test_packet out = hide(hider, &p);
        assert_memory_equal(out.data, right[i].data, out.size);
    }
    wlmi_hider_free(hider);
}

static void hiding_the_hidden_changes_nothing(void **state)
{
    const test_end client = {"192.0.2.1", WLMI_HIDDEN_CLIENT_PORT}, server = {"198.51.100.1", WLMI_HIDDEN_SERVER_PORT};
    test_packet once[STEPS];
    (void)state;
    for (int from = 0; from < STEPS; from++) {
        wlmi_hider *hider = hider_of(client, server, WLMI_PROTO_TCP);
        hide_talk(wrapping, from, once);
        for (int i = from; i < STEPS; i++) {
            test_packet twice = hide(hider, &once[i]);
            assert_memory_equal(twice.data, once[i].data, twice.size);
        }
        wlmi_hider_free(hider);
    }
}

/* The first packet of a flow whose beginning was missed sets both sides' counters, and they stay in step. */
static void a_flow_may_begin_in_its_middle(void **state)
{
    test_packet a[STEPS], b[STEPS];
    (void)state;
    for (int from = 2; from + 2 < STEPS; from++) { /* whose first packet echoes a time */
        const step *first = &talk[from];
        hide_talk(usual, from, a);
        hide_talk(wrapping, from, b);
        assert_int_equal(wlmi_load_be32(a[from].data + IP + 4), 0);
        assert_int_equal(wlmi_load_be32(a[from].data + IP + 8), 0);
        assert_int_equal(wlmi_load_be32(a[from].data + TCP + 4), 1);
        assert_int_equal(wlmi_load_be32(a[from].data + TCP + 8), 1);
        for (int i = from; i < STEPS; i++) {
            const step *s = &talk[i];
            uint32_t base = s->from == first->from ? first->sequence : first->acknowledged;
            uint32_t time = s->from == first->from ? first->time : first->echo;
            assert_memory_equal(a[i].data, b[i].data, a[i].size);
            assert_int_equal(wlmi_load_be32(a[i].data + IP + 4), s->sequence - base);
            assert_int_equal(wlmi_load_be32(a[i].data + TCP + 4), s->time - time + 1);
        }
    }
}

static void a_new_flow_forgets_the_last_and_nothing_is_allocated(void **state)
{
    wlmi_hider *hider = hider_of(usual[0].end, usual[1].end, WLMI_PROTO_TCP);
    test_packet right[STEPS];
    (void)state;
    hide_talk(usual, 0, right);
    for (int round = 0; round < 3; round++) {
        const host *hosts = round == 1 ? wrapping : usual;
        wlm_flow_key key = key_between(hosts[0].end, hosts[1].end, WLMI_PROTO_TCP);
        wlmi_hider_start(hider, &key, 42, 0);
        for (int i = 0; i < STEPS; i++) {
            test_packet p = packet_of(hosts, i), out = hide(hider, &p);
            assert_memory_equal(out.data, right[i].data, out.size);
            wlmi_alloc_fail_at(1);
        }
    }
    wlmi_alloc_fail_at(0);
    wlmi_hider_free(hider);
}

/* Wherever the capture cuts, no counter is left behind, and past the headers the checksum is that of the whole. */
static void cut_packets(void **state)
{
    test_packet whole[STEPS];
    (void)state;
    hide_talk(usual, 0, whole);
    for (uint32_t captured = IP + 4; captured < whole[0].size; captured++) {
        wlmi_hider *a = hider_of(usual[0].end, usual[1].end, WLMI_PROTO_TCP);
        wlmi_hider *b = hider_of(wrapping[0].end, wrapping[1].end, WLMI_PROTO_TCP);
        for (int i = 0; i < STEPS; i++) {
            test_packet pa = packet_of(usual, i), pb = packet_of(wrapping, i);
            pa = hide_cut(a, &pa, captured);
            pb = hide_cut(b, &pb, captured);
            if (captured < TCP + 24) { /* moved as far as bytes were there */
                memset(pa.data + IP + 16, 0, 2);
                memset(pb.data + IP + 16, 0, 2);
            } else {
                assert_memory_equal(pa.data, whole[i].data, captured);
            }
            assert_memory_equal(pa.data, pb.data, captured);
        }
        wlmi_hider_free(a);
        wlmi_hider_free(b);
    }
}

static void malformed_options_stay(void **state)
{
    static const struct { const char *bytes; uint32_t kept; } options[] = {
        {"\x08\x0a" "ABCDEFGH\5\1", 10}, {"\x08\x0a" "ABCDEFGH\5\0", 10}, {"\x08\x0a" "ABCDEFGH\1\5", 10},
        {"\x08\x0a" "ABCDEFGH\5\3", 10}, {"\x08\x40" "ABCDEFGH\1\1", 0},  {"\x08\x09" "ABCDEFGHIJ", 0},
        {"\5\x0e" "ABCDEFGH\1\1", 0},    {"\0\x08\x0a" "ABCDEFGHI", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        test_packet p = test_tcp(usual[0].end, usual[1].end, ACK, options[i].bytes, 12);
        wlmi_hider *hider = hider_of(usual[0].end, usual[1].end, WLMI_PROTO_TCP);
        p.data[IP + 12] = 8 << 4;
        test_packet out = hide(hider, &p);
        assert_memory_equal(out.data + TCP + options[i].kept, p.data + TCP + options[i].kept, 12 - options[i].kept);
        if (options[i].kept)
            assert_memory_equal(out.data + TCP, "\x08\x0a\0\0\0\1\0\0\0\1", 10);
        assert_right(out.data, out.size, WLMI_SUM_RIGHT);
        wlmi_hider_free(hider);
    }
}

static void udp_without_a_checksum_stays_without(void **state)
{
    test_packet p = test_udp(usual[0].end, usual[1].end, "datagram", 8);
    wlmi_hider *hider = hider_of(usual[0].end, usual[1].end, WLMI_PROTO_UDP);
    (void)state;
    test_packet out = hide(hider, &p);
    assert_right(out.data, out.size, WLMI_SUM_RIGHT);
    assert_int_equal(wlmi_load_be16(out.data + 4), 1);
    memset(p.data + IP + 6, 0, 2);
    out = hide(hider, &p);
    assert_right(out.data, out.size, WLMI_SUM_ZERO);
    wlmi_hider_free(hider);
}

static void an_ip_id_of_0_is_none_where_nothing_may_be_fragmented(void **state)
{
    static const struct { uint16_t flags, id, hidden; } seen[] = {
        {0x4000, 0, 0}, {0x4000, 65535, 1}, {0x4000, 0, 0}, {0, 0, 2}, {0x4000, 1, 3}, {0x2000, 65534, 0},
        {0, 65533, 65535}};
    wlmi_hider *hider = hider_of(usual[0].end, usual[1].end, WLMI_PROTO_UDP);
    (void)state;
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
        test_packet p = test_udp(usual[0].end, usual[1].end, "datagram", 8);
        wlmi_store_be16(p.data + 4, seen[i].id);
        wlmi_store_be16(p.data + 6, seen[i].flags);
        test_packet out = hide(hider, &p);
        assert_int_equal(wlmi_load_be16(out.data + 4), seen[i].hidden);
    }
    wlmi_hider_free(hider);
}

static void ipv6_labels_and_fragments(void **state)
{
    const test_end from = {"2001:4860:1234::77", 40123}, to = {"2606:4700:5678::99", 443};
    static const uint32_t label[] = {0, 0xfffff, 0xfffff, 0, 1}, hidden_label[] = {0, 1, 1, 0, 3};
    wlmi_hider *hider = hider_of(from, to, WLMI_PROTO_UDP);
    (void)state;
    for (uint32_t i = 0; i < 5; i++) { /* the datagram's first part, behind a hop-by-hop and a fragment header */
        uint8_t extended[40] = {44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1};
        test_packet udp = test_udp(from, to, "0123456789abcdef", 16), p;
        wlmi_store_be32(extended + 12, UINT32_MAX - 1 + i);
        memcpy(extended + 16, udp.data + 40, 24);
        p = test_ip(from, to, 0, extended, sizeof extended);
        wlmi_store_be32(p.data, 0x6ab00000u | label[i]);
        test_packet out = hide(hider, &p);
        assert_int_equal(wlmi_load_be32(out.data), 0x6ab00000u | hidden_label[i]);
        assert_int_equal(wlmi_load_be32(out.data + 52), i);
        assert_memory_equal(out.data + 64, udp.data + 48, 16);
    }
    wlmi_hider_free(hider);
}

/* What an ICMP error quotes belongs to another flow: it counts as that flow's first packet. */
static void quoted_packets_begin_a_flow_of_their_own(void **state)
{
    const test_end router = {"10.99.98.97", 0}, target = {"10.11.12.13", 0};
    test_packet out[2];
    (void)state;
    for (int which = 0; which < 2; which++) {
        test_packet inner = packet_of(which ? wrapping : usual, 6);
        uint8_t rest[200] = {0};
        memcpy(inner.data + 12, "\x0a\x0b\x0c\x0d\xac\x10\x63\x58", 8); /* the same hosts both times */
        memcpy(rest + 4, inner.data, inner.size);
        memset(rest + 4 + 10, 0, 2);
        memset(rest + 4 + IP + 16, 0, 2);
        test_packet p = test_icmp(router, target, 11, 0, rest, 4 + inner.size);
        wlmi_hider *hider = hider_of(router, target, WLMI_PROTO_ICMP);
        for (int i = 0; i < 2; i++)
            out[which] = hide(hider, &p);
        wlmi_hider_free(hider);
        const uint8_t *quoted = out[which].data + IP + 8;
        assert_right(out[which].data, out[which].size, WLMI_SUM_RIGHT);
        assert_right(quoted, inner.size, WLMI_SUM_RIGHT);
        assert_int_equal(wlmi_load_be16(quoted + 4), 1);
        assert_memory_equal(quoted + IP + 4, "\0\0\0\0\0\0\0", 8);
    }
    assert_memory_equal(out[0].data, out[1].data, out[0].size);
}

static void the_policy_has_a_name(void **state)
{
    wlm_hide hide = WLM_HIDE_NONE;
    (void)state;
    assert_int_equal(wlm_hide_parse("implicit", &hide), WLM_OK);
    assert_int_equal(hide, WLM_HIDE_IMPLICIT);
    assert_string_equal(wlm_hide_name(hide), "implicit");
    assert_int_equal(wlm_hide_parse("implicitly", &hide), WLM_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_counters_stood_does_not_show),
        cmocka_unit_test(how_counters_move_does),
        cmocka_unit_test(wrong_checksums_become_right),
        cmocka_unit_test(hiding_the_hidden_changes_nothing),
        cmocka_unit_test(a_flow_may_begin_in_its_middle),
        cmocka_unit_test(a_new_flow_forgets_the_last_and_nothing_is_allocated),
        cmocka_unit_test(cut_packets),
        cmocka_unit_test(malformed_options_stay),
        cmocka_unit_test(udp_without_a_checksum_stays_without),
        cmocka_unit_test(an_ip_id_of_0_is_none_where_nothing_may_be_fragmented),
        cmocka_unit_test(ipv6_labels_and_fragments),
        cmocka_unit_test(quoted_packets_begin_a_flow_of_their_own),
        cmocka_unit_test(the_policy_has_a_name),
    };
    return cmocka_run_group_tests_name("hide_implicit", tests, NULL, NULL);
}
