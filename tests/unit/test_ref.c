/* test_ref.c: the scalar backend: every backward against central differences in double, and recurrent steps against
 * whole-segment forms. */
#include "support/support.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tensor/backend.h"

enum { MAX_ARRAYS = 4 };

#define R(pointer) ((wlmi_real *)(uintptr_t)(pointer))
#define A(pointer) ((wlmi_act *)(uintptr_t)(pointer)) /* doubles too */
static const wlmi_backend *const b = &wlmi_backend_ref64;

/* A gradient check: arrays that the op reads, what it writes, and a fixed weighting of that as the loss. */
typedef struct check {
    int arrays;
    size_t n[MAX_ARRAYS], outputs;
    double *x[MAX_ARRAYS]; /* inputs [n] */
    double *d[MAX_ARRAYS]; /* their gradients [n] as the op's backward gives them */
    double *y, *dy;        /* output and its gradient [outputs] */
    double *aux;           /* whatever forward keeps for backward */
    /* the op's shape */
    wlmi_segments segments;
    int T, D, heads, K, window;
    const int32_t *ids, *first, *last;
    void (*forward)(struct check *);
    void (*backward)(struct check *);
} check;

static const int32_t odd_starts[] = {0, 1, 8, 9, 20, 23};
static const wlmi_segments odd = {5, odd_starts};
enum { ODD_T = 23 };

static wlmi_rng rng;

