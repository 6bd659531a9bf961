/* test_embed.c: each flow has its vector, wherever it was read from and whatever stands beside it; features are what
 * stands in the packets. */
#include "support/captures.h"
#include "support/fixture.h"
#include "support/support.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "task/embedder.h"
#include "task/features.h"
#include "wirelm_export.h"

enum { MOST = 16 };

typedef struct lines { /* of a JSON Lines file */
    json_t *line[MOST];
    size_t count;
} lines;

static lines read_lines(const char *path)
{
    lines l = {{NULL}, 0};
    size_t size;
    char *text = (char *)test_read(path, &size), *end;
    for (char *at = text; at < text + size; at = end + 1) {
        end = memchr(at, '\n', (size_t)(text + size - at));
        assert_non_null(end);
        assert_true(l.count < MOST);
        l.line[l.count] = json_loadb(at, (size_t)(end - at), 0, NULL);
        assert_non_null(l.line[l.count]);
        l.count++;
    }
    free(text);
    return l;
}

static void free_lines(lines *l)
{
    for (size_t i = 0; i < l->count; i++)
        json_decref(l->line[i]);
}

static json_int_t number(const json_t *object, const char *name)
{
    assert_true(json_is_integer(json_object_get(object, name)));
    return json_integer_value(json_object_get(object, name));
}

static const char *text_of(const json_t *object, const char *name)
{
    assert_true(json_is_string(json_object_get(object, name)));
    return json_string_value(json_object_get(object, name));
}

static wlm_model *load(void)
{
    const test_model_options options = {.hide = WLM_HIDE_IDS, .payload = WLM_PAYLOAD_FULL};
    wlm_model *model;
    wlm_error error;
    test_model_file(test_path("model.safetensors"), &options);
    assert_ok(wlm_model_load(&model, test_path("model.safetensors"), 1, &error), &error);
    return model;
}

/* The fixture's capture, read as it is and as an imported folder. */
static void import_fixture(void)
{
    static const char csv[] = "path,label,proto\nflows.pcap,one,6\nflows.pcap,two,17\nflows.pcap,three,1\n";
    wlm_import_options options = wlm_import_options_default();
    wlm_import_report report;
    test_capture_file(test_path("flows.pcap"), WLM_FORMAT_PCAP);
    options.task = "app";
    options.part = WLM_PART_TEST;
    wlmi_dataset_close(test_import(&options, csv, &report));
    assert_int_equal(report.flows, TEST_CAPTURE_FLOWS);
}

static wlm_embed_report embed(wlm_model *model, wlm_embed_options options, const char *capture, const char *folder)
{
    wlm_embed_report report;
    wlm_error error;
    options.paths = capture ? &capture : NULL;
    options.path_count = capture != NULL;
    options.data = folder ? &folder : NULL;
    options.data_count = folder != NULL;
    assert_ok(wlm_embed(model, &options, &report, &error), &error);
    assert_int_equal(report.flows, TEST_CAPTURE_FLOWS);
    return report;
}

static int same_vectors(const json_t *a, const json_t *b)
{
    const json_t *x = json_object_get(a, "vector"), *y = json_object_get(b, "vector");
    assert_true(json_array_size(x) > 0);
    return json_equal(x, y);
}

static void captures_and_folders_give_the_same_vectors(void **state)
{
    wlm_model *model = load();
    (void)state;
    import_fixture();
    for (wlm_pool pool = WLM_POOL_MEAN; pool <= WLM_POOL_ASK; pool++) {
        wlm_embed_options options = wlm_embed_options_default();
        lines a, b;
        options.pool = pool;
        options.out = test_path("a.jsonl");
        embed(model, options, test_path("flows.pcap"), NULL);
        options.out = test_path("b.jsonl");
        embed(model, options, NULL, test_path("import"));
        a = read_lines(test_path("a.jsonl"));
        b = read_lines(test_path("b.jsonl"));
        assert_int_equal(a.count, TEST_CAPTURE_FLOWS);
        assert_int_equal(b.count, TEST_CAPTURE_FLOWS);
        for (size_t i = 0, found; i < a.count; i++) {
            found = 0;
            for (size_t j = 0; j < b.count; j++)
                found += !strcmp(text_of(a.line[i], "community_id"), text_of(b.line[j], "community_id")) &&
                         same_vectors(a.line[i], b.line[j]);
            assert_int_equal(found, 1);
            assert_int_equal(number(a.line[i], "flow_id"), i + 1);
            assert_null(json_object_get(a.line[i], "label"));
            assert_string_equal(text_of(b.line[i], "part"), "test");
            assert_string_equal(text_of(b.line[i], "label"), number(b.line[i], "proto") == 6    ? "one"
                                                             : number(b.line[i], "proto") == 17 ? "two"
                                                                                                : "three");
            assert_false(i && same_vectors(a.line[i], a.line[i - 1]));
        }
        free_lines(&a);
        free_lines(&b);
    }
    wlm_model_free(model);
}

