/* test_generate.c: what a model makes up is a sound capture, whatever the model knows; the same seed gives the same
 * file; no walk leaves the grammar. */
#include "support/fixture.h"
#include "support/support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "capture/address.h"
#include "task/flow_lanes.h"
#include "task/handle.h"
#include "task/likeness.h"
#include "task/query.h"

static wlm_model *load(const test_model_options *options)
{
    wlm_model *model;
    wlm_error error;
    test_model_file(test_path("model.safetensors"), options);
    assert_ok(wlm_model_load(&model, test_path("model.safetensors"), 1, &error), &error);
    return model;
}

static wlm_model *plain_model(void)
{
    const test_model_options options = {.hide = WLM_HIDE_IDS, .payload = WLM_PAYLOAD_FULL};
    return load(&options);
}

static wlm_generate_options asked(const char *out, uint64_t flows)
{
    wlm_generate_options options = wlm_generate_options_default();
    options.task = "app";
    options.label = "ssh";
    options.out = out;
    options.flows = flows;
    options.max_tokens = 60;
    return options;
}

/* Reads a capture to its end; gives the number of packets. */
static uint64_t assert_sound(const char *path, int64_t start_ns)
{
    wlm_capture *capture;
    wlm_packet packet;
    wlm_error error;
    uint64_t count = 0;
    int64_t last = start_ns;
    wlm_status status;
    assert_ok(wlm_capture_open(&capture, path, &error), &error);
    while ((status = wlm_capture_next(capture, &packet, &error)) == WLM_OK) {
        wlmi_headers h;
        wlmi_decode(&packet, &h);
        assert_int_equal(packet.link_type, WLMI_LINK_ETHERNET);
        assert_true(count || packet.time_ns == start_ns);
        assert_true(packet.time_ns >= last);
        assert_true(packet.captured > WLMI_ETHERNET_HEADER && packet.wire >= packet.captured);
        assert_true((packet.data[0] & 3) == 2 || packet.data[0] & 1); /* to a host of ours, or to a group */
        last = packet.time_ns;
        count++;
        if (wlmi_load_be16(packet.data + 12) == 0x88b5)
            continue;
        assert_int_equal(h.network, WLMI_ETHERNET_HEADER);
        assert_int_equal(h.network_wire_end, packet.wire);
        assert_true(wlmi_check_network(packet.data, &h) != WLMI_SUM_WRONG);
        assert_true(wlmi_check_transport(packet.data, &h) != WLMI_SUM_WRONG);
    }
    assert_int_equal(status, WLM_END);
    wlm_capture_close(capture);
    return count;
}

static void an_untrained_model_writes_a_sound_capture(void **state)
{
    static const char *const names[] = {"g.pcap", "g.pcapng", "g.pcap.gz", "g.pcapng.zst"};
    wlm_model *model = plain_model();
    wlm_generate_report report;
    wlm_error error;
    uint64_t packets[4];
    (void)state;
    for (int i = 0; i < 4; i++) {
        wlm_generate_options options = asked(test_path(names[i]), 3);
        assert_ok(wlm_generate(model, &options, &report, &error), &error);
        assert_int_equal(report.flows, 3);
        packets[i] = assert_sound(test_path(names[i]), options.start_ns);
        assert_int_equal(report.packets, packets[i]);
        assert_int_equal(packets[i], packets[0]);
        assert_true(packets[i] >= 3 && report.tokens > packets[i] && report.flows_cut <= 3);
    }
    wlm_model_free(model);
}

static void the_same_seed_the_same_file(void **state)
{
    wlm_model *model = plain_model();
    wlm_generate_report report;
    wlm_error error;
    uint8_t *data[3];
    size_t size[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        wlm_generate_options options = asked(test_path("seed.pcap"), 2);
        options.seed = i < 2 ? 5 : 6;
        assert_ok(wlm_generate(model, &options, &report, &error), &error);
        data[i] = test_read(test_path("seed.pcap"), &size[i]);
    }
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(data[0], data[1], size[0]);
    assert_true(size[0] != size[2] || memcmp(data[0], data[2], size[0]) != 0);
    for (int i = 0; i < 3; i++)
        free(data[i]);
    wlm_model_free(model);
}