static double *randoms(size_t n, double size)
{
    double *x = malloc(n * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = size * wlmi_rng_normal(&rng);
    return x;
}

static void with_array(check *c, size_t n, double size)
{
    c->n[c->arrays] = n;
    c->x[c->arrays] = randoms(n, size);
    c->d[c->arrays] = calloc(n, sizeof(double));
    c->arrays++;
}

static double loss(check *c)
{
    double total = 0;
    c->forward(c);
    for (size_t i = 0; i < c->outputs; i++)
        total += c->dy[i] * c->y[i];
    return total;
}

/* Compares with (f(x+h) - f(x-h)) / 2h, whose own error is near 1e-10 here. Frees the arrays. */
static void run(check *c, const char *name)
{
    const double h = 1e-5;
    c->y = calloc(c->outputs, sizeof(double));
    c->dy = randoms(c->outputs, 1);
    c->aux = calloc(100000, sizeof(double));
    c->forward(c);
    c->backward(c);
    for (int a = 0; a < c->arrays; a++) {
        double size = 0, error = 0;
        for (size_t i = 0; i < c->n[a]; i++) {
            double x = c->x[a][i], up, down, numeric;
            c->x[a][i] = x + h;
            up = loss(c);
            c->x[a][i] = x - h;
            down = loss(c);
            c->x[a][i] = x;
            numeric = (up - down) / (2 * h);
            size = fmax(size, fabs(numeric));
            error = fmax(error, fabs(numeric - c->d[a][i]));
        }
        if (!(error <= 1e-6 * size) || size == 0)
            fail_msg("%s, array %d: error %g where the largest gradient is %g", name, a, error, size);
    }
    for (int a = 0; a < c->arrays; a++) {
        free(c->x[a]);
        free(c->d[a]);
    }
    free(c->y);
    free(c->dy);
    free(c->aux);
}


static void embed_f(check *c)
{
    b->embed_forward(R(c->y), R(c->x[0]), c->ids, c->T, c->D, 0);
    b->embed_forward(R(c->y), R(c->x[0]), c->ids + 1, c->T, c->D, 1);
}

static void embed_b(check *c)
{
    b->embed_backward(R(c->d[0]), R(c->dy), c->ids, c->T, 4, c->D);
    b->embed_backward(R(c->d[0]), R(c->dy), c->ids + 1, c->T, 4, c->D);
}

static void embed_gradient(void **state)
{
    static const int32_t ids[] = {3, 0, 3, 1, 3, 0};
    check c = {.forward = embed_f, .backward = embed_b, .T = 5, .D = 3, .outputs = 15, .ids = ids};
    (void)state;
    with_array(&c, 4 * 3, 1);
    run(&c, "embed");
}

/* Shifted where there are segments. */
static const wlmi_segments *shift_of(const check *c)
{
    return c->segments.count ? &c->segments : NULL;
}

static void rmsnorm_f(check *c)
{
    b->rmsnorm_forward(A(c->y), R(c->aux), R(c->x[0]), R(c->x[1]), shift_of(c), c->T, c->D);
}

static void rmsnorm_b(check *c)
{
    double *sum = malloc(c->outputs * sizeof *sum);
    assert_non_null(sum);
    b->rmsnorm_backward(R(c->d[0]), A(sum), R(c->d[1]), A(c->dy), R(c->x[0]), R(c->x[1]), R(c->aux), shift_of(c), c->T,
                        c->D);
    assert_memory_equal(sum, c->d[0], c->outputs * sizeof *sum);
    free(sum);
}

static void rmsnorm_gradient(void **state)
{
    check plain = {.forward = rmsnorm_f, .backward = rmsnorm_b, .T = 5, .D = 7, .outputs = 35};
    check shifted = {.forward = rmsnorm_f, .backward = rmsnorm_b, .T = ODD_T, .D = 5, .outputs = ODD_T * 5,
                     .segments = odd};
    (void)state;
    with_array(&plain, 35, 2);
    with_array(&plain, 7, 1);
    run(&plain, "rmsnorm");
    with_array(&shifted, ODD_T * 5, 2);
    with_array(&shifted, 5, 1);
    run(&shifted, "rmsnorm, shifted");
}

/* Of a token, the first half of the features goes to the next one of the segment. */
static void rmsnorm_shifts(void **state)
{
    enum { D = 5 };
    double x[ODD_T * D], g[D], rstd[ODD_T], plain[ODD_T * D], shifted[ODD_T * D];
    (void)state;
    for (int i = 0; i < ODD_T * D; i++)
        x[i] = wlmi_rng_normal(&rng);
    for (int i = 0; i < D; i++)
        g[i] = wlmi_rng_normal(&rng);
    b->rmsnorm_forward(A(plain), R(rstd), R(x), R(g), NULL, ODD_T, D);
    b->rmsnorm_forward(A(shifted), R(rstd), R(x), R(g), &odd, ODD_T, D);
    for (int s = 0; s < odd.count; s++)
        for (int t = odd_starts[s]; t < odd_starts[s + 1]; t++)
            for (int d = 0; d < D; d++) {
                double expected = d >= D / 2 ? plain[t * D + d] : t > odd_starts[s] ? plain[(t - 1) * D + d] : 0;
                assert_true(shifted[t * D + d] == expected);
            }
}

static wlmi_weight *weight_of(const double *w, int N, int K)
{
    wlmi_weight *weight = b->weight_new(N, K);
    assert_non_null(weight);
    b->weight_set(weight, R(w), 1);
    return weight;
}

/* x [T,K] w^T on top of base, then rows 1 to 4 of w by themselves. */
static void matmul_f(check *c)
{
    wlmi_weight *w = weight_of(c->x[1], c->D, c->K);
    b->matmul_forward_onto(R(c->y), R(c->x[2]), A(c->x[0]), w, c->T, c->D, c->K);
    b->matmul_forward_rows(R(c->y + c->T * c->D), A(c->x[0]), w, c->T, 1, 5, c->K);
    b->weight_free(w);
}

static void matmul_b(check *c)
{
    const int T = c->T, D = c->D, K = c->K;
    wlmi_weight *all = weight_of(c->x[1], D, K), *some = weight_of(c->x[1] + K, 4, K);
    double *more = malloc((size_t)(T * K) * sizeof *more);
    assert_non_null(more);
    b->matmul_backward_input(A(c->d[0]), A(c->dy), all, T, D, K);
    b->matmul_backward_input_real(R(more), A(c->dy + T * D), some, T, 4, K);
    b->add(R(c->d[0]), R(more), (size_t)(T * K));
    b->matmul_backward_weight(R(c->d[1]), A(c->dy), A(c->x[0]), T, D, K);
    b->matmul_backward_weight(R(c->d[1] + K), A(c->dy + T * D), A(c->x[0]), T, 4, K);
    memcpy(c->d[2], c->dy, (size_t)(T * D) * sizeof(double));
    b->weight_free(all);
    b->weight_free(some);
    free(more);
}

static void matmul_gradient(void **state)
{
    check c = {.forward = matmul_f, .backward = matmul_b, .T = 5, .D = 7, .K = 3, .outputs = 5 * 7 + 5 * 4};
    (void)state;
    with_array(&c, 5 * 3, 1);
    with_array(&c, 7 * 3, 1);
    with_array(&c, 35, 1);
    run(&c, "matmul");
}

static void swiglu_f(check *c)
{
    b->swiglu_forward(A(c->y), A(c->x[0]), c->T, c->D);
}

static void swiglu_b(check *c)
{
    b->swiglu_backward(A(c->d[0]), A(c->dy), A(c->x[0]), c->T, c->D);
}

static void swiglu_gradient(void **state)
{
    check c = {.forward = swiglu_f, .backward = swiglu_b, .T = 3, .D = 5, .outputs = 15};
    (void)state;
    with_array(&c, 30, 2);
    run(&c, "swiglu");
}

static void rotary_f(check *c)
{
    memcpy(c->y, c->x[0], c->outputs * sizeof(double));
    b->rotary(R(c->y), c->segments, c->heads * c->K + 2, c->heads, c->K, 1);
}

static void rotary_b(check *c)
{
    memcpy(c->d[0], c->dy, c->outputs * sizeof(double));
    b->rotary(R(c->d[0]), c->segments, c->heads * c->K + 2, c->heads, c->K, -1);
}

static void rotary_gradient(void **state)
{
    check c = {.forward = rotary_f, .backward = rotary_b, .segments = odd, .heads = 2, .K = 6, .outputs = ODD_T * 14};
    (void)state;
    with_array(&c, ODD_T * 14, 1);
    run(&c, "rotary");
}

/* The score of a rotated query and key depends on their distance alone, however far from the start they are. */
static void rotary_is_relative(void **state)
{
    static const uint64_t positions[] = {0, 77, 1000000, UINT64_C(1) << 31, UINT64_MAX - 5};
    double q[8], k[8], scores[5];
    (void)state;
    for (int i = 0; i < 8; i++)
        q[i] = wlmi_rng_normal(&rng), k[i] = wlmi_rng_normal(&rng);
    for (int p = 0; p < 5; p++) {
        const uint64_t pair[] = {positions[p] + 5, positions[p]};
        double x[16], angles[16];
        memcpy(x, q, sizeof q);
        memcpy(x + 8, k, sizeof k);
        b->rotary_angles(R(angles), pair, 2, 8);
        b->rotary_turn(R(x), R(angles), 2, 8, 1, 8);
        scores[p] = 0;
        for (int i = 0; i < 8; i++)
            scores[p] += x[i] * x[8 + i];
        assert_true(fabs(scores[p] - scores[0]) < 1e-12);
    }
}

/* Mixers: x[0] = rows of [q | k | v], each heads * K wide, with 3 values of something else between tokens;
 * o has 2 such values. */
static int row(const check *c)
{
    return 3 * c->heads * c->K + 3;
}

static void attention_f(check *c)
{
    int W = c->heads * c->K;
    b->attention_forward(R(c->y), W + 2, R(c->aux), R(c->x[0]), R(c->x[0] + W), R(c->x[0] + 2 * W), row(c),
                         c->segments, c->heads, c->K, c->window);
}

static void attention_b(check *c)
{
    int W = c->heads * c->K;
    b->attention_backward(R(c->d[0]), R(c->d[0] + W), R(c->d[0] + 2 * W), R(c->dy), R(c->y), W + 2, R(c->aux),
                          R(c->x[0]), R(c->x[0] + W), R(c->x[0] + 2 * W), row(c), c->segments, c->heads, c->K,
                          c->window);
}

static void attention_gradient(void **state)
{
    static const int windows[] = {1, 3, 50, INT_MAX};
    (void)state;
    for (int i = 0; i < 4; i++) {
        check c = {.forward = attention_f, .backward = attention_b, .segments = odd, .heads = 3, .K = 4,
                   .window = windows[i], .outputs = ODD_T * (3 * 4 + 2)};
        with_array(&c, ODD_T * (3 * 12 + 3), 1);
        run(&c, "attention");
    }
}

static void linear_f(check *c)
{
    int W = c->heads * c->K;
    b->linear_forward(R(c->y), W + 2, R(c->aux), R(c->x[0]), R(c->x[0] + W), R(c->x[0] + 2 * W), row(c), c->segments,
                      c->heads, c->K);
}

static void linear_b(check *c)
{
    int W = c->heads * c->K;
    b->linear_backward(R(c->d[0]), R(c->d[0] + W), R(c->d[0] + 2 * W), R(c->dy), R(c->y), W + 2, R(c->aux),
                       R(c->x[0]), R(c->x[0] + W), R(c->x[0] + 2 * W), row(c), c->segments, c->heads, c->K);
}

/* At size 12 some keys are mapped near exp(-8), so that the floor of the normaliser is reached too. */
static void linear_gradient(void **state)
{
    static const double sizes[] = {1, 12};
    (void)state;
    for (int i = 0; i < 2; i++) {
        check c = {.forward = linear_f, .backward = linear_b, .segments = odd, .heads = 3, .K = 4,
                   .outputs = ODD_T * (3 * 4 + 2)};
        assert_true(b->linear_state_size(ODD_T, 5, 3, 4) <= 100000);
        with_array(&c, ODD_T * (3 * 12 + 3), sizes[i]);
        run(&c, "linear");
    }
}

static void cross_entropy_f(check *c)
{
    b->cross_entropy_forward(R(c->y), R(c->x[0]), c->ids, c->first, c->last, c->T, c->D);
}

static void cross_entropy_b(check *c)
{
    float weight[4];
    for (int t = 0; t < 4; t++)
        weight[t] = (float)(c->dy[t] = (float)c->dy[t]);
    b->cross_entropy_backward(A(c->d[0]), R(c->x[0]), c->ids, c->first, c->last, weight, c->T, c->D);
}

static void cross_entropy_gradient(void **state)
{
    static const int32_t target[] = {3, -1, 0, 6}, first[] = {2, 0, 0, 6}, last[] = {6, 7, 7, 7};
    check c = {.forward = cross_entropy_f, .backward = cross_entropy_b, .T = 4, .D = 7, .outputs = 4,
               .ids = target, .first = first, .last = last};
    (void)state;
    with_array(&c, 28, 2);
    run(&c, "cross_entropy");
}

static double largest_difference(const double *x, const double *y, size_t n)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(x[i] - y[i]));
    return largest;
}

