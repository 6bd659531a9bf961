/* report_bins.h: histograms over bins that one sample lays down, and the distance between two of them. */
#ifndef WLMI_REPORT_BINS_H
#define WLMI_REPORT_BINS_H

#include "base/status.h"

typedef enum wlmi_bin_kind {
    WLMI_BINS_CATEGORY, /* a bin for each of the most frequent values, one for all others */
    WLMI_BINS_PORT,     /* the same, but the others in three: below 1024, below 49152, above */
    WLMI_BINS_QUANTILE  /* the first below and the last above all values seen, the others end at quantiles; a value
                           that fills a quantile alone has a bin of its own */
} wlmi_bin_kind;

enum { WLMI_BINS_NAMED = 100, WLMI_BINS_QUANTILES = 20, WLMI_BINS_MAX = WLMI_BINS_NAMED + 3 };

typedef struct wlmi_bins {
    wlmi_bin_kind kind;
    size_t count;                   /* of bins, those for other values included */
    size_t edges;
    double edge[WLMI_BINS_NAMED];   /* [edges], ascending: the values that have a bin, or the bins' upper ends */
} wlmi_bins;

/* values [count]: NaN among them do not count; they are reordered. A value has a bin of its own where it makes up a
 * hundredth of them at least. */
void wlmi_bins_make(wlmi_bins *bins, wlmi_bin_kind kind, double *values, size_t count);
size_t wlmi_bin_of(const wlmi_bins *bins, double value);

/* Jensen-Shannon divergence in bits, 0 to 1, of two histograms [n]: (KL(p|m) + KL(q|m)) / 2 with m = (p + q) / 2.
 * 1 where only one is empty, NaN where both are. Source: Lin, IEEE Trans. Information Theory 37(1), 1991. */
double wlmi_jsd(const double *p, const double *q, size_t n);

/* The middle value, or the mean of the two; NaN are left out, and NaN where nothing is left. Reorders. */
double wlmi_median_known(double *values, size_t count);

#endif
