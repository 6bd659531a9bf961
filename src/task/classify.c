/* classify.c: captures in, a label for each flow out. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/io.h"
#include "task/classify_copy.h"
#include "task/labeller.h"
#include "task/query.h"

enum { BATCH_ROWS = 8192 };
enum { DEFAULT_STATE_BYTES = 256 << 20 };
enum { LIVE_WAIT_NS = 1000000000 }; /* a pipe's flows wait so long, in capture time, for a full batch */

typedef struct run {
    wlm_model *model;
    const wlm_classify_options *options;
    wlm_classify_report *report;
    wlmi_view view;
    int *task; /* [tasks] */
    int tasks;
    wlm_filter *filter;
    wlmi_copy *copy;
    uint64_t flows_before; /* flows of the files before this one */
    int in_folder;         /* the file was found, not named */
    double start_s, shown_s;
    /* The current file. */
    const char *path;
    wlmi_labeller *labeller;
    uint64_t packets;      /* read */
    wlm_status status;     /* of what its call-back did */
    wlm_error error;
} run;

wlm_classify_options wlm_classify_options_default(void)
{
    wlm_classify_options options = {.top = 3, .threshold = WLM_THRESHOLD_INHERIT, .hide = WLM_HIDE_IDS, .unit = WLM_UNIT_INHERIT,
                                    .payload = WLM_PAYLOAD_INHERIT, .state_bytes = DEFAULT_STATE_BYTES};
    return options;
}

/* ---------------------------------------------------------------- answers */

static void note(run *r, const wlm_flow_result *result)
{
    char text[300];
    if (!r->copy || r->status != WLM_OK)
        return;
    snprintf(text, sizeof text, "%s=%s %.2f", result->top[0].task, result->label, result->top[0].confidence);
    r->status = wlmi_copy_note(r->copy, result->first_packet, text, &r->error);
}

static void answered(void *owner, const wlmi_flow *flow, const wlmi_shown *shown, const wlmi_answer *answer)
{
    run *r = owner;
    char community_id[40];
    wlm_flow_result result = {
        .file = r->path, .flow_id = r->flows_before + flow->id, .community_id = community_id, .key = flow->key,
        .first_ns = flow->first_ns, .last_ns = flow->last_ns, .start = flow->start, .end = flow->end,
        .oneway = !flow->packets[0] || !flow->packets[1], .packets = flow->packets[0] + flow->packets[1],
        .packets_used = shown->packets, .tokens_used = shown->tokens, .first_packet = flow->first_packet,
        .hide = r->view.hide, .payload = r->view.payload, .model = r->model->id,
    };
    result.truncated = shown->clipped || result.packets_used < result.packets;
    wlmi_community_id(&flow->key, community_id);
    for (int i = 0; i < r->tasks; i++) {
        wlmi_task *task = &r->model->net->task[answer[i].task];
        const wlmi_calibration *calibration = wlmi_task_calibration(task, r->view.hide);
        double threshold;
        result.top_count = r->options->top;
        wlmi_query_rank(task, answer[i].share, result.top, &result.top_count);
        threshold = r->options->threshold == WLM_THRESHOLD_INHERIT ? calibration->threshold : r->options->threshold;
        result.label = result.top[0].confidence < threshold ? "unknown" : result.top[0].label;
        if (shown->last)
            note(r, &result);
        if (r->options->result)
            r->options->result(r->options->user, &result);
    }
}

/* ---------------------------------------------------------------- one file */

/* What went wrong inside a call-back. */
static wlm_status failure(const run *r, wlm_error *error)
{
    if (r->status != WLM_OK && error)
        *error = r->error;
    return r->status;
}

static wlm_status take_packet(run *r, const wlm_packet *packet, wlm_error *error)
{
    int used;
    if (r->filter && !wlm_filter_match(r->filter, packet)) {
        r->report->packets_filtered++;
        return WLM_OK;
    }
    WLMI_TRY(wlmi_labeller_packet(r->labeller, packet, &used, error));
    r->report->packets_unusable += !used;
    r->report->flows = r->flows_before + wlmi_labeller_flows(r->labeller);
    return failure(r, error);
}

