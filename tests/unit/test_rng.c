/* test_rng.c: the generator, and the permutation that orders training. */
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

static void same_seed_same_stream(void **state)
{
    wlmi_rng a, b;
    (void)state;
    wlmi_rng_seed(&a, 7);
    wlmi_rng_seed(&b, 7);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(wlmi_rng_next(&a), wlmi_rng_next(&b));
    wlmi_rng_seed(&b, 8);
    assert_true(wlmi_rng_next(&a) != wlmi_rng_next(&b));
}

static void below_is_uniform(void **state)
{
    wlmi_rng rng;
    int count[10] = {0};
    (void)state;
    wlmi_rng_seed(&rng, 1);
    for (int i = 0; i < 100000; i++)
        count[wlmi_rng_below(&rng, 10)]++;
    for (int i = 0; i < 10; i++)
        assert_in_range(count[i], 9500, 10500);
}

static void normal_has_unit_variance(void **state)
{
    wlmi_rng rng;
    double sum = 0, squares = 0;
    (void)state;
    wlmi_rng_seed(&rng, 2);
    for (int i = 0; i < 100000; i++) {
        double x = wlmi_rng_normal(&rng);
        sum += x;
        squares += x * x;
    }
    assert_true(fabs(sum / 1e5) < 0.02);
    assert_true(fabs(squares / 1e5 - 1) < 0.02);
}

static void permute_is_a_permutation(void **state)
{
    static const uint64_t sizes[] = {1, 2, 3, 17, 64, 65, 1000, 4097};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        unsigned char seen[4097] = {0};
        for (uint64_t i = 0; i < sizes[s]; i++) {
            uint64_t j = wlmi_permute(99, i, sizes[s]);
            assert_true(j < sizes[s]);
            assert_int_equal(seen[j], 0);
            seen[j] = 1;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_stream),
        cmocka_unit_test(below_is_uniform),
        cmocka_unit_test(normal_has_unit_variance),
        cmocka_unit_test(permute_is_a_permutation),
    };
    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
