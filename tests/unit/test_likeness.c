/* test_likeness.c: a forest between training flows and sampled ones gives better odds to what is like training. */
#include "support/support.h"

#include <string.h>

#include "base/alloc.h"
#include "support/captures.h"
#include "task/likeness.h"

static const test_end client = {"192.0.2.7", 40000}, server = {"198.51.100.9", 53};

/* A flow of UDP packets there and back, a millisecond apart, of the sizes that test_capture_udp() gives them. */
static wlm_status keep_flow(wlmi_packet_list *list, int packets, wlm_error *error)
{
    wlmi_packet_list_cut(list, 0);
    for (int i = 0; i < packets; i++) {
        const test_packet ip = i % 2 ? test_udp(server, client, "pong!", 5) : test_udp(client, server, "ping", 4);
        const wlm_packet packet = test_view(&ip, WLMI_LINK_RAW, INT64_C(1000000) * i);
        WLMI_TRY(wlmi_packet_list_add(list, &packet, error));
    }
    return WLM_OK;
}

/* Questions, each with an answer, from so many ports. */
static void write_training(int flows)
{
    test_capture c;
    test_capture_begin(&c, "train.pcap");
    for (int i = 0; i < flows; i++)
        test_capture_udp(&c, (test_end){client.address, (uint16_t)(40000 + i)}, server, 1);
    test_capture_end(&c);
}

/* Of a forest that has seen sampled flows of 2 and of 6 packets, as many of either, and training. */
static wlm_status learn(wlmi_likeness **likeness, wlm_error *error)
{
    const char *const path = test_path("train.pcap");
    wlmi_packet_list list = {0};
    wlm_status status = wlmi_likeness_new(likeness, &path, 1, NULL, 1, error);
    for (int i = 0; status == WLM_OK && i < 60; i++) {
        status = keep_flow(&list, i % 2 ? 2 : 6, error);
        if (status == WLM_OK)
            status = wlmi_likeness_show(*likeness, &list, error);
    }
    if (status == WLM_OK)
        status = wlmi_likeness_learn(*likeness, error);
    wlmi_packet_list_free(&list);
    return status;
}

/* weight [2] of a flow of 2 packets, and of 6, which is of the last size. */
static wlm_status weigh_two(double *weight, wlm_error *error)
{
    int stratum;
    wlmi_packet_list list = {0};
    wlmi_likeness *likeness;
    wlm_status status = learn(&likeness, error);
    for (int i = 0; status == WLM_OK && i < 2; i++) {
        status = keep_flow(&list, i ? 6 : 2, error);
        if (status == WLM_OK)
            status = wlmi_likeness_weigh(likeness, &list, &weight[i], &stratum, error);
        if (status == WLM_OK)
            assert_int_equal(stratum, i ? WLMI_LIKENESS_SIZES - 1 : 0);
    }
    if (status == WLM_OK)
        assert_true(wlmi_likeness_shares(likeness)[0] > 1 - 1e-9); /* training flows have 2 packets all */
    wlmi_likeness_free(likeness);
    wlmi_packet_list_free(&list);
    return status;
}

static void what_is_like_training_weighs_more(void **state)
{
    double weight[2], again[2];
    wlm_error error;
    (void)state;
    write_training(60);
    assert_ok(weigh_two(weight, &error), &error);
    assert_true(weight[0] > 1 && weight[1] > 0 && weight[1] < 0.1);
    assert_ok(weigh_two(again, &error), &error);
    assert_memory_equal(weight, again, sizeof weight);
}

/* One question: a training flow's, or one byte off. */
static wlm_status weigh_question(const wlmi_likeness *likeness, const char *question, double *weight, wlm_error *error)
{
    const test_packet ip = test_udp(client, server, question, (uint32_t)strlen(question));
    const wlm_packet packet = test_view(&ip, WLMI_LINK_RAW, 0);
    wlmi_packet_list list = {0};
    int stratum;
    wlm_status status = wlmi_packet_list_add(&list, &packet, error);
    if (status == WLM_OK)
        status = wlmi_likeness_weigh(likeness, &list, weight, &stratum, error);
    wlmi_packet_list_free(&list);
    return status;
}