static int stopped(const run *r)
{
    return r->options->stop && *r->options->stop;
}

static void show(run *r)
{
    double now = wlmi_clock();
    wlm_progress progress = {.what = "classify", .done = r->report->flows, .unit = "flows", .remaining_s = -1,
                             .elapsed_s = now - r->start_s, .loss = NAN};
    if (!r->options->progress || now < r->shown_s + 0.2)
        return;
    r->shown_s = now;
    r->options->progress(r->options->user, &progress);
}

static wlm_status read_packets(run *r, wlm_capture *capture, wlm_error *error)
{
    int live = !strcmp(r->path, "-");
    wlm_packet packet;
    while (!stopped(r)) {
        WLMI_TRY(wlm_capture_next(capture, &packet, error));
        r->packets++;
        r->report->packets++;
        if (live && r->copy)
            WLMI_TRY(wlmi_copy_spool(r->copy, &packet, error));
        WLMI_TRY(take_packet(r, &packet, error));
        if (live && wlmi_labeller_waited(r->labeller) > LIVE_WAIT_NS)
            WLMI_TRY(wlmi_labeller_run(r->labeller, error));
        if (r->packets % 256 == 0)
            show(r);
    }
    return WLM_END;
}

/* A file that breaks off is good up to there. One that was named and holds no packet at all is a failure; one that
 * was found in a folder is passed over. Where the caller stopped, the end of a pipe in the middle is no damage. */
static wlm_status forgive(run *r, wlm_status status, wlm_error *error)
{
    if (status == WLM_END || (status == WLM_ERR_FORMAT && stopped(r)))
        return WLM_OK;
    if (status != WLM_ERR_FORMAT || (r->packets == 0 && !r->in_folder))
        return status;
    if (!r->report->files_damaged++)
        r->report->damage = *error;
    return WLM_OK;
}

static wlm_status finish_file(run *r, wlm_error *error)
{
    WLMI_TRY(wlmi_labeller_finish(r->labeller, error));
    WLMI_TRY(failure(r, error));
    return r->copy ? wlmi_copy_file(r->copy, r->path, r->packets, error) : WLM_OK;
}

static wlm_status make_labeller(run *r, wlm_error *error)
{
    const wlmi_labeller_options options = {
        .queue = {.task = r->task, .tasks = r->tasks, .rows = BATCH_ROWS, .state_bytes = r->options->state_bytes,
                  .answered = answered, .owner = r},
        .every = r->options->every, .early = r->options->early};
    return wlmi_labeller_new(&r->labeller, r->model, &r->view, &options, error);
}

/* Adds the file's counts to the report. */
static void drop_labeller(run *r)
{
    const wlmi_states_report states = wlmi_labeller_states(r->labeller);
    wlm_classify_report *report = r->report;
    report->flows = r->flows_before + wlmi_labeller_flows(r->labeller);
    report->flows_evicted += wlmi_labeller_evictions(r->labeller);
    report->states_dropped += states.dropped;
    report->states_recomputed += states.recomputed;
    report->state_bytes = states.most_bytes > report->state_bytes ? states.most_bytes : report->state_bytes;
    wlmi_labeller_free(r->labeller);
    r->labeller = NULL;
}

static wlm_status classify_file(run *r, const char *path, wlm_error *error)
{
    wlm_capture *capture = NULL;
    wlm_error local;
    wlm_status status;
    if (stopped(r))
        return WLM_STOPPED;
    r->path = path;
    r->packets = 0;
    r->flows_before = r->report->flows;
    status = wlm_capture_open(&capture, path, &local);
    if (status == WLM_OK) {
        r->report->files++;
        status = make_labeller(r, &local);
    }
    if (status == WLM_OK)
        status = read_packets(r, capture, &local);
    wlm_capture_close(capture);
    status = forgive(r, status, &local);
    if (status == WLM_OK && r->labeller)
        status = finish_file(r, &local);
    if (r->labeller)
        drop_labeller(r);
    if (status != WLM_OK && error)
        *error = local;
    return status;
}

