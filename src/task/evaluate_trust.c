/* evaluate_trust.c: how far a score can be trusted: intervals, calibration, risk against coverage, strangers. */
#include <math.h>

#include "base/alloc.h"
#include "task/evaluate.h"
#include "task/intervals.h"

static json_t *range_json(const double range[2])
{
    return json_pack("[o,o]", wlmi_json_real(range[0]), wlmi_json_real(range[1]));
}

json_t *wlmi_report_intervals(const wlmi_evaluation *e)
{
    const wlmi_sample *s = &e->own[WLMI_KIN_LABELLED];
    wlmi_intervals in;
    if (wlmi_intervals_of(s->truth, s->guess, s->group, s->picks.count, (int)e->cohort.labels, e->options->draws,
                          e->options->seed, &in, NULL) != WLM_OK)
        return NULL;
    return json_pack("{s:o,s:o,s:I,s:I,s:f}", "accuracy", range_json(in.accuracy), "macro_f1",
                     range_json(in.macro_f1), "groups", (json_int_t)in.groups, "draws", (json_int_t)e->options->draws,
                     "level", .95);
}

/* ---------------------------------------------------------------- calibration */

static json_t *reliability_json(const wlmi_sample *s, const double *confidence, double temperature)
{
    wlmi_reliability r;
    json_t *bins = json_array();
    double nll = wlmi_nll(s->scores.logit, s->truth, s->picks.count, s->scores.labels, temperature);
    wlmi_reliability_of(confidence, s->right, s->picks.count, &r);
    for (int b = 0; b < WLMI_BINS; b++)
        json_array_append_new(bins, json_pack("{s:I,s:f,s:f}", "flows", (json_int_t)r.count[b], "confidence",
                                              r.confidence[b], "accuracy", r.accuracy[b]));
    return json_pack("{s:f,s:f,s:f,s:o}", "temperature", temperature, "error", r.error, "nll", nll, "bins", bins);
}

json_t *wlmi_report_calibration(const wlmi_evaluation *e)
{
    const wlmi_sample *s = &e->own[WLMI_KIN_LABELLED];
    json_t *root = json_pack("{s:o}", "as_found", reliability_json(s, s->confidence, 1));
    if (!root || !e->fit)
        return root;
    json_object_set_new(root, "calibrated", reliability_json(s, s->calibrated, e->temperature));
    json_object_set_new(root, "on", json_string(wlm_part_name(e->options->calibrate_on)));
    json_object_set_new(root, "on_flows", json_integer((json_int_t)e->fit[WLMI_KIN_LABELLED].picks.count));
    json_object_set_new(root, "in_sample", json_boolean(e->fit == e->own));
    return root;
}

json_t *wlmi_report_risk(const wlmi_evaluation *e)
{
    static const double coverage[] = {1, .9, .8, .7, .5};
    enum { N = sizeof coverage / sizeof *coverage };
    const wlmi_sample *s = &e->own[WLMI_KIN_LABELLED];
    json_t *points = json_array();
    double risk[N], area;
    if (wlmi_risk(s->calibrated, s->right, s->picks.count, coverage, N, risk, &area, NULL) != WLM_OK) {
        json_decref(points);
        return NULL;
    }
    for (int i = 0; i < N; i++)
        json_array_append_new(points, json_pack("{s:f,s:f}", "coverage", coverage[i], "risk", risk[i]));
    return json_pack("{s:o,s:f}", "points", points, "area", area);
}

/* How many of a sample's flows the model does not call unknown, and how many of those it gets right. */
static size_t accept(const wlmi_evaluation *e, const wlmi_sample *s, double *confidence, size_t *right)
{
    const wlmi_calibration *c = wlmi_task_calibration(&e->model->net->task[e->task], e->view.hide);
    size_t kept = 0;
    wlmi_confide(s->scores.logit, s->picks.count, s->scores.labels, c->temperature, NULL, confidence);
    for (size_t i = 0; i < s->picks.count; i++)
        if (confidence[i] >= c->threshold) {
            kept++;
            *right += s->right[i];
        }
    return kept;
}

json_t *wlmi_report_accepted(const wlmi_evaluation *e)
{
    const wlmi_calibration *c = wlmi_task_calibration(&e->model->net->task[e->task], e->view.hide);
    size_t kept[WLMI_KINS], right[WLMI_KINS] = {0}, strangers = 0, room = 0;
    double *confidence, flows = (double)e->own[WLMI_KIN_LABELLED].picks.count;
    for (int k = 0; k < WLMI_KINS; k++) {
        room = e->own[k].picks.count > room ? e->own[k].picks.count : room;
        strangers += k == WLMI_KIN_LABELLED ? 0 : e->own[k].picks.count;
    }
    confidence = wlmi_alloc_array(room, sizeof *confidence);
    if (!confidence)
        return NULL;
    for (int k = 0; k < WLMI_KINS; k++)
        kept[k] = accept(e, &e->own[k], confidence, &right[k]);
    wlmi_free(confidence);
    return json_pack("{s:f,s:f,s:f,s:o,s:o}", "temperature", c->temperature, "threshold", c->threshold,
                     "coverage", (double)kept[WLMI_KIN_LABELLED] / flows, "accuracy",
                     wlmi_json_real((double)right[WLMI_KIN_LABELLED] / (double)kept[WLMI_KIN_LABELLED]),
                     "strangers_accepted",
                     wlmi_json_real((double)(kept[WLMI_KIN_LEFT_OUT] + kept[WLMI_KIN_FOREIGN]) / (double)strangers));
}

