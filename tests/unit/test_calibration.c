/* test_calibration.c: calibration error, temperature, risk, thresholds, detection and intervals against small cases
 * worked out by hand. */
#include "support/support.h"

#include <math.h>

#include "base/rng.h"
#include "task/calibration.h"
#include "task/intervals.h"

static void near_to(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%.15g is not %.15g", got, want);
}

static void confidence_and_energy(void **state)
{
    const float logit[6] = {0, (float)log(3), 0, 2, 2, -50};
    int32_t guess[2];
    double confidence[2], energy[2];
    (void)state;
    wlmi_confide(logit, 2, 3, 1, guess, confidence);
    assert_int_equal(guess[0], 1);
    assert_int_equal(guess[1], 0); /* the first of equals */
    near_to(confidence[0], 3.0 / 5, 1e-6);
    near_to(confidence[1], 0.5, 1e-6);
    wlmi_free_energy(logit, 2, 3, 1, energy);
    near_to(energy[0], log(5), 1e-6);
    wlmi_free_energy(logit, 2, 3, 2, energy);
    near_to(energy[0], 2 * log(2 + sqrt(3)), 1e-6);
}

static void bins_of_equal_width(void **state)
{
    /* bin 8, (8/15, 9/15]: .55 right, .59 wrong; bin 14: .95 and 1, both right */
    const double confidence[4] = {.55, .59, .95, 1};
    const uint8_t right[4] = {1, 0, 1, 1};
    wlmi_reliability r;
    (void)state;
    wlmi_reliability_of(confidence, right, 4, &r);
    assert_int_equal(r.count[8], 2);
    assert_int_equal(r.count[14], 2);
    near_to(r.accuracy[8], .5, 1e-12);
    near_to(r.confidence[8], .57, 1e-12);
    near_to(r.error, (2 * .07 + 2 * .025) / 4, 1e-12);
}

/* Two labels, logits (0, 5), three of four times the second is right. A truth counts 5/6, so the best probability is
 * (3 * 5/6 + 1/6) / 4 = 2/3, 5 / T = log 2. */
static void temperature_by_hand(void **state)
{
    enum { MANY = 4000 };
    static float logit[2 * MANY];
    static int32_t many[MANY];
    const int32_t truth[5] = {1, 0, 1, 1, 7};
    double t;
    (void)state;
    for (int i = 0; i < MANY; i++) {
        logit[2 * i + 1] = 5;
        many[i] = i % 4 != 0;
    }
    near_to(wlmi_fit_temperature(logit, truth, 4, 2), 5 / log(2), 1e-6);
    near_to(wlmi_fit_temperature(logit, truth, 5, 2), 5 / log(2), 1e-6); /* the fifth has no label of the model's */
    near_to(wlmi_fit_temperature(logit, truth + 4, 1, 2), 1, 0);
    near_to(wlmi_fit_temperature(logit, truth + 2, 2, 2), 5 / log(3), 1e-6); /* always right, but only twice */
    t = wlmi_fit_temperature(logit, many, MANY, 2);
    near_to(t, 5 / log(3), .01);
    near_to(wlmi_nll(logit, many, MANY, 2, t), -.75 * log(.75) - .25 * log(.25), 1e-6);
    assert_true(wlmi_nll(logit, many, MANY, 2, t * 1.1) > wlmi_nll(logit, many, MANY, 2, t));
    assert_true(wlmi_nll(logit, many, MANY, 2, t / 1.1) > wlmi_nll(logit, many, MANY, 2, t));
}

/* Of three labels what is not the truth's is shared by the other two: by hand, p is 2/3 with 1/6 for each. */
static void temperature_of_three_labels(void **state)
{
    const float logit[3] = {2, 0, 0};
    const int32_t truth[1] = {0};
    (void)state;
    near_to(wlmi_fit_temperature(logit, truth, 1, 3), 2 / log(4), 1e-6);
}

/* Two labels, logits (0, 5); of each capture's flows the second is right in so many of ten, of twenty captures. */
enum { CAPTURES = 20, EACH = 10, ASKED = CAPTURES * EACH };

