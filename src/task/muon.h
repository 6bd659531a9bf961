/* muon.h: Muon (Jordan et al., 2024, kellerjordan.github.io/posts/muon): momentum whose matrix is made orthogonal.
 *
 * For a matrix W [R,C] with gradient G: M = 0.95 M + G, U = G + 0.95 M (Nesterov), X = U / |U|, then five times
 *   X = 3.4445 X - 4.7750 A X + 2.0315 A A X,  A = X X^T  (for R > C on the other side: X A, A = X^T X),
 * a Newton-Schulz iteration that draws every singular value of X to within 0.7 .. 1.2 and keeps its singular vectors.
 * W loses rate * (0.2 sqrt(max(R, C)) X + decay * W): so scaled (Liu et al., 2025, arXiv 2502.16982) an update is about
 * as large as AdamW's, and takes its learning rate and decay. */
#ifndef WLMI_MUON_H
#define WLMI_MUON_H

#include "tensor/backend.h"

typedef struct wlmi_muon { /* scratch for matrices up to the sizes given to init; zero-initialise */
    const wlmi_backend *backend;
    wlmi_real *x, *y; /* [largest] a matrix */
    wlmi_real *a, *b; /* [side * side] */
} wlmi_muon;

/* largest: values of the largest matrix; side: the longest of all shorter sides. */
wlm_status wlmi_muon_init(wlmi_muon *muon, const wlmi_backend *backend, size_t largest, size_t side, wlm_error *error);
void wlmi_muon_clear(wlmi_muon *muon);
/* value, momentum, grad [rows, cols]. grad is multiplied by scale first, in place. */
void wlmi_muon_update(wlmi_muon *muon, wlmi_real *value, wlmi_real *momentum, wlmi_real *grad, int rows, int cols,
                      double scale, double rate, double decay);

#endif
