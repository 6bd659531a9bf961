/* bench.c: medians, progress and reports of measurements. */
#include "task/bench.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/io.h"

wlm_status wlmi_bench_check_runs(uint32_t runs, wlm_error *error)
{
    if (runs >= WLM_BENCH_RUNS && runs <= WLMI_BENCH_RUNS_MOST)
        return WLM_OK;
    return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "runs must be from %d to %d", WLM_BENCH_RUNS,
                     WLMI_BENCH_RUNS_MOST);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double wlmi_median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, ascending);
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

json_t *wlmi_spread_json(double *values, size_t n)
{
    double median = wlmi_median(values, n);
    return json_pack("{s:f,s:f,s:f}", "median", median, "min", values[0], "max", values[n - 1]);
}

json_t *wlmi_rate_json(double amount, double *seconds, size_t n)
{
    double middle = fmax(wlmi_median(seconds, n), 1e-9);
    return json_pack("{s:f,s:f,s:f}", "median", amount / middle, "min", amount / fmax(seconds[n - 1], 1e-9), "max",
                     amount / fmax(seconds[0], 1e-9));
}

double wlmi_bench_cpu_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void wlmi_bench_show(wlm_progress_fn *progress, void *user, uint64_t done, uint64_t total, double start_s)
{
    wlm_progress p = {.what = "bench", .done = done, .total = total, .unit = "passes", .loss = NAN};
    if (!progress)
        return;
    p.elapsed_s = wlmi_clock() - start_s;
    p.remaining_s = p.elapsed_s / (double)done * (double)(total - done);
    progress(user, &p);
}

wlm_status wlmi_bench_text(json_t *value, char **text, wlm_error *error)
{
    char *dumped = value ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    *text = dumped ? wlmi_strdup(dumped) : NULL;
    free(dumped);
    return *text ? WLM_OK : WLMI_NO_MEMORY(error);
}
