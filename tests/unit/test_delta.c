/* test_delta.c: the ops of gated delta heads: gradients against central differences in double, chunked against the
 * recurrence, one token at a time against whole segments, segments that do not see each other, same bits. */
#include "support/support.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "tensor/backend.h"

#define R(pointer) ((wlmi_real *)(uintptr_t)(pointer))
static const wlmi_backend *const ref = &wlmi_backend_ref, *const exact = &wlmi_backend_ref64;
static const wlmi_backend *cpu; /* the level that is tested */

static wlmi_rng rng;

/* Everything that one call of delta heads with their convolution and gated norm reads and writes, in a backend's real
 * type. x [T, row]: q, k, v, gate [heads*K each], forget, write [heads each] and 3 values of something else; w [3*W,4];
 * norm [K]. y, dy [T, W + 2]. */
enum { X, W_TAPS, LOG_RATE, BIAS, NORM, INPUTS };
static const char *const names[] = {"d_x", "d_taps", "d_log_rate", "d_bias", "d_norm"};
typedef struct heads {
    const wlmi_backend *b;
    wlmi_segments segments;
    int T, H, K, W, row;
    size_t n[INPUTS];
    char *in[INPUTS], *d[INPUTS]; /* values and their gradients */
    char *y, *dy;                 /* [T, W + 2] */
    char *mixed;                  /* [T, 3*W] convolved, and its gradient in the same place */
    char *o, *kept;
} heads;

static wlmi_real *at(const heads *p, const char *x, size_t i)
{
    return wlmi_at(p->b, R(x), i);
}

static double get(const heads *p, const char *x, size_t i)
{
    return p->b->real_size == 8 ? ((const double *)(const void *)x)[i] : (double)((const float *)(const void *)x)[i];
}

static void set(const heads *p, char *x, size_t i, double value)
{
    if (p->b->real_size == 8)
        ((double *)(void *)x)[i] = value;
    else
        ((float *)(void *)x)[i] = (float)value;
}

static char *zeros(const heads *p, size_t n)
{
    char *x = calloc(n ? n : 1, p->b->real_size);
    assert_non_null(x);
    return x;
}

/* size: of q, k, v; fade: of the state per token, about. */
static heads make(const wlmi_backend *b, wlmi_segments segments, int H, int K, double size, double fade, uint64_t seed)
{
    heads p = {.b = b, .segments = segments, .T = segments.starts[segments.count], .H = H, .K = K, .W = H * K};
    const size_t T = (size_t)p.T;
    p.row = 4 * p.W + 2 * H + 3;
    p.n[X] = T * (size_t)p.row;
    p.n[W_TAPS] = 12 * (size_t)p.W;
    p.n[LOG_RATE] = p.n[BIAS] = (size_t)H;
    p.n[NORM] = (size_t)K;
    wlmi_rng_seed(&rng, seed);
    for (int a = 0; a < INPUTS; a++) {
        p.in[a] = zeros(&p, p.n[a]);
        p.d[a] = zeros(&p, p.n[a]);
        for (size_t i = 0; i < p.n[a]; i++)
            set(&p, p.in[a], i, wlmi_rng_normal(&rng) * (a == X ? size : 1) + (a == NORM) + (a == BIAS ? fade : 0));
    }
    p.y = zeros(&p, T * (size_t)(p.W + 2));
    p.dy = zeros(&p, T * (size_t)(p.W + 2));
    for (size_t i = 0; i < T * (size_t)(p.W + 2); i++)
        set(&p, p.dy, i, wlmi_rng_normal(&rng));
    p.mixed = zeros(&p, T * 3 * (size_t)p.W);
    p.o = zeros(&p, T * (size_t)p.W);
    p.kept = zeros(&p, b->delta_kept_size(p.T, segments.count, H, K));
    return p;
}

static void drop(heads *p)
{
    for (int a = 0; a < INPUTS; a++) {
        free(p->in[a]);
        free(p->d[a]);
    }
    free(p->y), free(p->dy), free(p->mixed), free(p->o), free(p->kept);
}

