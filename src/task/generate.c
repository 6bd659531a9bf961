/* generate.c: new flows into a capture. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "capture/address.h"
#include "capture/flow.h"
#include "capture/hide.h"
#include "task/flow_lanes.h"
#include "task/query.h"
#include "task/timeline.h"

/* Flows begin this much after one another, on average; no packet waits longer than the flow table would. */
static const double mean_gap_ns = 50e6;
static const int64_t longest_wait_ns = INT64_C(120) * 1000000000;
static const int64_t default_start_ns = INT64_C(1767225600) * 1000000000; /* 2026-01-01T00:00:00Z */

typedef struct run {
    wlm_model *model;
    const wlm_generate_options *options;
    wlm_generate_report *report;
    int task, label; /* -1: none */
    wlmi_flow_lanes *lanes;
    wlmi_packet_list beginning;
    wlmi_address_plan plan;
    wlmi_timeline timeline;
    wlm_writer *writer;
    uint8_t *frame;  /* room for one packet */
    size_t frame_capacity;
    const wlmi_sampled_flow *flow;
    wlmi_place *place; /* [flow.flows] */
    size_t place_capacity;
    uint64_t flawed, unsound;
    int64_t start_ns; /* of the current flow */
    double clock_s;
} run;

wlm_generate_options wlm_generate_options_default(void)
{
    wlm_generate_options options = {
        .unit = WLM_UNIT_INHERIT, .payload = WLM_PAYLOAD_INHERIT, .flows = 10, .seed = 1, .temperature = 1, .top_p = 1,
        .start_ns = default_start_ns};
    return options;
}

/* ---------------------------------------------------------------- preparing */

static wlm_status choose_label(run *r, wlm_error *error)
{
    const wlm_generate_options *o = r->options;
    r->task = r->label = -1;
    if (!o->task != !o->label)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "a task needs a label, and a label a task");
    if (!o->task)
        return WLM_OK;
    if (r->model->net->record.unit == WLM_UNIT_CAPTURE)
        return wlmi_fail(error, WLM_ERR_REFUSED, r->model->path, WLM_NO_OFFSET,
                         "labels belong to flows: a model of unit capture writes any");
    WLMI_TRY(wlmi_query_task(r->model, o->task, &r->task, error));
    return wlmi_query_label(r->model, r->task, o->label, &r->label, error);
}

/* Whether all training flows of the label broke off: then `cut` is the only end that the model knows. */
static int only_knows_cuts(const run *r)
{
    const wlmi_task *task = r->task < 0 ? NULL : &r->model->net->task[r->task];
    return task && task->flows[r->label] && task->flows_cut[r->label] == task->flows[r->label];
}

/* Keeps the packets of a capture's first IP flow, hidden as in training. */
static wlm_status keep_first_flow(run *r, wlm_capture *capture, wlmi_flow_table *table, wlmi_hider *hider,
                                  wlm_error *error)
{
    wlm_packet packet, hidden;
    wlm_status status;
    while ((status = wlm_capture_next(capture, &packet, error)) == WLM_OK) {
        wlmi_headers headers;
        wlmi_flow *flow;
        int backward;
        wlmi_decode(&packet, &headers);
        if (!headers.ip_version)
            continue;
        WLMI_TRY(wlmi_flow_of(table, &packet, &headers, &flow, &backward, error));
        if (flow->id != 1)
            continue;
        if (!r->beginning.count)
            wlmi_hider_start(hider, &flow->key, 0, packet.time_ns);
        WLMI_TRY(wlmi_hide_packet(hider, &packet, &hidden, error));
        WLMI_TRY(wlmi_packet_list_add(&r->beginning, &hidden, error));
    }
    return status == WLM_END ? WLM_OK : status;
}

static void ignore(void *owner, wlmi_flow *flow)
{
    (void)owner;
    (void)flow;
}

static wlm_status read_prefix(run *r, const char *path, wlm_error *error)
{
    const wlmi_record *record = &r->model->net->record;
    const wlmi_flow_options options = {0};
    wlm_capture *capture = NULL;
    wlmi_flow_table *table = NULL;
    wlmi_hider *hider = NULL;
    wlm_status status = wlm_capture_open(&capture, path, error);
    if (status == WLM_OK)
        status = wlmi_flow_table_new(&table, &options, ignore, NULL, error);
    if (status == WLM_OK)
        status = wlmi_hider_new(&hider, record->hide, wlmi_codec_cut(r->model->codec, wlmi_mix_longest(record)), error);
    if (status == WLM_OK)
        status = keep_first_flow(r, capture, table, hider, error);
    wlmi_hider_free(hider);
    wlmi_flow_table_free(table);
    wlm_capture_close(capture);
    if (status == WLM_OK && !r->beginning.count)
        status = wlmi_fail(error, WLM_ERR_FORMAT, path, WLM_NO_OFFSET, "no IP flow to begin with");
    return status;
}

