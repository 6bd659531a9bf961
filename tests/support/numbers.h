/* numbers.h: arrays of floats for tests of what computes. */
#ifndef WLMI_TEST_NUMBERS_H
#define WLMI_TEST_NUMBERS_H

#include "base/rng.h"

extern wlmi_rng test_rng;

float *test_randoms(size_t n); /* normal, from test_rng; malloc'ed */
float *test_copy(const float *x, size_t n);
/* Largest difference at most `tolerance` of the largest value expected, NaN nowhere. */
void assert_close(const char *what, const float *got, const float *expected, size_t n, double tolerance);
void assert_same_bits(const char *what, const float *a, const float *b, size_t n);

#endif
