/* report_distance.c: Jensen-Shannon divergence of header fields and flow features, column by column. */
#include <math.h>

#include "base/alloc.h"
#include "task/report_draws.h"

/* Values of one column: by place of packets, or by flow. */
typedef struct column {
    const char *name;
    wlmi_bin_kind kind;
    int of_packets;
    int index;
} column;

typedef struct distance { /* medians over the draws; NaN where nothing can be compared */
    double fake, floor, copy;
} distance;

static const double *values_of(const column *c, const wlmi_side *side)
{
    return c->of_packets ? side->columns->field[c->index] : side->columns->feature[c->index];
}

/* The values of some flows; out NULL: only counts them. */
static size_t gather(const column *c, const wlmi_side *side, double *out)
{
    const double *value = values_of(c, side);
    size_t n = 0;
    for (size_t i = 0; i < side->view.flows; i++) {
        const wlmi_report_flow *flow = &side->view.set->flow[side->view.flow[i]];
        size_t first = c->of_packets ? flow->first : side->view.flow[i], count = c->of_packets ? flow->count : 1;
        for (size_t p = first; p < first + count; p++, n++)
            if (out)
                out[n] = value[p];
    }
    return n;
}

static wlm_status make_bins(const column *c, const wlmi_side *side, wlmi_bins *bins, wlm_error *error)
{
    size_t count = gather(c, side, NULL);
    double *values = wlmi_alloc_array(count, sizeof *values);
    if (!values)
        return WLMI_NO_MEMORY(error);
    gather(c, side, values);
    wlmi_bins_make(bins, c->kind, values, count);
    wlmi_free(values);
    return WLM_OK;
}

enum { SLOTS = WLMI_BINS_MAX + 1 }; /* bins, and behind the last one what has no value */

/* counts [SLOTS] of the values of flows [flows] */
static void count_values(const column *c, const wlmi_side *side, const wlmi_bins *bins, const size_t *flow,
                         size_t flows, double *counts)
{
    const double *value = values_of(c, side);
    for (size_t i = 0; i < SLOTS; i++)
        counts[i] = 0;
    for (size_t i = 0; i < flows; i++) {
        const wlmi_report_flow *f = &side->view.set->flow[flow[i]];
        size_t first = c->of_packets ? f->first : flow[i], count = c->of_packets ? f->count : 1;
        for (size_t p = first; p < first + count; p++)
            counts[isnan(value[p]) ? bins->count : wlmi_bin_of(bins, value[p])]++;
    }
}

/* That there is no value, as flags in UDP, is a value too; NaN where neither side has another. */
static double divergence(const double *p, const double *q, size_t bins)
{
    double known = 0;
    for (size_t i = 0; i < bins; i++)
        known += p[i] + q[i];
    return known > 0 ? wlmi_jsd(p, q, bins + 1) : NAN;
}

static distance measure(const column *c, const wlmi_draws *draws, const wlmi_bins *bins)
{
    double fake[WLMI_DRAWS], floor[WLMI_DRAWS], copy[WLMI_DRAWS];
    for (int i = 0; i < WLMI_DRAWS; i++) {
        const wlmi_draw *d = &draws->draw[i];
        double real[SLOTS], other[SLOTS];
        count_values(c, draws->real, bins, d->real, draws->flows, real);
        count_values(c, draws->fake, bins, d->fake, draws->flows, other);
        fake[i] = divergence(real, other, bins->count);
        floor[i] = copy[i] = NAN;
        if (draws->halves) {
            count_values(c, draws->real, bins, d->other, draws->flows, other);
            floor[i] = divergence(real, other, bins->count);
        }
        if (draws->train) {
            count_values(c, draws->train, bins, d->train, draws->train_flows, other);
            copy[i] = divergence(real, other, bins->count);
        }
    }
    return (distance){wlmi_median_known(fake, WLMI_DRAWS), wlmi_median_known(floor, WLMI_DRAWS),
                      wlmi_median_known(copy, WLMI_DRAWS)};
}

/* ---------------------------------------------------------------- the report */

static json_t *counts_json(const column *c, const wlmi_side *side, const wlmi_bins *bins)
{
    double counts[SLOTS];
    json_t *array = json_array();
    count_values(c, side, bins, side->view.flow, side->view.flows, counts);
    for (size_t i = 0; i <= bins->count; i++)
        json_array_append_new(array, json_integer((json_int_t)counts[i]));
    return array;
}

