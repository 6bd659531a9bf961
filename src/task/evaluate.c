/* evaluate.c: a model's labels against those of imported flows: which flows, run once each, and the report. */
#include "task/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "task/controls.h"
#include "task/query.h"

wlm_evaluate_options wlm_evaluate_options_default(void)
{
    wlm_evaluate_options options = {.part = WLM_PART_TEST, .hide = WLM_HIDE_IDS, .unit = WLM_UNIT_INHERIT,
                                    .payload = WLM_PAYLOAD_INHERIT, .calibrate_on = WLM_PART_VAL, .draws = 1000,
                                    .seed = 1};
    return options;
}

/* ---------------------------------------------------------------- samples */

wlm_status wlmi_sample_derive(wlmi_sample *s, wlm_error *error)
{
    const size_t n = s->picks.count;
    s->truth = wlmi_alloc_array(n, sizeof *s->truth);
    s->guess = wlmi_alloc_array(n, sizeof *s->guess);
    s->group = wlmi_alloc_array(n, sizeof *s->group);
    s->right = wlmi_alloc_array(n, 1);
    s->confidence = wlmi_alloc_array(n, sizeof *s->confidence);
    s->calibrated = wlmi_alloc_array(n, sizeof *s->calibrated);
    if (!s->truth || !s->guess || !s->group || !s->right || !s->confidence || !s->calibrated)
        return WLMI_NO_MEMORY(error);
    wlmi_confide(s->scores.logit, n, s->scores.labels, 1, s->guess, s->confidence);
    for (size_t i = 0; i < n; i++) {
        s->truth[i] = s->picks.item[i].truth;
        s->group[i] = s->picks.item[i].group;
        s->right[i] = s->truth[i] == s->guess[i];
    }
    wlmi_sample_calibrate(s, 1);
    return WLM_OK;
}

wlm_status wlmi_sample_temperature(const wlmi_sample *s, double *temperature, wlm_error *error)
{
    return wlmi_choose_temperature(s->scores.logit, s->truth, s->group, s->picks.count, s->scores.labels,
                                   s->cohort->first_group[s->cohort->folders], temperature, error);
}

void wlmi_sample_calibrate(wlmi_sample *s, double temperature)
{
    if (s->calibrated)
        wlmi_confide(s->scores.logit, s->picks.count, s->scores.labels, temperature, NULL, s->calibrated);
}

void wlmi_sample_free(wlmi_sample *s)
{
    wlmi_free(s->picks.item);
    wlmi_scores_free(&s->scores);
    wlmi_free(s->truth);
    wlmi_free(s->guess);
    wlmi_free(s->group);
    wlmi_free(s->right);
    wlmi_free(s->confidence);
    wlmi_free(s->calibrated);
    wlmi_free(s->stratum);
    memset(s, 0, sizeof *s);
}

/* ---------------------------------------------------------------- which flows */

static wlm_status pick(wlmi_evaluation *e, wlmi_sample sample[WLMI_KINS], wlm_part part, wlm_error *error)
{
    for (int k = 0; k < WLMI_KINS; k++) {
        const wlmi_who who[WLMI_KINS] = {WLMI_LABELLED, WLMI_STRANGERS, WLMI_ALL};
        sample[k].cohort = k == WLMI_KIN_FOREIGN ? &e->foreign : &e->cohort;
        WLMI_TRY(wlmi_cohort_pick(sample[k].cohort, part, who[k], &sample[k].picks, error));
        e->total += sample[k].picks.count;
    }
    return WLM_OK;
}

static wlm_status count_support(wlmi_evaluation *e, wlm_error *error)
{
    wlmi_picks train = {0};
    wlm_status status = wlmi_cohort_pick(&e->cohort, WLM_PART_TRAIN, WLMI_LABELLED, &train, error);
    for (int i = 0; status == WLM_OK && i < 2; i++) {
        const wlmi_picks *from = i ? &train : &e->own[WLMI_KIN_LABELLED].picks;
        e->support[i] = wlmi_alloc_zero(e->cohort.labels, sizeof *e->support[i]);
        if (!e->support[i])
            status = WLMI_NO_MEMORY(error);
        for (size_t j = 0; status == WLM_OK && j < from->count; j++)
            e->support[i][from->item[j].truth]++;
    }
    wlmi_free(train.item);
    return status;
}

