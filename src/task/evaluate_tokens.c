/* evaluate_tokens.c: wlm_evaluate_tokens: what captures cost a model in bits, beside general compressors. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/io.h"
#include "task/query.h"
#include "task/token_report.h"

enum { BATCH_ROWS = 4096, START_TIME_BYTES = 8, MAX_CONTEXT = 1 << 24, MAX_CONTEXTS = 64 };

typedef struct run {
    wlm_model *model;
    const wlm_evaluate_tokens_options *options;
    wlmi_token_report report;
    wlmi_recordings_options which;
    wlmi_recordings *recordings;
    wlmi_recording recording;
    wlmi_hider *hider;
    wlmi_scale *scale;
    wlmi_file_image image;
    uint64_t told;         /* tokens, in all contexts, when progress was last told */
    double start_s, shown_s;
} run;

wlm_evaluate_tokens_options wlm_evaluate_tokens_options_default(void)
{
    wlm_evaluate_tokens_options options = {.part = WLM_PART_VAL, .unit = WLM_UNIT_INHERIT, .hide = WLM_HIDE_INHERIT,
                                           .payload = WLM_PAYLOAD_INHERIT, .seed = 1};
    return options;
}

/* ---------------------------------------------------------------- compressors */

/* Payload bytes of each packet that the model is told. */
static uint32_t told_payload(const run *r)
{
    const wlmi_view *view = &r->report.context[0].view;
    return view->codec->limits_payload ? view->payload : WLM_PAYLOAD_FULL;
}

static wlm_status add_image(run *r, const wlmi_recorded_flow *flow, uint32_t payload, wlmi_sizes *sizes,
                            wlm_error *error)
{
    WLMI_TRY(wlmi_recording_image(&r->recording, flow, payload, &r->image, error));
    return wlmi_scale_bytes(r->scale, r->image.bytes, r->image.size, sizes, error);
}

static void add_sizes(wlmi_sizes *sum, const wlmi_sizes *more)
{
    sum->plain += more->plain;
    sum->gzip += more->gzip;
    sum->zstd += more->zstd;
    sum->xz += more->xz;
}

static wlm_status compress(run *r, wlmi_file_row *row, wlm_error *error)
{
    const uint32_t payload = told_payload(r);
    WLMI_TRY(add_image(r, NULL, payload, &row->sizes[WLMI_BY_FILE], error));
    WLMI_TRY(add_image(r, NULL, 0, &row->sizes[WLMI_BY_FILE_ZEROED], error));
    for (size_t f = 0; f < r->recording.flows; f++) {
        if (r->options->stop && *r->options->stop)
            return wlmi_fail(error, WLM_STOPPED, NULL, WLM_NO_OFFSET, "stopped");
        WLMI_TRY(add_image(r, &r->recording.flow[f], payload, &row->sizes[WLMI_BY_FLOW], error));
        WLMI_TRY(add_image(r, &r->recording.flow[f], 0, &row->sizes[WLMI_BY_FLOW_ZEROED], error));
    }
    for (int i = 0; i < WLMI_LAYOUTS; i++)
        add_sizes(&r->report.sizes[i], &row->sizes[i]);
    return WLM_OK;
}

/* ---------------------------------------------------------------- the model */

static wlm_status score_packet(run *r, wlmi_scorer *scorer, size_t i, int of_flow, wlm_error *error)
{
    const wlm_packet packet = wlmi_packet_list_at(&r->recording.packets, i);
    const wlmi_recorded *of = &r->recording.of[i];
    return wlmi_scorer_packet(scorer, &packet, of_flow ? 0 : of->flow, of->backward, error);
}

static wlm_status score(run *r, wlmi_at_context *c, double *also, wlm_error *error)
{
    const wlmi_recording *rec = &r->recording;
    const wlmi_end cut = WLMI_END_CUT;
    if (c->view.unit == WLM_UNIT_CAPTURE) {
        wlmi_scorer_start(c->scorer, also);
        for (size_t i = 0; i < rec->packets.count; i++)
            WLMI_TRY(score_packet(r, c->scorer, i, 0, error));
        return wlmi_scorer_end(c->scorer, &cut, error);
    }
    for (size_t f = 0; f < rec->flows; f++) {
        const wlmi_recorded_flow *flow = &rec->flow[f];
        wlmi_scorer_start(c->scorer, also);
        for (size_t j = 0; j < flow->packets; j++)
            WLMI_TRY(score_packet(r, c->scorer, rec->order[flow->first + j], 1, error));
        WLMI_TRY(wlmi_scorer_end(c->scorer, &flow->end, error));
    }
    return WLM_OK;
}

