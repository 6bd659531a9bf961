/* test_int8.c: products in int8: against plain loops over whole numbers, within the bound that rounding gives, and what
 * they leave of a model. */
#include "support/model.h"
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "task/bench_model.h"

#define R(pointer) ((wlmi_real *)(uintptr_t)(pointer))
static const wlmi_backend *cpu; /* the level that is tested */
static wlmi_rng rng;

/* What a product is made of: x [M,K], w [N,K], base [M,N]. */
typedef struct factors {
    int M, N, K;
    float *x, *w, *base;
    wlmi_act *act;
    wlmi_weight *weight;
} factors;

static void factors_open(factors *f, int M, int N, int K)
{
    *f = (factors){M, N, K, calloc((size_t)M * K, 4), calloc((size_t)N * K, 4), calloc((size_t)M * N, 4),
                   malloc((size_t)M * K * cpu->act_size), cpu->weight_new(N, K)};
    assert_true(f->x && f->w && f->base && f->act && f->weight);
}

/* The values are set: rounds x to activations, and w to int8. */
static void factors_take(factors *f)
{
    cpu->to_act(f->act, R(f->x), (size_t)f->M * f->K);
    cpu->to_real(R(f->x), f->act, (size_t)f->M * f->K);
    cpu->weight_set(f->weight, R(f->w), 0);
    cpu->weight_quantise(f->weight, 1);
    assert_int_equal(cpu->status(NULL), WLM_OK);
}

static void factors_close(factors *f)
{
    assert_int_equal(cpu->status(NULL), WLM_OK);
    cpu->weight_free(f->weight);
    free(f->x), free(f->w), free(f->base), free(f->act);
}

static const int sizes[][3] = {{1, 1, 1},   {1, 5, 7},    {3, 33, 50},  {5, 64, 64},  {6, 65, 3},
                               {7, 128, 9}, {97, 70, 41}, {130, 64, 32}, {200, 300, 257}, {256, 200, 96},
                               {510, 4160, 3}}; /* the last is written past the caches */
enum { SIZES = sizeof sizes / sizeof *sizes };

/* Rows of whole numbers whose largest is 127 have scale 1: nothing is rounded, and sums below 2^24 are exact. */
static void whole_numbers_give_whole_sums(void **state)
{
    (void)state;
    for (int i = 0; i < SIZES; i++) {
        factors f;
        factors_open(&f, sizes[i][0], sizes[i][1], sizes[i][2]);
        const int M = f.M, N = f.N, K = f.K, first = N / 3;
        float *onto = malloc((size_t)M * N * 4), *rows = malloc((size_t)M * N * 4), *read = malloc((size_t)M * N * 4);
        wlmi_act *y = malloc((size_t)M * N * cpu->act_size), *near = malloc((size_t)M * N * cpu->act_size);
        for (int j = 0; j < M * K; j++)
            f.x[j] = j % K == j / K % K ? 127 : (float)wlmi_rng_below(&rng, 255) - 127;
        for (int j = 0; j < N * K; j++)
            f.w[j] = j % K == 0 ? -127 : (float)wlmi_rng_below(&rng, 255) - 127;
        for (int j = 0; j < M * N; j++)
            f.base[j] = (float)wlmi_rng_below(&rng, 1000);
        factors_take(&f);
        cpu->matmul_forward(y, f.act, f.weight, M, N, K);
        cpu->matmul_forward_onto(R(onto), R(f.base), f.act, f.weight, M, N, K);
        cpu->matmul_forward_rows(R(rows), f.act, f.weight, M, first, N, K);
        for (int m = 0; m < M; m++)
            for (int n = 0; n < N; n++) {
                int32_t sum = 0;
                for (int k = 0; k < K; k++)
                    sum += (int32_t)f.x[m * K + k] * (int32_t)f.w[n * K + k];
                assert_true(onto[m * N + n] == f.base[m * N + n] + (float)sum);
                if (n >= first)
                    assert_true(rows[m * (N - first) + n - first] == (float)sum);
                read[m * N + n] = (float)sum;
            }
        cpu->to_act(near, R(read), (size_t)M * N);
        assert_memory_equal(y, near, (size_t)M * N * cpu->act_size);
        cpu->matmul_forward_onto(R(f.base), R(f.base), f.act, f.weight, M, N, K);
        assert_memory_equal(f.base, onto, (size_t)M * N * 4);
        free(onto), free(rows), free(read), free(y), free(near);
        factors_close(&f);
    }
}