static wlm_status open_folders(wlmi_evaluation *e, wlm_error *error)
{
    const wlm_evaluate_options *o = e->options;
    const char *task;
    WLMI_TRY(wlmi_cohort_open(&e->cohort, o->data, o->data_count, error));
    WLMI_TRY(wlmi_cohort_open(&e->foreign, o->strangers, o->stranger_count, error));
    WLMI_TRY(wlmi_cohort_task(&e->cohort, o->task, &task, error));
    WLMI_TRY(wlmi_query_task(e->model, task, &e->task, error));
    WLMI_TRY(wlmi_cohort_join(&e->cohort, &e->model->net->task[e->task], error));
    return o->open_set || o->left_out ? wlmi_cohort_leave_out(&e->cohort, o->left_out, error) : WLM_OK;
}

static wlm_status prepare(wlmi_evaluation *e, wlm_error *error)
{
    const wlm_evaluate_options *o = e->options;
    const wlmi_wish wish = {o->codec, o->unit, o->hide, o->payload, o->max_packets, o->force};
    WLMI_TRY(wlmi_query_view(e->model, &wish, &e->view, error));
    if (o->context > INT32_MAX)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no context is so long");
    if (o->context)
        e->view.context = (int)o->context;
    e->points = wlmi_points_of(&e->view);
    WLMI_TRY(open_folders(e, error));
    WLMI_TRY(pick(e, e->own, o->part, error));
    if (!e->own[WLMI_KIN_LABELLED].picks.count)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, o->data[0], WLM_NO_OFFSET, "no labelled flow in the %s part",
                         wlm_part_name(o->part));
    if (o->calibrate_on != WLM_PART_NONE && o->calibrate_on != o->part)
        WLMI_TRY(pick(e, e->dev, o->calibrate_on, error));
    e->fit = o->calibrate_on == o->part ? e->own : e->dev[WLMI_KIN_LABELLED].picks.count ? e->dev : NULL;
    WLMI_TRY(wlmi_stress_choose(e, error));
    return count_support(e, error);
}

/* ---------------------------------------------------------------- asking */

static void scored(void *user, size_t more)
{
    wlmi_evaluation *e = user;
    double elapsed = wlmi_clock() - e->start_s;
    wlm_progress progress = {.what = "evaluate", .done = e->done += more, .total = e->total, .unit = "flows",
                             .elapsed_s = elapsed, .loss = NAN};
    progress.remaining_s = elapsed / (double)e->done * (double)(e->total - e->done);
    if (e->options->progress && (elapsed > e->shown_s + 0.2 || e->done == e->total)) {
        e->options->progress(e->options->user, &progress);
        e->shown_s = elapsed;
    }
}

static wlm_status find_strata(wlmi_sample *s, wlm_error *error)
{
    wlmi_stratum_watch *watch = wlmi_alloc(sizeof *watch);
    wlm_status status = WLM_OK;
    s->stratum = wlmi_alloc_zero(s->picks.count, 1);
    if (!watch || !s->stratum)
        status = WLMI_NO_MEMORY(error);
    for (size_t i = 0; status == WLM_OK && i < s->picks.count; i++) {
        const wlmi_pick *p = &s->picks.item[i];
        wlmi_shard_flow flow;
        wlm_packet packet;
        wlmi_dataset_flow(s->cohort->data[p->folder], p->flow, &flow);
        memset(watch, 0, sizeof *watch);
        for (uint64_t j = 0; status == WLM_OK && j < flow.packets; j++) {
            status = wlmi_dataset_packet(s->cohort->data[p->folder], p->flow, j, &packet, error);
            if (status == WLM_OK && !wlmi_stratum_take(watch, &packet))
                break;
        }
        s->stratum[i] = (uint8_t)wlmi_stratum_of(watch);
    }
    wlmi_free(watch);
    return status;
}

static wlm_status ask(wlmi_evaluation *e, wlmi_sample *s, const wlmi_points *points, wlm_error *error)
{
    const wlmi_score_watch watch = {e->options->stop, scored, e};
    WLMI_TRY(wlmi_score_flows(e->model, &e->view, e->task, s->cohort, &s->picks, points, &watch, &s->scores, error));
    return wlmi_sample_derive(s, error);
}

