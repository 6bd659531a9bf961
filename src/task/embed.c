/* embed.c: captures or imported folders in, a vector for each flow out. */
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "capture/flow.h"
#include "task/embed_table.h"
#include "task/embedder.h"
#include "task/query.h"

typedef struct run {
    wlm_model *model;
    const wlm_embed_options *options;
    wlm_embed_report *report;
    wlmi_embedder *embedder;
    wlmi_embed_table table;
    wlm_filter *filter;
    char **file;          /* [files]: of captures, by place */
    size_t files, file_capacity;
    wlmi_dataset **data;  /* [data_count] */
    double start_s, shown_s;
    /* The current capture. */
    int in_folder;        /* it was found, not named */
    uint64_t packets;     /* read */
    wlm_status status;    /* of what the flow table's call-back did */
    wlm_error error;
} run;

wlm_embed_options wlm_embed_options_default(void)
{
    wlm_embed_options options = {.part = WLM_PART_NONE, .hide = WLM_HIDE_IDS, .unit = WLM_UNIT_INHERIT,
                                 .payload = WLM_PAYLOAD_INHERIT};
    return options;
}

static void embedded(void *owner, uint64_t name, const float *vector)
{
    run *r = owner;
    memcpy(r->table.vector + name * r->table.width, vector, r->table.width * sizeof *vector);
}

static int stopped(const run *r)
{
    return r->options->stop && *r->options->stop;
}

static void show(run *r)
{
    double elapsed = wlmi_clock() - r->start_s;
    wlm_progress progress = {.what = "embed", .done = r->report->flows, .unit = "flows", .elapsed_s = elapsed,
                             .remaining_s = -1, .loss = NAN};
    if (!r->options->progress || elapsed < r->shown_s + 0.2)
        return;
    r->shown_s = elapsed;
    r->options->progress(r->options->user, &progress);
}

/* ---------------------------------------------------------------- captures */

static wlm_status add_flow(run *r, const wlmi_flow *flow, wlmi_prefix *prefix, wlm_error *error)
{
    const wlmi_embedded row = {
        .file = r->file[r->files - 1], .place = r->files - 1, .flow_id = flow->id, .key = flow->key,
        .first_ns = flow->first_ns, .packets = flow->packets[0] + flow->packets[1], .packets_used = prefix->packets,
        .tokens_used = prefix->tokens.count, .part = WLM_PART_NONE};
    WLMI_TRY(wlmi_embed_table_add(&r->table, &row, error));
    r->report->flows++;
    return wlmi_embedder_add(r->embedder, prefix, r->table.count - 1, error);
}

static void expired(void *owner, wlmi_flow *flow)
{
    run *r = owner;
    wlmi_prefix *prefix = flow->user;
    if (r->status == WLM_OK)
        r->status = add_flow(r, flow, prefix, &r->error);
    wlmi_embedder_drop(r->embedder, prefix);
}

/* What went wrong inside a call-back. */
static wlm_status failure(const run *r, wlm_error *error)
{
    if (r->status != WLM_OK && error)
        *error = r->error;
    return r->status;
}

static wlm_status take_packet(run *r, wlmi_flow_table *flows, const wlm_packet *packet, wlm_error *error)
{
    wlmi_headers headers;
    wlmi_flow *flow;
    int backward;
    r->packets++;
    r->report->packets++;
    if (r->filter && !wlm_filter_match(r->filter, packet)) {
        r->report->packets_filtered++;
        return WLM_OK;
    }
    wlmi_decode(packet, &headers);
    if (!headers.ip_version) {
        r->report->packets_unusable++;
        return WLM_OK;
    }
    WLMI_TRY(wlmi_flow_of(flows, packet, &headers, &flow, &backward, error));
    WLMI_TRY(failure(r, error));
    return wlmi_embedder_packet(r->embedder, flow->user, &flow->key, packet, error);
}

/* A file that breaks off is good up to there. One that was named and holds no packet at all is a failure; one that was
 * found in a folder is passed over. */
static wlm_status forgive(run *r, wlm_status status, const wlm_error *error)
{
    if (status == WLM_END)
        return WLM_OK;
    if (status != WLM_ERR_FORMAT || (r->packets == 0 && !r->in_folder))
        return status;
    if (!r->report->files_damaged++)
        r->report->damage = *error;
    return WLM_OK;
}

static wlm_status read_packets(run *r, wlm_capture *capture, wlmi_flow_table *flows, wlm_error *error)
{
    wlm_packet packet;
    for (;;) {
        if (stopped(r))
            return WLM_STOPPED;
        WLMI_TRY(wlm_capture_next(capture, &packet, error));
        WLMI_TRY(take_packet(r, flows, &packet, error));
        show(r);
    }
}

static wlm_status read_capture(run *r, const char *path, wlmi_flow_table *flows, wlm_error *error)
{
    wlm_capture *capture = NULL;
    wlm_error local;
    wlm_status status = wlm_capture_open(&capture, path, &local);
    r->packets = 0;
    if (status == WLM_OK) {
        r->report->files++;
        status = read_packets(r, capture, flows, &local);
    }
    wlm_capture_close(capture);
    status = forgive(r, status, &local);
    if (status == WLM_OK)
        wlmi_flow_table_flush(flows);
    else if (error)
        *error = local;
    return status == WLM_OK ? failure(r, error) : status;
}

