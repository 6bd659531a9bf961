/* test_recall.c: what a stream has shown, mixed into what a model says: probabilities stay probabilities, what repeats
 * becomes cheap, noise hardly dearer, and no stream knows of another. */
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "task/recall.h"

enum { VOCABULARY = 300, WORDS = (VOCABULARY + 63) / 64, LENGTH = 600, PACKET = 50, ROLES = 3 };

static float flat[VOCABULARY];
static uint64_t any[WORDS];
static wlmi_token text[LENGTH];

static int draw(void **state)
{
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 1);
    memset(any, 0xFF, sizeof any);
    for (size_t i = 0; i < LENGTH; i++)
        text[i] = (wlmi_token)wlmi_rng_below(&rng, 256);
    return 0;
}

static wlmi_recall *begin(void)
{
    wlmi_recall *recall;
    wlm_error error;
    assert_ok(wlmi_recall_new(&recall, VOCABULARY, &error), &error);
    return recall;
}

static double take(wlmi_recall *recall, const float *logits, const wlmi_allowed *allowed, size_t i, wlmi_token token)
{
    wlm_error error;
    double bits;
    assert_ok(wlmi_recall_take(recall, logits, allowed, (uint8_t)(i % ROLES), token, &bits, &error), &error);
    assert_true(bits >= 0 && isfinite(bits));
    if (i % PACKET == PACKET - 1)
        wlmi_recall_border(recall);
    return bits;
}

/* Bits for each token of the text where all bytes may stand. */
static double take_text(wlmi_recall *recall, const float *logits)
{
    const wlmi_allowed bytes = {.row = any, .low = 0, .high = 255, .except = -1};
    double bits = 0;
    for (size_t i = 0; i < LENGTH; i++)
        bits += take(recall, logits, &bytes, i, text[i]);
    return bits / LENGTH;
}

/* After any history, of the model's own and of an unlikely token, in a row cut to an interval less one token. */
static void shares_of_what_is_allowed_sum_to_one(void **state)
{
    const wlmi_allowed few = {.row = any, .low = 100, .high = 119, .except = 107};
    static const size_t after[] = {0, 1, 9, 70, 240};
    float logits[VOCABULARY];
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 2);
    for (int t = 0; t < VOCABULARY; t++)
        logits[t] = wlmi_is_allowed(&few, (wlmi_token)t) ? 6 * (float)wlmi_rng_uniform(&rng) - 60 * (t == 103) : NAN;
    for (size_t a = 0; a < sizeof after / sizeof *after; a++) {
        double sum = 0;
        for (int t = few.low; t <= few.high; t++) {
            wlmi_recall *recall;
            if (t == few.except)
                continue;
            recall = begin();
            for (size_t i = 0; i < after[a]; i++)
                take(recall, logits, &few, i, (wlmi_token)(100 + text[i % 60] % 7));
            sum += exp2(-take(recall, logits, &few, after[a], (wlmi_token)t));
            wlmi_recall_free(recall);
        }
        assert_true(fabs(sum - 1) < 1e-4);
    }
}

static void what_repeats_becomes_cheap(void **state)
{
    wlmi_recall *recall = begin();
    (void)state;
    assert_true(fabs(take_text(recall, flat) - 8) < 0.2); /* noise costs what it holds */
    assert_true(take_text(recall, flat) < 0.6);
    assert_true(take_text(recall, flat) < 0.2);
    wlmi_recall_free(recall);
}

static void a_model_that_knows_is_believed(void **state)
{
    const wlmi_allowed bytes = {.row = any, .low = 0, .high = 255, .except = -1};
    wlmi_recall *recall = begin();
    float sure[VOCABULARY] = {0};
    double bits = 0;
    (void)state;
    for (size_t i = 0; i < LENGTH; i++) {
        sure[text[i]] = 12;
        bits += take(recall, sure, &bytes, i, text[i]);
        sure[text[i]] = 0;
    }
    assert_true(bits / LENGTH < 0.1);
    wlmi_recall_free(recall);
}

static void the_only_token_allowed_costs_nothing(void **state)
{
    const wlmi_allowed one = {.row = any, .low = 17, .high = 17, .except = -1};
    wlmi_recall *recall = begin();
    (void)state;
    for (size_t i = 0; i < 10; i++)
        assert_true(take(recall, flat, &one, i, 17) == 0);
    wlmi_recall_free(recall);
}

static void each_stream_begins_anew(void **state)
{
    wlmi_recall *recall = begin();
    double first = take_text(recall, flat);
    (void)state;
    assert_true(take_text(recall, flat) < first);
    for (int again = 0; again < 3; again++) {
        wlmi_recall_start(recall);
        assert_true(take_text(recall, flat) == first);
    }
    wlmi_recall_free(recall);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_of_what_is_allowed_sum_to_one), cmocka_unit_test(what_repeats_becomes_cheap),
        cmocka_unit_test(a_model_that_knows_is_believed),       cmocka_unit_test(the_only_token_allowed_costs_nothing),
        cmocka_unit_test(each_stream_begins_anew),
    };
    return cmocka_run_group_tests_name("recall", tests, draw, NULL);
}
