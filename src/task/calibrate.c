/* calibrate.c: a temperature and a threshold for each task of a model, from flows that it was not trained on. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "task/evaluate.h"
#include "task/query.h"

typedef struct found { /* for a task of the model, as flows are shown */
    int there;
    wlmi_calibration calibration;
    wlmi_share share; /* of the summary */
} found;

typedef struct run {
    wlm_model *model;
    const wlm_calibrate_options *options;
    wlmi_view view[WLMI_SHOWN]; /* as asked; and by shape alone, if the model knows that too */
    int views;
    wlmi_cohort all;     /* every folder; not joined */
    const char **path;   /* [folders]: those of the task at hand */
    found (*found)[WLMI_SHOWN]; /* [tasks, views] */
    json_t *rows;
    uint64_t done;
    double start_s;
} run;

wlm_calibrate_options wlm_calibrate_options_default(void)
{
    wlm_calibrate_options options = {.part = WLM_PART_VAL, .hide = WLM_HIDE_IDS, .payload = WLM_PAYLOAD_INHERIT,
                                     .give_up = .05};
    return options;
}

static void scored(void *user, size_t more)
{
    run *r = user;
    wlm_progress progress = {.what = "calibrate", .done = r->done += more, .unit = "flows", .remaining_s = -1,
                             .elapsed_s = wlmi_clock() - r->start_s, .loss = NAN};
    if (r->options->progress)
        r->options->progress(r->options->user, &progress);
}

static double error_of(const double *confidence, const wlmi_sample *s)
{
    wlmi_reliability r;
    wlmi_reliability_of(confidence, s->right, s->picks.count, &r);
    return r.error;
}

/* What the choice means on the flows that it was made on. */
static json_t *row(const run *r, int task, const wlmi_view *view, const found *f, const wlmi_sample *s)
{
    const wlmi_calibration *c = &f->calibration;
    size_t right = 0, kept = 0, kept_right = 0, n = s->picks.count;
    json_t *said;
    for (size_t i = 0; i < n; i++) {
        int keep = s->calibrated[i] >= c->threshold;
        right += s->right[i];
        kept += (size_t)keep;
        kept_right += keep && s->right[i];
    }
    said = json_pack("{s:s,s:s,s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "task", r->model->net->task[task].name, "hide",
                     wlm_hide_name(view->hide), "flows", (json_int_t)n, "temperature", c->temperature, "threshold",
                     c->threshold, "accuracy", (double)right / (double)n, "error_before", error_of(s->confidence, s),
                     "error_after", error_of(s->calibrated, s), "accepted", (double)kept / (double)n,
                     "accuracy_accepted", kept ? (double)kept_right / (double)kept : 0);
    if (said && r->model->net->config.summary_trees)
        json_object_set_new(said, "summary", json_pack("{s:f,s:f,s:f,s:f}", "share", c->summary_share, "loss",
                                                       f->share.loss, "loss_own", f->share.loss_own, "loss_summary",
                                                       f->share.loss_other));
    return said;
}

/* Logits with the share of the summary as given. */
static wlm_status score_with(run *r, const wlmi_view *view, int task, double share, const wlmi_sample *s,
                             wlmi_scores *scores, wlm_error *error)
{
    const wlmi_score_watch watch = {r->options->stop, scored, r};
    double *own = &wlmi_task_calibration(&r->model->net->task[task], view->hide)->summary_share, before = *own;
    wlm_status status;
    *own = share;
    status = wlmi_score_flows(r->model, view, task, s->cohort, &s->picks, NULL, &watch, scores, error);
    *own = before;
    return status;
}

/* Scores with the share of the summary that suits them best. */
static wlm_status score_both(run *r, const wlmi_view *view, int task, wlmi_sample *s, found *f, wlm_error *error)
{
    const size_t n = s->picks.count;
    wlmi_scores summary = {0};
    int32_t *truth = wlmi_alloc_array(n, sizeof *truth);
    uint32_t *group = wlmi_alloc_array(n, sizeof *group);
    wlm_status status = truth && group ? score_with(r, view, task, 0, s, &s->scores, error) : WLMI_NO_MEMORY(error);
    if (status == WLM_OK)
        status = score_with(r, view, task, 1, s, &summary, error);
    for (size_t i = 0; status == WLM_OK && i < n; i++) {
        truth[i] = s->picks.item[i].truth;
        group[i] = s->picks.item[i].group;
    }
    if (status == WLM_OK) {
        const wlmi_opinions both = {s->scores.logit, summary.logit, truth, group, n, s->scores.labels,
                                    s->cohort->first_group[s->cohort->folders]};
        status = wlmi_choose_share(&both, &f->share, error);
    }
    if (status == WLM_OK) {
        f->calibration.summary_share = f->share.share;
        wlmi_mix_opinions(s->scores.logit, summary.logit, f->share.share, n * (size_t)s->scores.labels,
                          s->scores.logit);
    }
    wlmi_scores_free(&summary);
    wlmi_free(truth);
    wlmi_free(group);
    return status;
}

