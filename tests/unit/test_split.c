/* test_split.c: 80/10/10 by hash: stable, disjoint, mended. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "task/split.h"

enum { MANY = 20000 };

static wlmi_split_item *items(size_t count, size_t per_group, uint32_t labels)
{
    wlmi_split_item *item = calloc(count, sizeof *item);
    assert_non_null(item);
    for (size_t i = 0; i < count; i++) {
        item[i].group = wlmi_mix(i / per_group);
        item[i].flow = wlmi_mix2(item[i].group, i);
        item[i].label = (uint32_t)(i % labels);
    }
    return item;
}

static uint32_t split(wlmi_split_item *item, size_t count, uint32_t labels, wlm_split_by by, uint64_t seed)
{
    uint32_t fell_back;
    wlm_error error;
    assert_ok(wlmi_split(item, count, labels, by, seed, &fell_back, &error), &error);
    return fell_back;
}

static void count_parts(const wlmi_split_item *item, size_t count, size_t n[3])
{
    memset(n, 0, 3 * sizeof *n);
    for (size_t i = 0; i < count; i++)
        n[item[i].part]++;
}

static void shares_are_80_10_10(void **state)
{
    wlmi_split_item *item = items(MANY, 10, 3);
    size_t n[3];
    (void)state;
    for (int by = WLM_SPLIT_CAPTURE; by <= WLM_SPLIT_FLOW; by++) {
        assert_int_equal(split(item, MANY, 3, (wlm_split_by)by, 1), 0);
        count_parts(item, MANY, n);
        assert_in_range(n[WLM_PART_TRAIN], MANY * .77, MANY * .83);
        assert_in_range(n[WLM_PART_VAL], MANY * .08, MANY * .12);
        assert_in_range(n[WLM_PART_TEST], MANY * .08, MANY * .12);
    }
    free(item);
}

static void captures_stay_together(void **state)
{
    wlmi_split_item *item = items(MANY, 7, 2);
    (void)state;
    split(item, MANY, 2, WLM_SPLIT_CAPTURE, 5);
    for (size_t i = 1; i < MANY; i++)
        if (item[i].group == item[i - 1].group)
            assert_int_equal(item[i].part, item[i - 1].part);
    free(item);
}

static void pieces_of_a_conversation_stay_together(void **state)
{
    wlmi_split_item *item = items(1000, 1000, 1);
    (void)state;
    for (size_t i = 0; i < 1000; i++)
        item[i].flow = wlmi_mix(i % 100);
    split(item, 1000, 1, WLM_SPLIT_FLOW, 5);
    for (size_t i = 100; i < 1000; i++)
        assert_int_equal(item[i].part, item[i - 100].part);
    free(item);
}

static void more_data_moves_nothing(void **state)
{
    wlmi_split_item *few = items(MANY / 2, 10, 3), *more = items(MANY, 10, 3), *other = items(MANY, 10, 3);
    size_t moved = 0;
    (void)state;
    split(few, MANY / 2, 3, WLM_SPLIT_CAPTURE, 1);
    split(more, MANY, 3, WLM_SPLIT_CAPTURE, 1);
    for (size_t i = 0; i < MANY / 2; i++)
        assert_int_equal(few[i].part, more[i].part);
    split(other, MANY, 3, WLM_SPLIT_CAPTURE, 2);
    for (size_t i = 0; i < MANY; i++)
        moved += other[i].part != more[i].part;
    assert_true(moved > MANY / 10);
    free(few);
    free(more);
    free(other);
}

static void every_label_is_trained_on(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        enum { N = 40, LABELS = 10 };
        wlmi_split_item *item = items(N, 1, LABELS);
        int trained[LABELS] = {0};
        size_t n[3];
        split(item, N, LABELS, WLM_SPLIT_CAPTURE, seed);
        for (size_t i = 0; i < N; i++)
            trained[item[i].label] |= item[i].part == WLM_PART_TRAIN;
        for (int l = 0; l < LABELS; l++)
            assert_true(trained[l]);
        count_parts(item, N, n);
        assert_true(n[WLM_PART_TEST] > 0);
        free(item);
    }
}

static void few_units_fill_test_first(void **state)
{
    wlmi_split_item *item;
    size_t n[3];
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        item = items(3, 1, 1);
        split(item, 3, 1, WLM_SPLIT_CAPTURE, seed);
        count_parts(item, 3, n);
        assert_true(n[WLM_PART_TRAIN] > 0);
        assert_true(n[WLM_PART_TEST] > 0);
        free(item);
        item = items(1, 1, 1);
        split(item, 1, 1, WLM_SPLIT_CAPTURE, seed);
        assert_int_equal(item[0].part, WLM_PART_TRAIN);
        free(item);
    }
}

static void a_label_of_one_capture_falls_back(void **state)
{
    enum { N = 1000 };
    wlmi_split_item *item = items(N, 10, 1);
    size_t n[3] = {0};
    (void)state;
    for (size_t i = 0; i < 100; i++) { /* label 1: all in a capture of its own */
        item[i].label = 1;
        item[i].group = 99;
    }
    assert_int_equal(split(item, N, 2, WLM_SPLIT_CAPTURE, 3), 1);
    for (size_t i = 0; i < 100; i++)
        n[item[i].part]++;
    assert_true(n[0] > 50 && n[1] > 0 && n[2] > 0);
    for (size_t i = 101; i < N; i++) /* the other label still goes by capture */
        if (item[i].group == item[i - 1].group)
            assert_int_equal(item[i].part, item[i - 1].part);
    assert_int_equal(split(item, 100, 2, WLM_SPLIT_FLOW, 3), 0);
    free(item);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_80_10_10),
        cmocka_unit_test(captures_stay_together),
        cmocka_unit_test(pieces_of_a_conversation_stay_together),
        cmocka_unit_test(more_data_moves_nothing),
        cmocka_unit_test(every_label_is_trained_on),
        cmocka_unit_test(few_units_fill_test_first),
        cmocka_unit_test(a_label_of_one_capture_falls_back),
    };
    return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
