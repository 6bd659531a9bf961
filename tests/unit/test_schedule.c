/* test_schedule.c: as many flows as were asked for, at the moments and of the labels that were asked for. */
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "task/schedule.h"

enum { LABELS = 3 };
static const wlm_label_count labels[LABELS] = {{"a", 50}, {"b", 1}, {"c", 949}};

static wlmi_schedule make(wlmi_schedule_wish wish)
{
    wlmi_schedule s;
    wlm_error error;
    assert_ok(wlmi_schedule_make(&s, &wish, &error), &error);
    return s;
}

static void counts_are_kept_and_mixed(void **state)
{
    wlmi_schedule s = make((wlmi_schedule_wish){.seed = 4, .labels = labels, .label_count = LABELS});
    uint64_t seen[LABELS] = {0}, early = 0;
    (void)state;
    assert_int_equal(s.flows, 1000);
    for (uint64_t i = 0; i < s.flows; i++) {
        size_t label = wlmi_schedule_label(&s, i);
        assert_true(label < LABELS);
        seen[label]++;
        early += label == 0 && i < 500;
    }
    for (int i = 0; i < LABELS; i++)
        assert_int_equal(seen[i], labels[i].flows);
    assert_in_range(early, 12, 38);
}

static void counts_are_shares_where_rate_and_duration_say_how_many(void **state)
{
    wlmi_schedule s = make((wlmi_schedule_wish){.seed = 4, .labels = labels, .label_count = LABELS, .rate = 100,
                                                .duration_s = 100});
    uint64_t first = 0;
    (void)state;
    assert_in_range(s.flows, 9600, 10400); /* 4 deviations */
    for (uint64_t i = 0; i < s.flows; i++)
        first += wlmi_schedule_label(&s, i) == 0;
    assert_in_range(first, s.flows / 20 - 90, s.flows / 20 + 90);
}

/* Moments run forward and stay within the duration; halves of it get as many, and gaps are exponential. */
static void flows_arrive_as_a_poisson_process(void **state)
{
    const wlmi_schedule_wish wishes[] = {{.seed = 1, .flows = 10000, .rate = 100},
                                         {.seed = 1, .flows = 10000, .duration_s = 100},
                                         {.seed = 1, .rate = 100, .duration_s = 100}};
    (void)state;
    for (int w = 0; w < 3; w++) {
        wlmi_schedule s = make(wishes[w]);
        int64_t last = 0, at;
        double sum = 0, squares = 0;
        uint64_t n = 0, half = 0;
        while ((at = wlmi_schedule_next(&s)) != INT64_MAX) {
            double gap = (double)(at - last) / 1e9;
            assert_true(at >= last);
            assert_true(n || w || at == 0);
            sum += gap;
            squares += gap * gap;
            half += at < INT64_C(50) * 1000000000;
            last = at;
            n++;
        }
        assert_int_equal(n, s.flows);
        assert_true(!w || last < INT64_C(100) * 1000000000);
        assert_in_range(half, 4700, 5300);
        assert_true(fabs(sum / (double)n - 0.01) < 0.0004);
        assert_true(fabs(squares / (double)n / (2 * 0.01 * 0.01) - 1) < 0.1); /* second moment: 2 / rate^2 */
    }
}

static void wishes_that_make_no_sense_are_refused(void **state)
{
    static const wlm_label_count none[] = {{"a", 0}};
    const wlmi_schedule_wish wrong[] = {
        {.flows = 3, .rate = 1, .duration_s = 1}, {.rate = -1}, {.duration_s = NAN}, {.rate = 1e-9, .duration_s = 1},
        {.rate = 1e8, .duration_s = 1e8}, {.labels = none, .label_count = 1},
        {.flows = 3, .labels = labels, .label_count = LABELS}};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        wlmi_schedule s;
        wlm_error error;
        assert_int_equal(wlmi_schedule_make(&s, &wrong[i], &error), WLM_ERR_ARGUMENT);
    }
    assert_int_equal(make((wlmi_schedule_wish){.seed = 1}).flows, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_kept_and_mixed),
        cmocka_unit_test(counts_are_shares_where_rate_and_duration_say_how_many),
        cmocka_unit_test(flows_arrive_as_a_poisson_process),
        cmocka_unit_test(wishes_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
