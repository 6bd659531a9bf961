/* generate.c: new flows into captures. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "task/beginning.h"
#include "task/generate_parts.h"
#include "task/mix.h"
#include "task/query.h"

static const int64_t default_start_ns = INT64_C(1767225600) * 1000000000; /* 2026-01-01T00:00:00Z */

typedef wlmi_generate_run run;
typedef wlmi_generate_kind kind;

wlm_generate_options wlm_generate_options_default(void)
{
    wlm_generate_options options = {
        .unit = WLM_UNIT_INHERIT, .payload = WLM_PAYLOAD_INHERIT, .seed = 1, .temperature = 1, .top_p = 1,
        .start_ns = default_start_ns};
    return options;
}

int wlmi_generate_is_capture(const run *r)
{
    return r->model->net->record.unit == WLM_UNIT_CAPTURE;
}

int wlmi_generate_is_lossy(const run *r)
{
    return wlmi_mix_longest(&r->model->net->record) != WLM_PAYLOAD_FULL;
}

/* ---------------------------------------------------------------- labels */

/* Whether all training flows of a label broke off: then `cut` is the only end that the model knows. */
static int only_knows_cuts(const wlmi_task *task, int label)
{
    return task->flows[label] && task->flows_cut[label] == task->flows[label];
}

static wlm_status refuse_cut(const wlmi_task *task, int label, wlm_error *error)
{
    char others[256] = "none of this task";
    size_t at = 0;
    for (int i = 0; i < task->labels && at + 8 < sizeof others; i++)
        if (!only_knows_cuts(task, i))
            at += (size_t)snprintf(others + at, sizeof others - at, "%s%s", at ? ", " : "", task->label[i]);
    return wlmi_fail(error, WLM_ERR_REFUSED, NULL, WLM_NO_OFFSET,
                     "all %llu training flows of '%.60s' broke off, so no complete ones can be made (labels that have "
                     "some: %s); --allow-cut writes flows that break off",
                     (unsigned long long)task->flows[label], task->label[label], others);
}

static wlm_status add_kind(run *r, kind *k, const char *name, wlm_error *error)
{
    const wlmi_task *task = &r->model->net->task[r->task];
    size_t size = strlen(task->name) + strlen(name) + 16;
    WLMI_TRY(wlmi_query_label(r->model, r->task, name, &k->label, error));
    if (only_knows_cuts(task, k->label) && !r->options->allow_cut)
        return wlmi_in_file(error, refuse_cut(task, k->label, error), r->model->path);
    k->comment = wlmi_alloc(size);
    if (!k->comment)
        return WLMI_NO_MEMORY(error);
    snprintf(k->comment, size, "wirelm: %s=%s", task->name, name);
    return WLM_OK;
}

static wlm_status choose_labels(run *r, wlm_error *error)
{
    const wlm_generate_options *o = r->options;
    const int labelled = o->label || o->label_count;
    r->task = -1;
    r->kinds = o->label_count ? o->label_count : 1;
    r->kind = wlmi_alloc_zero(r->kinds, sizeof *r->kind);
    if (!r->kind)
        return WLMI_NO_MEMORY(error);
    r->kind[0].label = -1;
    if (o->label && o->label_count)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "either one label or several with counts");
    if (o->task && !labelled)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "a task needs a label");
    if (!labelled)
        return WLM_OK;
    if (wlmi_generate_is_capture(r))
        return wlmi_fail(error, WLM_ERR_REFUSED, r->model->path, WLM_NO_OFFSET,
                         "labels belong to flows: a model of unit capture writes any");
    WLMI_TRY(wlmi_query_task(r->model, o->task, &r->task, error));
    for (size_t i = 0; i < r->kinds; i++)
        WLMI_TRY(add_kind(r, &r->kind[i], o->label ? o->label : o->labels[i].label, error));
    return WLM_OK;
}