/* ---------------------------------------------------------------- strangers */

typedef enum ruler { CONFIDENCE, ENERGY, RULERS } ruler;

static const char *const ruler_name[RULERS] = {"confidence", "energy"};

static const double recall = .95;

/* Scores of the flows of a sample by which knowns and strangers are told apart. Only labels that the model knows count
 * as known. Returns how many. */
static size_t measure(const wlmi_evaluation *e, const wlmi_sample *s, ruler which, int known, double *out)
{
    const size_t n = s->picks.count;
    size_t kept = 0;
    if (which == ENERGY)
        wlmi_free_energy(s->scores.logit, n, s->scores.labels, e->temperature, out);
    for (size_t i = 0; i < n; i++)
        if (!known || s->truth[i] < (int)e->cohort.known)
            out[kept++] = which == ENERGY ? out[i] : s->calibrated[i];
    return kept;
}

typedef struct sides {
    wlmi_detection all, kin[WLMI_KINS]; /* against both kinds of strangers, and each */
    size_t knowns, strangers[WLMI_KINS];
} sides;

static wlm_status tell_apart(const wlmi_evaluation *e, const wlmi_sample *s, ruler which, sides *out)
{
    double *known = wlmi_alloc_array(s[WLMI_KIN_LABELLED].picks.count, sizeof *known);
    double *stranger = wlmi_alloc_array(s[WLMI_KIN_LEFT_OUT].picks.count + s[WLMI_KIN_FOREIGN].picks.count,
                                        sizeof *stranger);
    wlm_status status = WLM_ERR_MEMORY;
    if (known && stranger) {
        size_t *n = out->strangers;
        double *foreign;
        out->knowns = measure(e, &s[WLMI_KIN_LABELLED], which, 1, known);
        n[WLMI_KIN_LEFT_OUT] = measure(e, &s[WLMI_KIN_LEFT_OUT], which, 0, stranger);
        foreign = stranger + n[WLMI_KIN_LEFT_OUT];
        n[WLMI_KIN_FOREIGN] = measure(e, &s[WLMI_KIN_FOREIGN], which, 0, foreign);
        n[WLMI_KIN_LABELLED] = n[WLMI_KIN_LEFT_OUT] + n[WLMI_KIN_FOREIGN];
        status = wlmi_detect(known, out->knowns, stranger, n[WLMI_KIN_LABELLED], recall, &out->all, NULL);
        if (status == WLM_OK)
            status = wlmi_detect(known, out->knowns, stranger, n[WLMI_KIN_LEFT_OUT], recall,
                                 &out->kin[WLMI_KIN_LEFT_OUT], NULL);
        if (status == WLM_OK)
            status = wlmi_detect(known, out->knowns, foreign, n[WLMI_KIN_FOREIGN], recall,
                                 &out->kin[WLMI_KIN_FOREIGN], NULL);
    }
    wlmi_free(known);
    wlmi_free(stranger);
    return status;
}

static json_t *detection_json(const wlmi_detection *d)
{
    return json_pack("{s:o,s:o}", "auroc", wlmi_json_real(d->auroc), "fpr_at_95", wlmi_json_real(d->fpr));
}

/* The ruler with the greater area on the part that is calibrated on, confidence where that has no strangers. */
static wlm_status choose(const wlmi_evaluation *e, ruler *chosen, int *by_data)
{
    double best = -1;
    *chosen = CONFIDENCE;
    *by_data = 0;
    for (int r = 0; e->fit && r < RULERS; r++) {
        sides s = {0};
        wlm_status status = tell_apart(e, e->fit, (ruler)r, &s);
        if (status != WLM_OK)
            return status;
        if (s.all.auroc > best) {
            best = s.all.auroc;
            *chosen = (ruler)r;
            *by_data = 1;
        }
    }
    return WLM_OK;
}

json_t *wlmi_report_open_set(const wlmi_evaluation *e)
{
    sides s[RULERS] = {0};
    const sides *said;
    ruler chosen;
    int by_data;
    json_t *root;
    if (choose(e, &chosen, &by_data) != WLM_OK)
        return NULL;
    for (int r = 0; r < RULERS; r++)
        if (tell_apart(e, e->own, (ruler)r, &s[r]) != WLM_OK)
            return NULL;
    said = &s[chosen];
    root = json_pack("{s:s,s:o,s:I,s:I,s:o,s:o}", "score", ruler_name[chosen], "chosen_on",
                     by_data ? json_string(wlm_part_name(e->options->calibrate_on)) : json_null(), "known",
                     (json_int_t)said->knowns, "strangers", (json_int_t)said->strangers[WLMI_KIN_LABELLED], "auroc",
                     wlmi_json_real(said->all.auroc), "fpr_at_95", wlmi_json_real(said->all.fpr));
    for (int r = 0; root && r < RULERS; r++)
        json_object_set_new(root, ruler_name[r], detection_json(&s[r].all));
    for (int k = WLMI_KIN_LEFT_OUT; root && k < WLMI_KINS; k++) {
        json_t *kin = detection_json(&said->kin[k]);
        json_object_set_new(kin, "flows", json_integer((json_int_t)said->strangers[k]));
        json_object_set_new(root, k == WLMI_KIN_LEFT_OUT ? "left_out" : "other_folders", kin);
    }
    return root;
}
