/* int8.h: products with a matrix whose rows are whole numbers from -127 to 127 times a scale of their own. */
#ifndef WLMI_INT8_H
#define WLMI_INT8_H

#include "tensor/cpu/cpu.h"

typedef struct wlmi_int8 wlmi_int8;

/* w [N,K], each row rounded to multiples of its largest value / 127. NULL on failure, which status() reports. */
wlmi_int8 *LEVEL(int8_new)(const float *w, int N, int K);
void LEVEL(int8_free)(wlmi_int8 *w); /* or NULL */

/* y [M, last - first] = x w^T for rows [first, last) of w, x [M,K]: each row of x is rounded as w's are. Sums of whole
 * numbers are exact, so that a row's bits depend on it alone. y is rounded to activations, or, not to_act, float and on
 * top of base [M, last - first], which may be NULL: 0, or y. A row of x that is not finite gives NaN. */
void LEVEL(int8_product)(void *y, int to_act, const float *base, const wlmi_act *x, const wlmi_int8 *w, int M, int first,
                         int last);

#endif
