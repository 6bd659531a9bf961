/* likeness.c: a forest between training flows and sampled ones. */
#include "task/likeness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "task/forest.h"
#include "task/hash_set.h"
#include "task/report_copies.h"
#include "task/report_vector.h"

static const double least_share = 0.01; /* no flow is surely one or the other to 100 trees */

struct wlmi_likeness {
    uint64_t seed;
    wlmi_strings labels;
    wlmi_flow_set train, pilot;
    uint32_t label; /* WLMI_NO_STRING: all flows */
    wlmi_forest *forest;
    wlmi_hash_set said; /* by training flows */
    float border[WLMI_LIKENESS_SIZES - 1]; /* between sizes: bytes of flows, rising */
    double share[WLMI_LIKENESS_STRATA];
};

/* Rows [flows, WLMI_VECTOR] of some flows of a closed set. */
static wlm_status read_rows(const wlmi_flow_view *view, float **x, wlm_error *error)
{
    wlmi_columns columns = {0};
    wlmi_strings addresses = {0};
    wlm_status status = wlmi_columns_read(&columns, view->set, &addresses, error);
    *x = NULL;
    if (status == WLM_OK)
        status = wlmi_vectors_read(view, &columns, x, error);
    wlmi_columns_free(&columns);
    wlmi_strings_free(&addresses);
    return status;
}

/* Nothing, or too little to be anybody's, is not remembered. */
static wlm_status remember_said(wlmi_likeness *l, wlm_error *error)
{
    for (size_t i = 0; i < l->train.flows; i++) {
        const uint64_t said = wlmi_flow_said(&l->train, &l->train.flow[i]);
        if (said)
            WLMI_TRY(wlmi_hash_set_add(&l->said, said, NULL, error));
    }
    return WLM_OK;
}

wlm_status wlmi_likeness_new(wlmi_likeness **likeness, const char *const *paths, size_t count, const char *label,
                             uint64_t seed, wlm_error *error)
{
    wlmi_likeness *l = wlmi_alloc_zero(1, sizeof *l);
    wlm_status status = l ? WLM_OK : WLMI_NO_MEMORY(error);
    *likeness = l;
    if (!l)
        return status;
    l->seed = seed;
    l->train.labels = l->pilot.labels = &l->labels;
    l->label = label ? wlmi_strings_add(&l->labels, label) : WLMI_NO_STRING;
    if (label && l->label == WLMI_NO_STRING)
        status = WLMI_NO_MEMORY(error);
    for (size_t i = 0; status == WLM_OK && i < count; i++)
        status = wlmi_flow_set_add(&l->train, paths[i], NULL, WLM_PART_TRAIN, error);
    if (status == WLM_OK)
        status = wlmi_flow_set_close(&l->train, error);
    return status == WLM_OK ? remember_said(l, error) : status;
}

wlm_status wlmi_likeness_show(wlmi_likeness *l, const wlmi_packet_list *packets, wlm_error *error)
{
    return wlmi_flow_set_add_flow(&l->pilot, packets, error);
}

/* Training flows with the label: pick [flows of the set], as many as are learned from first; *n of them. */
static wlm_status pick_train(const wlmi_likeness *l, size_t *pick, size_t *n, wlm_error *error)
{
    size_t all = 0;
    for (size_t i = 0; i < l->train.flows; i++) {
        const uint32_t own = l->train.flow[i].label;
        if (own == l->label || own == WLMI_NO_STRING || l->label == WLMI_NO_STRING)
            pick[all++] = i;
    }
    if (all < WLMI_LIKENESS_LEAST)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "%zu training flows%s%.64s are too few to be like (at least %d)", all,
                         l->label == WLMI_NO_STRING ? "" : " of label ",
                         l->label == WLMI_NO_STRING ? "" : l->labels.text[l->label], WLMI_LIKENESS_LEAST);
    *n = all < WLMI_LIKENESS_MOST ? all : WLMI_LIKENESS_MOST;
    for (size_t i = 0; i < *n; i++) { /* the first n of a shuffle */
        const size_t j = i + (size_t)(wlmi_mix2(l->seed, i) % (all - i)), kept = pick[i];
        pick[i] = pick[j];
        pick[j] = kept;
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- strata */

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float packets_with(const float *row, int flag)
{
    return row[flag] * row[WLMI_FEATURE_PACKETS];
}

static int kind_of(const float *row)
{
    if (isnan(row[WLMI_VECTOR_WINDOW]))
        return 0;
    const float syn = packets_with(row, WLMI_VECTOR_SYN), fin = packets_with(row, WLMI_VECTOR_FIN);
    return 1 + 4 * ((syn > .5f) + (syn > 1.5f)) + 2 * (fin > 1.5f) + (row[WLMI_VECTOR_RST] > 0);
}

static int stratum_of(const wlmi_likeness *l, const float *row)
{
    int size = 0;
    while (size < WLMI_LIKENESS_SIZES - 1 && row[WLMI_FEATURE_BYTES] > l->border[size])
        size++;
    return kind_of(row) * WLMI_LIKENESS_SIZES + size;
}

static wlm_status make_strata(wlmi_likeness *l, const float *real, size_t n, wlm_error *error)
{
    float *bytes = wlmi_alloc_array(n, sizeof *bytes);
    if (!bytes)
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < n; i++)
        bytes[i] = real[i * WLMI_VECTOR + WLMI_FEATURE_BYTES];
    qsort(bytes, n, sizeof *bytes, by_size);
    for (int s = 0; s < WLMI_LIKENESS_SIZES - 1; s++)
        l->border[s] = bytes[(n - 1) * (size_t)(s + 1) / WLMI_LIKENESS_SIZES];
    for (size_t i = 0; i < n; i++)
        l->share[stratum_of(l, real + i * WLMI_VECTOR)] += 1 / (double)n;
    wlmi_free(bytes);
    return WLM_OK;
}