static void show(run *r, int last)
{
    const uint64_t done = wlmi_recordings_reported(r->recordings)->bytes;
    const double now = wlmi_clock() - r->start_s;
    wlm_progress p = {.what = "evaluate", .done = done, .total = r->options->bytes, .unit = "bytes", .elapsed_s = now,
                      .remaining_s = -1, .loss = NAN};
    uint64_t tokens = 0;
    double bits = 0;
    if (!r->options->progress || (!last && now < r->shown_s + 0.2))
        return;
    for (size_t c = 0; c < r->report.contexts; c++)
        tokens += wlmi_scorer_tokens(r->report.context[c].scorer);
    for (int g = 0; g < WLMI_GROUPS; g++)
        bits += wlmi_scorer_tally(r->report.context[0].scorer)->group[g].bits;
    p.tokens_per_s = now > r->shown_s ? (double)(tokens - r->told) / (now - r->shown_s) : 0;
    if (wlmi_scorer_tokens(r->report.context[0].scorer))
        p.loss = bits * M_LN2 / (double)wlmi_scorer_tokens(r->report.context[0].scorer);
    if (p.total && done)
        p.remaining_s = now / (double)done * (p.total > done ? (double)(p.total - done) : 0);
    r->told = tokens;
    r->shown_s = now;
    r->options->progress(r->options->user, &p);
}

/* ---------------------------------------------------------------- captures */

static wlm_status add_row(run *r, const char *name, wlmi_file_row **row, wlm_error *error)
{
    wlmi_token_report *report = &r->report;
    if (!wlmi_grow(&report->row, &report->row_room, report->rows + 1, sizeof *report->row))
        return WLMI_NO_MEMORY(error);
    *row = &report->row[report->rows++];
    **row = (wlmi_file_row){.bytes = wlmi_recording_bytes(&r->recording), .packets = r->recording.packets.count,
                            .flows = r->recording.flows};
    (*row)->name = wlmi_strdup(name);
    (*row)->bits = wlmi_alloc_zero(report->contexts, sizeof *(*row)->bits);
    return (*row)->name && (*row)->bits ? WLM_OK : WLMI_NO_MEMORY(error);
}

static wlm_status take(run *r, uint64_t file, const char *name, wlm_error *error)
{
    wlmi_recording *rec = &r->recording;
    wlmi_file_row *row = NULL;
    if (r->hider)
        WLMI_TRY(wlmi_recording_hide(rec, r->hider, file, error));
    WLMI_TRY(add_row(r, name, &row, error));
    row->beside = START_TIME_BYTES;
    WLMI_TRY(wlmi_scale_zstd(r->scale, rec->beside.bytes, rec->beside.size, &row->beside, error));
    r->report.beside += row->beside;
    r->report.bytes += row->bytes;
    for (size_t c = 0; c < r->report.contexts; c++) {
        const double began = wlmi_clock();
        WLMI_TRY(score(r, &r->report.context[c], &row->bits[c], error));
        r->report.context[c].seconds += wlmi_clock() - began;
    }
    if (!r->options->models_only)
        WLMI_TRY(compress(r, row, error));
    show(r, 0);
    return WLM_OK;
}

static wlm_status take_all(run *r, wlm_error *error)
{
    wlm_status status = WLM_OK;
    while (status == WLM_OK) {
        uint64_t file;
        const char *name;
        status = wlmi_recordings_next(r->recordings, &r->recording, &file, &name, error);
        if (status == WLM_OK)
            status = wlmi_in_file(error, take(r, file, name, error), name);
    }
    if (status != WLM_END)
        return status;
    for (size_t c = 0; c < r->report.contexts; c++) {
        const double began = wlmi_clock();
        WLMI_TRY(wlmi_scorer_flush(r->report.context[c].scorer, error));
        r->report.context[c].seconds += wlmi_clock() - began;
    }
    show(r, 1);
    r->report.read = *wlmi_recordings_reported(r->recordings);
    return r->report.read.packets ? WLM_OK : wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                                                       "there are no packets to measure");
}

