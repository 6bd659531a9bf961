/* test_activations.c: every level of the cpu backend that this processor has against the scalar one: what makes
 * activations and what is made of them. Results in bf16 may differ by their rounding. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bf16.h"
#include "support/numbers.h"
#include "tensor/backend.h"
#include "tensor/products.h"

#define R(pointer) ((wlmi_real *)(uintptr_t)(pointer))
static const wlmi_backend *const ref = &wlmi_backend_ref;
static const wlmi_backend *cpu; /* the level that is tested */

/* Activations of one backend: act_size bytes each. */
static wlmi_act *acts(const wlmi_backend *b, const float *x, size_t n)
{
    wlmi_act *y = malloc(n * b->act_size);
    assert_non_null(y);
    b->to_act(y, R(x), n);
    return y;
}

static float *floats(const wlmi_backend *b, const wlmi_act *x, size_t n)
{
    float *y = malloc(n * sizeof *y);
    assert_non_null(y);
    b->to_real(R(y), x, n);
    return y;
}

/* Numbers that bf16 holds exactly. */
static float *round_randoms(size_t n)
{
    float *x = test_randoms(n);
    wlmi_act *rounded = acts(cpu, x, n);
    cpu->to_real(R(x), rounded, n);
    free(rounded);
    return x;
}

/* As assert_close, and then frees: what cpu made, rounded to bf16 by half of 2^-8 and more, of what ref made. */
static void assert_acts(const char *what, wlmi_act *got, wlmi_act *expected, size_t n, double tolerance)
{
    float *a = floats(cpu, got, n), *b = floats(ref, expected, n);
    assert_close(what, a, b, n, tolerance + 0x1p-8);
    free(a), free(b), free(got), free(expected);
}

static wlmi_weight *weight_of(const wlmi_backend *b, const float *w, int N, int K)
{
    wlmi_weight *weight = b->weight_new(N, K);
    assert_non_null(weight);
    b->weight_set(weight, R(w), 1);
    return weight;
}

typedef struct products_made {
    wlmi_act *y, *dx;
    float *onto, *over, *rows, *dx_real, *dw;
} products_made;

/* All products that there are of x [M,K], w [N,K], dy [M,N]; from base [M,N]; rows of w from `first` on. */
static products_made multiply(const wlmi_backend *b, const float *x, const float *w, const float *dy, const float *base,
                              int M, int N, int K, int first)
{
    const size_t mn = (size_t)M * (size_t)N, mk = (size_t)M * (size_t)K, nk = (size_t)N * (size_t)K;
    wlmi_act *ax = acts(b, x, mk), *ady = acts(b, dy, mn);
    wlmi_weight *weight = weight_of(b, w, N, K);
    products_made p = {malloc(mn * b->act_size), malloc(mk * b->act_size), malloc(mn * sizeof(float)),
                       test_copy(base, mn), malloc(mn * sizeof(float)), malloc(mk * sizeof(float)), test_copy(w, nk)};
    b->matmul_forward(p.y, ax, weight, M, N, K);
    b->matmul_forward_onto(R(p.onto), R(base), ax, weight, M, N, K);
    b->matmul_forward_onto(R(p.over), R(p.over), ax, weight, M, N, K);
    b->matmul_forward_rows(R(p.rows), ax, weight, M, first, N, K);
    b->matmul_backward_input(p.dx, ady, weight, M, N, K);
    b->matmul_backward_input_real(R(p.dx_real), ady, weight, M, N, K);
    b->matmul_backward_weight(R(p.dw), ady, ax, M, N, K);
    assert_int_equal(b->status(NULL), WLM_OK);
    b->weight_free(weight);
    free(ax), free(ady);
    return p;
}

