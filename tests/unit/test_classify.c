/* test_classify.c: flows of captures get labels, once each, in a fixed order; what the model sees of a flow packet by
 * packet is what a classify prompt would show it. */
#include "support/fixture.h"
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "capture/flow.h"
#include "task/handle.h"
#include "task/prefix.h"
#include "task/query.h"

typedef struct kept {
    wlm_flow_result result[64];
    char file[64][512], community_id[64][40];
    size_t count;
} kept;

static void keep(void *user, const wlm_flow_result *result)
{
    kept *k = user;
    assert_true(k->count < 64);
    k->result[k->count] = *result;
    strcpy(k->file[k->count], result->file);
    strcpy(k->community_id[k->count++], result->community_id);
}

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

static wlm_status classify(wlm_model *model, const char *path, wlm_classify_options options, kept *k,
                           wlm_classify_report *report, wlm_error *error)
{
    memset(k, 0, sizeof *k);
    options.result = keep;
    options.user = k;
    return wlm_classify(model, &path, 1, &options, report, error);
}

static void every_flow_once(void **state)
{
    static kept k;
    wlm_model *model = plain_model();
    wlm_classify_report report;
    wlm_error error;
    const char *path = test_path("a.pcap");
    int ended[TEST_CAPTURE_FLOWS + 1] = {0};
    (void)state;
    test_capture_file(path, WLM_FORMAT_PCAP);
    assert_ok(classify(model, path, wlm_classify_options_default(), &k, &report, &error), &error);
    assert_int_equal(k.count, TEST_CAPTURE_FLOWS);
    assert_int_equal(report.flows, TEST_CAPTURE_FLOWS);
    assert_int_equal(report.packets, TEST_CAPTURE_PACKETS);
    assert_int_equal(report.packets_unusable, 1);
    assert_int_equal(report.files, 1);
    assert_int_equal(report.damage.status, WLM_OK);
    for (size_t i = 0; i < k.count; i++) {
        const wlm_flow_result *r = &k.result[i];
        double sum = 0;
        ended[r->flow_id]++;
        assert_string_equal(k.file[i], path);
        assert_int_equal(strncmp(k.community_id[i], "1:", 2), 0);
        assert_int_equal(strncmp(r->model, "sha256:", 7), 0);
        assert_int_equal(r->top_count, 3);
        for (size_t t = 0; t < r->top_count; t++) {
            assert_string_equal(r->top[t].task, "app");
            sum += r->top[t].confidence;
            assert_true(t == 0 || r->top[t].confidence <= r->top[t - 1].confidence);
        }
        assert_true(fabs(sum - 1) < 1e-5);
        assert_string_equal(r->label, r->top[0].label);
        assert_true(r->packets_used >= 1 && r->packets_used <= r->packets && r->tokens_used >= 20);
    }
    for (int id = 1; id <= TEST_CAPTURE_FLOWS; id++)
        assert_int_equal(ended[id], 1);
    wlm_model_free(model);
}

static const wlm_flow_result *find(const kept *k, uint64_t flow_id)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->result[i].flow_id == flow_id)
            return &k->result[i];
    fail_msg("no flow %llu", (unsigned long long)flow_id);
    return NULL;
}

static void flows_are_described(void **state)
{
    static kept k;
    wlm_model *model = plain_model();
    wlm_classify_report report;
    wlm_error error;
    const wlm_flow_result *tcp, *udp, *alone, *middle;
    (void)state;
    test_capture_file(test_path("b.pcapng"), WLM_FORMAT_PCAPNG);
    assert_ok(classify(model, test_path("b.pcapng"), wlm_classify_options_default(), &k, &report, &error), &error);
    tcp = find(&k, 1), udp = find(&k, 2), alone = find(&k, 3), middle = find(&k, 4);
    assert_int_equal(tcp->start, WLM_START_SYN);
    assert_int_equal(tcp->end, WLM_END_CLOSED);
    assert_int_equal(tcp->packets, 8);
    assert_int_equal(tcp->key.src_port, 40000);
    assert_int_equal(tcp->first_packet, 1);
    assert_true(tcp->truncated); /* 256 rows of context hold four of its packets or so */
    assert_int_equal(udp->end, WLM_END_EOF);
    assert_int_equal(udp->packets_used, 2);
    assert_false(udp->truncated);
    assert_false(udp->oneway);
    assert_true(alone->oneway);
    assert_int_equal(middle->start, WLM_START_MID);
    assert_int_equal(middle->key.addr_len, 16);
    wlm_model_free(model);
}