static int label_of(const void *from, uint64_t flow)
{
    const run *r = from;
    return r->kind[wlmi_schedule_label(&r->schedule, flow / r->candidates)].label;
}

/* ---------------------------------------------------------------- preparing */

static wlm_status check_payload(const run *r, wlm_error *error)
{
    const wlm_generate_options *o = r->options;
    const uint32_t payload = wlmi_mix_longest(&r->model->net->record);
    if (o->payload != WLM_PAYLOAD_INHERIT && o->payload != payload)
        return wlmi_fail(error, WLM_ERR_REFUSED, r->model->path, WLM_NO_OFFSET,
                         "a model writes as much of each payload as it was trained with, no more and no less");
    if (wlmi_generate_is_lossy(r) && !o->random_payload)
        return wlmi_fail(error, WLM_ERR_REFUSED, r->model->path, WLM_NO_OFFSET,
                         "trained on the first %u bytes of each payload: it cannot make up those behind them; "
                         "--random-payload writes chance in their place", payload);
    return WLM_OK;
}

/* When flows begin: in a capture that they are mixed into, all over it. */
static wlm_status make_schedule(run *r, wlm_error *error)
{
    const wlm_generate_options *o = r->options;
    wlmi_schedule_wish wish = {o->seed, o->flows, o->labels, o->label_count, o->rate, o->duration_s};
    int64_t first_ns, last_ns;
    r->start_ns = o->start_ns;
    if (wlmi_generate_is_capture(r) && (o->rate > 0 || o->duration_s > 0))
        return wlmi_fail(error, WLM_ERR_REFUSED, r->model->path, WLM_NO_OFFSET,
                         "a model of unit capture says itself when flows begin: it takes no rate and no duration");
    if (wlmi_trace_span(r->trace, &first_ns, &last_ns)) {
        r->start_ns = first_ns;
        if (!wlmi_generate_is_capture(r) && wish.duration_s == 0 && !(wish.rate > 0 && (wish.flows || wish.label_count)))
            wish.duration_s = (double)(last_ns - first_ns) / 1e9;
    }
    return wlmi_schedule_make(&r->schedule, &wish, error);
}

wlmi_flow_sampler_options wlmi_generate_sampling(const run *r)
{
    const wlm_generate_options *o = r->options;
    return (wlmi_flow_sampler_options){
        .sampling = {o->temperature, o->top_k, o->top_p}, .task = r->task, .label_of = label_of, .from = r,
        .begin_anywhere = o->allow_cut || wlmi_generate_is_capture(r), .end_anywhere = o->allow_cut || wlmi_generate_is_capture(r),
        .max_tokens = o->max_tokens ? o->max_tokens : (uint32_t)r->model->net->config.context,
        .beginning = &r->beginning, .flows = r->schedule.flows, .stop = o->stop};
}

static wlm_status make_lanes(run *r, wlm_error *error)
{
    const wlmi_flow_sampler_options sampling = wlmi_generate_sampling(r);
    const uint64_t flows = wlmi_generate_is_capture(r) ? 1 : r->schedule.flows * r->candidates;
    return wlmi_flow_lanes_new(&r->lanes, r->model, &sampling, r->options->seed, flows, error);
}

static wlm_status check_candidates(run *r, wlm_error *error)
{
    enum { MOST = 1000 };
    const wlm_generate_options *o = r->options;
    r->candidates = o->like_count ? o->candidates ? o->candidates : 4 : 1;
    if (o->candidates && !o->like_count)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "candidates are chosen by the flows that they shall be like: which?");
    if (r->candidates > MOST)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "more than %d candidates for each flow", MOST);
    if (o->like_count && wlmi_generate_is_capture(r))
        return wlmi_fail(error, WLM_ERR_REFUSED, r->model->path, WLM_NO_OFFSET,
                         "a model of unit capture writes one stream, of which no flow can be left out");
    return WLM_OK;
}

