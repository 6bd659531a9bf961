/* test_probe.c: what is linear a probe learns, what is near a neighbour tells; columns of no meaning do no harm. */
#include "support/support.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "task/nearest.h"
#include "task/probe.h"

enum { WIDTH = 10, CLASSES = 3, MOST = 600 };

typedef struct data {
    float x[MOST * WIDTH];
    int y[MOST];
    uint8_t held[MOST];
    wlmi_vectors vectors;
} data;

/* Three blobs, each so many deviations from the origin along an axis of its own. */
static void blobs(data *d, size_t n, double apart, uint64_t seed)
{
    wlmi_rng rng;
    wlmi_rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++) {
        d->y[i] = (int)wlmi_rng_below(&rng, CLASSES);
        d->held[i] = i % 5 == 0;
        for (int f = 0; f < WIDTH; f++)
            d->x[i * WIDTH + (size_t)f] = (float)(wlmi_rng_normal(&rng) + (f == d->y[i] ? apart : 0));
    }
    d->vectors = (wlmi_vectors){d->x, d->y, d->held, n, WIDTH, CLASSES};
}

/* A column that never varies, and one that drowns all others. */
static void disturb(data *d, uint64_t seed)
{
    wlmi_rng rng;
    wlmi_rng_seed(&rng, seed);
    for (size_t i = 0; i < d->vectors.n; i++) {
        d->x[i * WIDTH + 8] = 5;
        d->x[i * WIDTH + 9] = (float)(1e6 * wlmi_rng_normal(&rng));
    }
}

static double probe_accuracy(const wlmi_probe *probe, const data *d)
{
    size_t right = 0;
    for (size_t i = 0; i < d->vectors.n; i++)
        right += wlmi_probe_class(probe, &d->x[i * WIDTH]) == d->y[i];
    return (double)right / (double)d->vectors.n;
}

static double nearest_accuracy(const data *train, const data *test, int k)
{
    static int guess[MOST];
    wlm_error error;
    size_t right = 0;
    assert_ok(wlmi_nearest(&train->vectors, k, test->x, test->vectors.n, guess, &error), &error);
    for (size_t i = 0; i < test->vectors.n; i++)
        right += guess[i] == test->y[i];
    return (double)right / (double)test->vectors.n;
}

static void blobs_are_told_apart(void **state)
{
    static data train, test;
    wlmi_probe *probe;
    wlm_error error;
    (void)state;
    blobs(&train, MOST, 6, 1);
    blobs(&test, MOST, 6, 2);
    assert_true(nearest_accuracy(&train, &test, 5) > 0.97);
    disturb(&train, 11);
    disturb(&test, 12);
    assert_ok(wlmi_probe_train(&probe, &train.vectors, &error), &error);
    assert_true(probe_accuracy(probe, &test) > 0.99);
    wlmi_probe_free(probe);
}

/* Bayes' rule for blobs 2 apart is right in 82 %. */
static void overlap_costs_what_it_must(void **state)
{
    static data train, test;
    wlmi_probe *probe;
    wlm_error error;
    double accuracy;
    (void)state;
    blobs(&train, MOST, 2, 3);
    blobs(&test, MOST, 2, 4);
    assert_ok(wlmi_probe_train(&probe, &train.vectors, &error), &error);
    accuracy = probe_accuracy(probe, &test);
    wlmi_probe_free(probe);
    assert_true(accuracy > 0.76 && accuracy < 0.88);
    accuracy = nearest_accuracy(&train, &test, 15);
    assert_true(accuracy > 0.65 && accuracy < 0.88);
}

/* At the optimum the gradient is zero: the mean of probabilities is that of the labels, and a fit of its own to another
 * order of the rows finds the same. */
static void the_order_of_rows_does_not_matter(void **state)
{
    static data a, b;
    wlmi_probe *probe[2];
    wlm_error error;
    size_t differ = 0;
    (void)state;
    blobs(&a, MOST, 1, 5);
    a.vectors.held = NULL;
    for (size_t i = 0; i < MOST; i++) {
        memcpy(&b.x[i * WIDTH], &a.x[(MOST - 1 - i) * WIDTH], sizeof(float) * WIDTH);
        b.y[i] = a.y[MOST - 1 - i];
    }
    b.vectors = (wlmi_vectors){b.x, b.y, NULL, MOST, WIDTH, CLASSES};
    assert_ok(wlmi_probe_train(&probe[0], &a.vectors, &error), &error);
    assert_ok(wlmi_probe_train(&probe[1], &b.vectors, &error), &error);
    for (size_t i = 0; i < MOST; i++)
        differ += wlmi_probe_class(probe[0], &a.x[i * WIDTH]) != wlmi_probe_class(probe[1], &a.x[i * WIDTH]);
    assert_true(differ <= 3);
    wlmi_probe_free(probe[0]);
    wlmi_probe_free(probe[1]);
}

/* Few vectors of noise in many columns: little weight does best on what is held. */
static void noise_is_held_down(void **state)
{
    static data train;
    wlmi_probe *probe;
    wlm_error error;
    (void)state;
    blobs(&train, 60, 1, 6);
    assert_ok(wlmi_probe_train(&probe, &train.vectors, &error), &error);
    assert_true(wlmi_probe_l2(probe) >= 1e-4 && wlmi_probe_l2(probe) <= 0.1);
    wlmi_probe_free(probe);
}

static void a_vector_is_its_own_neighbour(void **state)
{
    static data train;
    (void)state;
    blobs(&train, MOST, 0, 7);
    assert_true(nearest_accuracy(&train, &train, 1) == 1);
}

static void nothing_to_learn_from_is_an_error(void **state)
{
    static data train;
    wlmi_probe *probe;
    wlm_error error;
    int guess;
    (void)state;
    blobs(&train, 5, 0, 8);
    train.vectors.n = 0;
    assert_int_equal(wlmi_probe_train(&probe, &train.vectors, &error), WLM_ERR_ARGUMENT);
    assert_int_equal(wlmi_nearest(&train.vectors, 1, train.x, 1, &guess, &error), WLM_ERR_ARGUMENT);
}

static void every_allocation_may_fail(void **state)
{
    static data train;
    static int guess[MOST];
    wlmi_probe *probe;
    wlm_error error;
    uint64_t allocations;
    (void)state;
    blobs(&train, 40, 3, 9);
    wlmi_alloc_fail_at(0);
    assert_ok(wlmi_probe_train(&probe, &train.vectors, &error), &error);
    allocations = wlmi_alloc_count();
    wlmi_probe_free(probe);
    for (uint64_t k = 1; k <= allocations; k++) {
        wlmi_alloc_fail_at(k);
        assert_int_equal(wlmi_probe_train(&probe, &train.vectors, &error), WLM_ERR_MEMORY);
    }
    for (uint64_t k = 1; k <= 3; k++) {
        wlmi_alloc_fail_at(k);
        assert_int_equal(wlmi_nearest(&train.vectors, 3, train.x, 40, guess, &error), WLM_ERR_MEMORY);
    }
    wlmi_alloc_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blobs_are_told_apart),
        cmocka_unit_test(overlap_costs_what_it_must),
        cmocka_unit_test(the_order_of_rows_does_not_matter),
        cmocka_unit_test(noise_is_held_down),
        cmocka_unit_test(a_vector_is_its_own_neighbour),
        cmocka_unit_test(nothing_to_learn_from_is_an_error),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