static void make_captures(float *logit, int32_t *truth, uint32_t *group, const int *right)
{
    for (int i = 0; i < ASKED; i++) {
        group[i] = (uint32_t)(i / EACH);
        logit[2 * i] = 0;
        logit[2 * i + 1] = 5;
        truth[i] = i % EACH < right[i / EACH];
    }
}

/* The mean loss above that at the best temperature, in standard errors over captures: the obvious way. */
static double errors_above(const int *right, double temperature, double best)
{
    const double p = 1 / (1 + exp(-5 / temperature)), q = 1 / (1 + exp(-5 / best));
    const double when[2] = {log(1 - q) - log(1 - p), log(q) - log(p)};
    double mean = 0, squares = 0;
    for (int g = 0; g < CAPTURES; g++)
        mean += (right[g] * when[1] + (EACH - right[g]) * when[0]) / ASKED;
    for (int g = 0; g < CAPTURES; g++) {
        const double off = right[g] * when[1] + (EACH - right[g]) * when[0] - mean * EACH;
        squares += off * off;
    }
    return mean / (sqrt(squares * CAPTURES / (CAPTURES - 1)) / ASKED);
}

static void one_capture_moves_no_temperature(void **state)
{
    int all[CAPTURES], one[CAPTURES];
    float logit[2 * ASKED];
    int32_t truth[ASKED];
    uint32_t group[ASKED], alone[ASKED] = {0};
    wlm_error error;
    double best, chosen;
    (void)state;
    for (int g = 0; g < CAPTURES; g++) {
        all[g] = 7 + g % 3; /* 5 is too sure of all of them */
        one[g] = g ? EACH : 0;
    }
    make_captures(logit, truth, group, all);
    best = wlmi_fit_temperature(logit, truth, ASKED, 2);
    assert_ok(wlmi_choose_temperature(logit, truth, group, ASKED, 2, CAPTURES, &chosen, &error), &error);
    assert_true(chosen > 1.5 && chosen < best);
    near_to(errors_above(all, chosen, best), 1, 1e-6);
    truth[ASKED - 1] = 7; /* none of the labels: passed over */
    assert_ok(wlmi_choose_temperature(logit, truth, group, ASKED, 2, CAPTURES, &chosen, &error), &error);
    assert_true(chosen > 1.5);

    make_captures(logit, truth, group, one);
    assert_true(wlmi_fit_temperature(logit, truth, ASKED, 2) > 1.5);
    assert_ok(wlmi_choose_temperature(logit, truth, group, ASKED, 2, CAPTURES, &chosen, &error), &error);
    near_to(chosen, 1, 0);
    assert_ok(wlmi_choose_temperature(logit, truth, alone, ASKED, 2, 1, &chosen, &error), &error);
    near_to(chosen, wlmi_fit_temperature(logit, truth, ASKED, 2), 0);
    assert_ok(wlmi_choose_temperature(NULL, NULL, NULL, 0, 2, 0, &chosen, &error), &error);
    near_to(chosen, 1, 0);
}

/* Flows of two labels, all of label 1: logits of label 1 in favour of it by `own`, and by `other` in every capture but the
 * first, where it is against. */
static wlmi_share share_of(float own, float other, float first, uint32_t groups)
{
    static float logit[2][2 * ASKED];
    int32_t truth[ASKED];
    uint32_t group[ASKED];
    wlmi_share share;
    wlm_error error;
    for (int i = 0; i < ASKED; i++) {
        truth[i] = 1;
        group[i] = groups > 1 ? (uint32_t)(i / EACH) : 0;
        logit[0][2 * i] = logit[1][2 * i] = 0;
        logit[0][2 * i + 1] = own;
        logit[1][2 * i + 1] = i < EACH ? first : other;
    }
    const wlmi_opinions both = {logit[0], logit[1], truth, group, ASKED, 2, groups};
    assert_ok(wlmi_choose_share(&both, &share, &error), &error);
    return share;
}

static void one_capture_moves_no_share(void **state)
{
    const double usual = (double)WLMI_USUAL_STEP / WLMI_SHARE_STEPS;
    wlmi_share share;
    (void)state;
    share = share_of(1, 3, 3, CAPTURES); /* all captures ask for the other one */
    near_to(share.share, 1, 0);
    near_to(share.loss, log(1 + exp(-3)), 1e-6);
    near_to(share.loss_own, log(1 + exp(-1)), 1e-6);
    near_to(share.loss_other, share.loss, 0);
    near_to(share_of(3, 1, 1, CAPTURES).share, 0, 0); /* or for the own */
    near_to(share_of(1, 1, -9, CAPTURES).share, usual, 0); /* one alone against the other */
    near_to(share_of(1, 1, -9, 1).share, 0, 0); /* but where there is no other capture it counts */
}

