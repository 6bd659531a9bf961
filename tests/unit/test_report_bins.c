/* test_report_bins.c: bins, histograms and their distance. */
#include <math.h>

#include "support/support.h"
#include "task/report_bins.h"

static void jsd_is_in_bits_from_0_to_1(void **state)
{
    const double left[] = {3, 1, 0}, same[] = {6, 2, 0}, right[] = {0, 0, 5}, half[] = {1, 1, 0}, none[] = {0, 0, 0};
    (void)state;
    assert_true(wlmi_jsd(left, same, 3) == 0);
    assert_true(fabs(wlmi_jsd(left, right, 3) - 1) < 1e-12);
    /* by hand: p = (3/4, 1/4), q = (1/2, 1/2), m = (5/8, 3/8) */
    assert_true(fabs(wlmi_jsd(left, half, 3) - (0.75 * log2(1.2) + 0.25 * log2(2 / 3.0) + 0.5 * log2(0.8) +
                                               0.5 * log2(4 / 3.0)) / 2) < 1e-12);
    assert_true(wlmi_jsd(left, half, 3) == wlmi_jsd(half, left, 3));
    assert_true(wlmi_jsd(left, none, 3) == 1);
    assert_true(isnan(wlmi_jsd(none, none, 3)));
}

static void frequent_values_have_a_bin_of_their_own(void **state)
{
    double values[400];
    wlmi_bins bins;
    (void)state;
    for (int i = 0; i < 400; i++)
        values[i] = i < 200 ? 443 : i < 396 ? 80 : i < 399 ? 40000 + i : NAN;
    wlmi_bins_make(&bins, WLMI_BINS_PORT, values, 400);
    assert_int_equal(bins.edges, 2);
    assert_int_equal(bins.count, 5);
    assert_int_equal(wlmi_bin_of(&bins, 80), 0);
    assert_int_equal(wlmi_bin_of(&bins, 443), 1);
    assert_int_equal(wlmi_bin_of(&bins, 81), 2);
    assert_int_equal(wlmi_bin_of(&bins, 1024), 3);
    assert_int_equal(wlmi_bin_of(&bins, 49151), 3);
    assert_int_equal(wlmi_bin_of(&bins, 49152), 4);
}

static void quantiles_hold_equal_shares(void **state)
{
    double values[1000], counts[WLMI_BINS_MAX] = {0};
    wlmi_bins bins;
    (void)state;
    for (int i = 0; i < 1000; i++)
        values[i] = (i * 7919) % 1000;
    wlmi_bins_make(&bins, WLMI_BINS_QUANTILE, values, 1000);
    assert_int_equal(bins.count, WLMI_BINS_QUANTILES + 2);
    for (int i = 0; i < 1000; i++)
        counts[wlmi_bin_of(&bins, i)]++;
    for (size_t i = 1; i + 1 < bins.count; i++)
        assert_in_range(counts[i], 49, 51);
    assert_int_equal(wlmi_bin_of(&bins, 999), bins.count - 2);
    assert_int_equal(wlmi_bin_of(&bins, 1000), bins.count - 1);
    assert_int_equal(wlmi_bin_of(&bins, -5), 0);
}

static void a_common_value_is_told_from_those_around_it(void **state)
{
    double values[] = {7, 7, 7, NAN, 7}, mixed[100];
    wlmi_bins bins;
    (void)state;
    wlmi_bins_make(&bins, WLMI_BINS_QUANTILE, values, 5);
    assert_int_equal(bins.count, 3);
    assert_int_equal(wlmi_bin_of(&bins, 6.99), 0);
    assert_int_equal(wlmi_bin_of(&bins, 7), 1);
    assert_int_equal(wlmi_bin_of(&bins, 7.01), 2);
    for (int i = 0; i < 100; i++)
        mixed[i] = i < 50 ? 52 : i < 60 ? 100 + i : 1500;
    wlmi_bins_make(&bins, WLMI_BINS_QUANTILE, mixed, 100);
    assert_int_not_equal(wlmi_bin_of(&bins, 51), wlmi_bin_of(&bins, 52));
    assert_int_not_equal(wlmi_bin_of(&bins, 52), wlmi_bin_of(&bins, 53));
    assert_int_not_equal(wlmi_bin_of(&bins, 1499), wlmi_bin_of(&bins, 1500));
    wlmi_bins_make(&bins, WLMI_BINS_QUANTILE, values, 0);
    assert_int_equal(bins.count, 1);
    assert_int_equal(wlmi_bin_of(&bins, 3), 0);
}

static void medians_leave_out_what_is_unknown(void **state)
{
    double odd[] = {9, NAN, 1, 4}, even[] = {8, 2}, none[] = {NAN};
    (void)state;
    assert_true(wlmi_median_known(odd, 4) == 4);
    assert_true(wlmi_median_known(even, 2) == 5);
    assert_true(isnan(wlmi_median_known(none, 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jsd_is_in_bits_from_0_to_1),
        cmocka_unit_test(frequent_values_have_a_bin_of_their_own),
        cmocka_unit_test(quantiles_hold_equal_shares),
        cmocka_unit_test(a_common_value_is_told_from_those_around_it),
        cmocka_unit_test(medians_leave_out_what_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