static wlmi_delta delta_of(const heads *p)
{
    return (wlmi_delta){
        .segments = p->segments, .heads = p->H, .K = p->K, .stride = 3 * p->W, .gate_stride = p->row,
        .o_stride = p->W, .q = R(p->mixed), .k = at(p, p->mixed, (size_t)p->W), .v = at(p, p->mixed, 2 * (size_t)p->W),
        .forget = at(p, p->in[X], 4 * (size_t)p->W), .write = at(p, p->in[X], 4 * (size_t)p->W + (size_t)p->H),
        .log_rate = R(p->in[LOG_RATE]), .bias = R(p->in[BIAS]), .o = R(p->o),
    };
}

static void forward(heads *p)
{
    const wlmi_delta d = delta_of(p);
    p->b->conv_forward(R(p->mixed), 3 * p->W, R(p->in[X]), p->row, R(p->in[W_TAPS]), p->segments, 3 * p->W);
    p->b->delta_forward(&d, R(p->kept));
    p->b->gate_norm_forward(R(p->y), p->W + 2, R(p->o), p->W, at(p, p->in[X], 3 * (size_t)p->W), p->row,
                            R(p->in[NORM]), p->T, p->H, p->K);
}

/* The gradient of o stands where the gradient of q will, and that of the convolved rows in their place. */
static void backward(heads *p)
{
    const wlmi_delta d = delta_of(p);
    const size_t gates = 4 * (size_t)p->W;
    const wlmi_delta_gradient g = {
        .o_stride = p->row, .d_o = R(p->d[X]), .dq = R(p->mixed), .dk = at(p, p->mixed, (size_t)p->W),
        .dv = at(p, p->mixed, 2 * (size_t)p->W), .d_forget = at(p, p->d[X], gates),
        .d_write = at(p, p->d[X], gates + (size_t)p->H), .d_log_rate = R(p->d[LOG_RATE]), .d_bias = R(p->d[BIAS]),
    };
    p->b->gate_norm_backward(R(p->d[X]), p->row, at(p, p->d[X], 3 * (size_t)p->W), R(p->d[NORM]), R(p->dy), p->W + 2,
                             R(p->o), p->W, at(p, p->in[X], 3 * (size_t)p->W), p->row, R(p->in[NORM]), p->T, p->H,
                             p->K);
    p->b->delta_backward(&d, &g, R(p->kept));
    p->b->conv_backward(R(p->d[X]), R(p->d[W_TAPS]), R(p->mixed), 3 * p->W, R(p->in[X]), p->row, R(p->in[W_TAPS]),
                        p->segments, 3 * p->W);
    assert_int_equal(p->b->status(NULL), WLM_OK);
}

static double loss(heads *p)
{
    double total = 0;
    forward(p);
    for (size_t i = 0; i < (size_t)p->T * (size_t)(p->W + 2); i++)
        total += get(p, p->dy, i) * get(p, p->y, i);
    return total;
}

static const int32_t odd_starts[] = {0, 1, 8, 9, 20, 23};
static const wlmi_segments odd = {5, odd_starts};

static void gradients_are_central_differences(void **state)
{
    static const double sizes[] = {1, 0.02}, fades[] = {-1, 3};
    const double h = 1e-5;
    (void)state;
    for (int k = 0; k < 2; k++) {
        heads p = make(exact, odd, 2, 4, sizes[k], fades[k], 5);
        forward(&p);
        backward(&p);
        for (int a = 0; a < INPUTS; a++) {
            double size = 0, error = 0;
            for (size_t i = 0; i < p.n[a]; i++) {
                const double x = get(&p, p.in[a], i);
                double up, numeric;
                set(&p, p.in[a], i, x + h);
                up = loss(&p);
                set(&p, p.in[a], i, x - h);
                numeric = (up - loss(&p)) / (2 * h);
                set(&p, p.in[a], i, x);
                size = fmax(size, fabs(numeric));
                error = fmax(error, fabs(numeric - get(&p, p.d[a], i)));
            }
            if (!(error <= 1e-5 * size) || size == 0)
                fail_msg("input %d: error %g where the largest gradient is %g", a, error, size);
        }
        drop(&p);
    }
}

/* Largest difference below `tolerance` of the largest value, NaN nowhere. */
static void assert_close(const char *what, const heads *a, const char *x, const heads *b, const char *y, size_t n,
                         double tolerance)
{
    double size = 0, error = 0;
    for (size_t i = 0; i < n; i++) {
        const double expected = get(b, y, i), difference = fabs(get(a, x, i) - expected);
        size = fmax(size, fabs(expected));
        error = isnan(difference) ? INFINITY : fmax(error, difference);
    }
    if (!(error <= tolerance * size))
        fail_msg("%s: %d heads of %d, %d tokens: differs by %g where the largest value is %g", what, b->H, b->K, b->T,
                 error, size);
}