static void risk_against_coverage(void **state)
{
    const double confidence[4] = {.9, .6, .8, .7}, coverage[] = {1, .75, .5, .26, .01};
    const uint8_t right[4] = {1, 0, 0, 1};
    double risk[5], area;
    wlm_error error;
    (void)state;
    /* by confidence: right, wrong, right, wrong */
    assert_ok(wlmi_risk(confidence, right, 4, coverage, 5, risk, &area, &error), &error);
    near_to(risk[0], .5, 1e-12);
    near_to(risk[1], 1.0 / 3, 1e-12);
    near_to(risk[2], .5, 1e-12);
    near_to(risk[3], .5, 1e-12); /* 1.04 flows are two */
    near_to(risk[4], 0, 1e-12);
    near_to(area, (0 + 1.0 / 2 + 1.0 / 3 + 2.0 / 4) / 4, 1e-12);
}

static void equal_confidence_is_in_no_order(void **state)
{
    const double confidence[4] = {.5, .5, .5, .5}, coverage[] = {1, .5, .25};
    const uint8_t right[2][4] = {{1, 1, 0, 0}, {0, 0, 1, 1}};
    double risk[3], area;
    wlm_error error;
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_ok(wlmi_risk(confidence, right[i], 4, coverage, 3, risk, &area, &error), &error);
        for (int j = 0; j < 3; j++)
            near_to(risk[j], .5, 1e-12);
        near_to(area, .5, 1e-12);
    }
}

static void one_in_so_many_is_given_up(void **state)
{
    double confidence[40], threshold;
    uint8_t right[40];
    size_t given_up = 0;
    wlm_error error;
    (void)state;
    for (int i = 0; i < 40; i++) {
        confidence[i] = (double)(i * 7 % 40 + 1) / 40;
        right[i] = i * 7 % 40 >= 20; /* the lower half is wrong */
    }
    assert_ok(wlmi_threshold_of(confidence, right, 40, .05, &threshold, &error), &error);
    for (int i = 0; i < 40; i++)
        given_up += right[i] && confidence[i] < threshold;
    assert_int_equal(given_up, 1);
    near_to(threshold, 22.0 / 40, 1e-12);
    assert_ok(wlmi_threshold_of(confidence, right, 40, 0, &threshold, &error), &error);
    near_to(threshold, 21.0 / 40, 1e-12);
    for (int i = 0; i < 40; i++)
        right[i] = 0;
    assert_ok(wlmi_threshold_of(confidence, right, 40, .05, &threshold, &error), &error);
    near_to(threshold, 0, 0);
}

static void detection_by_hand(void **state)
{
    const double known[4] = {.9, .8, .8, .3}, stranger[3] = {.8, .3, .1};
    wlmi_detection d;
    wlm_error error;
    (void)state;
    /* pairs in order: .9 beats 3; each .8 beats 2 and ties 1; .3 beats 1 and ties 1 */
    assert_ok(wlmi_detect(known, 4, stranger, 3, .95, &d, &error), &error);
    near_to(d.auroc, (3 + 2.5 + 2.5 + 1.5) / 12, 1e-12);
    near_to(d.fpr, 2.0 / 3, 1e-12); /* all knowns pass .3, and so do two strangers */
    assert_ok(wlmi_detect(known, 4, stranger, 3, .75, &d, &error), &error);
    near_to(d.fpr, 1.0 / 3, 1e-12);
    assert_ok(wlmi_detect(known, 4, stranger, 0, .95, &d, &error), &error);
    assert_true(isnan(d.auroc) && isnan(d.fpr));
    assert_ok(wlmi_detect(known, 4, known, 4, .95, &d, &error), &error);
    near_to(d.auroc, .5, 1e-12);
}

/* ---- intervals */

enum { FLOWS = 600, GROUPS = 12 };