/* ---------------------------------------------------------------- the whole */

static wlm_status make_contexts(run *r, const wlmi_view *view, wlm_error *error)
{
    const wlm_evaluate_tokens_options *o = r->options;
    const size_t count = o->context_count ? o->context_count : 1;
    const wlmi_scorer_options scoring = {.rows = BATCH_ROWS, .same_tokens = o->same_tokens, .recall = o->recall,
                                           .stop = o->stop};
    if (count > MAX_CONTEXTS)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "more than %d contexts", MAX_CONTEXTS);
    r->report.context = wlmi_alloc_zero(count, sizeof *r->report.context);
    if (!r->report.context)
        return WLMI_NO_MEMORY(error);
    for (size_t c = 0; c < count; c++) {
        wlmi_at_context *at = &r->report.context[c];
        at->view = *view;
        r->report.contexts = c + 1;
        if (o->context_count && (o->contexts[c] < WLMI_MIN_CONTEXT || o->contexts[c] > MAX_CONTEXT))
            return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "a context of %u tokens, not %d to %d",
                             o->contexts[c], WLMI_MIN_CONTEXT, MAX_CONTEXT);
        if (o->context_count)
            at->view.context = (int)o->contexts[c];
        WLMI_TRY(wlmi_scorer_new(&at->scorer, r->model->net, &at->view, &scoring, error));
    }
    return WLM_OK;
}

static wlm_status prepare(run *r, wlm_error *error)
{
    const wlm_evaluate_tokens_options *o = r->options;
    const wlmi_wish wish = {o->codec, o->unit, o->hide, o->payload, 0, o->force};
    wlmi_view view;
    WLMI_TRY(wlmi_query_shown(r->model, &wish, &view, error));
    WLMI_TRY(make_contexts(r, &view, error));
    if (view.hide != WLM_HIDE_NONE || wlmi_codec_cut(view.codec, view.payload) != WLM_PAYLOAD_FULL)
        WLMI_TRY(wlmi_hider_new(&r->hider, view.hide, wlmi_codec_cut(view.codec, view.payload), error));
    WLMI_TRY(wlmi_scale_new(&r->scale, error));
    r->which = (wlmi_recordings_options){o->paths, o->path_count, o->data, o->data_count, o->part, view.unit,
                                         o->bytes, o->flows, o->seed, o->stop};
    return wlmi_recordings_new(&r->recordings, &r->which, error);
}

static wlm_status write_json(const run *r, char **json, wlm_error *error)
{
    json_t *root = wlmi_token_report_json(&r->report);
    char *text = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(8)) : NULL;
    json_decref(root);
    *json = text ? wlmi_strdup(text) : NULL;
    free(text);
    return *json ? WLM_OK : WLMI_NO_MEMORY(error);
}

static void release(run *r)
{
    wlmi_token_report *report = &r->report;
    for (size_t i = 0; i < report->rows; i++) {
        wlmi_free(report->row[i].name);
        wlmi_free(report->row[i].bits);
    }
    wlmi_free(report->row);
    for (size_t c = 0; c < report->contexts; c++)
        wlmi_scorer_free(report->context[c].scorer);
    wlmi_free(report->context);
    wlmi_recordings_free(r->recordings);
    wlmi_recording_free(&r->recording);
    wlmi_hider_free(r->hider);
    wlmi_scale_free(r->scale);
    wlmi_free(r->image.bytes);
}

wlm_status wlm_evaluate_tokens(wlm_model *model, const wlm_evaluate_tokens_options *options, char **json,
                               wlm_error *error)
{
    run r = {.model = model, .options = options, .report = {.model = model, .options = options},
             .start_s = wlmi_clock()};
    wlm_status status;
    *json = NULL;
    status = prepare(&r, error);
    if (status == WLM_OK)
        status = take_all(&r, error);
    if (status == WLM_OK)
        status = write_json(&r, json, error);
    release(&r);
    return status;
}
