/* test_bench_flows.c: flows to measure with: whole, sound, and as many as asked for. */
#include "support/fixture.h"
#include "support/support.h"

#include <string.h>

#include "capture/flow.h"
#include "task/bench_flows.h"

enum { PACKETS = 16, COPIES = 200 };

/* So many flows, interleaved, are as many flows of as many packets to the flow table, with right checksums. */
static void copies_are_flows_of_their_own(void **state)
{
    wlmi_bench_flows flows = {0};
    wlmi_flow_table *table;
    wlm_error error;
    (void)state;
    assert_ok(wlmi_bench_flows_draw(&flows, 3, PACKETS, &error), &error);
    assert_ok(wlmi_flow_table_new(&table, NULL, NULL, NULL, &error), &error);
    for (uint32_t j = 0; j < PACKETS; j++)
        for (uint64_t i = 0; i < COPIES; i++) {
            wlm_packet packet;
            wlmi_headers headers;
            wlmi_flow *flow;
            int backward;
            assert_ok(wlmi_bench_flows_packet(&flows, i, j, &packet, &error), &error);
            wlmi_decode(&packet, &headers);
            assert_int_equal(headers.proto, WLMI_PROTO_TCP);
            assert_int_equal(wlmi_check_network(packet.data, &headers), WLMI_SUM_RIGHT);
            assert_int_equal(wlmi_check_transport(packet.data, &headers), WLMI_SUM_RIGHT);
            assert_ok(wlmi_flow_of(table, &packet, &headers, &flow, &backward, &error), &error);
            assert_int_equal(flow->id, i + 1);
            assert_int_equal(flow->packets[0] + flow->packets[1], j + 1);
            assert_int_equal(backward, j == 1 ? 1 : backward);
        }
    wlmi_flow_table_free(table);
    wlmi_bench_flows_free(&flows);
}

static void the_same_seed_draws_the_same(void **state)
{
    wlmi_bench_flows a = {0}, b = {0}, other = {0};
    wlm_error error;
    (void)state;
    assert_ok(wlmi_bench_flows_draw(&a, 3, PACKETS, &error), &error);
    assert_ok(wlmi_bench_flows_draw(&b, 3, PACKETS, &error), &error);
    assert_ok(wlmi_bench_flows_draw(&other, 4, PACKETS, &error), &error);
    assert_int_equal(a.list.used, b.list.used);
    assert_memory_equal(a.list.bytes, b.list.bytes, a.list.used);
    assert_true(a.list.used != other.list.used || memcmp(a.list.bytes, other.list.bytes, a.list.used) != 0);
    wlmi_bench_flows_free(&a);
    wlmi_bench_flows_free(&b);
    wlmi_bench_flows_free(&other);
}

static void flows_of_a_capture(void **state)
{
    wlmi_bench_flows flows = {0};
    const char *path = test_path("flows.pcap");
    wlm_error error;
    (void)state;
    test_capture_file(path, WLM_FORMAT_PCAP);
    assert_ok(wlmi_bench_flows_read(&flows, path, 2, &error), &error);
    assert_true(flows.count > 0 && flows.list.count == 2 * flows.count);
    wlmi_bench_flows_free(&flows);
    assert_int_equal(wlmi_bench_flows_read(&flows, path, 5000, &error), WLM_ERR_FORMAT);
    wlmi_bench_flows_free(&flows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_are_flows_of_their_own),
        cmocka_unit_test(the_same_seed_draws_the_same),
        cmocka_unit_test(flows_of_a_capture),
    };
    return cmocka_run_group_tests_name("bench_flows", tests, NULL, NULL);
}
