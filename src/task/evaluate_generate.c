/* evaluate_generate.c: generated flows beside real ones, label by label. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "task/report_copies.h"
#include "task/report_forest.h"
#include "task/report_identifiers.h"
#include "task/report_neural.h"
#include "task/report_validity.h"
#include "task/report_write.h"
#include "wirelm_evaluate.h"

enum { REAL, FAKE, TRAIN, SETS };

static const char *const set_name[SETS] = {"real", "fake", "training"};

typedef struct run {
    const wlm_evaluate_generate_options *options;
    wlmi_strings labels, addresses;
    wlmi_flow_set set[SETS];
    wlmi_columns columns[SETS];
    size_t *pick[SETS]; /* [flows]: those of the label at hand */
    json_t *root;
} run;

wlm_evaluate_generate_options wlm_evaluate_generate_options_default(void)
{
    wlm_evaluate_generate_options options = {.part = WLM_PART_TEST, .seed = 1};
    return options;
}

static int is_stopped(const run *r)
{
    return r->options->stop && *r->options->stop;
}

static wlm_status read_set(run *r, int which, const wlm_flow_source *source, size_t count, wlm_part part,
                           wlm_error *error)
{
    wlmi_flow_set *set = &r->set[which];
    set->labels = &r->labels;
    for (size_t i = 0; i < count; i++) {
        if (is_stopped(r))
            return WLM_STOPPED;
        WLMI_TRY(wlmi_flow_set_add(set, source[i].path, source[i].label, part, error));
    }
    if (!set->flows && (count || which != TRAIN))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, count ? source[0].path : NULL, WLM_NO_OFFSET,
                         "no %s flow of IP packets", set_name[which]);
    WLMI_TRY(wlmi_flow_set_close(set, error));
    r->pick[which] = wlmi_alloc_array(set->flows, sizeof *r->pick[which]);
    return r->pick[which] ? wlmi_columns_read(&r->columns[which], set, &r->addresses, error) : WLMI_NO_MEMORY(error);
}

static wlm_status read_all(run *r, wlm_error *error)
{
    const wlm_evaluate_generate_options *o = r->options;
    for (size_t i = 0; i < o->label_count; i++) /* these come first, in this order */
        if (wlmi_strings_add(&r->labels, o->labels[i]) == WLMI_NO_STRING)
            return WLMI_NO_MEMORY(error);
    WLMI_TRY(read_set(r, FAKE, o->fake, o->fake_count, WLM_PART_NONE, error));
    WLMI_TRY(read_set(r, REAL, o->real, o->real_count, o->part, error));
    return read_set(r, TRAIN, o->train, o->train_count, WLM_PART_TRAIN, error);
}

static wlm_status add_part(json_t *report, const char *name, json_t *part, wlm_error *error)
{
    return json_object_set_new(report, name, part) ? WLMI_NO_MEMORY(error) : WLM_OK;
}

/* What was left out of each set. */
static wlm_status tell_left_out(run *r, wlm_error *error)
{
    json_t *left_out = json_object();
    WLMI_TRY(add_part(r->root, "left_out", left_out, error));
    for (int i = 0; i < SETS; i++)
        WLMI_TRY(add_part(left_out, set_name[i],
                          json_pack("{s:I, s:I, s:I}", "packets_without_ip", (json_int_t)r->set[i].not_ip,
                                    "flows_without_label", (json_int_t)r->set[i].unlabelled, "captures_damaged",
                                    (json_int_t)r->set[i].damaged), error));
    return WLM_OK;
}

/* ---------------------------------------------------------------- one label */

/* Flows of the label; those without a label are of any. */
static wlmi_side pick_flows(run *r, int which, uint32_t label)
{
    const wlmi_flow_set *set = &r->set[which];
    size_t n = 0;
    for (size_t i = 0; i < set->flows; i++) {
        uint32_t own = set->flow[i].label;
        if (own == label || own == WLMI_NO_STRING || label == WLMI_NO_STRING)
            r->pick[which][n++] = i;
    }
    return (wlmi_side){{set, r->pick[which], n}, &r->columns[which]};
}

