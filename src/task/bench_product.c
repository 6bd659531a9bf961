/* bench_product.c: oneDNN's products on a step's shapes. */
#include "task/bench_product.h"

#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "tensor/products.h"

static wlmi_product product_of(const wlmi_noted_product *p, int bf16)
{
    const wlmi_number in = bf16 ? WLMI_BF16 : WLMI_F32;
    switch (p->way) {
    case WLMI_FORWARD: return (wlmi_product){p->M, p->N, p->K, 0, 1, 0, in, WLMI_F32};
    case WLMI_BACKWARD_INPUT: return (wlmi_product){p->M, p->K, p->N, 0, 0, 0, in, WLMI_F32};
    default: return (wlmi_product){p->N, p->K, p->M, 1, 0, 1, in, WLMI_F32};
    }
}

static size_t more(size_t most, int rows, int columns)
{
    size_t n = (size_t)rows * (size_t)columns;
    return n > most ? n : most;
}

/* Small numbers of both signs: powers of two, the same in both types. */
static void fill(void *x, size_t n, int bf16)
{
    static const float cycle[] = {0.25f, -0.5f, 0.125f, 0.5f, -0.25f, -0.125f, 0.0625f};
    for (size_t i = 0; i < n; i++) {
        const float value = cycle[i % 7];
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        if (bf16)
            ((uint16_t *)x)[i] = (uint16_t)(bits >> 16);
        else
            ((float *)x)[i] = value;
    }
}

wlm_status wlmi_bench_products_new(wlmi_bench_products *p, const wlmi_meter *step, wlm_error *error)
{
    size_t a = 1, b = 1, c = 1, size;
    memset(p, 0, sizeof *p);
    p->step = *step;
    p->bf16 = wlmi_products_have_bf16();
    size = p->bf16 ? sizeof(uint16_t) : sizeof(float);
    for (int i = 0; i < step->count; i++) {
        const wlmi_product o = product_of(&step->product[i], p->bf16);
        a = more(a, o.M, o.K);
        b = more(b, o.K, o.N);
        c = more(c, o.M, o.N);
        p->flops += (double)step->product[i].calls * wlmi_product_flops(&step->product[i]);
    }
    p->a = wlmi_alloc_aligned(a * size);
    p->b = wlmi_alloc_aligned(b * size);
    p->c = wlmi_alloc_aligned(c * sizeof *p->c);
    if (!p->a || !p->b || !p->c)
        return WLMI_NO_MEMORY(error);
    fill(p->a, a, p->bf16);
    fill(p->b, b, p->bf16);
    return WLM_OK;
}

wlm_status wlmi_bench_products_run(wlmi_bench_products *p, int threads, double *seconds, wlm_error *error)
{
    *seconds = 0;
    for (int i = 0; i < p->step.count; i++) {
        const wlmi_product o = product_of(&p->step.product[i], p->bf16);
        double start_s = wlmi_clock();
        for (uint64_t call = 0; call < p->step.product[i].calls; call++)
            WLMI_TRY(wlmi_multiply(&o, p->c, p->a, p->b, NULL, threads, error));
        p->seconds[i] = wlmi_clock() - start_s;
        *seconds += p->seconds[i];
    }
    return WLM_OK;
}

void wlmi_bench_products_free(wlmi_bench_products *p)
{
    wlmi_free(p->a);
    wlmi_free(p->b);
    wlmi_free(p->c);
}