static void agree(wlmi_segments segments, int H, int K, double size, double fade, double tolerance)
{
    heads a = make(cpu, segments, H, K, size, fade, 9), b = make(ref, segments, H, K, size, fade, 9);
    const size_t n_y = (size_t)a.T * (size_t)(a.W + 2);
    forward(&a), forward(&b);
    assert_close("y", &a, a.y, &b, b.y, n_y, tolerance);
    backward(&a), backward(&b);
    for (int i = 0; i < INPUTS; i++)
        assert_close(names[i], &a, a.d[i], &b, b.d[i], a.n[i], 5 * tolerance);
    drop(&a), drop(&b);
}

static const int32_t packed_starts[] = {0, 1, 64, 128, 193, 195, 330, 350};
static const wlmi_segments packed = {7, packed_starts};

/* Slow fading, so that a state spans chunks; fast, so that decays leave the floats' range within one. */
static void chunked_is_the_recurrence(void **state)
{
    static const int shapes[][2] = {{1, 32}, {3, 20}, {2, 64}, {2, 6}}, lengths[] = {1, 2, 15, 17, 63, 64, 65, 100, 129, 300};
    (void)state;
    for (int i = 0; i < 4; i++)
        for (int fade = -6; fade <= 5; fade += 11)
            agree(packed, shapes[i][0], shapes[i][1], 1, fade, 2e-5);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const int32_t starts[] = {0, lengths[i]};
        agree((wlmi_segments){1, starts}, 2, i % 2 ? 32 : 64, 1, -4, 2e-5);
    }
}

static void large_and_small_values(void **state)
{
    (void)state;
    agree(packed, 2, 16, 30, 0, 2e-4);
    agree(packed, 2, 16, 1e-4, 100, 2e-4);
}

static void same_bits(void **state)
{
    heads a = make(cpu, packed, 3, 32, 1, -3, 4), b = make(cpu, packed, 3, 32, 1, -3, 4);
    (void)state;
    forward(&a), backward(&a);
    cpu->set_threads(1);
    forward(&b), backward(&b);
    cpu->set_threads(0);
    assert_memory_equal(a.y, b.y, (size_t)a.T * (size_t)(a.W + 2) * sizeof(float));
    for (int i = 0; i < INPUTS; i++)
        assert_memory_equal(a.d[i], b.d[i], a.n[i] * sizeof(float));
    drop(&a), drop(&b);
}

/* A segment gives the same bits wherever it stands. */
static void packed_as_separate(void **state)
{
    heads all = make(cpu, packed, 2, 32, 1, -3, 6);
    (void)state;
    forward(&all), backward(&all);
    for (int s = 0; s < packed.count; s++) {
        const size_t from = (size_t)packed_starts[s], o_row = (size_t)all.W + 2, row = (size_t)all.row;
        const int32_t starts[] = {0, packed_starts[s + 1] - packed_starts[s]};
        heads one = make(cpu, (wlmi_segments){1, starts}, 2, 32, 1, -3, 6);
        memcpy(one.in[X], at(&all, all.in[X], from * row), one.n[X] * sizeof(float));
        memcpy(one.dy, at(&all, all.dy, from * o_row), (size_t)one.T * o_row * sizeof(float));
        for (int a = W_TAPS; a < INPUTS; a++)
            memcpy(one.in[a], all.in[a], all.n[a] * sizeof(float));
        forward(&one), backward(&one);
        assert_memory_equal(one.y, at(&all, all.y, from * o_row), (size_t)one.T * o_row * sizeof(float));
        assert_memory_equal(one.d[X], at(&all, all.d[X], from * row), one.n[X] * sizeof(float));
        drop(&one);
    }
    drop(&all);
}