/* The format that a name asks for: .pcapng, else pcap; a compressor's suffix does not count. */
static wlm_format format_of(const char *path)
{
    static const char *const packed[] = {".gz", ".zst"};
    static const char wanted[] = ".pcapng";
    size_t length = strlen(path), n = sizeof wanted - 1;
    for (size_t i = 0; i < 2; i++)
        if (length > strlen(packed[i]) && !strcmp(path + length - strlen(packed[i]), packed[i])) {
            length -= strlen(packed[i]);
            break;
        }
    return length >= n && !strncmp(path + length - n, wanted, n) ? WLM_FORMAT_PCAPNG : WLM_FORMAT_PCAP;
}

/* In unit capture all flows come as one stream. */
static uint64_t streams_of(const run *r)
{
    return r->model->net->record.unit == WLM_UNIT_CAPTURE ? 1 : r->options->flows;
}

static wlm_status prepare(run *r, wlm_error *error)
{
    const wlm_generate_options *o = r->options;
    wlm_writer_options writing = {.link_type = WLMI_LINK_ETHERNET, .nanosecond = 1};
    wlmi_flow_sampler_options sampling = {
        .sampling = {o->temperature, o->top_k, o->top_p}, .begin_anywhere = o->allow_cut, .flows = o->flows, .stop = o->stop,
        .max_tokens = o->max_tokens ? o->max_tokens : (uint32_t)r->model->net->config.context};
    if (!o->out)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no file to write was named");
    WLMI_TRY(wlmi_query_tokens(r->model, o->codec, o->unit, error));
    if (o->payload != WLM_PAYLOAD_INHERIT && o->payload != wlmi_mix_longest(&r->model->net->record))
        return wlmi_fail(error, WLM_ERR_REFUSED, r->model->path, WLM_NO_OFFSET,
                         "a model writes as much of each payload as it was trained with, no more and no less");
    WLMI_TRY(choose_label(r, error));
    WLMI_TRY(wlmi_address_plan_make(&r->plan, o->net, wlmi_mix(o->seed), error));
    if (o->prefix)
        WLMI_TRY(read_prefix(r, o->prefix, error));
    sampling.end_anywhere = o->allow_cut || only_knows_cuts(r);
    if (r->model->net->record.unit == WLM_UNIT_CAPTURE) /* captures begin and end in the middle of flows */
        sampling.begin_anywhere = sampling.end_anywhere = 1;
    sampling.task = r->task;
    sampling.label = r->label;
    sampling.beginning = &r->beginning;
    WLMI_TRY(wlmi_flow_lanes_new(&r->lanes, r->model, &sampling, o->seed, streams_of(r), error));
    writing.format = format_of(o->out);
    return wlm_writer_open(&r->writer, o->out, &writing, error);
}

/* ---------------------------------------------------------------- writing */

/* Places the sampled packets: their flows have the numbers from index on. */
static wlm_status place_packets(run *r, uint64_t index, wlm_error *error)
{
    uint16_t port = r->task < 0 ? 0 : r->model->net->task[r->task].port[r->label];
    int64_t before = 0, now = r->start_ns;
    wlmi_mended mended = {0, 0};
    if (!wlmi_grow(&r->place, &r->place_capacity, r->flow->flows, sizeof *r->place))
        return WLMI_NO_MEMORY(error);
    for (uint64_t i = 0; i < r->flow->flows; i++)
        wlmi_place_make(&r->place[i], &r->plan, index + i, port);
    for (size_t i = 0; i < r->flow->packets.count; i++) {
        wlm_packet sampled = wlmi_packet_list_at(&r->flow->packets, i), packet;
        int64_t wait = i && sampled.time_ns > before ? sampled.time_ns - before : 0;
        before = sampled.time_ns;
        now += wait < longest_wait_ns ? wait : longest_wait_ns;
        if (!wlmi_grow(&r->frame, &r->frame_capacity, (size_t)sampled.captured + WLMI_ETHERNET_HEADER, 1))
            return WLMI_NO_MEMORY(error);
        wlmi_place_packet(&r->place[r->flow->of[i]], &sampled, r->frame, &packet, &mended);
        packet.time_ns = now;
        WLMI_TRY(wlmi_timeline_add(&r->timeline, &packet, error));
    }
    r->report->packets += r->flow->packets.count;
    r->report->lengths_mended += mended.lengths;
    r->report->checksums_mended += mended.checksums;
    return WLM_OK;
}

