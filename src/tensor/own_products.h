/* own_products.h: what own_products.c has each level of cpu/own_kernel.c do. */
#ifndef WLMI_OWN_PRODUCTS_H
#define WLMI_OWN_PRODUCTS_H

enum { WLMI_OWN_PANEL = 16 };

/* c [M,N] = from + a b. */
typedef struct wlmi_own_product {
    int M, N, K;
    float *c;
    const float *from;  /* [M,N], may be c; NULL: 0 */
    const float *a;     /* [M,K], or [K,M] where a_transposed */
    int a_transposed;
    const float *b;     /* [panels, K, WLMI_OWN_PANEL]: columns of b, 0 behind the last */
    int threads;
} wlmi_own_product;

#endif
