/* product.c: matrix products: oneDNN's, but for a few rows at a time. */
#include "tensor/cpu/flat.h"
#include "tensor/cpu/ops.h"
#include "tensor/onednn.h"

/* Below this many rows a product is bound by reading the weights once: floats as they are, no rounding, no oneDNN. */
enum { FEW_ROWS = 8, COLUMNS = 32 };

#ifdef __AVX512BF16__
static const wlmi_number type = WLMI_BF16;
#else
static const wlmi_number type = WLMI_F32;
#endif

const char *LEVEL(products_type)(void)
{
    return type == WLMI_BF16 ? "bf16" : "f32";
}

/* y[m, n] for columns n of [from, to). */
static void few_rows(float *restrict y, const float *restrict x, const float *restrict w, int M, int N, int K,
                     int from, int to, int accumulate)
{
    for (int n = from; n < to; n++) {
        for (int m = 0; m < M; m++) {
            const float *a = x + (size_t)m * K, *b = w + (size_t)n * K;
            float s = 0;
#pragma omp simd reduction(+ : s)
            for (int k = 0; k < K; k++)
                s += a[k] * b[k];
            y[(size_t)m * N + n] = accumulate ? y[(size_t)m * N + n] + s : s;
        }
    }
}

static void product(float *c, const wlmi_real *a, int a_transposed, const wlmi_real *b, int b_transposed, int M, int N,
                    int K, int accumulate)
{
    const wlmi_product p = {M, N, K, a_transposed, b_transposed, accumulate, type, WLMI_F32};
    const int threads = wlmi_cpu_threads((double)M * N * K / 16);
    const size_t a_size = (size_t)M * K, b_size = (size_t)K * N;
    wlm_error error;
    wlm_status status;
    size_t step;
    if (type == WLMI_F32) {
        status = wlmi_onednn_product(&p, c, a, b, NULL, threads, &error);
    } else {
        float *near_a = wlmi_cpu_scratch(1, (a_size + 1) / 2, &step);
        float *near_b = wlmi_cpu_scratch(1, (b_size + 1) / 2, &step);
        status = WLM_OK;
        if (near_a && near_b) {
            LEVEL(round_bf16)((uint16_t *)(void *)near_a, (const float *)a, a_size, threads);
            LEVEL(round_bf16)((uint16_t *)(void *)near_b, (const float *)b, b_size, threads);
            status = wlmi_onednn_product(&p, c, near_a, near_b, NULL, threads, &error);
        }
        wlmi_cpu_release(near_a);
        wlmi_cpu_release(near_b);
    }
    if (status != WLM_OK)
        wlmi_cpu_failed(status, &error);
}

void LEVEL(matmul_forward)(wlmi_real *y, const wlmi_real *x, const wlmi_real *w, int M, int N, int K, int accumulate)
{
    if (M >= FEW_ROWS) {
        product((float *)y, x, 0, w, 1, M, N, K, accumulate);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(wlmi_cpu_threads((double)M * N * K / 8))
    for (int n = 0; n < N; n += COLUMNS)
        few_rows((float *)y, (const float *)x, (const float *)w, M, N, K, n, n + COLUMNS < N ? n + COLUMNS : N,
                 accumulate);
}

void LEVEL(matmul_backward_input)(wlmi_real *dx, const wlmi_real *dy, const wlmi_real *w, int M, int N, int K,
                                  int accumulate)
{
    product((float *)dx, dy, 0, w, 0, M, K, N, accumulate);
}

void LEVEL(matmul_backward_weight)(wlmi_real *dw, const wlmi_real *dy, const wlmi_real *x, int M, int N, int K)
{
    product((float *)dw, dy, 1, x, 0, N, K, M, 1);
}
