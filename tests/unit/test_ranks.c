/* test_ranks.c: a process that is alone, gradients handed out layer by layer, and bf16. Ranks that exchange something
 * are tested by cli/ranks.sh. */
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bf16.h"
#include "support/model.h"
#include "task/ranks.h"

static void alone_every_call_is_right(void **state)
{
    double x[2] = {3, 4};
    wlm_error error;
    (void)state;
    assert_int_equal(wlmi_ranks_rank(NULL), 0);
    assert_int_equal(wlmi_ranks_count(NULL), 1);
    assert_int_equal(wlmi_ranks_agree(NULL, WLM_OK, &error), WLM_OK);
    assert_int_equal(wlmi_ranks_agree(NULL, WLM_ERR_IO, &error), WLM_ERR_IO);
    assert_int_equal(wlmi_ranks_sum(NULL, x, 2, &error), WLM_OK);
    assert_int_equal(wlmi_ranks_follow(NULL, x, 2, &error), WLM_OK);
    assert_true(x[0] == 3 && x[1] == 4);
    assert_int_equal(wlmi_ranks_compare(NULL, x, sizeof x, "x", &error), WLM_OK);
    assert_int_equal(wlmi_ranks_collect(NULL, &error), WLM_OK);
    wlmi_ranks_close(NULL);
}

typedef struct done {
    size_t calls, first[64], count[64];
    const float *grad; /* of the net */
    float *then;       /* what stood in a part when it was done */
} done;

static void keep(void *user, size_t first, size_t count)
{
    done *d = user;
    assert_true(d->calls < 64);
    d->first[d->calls] = first;
    d->count[d->calls++] = count;
    memcpy(d->then + first, d->grad + first, count * sizeof(float));
}

/* Every parameter is told done once, and its gradient does not change any more; a batch without targets makes the same
 * calls. */
static void backward_tells_each_layer_once_it_is_whole(void **state)
{
    static const int lengths[] = {20, 31, 9, 0};
    wlmi_net *net = test_net("trafficgpt-nano", &wlmi_backend_ref);
    done some = {0}, none = {0};
    test_batch b;
    wlmi_loss loss;
    wlm_error error;
    size_t sum = 0;
    (void)state;
    assert_ok(wlmi_net_train_memory(net, &error), &error);
    some.grad = none.grad = (const float *)net->grad;
    some.then = none.then = wlmi_alloc_zero(net->count, sizeof(float));
    net->grad_done = keep;
    for (int targets = 1; targets >= 0; targets--) {
        net->grad_user = targets ? &some : &none;
        test_batch_fill(&b, net, lengths, 3);
        for (int t = 0; t < b.batch.tokens && !targets; t++)
            b.target[t] = -1;
        assert_ok(wlmi_net_forward(net, &b.batch, &loss, &error), &error);
        assert_ok(wlmi_net_backward(net, &b.batch, &error), &error);
        assert_memory_equal(some.then, net->grad, net->count * sizeof(float));
    }
    assert_int_equal(some.calls, net->config.layers + 1);
    assert_int_equal(none.calls, some.calls);
    assert_memory_equal(none.first, some.first, sizeof some.first);
    assert_memory_equal(none.count, some.count, sizeof some.count);
    for (size_t i = 0; i < some.calls; i++) {
        sum += some.count[i];
        for (size_t j = 0; j < i; j++)
            assert_true(some.first[i] >= some.first[j] + some.count[j] || some.first[j] >= some.first[i] + some.count[i]);
    }
    assert_int_equal(sum, net->count);
    wlmi_free(some.then);
    wlmi_net_free(net);
}

static void bf16_rounds_to_the_nearest(void **state)
{
    (void)state;
    for (uint32_t half = 0; half < 0x7f80; half++) { /* every finite positive value, and what lies between two */
        float low = wlmi_from_bf16((uint16_t)half), high = wlmi_from_bf16((uint16_t)(half + 1));
        assert_int_equal(wlmi_to_bf16(low), half);
        assert_int_equal(wlmi_to_bf16(-low), half | 0x8000);
        if (half + 1 < 0x7f80) {
            float middle = low + (high - low) / 2;
            assert_int_equal(wlmi_to_bf16(middle), half % 2 ? half + 1 : half);
            assert_int_equal(wlmi_to_bf16(nextafterf(middle, INFINITY)), half + 1);
            assert_int_equal(wlmi_to_bf16(nextafterf(middle, 0)), half);
        }
    }
    assert_true(isinf(wlmi_from_bf16(wlmi_to_bf16(INFINITY))) && isnan(wlmi_from_bf16(wlmi_to_bf16(NAN))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone_every_call_is_right),
        cmocka_unit_test(backward_tells_each_layer_once_it_is_whole),
        cmocka_unit_test(bf16_rounds_to_the_nearest),
    };
    return cmocka_run_group_tests_name("ranks", tests, NULL, NULL);
}