/* What comes later changes no bit of what came before. */
static void the_future_does_not_leak(void **state)
{
    enum { AT = 70 };
    static const int32_t starts[] = {0, 150};
    heads a = make(cpu, (wlmi_segments){1, starts}, 2, 32, 1, -3, 6), b = make(cpu, a.segments, 2, 32, 1, -3, 6);
    (void)state;
    for (size_t i = AT * (size_t)a.row; i < a.n[X]; i++)
        set(&b, b.in[X], i, 1e4 * get(&a, a.in[X], i));
    forward(&a), forward(&b);
    assert_memory_equal(a.y, b.y, AT * (size_t)(a.W + 2) * sizeof(float));
    for (size_t i = 0; i < (size_t)b.T * (size_t)(b.W + 2); i++)
        assert_true(isfinite(get(&b, b.y, i)));
    drop(&a), drop(&b);
}

/* Several streams a token at a time, against whole segments. */
static void steps_agree(const wlmi_backend *b, int K, double tolerance)
{
    enum { STREAMS = 3, LENGTH = 70, H = 2 };
    static const int32_t one_each[] = {0, 1, 2, 3};
    static const int32_t starts[] = {0, LENGTH, 2 * LENGTH, 3 * LENGTH};
    heads p = make(b, (wlmi_segments){STREAMS, starts}, H, K, 1, -3, 8), s;
    const size_t W = (size_t)p.W, history = (size_t)H * (size_t)K * (size_t)K, state = history + 3 * 3 * W;
    wlmi_real *states[STREAMS];
    forward(&p);
    s = make(b, p.segments, H, K, 1, -3, 8);
    for (int i = 0; i < STREAMS; i++)
        states[i] = R(zeros(&p, state));
    for (int t = 0; t < LENGTH; t++) {
        wlmi_delta d = delta_of(&s);
        const size_t row = (size_t)s.row * LENGTH;
        wlmi_real *x = at(&s, s.in[X], (size_t)t * (size_t)s.row), *y = at(&s, s.y, (size_t)t * (W + 2));
        b->conv_step(x, (int)row, (wlmi_segments){STREAMS, one_each}, states, history, R(s.in[W_TAPS]), 3 * s.W, 1);
        d.segments = (wlmi_segments){STREAMS, one_each};
        d.q = x;
        d.k = wlmi_at(b, x, W);
        d.v = wlmi_at(b, x, 2 * W);
        d.stride = (int)row;
        d.o = y;
        d.o_stride = (int)(W + 2) * LENGTH;
        d.forget = wlmi_at(b, x, 4 * W);
        d.write = wlmi_at(b, x, 4 * W + H);
        d.gate_stride = (int)row;
        b->delta_step(&d, states, 1);
        b->gate_norm_forward(y, d.o_stride, y, d.o_stride, wlmi_at(b, x, 3 * W), (int)row, R(s.in[NORM]), STREAMS, H,
                             K);
    }
    assert_int_equal(b->status(NULL), WLM_OK);
    assert_close("steps", &s, s.y, &p, p.y, (size_t)p.T * (W + 2), tolerance);
    for (int i = 0; i < STREAMS; i++)
        free(states[i]);
    drop(&p), drop(&s);
}

static void steps_are_whole_segments(void **state)
{
    (void)state;
    steps_agree(exact, 6, 1e-12);
    steps_agree(cpu, 64, 2e-5);
    steps_agree(cpu, 20, 2e-5);
}

/* What fails for want of memory says so once, and works again later. */
static void *fail_and_recover(void *unused)
{
    heads p = make(cpu, packed, 2, 32, 1, -3, 6);
    for (uint64_t k = 1, failed = 1; failed; k++) {
        wlmi_alloc_fail_at(k);
        forward(&p);
        failed = cpu->status(NULL) != WLM_OK;
        wlmi_alloc_fail_at(0);
        assert_true(failed || k > 1);
    }
    backward(&p);
    drop(&p);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_central_differences),
        cmocka_unit_test(chunked_is_the_recurrence),
        cmocka_unit_test(large_and_small_values),
        cmocka_unit_test(same_bits),
        cmocka_unit_test(packed_as_separate),
        cmocka_unit_test(the_future_does_not_leak),
        cmocka_unit_test(steps_are_whole_segments),
        cmocka_unit_test(no_memory),
    };
    int failed = 0;
    for (size_t i = 0; (cpu = wlmi_backend_cpu(i)); i++)
        failed += cmocka_run_group_tests_name(cpu->level, tests, NULL, NULL);
    return failed;
}
