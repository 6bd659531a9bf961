/* test_cpu.c: every level of the cpu backend that this processor has against the scalar one, and its own promises: same bits from run to run, from one thread
 * count to another (products aside) and from packed to separate segments. */
#include "support/support.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bf16.h"
#include "base/rng.h"
#include "tensor/backend.h"
#include "tensor/cpu/simd.h"

#define R(pointer) ((wlmi_real *)(uintptr_t)(pointer))
#define A(pointer) ((wlmi_act *)(uintptr_t)(pointer))
static const wlmi_backend *const ref = &wlmi_backend_ref;
static const wlmi_backend *cpu; /* the level that is tested */

static wlmi_rng rng;

static float *randoms(size_t n)
{
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)wlmi_rng_normal(&rng);
    return x;
}

static float *copy(const float *x, size_t n)
{
    float *y = malloc(n * sizeof *y);
    assert_non_null(y);
    memcpy(y, x, n * sizeof *y);
    return y;
}

/* Largest difference below `tolerance` of the largest value, NaN nowhere. */
static void assert_close(const char *what, const float *got, const float *expected, size_t n, double tolerance)
{
    double size = 0, error = 0;
    for (size_t i = 0; i < n; i++) {
        double difference = fabs((double)got[i] - expected[i]);
        size = fmax(size, fabs(expected[i]));
        error = isnan(difference) ? INFINITY : fmax(error, difference);
    }
    if (!(error <= tolerance * size))
        fail_msg("%s: differs by %g where the largest value is %g", what, error, size);
}

static void assert_same_bits(const char *what, const float *a, const float *b, size_t n)
{
    if (memcmp(a, b, n * sizeof *a) != 0)
        fail_msg("%s: bits differ", what);
}

static void exponential(void **state)
{
    (void)state;
    for (int i = -87000; i <= 88000; i += 7) {
        float x = i / 1000.0f;
        assert_true(fabs(exp_float(x) / exp((double)x) - 1) < 2e-7);
    }
    assert_true(isnan(exp_float(NAN)));
    assert_true(exp_float(-1e30f) < 2e-38f && exp_float(1e30f) > 1e38f);
    for (int i = -20000; i <= 20000; i += 7)
        assert_true(fabs(tanh_float(i / 1000.0f) - tanh(i / 1000.0)) < 3e-7);
}

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
    float *x = randoms(n);
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
    products_made p = {malloc(mn * b->act_size), malloc(mk * b->act_size), malloc(mn * sizeof(float)), copy(base, mn),
                       malloc(mn * sizeof(float)), malloc(mk * sizeof(float)), copy(w, nk)};
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
    float *x = round_randoms(mk), *w = round_randoms(nk), *dy = round_randoms(mn), *base = randoms(mn);
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
    static const int sizes[][3] = {{1, 5, 7}, {3, 33, 50}, {8, 1, 1}, {9, 31, 17}, {65, 40, 129}, {130, 64, 32}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        products_at(sizes[i][0], sizes[i][1], sizes[i][2]);
    assert_non_null(strstr(cpu->describe(), "oneDNN"));
}