static void a_prefix_begins_every_flow(void **state)
{
    wlm_model *model = plain_model();
    wlm_generate_options options = asked(test_path("prefixed.pcap"), 2);
    wlm_generate_report report;
    wlm_capture *capture;
    wlm_packet packet;
    wlm_error error;
    int syns = 0;
    (void)state;
    test_capture_file(test_path("prefix.pcap"), WLM_FORMAT_PCAP);
    options.prefix = test_path("prefix.pcap");
    assert_int_equal(wlm_generate(model, &options, &report, &error), WLM_ERR_ARGUMENT); /* longer than 60 tokens */
    assert_non_null(strstr(error.cause, "tokens"));
    options.max_tokens = 600;
    assert_ok(wlm_generate(model, &options, &report, &error), &error);
    assert_true(report.packets >= 2 * 8);
    assert_sound(options.out, options.start_ns);
    assert_ok(wlm_capture_open(&capture, options.out, &error), &error);
    while (wlm_capture_next(capture, &packet, &error) == WLM_OK) {
        wlmi_headers h;
        wlmi_decode(&packet, &h);
        syns += h.proto == WLMI_PROTO_TCP && h.tcp_flags == WLMI_TCP_SYN && h.dst_port == 22;
    }
    wlm_capture_close(capture);
    assert_true(syns >= 2);
    wlm_model_free(model);
}

static void labels_whose_flows_all_broke_off_are_refused(void **state)
{
    const test_model_options cut = {.hide = WLM_HIDE_IDS, .payload = WLM_PAYLOAD_FULL, .all_cut = 2};
    wlm_model *model = load(&cut);
    wlm_generate_options options = asked(test_path("n.pcap"), 1);
    wlm_generate_report report;
    wlm_error error;
    (void)state;
    assert_int_equal(wlm_generate(model, &options, &report, &error), WLM_ERR_REFUSED);
    assert_non_null(strstr(error.cause, "'ssh' broke off"));
    assert_non_null(strstr(error.cause, "web / TLS 1.3"));
    assert_null(strstr(error.cause, "dns"));
    options.allow_cut = 1;
    assert_ok(wlm_generate(model, &options, &report, &error), &error);
    assert_non_null(strstr(report.note, "broke off"));
    options.allow_cut = 0;
    options.label = "web / TLS 1.3";
    assert_ok(wlm_generate(model, &options, &report, &error), &error);
    assert_null(strstr(report.note, "broke off"));
    wlm_model_free(model);
}

/* Codec `bytes` leaves out what it was not shown, `fields` draws it; either way packets are whole in the end. */
static void unseen_payload_is_refused_or_chance(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const test_model_options how = {.hide = WLM_HIDE_IDS, .payload = 4, .codec = i ? "fields" : "bytes"};
        wlm_model *model = load(&how);
        wlm_generate_options options = asked(test_path("chance.pcap"), 6);
        wlm_generate_report report;
        wlm_capture *capture;
        wlm_packet packet;
        wlm_error error;
        uint64_t packets = 0;
        options.max_tokens = 200;
        assert_int_equal(wlm_generate(model, &options, &report, &error), WLM_ERR_REFUSED);
        assert_non_null(strstr(error.cause, "--random-payload"));
        options.random_payload = 1;
        assert_ok(wlm_generate(model, &options, &report, &error), &error);
        assert_non_null(strstr(report.note, "first 4 bytes"));
        assert_sound(options.out, options.start_ns);
        assert_ok(wlm_capture_open(&capture, options.out, &error), &error);
        for (; wlm_capture_next(capture, &packet, &error) == WLM_OK; packets++)
            assert_int_equal(packet.captured, packet.wire);
        assert_int_equal(packets, report.packets);
        wlm_capture_close(capture);
        wlm_model_free(model);
    }
}

