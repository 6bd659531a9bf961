/* product.c: matrix products (products.h): of bf16 as it is where that can be multiplied, else of the same values as
 * floats. */
#include "base/alloc.h"
#include "tensor/cpu/int8.h"
#include "tensor/cpu/ops.h"
#include "tensor/products.h"

#ifdef __AVX512BF16__
static const wlmi_number type = WLMI_BF16;
#else
static const wlmi_number type = WLMI_F32;
#endif

struct wlmi_weight {
    const float *w; /* [N,K], the net's */
    int N, K;
    wlmi_packed *forward, *backward; /* w^T and w; backward NULL: not asked for */
    wlmi_int8 *int8;                 /* NULL: not asked for */
};

const char *LEVEL(products_type)(void)
{
    return type == WLMI_BF16 ? "bf16" : "f32";
}

static int threads_for(int M, int N, int K)
{
    return wlmi_cpu_threads((double)M * N * K / 16);
}

static void note(wlm_status status, const wlm_error *error)
{
    if (status != WLM_OK)
        wlmi_cpu_failed(status, error);
}

/* x [n] rounded as activations are, as products take it; *room is to be released. NULL on failure. */
static const void *rounded(const float *x, size_t n, float **room)
{
    size_t step;
    *room = NULL;
    if (type == WLMI_F32)
        return x;
    *room = wlmi_cpu_scratch(1, (n + 1) / 2, &step);
    if (*room)
        LEVEL(to_act)((wlmi_act *)*room, (const wlmi_real *)x, n);
    return *room;
}

/* x [n] as products take it; *room is to be released. NULL on failure. */
static const void *operand(const wlmi_act *x, size_t n, float **room)
{
    size_t step;
    *room = NULL;
    if (type == WLMI_BF16)
        return x;
    *room = wlmi_cpu_scratch(1, n, &step);
    if (*room)
        LEVEL(to_real)((wlmi_real *)*room, x, n);
    return *room;
}

wlmi_weight *LEVEL(weight_new)(int N, int K)
{
    wlmi_weight *weight = wlmi_alloc_zero(1, sizeof *weight);
    wlm_error error;
    wlm_status status = WLMI_NO_MEMORY(&error);
    if (weight) {
        weight->N = N;
        weight->K = K;
        status = wlmi_packed_new(&weight->forward, N, K, type, 1, &error);
    }
    if (status == WLM_OK)
        return weight;
    LEVEL(weight_free)(weight);
    note(status, &error);
    return NULL;
}

void LEVEL(weight_set)(wlmi_weight *weight, const wlmi_real *w, int backward)
{
    const int threads = wlmi_cpu_threads((double)weight->N * weight->K);
    wlm_error error;
    weight->w = (const float *)w;
    LEVEL(weight_quantise)(weight, 0);
    note(wlmi_pack(weight->forward, weight->w, threads, &error), &error);
    if (backward && !weight->backward)
        note(wlmi_packed_new(&weight->backward, weight->K, weight->N, type, 0, &error), &error);
    if (weight->backward)
        note(wlmi_pack(weight->backward, weight->w, threads, &error), &error);
}

void LEVEL(weight_quantise)(wlmi_weight *weight, int on)
{
    LEVEL(int8_free)(weight->int8);
    weight->int8 = on ? LEVEL(int8_new)(weight->w, weight->N, weight->K) : NULL;
}

void LEVEL(weight_free)(wlmi_weight *weight)
{
    if (!weight)
        return;
    wlmi_packed_free(weight->forward);
    wlmi_packed_free(weight->backward);
    LEVEL(int8_free)(weight->int8);
    wlmi_free(weight);
}

/* c [M,N] = a b, or float and onto base, which may be c. */
static void multiply(void *c, wlmi_number out, const wlmi_act *a, const wlmi_packed *b, const float *base, int M, int N,
                     int K)
{
    const wlmi_product p = {.M = M, .N = N, .K = K, .in = type, .out = out, .accumulate = base && base == c};
    wlm_error error;
    float *room;
    const void *x = operand(a, (size_t)M * K, &room);
    if (x)
        note(wlmi_multiply_packed(&p, c, x, b, p.accumulate ? NULL : base, threads_for(M, N, K), &error), &error);
    wlmi_cpu_release(room);
}