static void the_same_twice(void **state)
{
    static kept a, b;
    wlm_model *model = plain_model();
    wlm_classify_report report;
    wlm_error error;
    (void)state;
    test_capture_file(test_path("c.pcap"), WLM_FORMAT_PCAP);
    assert_ok(classify(model, test_path("c.pcap"), wlm_classify_options_default(), &a, &report, &error), &error);
    assert_ok(classify(model, test_path("c.pcap"), wlm_classify_options_default(), &b, &report, &error), &error);
    assert_int_equal(a.count, b.count);
    for (size_t i = 0; i < a.count; i++) {
        assert_int_equal(a.result[i].flow_id, b.result[i].flow_id);
        for (size_t t = 0; t < a.result[i].top_count; t++)
            assert_memory_equal(&a.result[i].top[t].confidence, &b.result[i].top[t].confidence, sizeof(double));
    }
    wlm_model_free(model);
}

static void several_tasks_a_threshold_and_few_packets(void **state)
{
    static kept k;
    wlm_model *model = plain_model();
    wlm_classify_options options = wlm_classify_options_default();
    wlm_classify_report report;
    wlm_error error;
    (void)state;
    options.tasks = "all";
    options.threshold = 1;
    options.max_packets = 1;
    options.top = 2;
    test_capture_file(test_path("d.pcap"), WLM_FORMAT_PCAP);
    assert_ok(classify(model, test_path("d.pcap"), options, &k, &report, &error), &error);
    assert_int_equal(k.count, 2 * TEST_CAPTURE_FLOWS);
    for (size_t i = 0; i < k.count; i++) {
        assert_string_equal(k.result[i].top[0].task, i % 2 ? "vpn-use" : "app");
        assert_string_equal(k.result[i].label, "unknown");
        assert_int_equal(k.result[i].packets_used, 1);
        assert_int_equal(k.result[i].top_count, 2);
    }
    options.tasks = "vpn-use,app";
    assert_ok(classify(model, test_path("d.pcap"), options, &k, &report, &error), &error);
    assert_string_equal(k.result[0].top[0].task, "vpn-use");
    wlm_model_free(model);
}

static void a_foreign_policy_needs_force(void **state)
{
    static kept k;
    wlm_model *model = plain_model();
    wlm_classify_options options = wlm_classify_options_default();
    wlm_classify_report report;
    wlm_error error;
    (void)state;
    options.hide = WLM_HIDE_NONE;
    test_capture_file(test_path("e.pcap"), WLM_FORMAT_PCAP);
    assert_int_equal(classify(model, test_path("e.pcap"), options, &k, &report, &error), WLM_ERR_REFUSED);
    assert_non_null(strstr(error.cause, "ids"));
    assert_non_null(strstr(error.cause, "--force"));
    options.force = 1;
    assert_ok(classify(model, test_path("e.pcap"), options, &k, &report, &error), &error);
    assert_int_equal(k.result[0].hide, WLM_HIDE_NONE);
    options = wlm_classify_options_default();
    options.tasks = "app,weather";
    assert_int_equal(classify(model, test_path("e.pcap"), options, &k, &report, &error), WLM_ERR_ARGUMENT);
    assert_non_null(strstr(error.cause, "app, vpn-use"));
    wlm_model_free(model);
}

static void damage_ends_a_file_but_not_the_run(void **state)
{
    static kept k;
    wlm_model *model = plain_model();
    wlm_classify_options options = wlm_classify_options_default();
    wlm_classify_report report;
    wlm_error error;
    size_t size;
    uint8_t *whole;
    (void)state;
    test_capture_file(test_path("f.pcap"), WLM_FORMAT_PCAP);
    whole = test_read(test_path("f.pcap"), &size);
    test_write(test_path("cut.pcap"), whole, size - 30);
    assert_ok(classify(model, test_path("cut.pcap"), options, &k, &report, &error), &error);
    assert_int_equal(report.files_damaged, 1);
    assert_int_equal(report.damage.status, WLM_ERR_FORMAT);
    assert_int_equal(report.packets, TEST_CAPTURE_PACKETS - 1);
    assert_int_equal(k.count, TEST_CAPTURE_FLOWS);
    test_write(test_path("text.pcap"), "not a capture at all, only text", 31);
    assert_int_equal(classify(model, test_path("text.pcap"), options, &k, &report, &error), WLM_ERR_FORMAT);
    assert_int_equal(classify(model, test_path("absent.pcap"), options, &k, &report, &error), WLM_ERR_IO);
    test_write(test_path("empty.pcap"), whole, 24);
    assert_ok(classify(model, test_path("empty.pcap"), options, &k, &report, &error), &error);
    assert_int_equal(report.flows, 0);
    free(whole);
    wlm_model_free(model);
}