static void wrong_wishes_are_refused(void **state)
{
    wlm_model *model = plain_model();
    wlm_generate_options options = asked(test_path("none.pcap"), 1);
    wlm_generate_report report;
    wlm_error error;
    (void)state;
    options.label = "telnet";
    assert_int_equal(wlm_generate(model, &options, &report, &error), WLM_ERR_ARGUMENT);
    assert_non_null(strstr(error.cause, "dns, ssh, web / TLS 1.3"));
    options.task = "weather";
    assert_int_equal(wlm_generate(model, &options, &report, &error), WLM_ERR_ARGUMENT);
    assert_non_null(strstr(error.cause, "app, vpn-use"));
    options = asked(test_path("none.pcap"), 1);
    options.label = NULL;
    assert_int_equal(wlm_generate(model, &options, &report, &error), WLM_ERR_ARGUMENT);
    assert_non_null(strstr(error.cause, "needs a label"));
    options = asked(test_path("none.pcap"), 1);
    options.temperature = -1;
    assert_int_equal(wlm_generate(model, &options, &report, &error), WLM_ERR_ARGUMENT);
    options = asked(NULL, 1);
    assert_int_equal(wlm_generate(model, &options, &report, &error), WLM_ERR_ARGUMENT);
    options = asked(test_path("none.pcap"), 1);
    options.net = "not a net";
    assert_int_equal(wlm_generate(model, &options, &report, &error), WLM_ERR_ARGUMENT);
    options = asked(test_path("none.pcap"), 1);
    options.candidates = 4;
    assert_int_equal(wlm_generate(model, &options, &report, &error), WLM_ERR_ARGUMENT);
    assert_non_null(strstr(error.cause, "be like"));
    options = asked("/nonexistent/none.pcap", 1);
    assert_int_equal(wlm_generate(model, &options, &report, &error), WLM_ERR_IO);
    assert_null(fopen(test_path("none.pcap"), "rb"));
    wlm_model_free(model);
}

static void stop_at_once(void *user, const wlm_progress *progress)
{
    if (progress->done == 2)
        *(wlm_stop *)user = 1;
}

static void a_stop_keeps_the_flows_made(void **state)
{
    wlm_model *model = plain_model();
    wlm_generate_options options = asked(test_path("stopped.pcap"), 50);
    wlm_generate_report report;
    wlm_stop stop = 0;
    wlm_error error;
    (void)state;
    options.progress = stop_at_once;
    options.user = (void *)(uintptr_t)&stop;
    options.stop = &stop;
    assert_int_equal(wlm_generate(model, &options, &report, &error), WLM_STOPPED);
    assert_int_equal(report.flows, 2);
    assert_int_equal(assert_sound(options.out, options.start_ns), report.packets);
    wlm_model_free(model);
}

/* Wire lengths above the captured ones come up for models that see only a part of the payload, and for no other. */
static void sampled_flows_keep_to_the_rules(void **state)
{
    (void)state;
    for (int limited = 0; limited < 2; limited++) {
        const test_model_options how = {.hide = WLM_HIDE_IDS, .payload = limited ? 64 : WLM_PAYLOAD_FULL};
        wlm_model *model = load(&how);
        wlmi_flow_sampler_options options = {.sampling = {1, 0, 1}, .task = -1, .label = -1, .begin_anywhere = limited, .end_anywhere = limited,
                                             .max_tokens = 128};
        wlmi_flow_lanes *lanes;
        const wlmi_sampled_flow *flow;
        wlm_error error;
        int longer = 0;
        assert_ok(wlmi_flow_lanes_new(&lanes, model, &options, 1, 12, &error), &error);
        for (int f = 0; f < 12; f++) {
            int64_t last = 0;
            assert_ok(wlmi_flow_lanes_next(lanes, &flow, &error), &error);
            assert_true(flow->packets.count >= 1);
            for (size_t i = 0; i < flow->packets.count; i++) {
                wlm_packet packet = wlmi_packet_list_at(&flow->packets, i);
                assert_true(packet.time_ns >= last);
                assert_true(packet.captured >= 1 && packet.captured <= 128);
                assert_true(packet.wire >= packet.captured);
                longer += packet.wire > packet.captured;
                last = packet.time_ns;
            }
            if (!flow->flawed)
                for (size_t i = 0; i < flow->packets.count; i++) {
                    wlm_packet packet = wlmi_packet_list_at(&flow->packets, i);
                    assert_true(wlmi_is_ip_packet(&packet));
                }
        }
        assert_int_equal(longer > 0, limited);
        wlmi_flow_lanes_free(lanes);
        wlm_model_free(model);
    }
}