/* Inputs that bf16 holds: sums differ only by the order of adding, and results in bf16 by their rounding. */
static void products_at(int M, int N, int K)
{
    const size_t mn = (size_t)M * (size_t)N, mk = (size_t)M * (size_t)K, nk = (size_t)N * (size_t)K;
    const int first = N / 3;
    float *x = round_randoms(mk), *w = round_randoms(nk), *dy = round_randoms(mn), *base = test_randoms(mn);
    products_made a = multiply(ref, x, w, dy, base, M, N, K, first), b = multiply(cpu, x, w, dy, base, M, N, K, first);
    products_made c = multiply(cpu, x, w, dy, base, M, N, K, first);
    assert_memory_equal(b.y, c.y, mn * cpu->act_size);
    assert_memory_equal(b.dx, c.dx, mk * cpu->act_size);
    assert_same_bits("matmul_forward_onto", b.onto, c.onto, mn);
    assert_same_bits("matmul_backward_weight", b.dw, c.dw, nk);
    assert_close("matmul_forward_onto", b.onto, a.onto, mn, 1e-5);
    assert_close("matmul_forward_onto itself", b.over, a.over, mn, 1e-5);
    assert_close("matmul_forward_rows", b.rows, a.rows, (size_t)M * (size_t)(N - first), 1e-5);
    assert_close("matmul_backward_input_real", b.dx_real, a.dx_real, mk, 1e-5);
    assert_close("matmul_backward_weight", b.dw, a.dw, nk, 1e-5);
    assert_acts("matmul_forward", b.y, a.y, mn, 1e-5);
    assert_acts("matmul_backward_input", b.dx, a.dx, mk, 1e-5);
    free(a.onto), free(a.over), free(a.rows), free(a.dx_real), free(a.dw);
    free(b.onto), free(b.over), free(b.rows), free(b.dx_real), free(b.dw);
    free(c.onto), free(c.over), free(c.rows), free(c.dx_real), free(c.dw), free(c.y), free(c.dx);
    free(x), free(w), free(dy), free(base);
}

static void products(void **state)
{
    static const int sizes[][3] = {{1, 5, 7}, {3, 33, 50}, {8, 1, 1}, {9, 31, 17}, {65, 40, 129}, {130, 64, 32}, {67, 150, 530}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        products_at(sizes[i][0], sizes[i][1], sizes[i][2]);
    assert_non_null(strstr(cpu->describe(), wlmi_products_library()));
}

/* Whichever way the matrices are stored. */
static void any_matrices(void **state)
{
    enum { M = 21, N = 37, K = 50 };
    float *a = round_randoms(M * K), *b = round_randoms(K * N), *c = test_randoms(M * N);
    (void)state;
    for (int way = 0; way < 8; way++) {
        float *expected = test_copy(c, M * N), *got = test_copy(c, M * N);
        ref->product(R(expected), R(a), way & 1, R(b), way & 2, M, N, K, way & 4);
        cpu->product(R(got), R(a), way & 1, R(b), way & 2, M, N, K, way & 4);
        assert_close("product", got, expected, M * N, 1e-5);
        free(expected), free(got);
    }
    free(a), free(b), free(c);
}

/* More shapes than the cache of products holds. */
static void many_products(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2; turn++)
        for (int M = 8; M < 98; M += 2)
            products_at(M, 3, 2);
}

/* Parameters that bf16 does not hold are rounded where products are in bf16: to 9 bits. */
static void rounded_weights(void **state)
{
    enum { M = 20, N = 30, K = 40 };
    float *x = test_randoms(M * K), *w = test_randoms(N * K), *dy = test_randoms(M * N), *base = test_randoms(M * N);
    products_made a = multiply(ref, x, w, dy, base, M, N, K, 0), b = multiply(cpu, x, w, dy, base, M, N, K, 0);
    (void)state;
    assert_close("matmul_forward_onto", b.onto, a.onto, M * N, 2e-2);
    assert_close("matmul_backward_weight", b.dw, a.dw, N * K, 2e-2);
    assert_acts("matmul_forward", b.y, a.y, M * N, 2e-2);
    assert_acts("matmul_backward_input", b.dx, a.dx, M * K, 2e-2);
    free(a.onto), free(a.over), free(a.rows), free(a.dx_real), free(a.dw);
    free(b.onto), free(b.over), free(b.rows), free(b.dx_real), free(b.dw);
    free(x), free(w), free(dy), free(base);
}