static wlm_status add_distances(run *r, const wlmi_draws *draws, json_t *report, wlm_error *error)
{
    json_t *part;
    WLMI_TRY(wlmi_report_fields(draws, &r->addresses, r->options->addresses, &part, error));
    WLMI_TRY(add_part(report, "fields", part, error));
    WLMI_TRY(wlmi_report_features(draws, &part, error));
    WLMI_TRY(add_part(report, "features", part, error));
    WLMI_TRY(wlmi_report_rhythm(draws, &part, error));
    return add_part(report, "rhythm", part, error);
}

static wlm_status add_validity(const wlmi_side *side, json_t *report, wlm_error *error)
{
    wlmi_validity real, fake;
    wlmi_validity_check(&real, &side[REAL].view);
    wlmi_validity_check(&fake, &side[FAKE].view);
    return add_part(report, "validity", wlmi_validity_json(&real, &fake), error);
}

/* What needs the training flows. */
static wlm_status add_memory(const wlmi_side *side, json_t *report, wlm_error *error)
{
    json_t *part;
    if (!side[TRAIN].view.flows)
        return WLM_OK;
    WLMI_TRY(wlmi_report_copies(&side[REAL].view, &side[FAKE].view, &side[TRAIN].view, &part, error));
    WLMI_TRY(add_part(report, "copies", part, error));
    WLMI_TRY(wlmi_report_identifiers(&side[REAL].view, &side[FAKE].view, &side[TRAIN].view, &part, error));
    return add_part(report, "identifiers", part, error);
}

static wlm_status add_discriminator(const run *r, const wlmi_side *side, json_t *report, wlm_error *error)
{
    json_t *part;
    WLMI_TRY(wlmi_report_discriminator(&side[REAL], &side[FAKE], &side[TRAIN], r->options->seed, &part, error));
    return add_part(report, "discriminator", part, error);
}

static wlm_status add_neural(const run *r, const wlmi_side *side, json_t *report, wlm_error *error)
{
    const wlm_evaluate_generate_options *o = r->options;
    const wlmi_neural_options options = {o->captures, o->neural_steps, o->seed, o->threads,
                                         o->progress, o->user,         o->stop};
    json_t *part;
    if (!o->neural_steps)
        return WLM_OK;
    if (!o->captures)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "a neural discriminator needs a folder to work in");
    WLMI_TRY(wlmi_report_neural(&side[REAL].view, &side[FAKE].view, &options, &part, error));
    return add_part(report, "neural_discriminator", part, error);
}

/* Of training as many flows as the others have at most, from all over it. */
static wlm_status write_some(const wlmi_flow_view *view, size_t most, const char *path, wlm_error *error)
{
    const size_t n = view->flows < most ? view->flows : most;
    size_t *pick = wlmi_alloc_array(n + 1, sizeof *pick);
    const wlmi_flow_view some = {view->set, pick, n};
    wlm_status status = pick ? WLM_OK : WLMI_NO_MEMORY(error);
    for (size_t i = 0; pick && i < n; i++)
        pick[i] = view->flow[i * view->flows / n];
    if (status == WLM_OK)
        status = wlmi_report_write(&some, path, error);
    wlmi_free(pick);
    return status;
}

/* The flows as captures, named in the report. */
static wlm_status write_captures(const run *r, const wlmi_side *side, json_t *report, wlm_error *error)
{
    json_t *paths = json_object();
    const size_t number = json_object_size(json_object_get(r->root, "labels"));
    const size_t real = side[REAL].view.flows, fake = side[FAKE].view.flows;
    WLMI_TRY(add_part(report, "captures", paths, error));
    for (int i = 0; i < SETS; i++) {
        char path[4096];
        int length = snprintf(path, sizeof path, "%s/%zu-%s.pcap", r->options->captures, number, set_name[i]);
        if (length >= (int)sizeof path)
            return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "too long a name for a folder of captures");
        if (!side[i].view.flows)
            continue;
        WLMI_TRY(write_some(&side[i].view, i == TRAIN && real > fake ? real : i == TRAIN ? fake : SIZE_MAX, path, error));
        WLMI_TRY(add_part(paths, set_name[i], json_string(path), error));
    }
    return WLM_OK;
}