/* The i-th flow is the same, however many are made beside it and after it. */
static void a_flow_does_not_depend_on_its_neighbours(void **state)
{
    const test_model_options how = {.hide = WLM_HIDE_IDS, .payload = WLM_PAYLOAD_FULL};
    const wlmi_flow_sampler_options options = {.sampling = {1, 0, 1}, .task = -1, .label = -1, .begin_anywhere = 1,
                                               .end_anywhere = 1, .max_tokens = 60};
    static const uint64_t counts[] = {1, 5, 70};
    wlm_model *model = load(&how);
    wlmi_flow_lanes *all, *some;
    wlm_error error;
    (void)state;
    for (int c = 0; c < 3; c++) {
        assert_ok(wlmi_flow_lanes_new(&all, model, &options, 7, 90, &error), &error);
        assert_ok(wlmi_flow_lanes_new(&some, model, &options, 7, counts[c], &error), &error);
        for (uint64_t i = 0; i < counts[c]; i++) {
            const wlmi_sampled_flow *a, *b;
            assert_ok(wlmi_flow_lanes_next(all, &a, &error), &error);
            assert_ok(wlmi_flow_lanes_next(some, &b, &error), &error);
            assert_int_equal(a->tokens, b->tokens);
            assert_int_equal(a->packets.count, b->packets.count);
            assert_int_equal(a->packets.used, b->packets.used);
            assert_memory_equal(a->packets.bytes, b->packets.bytes, a->packets.used);
        }
        assert_int_equal(wlmi_flow_lanes_next(some, &(const wlmi_sampled_flow *){NULL}, &error), WLM_ERR_ARGUMENT);
        wlmi_flow_lanes_free(all);
        wlmi_flow_lanes_free(some);
    }
    wlm_model_free(model);
}

/* Reads a written capture of one stream: times in order, checksums right. Counts the flows by their addresses, and how
 * often another one than before speaks. */
static void read_turns(const char *path, int64_t start_ns, uint64_t packets, uint64_t *flows, uint64_t *turns)
{
    uint64_t ends[64], before = 0;
    int64_t last = start_ns;
    wlm_capture *capture;
    wlm_packet packet;
    wlm_error error;
    *flows = 0;
    assert_ok(wlm_capture_open(&capture, path, &error), &error);
    for (uint64_t n = 0; n < packets; n++) {
        uint64_t end, at = 0;
        wlmi_headers h;
        assert_ok(wlm_capture_next(capture, &packet, &error), &error);
        assert_true(packet.time_ns >= last);
        last = packet.time_ns;
        wlmi_decode(&packet, &h);
        if (h.ip_version != 4)
            continue;
        assert_true(wlmi_check_network(packet.data, &h) == WLMI_SUM_RIGHT);
        memcpy(&end, packet.data + h.src_addr, 8); /* both addresses, whichever way round */
        end = (end >> 32) + (end & UINT32_MAX);
        while (at < *flows && ends[at] != end)
            at++;
        if (at == *flows)
            ends[(*flows)++] = end;
        *turns += n > 0 && at != before;
        before = at;
    }
    assert_int_equal(wlm_capture_next(capture, &packet, &error), WLM_END);
    wlm_capture_close(capture);
}

static void assert_same_bytes(const char *a_path, const char *b_path)
{
    size_t size, other;
    uint8_t *a = test_read(a_path, &size), *b = test_read(b_path, &other);
    assert_int_equal(size, other);
    assert_memory_equal(a, b, size);
    free(a);
    free(b);
}

