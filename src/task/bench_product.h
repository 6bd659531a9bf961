/* bench_product.h: what oneDNN by itself makes of the matrix products that a step consists of. */
#ifndef WLMI_BENCH_PRODUCT_H
#define WLMI_BENCH_PRODUCT_H

#include "tensor/meter.h"

typedef struct wlmi_bench_products {
    wlmi_meter step;  /* the products, each as often as one step calls it */
    int bf16;         /* inputs are bf16 already, where the processor has it; else float */
    void *a, *b;      /* the largest inputs, of small numbers */
    float *c;         /* the largest result */
    double seconds[WLMI_METER_MOST]; /* of the last run, each product's calls together */
    double flops;     /* of a run */
} wlmi_bench_products;

/* step: what was noted in one step; its products are run as they are there, but for accumulated results: y = x w^T,
 * dx = dy w, dw += dy^T x. On failure products are to be freed too. */
wlm_status wlmi_bench_products_new(wlmi_bench_products *products, const wlmi_meter *step, wlm_error *error);
/* All products of a step; *seconds in total. */
wlm_status wlmi_bench_products_run(wlmi_bench_products *products, int threads, double *seconds, wlm_error *error);
void wlmi_bench_products_free(wlmi_bench_products *products);

#endif