const double *wlmi_likeness_shares(const wlmi_likeness *l)
{
    return l->share;
}

/* ---------------------------------------------------------------- the forest */

/* Rows that begin with those of either kind: x [n + m, WLMI_VECTOR_SHAPE]. */
static wlm_status train_forest(wlmi_likeness *l, const float *real, size_t n, const float *sampled, size_t m,
                               wlm_error *error)
{
    wlmi_forest_options options = wlmi_forest_options_default();
    float *x = wlmi_alloc_array(n + m, WLMI_VECTOR_SHAPE * sizeof *x);
    int *y = wlmi_alloc_array(n + m, sizeof *y);
    const wlmi_samples samples = {x, y, n + m, WLMI_VECTOR_SHAPE, 2};
    wlm_status status = x && y ? WLM_OK : WLMI_NO_MEMORY(error);
    options.min_leaf = 5; /* shares, not verdicts, are wanted */
    options.balance = 1;
    options.seed = l->seed;
    for (size_t i = 0; status == WLM_OK && i < n + m; i++) {
        const float *from = i < n ? real + i * WLMI_VECTOR : sampled + (i - n) * WLMI_VECTOR;
        memcpy(x + i * WLMI_VECTOR_SHAPE, from, WLMI_VECTOR_SHAPE * sizeof *x);
        y[i] = i < n;
    }
    if (status == WLM_OK)
        status = wlmi_forest_train(&l->forest, &samples, &options, error);
    wlmi_free(x);
    wlmi_free(y);
    return status;
}

wlm_status wlmi_likeness_learn(wlmi_likeness *l, wlm_error *error)
{
    wlmi_flow_view real = {&l->train, NULL, 0}, sampled = {&l->pilot, NULL, l->pilot.flows};
    size_t *pick = wlmi_alloc_array(l->train.flows, sizeof *pick);
    size_t *all = wlmi_alloc_array(l->pilot.flows, sizeof *all);
    float *x_real = NULL, *x_sampled = NULL;
    wlm_status status = pick && all ? pick_train(l, pick, &real.flows, error) : WLMI_NO_MEMORY(error);
    real.flow = pick;
    sampled.flow = all;
    for (size_t i = 0; all && i < l->pilot.flows; i++)
        all[i] = i;
    if (status == WLM_OK)
        status = wlmi_flow_set_close(&l->pilot, error);
    if (status == WLM_OK)
        status = read_rows(&real, &x_real, error);
    if (status == WLM_OK)
        status = read_rows(&sampled, &x_sampled, error);
    if (status == WLM_OK)
        status = train_forest(l, x_real, real.flows, x_sampled, sampled.flows, error);
    if (status == WLM_OK)
        status = make_strata(l, x_real, real.flows, error);
    wlmi_flow_set_free(&l->train);
    wlmi_flow_set_free(&l->pilot);
    l->train = l->pilot = (wlmi_flow_set){0};
    wlmi_free(pick);
    wlmi_free(all);
    wlmi_free(x_real);
    wlmi_free(x_sampled);
    return status;
}

/* The odds that the set's only flow is a training flow. */
static wlm_status weigh_flow(const wlmi_likeness *l, const wlmi_flow_set *set, double *weight, int *stratum,
                             wlm_error *error)
{
    const size_t first = 0;
    const wlmi_flow_view view = {set, &first, 1};
    float *x = NULL, p[2];
    WLMI_TRY(read_rows(&view, &x, error));
    wlmi_forest_predict(l->forest, x, p);
    *stratum = stratum_of(l, x);
    wlmi_free(x);
    *weight = fmin(fmax((double)p[1], least_share), 1 - least_share);
    *weight /= 1 - *weight;
    return WLM_OK;
}

wlm_status wlmi_likeness_weigh(const wlmi_likeness *l, const wlmi_packet_list *packets, double *weight,
                               int *stratum, wlm_error *error)
{
    wlmi_strings labels = {0};
    wlmi_flow_set set = {.labels = &labels};
    wlm_status status = wlmi_flow_set_add_flow(&set, packets, error);
    *weight = 0;
    *stratum = 0;
    if (status == WLM_OK)
        status = wlmi_flow_set_close(&set, error);
    if (status == WLM_OK && set.flows && !wlmi_hash_set_has(&l->said, wlmi_flow_said(&set, &set.flow[0])))
        status = weigh_flow(l, &set, weight, stratum, error);
    wlmi_flow_set_free(&set);
    wlmi_strings_free(&labels);
    return status;
}

void wlmi_likeness_free(wlmi_likeness *l)
{
    if (!l)
        return;
    wlmi_forest_free(l->forest);
    wlmi_flow_set_free(&l->train);
    wlmi_flow_set_free(&l->pilot);
    wlmi_strings_free(&l->labels);
    wlmi_hash_set_free(&l->said);
    wlmi_free(l);
}