/* A stream of unit capture: no more flows than were asked for, each with endpoints of its own, in turns. */
static void captures_have_flows_in_turns(void **state)
{
    uint64_t turns = 0, full = 0;
    char first[512], second[512];
    (void)state;
    snprintf(first, sizeof first, "%s", test_path("turns.pcap"));
    snprintf(second, sizeof second, "%s", test_path("turns2.pcap"));
    for (int i = 0; i < 3; i++) {
        const test_model_options how = {.hide = WLM_HIDE_IDS, .payload = i % 2 ? WLM_PAYLOAD_FULL : 4,
                                        .codec = "fields", .unit = WLM_UNIT_CAPTURE, .shuffle_fields = i == 2};
        wlm_model *model = load(&how);
        wlm_generate_options options = wlm_generate_options_default();
        wlm_generate_report report;
        wlm_error error;
        options.max_tokens = 600;
        options.random_payload = 1;
        options.flows = 2;
        for (options.seed = 0; options.seed < 25; options.seed++) {
            uint64_t flows;
            options.out = first;
            assert_ok(wlm_generate(model, &options, &report, &error), &error);
            assert_in_range(report.flows, 1, options.flows);
            assert_int_equal(report.flows_resampled, 0);
            read_turns(first, options.start_ns, report.packets, &flows, &turns);
            assert_true(flows <= report.flows);
            full += report.flows == options.flows;
        }
        options.seed--;
        options.out = second;
        assert_ok(wlm_generate(model, &options, &report, &error), &error);
        assert_same_bytes(first, second);
        options.task = "app";
        options.label = "ssh";
        assert_int_equal(wlm_generate(model, &options, &report, &error), WLM_ERR_REFUSED);
        assert_non_null(strstr(error.cause, "labels belong to flows"));
        wlm_model_free(model);
    }
    assert_true(turns > 0 && full > 5);
}

/* A random walk is seldom what the encoder would write; packets that the encoder wrote always are. */
static void flows_that_encode_otherwise_are_counted(void **state)
{
    static const uint32_t payloads[] = {WLM_PAYLOAD_FULL, 4};
    (void)state;
    test_capture_file(test_path("again.pcap"), WLM_FORMAT_PCAP);
    for (int i = 0; i < 4; i++) {
        const test_model_options how = {
            .hide = WLM_HIDE_IDS, .payload = payloads[i / 2], .codec = "fields", .shuffle_fields = (uint64_t)(i % 2)};
        wlm_model *model = load(&how);
        wlm_generate_options options = asked(test_path("again-out.pcap"), 8);
        wlm_generate_report report;
        wlm_status status;
        wlm_error error;
        options.max_tokens = 250;
        options.random_payload = 1;
        assert_ok(wlm_generate(model, &options, &report, &error), &error);
        assert_sound(options.out, options.start_ns);
        assert_true(i % 2 ? report.reencoded_differently == 0
                          : report.reencoded_differently > 0 && report.reencoded_differently <= 8);
        options.prefix = test_path("again.pcap");
        options.max_tokens = 40;
        do /* until the prefix leaves room for one token */
            status = wlm_generate(model, &options, &report, &error);
        while (status == WLM_ERR_ARGUMENT && options.max_tokens++ < 1000);
        assert_ok(status, &error);
        assert_int_equal(report.packets, 8 * 8);
        assert_int_equal(report.reencoded_differently, 0);
        wlm_model_free(model);
    }
}

/* Flows of one packet among the files of a folder; `keep_them`: removes the others. */
static size_t single_packets(const char *folder, int keep_them, size_t *all)
{
    DIR *files = opendir(folder);
    struct dirent *file;
    size_t single = 0;
    assert_non_null(files);
    for (*all = 0; (file = readdir(files));) {
        char path[4096];
        wlm_capture *capture;
        wlm_packet packet;
        wlm_error error;
        size_t packets = 0;
        if (file->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, file->d_name);
        assert_ok(wlm_capture_open(&capture, path, &error), &error);
        while (wlm_capture_next(capture, &packet, &error) == WLM_OK)
            packets++;
        wlm_capture_close(capture);
        single += packets == 1;
        ++*all;
        if (keep_them && packets > 1)
            unlink(path);
    }
    closedir(files);
    return single;
}