static json_t *edges_json(const wlmi_bins *bins, const wlmi_strings *names)
{
    json_t *array = json_array();
    for (size_t i = 0; i < bins->edges; i++)
        json_array_append_new(array, names ? json_string(names->text[(size_t)bins->edge[i]])
                                           : json_real(bins->edge[i]));
    return array;
}

static json_t *column_json(const column *c, const wlmi_draws *draws, const wlmi_bins *bins, const distance *d,
                           const wlmi_strings *names)
{
    static const char *const kinds[] = {"category", "port", "quantile"};
    json_t *counts = json_pack("{s:o, s:o}", "real", counts_json(c, draws->real, bins), "fake",
                               counts_json(c, draws->fake, bins));
    if (counts && draws->train)
        json_object_set_new(counts, "training", counts_json(c, draws->train, bins));
    return json_pack("{s:o, s:o, s:o, s:{s:s, s:o}, s:o}", "jsd", wlmi_json_real(d->fake), "floor",
                     wlmi_json_real(d->floor), "copy_of_training", wlmi_json_real(d->copy), "bins", "kind",
                     kinds[bins->kind], "edges", edges_json(bins, names), "counts", counts);
}

typedef struct summary {
    double fake, floor, copy, worst; /* sums over the columns; the largest */
    const char *worst_name;
    size_t columns;
} summary;

static wlm_status report_column(const column *c, const wlmi_draws *draws, const wlmi_strings *names, json_t *columns,
                                summary *sum, wlm_error *error)
{
    wlmi_bins bins;
    distance d;
    WLMI_TRY(make_bins(c, draws->train ? draws->train : draws->real, &bins, error));
    d = measure(c, draws, &bins);
    if (isnan(d.fake))
        return WLM_OK; /* neither side has it */
    sum->columns++;
    sum->fake += d.fake;
    sum->floor += d.floor;
    sum->copy += d.copy;
    if (!sum->worst_name || d.fake > sum->worst) {
        sum->worst = d.fake;
        sum->worst_name = c->name;
    }
    return json_object_set_new(columns, c->name, column_json(c, draws, &bins, &d, names)) ? WLMI_NO_MEMORY(error)
                                                                                         : WLM_OK;
}

static json_t *summary_json(const summary *sum, const wlmi_draws *draws, json_t *columns)
{
    double n = (double)sum->columns;
    return json_pack("{s:o, s:{s:s?, s:o}, s:o, s:o, s:I, s:i, s:s, s:o}", "mean", wlmi_json_real(sum->fake / n),
                     "worst", "name", sum->worst_name, "jsd", wlmi_json_real(sum->columns ? sum->worst : NAN), "floor",
                     wlmi_json_real(sum->floor / n), "copy_of_training", wlmi_json_real(sum->copy / n),
                     "flows_per_sample", (json_int_t)draws->flows, "draws", WLMI_DRAWS, "bins_from",
                     draws->train ? "training" : "real", "columns", columns);
}

static wlm_status report_columns(const wlmi_column *about, int count, int of_packets, const wlmi_strings *addresses,
                                 int with_addresses, const wlmi_draws *draws, json_t **report, wlm_error *error)
{
    json_t *columns = json_object();
    wlm_status status = columns ? WLM_OK : WLMI_NO_MEMORY(error);
    summary sum = {0};
    for (int i = 0; status == WLM_OK && i < count; i++) {
        int is_address = of_packets && (i == WLMI_FIELD_SRC || i == WLMI_FIELD_DST);
        const column c = {about[i].name, about[i].kind, of_packets, i};
        if (!is_address || with_addresses)
            status = report_column(&c, draws, is_address ? addresses : NULL, columns, &sum, error);
    }
    if (status != WLM_OK) {
        json_decref(columns);
        return status;
    }
    *report = summary_json(&sum, draws, columns);
    return *report ? WLM_OK : WLMI_NO_MEMORY(error);
}

wlm_status wlmi_report_fields(const wlmi_draws *draws, const wlmi_strings *addresses, int with_addresses,
                              json_t **report, wlm_error *error)
{
    return report_columns(wlmi_field_column, WLMI_FIELDS, 1, addresses, with_addresses, draws, report, error);
}

wlm_status wlmi_report_features(const wlmi_draws *draws, json_t **report, wlm_error *error)
{
    return report_columns(wlmi_feature_column, WLMI_FEATURES, 0, NULL, 0, draws, report, error);
}
