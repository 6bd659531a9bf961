/* nearest.h: what the nearest of known vectors say. */
#ifndef WLMI_NEAREST_H
#define WLMI_NEAREST_H

#include "task/vectors.h"

/* guess [m]: for each of x [m, width] the class that most of its k nearest have, by the cosine of their angle;
 * of classes with as many, the nearest one's. */
wlm_status wlmi_nearest(const wlmi_vectors *vectors, int k, const float *x, size_t m, int *guess, wlm_error *error);

#endif