/* A few tokens at a time, out of a ring that grows, give what the whole segment gives; so does a look ahead that leaves
 * the state alone. */
static void steps_agree_with_forward(void **state)
{
    enum { T = 17, H = 2, K = 4, W = H * K, ROW = 3 * W };
    static const int32_t starts[] = {0, T};
    static const int windows[] = {1, 3, 5, T + 3, 0 /* linear */};
    const wlmi_segments whole_segment = {1, starts};
    double *x = randoms(T * ROW, 1), whole[T * W], stepped[T * W], lse[T * H], kept[T * H + K * K + K];
    (void)state;
    for (int i = 0; i < 5; i++) {
        for (int most = 1; most < 4; most++) {
            double memory[(T + 18) * 2 * W] = {0}, before[(T + 18) * 2 * W];
            const int slots = (windows[i] + WLMI_RING_BLOCK - 1) / WLMI_RING_BLOCK * WLMI_RING_BLOCK;
            wlmi_real *sums = R(memory);
            if (windows[i])
                b->attention_forward(R(whole), W, R(lse), R(x), R(x + W), R(x + 2 * W), ROW, whole_segment, H, K,
                                     windows[i]);
            else
                b->linear_forward(R(whole), W, R(kept), R(x), R(x + W), R(x + 2 * W), ROW, whole_segment, H, K);
            for (int t = 0, n; t < T; t += n) {
                wlmi_ring ring = {(wlmi_act *)memory, slots, (uint64_t)t};
                int32_t part[] = {0, n = t + most < T ? most : T - t};
                const wlmi_segments rows = {1, part};
                double *q = x + t * ROW;
                memcpy(before, memory, sizeof memory);
                for (int keep = 0; keep < 2; keep++) {
                    if (windows[i])
                        b->attention_step(R(stepped + t * W), W, R(q), R(q + W), R(q + 2 * W), ROW, rows, &ring, H, K,
                                          windows[i], keep);
                    else
                        b->linear_step(R(stepped + t * W), W, R(q), R(q + W), R(q + 2 * W), ROW, rows, &sums, H, K,
                                       keep);
                    assert_true(largest_difference(whole + t * W, stepped + t * W, (size_t)(n * W)) < 1e-12);
                    assert_true(keep || memcmp(before, memory, sizeof memory) == 0);
                }
            }
        }
    }
    free(x);
}