static wlm_status report_label(run *r, uint32_t label, json_t *report, wlm_error *error)
{
    wlmi_side side[SETS];
    wlmi_draws draws = {0};
    wlm_status status;
    for (int i = 0; i < SETS; i++) {
        side[i] = pick_flows(r, i, label);
        if (!side[i].view.flows && i != TRAIN)
            return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no %s flow of label '%.64s'", set_name[i],
                             r->labels.text[label]);
        WLMI_TRY(add_part(report, set_name[i], json_pack("{s:I}", "flows", (json_int_t)side[i].view.flows), error));
    }
    status = wlmi_draws_make(&draws, &side[REAL], &side[FAKE], &side[TRAIN], r->options->seed, error);
    if (status == WLM_OK)
        status = add_distances(r, &draws, report, error);
    wlmi_draws_free(&draws);
    WLMI_TRY(status);
    WLMI_TRY(add_validity(side, report, error));
    WLMI_TRY(add_memory(side, report, error));
    if (r->options->captures)
        WLMI_TRY(write_captures(r, side, report, error));
    WLMI_TRY(add_discriminator(r, side, report, error));
    return add_neural(r, side, report, error);
}

/* ---------------------------------------------------------------- all labels */

static int has_label(const wlmi_flow_set *set, uint32_t label)
{
    for (size_t i = 0; i < set->flows; i++)
        if (set->flow[i].label == label)
            return 1;
    return 0;
}

static wlm_status report_labels(run *r, wlm_error *error)
{
    json_t *all = json_object();
    size_t asked = r->options->label_count, reported = 0;
    WLMI_TRY(add_part(r->root, "labels", all, error));
    for (uint32_t i = 0; i < r->labels.count; i++) {
        json_t *report;
        if (asked ? i >= asked : !has_label(&r->set[FAKE], i))
            continue;
        if (is_stopped(r))
            return WLM_STOPPED;
        report = json_object();
        WLMI_TRY(add_part(all, r->labels.text[i], report, error));
        WLMI_TRY(report_label(r, i, report, error));
        reported++;
    }
    if (!reported) {
        json_t *report = json_object();
        WLMI_TRY(add_part(all, "all", report, error));
        return report_label(r, WLMI_NO_STRING, report, error);
    }
    return WLM_OK;
}

/* What labels can be learned from the generated flows; left out where there is but one. */
static wlm_status report_learning(run *r, wlm_error *error)
{
    wlmi_side side[SETS];
    json_t *part;
    if (!r->set[TRAIN].flows || is_stopped(r))
        return is_stopped(r) ? WLM_STOPPED : WLM_OK;
    for (int i = 0; i < SETS; i++)
        side[i] = pick_flows(r, i, WLMI_NO_STRING);
    WLMI_TRY(wlmi_report_tstr(&side[REAL], &side[FAKE], &side[TRAIN], r->options->seed, &part, error));
    return part ? add_part(r->root, "train_on_synthetic", part, error) : WLM_OK;
}

static wlm_status write_report(const run *r, char **json, wlm_error *error)
{
    char *text = json_dumps(r->root, JSON_COMPACT | JSON_REAL_PRECISION(6));
    *json = text ? wlmi_strdup(text) : NULL;
    free(text);
    return *json ? WLM_OK : WLMI_NO_MEMORY(error);
}

wlm_status wlm_evaluate_generate(const wlm_evaluate_generate_options *options, char **json, wlm_error *error)
{
    run r = {.options = options, .root = json_object()};
    wlm_status status = r.root ? WLM_OK : WLMI_NO_MEMORY(error);
    *json = NULL;
    if (status == WLM_OK)
        status = read_all(&r, error);
    if (status == WLM_OK)
        status = tell_left_out(&r, error);
    if (status == WLM_OK)
        status = report_labels(&r, error);
    if (status == WLM_OK)
        status = report_learning(&r, error);
    if (status == WLM_OK)
        status = write_report(&r, json, error);
    for (int i = 0; i < SETS; i++) {
        wlmi_flow_set_free(&r.set[i]);
        wlmi_columns_free(&r.columns[i]);
        wlmi_free(r.pick[i]);
    }
    wlmi_strings_free(&r.labels);
    wlmi_strings_free(&r.addresses);
    json_decref(r.root);
    return status;
}