static void what_training_said_weighs_nothing(void **state)
{
    static const char question[] = "is anybody there?", other[] = "is anybody here?";
    test_capture c;
    wlmi_likeness *likeness;
    double weight;
    wlm_error error;
    (void)state;
    test_capture_begin(&c, "train.pcap");
    for (uint16_t i = 0; i < 30; i++) {
        const test_packet ip = test_udp((test_end){client.address, (uint16_t)(40000 + i)}, server, question,
                                        sizeof question - 1);
        test_capture_put(&c, &ip);
    }
    test_capture_end(&c);
    assert_ok(learn(&likeness, &error), &error);
    assert_ok(weigh_question(likeness, question, &weight, &error), &error);
    assert_true(weight == 0);
    assert_ok(weigh_question(likeness, other, &weight, &error), &error);
    assert_true(weight > 0);
    wlmi_likeness_free(likeness);
}

/* TCP packets there and back with these flags, 0 behind the last. */
static int stratum_of_connection(const wlmi_likeness *likeness, const int *flags)
{
    wlmi_packet_list list = {0};
    double weight;
    int stratum;
    wlm_error error;
    for (int i = 0; flags[i]; i++) {
        const test_packet ip = i % 2 ? test_tcp(server, client, flags[i], NULL, 0) : test_tcp(client, server, flags[i], NULL, 0);
        const wlm_packet packet = test_view(&ip, WLMI_LINK_RAW, INT64_C(1000000) * i);
        assert_ok(wlmi_packet_list_add(&list, &packet, &error), &error);
    }
    assert_ok(wlmi_likeness_weigh(likeness, &list, &weight, &stratum, &error), &error);
    wlmi_packet_list_free(&list);
    return stratum;
}

static void strata_tell_how_connections_begin_and_end(void **state)
{
    enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };
    static const int ways[][7] = {{ACK, ACK}, {SYN, SYN | ACK, ACK}, {SYN, SYN | ACK, FIN | ACK, FIN | ACK, ACK},
                                  {SYN, SYN | ACK, RST}, {SYN, SYN | ACK, FIN | ACK, FIN | ACK, RST},
                                  {FIN | ACK, FIN | ACK, ACK}, {ACK, RST}, {FIN | ACK, FIN | ACK, RST},
                                  {SYN}, {SYN, RST | ACK}};
    enum { WAYS = sizeof ways / sizeof *ways };
    int stratum[WAYS];
    wlmi_likeness *likeness;
    wlm_error error;
    (void)state;
    write_training(60);
    assert_ok(learn(&likeness, &error), &error);
    for (int i = 0; i < WAYS; i++) {
        stratum[i] = stratum_of_connection(likeness, ways[i]);
        assert_true(stratum[i] >= WLMI_LIKENESS_SIZES && stratum[i] < WLMI_LIKENESS_STRATA); /* the first are not TCP */
        for (int j = 0; j < i; j++)
            assert_true(stratum[i] / WLMI_LIKENESS_SIZES != stratum[j] / WLMI_LIKENESS_SIZES);
    }
    wlmi_likeness_free(likeness);
}

static void few_flows_are_nothing_to_be_like(void **state)
{
    double weight[2];
    wlm_error error;
    (void)state;
    write_training(WLMI_LIKENESS_LEAST - 1);
    assert_int_equal(weigh_two(weight, &error), WLM_ERR_ARGUMENT);
    assert_non_null(strstr(error.cause, "too few"));
}

static void every_failed_allocation_is_a_status(void **state)
{
    double weight[2];
    wlm_error error;
    wlm_status status = WLM_ERR_MEMORY;
    (void)state;
    write_training(30);
    for (uint64_t k = 1; status != WLM_OK; k += 1 + k / 8) {
        wlmi_alloc_fail_at(k);
        status = weigh_two(weight, &error);
        wlmi_alloc_fail_at(0);
        assert_true(status == WLM_OK || status == WLM_ERR_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_like_training_weighs_more),
        cmocka_unit_test(what_training_said_weighs_nothing),
        cmocka_unit_test(strata_tell_how_connections_begin_and_end),
        cmocka_unit_test(few_flows_are_nothing_to_be_like),
        cmocka_unit_test(every_failed_allocation_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