static wlm_status choose(run *r, int task, const wlmi_view *view, found *f, const wlmi_cohort *cohort, wlmi_sample *s,
                         wlm_error *error)
{
    json_t *one;
    WLMI_TRY(wlmi_cohort_pick(cohort, r->options->part, WLMI_LABELLED, &s->picks, error));
    if (!s->picks.count)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, cohort->path[0], WLM_NO_OFFSET, "no labelled flow in the %s part",
                         wlm_part_name(r->options->part));
    WLMI_TRY(r->model->net->config.summary_trees ? score_both(r, view, task, s, f, error)
                                                  : score_with(r, view, task, 0, s, &s->scores, error));
    WLMI_TRY(wlmi_sample_derive(s, error));
    f->there = 1;
    WLMI_TRY(wlmi_sample_temperature(s, &f->calibration.temperature, error));
    wlmi_sample_calibrate(s, f->calibration.temperature);
    WLMI_TRY(wlmi_threshold_of(s->calibrated, s->right, s->picks.count, r->options->give_up, &f->calibration.threshold,
                               error));
    one = row(r, task, view, f, s);
    return one && json_array_append_new(r->rows, one) == 0 ? WLM_OK : WLMI_NO_MEMORY(error);
}

/* All folders of a task at once. */
static wlm_status calibrate_task(run *r, int task, wlm_error *error)
{
    const char *name = r->model->net->task[task].name;
    wlmi_cohort cohort = {0};
    size_t n = 0;
    wlm_status status;
    for (size_t i = 0; i < r->all.folders; i++)
        if (!strcmp(wlmi_dataset_task(r->all.data[i]), name))
            r->path[n++] = r->options->data[i];
    if (!n)
        return WLM_OK;
    status = wlmi_cohort_open(&cohort, r->path, n, error);
    if (status == WLM_OK)
        status = wlmi_cohort_join(&cohort, &r->model->net->task[task], error);
    for (int v = 0; status == WLM_OK && v < r->views; v++) {
        wlmi_sample sample = {.cohort = &cohort};
        status = choose(r, task, &r->view[v], &r->found[task][v], &cohort, &sample, error);
        wlmi_sample_free(&sample);
    }
    wlmi_cohort_close(&cohort);
    return status;
}

static wlm_status prepare(run *r, wlm_error *error)
{
    const wlm_calibrate_options *o = r->options;
    const wlmi_wish wish = {NULL, WLM_UNIT_INHERIT, o->hide, o->payload, o->max_packets, o->force};
    const wlmi_wish shape = {NULL, WLM_UNIT_INHERIT, WLM_HIDE_SHAPE, WLM_PAYLOAD_INHERIT, o->max_packets, 0};
    int task;
    if (!(o->give_up >= 0 && o->give_up < 1))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "the share to give up lies between 0 and 1");
    if (!o->data_count)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no imported folder was named");
    WLMI_TRY(wlmi_query_view(r->model, &wish, &r->view[0], error));
    r->views = 1 + (r->view[0].hide != WLM_HIDE_SHAPE &&
                    wlmi_query_view(r->model, &shape, &r->view[1], NULL) == WLM_OK);
    WLMI_TRY(wlmi_cohort_open(&r->all, o->data, o->data_count, error));
    for (size_t i = 0; i < o->data_count; i++) {
        const char *own = wlmi_dataset_task(r->all.data[i]);
        if (!own)
            return wlmi_fail(error, WLM_ERR_ARGUMENT, o->data[i], WLM_NO_OFFSET, "imported without labels");
        WLMI_TRY(wlmi_query_task(r->model, own, &task, error));
    }
    r->path = wlmi_alloc_array(o->data_count, sizeof *r->path);
    r->found = wlmi_alloc_zero((size_t)r->model->net->tasks, sizeof *r->found);
    r->rows = json_array();
    return r->path && r->found && r->rows ? WLM_OK : WLMI_NO_MEMORY(error);
}

static wlm_status report(const run *r, char **json, wlm_error *error)
{
    json_t *root = json_pack("{s:s,s:s,s:f,s:O}", "split", wlm_part_name(r->options->part), "hide",
                             wlm_hide_name(r->view[0].hide), "give_up", r->options->give_up, "tasks", r->rows);
    char *text = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(root);
    *json = text ? wlmi_strdup(text) : NULL;
    free(text);
    return *json ? WLM_OK : WLMI_NO_MEMORY(error);
}

wlm_status wlm_calibrate(wlm_model *model, const wlm_calibrate_options *options, char **json, wlm_error *error)
{
    run r = {.model = model, .options = options, .start_s = wlmi_clock()};
    wlm_status status = prepare(&r, error);
    *json = NULL;
    for (int t = 0; status == WLM_OK && t < model->net->tasks; t++)
        status = calibrate_task(&r, t, error);
    if (status == WLM_OK)
        status = report(&r, json, error);
    for (int t = 0; status == WLM_OK && t < model->net->tasks; t++)
        for (int v = 0; v < r.views; v++)
            if (r.found[t][v].there)
                *wlmi_task_calibration(&model->net->task[t], r.view[v].hide) = r.found[t][v].calibration;
    wlmi_cohort_close(&r.all);
    wlmi_free(r.path);
    wlmi_free(r.found);
    json_decref(r.rows);
    return status;
}
