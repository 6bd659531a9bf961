/* test_forest.c: trees and forests tell apart what can be told apart, as well as it can be, the same way each time. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "task/forest.h"

enum { FEATURES = 6 };

typedef struct data {
    float x[2000 * FEATURES];
    int y[2000];
    wlmi_samples samples;
} data;

static void fill(data *d, size_t n, int classes, uint64_t seed, int (*label)(const float *x, wlmi_rng *rng))
{
    wlmi_rng rng;
    wlmi_rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++) {
        for (int f = 0; f < FEATURES; f++)
            d->x[i * FEATURES + (size_t)f] = (float)wlmi_rng_uniform(&rng) * 2 - 1;
        d->y[i] = label(&d->x[i * FEATURES], &rng);
    }
    d->samples = (wlmi_samples){d->x, d->y, n, FEATURES, classes};
}

static int quadrant(const float *x, wlmi_rng *rng)
{
    (void)rng;
    return (x[0] > 0) != (x[1] > 0);
}

/* The sign of the first feature, wrong in a fifth of cases. */
static int noisy(const float *x, wlmi_rng *rng)
{
    return (x[0] > 0) != (wlmi_rng_uniform(rng) < 0.2);
}

static int best(const float *p, int classes)
{
    int at = 0;
    for (int c = 1; c < classes; c++)
        at = p[c] > p[at] ? c : at;
    return at;
}

static double forest_accuracy(const wlmi_forest *forest, const data *d)
{
    size_t right = 0;
    for (size_t i = 0; i < d->samples.n; i++) {
        float p[8], sum = 0;
        wlmi_forest_predict(forest, &d->x[i * FEATURES], p);
        for (int c = 0; c < d->samples.classes; c++)
            sum += p[c];
        assert_true(fabsf(sum - 1) < 1e-4f);
        right += best(p, d->samples.classes) == d->y[i];
    }
    return (double)right / (double)d->samples.n;
}

static double tree_accuracy(const wlmi_tree *tree, const data *d)
{
    size_t right = 0;
    for (size_t i = 0; i < d->samples.n; i++) {
        float p[8] = {0};
        wlmi_tree_add(tree, &d->x[i * FEATURES], p);
        right += best(p, d->samples.classes) == d->y[i];
    }
    return (double)right / (double)d->samples.n;
}

static wlmi_tree *grow_tree(const wlmi_samples *samples, wlmi_tree_options options)
{
    wlmi_tree *tree;
    wlm_error error;
    assert_ok(wlmi_tree_train(&tree, samples, NULL, 0, &options, &error), &error);
    return tree;
}

static wlmi_forest *grow_forest(const wlmi_samples *samples, wlmi_forest_options options)
{
    wlmi_forest *forest;
    wlm_error error;
    assert_ok(wlmi_forest_train(&forest, samples, &options, &error), &error);
    return forest;
}

/* No single split tells quadrants apart: a tree has to divide without gain first. */
static void a_tree_learns_what_no_one_split_tells(void **state)
{
    static data train, test;
    wlmi_tree *tree;
    (void)state;
    fill(&train, 1000, 2, 1, quadrant);
    fill(&test, 1000, 2, 2, quadrant);
    tree = grow_tree(&train.samples, (wlmi_tree_options){.seed = 1});
    assert_true(tree_accuracy(tree, &train) == 1);
    assert_true(tree_accuracy(tree, &test) > 0.65);
    wlmi_tree_free(tree);
}

static void a_forest_learns_quadrants(void **state)
{
    static data train, test;
    wlmi_forest_options options = wlmi_forest_options_default();
    wlmi_forest *forest;
    (void)state;
    fill(&train, 1500, 2, 1, quadrant);
    fill(&test, 1000, 2, 2, quadrant);
    forest = grow_forest(&train.samples, options);
    assert_true(forest_accuracy(forest, &test) > 0.93);
    wlmi_forest_free(forest);
}

/* At best 0.8. A tree to the end learns the noise; leaves of some size, and many trees, do not. */
static void noise_is_averaged_out(void **state)
{
    static data train, test;
    wlmi_forest_options options = wlmi_forest_options_default();
    wlmi_tree *deep, *shallow;
    wlmi_forest *forest;
    (void)state;
    fill(&train, 2000, 2, 3, noisy);
    fill(&test, 2000, 2, 4, noisy);
    options.min_leaf = 20;
    deep = grow_tree(&train.samples, (wlmi_tree_options){.seed = 1});
    shallow = grow_tree(&train.samples, (wlmi_tree_options){.depth = 1, .seed = 1});
    forest = grow_forest(&train.samples, options);
    assert_true(tree_accuracy(deep, &test) < 0.75);
    assert_true(tree_accuracy(shallow, &test) > 0.77);
    assert_true(forest_accuracy(forest, &test) > 0.77);
    wlmi_tree_free(deep);
    wlmi_tree_free(shallow);
    wlmi_forest_free(forest);
}

