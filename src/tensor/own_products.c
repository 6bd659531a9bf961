/* own_products.c: matrix products by our own kernels, in builds without oneDNN: floats alone, slower than its. */
#include "tensor/own_products.h"

#include <string.h>

#include "base/alloc.h"
#include "tensor/backend.h"
#include "tensor/products.h"

struct wlmi_packed {
    float *panels; /* as wlmi_own_product has b */
    int N, K, transposed;
};

/* cpu/own_kernel.c at each level */
void wlmi_own_product_baseline(const wlmi_own_product *product);
void wlmi_own_product_avx2(const wlmi_own_product *product);
void wlmi_own_product_avx512(const wlmi_own_product *product);

int wlmi_products_have_bf16(void)
{
    return 0;
}

const char *wlmi_products_library(void)
{
    return "own products";
}

/* By the best level that the processor has. */
static void multiply(const wlmi_own_product *product)
{
#ifdef __x86_64__
    const char *level = wlmi_backend_cpu(0)->level;
    if (!strcmp(level, "avx512")) {
        wlmi_own_product_avx512(product);
        return;
    }
    if (!strcmp(level, "avx2")) {
        wlmi_own_product_avx2(product);
        return;
    }
#endif
    wlmi_own_product_baseline(product);
}

static size_t panels_of(int N)
{
    return ((size_t)N + WLMI_OWN_PANEL - 1) / WLMI_OWN_PANEL;
}

static float *panels_new(int N, int K)
{
    const size_t values = panels_of(N) * WLMI_OWN_PANEL;
    return (size_t)K > SIZE_MAX / 2 / sizeof(float) / values ? NULL
                                                             : wlmi_alloc_aligned(values * (size_t)K * sizeof(float));
}

/* b is [K,N], or [N,K] where it is transposed. */
static void panels_fill(float *panels, const float *b, int N, int K, int transposed, int threads)
{
    const size_t row = transposed ? 1 : (size_t)N, column = transposed ? (size_t)K : 1;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t panel = 0; panel < panels_of(N); panel++) {
        float *to = panels + panel * (size_t)K * WLMI_OWN_PANEL;
        for (size_t k = 0; k < (size_t)K; k++, to += WLMI_OWN_PANEL)
            for (size_t i = 0; i < WLMI_OWN_PANEL; i++) {
                const size_t n = panel * WLMI_OWN_PANEL + i;
                to[i] = n < (size_t)N ? b[k * row + n * column] : 0;
            }
    }
}

static wlm_status check(const wlmi_product *p, wlm_error *error)
{
    if (p->in == WLMI_F32 && p->out == WLMI_F32)
        return WLM_OK;
    return wlmi_fail(error, WLM_ERR_UNSUPPORTED, NULL, WLM_NO_OFFSET, "products of bf16 in a build without oneDNN");
}

static void multiply_panels(const wlmi_product *p, void *c, const void *a, const float *panels, const float *base,
                            int threads)
{
    const wlmi_own_product own = {
        .M = p->M, .N = p->N, .K = p->K, .c = c, .from = p->accumulate ? c : base, .a = a,
        .a_transposed = p->a_transposed, .b = panels, .threads = threads,
    };
    multiply(&own);
    for (size_t i = 0; p->accumulate && base && i < (size_t)p->M * (size_t)p->N; i++)
        ((float *)c)[i] += base[i];
}

wlm_status wlmi_multiply(const wlmi_product *p, void *c, const void *a, const void *b, const float *base, int threads,
                         wlm_error *error)
{
    float *panels;
    WLMI_TRY(check(p, error));
    panels = panels_new(p->N, p->K);
    if (!panels)
        return WLMI_NO_MEMORY(error);
    panels_fill(panels, b, p->N, p->K, p->b_transposed, threads);
    multiply_panels(p, c, a, panels, base, threads);
    wlmi_free(panels);
    return WLM_OK;
}

wlm_status wlmi_multiply_packed(const wlmi_product *p, void *c, const void *a, const wlmi_packed *b, const float *base,
                                int threads, wlm_error *error)
{
    WLMI_TRY(check(p, error));
    multiply_panels(p, c, a, b->panels, base, threads);
    return WLM_OK;
}

wlm_status wlmi_packed_new(wlmi_packed **packed, int N, int K, wlmi_number type, int b_transposed, wlm_error *error)
{
    wlmi_packed *p = wlmi_alloc_zero(1, sizeof *p);
    (void)type;
    if (p)
        *p = (wlmi_packed){panels_new(N, K), N, K, b_transposed};
    *packed = p;
    if (p && p->panels)
        return WLM_OK;
    wlmi_packed_free(p);
    *packed = NULL;
    return WLMI_NO_MEMORY(error);
}

wlm_status wlmi_pack(wlmi_packed *p, const float *b, int threads, wlm_error *error)
{
    (void)error;
    panels_fill(p->panels, b, p->N, p->K, p->transposed, threads);
    return WLM_OK;
}

void wlmi_packed_free(wlmi_packed *p)
{
    if (p)
        wlmi_free(p->panels);
    wlmi_free(p);
}