static const int32_t row_starts[] = {0, 1, 63, 64, 129, 131};
static const wlmi_segments row_segments = {5, row_starts};

static void norms(void **state)
{
    enum { T = 131, D = 70 };
    float *x = test_randoms(T * D), *dy = round_randoms(T * D), *g = test_randoms(D), *dx = test_randoms(T * D);
    (void)state;
    for (int shifted = 0; shifted < 2; shifted++) {
        const wlmi_segments *shift = shifted ? &row_segments : NULL;
        const wlmi_backend *const both[] = {ref, cpu};
        wlmi_act *y[2], *sum[2];
        float rstd[2][T], *d[2], *dg[2];
        for (int i = 0; i < 2; i++) {
            const wlmi_backend *b = both[i];
            wlmi_act *ady = acts(b, dy, T * D);
            y[i] = malloc(T * D * b->act_size);
            sum[i] = malloc(T * D * b->act_size);
            d[i] = test_copy(dx, T * D);
            dg[i] = test_copy(g, D);
            b->rmsnorm_forward(y[i], R(rstd[i]), R(x), R(g), shift, T, D);
            b->rmsnorm_backward(R(d[i]), sum[i], R(dg[i]), ady, R(x), R(g), R(rstd[0]), shift, T, D);
            free(ady);
        }
        assert_close("rmsnorm_forward rstd", rstd[1], rstd[0], T, 1e-6);
        assert_close("rmsnorm_backward", d[1], d[0], T * D, 1e-6);
        assert_close("rmsnorm_backward g", dg[1], dg[0], D, 1e-5);
        assert_acts("rmsnorm_forward", y[1], y[0], T * D, 1e-6);
        assert_acts("rmsnorm_backward sum", sum[1], sum[0], T * D, 1e-6);
        for (int i = 0; i < 2; i++)
            free(d[i]), free(dg[i]);
    }
    free(x), free(dy), free(g), free(dx);
}

static void swiglu(void **state)
{
    enum { T = 131, F = 35 };
    float *gu = round_randoms(T * 2 * F), *dy = round_randoms(T * F);
    const wlmi_backend *const both[] = {ref, cpu};
    wlmi_act *y[2], *dgu[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        wlmi_act *in = acts(both[i], gu, T * 2 * F), *d = acts(both[i], dy, T * F);
        y[i] = malloc(T * F * both[i]->act_size);
        dgu[i] = malloc(T * 2 * F * both[i]->act_size);
        both[i]->swiglu_forward(y[i], in, T, F);
        both[i]->swiglu_backward(dgu[i], d, in, T, F);
        free(in), free(d);
    }
    assert_acts("swiglu_forward", y[1], y[0], T * F, 1e-6);
    assert_acts("swiglu_backward", dgu[1], dgu[0], T * 2 * F, 1e-6);
    free(gu), free(dy);
}

