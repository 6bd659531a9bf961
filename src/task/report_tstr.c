/* report_tstr.c: labels learned from generated flows (train on synthetic, test on real; Esteban et al., 2017). */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "task/forest.h"
#include "task/metrics.h"
#include "task/report_forest.h"
#include "task/report_vector.h"

enum { REAL, FAKE, TRAIN, SETS, FEW = 10, DRAWS = 5 };

typedef struct course {
    const wlmi_side *side[SETS];
    float *x[SETS];     /* [flows, WLMI_VECTOR] */
    int *class_of;      /* [labels]: number among the classes, -1: not in all three sets */
    int classes;
    float *learn_x;     /* room for all flows of two sets */
    int *learn_y;
    size_t learn;       /* flows to learn from */
    uint64_t *confusion; /* [classes, classes] */
} course;

static int class_at(const course *c, int set, size_t i)
{
    const wlmi_flow_view *view = &c->side[set]->view;
    uint32_t label = view->set->flow[view->flow[i]].label;
    return label == WLMI_NO_STRING ? -1 : c->class_of[label];
}

static void find_classes(course *c, size_t labels)
{
    for (size_t label = 0; label < labels; label++) {
        int everywhere = 1;
        for (int set = 0; set < SETS; set++) {
            const wlmi_flow_view *view = &c->side[set]->view;
            size_t i = 0;
            while (i < view->flows && view->set->flow[view->flow[i]].label != label)
                i++;
            everywhere &= i < view->flows;
        }
        c->class_of[label] = everywhere ? c->classes++ : -1;
    }
}

static size_t class_size(const course *c, int set, int class)
{
    size_t n = 0;
    for (size_t i = 0; i < c->side[set]->view.flows; i++)
        n += class_at(c, set, i) == class;
    return n;
}

/* `most` random flows of a class, or all where they are fewer. */
static void take(course *c, int set, int class, size_t most, uint64_t seed)
{
    size_t n = c->side[set]->view.flows, taken = 0;
    for (size_t k = 0; k < n && taken < most; k++) {
        size_t i = (size_t)wlmi_permute(seed, k, n);
        if (class_at(c, set, i) != class)
            continue;
        memcpy(c->learn_x + c->learn * WLMI_VECTOR, c->x[set] + i * WLMI_VECTOR, WLMI_VECTOR * sizeof *c->learn_x);
        c->learn_y[c->learn++] = class;
        taken++;
    }
}

/* Macro-F1 on the real flows of a forest that learned from what was taken, which is forgotten. */
static wlm_status examine(course *c, uint64_t seed, double *macro_f1, wlm_error *error)
{
    wlmi_forest_options options = wlmi_forest_options_default();
    const wlmi_samples samples = {c->learn_x, c->learn_y, c->learn, WLMI_VECTOR, c->classes};
    float *p = wlmi_alloc_array((size_t)c->classes, sizeof *p);
    wlmi_forest *forest = NULL;
    wlmi_score score;
    wlm_status status = p ? WLM_OK : WLMI_NO_MEMORY(error);
    options.seed = seed;
    options.balance = 1;
    if (status == WLM_OK)
        status = wlmi_forest_train(&forest, &samples, &options, error);
    memset(c->confusion, 0, (size_t)(c->classes * c->classes) * sizeof *c->confusion);
    for (size_t i = 0; status == WLM_OK && i < c->side[REAL]->view.flows; i++) {
        int truth = class_at(c, REAL, i), best = 0;
        if (truth < 0)
            continue;
        wlmi_forest_predict(forest, c->x[REAL] + i * WLMI_VECTOR, p);
        for (int k = 1; k < c->classes; k++)
            best = p[k] > p[best] ? k : best;
        c->confusion[truth * c->classes + best]++;
    }
    if (status == WLM_OK) {
        wlmi_score_confusion(c->confusion, c->classes, &score, NULL);
        *macro_f1 = score.macro_f1;
    }
    c->learn = 0;
    wlmi_forest_free(forest);
    wlmi_free(p);
    return status;
}

