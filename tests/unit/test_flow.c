/* test_flow.c: which packets are of one flow, how flows start and end, the bound on memory, Community ID. */
#include "support/packets.h"
#include "support/support.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "capture/flow.h"

enum { SYN = WLMI_TCP_SYN, ACK = WLMI_TCP_ACK, FIN = WLMI_TCP_FIN, RST = WLMI_TCP_RST };

static const test_end client = {"192.0.2.7", 40000}, server = {"198.51.100.9", 443};
static const int64_t SECOND = 1000000000;

typedef struct ended {
    uint64_t id[4096];
    wlm_flow_end end[4096];
    uint64_t packets[4096];
    size_t count;
} ended;

static void on_end(void *owner, wlmi_flow *flow)
{
    ended *e = owner;
    assert_true(e->count < 4096);
    e->id[e->count] = flow->id;
    e->packets[e->count] = flow->packets[0] + flow->packets[1];
    e->end[e->count++] = flow->end;
}

static wlmi_flow_table *table_with(wlmi_flow_options options, ended *e)
{
    wlmi_flow_table *table;
    wlm_error error;
    e->count = 0;
    assert_ok(wlmi_flow_table_new(&table, &options, on_end, e, &error), &error);
    return table;
}

static wlmi_flow *give_link(wlmi_flow_table *table, test_packet p, uint32_t link_type, int64_t time_ns, int *backward)
{
    wlm_packet view = test_view(&p, link_type, time_ns);
    wlmi_headers h;
    wlmi_flow *flow;
    wlm_error error;
    int ignored;
    wlmi_decode(&view, &h);
    assert_ok(wlmi_flow_of(table, &view, &h, &flow, backward ? backward : &ignored, &error), &error);
    return flow;
}

static wlmi_flow *give(wlmi_flow_table *table, test_packet p, int64_t time_ns, int *backward)
{
    return give_link(table, p, WLMI_LINK_RAW, time_ns, backward);
}

static test_packet up(int flags, uint32_t seq)
{
    return test_tcp_seq(client, server, flags, seq, 0, "", 0);
}

static test_packet down(int flags, uint32_t seq, uint32_t ack)
{
    return test_tcp_seq(server, client, flags, seq, ack, "", 0);
}

static void both_directions_are_one_flow(void **state)
{
    ended e;
    wlmi_flow_table *table = table_with((wlmi_flow_options){0}, &e);
    int backward;
    (void)state;
    wlmi_flow *flow = give(table, up(SYN, 100), 0, &backward);
    assert_int_equal(backward, 0);
    assert_int_equal(flow->start, WLM_START_SYN);
    assert_ptr_equal(give(table, down(SYN | ACK, 900, 101), 1, &backward), flow);
    assert_int_equal(backward, 1);
    assert_ptr_equal(give(table, up(ACK, 101), 2, &backward), flow);
    assert_int_equal(backward, 0);
    assert_int_equal(flow->packets[0], 2);
    assert_int_equal(flow->packets[1], 1);
    assert_int_equal(flow->bytes[1], 40);
    assert_int_equal(flow->key.src_port, 40000);
    assert_int_equal(flow->key.src[0], 192);
    assert_int_equal(wlmi_flow_table_size(table), 1);
    wlmi_flow_table_flush(table);
    assert_int_equal(e.count, 1);
    assert_int_equal(e.end[0], WLM_END_EOF);
    wlmi_flow_table_free(table);
}

static void the_opener_is_the_source(void **state)
{
    static const uint8_t echo[4] = {0, 9, 0, 1};
    ended e;
    wlmi_flow_table *table = table_with((wlmi_flow_options){0}, &e);
    int backward;
    (void)state;
    wlmi_flow *flow = give(table, down(SYN | ACK, 900, 101), 0, &backward);
    assert_int_equal(flow->start, WLM_START_SYNACK);
    assert_int_equal(backward, 1);
    assert_int_equal(flow->key.src_port, 40000);
    test_end other = {"203.0.113.5", 5555};
    flow = give(table, test_tcp(server, other, ACK, "x", 1), 0, &backward);
    assert_int_equal(flow->start, WLM_START_MID);
    assert_int_equal(flow->key.src_port, 443);
    flow = give(table, test_udp(server, other, "x", 1), 0, &backward);
    assert_int_equal(flow->start, WLM_START_FIRST);
    assert_int_equal(flow->key.src_port, 443);
    flow = give(table, test_icmp(server, client, 0, 0, echo, sizeof echo), 0, &backward);
    assert_int_equal(backward, 1);
    assert_int_equal(flow->key.src[0], 192);
    assert_ptr_equal(give(table, test_icmp(client, server, 8, 0, echo, sizeof echo), 0, &backward), flow);
    assert_int_equal(backward, 0);
    wlmi_flow_table_free(table);
}