static void an_array_has_a_row_for_each_line_of_its_index(void **state)
{
    wlm_embed_options options = wlm_embed_options_default();
    wlm_model *model = load();
    wlm_embed_report report;
    lines json, index;
    uint8_t *npy;
    char shape[64];
    size_t size;
    (void)state;
    import_fixture();
    options.out = test_path("v.jsonl");
    embed(model, options, test_path("flows.pcap"), NULL);
    options.out = test_path("v.npy");
    report = embed(model, options, test_path("flows.pcap"), NULL);
    json = read_lines(test_path("v.jsonl"));
    index = read_lines(test_path("v.npy.jsonl"));
    npy = test_read(test_path("v.npy"), &size);
    assert_int_equal(size, 128 + 4 * TEST_CAPTURE_FLOWS * report.width);
    assert_memory_equal(npy, "\x93NUMPY\x01\x00\x76\x00", 10);
    snprintf(shape, sizeof shape, "'shape': (%d, %d)", TEST_CAPTURE_FLOWS, report.width);
    npy[127] = 0;
    assert_non_null(strstr((char *)npy + 10, shape));
    assert_int_equal(index.count, TEST_CAPTURE_FLOWS);
    for (size_t i = 0; i < index.count; i++) {
        const json_t *vector = json_object_get(json.line[i], "vector");
        assert_int_equal(number(index.line[i], "flow_id"), number(json.line[i], "flow_id"));
        assert_null(json_object_get(index.line[i], "vector"));
        assert_int_equal(json_array_size(vector), report.width);
        for (size_t d = 0; d < (size_t)report.width; d++) {
            float value;
            memcpy(&value, npy + 128 + 4 * (i * (size_t)report.width + d), sizeof value);
            assert_true(isfinite(value));
            assert_true(fabs(json_real_value(json_array_get(vector, d)) / (double)value - 1) < 1e-6);
        }
    }
    free_lines(&json);
    free_lines(&index);
    free(npy);
    wlm_model_free(model);
}

/* ---------------------------------------------------------------- against the slow way */

typedef struct mean {
    double expected[4096];
    int width, calls;
} mean;

static void compare(void *owner, uint64_t name, const float *vector)
{
    mean *m = owner;
    assert_int_equal(name, 77);
    m->calls++;
    for (int d = 0; d < m->width; d++)
        assert_true(fabs((double)vector[d] - m->expected[d]) < 1e-5);
}

/* States of all rows, asked for row by row, averaged over the flow's tokens. */
static void the_mean_is_over_the_tokens_alone(void **state)
{
    static mean m;
    wlm_model *model = load();
    wlmi_view view = wlmi_view_default(model->codec);
    const wlmi_embedder_options options = {.pool = WLM_POOL_MEAN, .embedded = compare, .owner = &m};
    wlmi_embedder *embedder;
    wlmi_prefix prefix = {.encoder = NULL};
    wlmi_rows rows = {0};
    wlmi_batch batch;
    test_packet packet[TEST_CAPTURE_PACKETS];
    int64_t time_ns[TEST_CAPTURE_PACKETS];
    wlm_flow_key key = {.addr_len = 4};
    wlm_packet first;
    wlm_error error;
    float *states;
    (void)state;
    test_capture_packets(packet, time_ns);
    first = test_view(&packet[0], 1, time_ns[0]);
    view.context = model->net->config.context;
    assert_ok(wlmi_embedder_new(&embedder, model, &view, &options, &error), &error);
    assert_ok(wlmi_embedder_packet(embedder, &prefix, &key, &first, &error), &error);
    assert_ok(wlmi_prefix_rows(&prefix, model->codec, 0, 1 + prefix.tokens.count, &rows, &error), &error);
    batch = wlmi_rows_batch(&rows);
    m.width = model->net->config.width;
    states = calloc((size_t)m.width, sizeof *states);
    for (int32_t t = 1; t < rows.tokens; t++) {
        assert_ok(wlmi_net_hidden(model->net, &batch, &t, 1, states, &error), &error);
        for (int d = 0; d < m.width; d++)
            m.expected[d] += (double)states[d] / (rows.tokens - 1);
    }
    assert_ok(wlmi_embedder_add(embedder, &prefix, 77, &error), &error);
    assert_ok(wlmi_embedder_run(embedder, &error), &error);
    assert_int_equal(m.calls, 1);
    free(states);
    wlmi_rows_free(&rows);
    wlmi_embedder_free(embedder);
    wlm_model_free(model);
}