static void a_stop_labels_what_is_open(void **state)
{
    static kept k;
    wlm_model *model = plain_model();
    wlm_classify_options options = wlm_classify_options_default();
    wlm_classify_report report;
    wlm_stop stop = 1;
    wlm_error error;
    (void)state;
    options.stop = &stop;
    test_capture_file(test_path("g.pcap"), WLM_FORMAT_PCAP);
    assert_int_equal(classify(model, test_path("g.pcap"), options, &k, &report, &error), WLM_STOPPED);
    assert_int_equal(k.count, 0);
    wlm_model_free(model);
}

/* Comments are looked for as bytes: the reader gives none. */
static int holds(const uint8_t *data, size_t size, const char *text)
{
    return memmem(data, size, text, strlen(text)) != NULL;
}

static void labels_become_packet_comments(void **state)
{
    static kept k;
    wlm_model *model = plain_model();
    wlm_classify_options options = wlm_classify_options_default();
    wlm_classify_report report;
    wlm_capture *in, *out;
    wlm_packet a, b;
    wlm_error error;
    uint8_t *data;
    char text[200];
    size_t size;
    const char *path = test_path("h.pcap"), *labelled = test_path("labelled.pcapng");
    (void)state;
    options.tasks = "all";
    options.write = labelled;
    test_capture_file(path, WLM_FORMAT_PCAP);
    assert_ok(classify(model, path, options, &k, &report, &error), &error);
    assert_ok(wlm_capture_open(&in, path, &error), &error);
    assert_ok(wlm_capture_open(&out, labelled, &error), &error);
    while (wlm_capture_next(in, &a, &error) == WLM_OK) {
        assert_ok(wlm_capture_next(out, &b, &error), &error);
        assert_int_equal(a.captured, b.captured);
        assert_int_equal(a.time_ns, b.time_ns);
        assert_memory_equal(a.data, b.data, a.captured);
    }
    assert_int_equal(wlm_capture_next(out, &b, &error), WLM_END);
    wlm_capture_close(in);
    wlm_capture_close(out);
    data = test_read(labelled, &size);
    for (size_t i = 0; i < k.count; i += 2) {
        snprintf(text, sizeof text, "wirelm: app=%s %.2f vpn-use=%s %.2f", k.result[i].label,
                 k.result[i].top[0].confidence, k.result[i + 1].label, k.result[i + 1].top[0].confidence);
        assert_true(holds(data, size, text));
    }
    free(data);
    wlm_model_free(model);
}

/* ---- labels on the way */

static int same_flow(const wlm_flow_result *a, const wlm_flow_result *b)
{
    return a->flow_id == b->flow_id && a->end == b->end && a->packets == b->packets &&
           a->packets_used == b->packets_used && a->tokens_used == b->tokens_used;
}

/* The labels at the ends are those without labels on the way, in the same order, whatever room states have; a label on the way
 * is that of a flow which ends there. */
static void labels_on_the_way(void **state)
{
    static kept end, way, cut;
    wlm_model *model = plain_model();
    wlm_classify_options options = wlm_classify_options_default();
    wlm_classify_report report;
    wlm_error error;
    const char *path = test_path("way.pcap");
    (void)state;
    test_capture_file(path, WLM_FORMAT_PCAP);
    assert_ok(classify(model, path, options, &end, &report, &error), &error);
    assert_int_equal(report.state_bytes, 0);
    options.max_packets = 2;
    assert_ok(classify(model, path, options, &cut, &report, &error), &error);
    options.max_packets = 0;
    for (int room = 0; room < 2; room++) {
        size_t ends = 0, opens = 0, wanted = 0;
        options.every = 2;
        options.state_bytes = room ? 1 << 20 : 1;
        assert_ok(classify(model, path, options, &way, &report, &error), &error);
        assert_int_equal(report.flows, TEST_CAPTURE_FLOWS);
        for (size_t i = 0; i < way.count; i++) {
            const wlm_flow_result *r = &way.result[i];
            if (r->end == WLM_END_OPEN) {
                opens++;
                assert_int_equal(r->packets_used % 2, 0);
                for (size_t j = 0; j < cut.count && r->packets_used == 2; j++)
                    if (cut.result[j].flow_id == r->flow_id)
                        assert_true(fabs(cut.result[j].top[0].confidence - r->top[0].confidence) < 1e-3);
            } else {
                assert_true(same_flow(r, &end.result[ends]));
                wanted += r->packets_used / 2;
                assert_true(fabs(r->top[0].confidence - end.result[ends++].top[0].confidence) < 1e-3);
            }
        }
        assert_int_equal(ends, end.count);
        assert_int_equal(opens, wanted);
        assert_true(room ? !report.states_dropped && report.state_bytes > 0
                         : report.states_dropped && report.states_recomputed && !report.state_bytes);
    }
    wlm_model_free(model);
}