static void embeddings_and_losses(void **state)
{
    enum { T = 131, D = 70, V = 11 };
    float *x = test_randoms(T * D), *table = test_randoms(V * D), weight[T], ra[T], rb[T];
    float *a = test_copy(x, T * D), *b = test_copy(x, T * D);
    wlmi_act *da = malloc(T * D * ref->act_size), *db = malloc(T * D * cpu->act_size);
    int32_t ids[T], target[T], first[T], last[T];
    (void)state;
    for (int t = 0; t < T; t++) {
        ids[t] = (int32_t)wlmi_rng_below(&test_rng, V);
        first[t] = (int32_t)wlmi_rng_below(&test_rng, D - 1);
        last[t] = first[t] + 1 + (int32_t)wlmi_rng_below(&test_rng, (uint64_t)(D - first[t]));
        target[t] = t % 5 == 0 ? -1 : first[t] + (int32_t)wlmi_rng_below(&test_rng, (uint64_t)(last[t] - first[t]));
        weight[t] = 0.5f + t % 3;
    }
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        ref->embed_forward(R(a), R(table), ids, T, D, accumulate);
        cpu->embed_forward(R(b), R(table), ids, T, D, accumulate);
        assert_close("embed_forward", b, a, T * D, 0);
    }
    memcpy(a, table, V * D * sizeof *a), memcpy(b, table, V * D * sizeof *b);
    ref->embed_backward(R(a), R(x), ids, T, V, D);
    cpu->embed_backward(R(b), R(x), ids, T, V, D);
    assert_close("embed_backward", b, a, V * D, 0);
    ref->cross_entropy_forward(R(ra), R(x), target, first, last, T, D);
    cpu->cross_entropy_forward(R(rb), R(x), target, first, last, T, D);
    assert_close("cross_entropy_forward", rb, ra, T, 1e-6);
    ref->cross_entropy_backward(da, R(x), target, first, last, weight, T, D);
    cpu->cross_entropy_backward(db, R(x), target, first, last, weight, T, D);
    assert_acts("cross_entropy_backward", db, da, T * D, 1e-6);
    free(x), free(table), free(a), free(b);
}

/* Every bf16 comes back; what lies between is rounded to the nearest, ties to even; NaN stays NaN. */
static void bf16(void **state)
{
    float *x = malloc(3 * 65536 * sizeof *x), *back;
    wlmi_act *y;
    (void)state;
    assert_non_null(x);
    for (uint32_t i = 0; i < 65536; i++)
        for (uint32_t part = 0; part < 3; part++) {
            const uint32_t bits = i << 16 | (part ? 0x7fff + part : 0);
            memcpy(&x[3 * i + part], &bits, sizeof bits);
        }
    y = acts(cpu, x, 3 * 65536);
    back = floats(cpu, y, 3 * 65536);
    for (size_t i = 0; i < 3 * 65536; i++) {
        uint16_t got;
        memcpy(&got, (const char *)y + 2 * i, sizeof got);
        if (isnan(x[i]))
            assert_true(isnan(back[i]));
        else
            assert_int_equal(got, wlmi_to_bf16(x[i]));
    }
    free(x), free(y), free(back);
}

static void shift(void **state)
{
    enum { D = 31, S = 5, TOKENS = 131 };
    float *x = round_randoms(TOKENS * D), *before[2] = {test_randoms(S * D), NULL};
    (void)state;
    before[1] = test_copy(before[0], S * D);
    for (int keep = 0; keep < 2; keep++) {
        const wlmi_backend *const both[] = {ref, cpu};
        wlmi_act *y[2];
        for (int i = 0; i < 2; i++) {
            wlmi_act *in = acts(both[i], x, TOKENS * D);
            wlmi_real *last[S];
            for (int s = 0; s < S; s++)
                last[s] = R(before[i] + s * D);
            y[i] = malloc(TOKENS * D * both[i]->act_size);
            both[i]->shift_step(y[i], in, row_segments, last, D, keep);
            free(in);
        }
        assert_acts("shift_step", y[1], y[0], TOKENS * D, 0);
        assert_same_bits("shift_step before", before[1], before[0], S * D);
    }
    free(x), free(before[0]), free(before[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),
        cmocka_unit_test(any_matrices),
        cmocka_unit_test(many_products),
        cmocka_unit_test(rounded_weights),
        cmocka_unit_test(bf16),
        cmocka_unit_test(norms),
        cmocka_unit_test(swiglu),
        cmocka_unit_test(embeddings_and_losses),
        cmocka_unit_test(shift),
    };
    int failed = 0;
    for (size_t i = 0; (cpu = wlmi_backend_cpu(i)); i++) {
        wlmi_rng_seed(&test_rng, 7);
        failed += cmocka_run_group_tests_name(cpu->level, tests, NULL, NULL);
    }
    return failed;
}
