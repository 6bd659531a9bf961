/* test_place.c: where a byte stands, as rows: near ones have a row each, far ones share, none leaves its part. */
#include "support/support.h"

#include "model/place.h"

static void rows_of(int64_t measure, int32_t row[WLMI_PLACE_PARTS])
{
    wlmi_place_rows(&measure, 1, row);
}

static void no_byte_to_come_has_the_first_rows(void **state)
{
    static const wlmi_measured empty = {.backward = 1};
    const int64_t none[] = {0, wlmi_measure_gap(1000), wlmi_measure_packet(&empty)};
    (void)state;
    for (int i = 0; i < 3; i++) {
        int32_t row[WLMI_PLACE_PARTS];
        rows_of(none[i], row);
        assert_int_equal(row[0], 0);
        assert_int_equal(row[1], WLMI_PLACE_COUNTS);
        assert_int_equal(row[2], 2 * WLMI_PLACE_COUNTS);
    }
}

/* A payload's first byte stands behind its length, the others behind bytes: no gap between the two. */
static void a_length_says_where_the_first_byte_stands(void **state)
{
    (void)state;
    for (uint32_t left = 1; left < 2000; left++) {
        const wlmi_measured packet = {.length = left};
        const wlmi_byte_place place = {0, left, 0};
        int32_t row[WLMI_PLACE_PARTS], same[WLMI_PLACE_PARTS];
        rows_of(wlmi_measure_packet(&packet), row);
        rows_of(wlmi_measure_place(&place), same);
        assert_memory_equal(row, same, sizeof row);
    }
}

static void rows_grow_and_stay_in_their_part(void **state)
{
    int32_t last[WLMI_PLACE_PARTS] = {0, WLMI_PLACE_COUNTS, 0};
    (void)state;
    for (uint32_t n = 0; n < 70000; n++) {
        const wlmi_byte_place place = {n, n + 1, n % WLMI_STRING_STATES};
        int32_t row[WLMI_PLACE_PARTS];
        rows_of(wlmi_measure_place(&place), row);
        for (int part = 0; part < 2; part++) {
            const int32_t in_part = row[part] - part * WLMI_PLACE_COUNTS;
            assert_true(n < 47 ? in_part == (int32_t)n + 1 : in_part >= 48 && in_part < WLMI_PLACE_COUNTS);
            assert_in_range(row[part] - last[part], 0, 1);
            last[part] = row[part];
        }
        assert_int_equal(row[2], 2 * WLMI_PLACE_COUNTS + (int32_t)(n % WLMI_STRING_STATES));
    }
    assert_int_equal(last[0], WLMI_PLACE_COUNTS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_byte_to_come_has_the_first_rows),
        cmocka_unit_test(a_length_says_where_the_first_byte_stands),
        cmocka_unit_test(rows_grow_and_stay_in_their_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
