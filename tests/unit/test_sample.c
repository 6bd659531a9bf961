/* test_sample.c: the sampler stays inside the grammar, whatever the logits, and follows the distribution it names. */
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "task/sample.h"

enum { VOCABULARY = 300, WORDS = (VOCABULARY + 63) / 64 };

static uint64_t full_row[WORDS];
static wlmi_candidate scratch[VOCABULARY];

static wlmi_allowed everything(void)
{
    wlmi_allowed a = {full_row, 0, VOCABULARY - 1, -1};
    memset(full_row, 0xff, sizeof full_row);
    return a;
}

static float odd_logit(wlmi_rng *rng)
{
    switch (wlmi_rng_below(rng, 12)) {
    case 0: return -INFINITY;
    case 1: return INFINITY;
    case 2: return NAN;
    case 3: return 3e38f;
    case 4: return -3e38f;
    default: return (float)(4 * wlmi_rng_normal(rng));
    }
}

static void never_leaves_the_grammar(void **state)
{
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 3);
    for (int round = 0; round < 20000; round++) {
        uint64_t row[WORDS], banned[WORDS];
        float logits[VOCABULARY];
        wlmi_sampling how = {wlmi_rng_below(&rng, 3) ? wlmi_rng_uniform(&rng) * 3 : 0,
                             (uint32_t)wlmi_rng_below(&rng, 6), 1 - wlmi_rng_uniform(&rng)};
        wlmi_token a = (wlmi_token)wlmi_rng_below(&rng, VOCABULARY), b = (wlmi_token)wlmi_rng_below(&rng, VOCABULARY);
        wlmi_allowed allowed = {row, a < b ? a : b, a < b ? b : a, (int32_t)wlmi_rng_below(&rng, VOCABULARY) - 1};
        int with_ban = (int)wlmi_rng_below(&rng, 2), left = 0;
        int32_t token;
        for (int w = 0; w < WORDS; w++) {
            row[w] = wlmi_rng_next(&rng) & (wlmi_rng_below(&rng, 2) ? wlmi_rng_next(&rng) : UINT64_MAX);
            banned[w] = wlmi_rng_next(&rng) & wlmi_rng_next(&rng);
        }
        for (int t = 0; t < VOCABULARY; t++)
            logits[t] = odd_logit(&rng);
        for (int t = 0; t < VOCABULARY; t++)
            left += wlmi_is_allowed(&allowed, (wlmi_token)t) && !(with_ban && (banned[t >> 6] >> (t & 63) & 1));
        token = wlmi_sample(&how, logits, VOCABULARY, &allowed, with_ban ? banned : NULL, scratch, &rng);
        if (!left) {
            assert_int_equal(token, -1);
            continue;
        }
        assert_in_range(token, 0, VOCABULARY - 1);
        assert_true(wlmi_is_allowed(&allowed, (wlmi_token)token));
        if (with_ban)
            assert_false(banned[token >> 6] >> (token & 63) & 1);
    }
}

static void impossible_logits_are_uniform(void **state)
{
    wlmi_allowed allowed = everything();
    wlmi_sampling how = {0.7, 0, 1};
    float logits[VOCABULARY];
    int count[8] = {0};
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 4);
    for (int t = 0; t < VOCABULARY; t++)
        logits[t] = t % 2 ? -INFINITY : NAN;
    allowed.low = 10;
    allowed.high = 17;
    for (int i = 0; i < 16000; i++)
        count[wlmi_sample(&how, logits, VOCABULARY, &allowed, NULL, scratch, &rng) - 10]++;
    for (int i = 0; i < 8; i++)
        assert_in_range(count[i], 1800, 2200);
}

static void follows_the_softmax(void **state)
{
    wlmi_allowed allowed = everything();
    const double temperature[] = {0.5, 1, 2};
    float logits[VOCABULARY] = {1.5f, -0.5f, 0.25f, 9, 0};
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 5);
    allowed.high = 4;
    allowed.except = 3;
    for (size_t k = 0; k < 3; k++) {
        wlmi_sampling how = {temperature[k], 0, 1};
        double sum = 0;
        int count[5] = {0};
        for (int t = 0; t < 5; t++)
            sum += t == 3 ? 0 : exp(logits[t] / temperature[k]);
        for (int i = 0; i < 50000; i++)
            count[wlmi_sample(&how, logits, VOCABULARY, &allowed, NULL, scratch, &rng)]++;
        for (int t = 0; t < 5; t++) {
            double want = t == 3 ? 0 : exp(logits[t] / temperature[k]) / sum;
            assert_true(fabs(count[t] / 50000.0 - want) < 0.01);
        }
    }
}

static void greedy_top_k_and_top_p_narrow(void **state)
{
    wlmi_allowed allowed = everything();
    float logits[VOCABULARY];
    wlmi_sampling greedy = {0, 0, 1}, two = {1, 2, 1}, small = {1, 0, 0.5}, sharp = {1, 0, 1e-9};
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 6);
    for (int t = 0; t < VOCABULARY; t++)
        logits[t] = -30;
    logits[7] = 2, logits[200] = 2, logits[42] = 1.9f; /* 7 and 200 tie: the lower id goes first */
    for (int i = 0; i < 2000; i++) {
        int32_t token;
        assert_int_equal(wlmi_sample(&greedy, logits, VOCABULARY, &allowed, NULL, scratch, &rng), 7);
        token = wlmi_sample(&two, logits, VOCABULARY, &allowed, NULL, scratch, &rng);
        assert_true(token == 7 || token == 200);
        token = wlmi_sample(&small, logits, VOCABULARY, &allowed, NULL, scratch, &rng);
        assert_true(token == 7 || token == 200);
        assert_int_equal(wlmi_sample(&sharp, logits, VOCABULARY, &allowed, NULL, scratch, &rng), 7);
    }
}

static void same_seed_same_draws(void **state)
{
    wlmi_allowed allowed = everything();
    wlmi_sampling how = {1, 40, 0.9};
    float logits[VOCABULARY];
    wlmi_rng a, b;
    (void)state;
    wlmi_rng_seed(&a, 9);
    wlmi_rng_seed(&b, 9);
    for (int t = 0; t < VOCABULARY; t++)
        logits[t] = (float)sin(t);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(wlmi_sample(&how, logits, VOCABULARY, &allowed, NULL, scratch, &a),
                         wlmi_sample(&how, logits, VOCABULARY, &allowed, NULL, scratch, &b));
}

static void senseless_options_are_refused(void **state)
{
    const wlmi_sampling wrong[] = {{-1, 0, 1}, {NAN, 0, 1}, {1, 0, 0}, {1, 0, 1.5}, {1, 0, NAN}};
    const wlmi_sampling right = {0, 5, 1};
    wlm_error error;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(wlmi_sampling_check(&wrong[i], &error), WLM_ERR_ARGUMENT);
    assert_int_equal(wlmi_sampling_check(&right, &error), WLM_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_leaves_the_grammar),
        cmocka_unit_test(impossible_logits_are_uniform),
        cmocka_unit_test(follows_the_softmax),
        cmocka_unit_test(greedy_top_k_and_top_p_narrow),
        cmocka_unit_test(same_seed_same_draws),
        cmocka_unit_test(senseless_options_are_refused),
    };
    return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
