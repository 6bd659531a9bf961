/* test_timeline.c: packets come out in order of time, equal times in the order they went in. */
#include "support/support.h"

#include <string.h>

#include "base/rng.h"
#include "capture/packet_list.h"
#include "task/timeline.h"

static void packets_come_out_in_order(void **state)
{
    const wlm_writer_options options = {.format = WLM_FORMAT_PCAP, .link_type = 1, .nanosecond = 1};
    const char *path = test_path("ordered.pcap");
    wlmi_timeline timeline = {0};
    wlm_writer *writer;
    wlm_capture *capture;
    wlm_packet packet;
    wlm_error error;
    wlmi_rng rng;
    uint32_t last_tag = 0, tag, count = 0;
    int64_t start = 0, last = 0;
    (void)state;
    wlmi_rng_seed(&rng, 1);
    assert_ok(wlm_writer_open(&writer, path, &options, &error), &error);
    for (tag = 0; tag < 5000; tag++) { /* times from `start` on, which moves forward: what lies before it is written */
        uint8_t data[4];
        memcpy(data, &tag, 4);
        packet = (wlm_packet){.time_ns = start + (int64_t)wlmi_rng_below(&rng, 50), .captured = 4, .wire = 4,
                              .link_type = 1, .data = data};
        assert_ok(wlmi_timeline_add(&timeline, &packet, &error), &error);
        start += (int64_t)wlmi_rng_below(&rng, 3);
        assert_ok(wlmi_timeline_write(&timeline, start, writer, &error), &error);
    }
    assert_true(timeline.count > 0 && timeline.count < 200);
    assert_ok(wlmi_timeline_write(&timeline, INT64_MAX, writer, &error), &error);
    assert_int_equal(timeline.count, 0);
    wlmi_timeline_free(&timeline);
    assert_ok(wlm_writer_finish(writer, &error), &error);
    assert_ok(wlm_capture_open(&capture, path, &error), &error);
    for (; wlm_capture_next(capture, &packet, &error) == WLM_OK; count++) {
        memcpy(&tag, packet.data, 4);
        assert_true(packet.time_ns > last || (packet.time_ns == last && (count == 0 || tag > last_tag)));
        last = packet.time_ns;
        last_tag = tag;
    }
    wlm_capture_close(capture);
    assert_int_equal(count, 5000);
}

static void lists_keep_their_packets(void **state)
{
    wlmi_packet_list list = {0};
    uint8_t data[300];
    wlm_error error;
    (void)state;
    for (uint32_t i = 0; i < 300; i++) {
        wlm_packet packet = {.captured = i, .wire = i, .number = i, .data = data};
        memset(data, (int)i, sizeof data);
        assert_ok(wlmi_packet_list_add(&list, &packet, &error), &error);
    }
    wlmi_packet_list_cut(&list, 400);
    assert_int_equal(list.count, 300);
    wlmi_packet_list_cut(&list, 200);
    for (uint32_t i = 0; i < list.count; i++) {
        wlm_packet packet = wlmi_packet_list_at(&list, i);
        memset(data, (int)i, sizeof data);
        assert_int_equal(packet.number, i);
        assert_memory_equal(packet.data, data, packet.captured);
    }
    assert_int_equal(list.used, 199 * 200 / 2);
    wlmi_packet_list_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_come_out_in_order),
        cmocka_unit_test(lists_keep_their_packets),
    };
    return cmocka_run_group_tests_name("timeline", tests, NULL, NULL);
}
