/* test_cpu.c: every level of the cpu backend that this processor has against the scalar one, and its own promises: same
 * bits from run to run, from one thread count to another (products aside) and from packed to separate segments. */
#include "support/support.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bf16.h"
#include "support/numbers.h"
#include "tensor/backend.h"
#include "tensor/cpu/simd.h"

#define R(pointer) ((wlmi_real *)(uintptr_t)(pointer))
static const wlmi_backend *const ref = &wlmi_backend_ref;
static const wlmi_backend *cpu; /* the level that is tested */

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

static void flat(void **state)
{
    enum { N = 100003 };
    float *x = test_randoms(N), *a = test_randoms(N), *b = test_copy(a, N);
    float *p[2] = {test_copy(x, N), test_copy(x, N)}, *m[2], *v[2];
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
    for (int i = 0; i < 2; i++)
        memcpy(p[i], x, N * sizeof(float));
    ref->to_grid(R(p[0]), N);
    cpu->to_grid(R(p[1]), N);
    assert_same_bits("to_grid", p[1], p[0], N);
    for (int i = 0; i < N; i++)
        assert_true(fabsf(p[0][i] - x[i]) <= ldexpf(1, -1 - WLMI_GRID_FLOAT) && p[0][i] + 128.0f - 128.0f == p[0][i]);
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
        float *x = test_randoms((size_t)T * (3 * W + 3)), *d_o = test_randoms((size_t)T * (W + 2));
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
    float *x = test_randoms(T * ROW), *d_o = test_randoms(T * O_ROW);
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
    float *x = test_randoms(T * ROW), *d_o = test_randoms(T * (K + 2));
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
    float *x = test_randoms(T * ROW), *angles = test_randoms(T * K);
    float *o[4], lse[T * H];
    (void)state;
    for (int i = 0; i < 4; i++) {
        float *y = test_copy(x, T * ROW);
        uint64_t position[T];
        for (int t = 0; t < T; t++)
            position[t] = first[i] + (uint64_t)t;
        cpu->rotary_angles(R(angles), position, T, K);
        cpu->rotary_turn(R(y), R(angles), T, ROW, 2 * H, K);
        o[i] = test_randoms(T * W);
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
    float *x = test_randoms(T * ROW), *later = test_copy(x, T * ROW), *d_o = test_randoms(T * O_ROW);
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

static void rotary(void **state)
{
    enum { H = 3, K = 10, D = H * K + 1 };
    float *a = test_randoms(T * D), *b = test_copy(a, T * D);
    (void)state;
    for (int i = 0; i < 2; i++) {
        ref->rotary(R(a), packed, D, H, K, 1 - 2 * i);
        cpu->rotary(R(b), packed, D, H, K, 1 - 2 * i);
        assert_close("rotary", b, a, T * D, 1e-6);
    }
    assert_int_equal(cpu->status(NULL), WLM_OK);
    free(a), free(b);
}

static int whole_blocks(int slots)
{
    return (slots + WLMI_RING_BLOCK - 1) / WLMI_RING_BLOCK * WLMI_RING_BLOCK;
}

/* Some tokens of three streams at a time against the scalar backend, and however they are cut, the same bits. */
static void steps_of_width(int K)
{
    enum { H = 2, N = 160, S = 3 };
    const int W = H * K, ROW = 3 * W + 3, O_ROW = W + 2;
    static const int32_t one_by_one[] = {0, 1, 2, 3};
    static const int windows[] = {LINEAR, 1, 70, N};
    float *x = test_randoms(S * N * ROW), *expected = calloc(S * N * O_ROW, sizeof *x);
    float *o = test_copy(expected, S * N * O_ROW), *gathered = calloc(S * ROW, sizeof *x);
    float *scattered = calloc(S * O_ROW, sizeof *x);
    for (int i = 0; i < S * N * ROW; i++) /* rings hold bf16 */
        x[i] = wlmi_from_bf16(wlmi_to_bf16(x[i]));
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
                    ring[s] = (wlmi_ring){(wlmi_act *)sums[s], whole_blocks(window), (uint64_t)t};
                }
                for (int s = 0; s < S; s += way == 2 ? 1 : S) { /* token t of stream s is row t * S + s, or s * N + t */
                    const wlmi_segments rows = way == 2 ? (wlmi_segments){1, pieces} : (wlmi_segments){S, one_by_one};
                    float *q = x + (way == 2 ? s * N + t : t * S) * ROW;
                    float *out = to + (s * N + t) * O_ROW;
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
    free(x), free(expected), free(o), free(gathered), free(scattered);
}

static void steps(void **state)
{
    (void)state;
    steps_of_width(20);
    steps_of_width(32);
}

/* What fails for want of memory says so once, and works again later. */
static void *fail_and_recover(void *unused)
{
    static const int32_t starts[] = {0, 70};
    const wlmi_segments s = {1, starts};
    float *x = test_randoms(70 * 16 * 3), o[70 * 16], lse[70];
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
    float *x = test_randoms(T * ROW), *d_o = test_randoms(T * O_ROW), *bad = malloc(T * ROW * sizeof *bad);
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
        cmocka_unit_test(flat),
        cmocka_unit_test(far_positions),
        cmocka_unit_test(the_future_does_not_leak),
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
        wlmi_rng_seed(&test_rng, 7);
        failed += cmocka_run_group_tests_name(cpu->level, tests, NULL, NULL);
    }
    return failed;
}