static void early_labels(void **state)
{
    static kept end, early;
    wlm_model *model = plain_model();
    wlm_classify_options options = wlm_classify_options_default();
    wlm_classify_report report;
    wlm_error error;
    const char *path = test_path("early.pcap");
    size_t budgets = 0;
    (void)state;
    test_capture_file(path, WLM_FORMAT_PCAP);
    options.max_packets = 2;
    assert_ok(classify(model, path, options, &end, &report, &error), &error);
    options.early = 1;
    for (options.every = 0; options.every < 2; options.every++) {
        assert_ok(classify(model, path, options, &early, &report, &error), &error);
        assert_int_equal(report.flows, TEST_CAPTURE_FLOWS);
        for (size_t i = 0; i < early.count; i++) {
            const wlm_flow_result *r = &early.result[i];
            budgets += r->end == WLM_END_BUDGET;
            assert_true((r->end == WLM_END_BUDGET) == (r->packets_used == 2) || r->end == WLM_END_OPEN);
            for (size_t j = 0; j < end.count; j++)
                if (end.result[j].flow_id == r->flow_id && r->packets_used == end.result[j].packets_used)
                    assert_true(fabs(r->top[0].confidence - end.result[j].top[0].confidence) < 1e-3);
        }
    }
    assert_true(budgets > 0);
    wlm_model_free(model);
}

/* ---- what the model sees */

typedef struct flow_of_packets {
    wlm_packet packet[TEST_CAPTURE_PACKETS];
    uint64_t count;
} flow_of_packets;

static wlm_status get(const void *user, uint64_t j, wlm_packet *packet, wlm_error *error)
{
    (void)error;
    *packet = ((const flow_of_packets *)user)->packet[j];
    return WLM_OK;
}

static void nothing(void *owner, wlmi_flow *flow)
{
    (void)owner;
    (void)flow;
}

static void assert_same_rows(const wlmi_rows *a, const wlmi_rows *b)
{
    size_t size = (size_t)a->tokens * sizeof(int32_t);
    assert_int_equal(a->tokens, b->tokens);
    assert_memory_equal(a->id, b->id, size);
    assert_memory_equal(a->packet, b->packet, size);
    assert_memory_equal(a->role, b->role, size);
    assert_int_equal(a->segments, b->segments);
}