static void what_makes_no_sense_is_refused(void **state)
{
    wlm_embed_options options = wlm_embed_options_default();
    wlm_model *model = load();
    const char *path = test_path("absent.pcap");
    wlm_error error;
    (void)state;
    options.out = test_path("v.jsonl");
    assert_int_equal(wlm_embed(model, &options, NULL, &error), WLM_ERR_ARGUMENT);
    options.data = options.paths = &path;
    options.data_count = options.path_count = 1;
    assert_int_equal(wlm_embed(model, &options, NULL, &error), WLM_ERR_ARGUMENT);
    options.data_count = 0;
    assert_int_equal(wlm_embed(model, &options, NULL, &error), WLM_ERR_IO);
    options.hide = WLM_HIDE_NONE;
    assert_int_equal(wlm_embed(model, &options, NULL, &error), WLM_ERR_REFUSED);
    wlm_model_free(model);
}

static void every_allocation_may_fail(void **state)
{
    wlm_embed_options options = wlm_embed_options_default();
    wlm_model *model = load();
    const char *path = test_path("flows.pcap");
    wlm_error error;
    uint64_t allocations;
    (void)state;
    import_fixture();
    options.paths = &path;
    options.path_count = 1;
    options.out = test_path("v.npy");
    assert_ok(wlm_embed(model, &options, NULL, &error), &error); /* the model keeps its working memory */
    wlmi_alloc_fail_at(0);
    assert_ok(wlm_embed(model, &options, NULL, &error), &error);
    allocations = wlmi_alloc_count();
    for (uint64_t k = 1; k <= allocations; k++) {
        wlmi_alloc_fail_at(k);
        assert_int_equal(wlm_embed(model, &options, NULL, &error), WLM_ERR_MEMORY);
    }
    wlmi_alloc_fail_at(0);
    assert_ok(wlm_embed(model, &options, NULL, &error), &error);
    wlm_model_free(model);
}

/* ---------------------------------------------------------------- features */

static lines features(wlm_hide hide, uint32_t payload)
{
    wlm_features_options options = wlm_features_options_default();
    const char *folder = test_path("import");
    wlm_error error;
    options.data = &folder;
    options.data_count = 1;
    options.hide = hide;
    options.payload = payload;
    options.out = test_path("features.jsonl");
    assert_ok(wlm_features(&options, NULL, &error), &error);
    return read_lines(test_path("features.jsonl"));
}

static json_int_t element(const json_t *flow, const char *name, size_t i)
{
    return json_integer_value(json_array_get(json_object_get(flow, name), i));
}