/* Generated flows, or as many training flows, class by class. */
static wlm_status compare_sets(course *c, uint64_t seed, double *synthetic, double *real, wlm_error *error)
{
    for (int set = FAKE; set <= TRAIN; set++) {
        for (int k = 0; k < c->classes; k++) {
            size_t fake = class_size(c, FAKE, k), train = class_size(c, TRAIN, k);
            take(c, set, k, fake < train ? fake : train, wlmi_mix2(seed, (uint64_t)k));
        }
        WLMI_TRY(examine(c, seed, set == FAKE ? synthetic : real, error));
    }
    return WLM_OK;
}

/* Few training flows of each class, alone and with all generated ones; means over draws. */
static wlm_status compare_few(course *c, uint64_t seed, double *alone, double *with_fake, wlm_error *error)
{
    *alone = *with_fake = 0;
    for (int draw = 0; draw < DRAWS; draw++) {
        const uint64_t own = wlmi_mix2(wlmi_mix(seed), (uint64_t)draw);
        for (int with = 0; with < 2; with++) {
            double f1;
            for (int k = 0; k < c->classes; k++) {
                take(c, TRAIN, k, FEW, wlmi_mix2(own, (uint64_t)k));
                if (with)
                    take(c, FAKE, k, SIZE_MAX, 0);
            }
            WLMI_TRY(examine(c, own, &f1, error));
            *(with ? with_fake : alone) += f1 / DRAWS;
        }
    }
    return WLM_OK;
}

static wlm_status make_room(course *c, size_t labels, wlm_error *error)
{
    size_t most = c->side[FAKE]->view.flows + c->side[TRAIN]->view.flows;
    c->class_of = wlmi_alloc_array(labels, sizeof *c->class_of);
    c->confusion = wlmi_alloc_array(labels * labels, sizeof *c->confusion);
    c->learn_x = wlmi_alloc_array(most, WLMI_VECTOR * sizeof *c->learn_x);
    c->learn_y = wlmi_alloc_array(most, sizeof *c->learn_y);
    if (!c->class_of || !c->confusion || !c->learn_x || !c->learn_y)
        return WLMI_NO_MEMORY(error);
    for (int set = 0; set < SETS; set++)
        WLMI_TRY(wlmi_vectors_read(&c->side[set]->view, c->side[set]->columns, &c->x[set], error));
    return WLM_OK;
}

wlm_status wlmi_report_tstr(const wlmi_side *real, const wlmi_side *fake, const wlmi_side *train, uint64_t seed,
                            json_t **report, wlm_error *error)
{
    course c = {.side = {real, fake, train}};
    size_t labels = real->view.set->labels->count;
    double synthetic = NAN, by_real = NAN, alone = NAN, with_fake = NAN;
    wlm_status status = make_room(&c, labels, error);
    *report = NULL;
    if (status == WLM_OK)
        find_classes(&c, labels);
    if (status == WLM_OK && c.classes > 1) {
        status = compare_sets(&c, seed, &synthetic, &by_real, error);
        if (status == WLM_OK)
            status = compare_few(&c, seed, &alone, &with_fake, error);
        if (status == WLM_OK) {
            *report = json_pack("{s:i, s:f, s:f, s:o, s:{s:i, s:i, s:f, s:f}}", "labels", c.classes,
                                "macro_f1_synthetic", synthetic, "macro_f1_real", by_real, "ratio",
                                wlmi_json_real(by_real > 0 ? synthetic / by_real : NAN), "few", "flows_per_label", FEW,
                                "draws", DRAWS, "macro_f1_real", alone, "macro_f1_real_and_synthetic", with_fake);
            status = *report ? WLM_OK : WLMI_NO_MEMORY(error);
        }
    }
    for (int set = 0; set < SETS; set++)
        wlmi_free(c.x[set]);
    wlmi_free(c.class_of);
    wlmi_free(c.confusion);
    wlmi_free(c.learn_x);
    wlmi_free(c.learn_y);
    return status;
}