/* Flows shall be like those flows of an untrained model that have but one packet: so more of them have. */
static void candidates_bring_flows_nearer(void **state)
{
    const test_model_options how = {.hide = WLM_HIDE_IDS, .payload = WLM_PAYLOAD_FULL, .codec = "fields"};
    wlm_model *model = load(&how);
    wlm_generate_options options = asked(NULL, 300);
    wlm_generate_report report;
    wlm_error error;
    size_t single[2], all[2], size[2];
    uint8_t *data[2];
    char folder[4096];
    const char *const like = folder;
    (void)state;
    options.per_flow = test_path("any");
    options.allow_cut = 1;
    assert_ok(wlm_generate(model, &options, &report, &error), &error);
    assert_int_equal(report.candidates, 0);
    snprintf(folder, sizeof folder, "%s/ssh", options.per_flow);
    single[0] = single_packets(folder, 1, &all[0]);
    assert_true(single[0] > 60 && single[0] < 240);

    options.flows = 60;
    options.seed = 2;
    options.like = &like;
    options.like_count = 1;
    options.candidates = 8;
    options.per_flow = test_path("chosen");
    assert_ok(wlm_generate(model, &options, &report, &error), &error);
    assert_int_equal(report.flows, 60);
    assert_int_equal(report.candidates, WLMI_LIKENESS_PILOT + 60 * 7);
    snprintf(folder, sizeof folder, "%s/ssh", options.per_flow);
    single[1] = single_packets(folder, 0, &all[1]);
    assert_int_equal(all[1], 60);
    assert_true((double)single[1] / 60 > (double)single[0] / 300 + 0.15);

    options.per_flow = NULL;
    options.flows = 5;
    options.out = test_path("chosen.pcap");
    for (int i = 0; i < 2; i++) {
        assert_ok(wlm_generate(model, &options, &report, &error), &error);
        assert_int_equal(assert_sound(options.out, options.start_ns), report.packets);
        data[i] = test_read(options.out, &size[i]);
    }
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(data[0], data[1], size[0]);
    free(data[0]);
    free(data[1]);
    wlm_model_free(model);
}

static void every_failed_allocation_is_a_status(void **state)
{
    wlm_model *model = plain_model();
    wlm_generate_options options = asked(test_path("alloc.pcap"), 1);
    wlm_generate_report report;
    wlm_error error;
    wlm_status status = WLM_ERR_MEMORY;
    (void)state;
    for (uint64_t k = 1; status != WLM_OK; k += 1 + k / 8) {
        wlmi_alloc_fail_at(k);
        status = wlm_generate(model, &options, &report, &error);
        wlmi_alloc_fail_at(0);
        assert_true(status == WLM_OK || status == WLM_ERR_MEMORY);
    }
    wlm_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_untrained_model_writes_a_sound_capture),
        cmocka_unit_test(the_same_seed_the_same_file),
        cmocka_unit_test(a_prefix_begins_every_flow),
        cmocka_unit_test(labels_whose_flows_all_broke_off_are_refused),
        cmocka_unit_test(unseen_payload_is_refused_or_chance),
        cmocka_unit_test(wrong_wishes_are_refused),
        cmocka_unit_test(a_stop_keeps_the_flows_made),
        cmocka_unit_test(sampled_flows_keep_to_the_rules),
        cmocka_unit_test(a_flow_does_not_depend_on_its_neighbours),
        cmocka_unit_test(captures_have_flows_in_turns),
        cmocka_unit_test(flows_that_encode_otherwise_are_counted),
        cmocka_unit_test(candidates_bring_flows_nearer),
        cmocka_unit_test(every_failed_allocation_is_a_status),
    };
    return cmocka_run_group_tests_name("generate", tests, NULL, NULL);
}
