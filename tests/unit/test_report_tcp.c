/* test_report_tcp.c: what the report says about the packets of a TCP flow. */
#include "support/packets.h"
#include "support/support.h"
#include "task/report_tcp.h"

enum { SYN = WLMI_TCP_SYN, ACK = WLMI_TCP_ACK, FIN = WLMI_TCP_FIN, RST = WLMI_TCP_RST };

static const test_end client = {"192.0.2.7", 50000}, server = {"198.51.100.7", 80};

/* What is wrong with the next packet: `size` bytes of payload from end 0 (client) or 1. */
static unsigned say(wlmi_tcp_flow *flow, int from, int flags, uint32_t seq, uint32_t ack, size_t size)
{
    static const uint8_t payload[2000];
    test_packet ip = test_tcp_seq(from ? server : client, from ? client : server, flags, seq, ack, payload, size);
    wlm_packet packet = test_view(&ip, WLMI_LINK_RAW, 0);
    wlmi_headers headers;
    wlmi_decode(&packet, &headers);
    return wlmi_tcp_follow(flow, from, &packet, &headers);
}

static wlmi_tcp_flow opened(void)
{
    wlmi_tcp_flow flow = {0};
    assert_int_equal(say(&flow, 0, SYN, 0xffffff00u, 0, 0), 0); /* numbers wrap soon */
    assert_int_equal(say(&flow, 1, SYN | ACK, 7000, 0xffffff01u, 0), 0);
    assert_int_equal(say(&flow, 0, ACK, 0xffffff01u, 7001, 0), 0);
    assert_int_equal(flow.opening, WLMI_TCP_OPEN);
    return flow;
}

static void a_correct_flow_has_no_fault(void **state)
{
    wlmi_tcp_flow flow = opened();
    (void)state;
    assert_int_equal(say(&flow, 0, ACK, 0xffffff01u, 7001, 400), 0); /* to 0x91 */
    assert_int_equal(say(&flow, 1, ACK, 7001, 0x91, 0), 0);
    assert_int_equal(say(&flow, 1, ACK, 7001, 0x91, 1000), 0);
    assert_int_equal(say(&flow, 0, ACK, 0x90, 8001, 0), 0); /* a keep-alive */
    assert_int_equal(say(&flow, 0, ACK | FIN, 0x91, 8001, 0), 0);
    assert_int_equal(say(&flow, 1, ACK | FIN, 8001, 0x92, 0), 0);
    assert_int_equal(say(&flow, 0, ACK, 0x92, 8002, 0), 0);
}

static void each_fault_has_its_name(void **state)
{
    wlmi_tcp_flow flow;
    (void)state;
    flow = opened();
    assert_int_equal(say(&flow, 0, ACK, 0xffffff02u, 7001, 5), WLMI_TCP_GAP);
    assert_int_equal(say(&flow, 0, ACK, 0xffffff07u, 7001, 5), 0); /* counted once */
    flow = opened();
    assert_int_equal(say(&flow, 0, ACK, 0xffffff01u, 7001, 5), 0);
    assert_int_equal(say(&flow, 0, ACK, 0xffffff01u, 7001, 5), WLMI_TCP_OVERLAP);
    flow = opened();
    assert_int_equal(say(&flow, 1, ACK, 7001, 0xffffff02u, 0), WLMI_TCP_ACK_UNSEEN);
    flow = opened();
    assert_int_equal(say(&flow, 0, ACK, 0xffffff01u, 7000, 0), WLMI_TCP_ACK_BACK);
    flow = opened();
    assert_int_equal(say(&flow, 0, 0, 0xffffff01u, 0, 4), WLMI_TCP_NO_ACK);
    flow = opened();
    assert_int_equal(say(&flow, 0, ACK | FIN, 0xffffff01u, 7001, 0), 0);
    assert_int_equal(say(&flow, 0, ACK, 0xffffff02u, 7001, 4), WLMI_TCP_AFTER_CLOSE);
}

static void openings_are_followed(void **state)
{
    wlmi_tcp_flow flow = {0};
    (void)state;
    say(&flow, 0, SYN, 100, 0, 0);
    assert_int_equal(say(&flow, 1, SYN | ACK, 900, 102, 0), WLMI_TCP_HANDSHAKE | WLMI_TCP_ACK_UNSEEN);
    flow = (wlmi_tcp_flow){0};
    say(&flow, 0, SYN, 100, 0, 0);
    assert_true(say(&flow, 0, SYN, 100, 0, 0) == WLMI_TCP_OVERLAP); /* sent again: no fault of the handshake */
    assert_true(say(&flow, 0, ACK, 101, 1, 5) & WLMI_TCP_HANDSHAKE);
    flow = opened();
    assert_true(say(&flow, 0, SYN, 5, 0, 0) & WLMI_TCP_HANDSHAKE);
    flow = (wlmi_tcp_flow){0};
    assert_int_equal(say(&flow, 1, ACK, 1234, 99, 50), 0);
    assert_int_equal(say(&flow, 0, ACK, 99, 1284, 0), 0);
    assert_int_equal(flow.opening, WLMI_TCP_MIDSTREAM);
    flow = (wlmi_tcp_flow){0};
    say(&flow, 0, SYN, 100, 0, 0);
    assert_int_equal(say(&flow, 1, RST | ACK, 0, 101, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_correct_flow_has_no_fault),
        cmocka_unit_test(each_fault_has_its_name),
        cmocka_unit_test(openings_are_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