static void show(const run *r)
{
    double elapsed = wlmi_clock() - r->clock_s, done = (double)r->report->flows;
    wlm_progress progress = {
        .what = "generate", .done = r->report->flows, .total = r->options->flows, .unit = "flows",
        .elapsed_s = elapsed, .remaining_s = elapsed / done * ((double)r->options->flows - done),
        .tokens_per_s = elapsed > 0 ? (double)r->report->tokens / elapsed : 0, .loss = NAN};
    if (r->options->progress)
        r->options->progress(r->options->user, &progress);
}

static wlm_status make_flows(run *r, wlm_error *error)
{
    const uint64_t streams = streams_of(r);
    wlmi_rng rng;
    wlmi_rng_seed(&rng, wlmi_mix2(r->options->seed, UINT64_MAX));
    r->start_ns = r->options->start_ns;
    for (uint64_t i = 0; i < streams; i++) {
        WLMI_TRY(wlmi_flow_lanes_next(r->lanes, &r->flow, error));
        WLMI_TRY(place_packets(r, i, error));
        r->report->flows += r->flow->flows;
        r->unsound += r->flow->unsound;
        r->report->tokens += r->flow->tokens;
        r->report->flows_cut += (uint64_t)r->flow->out_of_tokens;
        r->report->reencoded_differently += (uint64_t)r->flow->reencoded_differently;
        r->report->flows_resampled += r->flow->given_up;
        r->flawed += (uint64_t)r->flow->flawed;
        r->start_ns += (int64_t)(-mean_gap_ns * log(1 - wlmi_rng_uniform(&rng)));
        WLMI_TRY(wlmi_timeline_write(&r->timeline, r->start_ns, r->writer, error));
        show(r);
    }
    return WLM_OK;
}

static void write_note(const run *r)
{
    const wlmi_task *task = r->task < 0 ? NULL : &r->model->net->task[r->task];
    char *note = r->report->note;
    size_t size = sizeof r->report->note, at = 0;
    if (only_knows_cuts(r))
        at = (size_t)snprintf(note, size,
                              "all %llu training flows of '%.60s' broke off: new ones end where those were cut",
                              (unsigned long long)task->flows[r->label], task->label[r->label]);
    if (r->unsound)
        at = (size_t)snprintf(note, size, "%llu packets are unsound: no IP, or headers that contradict themselves",
                              (unsigned long long)r->unsound);
    if (r->flawed && at < size)
        snprintf(note + at, size - at, "%s%llu flows are unsound: none of %d tries gave %s", at ? "; " : "",
                 (unsigned long long)r->flawed, WLMI_FLOW_TRIES,
                 r->options->allow_cut ? "sound packets alone" : "sound packets alone that begin a connection");
}

static wlm_status finish(run *r, wlm_status status, wlm_error *error)
{
    if ((status == WLM_OK || status == WLM_STOPPED) && r->report->flows) {
        wlm_status written = wlmi_timeline_write(&r->timeline, INT64_MAX, r->writer, error);
        if (written == WLM_OK) {
            written = wlm_writer_finish(r->writer, error);
            r->writer = NULL;
        }
        status = written == WLM_OK ? status : written;
    }
    wlm_writer_discard(r->writer);
    wlmi_flow_lanes_free(r->lanes);
    wlmi_timeline_free(&r->timeline);
    wlmi_packet_list_free(&r->beginning);
    wlmi_free(r->place);
    wlmi_free(r->frame);
    return status;
}

wlm_status wlm_generate(wlm_model *model, const wlm_generate_options *options, wlm_generate_report *report,
                        wlm_error *error)
{
    wlm_generate_report own;
    run r = {.model = model, .options = options, .report = report ? report : &own, .clock_s = wlmi_clock()};
    wlm_status status;
    memset(r.report, 0, sizeof *r.report);
    status = options->flows ? prepare(&r, error)
                            : wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no flows are asked for");
    if (status == WLM_OK)
        status = make_flows(&r, error);
    if (status == WLM_OK || status == WLM_STOPPED)
        write_note(&r);
    r.report->seconds = wlmi_clock() - r.clock_s;
    return finish(&r, status, error);
}