static void interface_and_link_type_keep_flows_apart(void **state)
{
    ended e;
    wlmi_flow_table *table = table_with((wlmi_flow_options){0}, &e);
    test_packet p = up(SYN, 1);
    wlm_packet view = test_view(&p, WLMI_LINK_RAW, 0);
    wlmi_headers h;
    wlmi_flow *a, *b, *c;
    wlm_error error;
    int backward;
    (void)state;
    wlmi_decode(&view, &h);
    assert_ok(wlmi_flow_of(table, &view, &h, &a, &backward, &error), &error);
    view.interface = 1;
    assert_ok(wlmi_flow_of(table, &view, &h, &b, &backward, &error), &error);
    view.link_type = WLMI_LINK_IPV4;
    assert_ok(wlmi_flow_of(table, &view, &h, &c, &backward, &error), &error);
    assert_true(a != b && b != c && a != c);
    wlmi_flow_table_free(table);
}

static void tcp_closes_lingers_and_opens_again(void **state)
{
    ended e;
    wlmi_flow_table *table = table_with((wlmi_flow_options){0}, &e);
    (void)state;
    wlmi_flow *flow = give(table, up(SYN, 100), 0, NULL);
    give(table, down(SYN | ACK, 900, 101), 1, NULL);
    give(table, up(FIN | ACK, 101), 2, NULL);
    give(table, down(FIN | ACK, 901, 102), 3, NULL);
    assert_ptr_equal(give(table, up(ACK, 102), SECOND, NULL), flow); /* a trailing packet */
    uint64_t id = flow->id;
    flow = give(table, up(SYN, 5000), 2 * SECOND, NULL);
    assert_true(flow->id != id);
    assert_int_equal(e.count, 1);
    assert_int_equal(e.end[0], WLM_END_CLOSED);
    assert_int_equal(e.packets[0], 5);
    give(table, down(RST | ACK, 0, 5001), 3 * SECOND, NULL);
    test_end other = {"203.0.113.5", 5555};
    give(table, test_udp(client, other, "x", 1), 7 * SECOND, NULL);
    assert_int_equal(e.count, 1);
    give(table, test_udp(client, other, "x", 1), 9 * SECOND, NULL);
    assert_int_equal(e.count, 2);
    assert_int_equal(e.end[1], WLM_END_CLOSED);
    wlmi_flow_table_free(table);
}

static void a_syn_retransmitted_is_not_a_new_flow(void **state)
{
    ended e;
    wlmi_flow_table *table = table_with((wlmi_flow_options){0}, &e);
    (void)state;
    wlmi_flow *flow = give(table, up(SYN, 100), 0, NULL);
    uint64_t id = flow->id;
    assert_ptr_equal(give(table, up(SYN, 100), SECOND, NULL), flow);
    assert_ptr_equal(give(table, up(SYN, 777), 2 * SECOND, NULL), flow); /* nothing was said yet */
    give(table, down(SYN | ACK, 900, 778), 2 * SECOND, NULL);
    give(table, up(ACK, 778), 2 * SECOND, NULL);
    assert_ptr_equal(give(table, up(SYN, 777), 3 * SECOND, NULL), flow);
    assert_ptr_equal(give(table, down(SYN | ACK, 900, 778), 3 * SECOND, NULL), flow);
    assert_int_equal(e.count, 0);
    flow = give(table, up(SYN, 778000), 4 * SECOND, NULL);
    assert_true(flow->id != id);
    assert_int_equal(flow->start, WLM_START_SYN);
    assert_int_equal(e.count, 1);
    wlmi_flow_table_free(table);
}

static void reordered_handshake_and_fast_open_stay_whole(void **state)
{
    ended e;
    wlmi_flow_table *table = table_with((wlmi_flow_options){0}, &e);
    (void)state;
    wlmi_flow *flow = give(table, down(SYN | ACK, 900, 101), 0, NULL);
    give(table, up(ACK, 101), 1, NULL);
    assert_ptr_equal(give(table, up(SYN, 100), 2, NULL), flow); /* recorded late */
    test_end other = {"192.0.2.8", 40001};
    flow = give(table, test_tcp_seq(other, server, SYN, 100, 0, "early", 5), 3, NULL);
    assert_ptr_equal(give(table, test_tcp_seq(server, other, SYN | ACK, 7, 106, "", 0), 4, NULL), flow);
    give(table, test_tcp_seq(other, server, ACK, 106, 8, "", 0), 5, NULL);
    assert_ptr_equal(give(table, test_tcp_seq(server, other, SYN | ACK, 7, 106, "", 0), 6, NULL), flow);
    assert_int_equal(e.count, 0);
    wlmi_flow_table_free(table);
}