/* Whole groups are right or wrong: captures are what varies. */
static void make_groups(int32_t *truth, int32_t *guess, uint32_t *group, int flows)
{
    for (int i = 0; i < flows; i++) {
        group[i] = 1000 + 7 * (uint32_t)(i % GROUPS);
        truth[i] = i / GROUPS % 3;
        guess[i] = i % GROUPS < GROUPS / 3 ? (truth[i] + 1) % 3 : truth[i];
    }
}

static void intervals_resample_groups(void **state)
{
    static int32_t truth[FLOWS], guess[FLOWS];
    static uint32_t group[FLOWS];
    wlmi_intervals a, b, other, finer;
    wlm_error error;
    (void)state;
    make_groups(truth, guess, group, FLOWS);
    assert_ok(wlmi_intervals_of(truth, guess, group, FLOWS, 3, 1000, 1, &a, &error), &error);
    assert_ok(wlmi_intervals_of(truth, guess, group, FLOWS, 3, 1000, 1, &b, &error), &error);
    assert_ok(wlmi_intervals_of(truth, guess, group, FLOWS, 3, 1000, 2, &other, &error), &error);
    assert_int_equal(a.groups, GROUPS);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_not_equal(a.accuracy, other.accuracy, sizeof a.accuracy);
    /* The accuracy of a draw is binomial over 12 groups: 5 to 11 of them right, or so. */
    near_to(a.accuracy[0], 5.0 / 12, .09);
    near_to(a.accuracy[1], 11.0 / 12, .09);
    assert_true(a.macro_f1[0] < 2.0 / 3 && 2.0 / 3 < a.macro_f1[1]);
    for (int i = 0; i < FLOWS; i++)
        group[i] = (uint32_t)i; /* were flows independent, the interval would be a seventh as wide */
    assert_ok(wlmi_intervals_of(truth, guess, group, FLOWS, 3, 1000, 1, &finer, &error), &error);
    assert_true(finer.accuracy[1] - finer.accuracy[0] < (a.accuracy[1] - a.accuracy[0]) / 3);
}

static void the_order_of_flows_is_nothing(void **state)
{
    static int32_t truth[FLOWS], guess[FLOWS], t[FLOWS], g[FLOWS];
    static uint32_t group[FLOWS], r[FLOWS];
    wlmi_intervals a, b;
    wlm_error error;
    (void)state;
    make_groups(truth, guess, group, FLOWS);
    for (uint64_t i = 0; i < FLOWS; i++) {
        uint64_t from = wlmi_permute(5, i, FLOWS);
        t[i] = truth[from], g[i] = guess[from], r[i] = group[from];
    }
    assert_ok(wlmi_intervals_of(truth, guess, group, FLOWS, 3, 200, 1, &a, &error), &error);
    assert_ok(wlmi_intervals_of(t, g, r, FLOWS, 3, 200, 1, &b, &error), &error);
    assert_memory_equal(&a, &b, sizeof a);
}

static void one_group_has_no_interval(void **state)
{
    const int32_t truth[2] = {0, 1};
    const uint32_t group[2] = {3, 3};
    wlmi_intervals in;
    wlm_error error;
    (void)state;
    assert_ok(wlmi_intervals_of(truth, truth, group, 2, 2, 100, 1, &in, &error), &error);
    assert_int_equal(in.groups, 1);
    assert_true(isnan(in.accuracy[0]) && isnan(in.macro_f1[1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confidence_and_energy),
        cmocka_unit_test(bins_of_equal_width),
        cmocka_unit_test(temperature_by_hand),
        cmocka_unit_test(temperature_of_three_labels),
        cmocka_unit_test(one_capture_moves_no_temperature),
        cmocka_unit_test(one_capture_moves_no_share),
        cmocka_unit_test(risk_against_coverage),
        cmocka_unit_test(equal_confidence_is_in_no_order),
        cmocka_unit_test(one_in_so_many_is_given_up),
        cmocka_unit_test(detection_by_hand),
        cmocka_unit_test(intervals_resample_groups),
        cmocka_unit_test(the_order_of_flows_is_nothing),
        cmocka_unit_test(one_group_has_no_interval),
    };
    return cmocka_run_group_tests_name("calibration", tests, NULL, NULL);
}