static float row_scale(const float *row, int K)
{
    float most = 0;
    for (int k = 0; k < K; k++)
        most = fmaxf(most, fabsf(row[k]));
    return most / 127;
}

static float *aligned(size_t n)
{
    return aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64);
}

/* Each value is at most half a scale off. And a row's bits depend neither on another row nor on the number of threads. */
static void errors_stay_within_the_rounding(void **state)
{
    (void)state;
    for (int i = 0; i < SIZES; i++) {
        factors f;
        factors_open(&f, sizes[i][0], sizes[i][1], sizes[i][2]);
        const int M = f.M, N = f.N, K = f.K;
        float *y = aligned((size_t)M * N), *other = aligned((size_t)M * N);
        float *alone = malloc((size_t)N * 4);
        for (int j = 0; j < M * K; j++)
            f.x[j] = j / K == 2 ? 0 : (float)(wlmi_rng_normal(&rng) * pow(10, j / K % 9 - 4));
        for (int j = 0; j < N * K; j++)
            f.w[j] = j / K == 1 ? 0 : (float)wlmi_rng_normal(&rng);
        factors_take(&f);
        cpu->matmul_forward_onto(R(y), NULL, f.act, f.weight, M, N, K);
        for (int threads = 1; threads <= 5; threads++) {
            cpu->set_threads(threads);
            cpu->matmul_forward_onto(R(other), NULL, f.act, f.weight, M, N, K);
            assert_memory_equal(other, y, (size_t)M * N * 4);
        }
        cpu->set_threads(0);
        for (int m = 0; m < M; m++) {
            const float *x = f.x + m * K;
            const double sx = (double)row_scale(x, K);
            cpu->matmul_forward_onto(R(alone), NULL, (const wlmi_act *)((const char *)f.act + (size_t)m * K * cpu->act_size),
                                     f.weight, 1, N, K);
            assert_memory_equal(alone, y + m * N, (size_t)N * 4);
            for (int n = 0; n < N; n++) {
                const float *w = f.w + n * K;
                const double sw = (double)row_scale(w, K);
                double exact = 0, bound = 0;
                for (int k = 0; k < K; k++) {
                    exact += (double)x[k] * (double)w[k];
                    bound += (fabs((double)x[k]) * sw + fabs((double)w[k]) * sx) / 2 + sx * sw / 4;
                }
                assert_true(fabs((double)y[m * N + n] - exact) <= bound * (1 + 1e-5));
            }
        }
        free(y), free(other), free(alone);
        factors_close(&f);
    }
}

static void what_is_not_finite_stays_so_in_its_row(void **state)
{
    enum { M = 5, N = 3, K = 4 };
    static const float bad[M] = {1, INFINITY, NAN, -INFINITY, 1};
    float y[M * N];
    factors f;
    (void)state;
    factors_open(&f, M, N, K);
    for (int j = 0; j < M * K; j++)
        f.x[j] = j % K == 1 ? bad[j / K] : 1;
    for (int j = 0; j < N * K; j++)
        f.w[j] = 1;
    factors_take(&f);
    cpu->matmul_forward_onto(R(y), NULL, f.act, f.weight, M, N, K);
    for (int j = 0; j < M * N; j++)
        assert_true(bad[j / N] == 1 ? fabsf(y[j] - K) < 1e-5f : isnan(y[j]));
    factors_close(&f);
}

/* ---------------------------------------------------------------- models */

enum { ROWS = 40 };

static void logits_of(wlmi_net *net, const test_batch *b, float *out)
{
    int32_t position[ROWS];
    wlm_error error;
    for (int t = 0; t < ROWS; t++)
        position[t] = t;
    assert_ok(wlmi_net_logits(net, &b->batch, NULL, 0, position, ROWS, 0, net->rows, out, &error), &error);
}