static void idle_and_active_timeouts(void **state)
{
    ended e;
    wlmi_flow_table *table = table_with((wlmi_flow_options){.idle_ns = 10 * SECOND, .active_ns = 25 * SECOND}, &e);
    test_packet there = test_udp(client, server, "x", 1), back = test_udp(server, client, "x", 1);
    int backward;
    (void)state;
    uint64_t id = give(table, there, 0, NULL)->id;
    assert_int_equal(give(table, there, 10 * SECOND, NULL)->id, id);
    assert_int_equal(give(table, there, 20 * SECOND, NULL)->id, id);
    assert_int_equal(give(table, back, 26 * SECOND, &backward)->id, id + 1); /* lived too long */
    assert_int_equal(backward, 1);                                           /* but its opener stays */
    assert_int_equal(give(table, there, 37 * SECOND, NULL)->id, id + 2);     /* was silent too long */
    assert_int_equal(e.count, 2);
    assert_int_equal(e.end[0], WLM_END_TIMEOUT);
    assert_int_equal(e.end[1], WLM_END_TIMEOUT);
    wlmi_flow_table_free(table);
}

static void time_may_run_backwards(void **state)
{
    ended e;
    wlmi_flow_table *table = table_with((wlmi_flow_options){0}, &e);
    test_end other = {"203.0.113.5", 5555};
    test_packet a = test_udp(client, server, "x", 1), b = test_udp(client, other, "x", 1);
    (void)state;
    uint64_t id = give(table, a, 100 * SECOND, NULL)->id;
    wlmi_flow *flow = give(table, a, 90 * SECOND, NULL);
    assert_int_equal(flow->id, id);
    assert_int_equal(flow->last_ns, 100 * SECOND);
    give(table, b, INT64_MAX, NULL); /* one absurd clock must not keep later flows alive for ever */
    assert_int_equal(e.count, 1);
    give(table, a, 101 * SECOND, NULL);
    assert_int_equal(e.count, 2);
    give(table, b, 500 * SECOND, NULL);
    assert_int_equal(e.count, 3);
    give(table, a, INT64_MIN, NULL);
    wlmi_flow_table_flush(table);
    assert_int_equal(e.count, 5);
    wlmi_flow_table_free(table);
}

static void flush_tells_how_flows_ended(void **state)
{
    static const wlm_flow_end wanted[] = {WLM_END_TIMEOUT, WLM_END_CLOSED, WLM_END_EOF, WLM_END_EOF};
    ended e;
    wlmi_flow_table *table = table_with((wlmi_flow_options){.idle_ns = 10 * SECOND}, &e);
    test_end other = {"203.0.113.5", 5555}, third = {"203.0.113.6", 5556};
    (void)state;
    give(table, test_udp(client, third, "x", 1), 4 * SECOND, NULL); /* silent for more than 5 s at the end */
    give(table, up(SYN, 100), 9 * SECOND, NULL);
    give(table, down(RST, 0, 0), 9 * SECOND, NULL);
    give(table, test_udp(client, other, "x", 1), 10 * SECOND, NULL);
    give(table, test_tcp(client, other, SYN, "", 0), 4 * SECOND, NULL); /* as silent, but a connection */
    wlmi_flow_table_flush(table);
    assert_int_equal(e.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(e.id[i], i + 1);
        assert_int_equal(e.end[i], wanted[i]);
    }
    wlmi_flow_table_free(table);
}

static void a_full_table_evicts_the_least_recently_used(void **state)
{
    ended e;
    wlmi_flow_table *table = table_with((wlmi_flow_options){.max_flows = 3, .user_size = 24}, &e);
    (void)state;
    for (uint16_t i = 0; i < 3; i++) {
        wlmi_flow *flow = give(table, test_udp((test_end){"192.0.2.7", (uint16_t)(1000 + i)}, server, "x", 1), i, NULL);
        for (int j = 0; j < 24; j++)
            assert_int_equal(((uint8_t *)flow->user)[j], 0);
        memset(flow->user, 0xff, 24);
    }
    give(table, test_udp((test_end){"192.0.2.7", 1000}, server, "x", 1), 3, NULL);
    wlmi_flow *flow = give(table, test_udp((test_end){"192.0.2.7", 1003}, server, "x", 1), 4, NULL);
    assert_int_equal(((uint8_t *)flow->user)[7], 0);
    assert_int_equal(e.count, 1);
    assert_int_equal(e.id[0], 2);
    assert_int_equal(e.end[0], WLM_END_EVICTED);
    assert_int_equal(wlmi_flow_table_evictions(table), 1);
    assert_int_equal(wlmi_flow_table_size(table), 3);
    wlmi_flow_let_go(table, flow, WLM_END_BUDGET);
    assert_int_equal(e.end[1], WLM_END_BUDGET);
    assert_int_equal(wlmi_flow_table_size(table), 2);
    wlmi_flow_table_free(table);
}

