/* vectors.h: labelled vectors to learn from, and columns brought to mean 0 and deviation 1, as those of other vectors
 * were found. */
#ifndef WLMI_VECTORS_H
#define WLMI_VECTORS_H

#include "base/status.h"

typedef struct wlmi_vectors {
    const float *x;   /* [n, width] */
    const int *y;     /* [n], in [0, classes) */
    const uint8_t *held; /* [n]: not learned from, but chosen by; NULL: none is */
    size_t n;
    int width, classes;
} wlmi_vectors;

typedef struct wlmi_standard { /* zero-initialise */
    float *mean, *scale; /* [width]; scale 0 for a column that does not vary */
    int width;
} wlmi_standard;

wlm_status wlmi_standard_fit(wlmi_standard *s, const float *x, size_t n, int width, wlm_error *error);
void wlmi_standard_apply(const wlmi_standard *s, const float *x, float *out); /* [width] */
void wlmi_standard_free(wlmi_standard *s);

#endif
