/* test_metrics.c: scores against values worked out by hand. */
#include "support/support.h"

#include <math.h>

#include "task/metrics.h"

static void close_to(double got, double want)
{
    if (!(fabs(got - want) < 1e-12))
        fail_msg("%.15g is not %.15g", got, want);
}

static void three_labels(void **state)
{
    /* truth a: 3 right, 1 as b; b: 2 right, 2 as c; c: 1 right, 1 as a */
    const uint64_t confusion[9] = {3, 1, 0, 0, 2, 2, 1, 0, 1};
    wlmi_score score;
    wlmi_label_score label[3];
    (void)state;
    wlmi_score_confusion(confusion, 3, &score, label);
    assert_int_equal(score.count, 10);
    close_to(score.accuracy, 0.6);
    close_to(label[0].precision, 3.0 / 4);
    close_to(label[0].recall, 3.0 / 4);
    close_to(label[0].f1, 3.0 / 4);
    close_to(label[1].precision, 2.0 / 3);
    close_to(label[1].recall, 2.0 / 4);
    close_to(label[1].f1, 4.0 / 7);
    close_to(label[2].f1, 2.0 / 5);
    assert_int_equal(label[1].support, 4);
    close_to(score.macro_f1, (3.0 / 4 + 4.0 / 7 + 2.0 / 5) / 3);
}

static void absent_labels_are_errors_without_a_term(void **state)
{
    /* Label c never occurs but is predicted twice: a's recall suffers, the mean is over a and b alone. */
    const uint64_t confusion[9] = {2, 0, 2, 0, 4, 0, 0, 0, 0};
    wlmi_score score;
    wlmi_label_score label[3];
    (void)state;
    wlmi_score_confusion(confusion, 3, &score, label);
    close_to(label[0].f1, 2.0 * 2 / (2 + 4));
    close_to(label[2].f1, 0);
    assert_int_equal(label[2].support, 0);
    close_to(score.macro_f1, (2.0 / 3 + 1) / 2);
    close_to(score.accuracy, 6.0 / 8);
}

static void unseen_labels_have_a_term(void **state)
{
    /* b occurs and is never predicted: F1 0, and it counts. */
    const uint64_t confusion[4] = {3, 0, 1, 0};
    wlmi_score score;
    (void)state;
    wlmi_score_confusion(confusion, 2, &score, NULL);
    close_to(score.macro_f1, (6.0 / 7 + 0) / 2);
}

static void guessing_is_the_one_column_matrix(void **state)
{
    const uint64_t support[4] = {5, 0, 7, 3}, confusion[16] = {0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 3, 0};
    wlmi_score a, b;
    (void)state;
    assert_int_equal(wlmi_majority(support, 4), 2);
    wlmi_score_guess(support, 4, 2, &a);
    wlmi_score_confusion(confusion, 4, &b, NULL);
    assert_int_equal(a.count, b.count);
    close_to(a.accuracy, b.accuracy);
    close_to(a.macro_f1, b.macro_f1);
    close_to(a.macro_f1, 2.0 * 7 / (15 + 7) / 3);
}

static void nothing_is_zero(void **state)
{
    const uint64_t none[4] = {0, 0, 0, 0};
    wlmi_score score;
    (void)state;
    wlmi_score_confusion(none, 2, &score, NULL);
    assert_int_equal(score.count, 0);
    close_to(score.macro_f1, 0);
    assert_int_equal(wlmi_majority(none, 2), -1);
    wlmi_score_guess(none, 2, -1, &score);
    close_to(score.accuracy, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_labels),
        cmocka_unit_test(absent_labels_are_errors_without_a_term),
        cmocka_unit_test(unseen_labels_have_a_term),
        cmocka_unit_test(guessing_is_the_one_column_matrix),
        cmocka_unit_test(nothing_is_zero),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
