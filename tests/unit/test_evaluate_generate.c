/* test_evaluate_generate.c: the report on generated flows tells other real flows, copies and garbled flows apart. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "support/captures.h"
#include "support/support.h"
#include "wirelm_evaluate.h"
#include "task/report_auc.h"

typedef enum flow_kind { SOUND, GARBLED } flow_kind;

typedef struct conversation {
    test_capture capture;
    wlmi_rng rng;
    flow_kind kind;
    test_end end[2];
    uint32_t seq[2];
} conversation;

static void put_tcp(conversation *c, int from, int flags, const void *data, size_t size)
{
    uint32_t own = c->kind == GARBLED && size ? (uint32_t)wlmi_rng_next(&c->rng) : c->seq[from];
    test_packet p = test_tcp_seq(c->end[from], c->end[!from], flags, own, flags & WLMI_TCP_ACK ? c->seq[!from] : 0,
                                 data, size);
    if (c->kind == GARBLED && size)
        p.data[p.size - 1] ^= 0x55; /* behind the checksum's back */
    test_capture_put(&c->capture, &p);
    c->capture.time_ns += (int64_t)wlmi_rng_below(&c->rng, 30000000);
    c->seq[from] += (uint32_t)size + !!(flags & WLMI_TCP_SYN) + !!(flags & WLMI_TCP_FIN);
}

/* `flows` requests and answers of random length and content between the same two hosts. port: of the first client. */
static void flows_file(const char *name, flow_kind kind, uint64_t seed, int flows, int port, const char *line)
{
    enum { ACK = WLMI_TCP_ACK, PUSH = WLMI_TCP_PSH | WLMI_TCP_ACK, END = WLMI_TCP_FIN | WLMI_TCP_ACK };
    conversation c = {.kind = kind, .end = {{"10.1.2.3", 0}, {"93.184.216.34", 80}}};
    wlmi_rng_seed(&c.rng, seed);
    test_capture_begin(&c.capture, name);
    for (int i = 0; i < flows; i++) {
        char request[200];
        uint8_t answer[1200];
        size_t size = 100 + (size_t)wlmi_rng_below(&c.rng, 1000);
        int turns = 1 + (int)wlmi_rng_below(&c.rng, 3), length;
        c.end[0].port = (uint16_t)(port + i);
        c.seq[0] = (uint32_t)wlmi_rng_next(&c.rng);
        c.seq[1] = (uint32_t)wlmi_rng_next(&c.rng);
        put_tcp(&c, 0, WLMI_TCP_SYN, NULL, 0);
        put_tcp(&c, 1, WLMI_TCP_SYN | ACK, NULL, 0);
        put_tcp(&c, 0, ACK, NULL, 0);
        for (int t = 0; t < turns; t++) {
            length = snprintf(request, sizeof request, "GET /%llx HTTP/1.1\r\n%s\r\n\r\n",
                              (unsigned long long)wlmi_rng_next(&c.rng), line);
            put_tcp(&c, 0, PUSH, request, (size_t)length);
            for (size_t b = 0; b < size; b++)
                answer[b] = (uint8_t)wlmi_rng_next(&c.rng);
            put_tcp(&c, 1, PUSH, answer, size);
        }
        put_tcp(&c, 0, END, NULL, 0);
        put_tcp(&c, 1, END, NULL, 0);
        put_tcp(&c, 0, ACK, NULL, 0);
    }
    test_capture_end(&c.capture);
}

static json_t *report(const char *fake, const char *real, const char *train)
{
    const wlm_flow_source f = {fake, NULL}, r = {real, NULL}, t = {train, NULL};
    wlm_evaluate_generate_options options = wlm_evaluate_generate_options_default();
    wlm_error error;
    char *text;
    json_t *root;
    options.fake = &f;
    options.real = &r;
    options.train = &t;
    options.fake_count = options.real_count = 1;
    options.train_count = train != NULL;
    assert_ok(wlm_evaluate_generate(&options, &text, &error), &error);
    root = json_loads(text, 0, NULL);
    assert_non_null(root);
    wlm_text_free(text);
    return root;
}