static void fragments_follow_their_first(void **state)
{
    ended e;
    wlmi_flow_table *table = table_with((wlmi_flow_options){0}, &e);
    test_packet first = test_udp(client, server, "0123456789abcdef", 16), later = first;
    (void)state;
    first.data[6] = 0x20;
    later.data[7] = 3;
    wlmi_flow *flow = give(table, first, 0, NULL);
    assert_ptr_equal(give(table, later, 1, NULL), flow);
    later.data[5] ^= 1; /* of another datagram */
    wlmi_flow *other = give(table, later, 2, NULL);
    assert_ptr_not_equal(other, flow);
    assert_int_equal(other->key.src_port, 0);
    wlmi_flow_table_free(table);
}

static void what_is_not_ip_groups_by_link_endpoints(void **state)
{
    ended e;
    wlmi_flow_table *table = table_with((wlmi_flow_options){0}, &e);
    test_packet p = {{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, 60}, q = p;
    int backward;
    (void)state;
    memcpy(q.data, p.data + 6, 6);
    memcpy(q.data + 6, p.data, 6);
    wlmi_flow *flow = give_link(table, p, WLMI_LINK_ETHERNET, 0, &backward);
    assert_int_equal(flow->key.addr_len, 6);
    assert_int_equal(flow->key.proto, 0);
    assert_int_equal(flow->key.src[5], 2);
    assert_ptr_equal(give_link(table, q, WLMI_LINK_ETHERNET, 1, &backward), flow);
    assert_int_equal(backward, 1);
    flow = give_link(table, p, 195, 2, &backward);
    assert_int_equal(flow->key.addr_len, 0);
    assert_ptr_equal(give_link(table, q, 195, 3, &backward), flow);
    wlmi_flow_table_free(table);
}

/* Against the plainest table there is: a search through all flows. */
static void many_flows_against_a_linear_search(void **state)
{
    static uint16_t port[3000], peer[3000];
    static uint64_t id[3000];
    static ended e;
    wlmi_flow_table *table = table_with((wlmi_flow_options){0}, &e);
    size_t count = 0;
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 5);
    for (int i = 0; i < 6000; i++) {
        uint16_t a = (uint16_t)(1 + wlmi_rng_below(&rng, 60)), b = (uint16_t)(100 + wlmi_rng_below(&rng, 40));
        int turned = (int)wlmi_rng_below(&rng, 2), backward;
        test_end x = {"192.0.2.7", a}, y = {"198.51.100.9", b};
        wlmi_flow *flow = give(table, turned ? test_udp(y, x, "", 0) : test_udp(x, y, "", 0), i, &backward);
        size_t j = 0;
        while (j < count && (port[j] != a || peer[j] != b))
            j++;
        if (j == count) {
            port[j] = a;
            peer[j] = b;
            id[count++] = flow->id;
            assert_int_equal(backward, 0);
        }
        assert_int_equal(flow->id, id[j]);
        assert_int_equal(wlmi_flow_table_size(table), count);
    }
    wlmi_flow_table_flush(table);
    assert_int_equal(e.count, count);
    for (size_t j = 0; j < count; j++)
        assert_int_equal(e.id[j], j + 1);
    wlmi_flow_table_free(table);
}

static void a_failed_allocation_is_a_status(void **state)
{
    ended e = {.count = 0};
    (void)state;
    for (uint64_t k = 1;; k++) {
        wlmi_flow_table *table = NULL;
        wlm_error error;
        wlm_status status;
        wlmi_alloc_fail_at(k);
        status = wlmi_flow_table_new(&table, NULL, on_end, &e, &error);
        for (uint16_t i = 0; status == WLM_OK && i < 1100; i++) { /* enough to add slabs and grow the buckets */
            test_packet p = test_udp((test_end){"192.0.2.7", i}, server, "", 0);
            wlm_packet view = test_view(&p, WLMI_LINK_RAW, 0);
            wlmi_headers h;
            wlmi_flow *flow;
            int backward;
            wlmi_decode(&view, &h);
            status = wlmi_flow_of(table, &view, &h, &flow, &backward, &error);
        }
        wlmi_alloc_fail_at(0);
        wlmi_flow_table_free(table);
        if (status == WLM_OK) { /* table, buckets and five slabs; without more buckets it goes on */
            assert_int_equal(k, 8);
            break;
        }
        assert_int_equal(status, WLM_ERR_MEMORY);
        assert_true(k < 20);
    }
}

