/* test_recompute.c: what backward makes anew: the same gradients, less memory, and no more than a token's share of it. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/params.h"
#include "model/workspace.h"
#include "support/model.h"

static const char *const kinds[] = {"netgpt-nano", "trafficgpt-nano", "mixed", "wire-nano", "reversible"};
enum { KINDS = sizeof kinds / sizeof *kinds };
static const int lengths[] = {70, 1, 9, 64, 0};

/* Loss and gradient of a net of this kind, new each time. */
static double gradient_of(const char *kind, const wlmi_backend *backend, int recompute, int layers, uint64_t seed,
                          char **grad, size_t *count)
{
    wlmi_config config = test_config(kind);
    wlmi_net *net;
    test_batch b;
    wlmi_loss loss;
    wlm_error error;
    static const char *const labels[] = {"dns", "ssh"};
    config.layers = layers;
    assert_ok(wlmi_net_new(&net, &config, backend, 1, &error), &error);
    assert_ok(wlmi_net_add_task(net, "app", labels, 2, 1, &error), &error);
    assert_ok(wlmi_net_train_memory(net, &error), &error);
    net->recompute = recompute;
    backend->zero(net->grad, net->count);
    test_batch_fill(&b, net, lengths, seed);
    for (int twice = 0; twice < 2; twice++) { /* the second adds to the first, in memory that is no longer new */
        assert_ok(wlmi_net_forward(net, &b.batch, &loss, &error), &error);
        assert_ok(wlmi_net_backward(net, &b.batch, &error), &error);
    }
    *count = net->count;
    *grad = malloc(net->count * backend->real_size);
    memcpy(*grad, net->grad, net->count * backend->real_size);
    wlmi_net_free(net);
    return loss.tokens + loss.labels;
}

static void expect_same(const char *kind, const wlmi_backend *backend, int layers, uint64_t seed)
{
    char *plain, *again;
    size_t count;
    const double loss = gradient_of(kind, backend, 0, layers, seed, &plain, &count);
    assert_true(loss == gradient_of(kind, backend, 1, layers, seed, &again, &count));
    assert_memory_equal(plain, again, count * backend->real_size);
    free(plain);
    free(again);
}

static void recomputed_gradients_are_the_same_bits(void **state)
{
    const wlmi_backend *const backends[] = {&wlmi_backend_ref64, &wlmi_backend_ref, wlmi_backend_find("cpu")};
    (void)state;
    for (size_t k = 0; k < KINDS * 3; k++)
        expect_same(kinds[k / 3], backends[k % 3], 3, 5);
}

/* Streams that are had back a bit off give other gradients altogether 24 layers on, with one batch in two. */
static void streams_of_many_layers_come_back_exactly(void **state)
{
    const wlmi_backend *const backends[] = {&wlmi_backend_ref64, &wlmi_backend_ref, wlmi_backend_find("cpu")};
    (void)state;
    for (uint64_t seed = 5; seed < 15; seed++)
        for (size_t i = seed < 7 ? 0 : 2; i < 3; i++)
            expect_same("reversible", backends[i], 24, seed);
}

static wlmi_net *preset_net(const char *preset, int reversible)
{
    wlmi_config config;
    wlmi_net *net;
    wlm_error error;
    assert_ok(wlmi_config_preset(&config, preset, &error), &error);
    config.vocabulary = 512;
    config.reversible = reversible;
    assert_ok(wlmi_net_new(&net, &config, wlmi_backend_find("cpu"), 1, &error), &error);
    assert_ok(wlmi_net_train_memory(net, &error), &error);
    return net;
}

static void memory_grows_with_length_and_no_faster(void **state)
{
    static const char *const presets[] = {"wire-nano", "wire-tiny", "trafficgpt-nano", "netgpt-nano"};
    (void)state;
    for (size_t i = 0; i < 2 * sizeof presets / sizeof *presets; i++) {
        wlmi_net *net = preset_net(presets[i / 2], i % 2);
        for (net->recompute = 0; net->recompute < 2; net->recompute++)
            for (int tokens = 1024; tokens < 1 << 20; tokens *= 2) {
                size_t one = wlmi_workspace_bytes(net, tokens, 1, tokens);
                assert_true(wlmi_workspace_bytes(net, 2 * tokens, 1, 2 * tokens) <= 2 * one + 65536);
            }
        wlmi_net_free(net);
    }
}

/* A layer's own is most of what wire-tiny keeps; it has three. */
static void recompute_takes_two_fifths_of_the_memory(void **state)
{
    const int T = 65536;
    (void)state;
    for (int reversible = 0; reversible < 2; reversible++) {
        wlmi_net *net = preset_net("wire-tiny", reversible);
        size_t all, less;
        net->recompute = 0;
        all = wlmi_workspace_bytes(net, T, 1, T);
        net->recompute = 1;
        less = wlmi_workspace_bytes(net, T, 1, T);
        if ((double)less > 0.4 * (double)all)
            fail_msg("%zu bytes of %zu, reversible %d", less, all, reversible);
        assert_true(2 * less <= (size_t)16 << 30); /* 131,072 tokens */
        wlmi_net_free(net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recomputed_gradients_are_the_same_bits),
        cmocka_unit_test(streams_of_many_layers_come_back_exactly),
        cmocka_unit_test(memory_grows_with_length_and_no_faster),
        cmocka_unit_test(recompute_takes_two_fifths_of_the_memory),
    };
    return cmocka_run_group_tests_name("recompute", tests, NULL, NULL);
}