static void compare_prefix(wlm_model *model, const wlmi_view *view)
{
    static test_packet raw[TEST_CAPTURE_PACKETS];
    static flow_of_packets flows[TEST_CAPTURE_FLOWS + 1];
    wlm_flow_key key[TEST_CAPTURE_FLOWS + 1];
    wlmi_prefix prefix[TEST_CAPTURE_FLOWS + 1] = {0};
    int64_t time_ns[TEST_CAPTURE_PACKETS];
    const wlmi_flow_options flow_options = {0};
    wlmi_prefixes *pool;
    wlmi_prompter *prompter;
    wlmi_flow_table *table;
    wlm_error error;
    size_t n = test_capture_packets(raw, time_ns);
    memset(flows, 0, sizeof flows);
    assert_ok(wlmi_prefixes_new(&pool, view, &error), &error);
    assert_ok(wlmi_prompter_new(&prompter, view, model->net, &error), &error);
    assert_ok(wlmi_flow_table_new(&table, &flow_options, nothing, NULL, &error), &error);
    for (size_t i = 0; i + 1 < n; i++) { /* all but the ARP packet */
        wlm_packet packet = test_view(&raw[i], WLMI_LINK_ETHERNET, time_ns[i]);
        wlmi_headers headers;
        wlmi_flow *flow;
        int backward;
        wlmi_decode(&packet, &headers);
        assert_ok(wlmi_flow_of(table, &packet, &headers, &flow, &backward, &error), &error);
        assert_in_range(flow->id, 1, TEST_CAPTURE_FLOWS);
        key[flow->id] = flow->key;
        flows[flow->id].packet[flows[flow->id].count++] = packet;
        assert_ok(wlmi_prefix_take(pool, &prefix[flow->id], &flow->key, &packet, &error), &error);
    }
    for (int id = 1; id <= TEST_CAPTURE_FLOWS; id++) {
        const wlmi_flow_packets flow = {&key[id], flows[id].count, WLM_END_EOF, 0, get, &flows[id], 0};
        wlmi_rows fast = {0}, slow = {0};
        uint64_t used;
        wlmi_prefix_end(pool, &prefix[id]);
        assert_ok(wlmi_prefix_ask(&prefix[id], model->net, model->codec, 0, 1, &fast, &error), &error);
        assert_ok(wlmi_prompter_flow(prompter, &flow, WLMI_PROMPT_CLASSIFY, 1, -1, 0, &slow, &used, &error), &error);
        assert_same_rows(&fast, &slow);
        assert_int_equal(prefix[id].packets, used);
        wlmi_rows_free(&fast);
        wlmi_rows_free(&slow);
        wlmi_prefix_free(pool, &prefix[id]);
    }
    wlmi_flow_table_free(table);
    wlmi_prompter_free(prompter);
    wlmi_prefixes_free(pool);
}

static void packet_by_packet_is_the_classify_prompt(void **state)
{
    static const uint32_t payloads[] = {0, 4, WLM_PAYLOAD_FULL};
    static const wlm_hide policies[] = {WLM_HIDE_NONE, WLM_HIDE_IDS, WLM_HIDE_IMPLICIT, WLM_HIDE_SHAPE};
    const wlmi_wish wish = {.unit = WLM_UNIT_INHERIT, .hide = WLM_HIDE_IDS, .payload = WLM_PAYLOAD_INHERIT};
    wlm_model *model = plain_model();
    wlmi_view view;
    wlm_error error;
    (void)state;
    assert_ok(wlmi_query_view(model, &wish, &view, &error), &error);
    for (int i = 0; i < 12; i++)
        for (view.context = WLMI_MIN_CONTEXT; view.context < 800; view.context = view.context * 3 / 2 + 1)
            for (view.max_packets = 0; view.max_packets < 4; view.max_packets++) {
                view.hide = policies[i / 3];
                view.payload = payloads[i % 3];
                compare_prefix(model, &view);
            }
    wlm_model_free(model);
}

static void every_failed_allocation_is_a_status(void **state)
{
    static kept k;
    wlm_model *model = plain_model();
    wlm_classify_options options = wlm_classify_options_default();
    wlm_classify_report report;
    wlm_error error;
    (void)state;
    test_capture_file(test_path("i.pcap"), WLM_FORMAT_PCAP);
    options.write = test_path("i.pcapng");
    options.tasks = "all";
    for (options.every = 0; options.every < 6; options.every += 3) {
        wlm_status status = WLM_ERR_MEMORY;
        for (uint64_t n = 1; status != WLM_OK; n++) {
            wlmi_alloc_fail_at(n);
            status = classify(model, test_path("i.pcap"), options, &k, &report, &error);
            wlmi_alloc_fail_at(0);
            assert_true(status == WLM_OK || status == WLM_ERR_MEMORY);
        }
    }
    wlm_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flow_once),
        cmocka_unit_test(flows_are_described),
        cmocka_unit_test(the_same_twice),
        cmocka_unit_test(several_tasks_a_threshold_and_few_packets),
        cmocka_unit_test(a_foreign_policy_needs_force),
        cmocka_unit_test(damage_ends_a_file_but_not_the_run),
        cmocka_unit_test(a_stop_labels_what_is_open),
        cmocka_unit_test(labels_become_packet_comments),
        cmocka_unit_test(labels_on_the_way),
        cmocka_unit_test(early_labels),
        cmocka_unit_test(packet_by_packet_is_the_classify_prompt),
        cmocka_unit_test(every_failed_allocation_is_a_status),
    };
    return cmocka_run_group_tests_name("classify", tests, NULL, NULL);
}