/* c in bf16, by way of floats where products know nothing else. */
static void multiply_to_act(wlmi_act *c, const wlmi_act *a, const wlmi_packed *b, int M, int N, int K)
{
    size_t step;
    float *room;
    if (type == WLMI_BF16) {
        multiply(c, WLMI_BF16, a, b, NULL, M, N, K);
        return;
    }
    room = wlmi_cpu_scratch(1, (size_t)M * N, &step);
    if (room) {
        multiply(room, WLMI_F32, a, b, NULL, M, N, K);
        LEVEL(to_act)(c, (const wlmi_real *)room, (size_t)M * N);
    }
    wlmi_cpu_release(room);
}

void LEVEL(matmul_forward)(wlmi_act *y, const wlmi_act *x, const wlmi_weight *w, int M, int N, int K)
{
    if (w->int8)
        LEVEL(int8_product)(y, 1, NULL, x, w->int8, M, 0, N);
    else
        multiply_to_act(y, x, w->forward, M, N, K);
}

void LEVEL(matmul_forward_onto)(wlmi_real *y, const wlmi_real *base, const wlmi_act *x, const wlmi_weight *w, int M,
                                int N, int K)
{
    if (w->int8)
        LEVEL(int8_product)(y, 0, (const float *)base, x, w->int8, M, 0, N);
    else
        multiply(y, WLMI_F32, x, w->forward, (const float *)base, M, N, K);
}

/* Some rows of w are not packed by themselves. */
void LEVEL(matmul_forward_rows)(wlmi_real *y, const wlmi_act *x, const wlmi_weight *w, int M, int first, int last,
                                int K)
{
    const wlmi_product p = {.M = M, .N = last - first, .K = K, .b_transposed = 1, .in = type, .out = WLMI_F32};
    wlm_error error;
    float *a_room, *b_room;
    const void *a, *b;
    if (w->int8) {
        LEVEL(int8_product)(y, 0, NULL, x, w->int8, M, first, last);
        return;
    }
    if (p.N == w->N) {
        multiply(y, WLMI_F32, x, w->forward, NULL, M, p.N, K);
        return;
    }
    a = operand(x, (size_t)M * K, &a_room);
    b = rounded(w->w + (size_t)first * K, (size_t)p.N * K, &b_room);
    if (a && b)
        note(wlmi_multiply(&p, y, a, b, NULL, threads_for(M, p.N, K), &error), &error);
    wlmi_cpu_release(a_room);
    wlmi_cpu_release(b_room);
}

void LEVEL(matmul_backward_input)(wlmi_act *dx, const wlmi_act *dy, const wlmi_weight *w, int M, int N, int K)
{
    multiply_to_act(dx, dy, w->backward, M, K, N);
}

void LEVEL(matmul_backward_input_real)(wlmi_real *dx, const wlmi_act *dy, const wlmi_weight *w, int M, int N, int K)
{
    multiply(dx, WLMI_F32, dy, w->backward, NULL, M, K, N);
}

void LEVEL(matmul_backward_weight)(wlmi_real *dw, const wlmi_act *dy, const wlmi_act *x, int M, int N, int K)
{
    const wlmi_product p = {.M = N, .N = K, .K = M, .a_transposed = 1, .accumulate = 1, .in = type, .out = WLMI_F32};
    wlm_error error;
    float *dy_room, *x_room;
    const void *a = operand(dy, (size_t)M * N, &dy_room), *b = operand(x, (size_t)M * K, &x_room);
    if (a && b)
        note(wlmi_multiply(&p, dw, a, b, NULL, threads_for(M, N, K), &error), &error);
    wlmi_cpu_release(dy_room);
    wlmi_cpu_release(x_room);
}

void LEVEL(product)(wlmi_real *c, const wlmi_real *a_, int a_transposed, const wlmi_real *b_, int b_transposed, int M,
                    int N, int K, int accumulate)
{
    const wlmi_product p = {M, N, K, a_transposed != 0, b_transposed != 0, accumulate != 0, type, WLMI_F32};
    wlm_error error;
    float *a_room, *b_room;
    const void *a = rounded((const float *)a_, (size_t)M * K, &a_room);
    const void *b = rounded((const float *)b_, (size_t)K * N, &b_room);
    if (a && b)
        note(wlmi_multiply(&p, c, a, b, NULL, threads_for(M, N, K), &error), &error);
    wlmi_cpu_release(a_room);
    wlmi_cpu_release(b_room);
}
