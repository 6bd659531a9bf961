/* test_bits.c: what captures cost a model: against a uniform guess over the grammar, and whole under any context. */
#include "support/captures.h"
#include "support/model.h"
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "task/bits.h"

enum { FLOWS = 12 };

static wlmi_dataset *data;

static int make(void **state)
{
    wlm_import_options options = wlm_import_options_default();
    static const char *paths[1];
    test_capture c;
    (void)state;
    paths[0] = test_path("flows.pcap");
    options.paths = paths;
    options.path_count = 1;
    test_capture_begin(&c, "flows.pcap");
    for (int i = 0; i < FLOWS; i++) {
        const test_end client = {"10.0.0.1", (uint16_t)(1000 + i)}, server = {"10.0.0.9", 53};
        static const char text[] = "a question that is longer than the shortest context of a model";
        for (int j = 0; j <= i % 4; j++) {
            test_packet p = j % 2 ? test_udp(server, client, "answer", 6) : test_udp(client, server, text, sizeof text);
            test_capture_put(&c, &p);
        }
    }
    test_capture_end(&c);
    options.part = WLM_PART_VAL;
    data = test_import(&options, NULL, NULL);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    wlmi_dataset_close(data);
    return 0;
}

static wlmi_net *net_for(const wlmi_codec *codec)
{
    wlmi_config config = test_config("mixed");
    wlmi_net *net;
    wlm_error error;
    config.vocabulary = (int)codec->vocabulary;
    config.role_rows = (int)codec->roles + 1;
    assert_ok(wlmi_net_new(&net, &config, &wlmi_backend_ref, 1, &error), &error);
    return net;
}

static wlmi_bits measure(wlmi_net *net, const wlmi_codec *codec, int context, uint64_t bytes)
{
    const wlmi_bits_options options = {.part = WLM_PART_VAL, .seed = 1, .bytes = bytes, .tokens = 2048};
    wlmi_view view = wlmi_view_default(codec);
    wlmi_bits bits;
    wlm_error error;
    view.context = context;
    view.hide = WLM_HIDE_NONE;
    assert_ok(wlmi_bits_measure(&bits, net, &view, (const wlmi_dataset *const *)&data, 1, &options, &error), &error);
    return bits;
}

/* log2 of how many tokens are allowed, over all flows' tokens. */
static double uniform_bits(const wlmi_codec *codec)
{
    wlmi_coder *writer, *reader;
    wlmi_tokens tokens = {0};
    wlm_error error;
    double bits = 0;
    assert_ok(codec->make(&writer, &error), &error);
    assert_ok(codec->make(&reader, &error), &error);
    for (uint64_t i = 0; i < wlmi_dataset_flows(data); i++) {
        wlmi_coder_options options = {0};
        wlmi_shard_flow flow;
        wlmi_dataset_flow(data, i, &flow);
        tokens.count = 0;
        for (uint64_t j = 0; j < flow.packets; j++) {
            wlm_packet packet;
            assert_ok(wlmi_dataset_packet(data, i, j, &packet, &error), &error);
            options.start_ns = j ? options.start_ns : packet.time_ns;
            if (j == 0)
                codec->start(writer, &options);
            assert_ok(codec->encode(writer, &packet, &tokens, &error), &error);
        }
        assert_ok(codec->encode_end(writer, wlmi_end_of(flow.end), &tokens, &error), &error);
        codec->start(reader, &options);
        for (size_t t = 0; t < tokens.count; t++) {
            wlmi_allowed allowed;
            wlmi_pushed what;
            int ways = 0;
            codec->allowed(reader, &allowed);
            for (uint32_t v = 0; v < codec->vocabulary; v++)
                ways += wlmi_is_allowed(&allowed, (wlmi_token)v);
            bits += log2(ways);
            assert_ok(codec->push(reader, tokens.token[t], &what, &error), &error);
        }
    }
    wlmi_tokens_free(&tokens);
    codec->drop(writer);
    codec->drop(reader);
    return bits;
}

static void a_model_that_knows_nothing_pays_for_every_way(void **state)
{
    (void)state;
    for (size_t i = 0; wlmi_codec_at(i); i++) {
        const wlmi_codec *codec = wlmi_codec_at(i);
        wlmi_net *net = net_for(codec);
        wlmi_bits bits;
        memset(net->value, 0, net->count * sizeof(float));
        bits = measure(net, codec, 1024, 0);
        assert_true(fabs(wlmi_bits_total(&bits) / uniform_bits(codec) - 1) < 1e-6);
        wlmi_net_free(net);
    }
}

static void every_packet_counts_under_any_context(void **state)
{
    (void)state;
    for (size_t i = 0; wlmi_codec_at(i); i++) {
        const wlmi_codec *codec = wlmi_codec_at(i);
        wlmi_net *net = net_for(codec);
        const wlmi_bits whole = measure(net, codec, 1024, 0), pieces = measure(net, codec, 16, 0);
        assert_int_equal(whole.flows, FLOWS);
        assert_int_equal(whole.pieces, FLOWS);
        assert_int_equal(pieces.flows, whole.flows);
        assert_int_equal(pieces.packets, whole.packets);
        assert_int_equal(pieces.bytes, whole.bytes);
        assert_true(pieces.pieces > 3 * FLOWS);
        assert_true(pieces.tokens >= whole.tokens);
        assert_true(isfinite(wlmi_bits_total(&pieces)));
        wlmi_net_free(net);
    }
}

static void a_budget_takes_the_same_flows_under_any_codec(void **state)
{
    wlmi_net *a = net_for(&wlmi_codec_bytes), *b = net_for(&wlmi_codec_fields);
    const wlmi_bits x = measure(a, &wlmi_codec_bytes, 1024, 500), y = measure(b, &wlmi_codec_fields, 256, 500);
    (void)state;
    assert_true(x.bytes >= 500 && x.flows < FLOWS);
    assert_int_equal(x.bytes, y.bytes);
    assert_int_equal(x.flows, y.flows);
    wlmi_net_free(a);
    wlmi_net_free(b);
}

static void an_empty_part_is_refused(void **state)
{
    wlmi_net *net = net_for(&wlmi_codec_bytes);
    const wlmi_bits_options options = {.part = WLM_PART_TEST, .seed = 1, .tokens = 2048};
    const wlmi_view view = wlmi_view_default(&wlmi_codec_bytes);
    wlmi_bits bits;
    wlm_error error;
    (void)state;
    assert_int_equal(wlmi_bits_measure(&bits, net, &view, (const wlmi_dataset *const *)&data, 1, &options, &error),
                     WLM_ERR_ARGUMENT);
    wlmi_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_that_knows_nothing_pays_for_every_way),
        cmocka_unit_test(every_packet_counts_under_any_context),
        cmocka_unit_test(a_budget_takes_the_same_flows_under_any_codec),
        cmocka_unit_test(an_empty_part_is_refused),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