/* A TCP flow of two exchanges, 11 packets, and a UDP flow of one, written by hand in support/captures.c. */
static void features_are_what_stands_in_the_packets(void **state)
{
    wlm_import_options options = wlm_import_options_default();
    wlm_import_report report;
    lines l;
    (void)state;
    test_capture_two("two.pcap", 40000);
    options.task = "app";
    wlmi_dataset_close(test_import(&options, "path,label,proto\ntwo.pcap,one,6\ntwo.pcap,two,17\n", &report));
    l = features(WLM_HIDE_NONE, WLM_PAYLOAD_FULL);
    assert_int_equal(l.count, 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *f = l.line[i];
        size_t packets = (size_t)number(f, "packets");
        const int tcp = number(f, "proto") == 6;
        assert_int_equal(packets, tcp ? 11 : 2);
        assert_string_equal(text_of(f, "label"), tcp ? "one" : "two");
        assert_int_equal(json_array_size(json_object_get(f, "time")), packets);
        assert_int_equal(json_array_size(json_object_get(f, "options")), packets);
        assert_int_equal(element(f, "backward", 0), 0);
        assert_int_equal(element(f, "backward", 1), 1);
        assert_int_equal(element(f, "flags", 0), tcp ? WLMI_TCP_SYN : 0);
        assert_int_equal(element(f, "flags", 1), tcp ? WLMI_TCP_SYN | WLMI_TCP_ACK : 0);
        assert_int_equal(number(f, "src_port"), tcp ? 40000 : 40001);
        assert_int_equal(number(f, "link_type"), 1);
        assert_true(json_real_value(json_array_get(json_object_get(f, "time"), 1)) > 0.0009);
        for (size_t p = 0, both = 0; p < packets; p++) {
            both += (size_t)element(f, "payload", p);
            if (p + 1 == packets)
                assert_int_equal(strlen(text_of(f, "bytes")) / 2, both < 128 ? both : 128);
        }
        assert_int_equal(strlen(text_of(f, "bytes")),
                         strlen(text_of(f, "bytes_forward")) + strlen(text_of(f, "bytes_backward")));
    }
    free_lines(&l);
}

static void hidden_features_hold_no_shortcut(void **state)
{
    lines l;
    (void)state;
    l = features(WLM_HIDE_IDS, 4);
    for (size_t i = 0; i < l.count; i++) {
        assert_null(json_object_get(l.line[i], "clock_ns"));
        assert_null(json_object_get(l.line[i], "src"));
        assert_true(strlen(text_of(l.line[i], "bytes")) <= 2 * 4 * (size_t)number(l.line[i], "packets"));
    }
    free_lines(&l);
    l = features(WLM_HIDE_SHAPE, WLM_PAYLOAD_FULL);
    for (size_t i = 0; i < l.count; i++) {
        assert_string_equal(text_of(l.line[i], "bytes"), "");
        assert_int_equal(element(l.line[i], "ttl", 0), 64);
        assert_int_equal(element(l.line[i], "flags", 0), 0);
        assert_true(element(l.line[i], "payload", 0) > 0);
    }
    free_lines(&l);
}

static void options_of_tcp_are_named_in_order(void **state)
{
    static const uint8_t syn[] = {0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0xa0, 2, 0xfa, 0xf0, 0, 0, 0, 0,
                                  2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7};
    const test_end client = {"192.0.2.7", 0}, server = {"198.51.100.9", 0};
    const test_packet packet = test_ip(client, server, 6, syn, sizeof syn);
    wlm_import_options options = wlm_import_options_default();
    wlm_import_report report;
    test_capture capture;
    lines l;
    (void)state;
    test_capture_begin(&capture, "syn.pcap");
    test_capture_put(&capture, &packet);
    test_capture_end(&capture);
    options.task = "app";
    wlmi_dataset_close(test_import(&options, "path,label\nsyn.pcap,one\n", &report));
    l = features(WLM_HIDE_IDS, WLM_PAYLOAD_FULL);
    assert_int_equal(l.count, 1);
    assert_string_equal(json_string_value(json_array_get(json_object_get(l.line[0], "options"), 0)), "2 4 8 1 3");
    assert_int_equal(element(l.line[0], "segment_size", 0), 1460);
    assert_int_equal(element(l.line[0], "segment_size", 1), 0);
    assert_int_equal(element(l.line[0], "window_scale", 0), 7);
    assert_int_equal(element(l.line[0], "window_scale", 1), -1);
    assert_int_equal(element(l.line[0], "window", 0), 0xfaf0);
    free_lines(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captures_and_folders_give_the_same_vectors),
        cmocka_unit_test(an_array_has_a_row_for_each_line_of_its_index),
        cmocka_unit_test(the_mean_is_over_the_tokens_alone),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(features_are_what_stands_in_the_packets),
        cmocka_unit_test(hidden_features_hold_no_shortcut),
        cmocka_unit_test(options_of_tcp_are_named_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