static void angles_turn_as_rotary(void **state)
{
    enum { N = 100, ROW = 9 };
    static const int32_t one[] = {0, N};
    uint64_t position[N];
    double *x = randoms(N * ROW, 1), y[N * ROW], z[N * ROW], angles[N * 8];
    (void)state;
    for (int t = 0; t < N; t++)
        position[t] = (uint64_t)t;
    memcpy(y, x, sizeof y);
    memcpy(z, x, sizeof z);
    b->rotary_angles(R(angles), position, N, 8);
    b->rotary_turn(R(y), R(angles), N, ROW, 1, 8);
    b->rotary(R(z), (wlmi_segments){1, one}, ROW, 1, 8, 1);
    assert_true(largest_difference(y, z, N * ROW) < 1e-15);
    b->rotary(R(z), (wlmi_segments){1, one}, ROW, 1, 8, -1);
    assert_true(largest_difference(x, z, N * ROW) < 1e-14);
    free(x);
}

static void shift_goes_on(void **state)
{
    enum { D = 5, T = 6 };
    static const int32_t starts[] = {0, 2, T};
    const wlmi_segments rows = {2, starts};
    double *x = randoms(2 * T * D, 1), stepped[T * D], first[2] = {0, 0}, second[2] = {7, 8};
    wlmi_real *before[] = {R(first), R(second)};
    (void)state;
    b->shift_step(A(stepped), A(x), rows, before, D, 0);
    assert_true(first[0] == 0 && stepped[2 * D] == 7 && stepped[2 * D + 1] == 8);
    b->shift_step(A(stepped), A(x), rows, before, D, 1);
    assert_memory_equal(first, x + D, sizeof first);
    b->shift_step(A(stepped), A(x + 2 * D), (wlmi_segments){1, starts}, before, D, 1);
    for (int t = 0; t < 2; t++)
        for (int d = 0; d < D; d++)
            assert_true(stepped[t * D + d] == x[(2 + t - (d < D / 2)) * D + d]);
    free(x);
}