/* Whichever way the matrices are stored. */
static void any_matrices(void **state)
{
    enum { M = 21, N = 37, K = 50 };
    float *a = round_randoms(M * K), *b = round_randoms(K * N), *c = randoms(M * N);
    (void)state;
    for (int way = 0; way < 8; way++) {
        float *expected = copy(c, M * N), *got = copy(c, M * N);
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
    float *x = randoms(M * K), *w = randoms(N * K), *dy = randoms(M * N), *base = randoms(M * N);
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
    float *x = randoms(T * D), *dy = round_randoms(T * D), *g = randoms(D), *dx = randoms(T * D);
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
            d[i] = copy(dx, T * D);
            dg[i] = copy(g, D);
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
    float *x = randoms(T * D), *table = randoms(V * D), weight[T], ra[T], rb[T];
    float *a = copy(x, T * D), *b = copy(x, T * D);
    wlmi_act *da = malloc(T * D * ref->act_size), *db = malloc(T * D * cpu->act_size);
    int32_t ids[T], target[T], first[T], last[T];
    (void)state;
    for (int t = 0; t < T; t++) {
        ids[t] = (int32_t)wlmi_rng_below(&rng, V);
        first[t] = (int32_t)wlmi_rng_below(&rng, D - 1);
        last[t] = first[t] + 1 + (int32_t)wlmi_rng_below(&rng, (uint64_t)(D - first[t]));
        target[t] = t % 5 == 0 ? -1 : first[t] + (int32_t)wlmi_rng_below(&rng, (uint64_t)(last[t] - first[t]));
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

static void flat(void **state)
{
    enum { N = 100003 };
    float *x = randoms(N), *a = randoms(N), *b = copy(a, N);
    float *p[2] = {copy(x, N), copy(x, N)}, *m[2], *v[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        m[i] = calloc(N, sizeof(float));
        v[i] = calloc(N, sizeof(float));
    }
    ref->add(R(a), R(x), N);
    cpu->add(R(b), R(x), N);
    ref->scale(R(a), 0.3, N);
    cpu->scale(R(b), 0.3, N);
    assert_close("add, scale", b, a, N, 0);
    assert_true(fabs(ref->sum(R(a), N) - cpu->sum(R(b), N)) < 1e-9);
    assert_true(fabs(ref->sum_squares(R(a), N) / cpu->sum_squares(R(b), N) - 1) < 1e-12);
    for (int step = 1; step < 4; step++) {
        ref->adamw(R(p[0]), R(m[0]), R(v[0]), R(a), N, 0.5, 1e-2, 0.9, 0.95, 1e-8, 0.1, (uint64_t)step);
        cpu->adamw(R(p[1]), R(m[1]), R(v[1]), R(a), N, 0.5, 1e-2, 0.9, 0.95, 1e-8, 0.1, (uint64_t)step);
    }
    assert_close("adamw", p[1], p[0], N, 1e-6);
    cpu->to_float(a, R(x), N);
    cpu->from_float(R(b), a, N);
    assert_same_bits("to and from float", x, b, N);
    cpu->zero(R(b), N);
    assert_true(cpu->sum_squares(R(b), N) == 0);
    for (int i = 0; i < 2; i++)
        free(p[i]), free(m[i]), free(v[i]);
    free(x), free(a), free(b);
}

/* What a mixer makes of rows [q | k | v | 3 values], T of them: o [T, W + 2], then gradients like the rows. */
typedef struct mixed {
    size_t n_o, n_d;
    float *o, *d;
} mixed;

enum { LINEAR = 0 }; /* in the place of a window */

static mixed mix(const wlmi_backend *b, const float *x, const float *d_o, wlmi_segments s, int heads, int K, int window)
{
    const int T = s.starts[s.count], W = heads * K, row = 3 * W + 3, o_row = W + 2;
    mixed m = {.n_o = (size_t)T * o_row, .n_d = (size_t)T * row};
    size_t kept = window == LINEAR ? b->linear_state_size(T, s.count, heads, K) : (size_t)T * heads;
    float *keep = calloc(kept, sizeof *keep);
    m.o = calloc(m.n_o, sizeof *m.o);
    m.d = calloc(m.n_d, sizeof *m.d);
    if (window == LINEAR) {
        b->linear_forward(R(m.o), o_row, R(keep), R(x), R(x + W), R(x + 2 * W), row, s, heads, K);
        b->linear_backward(R(m.d), R(m.d + W), R(m.d + 2 * W), R(d_o), R(m.o), o_row, R(keep), R(x), R(x + W),
                           R(x + 2 * W), row, s, heads, K);
    } else {
        b->attention_forward(R(m.o), o_row, R(keep), R(x), R(x + W), R(x + 2 * W), row, s, heads, K, window);
        b->attention_backward(R(m.d), R(m.d + W), R(m.d + 2 * W), R(d_o), R(m.o), o_row, R(keep), R(x), R(x + W),
                              R(x + 2 * W), row, s, heads, K, window);
    }
    assert_int_equal(b->status(NULL), WLM_OK);
    free(keep);
    return m;
}

static void mixed_free(mixed *m)
{
    free(m->o);
    free(m->d);
}

static const int32_t packed_starts[] = {0, 1, 64, 128, 193, 195, 330, 350};
static const wlmi_segments packed = {7, packed_starts};
enum { T = 350 };

/* Values between heads' rows are not touched: both backends leave the zeros there. */
static void mixers(void **state)
{
    static const int shapes[][2] = {{1, 32}, {3, 20}, {2, 64}, {2, 6}}, windows[] = {LINEAR, 1, 3, 64, 100, INT_MAX};
    (void)state;
    for (int i = 0; i < 4; i++) {
        const int heads = shapes[i][0], K = shapes[i][1], W = heads * K;
        float *x = randoms((size_t)T * (3 * W + 3)), *d_o = randoms((size_t)T * (W + 2));
        for (size_t w = 0; w < sizeof windows / sizeof *windows; w++) {
            mixed expected = mix(ref, x, d_o, packed, heads, K, windows[w]);
            mixed got = mix(cpu, x, d_o, packed, heads, K, windows[w]), again;
            assert_close("o", got.o, expected.o, got.n_o, 1e-5);
            assert_close("gradients", got.d, expected.d, got.n_d, 2e-5);
            cpu->set_threads(1);
            again = mix(cpu, x, d_o, packed, heads, K, windows[w]);
            cpu->set_threads(0);
            assert_same_bits("o", got.o, again.o, got.n_o);
            assert_same_bits("gradients", got.d, again.d, got.n_d);
            mixed_free(&expected), mixed_free(&got), mixed_free(&again);
        }
        free(x), free(d_o);
    }
}

/* A segment gives the same bits wherever it stands. */
static void packed_as_separate(void **state)
{
    enum { H = 2, K = 32, W = H * K, ROW = 3 * W + 3, O_ROW = W + 2 };
    static const int windows[] = {LINEAR, 50, INT_MAX};
    float *x = randoms(T * ROW), *d_o = randoms(T * O_ROW);
    (void)state;
    for (int w = 0; w < 3; w++) {
        mixed together = mix(cpu, x, d_o, packed, H, K, windows[w]);
        for (int s = 0; s < packed.count; s++) {
            const int at = packed_starts[s];
            const int32_t starts[2] = {0, packed_starts[s + 1] - at};
            mixed alone = mix(cpu, x + at * ROW, d_o + at * O_ROW, (wlmi_segments){1, starts}, H, K, windows[w]);
            assert_same_bits("o", alone.o, together.o + at * O_ROW, alone.n_o);
            assert_same_bits("gradients", alone.d, together.d + at * ROW, alone.n_d);
            mixed_free(&alone);
        }
        mixed_free(&together);
    }
    free(x), free(d_o);
}

/* Scores and keys far from zero neither overflow nor lose the sum. */
static void large_values(void **state)
{
    enum { H = 1, K = 16, ROW = 3 * K + 3 };
    float *x = randoms(T * ROW), *d_o = randoms(T * (K + 2));
    (void)state;
    for (int i = 0; i < T * ROW; i++)
        x[i] *= 12;
    for (int window = LINEAR; window < 200; window += 150) {
        mixed expected = mix(ref, x, d_o, packed, H, K, window), got = mix(cpu, x, d_o, packed, H, K, window);
        assert_close("o", got.o, expected.o, got.n_o, 1e-4);
        assert_close("gradients", got.d, expected.d, got.n_d, 1e-3);
        mixed_free(&expected), mixed_free(&got);
    }
    free(x), free(d_o);
}

/* Attention over turned rows sees distances alone: positions from p on are as good as from 0 on. */
static void far_positions(void **state)
{
    enum { H = 2, K = 32, W = H * K, ROW = 3 * W + 3 };
    static const int32_t starts[] = {0, T};
    static const uint64_t first[] = {0, 1000000, (UINT64_C(1) << 31) - 7, UINT64_C(1) << 40};
    const wlmi_segments one = {1, starts};
    float *x = randoms(T * ROW), *angles = randoms(T * K);
    float *o[4], lse[T * H];
    (void)state;
    for (int i = 0; i < 4; i++) {
        float *y = copy(x, T * ROW);
        uint64_t position[T];
        for (int t = 0; t < T; t++)
            position[t] = first[i] + (uint64_t)t;
        cpu->rotary_angles(R(angles), position, T, K);
        cpu->rotary_turn(R(y), R(angles), T, ROW, 2 * H, K);
        o[i] = randoms(T * W);
        cpu->attention_forward(R(o[i]), W, R(lse), R(y), R(y + W), R(y + 2 * W), ROW, one, H, K, 100);
        assert_close("o", o[i], o[0], T * W, 2e-6);
        free(y);
    }
    for (int i = 0; i < 4; i++)
        free(o[i]);
    free(x), free(angles);
}

/* What comes later changes no bit of what came before, keys that would overflow an exponential included. */
static void the_future_does_not_leak(void **state)
{
    enum { H = 2, K = 20, ROW = 3 * H * K + 3, O_ROW = H * K + 2, AT = 200 };
    static const int32_t starts[] = {0, T};
    static const int windows[] = {LINEAR, 70, INT_MAX};
    const wlmi_segments one = {1, starts};
    float *x = randoms(T * ROW), *later = copy(x, T * ROW), *d_o = randoms(T * O_ROW);
    (void)state;
    for (int i = AT * ROW; i < T * ROW; i++)
        later[i] *= 1e4f;
    for (int w = 0; w < 3; w++) {
        mixed a = mix(cpu, x, d_o, one, H, K, windows[w]), b = mix(cpu, later, d_o, one, H, K, windows[w]);
        assert_same_bits("o", a.o, b.o, AT * O_ROW);
        for (size_t i = 0; i < b.n_o; i++)
            assert_true(isfinite(b.o[i]));
        mixed_free(&a), mixed_free(&b);
    }
    free(x), free(later), free(d_o);
}

static void shift(void **state)
{
    enum { D = 31, S = 7 };
    float *x = round_randoms(T * D), *before[2] = {randoms(S * D), NULL};
    (void)state;
    before[1] = copy(before[0], S * D);
    for (int keep = 0; keep < 2; keep++) {
        const wlmi_backend *const both[] = {ref, cpu};
        wlmi_act *y[2];
        for (int i = 0; i < 2; i++) {
            wlmi_act *in = acts(both[i], x, T * D);
            wlmi_real *last[S];
            for (int s = 0; s < S; s++)
                last[s] = R(before[i] + s * D);
            y[i] = malloc(T * D * both[i]->act_size);
            both[i]->shift_step(y[i], in, packed, last, D, keep);
            free(in);
        }
        assert_acts("shift_step", y[1], y[0], T * D, 0);
        assert_same_bits("shift_step before", before[1], before[0], S * D);
    }
    free(x), free(before[0]), free(before[1]);
}

static void rotary(void **state)
{
    enum { H = 3, K = 10, D = H * K + 1 };
    float *a = randoms(T * D), *b = copy(a, T * D);
    (void)state;
    for (int i = 0; i < 2; i++) {
        ref->rotary(R(a), packed, D, H, K, 1 - 2 * i);
        cpu->rotary(R(b), packed, D, H, K, 1 - 2 * i);
        assert_close("rotary", b, a, T * D, 1e-6);
    }
    assert_int_equal(cpu->status(NULL), WLM_OK);
    free(a), free(b);
}

/* Some tokens of three streams at a time against the scalar backend, and however they are cut, the same bits. */
static void steps(void **state)
{
    enum { H = 2, K = 20, W = H * K, ROW = 3 * W + 3, O_ROW = W + 2, N = 150, S = 3 };
    static const int32_t one_by_one[] = {0, 1, 2, 3};
    static const int windows[] = {LINEAR, 1, 70, N};
    float *x = randoms(S * N * ROW), *expected = calloc(S * N * O_ROW, sizeof *x), *o = copy(expected, S * N * O_ROW);
    (void)state;
    for (int w = 0; w < 4; w++) {
        const int window = windows[w];
        for (int way = 0; way < 3; way++) { /* the scalar backend; ours, token by token of all streams; in pieces */
            const wlmi_backend *b = way ? cpu : ref;
            float *memory = calloc(S * N * 2 * W, sizeof *memory), *to = way ? o : expected;
            const int most = way == 2 ? 17 : 1;
            for (int t = 0, n; t < N; t += n) {
                wlmi_real *sums[S];
                wlmi_ring ring[S];
                const int32_t pieces[] = {0, n = t + most < N ? most : N - t};
                for (int s = 0; s < S; s++) {
                    sums[s] = R(memory + s * N * 2 * W);
                    ring[s] = (wlmi_ring){sums[s], window, (uint64_t)t};
                }
                for (int s = 0; s < S; s += way == 2 ? 1 : S) { /* token t of stream s is row t * S + s, or s * N + t */
                    const wlmi_segments rows = way == 2 ? (wlmi_segments){1, pieces} : (wlmi_segments){S, one_by_one};
                    float *q = x + (way == 2 ? s * N + t : t * S) * ROW, gathered[S * ROW];
                    float *out = to + (s * N + t) * O_ROW, scattered[S * O_ROW];
                    for (int i = 0; way < 2 && i < S; i++)
                        memcpy(gathered + i * ROW, x + (i * N + t) * ROW, ROW * sizeof *x);
                    q = way < 2 ? gathered : q;
                    out = way < 2 ? scattered : out;
                    if (window == LINEAR)
                        b->linear_step(R(out), O_ROW, R(q), R(q + W), R(q + 2 * W), ROW, rows, &sums[s], H, K, 1);
                    else
                        b->attention_step(R(out), O_ROW, R(q), R(q + W), R(q + 2 * W), ROW, rows, &ring[s], H, K,
                                          window, 1);
                    for (int i = 0; way < 2 && i < S; i++)
                        memcpy(to + (i * N + t) * O_ROW, scattered + i * O_ROW, W * sizeof *to);
                }
            }
            if (way == 1)
                assert_close("steps", o, expected, S * N * O_ROW, 1e-5);
            if (way == 1)
                memcpy(expected, o, S * N * O_ROW * sizeof *o);
            free(memory);
        }
        for (int r = 0; r < S * N; r++)
            assert_same_bits("steps in pieces", o + r * O_ROW, expected + r * O_ROW, W);
    }
    assert_int_equal(cpu->status(NULL), WLM_OK);
    free(x), free(expected), free(o);
}

/* What fails for want of memory says so once, and works again later. */
static void *fail_and_recover(void *unused)
{
    static const int32_t starts[] = {0, 70};
    const wlmi_segments s = {1, starts};
    float *x = randoms(70 * 16 * 3), o[70 * 16], lse[70];
    wlm_error error;
    for (uint64_t k = 1; k <= 2; k++) {
        wlmi_alloc_fail_at(k);
        cpu->attention_forward(R(o), 16, R(lse), R(x), R(x), R(x), 16, s, 1, 16, 9);
        cpu->rotary(R(o), s, 16, 1, 16, 1);
        wlmi_alloc_fail_at(0);
        assert_int_equal(cpu->status(&error), WLM_ERR_MEMORY);
        assert_string_equal(error.cause, "out of memory");
        assert_int_equal(cpu->status(&error), WLM_OK);
    }
    cpu->attention_forward(R(o), 16, R(lse), R(x), R(x), R(x), 16, s, 1, 16, 9);
    assert_int_equal(cpu->status(NULL), WLM_OK);
    free(x);
    return unused;
}

/* In a thread of its own, which has no scratch yet. */
static void no_memory(void **state)
{
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, fail_and_recover, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* Nothing that an op left in scratch reaches a later one: here NaN everywhere. */
static void stale_scratch(void **state)
{
    enum { H = 2, K = 20, W = H * K, ROW = 3 * W + 3, O_ROW = W + 2 };
    static const int windows[] = {LINEAR, 50};
    float *x = randoms(T * ROW), *d_o = randoms(T * O_ROW), *bad = malloc(T * ROW * sizeof *bad);
    (void)state;
    assert_non_null(bad);
    for (int i = 0; i < T * ROW; i++)
        bad[i] = NAN;
    for (int w = 0; w < 2; w++) {
        mixed before = mix(cpu, x, d_o, packed, H, K, windows[w]), after;
        for (int other = 0; other < 2; other++) {
            mixed lost = mix(cpu, bad, bad, packed, H, K, windows[other]);
            mixed_free(&lost);
        }
        after = mix(cpu, x, d_o, packed, H, K, windows[w]);
        assert_same_bits("o", before.o, after.o, before.n_o);
        assert_same_bits("gradients", before.d, after.d, before.n_d);
        mixed_free(&before), mixed_free(&after);
    }
    free(x), free(d_o), free(bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exponential),
        cmocka_unit_test(products),
        cmocka_unit_test(any_matrices),
        cmocka_unit_test(many_products),
        cmocka_unit_test(rounded_weights),
        cmocka_unit_test(bf16),
        cmocka_unit_test(norms),
        cmocka_unit_test(swiglu),
        cmocka_unit_test(embeddings_and_losses),
        cmocka_unit_test(flat),
        cmocka_unit_test(far_positions),
        cmocka_unit_test(the_future_does_not_leak),
        cmocka_unit_test(shift),
        cmocka_unit_test(rotary),
        cmocka_unit_test(mixers),
        cmocka_unit_test(packed_as_separate),
        cmocka_unit_test(large_values),
        cmocka_unit_test(steps),
        cmocka_unit_test(stale_scratch),
        cmocka_unit_test(no_memory),
    };
    int failed = 0;
    for (size_t i = 0; (cpu = wlmi_backend_cpu(i)); i++) {
        wlmi_rng_seed(&rng, 7);
        failed += cmocka_run_group_tests_name(cpu->level, tests, NULL, NULL);
    }
    return failed;
}