/* A number by its path of keys below labels.all, "copies.fake.flows_share". */
static double at(json_t *root, const char *path)
{
    json_t *value = json_object_get(json_object_get(root, "labels"), "all");
    char keys[200], *rest = keys, *key;
    snprintf(keys, sizeof keys, "%s", path);
    while ((key = strsep(&rest, ".")))
        value = json_object_get(value, key);
    if (!json_is_number(value))
        fail_msg("no number at %s", path);
    return json_number_value(value);
}

static void other_real_flows_are_as_near_as_chance_allows(void **state)
{
    flows_file("train.pcap", SOUND, 1, 60, 1000, "Accept: */*");
    flows_file("real.pcap", SOUND, 2, 60, 3000, "Accept: */*");
    flows_file("fake.pcap", SOUND, 3, 60, 5000, "Accept: */*");
    json_t *r = report(test_path("fake.pcap"), test_path("real.pcap"), test_path("train.pcap"));
    (void)state;
    assert_true(at(r, "fields.mean") < at(r, "fields.floor") + 0.05);
    assert_true(at(r, "features.mean") < at(r, "features.floor") + 0.08);
    assert_true(at(r, "rhythm.mean_difference") < at(r, "rhythm.floor") + 0.15);
    assert_true(at(r, "discriminator.auc") > 0.3 && at(r, "discriminator.auc") < 0.7);
    assert_true(at(r, "copies.fake.flows_share") == 0);
    assert_true(at(r, "copies.fake.grams_share") < 0.1); /* the fixed parts of requests */
    assert_true(at(r, "validity.faults.any.fake.packets") == 0);
    assert_true(at(r, "validity.tcp_openings.fake.complete") == 60);
    assert_true(at(r, "fields.flows_per_sample") == 30);
    json_decref(r);
}

static void copies_are_found(void **state)
{
    flows_file("train.pcap", SOUND, 1, 40, 1000, "Accept: */*");
    flows_file("real.pcap", SOUND, 2, 40, 3000, "Accept: */*");
    flows_file("fake.pcap", SOUND, 1, 40, 7000, "Accept: */*"); /* other ports, the same words */
    json_t *r = report(test_path("fake.pcap"), test_path("real.pcap"), test_path("train.pcap"));
    (void)state;
    assert_true(at(r, "copies.fake.flows_share") == 1);
    assert_true(at(r, "copies.fake.grams_share") == 1);
    assert_true(at(r, "copies.real.flows_share") == 0);
    assert_true(fabs(at(r, "features.mean") - at(r, "features.copy_of_training")) < 0.05);
    json_decref(r);
}

static void garbled_flows_are_told(void **state)
{
    flows_file("train.pcap", SOUND, 1, 40, 1000, "Accept: */*");
    flows_file("real.pcap", SOUND, 2, 40, 3000, "Accept: */*");
    flows_file("fake.pcap", GARBLED, 3, 40, 5000, "Accept: text/html,application/xhtml+xml,application/xml;q=0.9");
    json_t *r = report(test_path("fake.pcap"), test_path("real.pcap"), test_path("train.pcap"));
    (void)state;
    assert_true(at(r, "validity.faults.transport_checksum.fake.flow_share") == 1);
    assert_true(at(r, "validity.faults.tcp_sequence.fake.flow_share") == 1);
    assert_true(at(r, "validity.faults.ip_checksum.fake.packets") == 0);
    assert_true(at(r, "validity.faults.any.real.packets") == 0);
    assert_true(at(r, "discriminator.auc") > 0.95);
    assert_true(at(r, "fields.columns.length.jsd") > at(r, "fields.columns.length.floor") + 0.05);
    json_decref(r);
}