/* The first step moves each weight by the rate against its gradient's sign, and decay pulls to zero. */
static void adamw_first_step(void **state)
{
    double p[3] = {1, -2, 3}, m[3] = {0}, v[3] = {0};
    const double g[3] = {0.5, -4, 0};
    (void)state;
    b->adamw(R(p), R(m), R(v), R(g), 3, 2, 0.1, 0.9, 0.99, 1e-12, 0.5, 1);
    assert_true(fabs(p[0] - (1 - 0.1 - 0.05)) < 1e-9);
    assert_true(fabs(p[1] - (-2 + 0.1 + 0.1)) < 1e-9);
    assert_true(fabs(p[2] - (3 - 0.15)) < 1e-9);
    assert_true(fabs(m[0] - 0.1) < 1e-12 && fabs(v[1] - 0.64) < 1e-12);
}

static void small_ops(void **state)
{
    const float f[3] = {1, 2.5f, -3};
    float back[3];
    double x[3], y[3] = {1, 1, 1};
    (void)state;
    b->from_float(R(x), f, 3);
    b->add(R(y), R(x), 3);
    b->scale(R(y), 2, 3);
    b->to_float(back, R(y), 3);
    assert_true(back[0] == 4 && back[1] == 7 && back[2] == -4);
    assert_true(b->sum(R(y), 3) == 7 && b->sum_squares(R(y), 3) == 81);
    b->zero(R(y), 2);
    assert_true(y[0] == 0 && y[1] == 0 && y[2] == -4);
    assert_int_equal(b->status(NULL), WLM_OK);
}

static void found_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(wlmi_backend_find("ref"), &wlmi_backend_ref);
    assert_ptr_equal(wlmi_backend_find("ref64"), &wlmi_backend_ref64);
    assert_non_null(wlmi_backend_find(NULL));
    assert_null(wlmi_backend_find("abacus"));
    assert_int_equal(wlmi_backend_ref.real_size, 4);
    assert_int_equal(wlmi_backend_ref64.real_size, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_by_name),
        cmocka_unit_test(small_ops),
        cmocka_unit_test(embed_gradient),
        cmocka_unit_test(rmsnorm_gradient),
        cmocka_unit_test(rmsnorm_shifts),
        cmocka_unit_test(matmul_gradient),
        cmocka_unit_test(swiglu_gradient),
        cmocka_unit_test(rotary_gradient),
        cmocka_unit_test(rotary_is_relative),
        cmocka_unit_test(attention_gradient),
        cmocka_unit_test(linear_gradient),
        cmocka_unit_test(cross_entropy_gradient),
        cmocka_unit_test(steps_agree_with_forward),
        cmocka_unit_test(angles_turn_as_rotary),
        cmocka_unit_test(shift_goes_on),
        cmocka_unit_test(adamw_first_step),
    };
    wlmi_rng_seed(&rng, 42);
    return cmocka_run_group_tests_name("ref", tests, NULL, NULL);
}