static wlm_status ask_all(wlmi_evaluation *e, wlm_error *error)
{
    const wlmi_score_watch watch = {e->options->stop, scored, e};
    for (int k = 0; k < WLMI_KINS; k++) {
        WLMI_TRY(ask(e, &e->own[k], k == WLMI_KIN_LABELLED && e->options->curves ? &e->points : NULL, error));
        WLMI_TRY(find_strata(&e->own[k], error));
        if (e->fit == e->dev)
            WLMI_TRY(ask(e, &e->dev[k], NULL, error));
    }
    e->temperature = 1;
    if (e->fit)
        WLMI_TRY(wlmi_sample_temperature(&e->fit[WLMI_KIN_LABELLED], &e->temperature, error));
    for (int k = 0; k < WLMI_KINS; k++) {
        wlmi_sample_calibrate(&e->own[k], e->temperature);
        wlmi_sample_calibrate(&e->dev[k], e->temperature);
    }
    return wlmi_stress_run(e, &watch, error);
}

enum { CONTROL_FLOWS = 300 }; /* of each label, that vectors are learned from */

static wlm_status run_controls(wlmi_evaluation *e, wlm_error *error)
{
    const wlmi_controls_options options = {.view = &e->view, .cohort = &e->cohort, .per_label = CONTROL_FLOWS,
                                           .picks = &e->own[WLMI_KIN_LABELLED].picks, .stop = e->options->stop};
    e->controls = json_object();
    return e->controls ? wlmi_controls_add(e->controls, e->model, &options, error) : WLMI_NO_MEMORY(error);
}

/* ---------------------------------------------------------------- the report */

/* The parts, one after another; 0: memory ran out. */
static int add_parts(const wlmi_evaluation *e, json_t *root)
{
    const wlm_evaluate_options *o = e->options;
    const struct {
        const char *name;
        int wanted;
        json_t *(*make)(const wlmi_evaluation *e);
    } part[] = {
        {"intervals", 1, wlmi_report_intervals},
        {"calibration", 1, wlmi_report_calibration},
        {"accepted", 1, wlmi_report_accepted},
        {"risk_coverage", 1, wlmi_report_risk},
        {"strata", 1, wlmi_report_strata},
        {"curves", o->curves, wlmi_report_curves},
        {"stress", o->stress != NULL, wlmi_report_stress},
        {"open_set", o->open_set || o->left_out || o->stranger_count, wlmi_report_open_set},
    };
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        if (part[i].wanted && json_object_set_new(root, part[i].name, part[i].make(e)) != 0)
            return 0;
    return !e->controls || json_object_update(json_object_get(root, "controls"), e->controls) == 0;
}

static wlm_status write_report(const wlmi_evaluation *e, char **json, wlm_error *error)
{
    json_t *root = wlmi_report_head(e), *scores = wlmi_report_scores(e);
    char *text = NULL;
    if (root && scores && json_object_update(root, scores) == 0 && add_parts(e, root))
        text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(root);
    json_decref(scores);
    *json = text ? wlmi_strdup(text) : NULL;
    free(text);
    return *json ? WLM_OK : WLMI_NO_MEMORY(error);
}

static void release(wlmi_evaluation *e)
{
    for (int k = 0; k < WLMI_KINS; k++) {
        wlmi_sample_free(&e->own[k]);
        wlmi_sample_free(&e->dev[k]);
    }
    wlmi_cohort_close(&e->cohort);
    wlmi_cohort_close(&e->foreign);
    json_decref(e->controls);
    wlmi_free(e->support[0]);
    wlmi_free(e->support[1]);
}

wlm_status wlm_evaluate_classify(wlm_model *model, const wlm_evaluate_options *options, char **json, wlm_error *error)
{
    wlmi_evaluation e = {.model = model, .options = options, .start_s = wlmi_clock()};
    wlm_status status;
    *json = NULL;
    status = prepare(&e, error);
    if (status == WLM_OK)
        status = ask_all(&e, error);
    if (status == WLM_OK && options->controls)
        status = run_controls(&e, error);
    if (status == WLM_OK && options->predictions)
        status = wlmi_predictions_write(&e, error);
    if (status == WLM_OK)
        status = write_report(&e, json, error);
    release(&e);
    return status;
}
