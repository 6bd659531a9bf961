/* numbers.c: arrays of floats for tests of what computes. */
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/numbers.h"

wlmi_rng test_rng;

float *test_randoms(size_t n)
{
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)wlmi_rng_normal(&test_rng);
    return x;
}

float *test_copy(const float *x, size_t n)
{
    float *y = malloc(n * sizeof *y);
    assert_non_null(y);
    memcpy(y, x, n * sizeof *y);
    return y;
}

void assert_close(const char *what, const float *got, const float *expected, size_t n, double tolerance)
{
    double size = 0, error = 0;
    for (size_t i = 0; i < n; i++) {
        double difference = fabs((double)got[i] - expected[i]);
        size = fmax(size, fabs(expected[i]));
        error = isnan(difference) ? INFINITY : fmax(error, difference);
    }
    if (!(error <= tolerance * size))
        fail_msg("%s: differs by %g where the largest value is %g", what, error, size);
}

void assert_same_bits(const char *what, const float *a, const float *b, size_t n)
{
    if (memcmp(a, b, n * sizeof *a) != 0)
        fail_msg("%s: bits differ", what);
}
