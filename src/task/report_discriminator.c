/* report_discriminator.c: a forest that tries to tell generated flows from real ones. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "task/forest.h"
#include "task/report_auc.h"
#include "task/report_forest.h"
#include "task/report_vector.h"

/* Equally many flows of two kinds, in folds. */
typedef struct contest {
    size_t each;      /* flows of each kind */
    float *x;         /* [2 * each, WLMI_VECTOR_SHAPE]; the first kind, then the second, which is positive */
    int *y, *fold;    /* [2 * each] */
    wlmi_scored *out; /* [2 * each] scores by a forest that has not seen the flow's fold */
    float *part_x;    /* room for the flows to learn from */
    int *part_y;
} contest;

void wlmi_report_folds(const wlmi_flow_view *view, uint64_t seed, int *fold)
{
    uint32_t first = view->flows ? view->set->flow[view->flow[0]].group : 0, groups = view->flows > 0, last = first;
    for (size_t i = 0; i < view->flows; i++) { /* flows of a capture stand together */
        uint32_t group = view->set->flow[view->flow[i]].group;
        groups += group != last;
        last = group;
    }
    for (size_t i = 0; i < view->flows; i++) {
        uint64_t unit = groups >= WLMI_FOLDS ? view->set->flow[view->flow[i]].group : view->flow[i];
        fold[i] = (int)(wlmi_mix2(seed, unit) % WLMI_FOLDS);
    }
}

/* `each` random flows of a side, from place `at` on. */
static wlm_status enter(contest *c, const wlmi_side *side, int positive, uint64_t seed, wlm_error *error)
{
    size_t n = side->view.flows, at = positive ? c->each : 0;
    int *fold = wlmi_alloc_array(n, sizeof *fold);
    float *x = NULL;
    wlm_status status = fold ? wlmi_vectors_read(&side->view, side->columns, &x, error) : WLMI_NO_MEMORY(error);
    if (status == WLM_OK) {
        wlmi_report_folds(&side->view, seed, fold);
        for (size_t i = 0; i < c->each; i++, at++) {
            size_t from = (size_t)wlmi_permute(wlmi_mix2(seed, (uint64_t)positive), i, n);
            memcpy(c->x + at * WLMI_VECTOR_SHAPE, x + from * WLMI_VECTOR, WLMI_VECTOR_SHAPE * sizeof *x);
            c->y[at] = positive;
            c->fold[at] = fold[from];
        }
    }
    wlmi_free(fold);
    wlmi_free(x);
    return status;
}

static wlm_status run_fold(contest *c, int fold, uint64_t seed, wlm_error *error)
{
    wlmi_forest_options options = wlmi_forest_options_default();
    wlmi_samples samples = {c->part_x, c->part_y, 0, WLMI_VECTOR_SHAPE, 2};
    wlmi_forest *forest;
    for (size_t i = 0; i < 2 * c->each; i++)
        if (c->fold[i] != fold) {
            memcpy(c->part_x + samples.n * WLMI_VECTOR_SHAPE, c->x + i * WLMI_VECTOR_SHAPE,
                   WLMI_VECTOR_SHAPE * sizeof *c->x);
            c->part_y[samples.n++] = c->y[i];
        }
    options.seed = wlmi_mix2(seed, (uint64_t)fold);
    options.balance = 1;
    if (samples.n == 0 || samples.n == 2 * c->each)
        return WLM_OK;
    WLMI_TRY(wlmi_forest_train(&forest, &samples, &options, error));
    for (size_t i = 0; i < 2 * c->each; i++)
        if (c->fold[i] == fold) {
            float p[2];
            wlmi_forest_predict(forest, c->x + i * WLMI_VECTOR_SHAPE, p);
            c->out[i] = (wlmi_scored){p[1], c->y[i]};
        }
    wlmi_forest_free(forest);
    return WLM_OK;
}

static wlm_status hold(contest *c, const wlmi_side *a, const wlmi_side *b, uint64_t seed, double *auc,
                       wlm_error *error)
{
    size_t both;
    wlm_status status;
    c->each = a->view.flows < b->view.flows ? a->view.flows : b->view.flows;
    c->each = c->each < WLMI_MOST_FLOWS ? c->each : WLMI_MOST_FLOWS;
    both = 2 * c->each;
    c->x = wlmi_alloc_array(both, WLMI_VECTOR_SHAPE * sizeof *c->x);
    c->part_x = wlmi_alloc_array(both, WLMI_VECTOR_SHAPE * sizeof *c->x);
    c->y = wlmi_alloc_array(both, sizeof *c->y);
    c->part_y = wlmi_alloc_array(both, sizeof *c->y);
    c->fold = wlmi_alloc_array(both, sizeof *c->fold);
    c->out = wlmi_alloc_zero(both, sizeof *c->out);
    status = c->x && c->part_x && c->y && c->part_y && c->fold && c->out ? WLM_OK : WLMI_NO_MEMORY(error);
    if (status == WLM_OK)
        status = enter(c, a, 0, seed, error);
    if (status == WLM_OK)
        status = enter(c, b, 1, wlmi_mix(seed), error);
    for (int fold = 0; status == WLM_OK && fold < WLMI_FOLDS; fold++)
        status = run_fold(c, fold, seed, error);
    *auc = status == WLM_OK ? wlmi_auc(c->out, both) : NAN;
    wlmi_free(c->x);
    wlmi_free(c->part_x);
    wlmi_free(c->y);
    wlmi_free(c->part_y);
    wlmi_free(c->fold);
    wlmi_free(c->out);
    return status;
}

wlm_status wlmi_report_discriminator(const wlmi_side *real, const wlmi_side *fake, const wlmi_side *train,
                                     uint64_t seed, json_t **report, wlm_error *error)
{
    contest with_fake = {0}, with_train = {0};
    double auc, copy = NAN;
    WLMI_TRY(hold(&with_fake, real, fake, seed, &auc, error));
    if (train->view.flows)
        WLMI_TRY(hold(&with_train, real, train, seed, &copy, error));
    *report = json_pack("{s:o, s:I, s:b, s:o, s:I, s:i}", "auc", wlmi_json_real(auc), "flows_each",
                        (json_int_t)with_fake.each, "too_few", with_fake.each < WLMI_ENOUGH_FLOWS, "copy_of_training",
                        wlmi_json_real(copy), "copy_of_training_flows_each", (json_int_t)with_train.each, "folds",
                        WLMI_FOLDS);
    return *report ? WLM_OK : WLMI_NO_MEMORY(error);
}
