/* report_bins.c: bins, histograms' distance, medians. */
#include "task/report_bins.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { NAMED_SHARE = 100 }; /* a value's share that earns it a bin of its own: one in so many */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Moves NaN away and sorts the rest; returns how many they are. */
static size_t sort_values(double *values, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(values[i]))
            values[n++] = values[i];
    if (n)
        qsort(values, n, sizeof *values, by_value);
    return n;
}

_Static_assert((int)NAMED_SHARE <= (int)WLMI_BINS_NAMED, "there may be as many values of that share");

static void name_values(wlmi_bins *bins, const double *values, size_t n)
{
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && values[end] == values[i]; end++)
            ;
        if ((end - i) * NAMED_SHARE >= n)
            bins->edge[bins->edges++] = values[i];
    }
}

static void end_bin(wlmi_bins *bins, double edge)
{
    if (!bins->edges || edge > bins->edge[bins->edges - 1])
        bins->edge[bins->edges++] = edge;
}

/* A value that fills a quantile alone is told from those around it: the bin before it ends just below. */
static void cut_quantiles(wlmi_bins *bins, const double *values, size_t n)
{
    if (n)
        end_bin(bins, nextafter(values[0], -INFINITY));
    for (size_t i = 0; n && i < WLMI_BINS_QUANTILES; i++) {
        size_t last = (n - 1) * (i + 1) / WLMI_BINS_QUANTILES, equal = last;
        while (equal > 0 && values[equal - 1] == values[last])
            equal--;
        while (last + 1 < n && values[last + 1] == values[equal])
            last++;
        if ((last - equal + 1) * WLMI_BINS_QUANTILES >= n)
            end_bin(bins, nextafter(values[equal], -INFINITY));
        end_bin(bins, values[equal]);
    }
}

void wlmi_bins_make(wlmi_bins *bins, wlmi_bin_kind kind, double *values, size_t count)
{
    size_t n = sort_values(values, count);
    bins->kind = kind;
    bins->edges = 0;
    if (kind == WLMI_BINS_QUANTILE)
        cut_quantiles(bins, values, n);
    else
        name_values(bins, values, n);
    bins->count = bins->edges + (kind == WLMI_BINS_PORT ? 3 : 1);
}

size_t wlmi_bin_of(const wlmi_bins *bins, double value)
{
    size_t low = 0, high = bins->edges;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (bins->edge[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    if (bins->kind == WLMI_BINS_QUANTILE || (low < bins->edges && bins->edge[low] == value))
        return low;
    if (bins->kind == WLMI_BINS_CATEGORY)
        return bins->edges;
    return bins->edges + (value >= 1024) + (value >= 49152);
}

double wlmi_jsd(const double *p, const double *q, size_t n)
{
    double total_p = 0, total_q = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        total_p += p[i];
        total_q += q[i];
    }
    if (total_p == 0 || total_q == 0)
        return total_p == total_q ? NAN : 1;
    for (size_t i = 0; i < n; i++) {
        double a = p[i] / total_p, b = q[i] / total_q, m = (a + b) / 2;
        sum += a > 0 ? a * log2(a / m) : 0;
        sum += b > 0 ? b * log2(b / m) : 0;
    }
    return sum < 0 ? 0 : sum / 2;
}

double wlmi_median_known(double *values, size_t count)
{
    size_t n = sort_values(values, count);
    return n ? (values[(n - 1) / 2] + values[n / 2]) / 2 : NAN;
}