static void identifiers_from_training_are_named(void **state)
{
    flows_file("train.pcap", SOUND, 1, 5, 1000,
               "Host: Nas.Example.Org:8080\r\nAuthorization: Basic c2VjcmV0\r\nX: 10.9.8.7");
    flows_file("real.pcap", SOUND, 2, 5, 3000, "Host: other.example.org\r\nX: 192.0.2.77");
    flows_file("fake.pcap", SOUND, 3, 5, 5000, "Host: nas.example.org\r\nAuthorization: Basic c2VjcmV0\r\nX: 10.9.8.7");
    json_t *r = report(test_path("fake.pcap"), test_path("real.pcap"), test_path("train.pcap"));
    (void)state;
    assert_true(at(r, "identifiers.names.fake.from_training") == 1);
    assert_true(at(r, "identifiers.names.real.distinct") == 1);
    assert_true(at(r, "identifiers.names.real.from_training") == 0);
    assert_true(at(r, "identifiers.credentials.fake.from_training") == 1);
    assert_true(at(r, "identifiers.credentials.real.distinct") == 0);
    assert_true(at(r, "identifiers.addresses.fake.from_training") == 3);
    assert_true(at(r, "identifiers.addresses.real.distinct") == 2); /* documentation addresses are nobody's */
    json_decref(r);
}

static void nothing_to_compare_is_refused(void **state)
{
    const wlm_flow_source one = {test_path("real.pcap"), NULL};
    wlm_evaluate_generate_options options = wlm_evaluate_generate_options_default();
    const char *label = "none-such";
    wlm_error error;
    char *text;
    (void)state;
    flows_file("real.pcap", SOUND, 2, 1, 3000, "");
    options.fake = options.real = &one;
    options.fake_count = 1;
    assert_int_equal(wlm_evaluate_generate(&options, &text, &error), WLM_ERR_ARGUMENT);
    assert_null(text);
    options.real_count = 1;
    assert_ok(wlm_evaluate_generate(&options, &text, &error), &error); /* one flow against itself */
    wlm_text_free(text);
    options.labels = &label;
    options.label_count = 1;
    assert_ok(wlm_evaluate_generate(&options, &text, &error), &error); /* flows without a label are of any */
    wlm_text_free(text);
}

static void a_failed_allocation_leaks_nothing(void **state)
{
    const wlm_flow_source one = {test_path("real.pcap"), "a"};
    wlm_evaluate_generate_options options = wlm_evaluate_generate_options_default();
    wlm_error error;
    wlm_status status;
    char *text;
    (void)state;
    flows_file("real.pcap", SOUND, 2, 6, 3000, "Host: a.example.org");
    options.fake = options.real = options.train = &one;
    options.fake_count = options.real_count = options.train_count = 1;
    for (uint64_t k = 1;; k += 1 + k / 8) {
        wlmi_alloc_fail_at(k);
        status = wlm_evaluate_generate(&options, &text, &error);
        wlmi_alloc_fail_at(0);
        if (status == WLM_OK)
            break;
        assert_int_equal(status, WLM_ERR_MEMORY);
        assert_null(text);
    }
    wlm_text_free(text);
}

static void auc_counts_pairs(void **state)
{
    wlmi_scored clear[] = {{0.9f, 1}, {0.1f, 0}, {0.8f, 1}, {0.2f, 0}};
    wlmi_scored tied[] = {{0.5f, 1}, {0.5f, 0}, {0.5f, 0}};
    wlmi_scored mixed[] = {{3, 1}, {2, 0}, {1, 1}, {0, 0}}; /* 3 of 4 pairs */
    (void)state;
    assert_true(wlmi_auc(clear, 4) == 1);
    assert_true(wlmi_auc(tied, 3) == 0.5);
    assert_true(wlmi_auc(mixed, 4) == 0.75);
    assert_true(wlmi_auc(mixed, 1) != wlmi_auc(mixed, 1)); /* NaN */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_real_flows_are_as_near_as_chance_allows),
        cmocka_unit_test(copies_are_found),
        cmocka_unit_test(garbled_flows_are_told),
        cmocka_unit_test(identifiers_from_training_are_named),
        cmocka_unit_test(nothing_to_compare_is_refused),
        cmocka_unit_test(a_failed_allocation_leaks_nothing),
        cmocka_unit_test(auc_counts_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
