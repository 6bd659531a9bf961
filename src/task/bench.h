/* bench.h: what all measurements share: medians, progress, the report as text. */
#ifndef WLMI_BENCH_H
#define WLMI_BENCH_H

#include <jansson.h>

#include "base/status.h"
#include "wirelm_bench.h"

enum { WLMI_BENCH_RUNS_MOST = 1001 };

/* WLM_BENCH_RUNS to WLMI_BENCH_RUNS_MOST, or WLM_ERR_ARGUMENT. */
wlm_status wlmi_bench_check_runs(uint32_t runs, wlm_error *error);

/* Sorts the values, n >= 1, and gives the one in the middle, or the mean of the two. */
double wlmi_median(double *values, size_t n);
/* {"median", "min", "max"} of n values, which are sorted. */
json_t *wlmi_spread_json(double *values, size_t n);
/* The same of amount / seconds. A clock that did not move counts as its finest step. */
json_t *wlmi_rate_json(double amount, double *seconds, size_t n);

/* Seconds of processor time that the process has taken, all threads together: other programs sway it less. */
double wlmi_bench_cpu_clock(void);

/* Tells progress, if anyone listens: done of total passes since start_s on wlmi_clock(). */
void wlmi_bench_show(wlm_progress_fn *progress, void *user, uint64_t done, uint64_t total, double start_s);

/* The value, whose reference is taken, as text that wlm_text_free() releases; NULL is WLM_ERR_MEMORY. */
wlm_status wlmi_bench_text(json_t *value, char **text, wlm_error *error);

#endif