static void the_same_seed_gives_the_same_forest(void **state)
{
    static data train;
    wlmi_forest_options options = wlmi_forest_options_default();
    wlmi_forest *forest[3];
    int differs = 0;
    (void)state;
    fill(&train, 300, 2, 5, noisy);
    options.trees = 10;
    forest[0] = grow_forest(&train.samples, options);
    forest[1] = grow_forest(&train.samples, options);
    options.seed = 2;
    forest[2] = grow_forest(&train.samples, options);
    for (size_t i = 0; i < 300; i++) {
        float p[3][2];
        for (int f = 0; f < 3; f++)
            wlmi_forest_predict(forest[f], &train.x[i * FEATURES], p[f]);
        assert_memory_equal(p[0], p[1], sizeof p[0]);
        differs |= memcmp(p[0], p[2], sizeof p[0]) != 0;
    }
    assert_true(differs);
    for (int f = 0; f < 3; f++)
        wlmi_forest_free(forest[f]);
}

/* Two samples of class 1 among 38 of class 0, with nothing to tell them apart. */
static void balanced_classes_weigh_the_same(void **state)
{
    float x[40] = {0}, p[2] = {0, 0};
    int y[40] = {1, 1};
    const wlmi_samples samples = {x, y, 40, 1, 2};
    wlmi_tree *tree = grow_tree(&samples, (wlmi_tree_options){.balance = 1});
    (void)state;
    wlmi_tree_add(tree, x, p);
    assert_true(fabsf(p[0] - 0.5f) < 1e-6f && fabsf(p[1] - 0.5f) < 1e-6f);
    wlmi_tree_free(tree);
    tree = grow_tree(&samples, (wlmi_tree_options){.balance = 0});
    p[0] = p[1] = 0;
    wlmi_tree_add(tree, x, p);
    assert_true(fabsf(p[1] - 0.05f) < 1e-6f);
    wlmi_tree_free(tree);
}

static void odd_values_divide_too(void **state)
{
    const float x[] = {-INFINITY, -3, 0, 1e38f, INFINITY, NAN};
    const int y[] = {0, 1, 0, 1, 0, 0};
    const wlmi_samples samples = {x, y, 6, 1, 2};
    wlmi_tree *tree = grow_tree(&samples, (wlmi_tree_options){.seed = 1});
    (void)state;
    for (int i = 0; i < 6; i++) {
        float p[2] = {0, 0};
        wlmi_tree_add(tree, &x[i], p);
        assert_true(p[y[i]] == 1);
    }
    wlmi_tree_free(tree);
}

static void nothing_to_learn_from_is_an_error(void **state)
{
    const float x[] = {0, 1};
    const int y[] = {0, 2};
    const wlmi_samples none = {x, y, 0, 1, 2}, strange = {x, y, 2, 1, 2};
    const wlmi_forest_options options = {.trees = 3};
    wlmi_forest *forest;
    wlm_error error;
    (void)state;
    assert_int_equal(wlmi_forest_train(&forest, &none, &options, &error), WLM_ERR_ARGUMENT);
    assert_int_equal(wlmi_forest_train(&forest, &strange, &options, &error), WLM_ERR_ARGUMENT);
    assert_null(forest);
}

static void every_allocation_may_fail(void **state)
{
    static data train;
    wlmi_forest_options options = wlmi_forest_options_default();
    wlmi_forest *forest;
    wlm_error error;
    uint64_t allocations;
    (void)state;
    fill(&train, 60, 2, 5, noisy);
    options.trees = 3;
    wlmi_alloc_fail_at(0);
    forest = grow_forest(&train.samples, options);
    allocations = wlmi_alloc_count();
    wlmi_forest_free(forest);
    for (uint64_t k = 1; k <= allocations; k++) {
        wlmi_alloc_fail_at(k);
        assert_int_equal(wlmi_forest_train(&forest, &train.samples, &options, &error), WLM_ERR_MEMORY);
        assert_null(forest);
    }
    wlmi_alloc_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_learns_what_no_one_split_tells),
        cmocka_unit_test(a_forest_learns_quadrants),
        cmocka_unit_test(noise_is_averaged_out),
        cmocka_unit_test(the_same_seed_gives_the_same_forest),
        cmocka_unit_test(balanced_classes_weigh_the_same),
        cmocka_unit_test(odd_values_divide_too),
        cmocka_unit_test(nothing_to_learn_from_is_an_error),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
