/* test_bench.c: what measurements rest on: counted products, oneDNN's own, batches that can be learned. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/flops.h"
#include "model/params.h"
#include "support/model.h"
#include "task/bench.h"
#include "task/bench_model.h"
#include "task/bench_product.h"

static void medians_are_those_of_sorted_values(void **state)
{
    double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2}, seconds[] = {0, 2, 1};
    json_t *rate;
    (void)state;
    assert_true(wlmi_median(odd, 3) == 2);
    assert_true(wlmi_median(even, 4) == 2.5);
    rate = wlmi_rate_json(10, seconds, 3);
    assert_true(json_real_value(json_object_get(rate, "median")) == 10);
    assert_true(json_real_value(json_object_get(rate, "min")) == 5);
    assert_true(isfinite(json_real_value(json_object_get(rate, "max"))));
    json_decref(rate);
}

static double noted_flops(const wlmi_meter *meter)
{
    double sum = 0;
    for (int i = 0; i < meter->count; i++)
        sum += (double)meter->product[i].calls * wlmi_product_flops(&meter->product[i]);
    return sum;
}

/* Forward multiplications of the mixers, counted token by token. */
static double mixers_flops(const wlmi_config *c, int context)
{
    double sum = 0;
    for (int l = 0; l < c->layers; l++) {
        const wlmi_plan *plan = wlmi_config_layer(c, l).plan;
        for (int g = 0; g < plan->groups; g++)
            for (int t = 0; t < context; t++) {
                const wlmi_head_group *group = &plan->group[g];
                int seen = group->kind == WLMI_MIXER_WINDOW && group->window < t + 1 ? group->window : t + 1;
                double each = group->kind == WLMI_MIXER_DELTA ? 1.5 * c->head_width :
                              group->kind == WLMI_MIXER_LINEAR ? c->head_width : seen;
                sum += group->heads * 4.0 * c->head_width * each;
            }
    }
    return sum;
}

static void counted_flops_are_those_of_the_products(void **state)
{
    static const char *const presets[] = {"netgpt-nano", "trafficgpt-nano", "wire-nano"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        wlm_bench_model_options options = wlm_bench_model_options_default();
        wlmi_bench_model m;
        wlm_error error;
        double seconds, loss, tokens = 2 * 300;
        options.preset = presets[i];
        options.context = 300;
        options.tokens_per_batch = 700;
        assert_ok(wlmi_bench_model_open(&m, &options, &error), &error);
        assert_int_equal(m.segments, 2);
        assert_ok(wlmi_bench_model_train(&m, &error), &error);
        assert_ok(wlmi_bench_model_batch(&m, m.context, m.segments, 0, &error), &error);
        assert_ok(wlmi_bench_model_step(&m, &seconds, &loss, &error), &error);
        assert_true(fabs(loss - log(m.net->config.vocabulary)) < 0.5);
        assert_true(fabs(noted_flops(&m.meter) / tokens + 3 * mixers_flops(&m.net->config, 300) / 300 -
                         wlmi_flops_per_token(m.net, 300)) < 1);
        wlmi_bench_model_close(&m);
    }
}

static void a_process_measures_one_model_at_a_time(void **state)
{
    wlm_bench_model_options options = wlm_bench_model_options_default();
    wlmi_bench_model m, second;
    wlm_error error;
    (void)state;
    options.preset = "trafficgpt-nano";
    assert_ok(wlmi_bench_model_open(&m, &options, &error), &error);
    assert_int_equal(wlmi_bench_model_open(&second, &options, &error), WLM_ERR_REFUSED);
    wlmi_bench_model_close(&second);
    wlmi_bench_model_close(&m);
    assert_ok(wlmi_bench_model_open(&m, &options, &error), &error);
    wlmi_bench_model_close(&m);
}

static void synthetic_tokens_can_be_foretold(void **state)
{
    enum { N = 20000 };
    wlm_bench_model_options options = wlm_bench_model_options_default();
    int32_t *a = malloc(N * sizeof *a), *b = malloc(N * sizeof *b), *next = malloc(65536 * sizeof *next);
    wlmi_bench_model m;
    wlm_error error;
    int hits = 0, known = 0;
    (void)state;
    options.preset = "trafficgpt-nano";
    assert_ok(wlmi_bench_model_open(&m, &options, &error), &error);
    wlmi_bench_model_sequence(&m, 0, a, N);
    wlmi_bench_model_sequence(&m, 0, b, N);
    assert_memory_equal(a, b, N * sizeof *a);
    wlmi_bench_model_sequence(&m, 1, b, N);
    assert_memory_not_equal(a, b, N * sizeof *a);
    for (int i = 0; i < 65536; i++)
        next[i] = -1;
    for (int i = 0; i + 1 < N; i++) {
        known += next[a[i]] >= 0;
        hits += next[a[i]] == a[i + 1];
        next[a[i]] = a[i + 1];
        assert_in_range(a[i], 0, m.net->config.vocabulary - 1);
    }
    assert_true(hits > 0.5 * known && hits < 0.65 * known); /* both times as the permutation says: 9 of 16 */
    wlmi_bench_model_close(&m);
    free(a);
    free(b);
    free(next);
}

static void products_alone_are_those_of_the_step(void **state)
{
    wlmi_meter step = {.product = {{WLMI_FORWARD, 33, 20, 10, 2, 0}, {WLMI_BACKWARD_INPUT, 33, 20, 10, 1, 0},
                                   {WLMI_BACKWARD_WEIGHT, 33, 20, 10, 3, 0}},
                       .count = 3};
    wlmi_bench_products products;
    wlm_error error;
    double seconds;
    (void)state;
    assert_ok(wlmi_bench_products_new(&products, &step, &error), &error);
    assert_true(products.flops == 6 * 2.0 * 33 * 20 * 10);
    assert_ok(wlmi_bench_products_run(&products, 1, &seconds, &error), &error);
    assert_true(seconds > 0 && seconds >= products.seconds[2] && products.seconds[0] > 0);
    wlmi_bench_products_free(&products);
}

/* Stated bound of docs/MODEL.md, here over the first tokens: a window of 512 is full long before their end. */
static void remembering_in_bf16_does_not_add_up(void **state)
{
    wlm_bench_model_options options = wlm_bench_model_options_default();
    double first = 0;
    char *text;
    wlm_error error;
    json_t *report, *point;
    size_t i;
    (void)state;
    options.preset = "wire-nano";
    options.tokens = 4096;
    assert_ok(wlm_bench_drift(&options, &text, &error), &error);
    report = json_loads(text, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(report, "points")), 3);
    json_array_foreach(json_object_get(report, "points"), i, point) {
        const double difference = json_real_value(json_object_get(point, "relative_difference"));
        const double bits = json_real_value(json_object_get(point, "bits_per_token"));
        const double exact = json_real_value(json_object_get(point, "bits_per_token_exact"));
        first = i ? first : difference;
        assert_int_equal(json_integer_value(json_object_get(point, "position")), 1024 << i);
        assert_true(difference > 0 && difference < 0.01 && difference < 1.5 * first);
        assert_true(fabs(bits / exact - 1) < 1e-3);
    }
    json_decref(report);
    wlm_text_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(medians_are_those_of_sorted_values),
        cmocka_unit_test(counted_flops_are_those_of_the_products),
        cmocka_unit_test(a_process_measures_one_model_at_a_time),
        cmocka_unit_test(synthetic_tokens_can_be_foretold),
        cmocka_unit_test(products_alone_are_those_of_the_step),
        cmocka_unit_test(remembering_in_bf16_does_not_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
