/* test_boost.c: boosted trees split where trying every border splits, tell apart what can be told apart, and are the same
 * bits whatever the threads. */
#include "support/support.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "task/boost.h"

enum { FEATURES = 5, MOST = 3000, MOST_VALUES = 40 * 64 * 4 };

typedef struct data {
    float x[MOST * FEATURES], weight[MOST];
    int y[MOST];
    wlmi_samples samples;
} data;

typedef struct grown_trees {
    float index[MOST_VALUES], border[MOST_VALUES], value[MOST_VALUES];
    wlmi_boosted out;
} grown_trees;

/* Features of few values, so that every border between them has a bin. */
static void fill(data *d, size_t n, int classes, uint64_t seed, int (*label)(const float *x, wlmi_rng *rng))
{
    wlmi_rng rng;
    wlmi_rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++) {
        for (int f = 0; f < FEATURES; f++)
            d->x[i * FEATURES + (size_t)f] = (float)wlmi_rng_below(&rng, 20) - 10;
        d->y[i] = label(&d->x[i * FEATURES], &rng);
        d->weight[i] = (float)(.5 + wlmi_rng_uniform(&rng));
    }
    d->samples = (wlmi_samples){d->x, d->y, n, FEATURES, classes};
}

static int boxes(const float *x, wlmi_rng *rng)
{
    (void)rng;
    return x[1] > 3 ? 2 : (x[0] > 0) != (x[3] > -2);
}

/* More classes than a sketch of their gradients has numbers. */
static int grid(const float *x, wlmi_rng *rng)
{
    (void)rng;
    return 4 * ((x[1] > -4) + (x[1] > 3)) + (x[4] > -5) + (x[4] > 0) + (x[4] > 5);
}

static int anything(const float *x, wlmi_rng *rng)
{
    (void)x;
    return (int)wlmi_rng_below(rng, 3);
}

static wlmi_boosted *room(grown_trees *t)
{
    t->out = (wlmi_boosted){t->index, t->border, t->value};
    return &t->out;
}

static void boost(const data *d, const wlmi_boost_options *o, grown_trees *t)
{
    wlm_error error;
    assert_ok(wlmi_boost(&d->samples, o, wlmi_backend_find("cpu"), room(t), &error), &error);
}

static int leaf_of(const grown_trees *t, int tree, int depth, const float *x)
{
    const int splits = (1 << depth) - 1;
    int node = 0;
    while (node < splits)
        node = 2 * node + 1 + (x[(int)t->index[tree * splits + node]] > t->border[tree * splits + node]);
    return node - splits;
}

static int guess(const grown_trees *t, const wlmi_boost_options *o, int classes, const float *x)
{
    float sum[16] = {0};
    int best = 0;
    for (int tree = 0; tree < o->trees; tree++)
        for (int k = 0; k < classes; k++)
            sum[k] += t->value[((tree << o->depth) + leaf_of(t, tree, o->depth, x)) * classes + k];
    for (int k = 1; k < classes; k++)
        best = sum[k] > sum[best] ? k : best;
    return best;
}

static double accuracy(const grown_trees *t, const wlmi_boost_options *o, const data *d)
{
    size_t right = 0;
    for (size_t i = 0; i < d->samples.n; i++)
        right += guess(t, o, d->samples.classes, &d->x[i * FEATURES]) == d->y[i];
    return (double)right / (double)d->samples.n;
}

/* Sums of gradients and of weights on one side of a border, where nothing is known yet. */
static double side(const data *d, int feature, float border, int above, double ridge, double *gradient, double *weight)
{
    const int K = d->samples.classes;
    double squares = 0;
    memset(gradient, 0, (size_t)K * sizeof *gradient);
    *weight = 0;
    for (size_t i = 0; i < d->samples.n; i++) {
        if ((d->x[i * FEATURES + (size_t)feature] > border) != above)
            continue;
        *weight += (double)d->weight[i];
        for (int k = 0; k < K; k++)
            gradient[k] += (double)d->weight[i] * ((k == d->y[i]) - 1.0 / K);
    }
    for (int k = 0; k < K; k++)
        squares += gradient[k] * gradient[k];
    return squares / (*weight + ridge);
}

static void the_first_split_is_the_best_of_all(void **state)
{
    static data d;
    static grown_trees t;
    wlmi_boost_options o = wlmi_boost_options_default();
    (void)state;
    o.trees = o.depth = 1;
    o.rows = o.features = 1;
    for (uint64_t seed = 1; seed < 6; seed++) {
        double best = -1, gradient[3], weight, found;
        fill(&d, 200, 3, seed, anything);
        o.weight = d.weight;
        boost(&d, &o, &t);
        for (int f = 0; f < FEATURES; f++)
            for (float border = -10; border < 9; border++) {
                const double gain = side(&d, f, border, 0, o.ridge, gradient, &weight) +
                                    side(&d, f, border, 1, o.ridge, gradient, &weight);
                best = gain > best ? gain : best;
            }
        found = side(&d, (int)t.index[0], t.border[0], 0, o.ridge, gradient, &weight) +
                side(&d, (int)t.index[0], t.border[0], 1, o.ridge, gradient, &weight);
        assert_true(fabs(found - best) < 1e-4 * best);
        for (int above = 0; above < 2; above++) { /* and leaves are a step of Newton's */
            side(&d, (int)t.index[0], t.border[0], above, o.ridge, gradient, &weight);
            for (int k = 0; k < 3; k++) {
                const double step = o.rate * gradient[k] / (2 * weight * (1 / 3.) * (2 / 3.) + o.ridge);
                assert_true(fabs((double)t.value[3 * above + k] - step) < 1e-5);
            }
        }
    }
}