/* Stated bound: root of the mean square of the difference at most a tenth of that of the logits, of tiny models with random weights. */
static void a_models_logits_are_near(void **state)
{
    static const char *const presets[] = {"netgpt-nano", "trafficgpt-nano", "wire-nano"};
    static const int lengths[] = {13, 20, 7, 0};
    (void)state;
    for (int i = 0; i < 3; i++) {
        wlmi_net *net = test_net(presets[i], cpu);
        const size_t n = (size_t)ROWS * (size_t)net->rows;
        float *full = malloc(n * 4), *near = malloc(n * 4), *again = malloc(n * 4);
        double squares = 0, errors = 0;
        test_batch b;
        wlm_error error;
        test_batch_fill(&b, net, lengths, 3);
        logits_of(net, &b, full);
        assert_ok(wlmi_net_quantise(net, 1, &error), &error);
        logits_of(net, &b, near);
        for (size_t j = 0; j < n; j++) {
            squares += (double)full[j] * (double)full[j];
            errors += pow((double)full[j] - (double)near[j], 2);
        }
        assert_true(errors > 0 && errors <= 0.1 * 0.1 * squares);
        assert_ok(wlmi_net_quantise(net, 0, &error), &error);
        logits_of(net, &b, again);
        assert_memory_equal(full, again, n * 4);
        assert_ok(wlmi_net_quantise(net, 1, &error), &error);
        wlmi_net_refresh(net);
        logits_of(net, &b, again);
        assert_memory_equal(full, again, n * 4);
        free(full), free(near), free(again);
        wlmi_net_free(net);
    }
}

static void failed_allocations_leave_the_model_as_it_was(void **state)
{
    static const int lengths[] = {40, 0};
    wlmi_net *net = test_net("wire-nano", cpu);
    const size_t n = (size_t)ROWS * (size_t)net->rows;
    float *full = malloc(n * 4), *after = malloc(n * 4);
    test_batch b;
    wlm_error error;
    wlm_status status;
    (void)state;
    test_batch_fill(&b, net, lengths, 3);
    logits_of(net, &b, full);
    for (uint64_t k = 1;; k++) {
        wlmi_alloc_fail_at(k);
        status = wlmi_net_quantise(net, 1, &error);
        wlmi_alloc_fail_at(0);
        if (status == WLM_OK)
            break;
        assert_int_equal(status, WLM_ERR_MEMORY);
        logits_of(net, &b, after);
        assert_memory_equal(full, after, n * 4);
    }
    free(full), free(after);
    wlmi_net_free(net);
}

static void backends_without_int8_say_so(void **state)
{
    wlmi_net *net = test_net("wire-nano", &wlmi_backend_ref);
    wlm_error error;
    (void)state;
    assert_int_equal(wlmi_net_quantise(net, 1, &error), WLM_ERR_UNSUPPORTED);
    wlmi_net_free(net);
}

/* After some steps on tokens that can be learned, int8 costs at most half a percent of the bits. */
static void a_trained_model_loses_few_bits(void **state)
{
    wlm_bench_model_options options = wlm_bench_model_options_default();
    wlmi_bench_model m;
    wlmi_loss full, near;
    double seconds;
    wlm_error error;
    (void)state;
    options.preset = "wire-nano";
    options.codec = "bytes";
    options.context = 32;
    options.tokens_per_batch = 128;
    assert_ok(wlmi_bench_model_open(&m, &options, &error), &error);
    assert_ok(wlmi_bench_model_train(&m, &error), &error);
    for (uint64_t i = 0; i < 20; i++) {
        assert_ok(wlmi_bench_model_batch(&m, m.context, m.segments, i, &error), &error);
        assert_ok(wlmi_bench_model_step(&m, &seconds, NULL, &error), &error);
    }
    assert_ok(wlmi_bench_model_batch(&m, m.context, m.segments, 1000, &error), &error);
    const wlmi_batch batch = wlmi_rows_batch(&m.rows);
    assert_ok(wlmi_net_forward(m.net, &batch, &full, &error), &error);
    assert_ok(wlmi_net_quantise(m.net, 1, &error), &error);
    assert_ok(wlmi_net_forward(m.net, &batch, &near, &error), &error);
    assert_true(near.tokens != full.tokens && near.tokens <= 1.005 * full.tokens);
    wlmi_bench_model_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_give_whole_sums),
        cmocka_unit_test(errors_stay_within_the_rounding),
        cmocka_unit_test(what_is_not_finite_stays_so_in_its_row),
        cmocka_unit_test(a_models_logits_are_near),
        cmocka_unit_test(failed_allocations_leave_the_model_as_it_was),
    };
    const struct CMUnitTest once[] = {
        cmocka_unit_test(backends_without_int8_say_so),
        cmocka_unit_test(a_trained_model_loses_few_bits),
    };
    int failed = 0;
    for (size_t i = 0; (cpu = wlmi_backend_cpu(i)); i++) {
        wlmi_rng_seed(&rng, 7);
        failed += cmocka_run_group_tests_name(cpu->level, tests, NULL, NULL);
    }
    return failed + cmocka_run_group_tests_name("any level", once, NULL, NULL);
}