/* ---------------------------------------------------------------- the whole run */

static wlm_status choose_tasks(run *r, wlm_error *error)
{
    const char *word = r->options->tasks;
    int all = word && !strcmp(word, "all");
    r->task = wlmi_alloc_array(WLMI_MAX_TASKS, sizeof *r->task);
    if (!r->task)
        return WLMI_NO_MEMORY(error);
    if (!word || all) {
        WLMI_TRY(wlmi_query_task(r->model, NULL, &r->task[0], error));
        r->tasks = all ? r->model->net->tasks : 1;
        for (int i = 0; i < r->tasks; i++)
            r->task[i] = i;
        return WLM_OK;
    }
    while (r->tasks < WLMI_MAX_TASKS) {
        char name[80];
        size_t length = strcspn(word, ",");
        snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), word);
        WLMI_TRY(wlmi_query_task(r->model, name, &r->task[r->tasks++], error));
        if (!word[length])
            return WLM_OK;
        word += length + 1;
    }
    return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "more than %d tasks", WLMI_MAX_TASKS);
}

static wlm_status check(const wlm_classify_options *o, size_t path_count, wlm_error *error)
{
    const char *cause = NULL;
    if (path_count == 0)
        cause = "no capture was named";
    else if (o->top < 1 || o->top > WLM_TOP_MAX)
        cause = "top must lie between 1 and 16";
    else if (!(o->threshold >= 0 && o->threshold <= 1) && o->threshold != WLM_THRESHOLD_INHERIT)
        cause = "the threshold must lie between 0 and 1";
    else if (o->write && !strcmp(o->write, "-"))
        cause = "the labelled capture needs a file: labels go to standard output";
    return cause ? wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "%s", cause) : WLM_OK;
}

static wlm_status prepare(run *r, wlm_error *error)
{
    const wlm_classify_options *o = r->options;
    const wlmi_wish wish = {o->codec, o->unit, o->hide, o->payload, o->max_packets, o->force};
    WLMI_TRY(wlmi_query_view(r->model, &wish, &r->view, error));
    WLMI_TRY(choose_tasks(r, error));
    if (o->filter)
        WLMI_TRY(wlm_filter_new(&r->filter, o->filter, error));
    return o->write ? wlmi_copy_new(&r->copy, o->write, r->filter, error) : WLM_OK;
}

static wlm_status each_file(void *user, const char *path, wlm_error *error)
{
    return classify_file(user, path, error);
}

static wlm_status classify_path(run *r, const char *path, wlm_error *error)
{
    struct stat st;
    r->in_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    return wlmi_walk(path, each_file, r, error);
}

static void release(run *r)
{
    wlmi_copy_discard(r->copy);
    wlm_filter_free(r->filter);
    wlmi_free(r->task);
}

wlm_status wlm_classify(wlm_model *model, const char *const *paths, size_t path_count,
                        const wlm_classify_options *options, wlm_classify_report *report, wlm_error *error)
{
    run r = {.model = model, .options = options, .report = report, .start_s = wlmi_clock()};
    wlm_status status;
    memset(report, 0, sizeof *report);
    WLMI_TRY(check(options, path_count, error));
    status = prepare(&r, error);
    for (size_t i = 0; status == WLM_OK && i < path_count; i++)
        status = classify_path(&r, paths[i], error);
    if (status == WLM_OK && report->files == 0 && report->files_damaged) {
        if (error)
            *error = report->damage;
        status = report->damage.status;
    }
    if ((status == WLM_OK || status == WLM_STOPPED) && r.copy) {
        wlm_status written = wlmi_copy_finish(r.copy, error);
        r.copy = NULL;
        status = written == WLM_OK ? status : written;
    }
    release(&r);
    if (status == WLM_OK && stopped(&r))
        status = WLM_STOPPED;
    return status;
}