static void what_can_be_told_apart_is(void **state)
{
    static data learned, other;
    static grown_trees t;
    wlmi_boost_options o = wlmi_boost_options_default();
    (void)state;
    o.trees = 40;
    o.rate = .2;
    o.depth = 4;
    fill(&learned, MOST, 3, 1, boxes);
    fill(&other, MOST, 3, 2, boxes);
    boost(&learned, &o, &t);
    assert_true(accuracy(&t, &o, &learned) > .99);
    assert_true(accuracy(&t, &o, &other) > .99);
    fill(&learned, MOST, 3, 1, anything);
    fill(&other, MOST, 3, 2, anything);
    boost(&learned, &o, &t);
    assert_true(accuracy(&t, &o, &other) < .4);
    fill(&learned, MOST, 12, 1, grid);
    fill(&other, MOST, 12, 2, grid);
    boost(&learned, &o, &t);
    assert_true(accuracy(&t, &o, &learned) > .99);
    assert_true(accuracy(&t, &o, &other) > .99);
}

typedef struct course {
    int trees, stop_at;
    double first, last;
} course;

static int grown(void *user, int trees, double loss)
{
    course *c = user;
    assert_int_equal(trees, ++c->trees);
    c->first = trees == 1 ? loss : c->first;
    c->last = loss;
    return trees == c->stop_at;
}

static void it_tells_and_can_be_stopped(void **state)
{
    static data d;
    static grown_trees t;
    course c = {0};
    wlmi_boost_options o = wlmi_boost_options_default();
    wlm_error error;
    (void)state;
    o.trees = 20;
    o.rate = .2;
    o.depth = 3;
    o.grown = grown;
    o.user = &c;
    fill(&d, 1000, 3, 1, boxes);
    boost(&d, &o, &t);
    assert_int_equal(c.trees, 20);
    assert_true(fabs(c.first - log(3)) < 1e-5 && c.last < .3 * c.first);
    c = (course){.stop_at = 7};
    assert_int_equal(wlmi_boost(&d.samples, &o, wlmi_backend_find("cpu"), room(&t), &error), WLM_STOPPED);
    assert_int_equal(c.trees, 7);
}

static void threads_and_runs_give_the_same_bits(void **state)
{
    static data d;
    static grown_trees one, two;
    const wlmi_backend *cpu = wlmi_backend_find("cpu");
    wlmi_boost_options o = wlmi_boost_options_default();
    (void)state;
    o.trees = 5;
    fill(&d, MOST, 3, 1, boxes);
    cpu->set_threads(1);
    boost(&d, &o, &one);
    cpu->set_threads(2);
    boost(&d, &o, &two);
    cpu->set_threads(0);
    assert_memory_equal(one.index, two.index, 5 * 63 * sizeof(float));
    assert_memory_equal(one.border, two.border, 5 * 63 * sizeof(float));
    assert_memory_equal(one.value, two.value, 5 * 64 * 3 * sizeof(float));
    o.seed = 2;
    boost(&d, &o, &two);
    assert_true(memcmp(one.value, two.value, 5 * 64 * 3 * sizeof(float)) != 0);
}

static void a_node_that_nothing_divides_sends_all_one_way(void **state)
{
    static data d;
    static grown_trees t;
    wlmi_boost_options o = wlmi_boost_options_default();
    (void)state;
    o.trees = 1;
    o.depth = 2;
    fill(&d, 100, 1, 1, boxes); /* one class, every feature the same */
    memset(d.x, 0, sizeof d.x);
    memset(d.y, 0, sizeof d.y);
    boost(&d, &o, &t);
    for (int node = 0; node < 3; node++)
        assert_true(t.index[node] == 0 && t.border[node] == FLT_MAX);
    assert_true(t.value[0] == 0);
}

static void what_makes_no_sense_is_refused(void **state)
{
    static data d;
    static grown_trees t;
    wlmi_boost_options o = wlmi_boost_options_default();
    const wlmi_backend *cpu = wlmi_backend_find("cpu");
    wlm_error error;
    (void)state;
    fill(&d, 10, 3, 1, boxes);
    d.y[4] = 3;
    assert_int_equal(wlmi_boost(&d.samples, &o, cpu, room(&t), &error), WLM_ERR_ARGUMENT);
    d.y[4] = 0;
    o.depth = 9;
    assert_int_equal(wlmi_boost(&d.samples, &o, cpu, room(&t), &error), WLM_ERR_ARGUMENT);
    o.depth = 1;
    d.samples.n = 0;
    assert_int_equal(wlmi_boost(&d.samples, &o, cpu, room(&t), &error), WLM_ERR_ARGUMENT);
}

static void failed_allocations_leak_nothing(void **state)
{
    static data d;
    static grown_trees t;
    wlmi_boost_options o = wlmi_boost_options_default();
    (void)state;
    o.trees = o.depth = 2;
    fill(&d, 50, 3, 1, boxes);
    for (uint64_t k = 1, done = 0; !done; k++) {
        wlm_status status;
        wlmi_alloc_fail_at(k);
        status = wlmi_boost(&d.samples, &o, wlmi_backend_find("cpu"), room(&t), NULL);
        done = status == WLM_OK && wlmi_alloc_count() < k;
        wlmi_alloc_fail_at(0);
        assert_true(status == WLM_ERR_MEMORY || done);
        assert_true(k < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_split_is_the_best_of_all),
        cmocka_unit_test(what_can_be_told_apart_is),
        cmocka_unit_test(it_tells_and_can_be_stopped),
        cmocka_unit_test(threads_and_runs_give_the_same_bits),
        cmocka_unit_test(a_node_that_nothing_divides_sends_all_one_way),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(failed_allocations_leak_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