/* Vectors of the community-id-spec project; the ICMPv6 one is what tshark 4.0 prints. */
static void community_ids(void **state)
{
    static const struct {
        const char *id;
        test_end src, dst;
        uint8_t proto;
    } known[] = {
        {"1:LQU9qZlK+B5F3KDmev6m5PMibrg=", {"128.232.110.120", 34855}, {"66.35.250.204", 80}, 6},
        {"1:d/FP5EW3wiY1vCndhwleRRKHowQ=", {"192.168.1.52", 54585}, {"8.8.8.8", 53}, 17},
        {"1:X0snYXpgwiv9TZtqg64sgzUn6Dk=", {"192.168.0.89", 7}, {"192.168.0.1", 7}, 1}, /* echo: type 8 code 0 */
        {"1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=",
         {"3ffe:507:0:1:200:86ff:fe05:80da", 7}, {"3ffe:501:0:1001::2", 7}, 58}, /* echo: 128 */
        {"1:jQgCxbku+pNGw8WPbEc/TS/uTpQ=", {"192.168.170.8", 7}, {"192.168.170.56", 80}, 132},
    };
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        test_packet p = test_ip(known[i].src, known[i].dst, known[i].proto, "", 0);
        wlm_packet view = test_view(&p, WLMI_LINK_RAW, 0);
        wlmi_headers h;
        wlm_flow_key key = {.proto = known[i].proto, .src_port = known[i].src.port, .dst_port = known[i].dst.port};
        char text[40];
        wlmi_decode(&view, &h);
        key.addr_len = (uint8_t)h.addr_len;
        memcpy(key.src, p.data + h.src_addr, h.addr_len);
        memcpy(key.dst, p.data + h.dst_addr, h.addr_len);
        wlmi_community_id(&key, text);
        assert_string_equal(text, known[i].id);
        if (known[i].proto == 1 || known[i].proto == 58) /* the echo's identifier does not matter, its opener does */
            continue;
        wlm_flow_key turned = key;
        memcpy(turned.src, key.dst, 16);
        memcpy(turned.dst, key.src, 16);
        turned.src_port = key.dst_port;
        turned.dst_port = key.src_port;
        wlmi_community_id(&turned, text);
        assert_string_equal(text, known[i].id);
    }
    wlm_flow_key none = {.addr_len = 6};
    char text[40] = "x";
    wlmi_community_id(&none, text);
    assert_string_equal(text, "");
}

static void address_text(void **state)
{
    static const uint8_t a[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
    char text[64];
    (void)state;
    wlmi_address_text(a, 16, text);
    assert_string_equal(text, "2001:db8::1");
    wlmi_address_text(a, 4, text);
    assert_string_equal(text, "32.1.13.184");
    wlmi_address_text(a, 6, text);
    assert_string_equal(text, "20:01:0d:b8:00:00");
    wlmi_address_text(a, 8, text);
    assert_string_equal(text, "20:01:0d:b8:00:00:00:00");
    wlmi_address_text(a, 0, text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_directions_are_one_flow),
        cmocka_unit_test(the_opener_is_the_source),
        cmocka_unit_test(interface_and_link_type_keep_flows_apart),
        cmocka_unit_test(tcp_closes_lingers_and_opens_again),
        cmocka_unit_test(a_syn_retransmitted_is_not_a_new_flow),
        cmocka_unit_test(reordered_handshake_and_fast_open_stay_whole),
        cmocka_unit_test(idle_and_active_timeouts),
        cmocka_unit_test(time_may_run_backwards),
        cmocka_unit_test(flush_tells_how_flows_ended),
        cmocka_unit_test(a_full_table_evicts_the_least_recently_used),
        cmocka_unit_test(fragments_follow_their_first),
        cmocka_unit_test(what_is_not_ip_groups_by_link_endpoints),
        cmocka_unit_test(many_flows_against_a_linear_search),
        cmocka_unit_test(a_failed_allocation_is_a_status),
        cmocka_unit_test(community_ids),
        cmocka_unit_test(address_text),
    };
    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