static wlm_status prepare(run *r, wlm_error *error)
{
    const wlm_generate_options *o = r->options;
    const wlmi_trace_options tracing = {o->out, o->per_flow, o->truth, o->merge};
    WLMI_TRY(wlmi_query_tokens(r->model, o->codec, o->unit, error));
    WLMI_TRY(check_payload(r, error));
    WLMI_TRY(choose_labels(r, error));
    WLMI_TRY(check_candidates(r, error));
    WLMI_TRY(wlmi_address_plan_make(&r->plan, o->net, wlmi_mix(o->seed), error));
    if (o->prefix)
        WLMI_TRY(wlmi_beginning_read(&r->beginning, r->model, o->prefix, error));
    WLMI_TRY(wlmi_trace_open(&r->trace, &tracing, &r->plan, error));
    WLMI_TRY(make_schedule(r, error));
    return make_lanes(r, error);
}

static void write_note(const run *r)
{
    const wlmi_task *task = r->task < 0 ? NULL : &r->model->net->task[r->task];
    char *note = r->report->note;
    size_t size = sizeof r->report->note, at = 0;
    for (size_t i = 0; task && i < r->kinds && !at; i++)
        if (only_knows_cuts(task, r->kind[i].label))
            at = (size_t)snprintf(note, size,
                                  "all %llu training flows of '%.60s' broke off: new ones end where those were cut",
                                  (unsigned long long)task->flows[r->kind[i].label], task->label[r->kind[i].label]);
    if (wlmi_generate_is_lossy(r) && at < size)
        at += (size_t)snprintf(note + at, size - at, "%sbehind its first %u bytes payload is random", at ? "; " : "",
                               wlmi_mix_longest(&r->model->net->record));
    if (r->unsound && at < size)
        at += (size_t)snprintf(note + at, size - at,
                               "%s%llu packets are unsound: no IP, or headers that contradict themselves",
                               at ? "; " : "", (unsigned long long)r->unsound);
    if (r->flawed && at < size)
        snprintf(note + at, size - at, "%s%llu flows are unsound: none of %d tries gave %s", at ? "; " : "",
                 (unsigned long long)r->flawed, WLMI_FLOW_TRIES,
                 r->options->allow_cut ? "sound packets alone" : "sound packets alone that begin a connection");
}

static wlm_status finish(run *r, wlm_status status, wlm_error *error)
{
    if ((status == WLM_OK || status == WLM_STOPPED) && r->report->flows) {
        wlm_status written = wlmi_trace_finish(r->trace, error);
        r->trace = NULL;
        status = written == WLM_OK ? status : written;
    }
    wlmi_trace_discard(r->trace);
    wlmi_flow_lanes_free(r->lanes);
    wlmi_address_plan_free(&r->plan);
    wlmi_packet_list_free(&r->beginning);
    wlmi_packet_list_free(&r->placed);
    for (size_t i = 0; r->kind && i < r->kinds; i++) {
        wlmi_free(r->kind[i].comment);
        wlmi_likeness_free(r->kind[i].likeness);
        wlmi_candidates_free(&r->kind[i].candidates);
    }
    wlmi_free(r->kind);
    wlmi_free(r->place);
    wlmi_free(r->look);
    wlmi_free(r->frame);
    wlmi_free(r->filled);
    return status;
}

wlm_status wlm_generate(wlm_model *model, const wlm_generate_options *options, wlm_generate_report *report,
                        wlm_error *error)
{
    wlm_generate_report own;
    run r = {.model = model, .options = options, .report = report ? report : &own, .clock_s = wlmi_clock()};
    wlm_status status;
    memset(r.report, 0, sizeof *r.report);
    status = prepare(&r, error);
    if (status == WLM_OK)
        status = wlmi_generate_flows(&r, error);
    if (status == WLM_OK || status == WLM_STOPPED)
        write_note(&r);
    r.report->seconds = wlmi_clock() - r.clock_s;
    return finish(&r, status, error);
}