static wlm_status embed_capture(run *r, const char *path, wlm_error *error)
{
    const wlmi_flow_options options = {.user_size = sizeof(wlmi_prefix)};
    wlmi_flow_table *flows;
    wlm_status status;
    if (!wlmi_grow(&r->file, &r->file_capacity, r->files + 1, sizeof *r->file) ||
        !(r->file[r->files] = wlmi_strdup(path)))
        return WLMI_NO_MEMORY(error);
    r->files++;
    WLMI_TRY(wlmi_flow_table_new(&flows, &options, expired, r, error));
    status = read_capture(r, path, flows, error);
    r->status = status == WLM_OK ? WLM_OK : WLM_STOPPED; /* what flows hold is released, nothing is added */
    wlmi_flow_table_flush(flows);
    wlmi_flow_table_free(flows);
    return status;
}

static wlm_status each_file(void *user, const char *path, wlm_error *error)
{
    return embed_capture(user, path, error);
}

static wlm_status embed_path(run *r, const char *path, wlm_error *error)
{
    struct stat st;
    r->in_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    return wlmi_walk(path, each_file, r, error);
}

/* ---------------------------------------------------------------- imported folders */

static wlm_status add_imported(run *r, const wlmi_dataset *data, size_t place, uint64_t i, wlm_error *error)
{
    wlmi_shard_flow f;
    wlmi_embedded row;
    uint64_t used[2];
    wlmi_dataset_flow(data, i, &f);
    if (r->options->part != WLM_PART_NONE && f.part != r->options->part)
        return WLM_OK;
    row = (wlmi_embedded){
        .file = wlmi_dataset_file(data, f.file), .place = place, .flow_id = i + 1, .key = f.key, .packets = f.packets,
        .task = wlmi_dataset_task(data), .part = f.part,
        .label = f.label == WLMI_NO_LABEL ? NULL : wlmi_dataset_label(data, f.label)};
    WLMI_TRY(wlmi_embed_table_add(&r->table, &row, error));
    r->report->flows++;
    r->report->packets += f.packets;
    /* The row is in place before a batch may run. */
    WLMI_TRY(wlmi_embedder_flow(r->embedder, data, i, r->table.count - 1, used, error));
    r->table.flow[r->table.count - 1].packets_used = used[0];
    r->table.flow[r->table.count - 1].tokens_used = used[1];
    return WLM_OK;
}

static wlm_status embed_folder(run *r, size_t d, wlm_error *error)
{
    WLMI_TRY(wlmi_dataset_open(&r->data[d], r->options->data[d], error));
    r->report->files += wlmi_dataset_files(r->data[d]);
    for (uint64_t i = 0; i < wlmi_dataset_flows(r->data[d]); i++) {
        if (stopped(r))
            return WLM_STOPPED;
        WLMI_TRY(add_imported(r, r->data[d], d, i, error));
        show(r);
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- the whole run */

static wlm_status check(const wlm_embed_options *o, wlm_error *error)
{
    const char *cause = NULL;
    if (!o->out)
        cause = "no file to write vectors to was named";
    else if (!o->path_count == !o->data_count)
        cause = o->data_count ? "either captures or imported folders, not both" : "no capture or folder was named";
    else if (o->filter && o->data_count)
        cause = "a filter is for captures";
    return cause ? wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "%s", cause) : WLM_OK;
}

static wlm_status prepare(run *r, wlm_error *error)
{
    const wlm_embed_options *o = r->options;
    const wlmi_wish wish = {o->codec, o->unit, o->hide, o->payload, o->max_packets, o->force};
    wlmi_embedder_options embedding = {.pool = o->pool, .embedded = embedded, .owner = r};
    wlmi_view view;
    WLMI_TRY(wlmi_query_view(r->model, &wish, &view, error));
    if (o->pool == WLM_POOL_ASK)
        WLMI_TRY(wlmi_query_task(r->model, o->task, &embedding.task, error));
    if (o->filter)
        WLMI_TRY(wlm_filter_new(&r->filter, o->filter, error));
    r->data = wlmi_alloc_zero(o->data_count, sizeof *r->data);
    if (!r->data)
        return WLMI_NO_MEMORY(error);
    r->table.width = (size_t)r->model->net->config.width;
    r->report->width = r->model->net->config.width;
    return wlmi_embedder_new(&r->embedder, r->model, &view, &embedding, error);
}

static wlm_status embed_all(run *r, wlm_error *error)
{
    for (size_t i = 0; i < r->options->path_count; i++)
        WLMI_TRY(embed_path(r, r->options->paths[i], error));
    for (size_t d = 0; d < r->options->data_count; d++)
        WLMI_TRY(embed_folder(r, d, error));
    if (!r->report->files && r->report->files_damaged) {
        if (error)
            *error = r->report->damage;
        return r->report->damage.status;
    }
    WLMI_TRY(wlmi_embedder_run(r->embedder, error));
    return wlmi_embed_table_write(&r->table, r->options->out, r->options->index, error);
}

static void release(run *r)
{
    wlmi_embedder_free(r->embedder);
    wlmi_embed_table_free(&r->table);
    wlm_filter_free(r->filter);
    for (size_t i = 0; i < r->files; i++)
        wlmi_free(r->file[i]);
    wlmi_free(r->file);
    for (size_t d = 0; r->data && d < r->options->data_count; d++)
        wlmi_dataset_close(r->data[d]);
    wlmi_free(r->data);
}

wlm_status wlm_embed(wlm_model *model, const wlm_embed_options *options, wlm_embed_report *report, wlm_error *error)
{
    wlm_embed_report own;
    run r = {.model = model, .options = options, .report = report ? report : &own, .start_s = wlmi_clock()};
    wlm_status status;
    memset(r.report, 0, sizeof *r.report);
    WLMI_TRY(check(options, error));
    status = prepare(&r, error);
    if (status == WLM_OK)
        status = embed_all(&r, error);
    release(&r);
    return status;
}
