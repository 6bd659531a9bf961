/* report_rhythm.c: temporal correlation: how the size of a packet, and the gap before it, depend on those before. */
#include <math.h>

#include "base/alloc.h"
#include "task/report_draws.h"

enum { LAGS = 5, SIZE = 0, GAP = LAGS, SIZE_GAP = 2 * LAGS, MEASURES = 2 * LAGS + 1 };

static const double smallest_gap_s = 1e-6; /* added to each, for gaps span many orders of ten */

/* Pearson's correlation; NaN with fewer than 3 pairs, or where one side does not vary. */
static double correlation(const double *x, const double *y, size_t n)
{
    double mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < n; i++) {
        mean_x += x[i] / (double)n;
        mean_y += y[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        double dx = x[i] - mean_x, dy = y[i] - mean_y;
        xx += dx * dx;
        yy += dy * dy;
        xy += dx * dy;
    }
    return n < 3 || xx <= 1e-12 * (double)n || yy <= 1e-12 * (double)n ? NAN : xy / sqrt(xx * yy);
}

/* value [MEASURES]; size and gap have room for the flow's packets. */
static void measure_flow(const wlmi_flow_set *set, const wlmi_report_flow *flow, const double *length, double *gap,
                         double *value)
{
    const double *size = length + flow->first;
    size_t n = flow->count;
    int64_t before_ns = 0;
    for (size_t i = 0; i < n; i++) {
        wlm_packet packet = wlmi_flow_set_packet(set, flow->first + i);
        double seconds = i ? (double)(packet.time_ns - before_ns) / 1e9 : 0;
        gap[i] = log10((seconds > 0 ? seconds : 0) + smallest_gap_s);
        before_ns = packet.time_ns;
    }
    for (size_t lag = 1; lag <= LAGS; lag++) {
        value[SIZE + lag - 1] = n > lag ? correlation(size, size + lag, n - lag) : NAN;
        value[GAP + lag - 1] = n > lag + 1 ? correlation(gap + 1, gap + 1 + lag, n - 1 - lag) : NAN;
    }
    value[SIZE_GAP] = n > 1 ? correlation(size + 1, gap + 1, n - 1) : NAN;
}

/* *values [flows, MEASURES] of a side's set, or of its view's flows at least. */
static wlm_status measure_side(const wlmi_side *side, double **values, wlm_error *error)
{
    const wlmi_flow_set *set = side->view.set;
    double *gap;
    size_t most = 0;
    *values = wlmi_alloc_array(set->flows, MEASURES * sizeof **values);
    for (size_t i = 0; i < side->view.flows; i++) {
        size_t count = set->flow[side->view.flow[i]].count;
        most = count > most ? count : most;
    }
    gap = wlmi_alloc_array(most, sizeof *gap);
    if (!*values || !gap) {
        wlmi_free(gap);
        return WLMI_NO_MEMORY(error);
    }
    for (size_t i = 0; i < side->view.flows; i++) {
        size_t flow = side->view.flow[i];
        measure_flow(set, &set->flow[flow], side->columns->field[WLMI_FIELD_LENGTH], gap, *values + flow * MEASURES);
    }
    wlmi_free(gap);
    return WLM_OK;
}

/* Over the flows that have it; *has counts them. */
static double mean(const double *values, int measure, const size_t *flow, size_t flows, size_t *has)
{
    double sum = 0;
    *has = 0;
    for (size_t i = 0; i < flows; i++) {
        double v = values[flow[i] * MEASURES + (size_t)measure];
        if (!isnan(v)) {
            sum += v;
            ++*has;
        }
    }
    return *has ? sum / (double)*has : NAN;
}

static const char *const measure_name[MEASURES] = {
    "size_lag_1", "size_lag_2", "size_lag_3", "size_lag_4", "size_lag_5", "gap_lag_1",
    "gap_lag_2",  "gap_lag_3",  "gap_lag_4",  "gap_lag_5",  "size_gap"};

/* One measure's line; *apart: the difference, *floor: between halves of the real flows. */
static json_t *measure_json(const wlmi_draws *draws, const double *real, const double *fake, int measure,
                            double *apart, double *floor)
{
    double between[WLMI_DRAWS];
    size_t real_flows, fake_flows, unused;
    double r = mean(real, measure, draws->real->view.flow, draws->real->view.flows, &real_flows);
    double f = mean(fake, measure, draws->fake->view.flow, draws->fake->view.flows, &fake_flows);
    for (int i = 0; i < WLMI_DRAWS; i++) {
        const wlmi_draw *d = &draws->draw[i];
        between[i] = draws->halves ? fabs(mean(real, measure, d->real, draws->flows, &unused) -
                                          mean(real, measure, d->other, draws->flows, &unused))
                                   : NAN;
    }
    *apart = fabs(r - f);
    *floor = wlmi_median_known(between, WLMI_DRAWS);
    return json_pack("{s:o, s:o, s:o, s:o, s:I, s:I}", "real", wlmi_json_real(r), "fake", wlmi_json_real(f),
                     "difference", wlmi_json_real(*apart), "floor", wlmi_json_real(*floor), "real_flows",
                     (json_int_t)real_flows, "fake_flows", (json_int_t)fake_flows);
}

static json_t *rhythm_json(const wlmi_draws *draws, const double *real, const double *fake)
{
    json_t *measures = json_object();
    double apart = 0, floor = 0;
    size_t n = 0;
    for (int i = 0; i < MEASURES; i++) {
        double one, chance;
        json_object_set_new(measures, measure_name[i], measure_json(draws, real, fake, i, &one, &chance));
        if (isnan(one))
            continue;
        apart += one;
        floor += isnan(chance) ? 0 : chance;
        n++;
    }
    return json_pack("{s:o, s:o, s:o}", "mean_difference", wlmi_json_real(apart / (double)n), "floor",
                     wlmi_json_real(floor / (double)n), "measures", measures);
}

wlm_status wlmi_report_rhythm(const wlmi_draws *draws, json_t **report, wlm_error *error)
{
    double *real = NULL, *fake = NULL;
    wlm_status status = measure_side(draws->real, &real, error);
    if (status == WLM_OK)
        status = measure_side(draws->fake, &fake, error);
    if (status == WLM_OK && !(*report = rhythm_json(draws, real, fake)))
        status = WLMI_NO_MEMORY(error);
    wlmi_free(real);
    wlmi_free(fake);
    return status;
}
