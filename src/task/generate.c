/* generate.c: new flows into captures. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "capture/address.h"
#include "task/beginning.h"
#include "task/flow_lanes.h"
#include "task/mix.h"
#include "task/ports.h"
#include "task/query.h"
#include "task/schedule.h"
#include "task/trace.h"

/* No packet waits longer than the flow table would. */
static const int64_t longest_wait_ns = INT64_C(120) * 1000000000;
static const int64_t default_start_ns = INT64_C(1767225600) * 1000000000; /* 2026-01-01T00:00:00Z */
enum { LONGEST_PACKET = UINT16_MAX };

typedef struct kind { /* of flows */
    int label;        /* -1: any */
    char *comment;    /* of its flows' first packets; NULL: none */
} kind;

typedef struct run {
    wlm_model *model;
    const wlm_generate_options *options;
    wlm_generate_report *report;
    int task;         /* -1: none */
    kind *kind;       /* [kinds]; flow i is of the schedule's i-th */
    size_t kinds;
    wlmi_schedule schedule;
    wlmi_flow_lanes *lanes;
    wlmi_packet_list beginning;
    wlmi_address_plan plan;
    wlmi_trace *trace;
    wlmi_packet_list placed; /* the current flow's */
    uint8_t *frame;          /* room for one packet, and for one with its payload filled up */
    size_t frame_capacity;
    uint8_t *filled;
    size_t filled_capacity;
    const wlmi_sampled_flow *flow;
    wlmi_place *place;       /* [flow.flows] */
    size_t place_capacity;
    wlmi_look *look;         /* [flow.flows] */
    size_t look_capacity;
    uint64_t flawed, unsound;
    int64_t start_ns;        /* of the trace */
    double clock_s;
} run;

wlm_generate_options wlm_generate_options_default(void)
{
    wlm_generate_options options = {
        .unit = WLM_UNIT_INHERIT, .payload = WLM_PAYLOAD_INHERIT, .seed = 1, .temperature = 1, .top_p = 1,
        .start_ns = default_start_ns};
    return options;
}

static int is_capture(const run *r)
{
    return r->model->net->record.unit == WLM_UNIT_CAPTURE;
}

static int is_lossy(const run *r)
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
    if (is_capture(r))
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
    return r->kind[wlmi_schedule_label(&r->schedule, flow)].label;
}

/* ---------------------------------------------------------------- preparing */

static wlm_status check_payload(const run *r, wlm_error *error)
{
    const wlm_generate_options *o = r->options;
    const uint32_t payload = wlmi_mix_longest(&r->model->net->record);
    if (o->payload != WLM_PAYLOAD_INHERIT && o->payload != payload)
        return wlmi_fail(error, WLM_ERR_REFUSED, r->model->path, WLM_NO_OFFSET,
                         "a model writes as much of each payload as it was trained with, no more and no less");
    if (is_lossy(r) && !o->random_payload)
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
    if (is_capture(r) && (o->rate > 0 || o->duration_s > 0))
        return wlmi_fail(error, WLM_ERR_REFUSED, r->model->path, WLM_NO_OFFSET,
                         "a model of unit capture says itself when flows begin: it takes no rate and no duration");
    if (wlmi_trace_span(r->trace, &first_ns, &last_ns)) {
        r->start_ns = first_ns;
        if (!is_capture(r) && wish.duration_s == 0 && !(wish.rate > 0 && (wish.flows || wish.label_count)))
            wish.duration_s = (double)(last_ns - first_ns) / 1e9;
    }
    return wlmi_schedule_make(&r->schedule, &wish, error);
}

static wlm_status make_lanes(run *r, wlm_error *error)
{
    const wlm_generate_options *o = r->options;
    wlmi_flow_sampler_options sampling = {
        .sampling = {o->temperature, o->top_k, o->top_p}, .task = r->task, .label_of = label_of, .from = r,
        .begin_anywhere = o->allow_cut || is_capture(r), .end_anywhere = o->allow_cut || is_capture(r),
        .max_tokens = o->max_tokens ? o->max_tokens : (uint32_t)r->model->net->config.context,
        .beginning = &r->beginning, .flows = r->schedule.flows, .stop = o->stop};
    return wlmi_flow_lanes_new(&r->lanes, r->model, &sampling, o->seed, is_capture(r) ? 1 : r->schedule.flows, error);
}

static wlm_status prepare(run *r, wlm_error *error)
{
    const wlm_generate_options *o = r->options;
    const wlmi_trace_options tracing = {o->out, o->per_flow, o->truth, o->merge};
    WLMI_TRY(wlmi_query_tokens(r->model, o->codec, o->unit, error));
    WLMI_TRY(check_payload(r, error));
    WLMI_TRY(choose_labels(r, error));
    WLMI_TRY(wlmi_address_plan_make(&r->plan, o->net, wlmi_mix(o->seed), error));
    if (o->prefix)
        WLMI_TRY(wlmi_beginning_read(&r->beginning, r->model, o->prefix, error));
    WLMI_TRY(wlmi_trace_open(&r->trace, &tracing, &r->plan, error));
    WLMI_TRY(make_schedule(r, error));
    return make_lanes(r, error);
}

/* ---------------------------------------------------------------- writing */

/* Fills up what a packet lacks of its payload with bytes drawn from the seed. */
static wlm_status fill(run *r, wlm_packet *packet, wlmi_rng *rng, wlm_error *error)
{
    uint32_t whole = packet->wire < LONGEST_PACKET ? packet->wire : LONGEST_PACKET;
    if (packet->captured >= whole)
        return WLM_OK;
    if (!wlmi_grow(&r->filled, &r->filled_capacity, whole, 1))
        return WLMI_NO_MEMORY(error);
    memcpy(r->filled, packet->data, packet->captured);
    for (uint32_t i = packet->captured; i < whole; i++)
        r->filled[i] = (uint8_t)wlmi_rng_next(rng);
    packet->data = r->filled;
    packet->captured = packet->wire = whole;
    return WLM_OK;
}

/* Puts a sampled packet into its flow's place; its checksums are nobody's fault where its payload was filled up. */
static wlm_status place_packet(run *r, size_t i, int64_t time_ns, const char *comment, wlmi_rng *rng,
                               wlmi_mended *mended, wlm_error *error)
{
    wlm_packet sampled = wlmi_packet_list_at(&r->flow->packets, i), packet;
    const uint64_t checksums = mended->checksums;
    const uint32_t captured = sampled.captured;
    if (is_lossy(r))
        WLMI_TRY(fill(r, &sampled, rng, error));
    if (!wlmi_grow(&r->frame, &r->frame_capacity, (size_t)sampled.captured + WLMI_ETHERNET_HEADER, 1))
        return WLMI_NO_MEMORY(error);
    wlmi_place_packet(&r->place[r->flow->of[i]], &sampled, r->frame, &packet, mended);
    if (sampled.captured != captured)
        mended->checksums = checksums;
    packet.time_ns = time_ns;
    packet.comment = comment;
    return wlmi_packet_list_add(&r->placed, &packet, error);
}

/* Gives each of the flows from index on a place, with ports that fit what it is. */
static wlm_status make_places(run *r, const wlmi_task *task, int label, uint64_t index, wlm_error *error)
{
    const wlmi_ports *ports = task && task->ports[label].rows ? &task->ports[label] : NULL;
    const wlmi_packet_list *packets = &r->flow->packets;
    if (!wlmi_grow(&r->place, &r->place_capacity, r->flow->flows, sizeof *r->place) ||
        !wlmi_grow(&r->look, &r->look_capacity, r->flow->flows, sizeof *r->look))
        return WLMI_NO_MEMORY(error);
    memset(r->look, 0, r->flow->flows * sizeof *r->look);
    for (size_t i = 0; i < packets->count; i++) {
        wlm_packet packet = wlmi_packet_list_at(packets, i);
        wlmi_look *look = &r->look[r->flow->of[i]];
        if (look->first == WLMI_FIRST_NONE)
            wlmi_look_at(look, &packet);
    }
    for (uint64_t i = 0; i < r->flow->flows; i++) {
        uint16_t client, server;
        wlmi_rng rng;
        wlmi_rng_seed(&rng, wlmi_mix2(wlmi_mix(~r->options->seed), index + i));
        wlmi_ports_draw(ports, &r->look[i], &rng, &client, &server);
        if (task && !ports) /* a checkpoint from before ports were counted by protocol */
            server = task->port[label];
        wlmi_place_make(&r->place[i], &r->plan, index + i, server);
        r->place[i].client_port =
            client ? client : wlmi_ports_client(ports, r->look[i].proto, r->place[i].client_port, &rng);
    }
    return WLM_OK;
}

/* Places the sampled packets: their flows have the numbers from index on, and begin at start_ns. */
static wlm_status place_packets(run *r, uint64_t index, int64_t start_ns, wlm_error *error)
{
    const kind *k = &r->kind[wlmi_schedule_label(&r->schedule, index)];
    const wlmi_task *task = r->task < 0 ? NULL : &r->model->net->task[r->task];
    const wlmi_packet_list *packets = &r->flow->packets;
    int64_t before = 0, now = start_ns;
    wlmi_mended mended = {0, 0};
    wlmi_rng rng;
    wlmi_rng_seed(&rng, wlmi_mix2(~r->options->seed, index));
    WLMI_TRY(make_places(r, task, k->label, index, error));
    wlmi_packet_list_cut(&r->placed, 0);
    for (size_t i = 0; i < packets->count; i++) {
        int64_t wait = i && packets->packet[i].time_ns > before ? packets->packet[i].time_ns - before : 0;
        before = packets->packet[i].time_ns;
        now += wait < longest_wait_ns ? wait : longest_wait_ns;
        WLMI_TRY(place_packet(r, i, now, i ? NULL : k->comment, &rng, &mended, error));
    }
    r->report->packets += packets->count;
    r->report->lengths_mended += mended.lengths;
    r->report->checksums_mended += mended.checksums;
    return wlmi_trace_add(r->trace, &(wlmi_traced){&r->placed, r->flow->of, r->flow->flows, index,
                                                   task ? task->label[k->label] : NULL}, error);
}

static void show(const run *r)
{
    double elapsed = wlmi_clock() - r->clock_s, done = (double)r->report->flows, total = (double)r->schedule.flows;
    wlm_progress progress = {
        .what = "generate", .done = r->report->flows, .total = r->schedule.flows, .unit = "flows",
        .elapsed_s = elapsed, .remaining_s = elapsed / done * (total - done),
        .tokens_per_s = elapsed > 0 ? (double)r->report->tokens / elapsed : 0, .loss = NAN};
    if (r->options->progress)
        r->options->progress(r->options->user, &progress);
}

static void count(run *r)
{
    r->report->flows += r->flow->flows;
    r->unsound += r->flow->unsound;
    r->report->tokens += r->flow->tokens;
    r->report->flows_cut += (uint64_t)r->flow->out_of_tokens;
    r->report->reencoded_differently += (uint64_t)r->flow->reencoded_differently;
    r->report->flows_resampled += r->flow->given_up;
    r->flawed += (uint64_t)r->flow->flawed;
}

static wlm_status make_flows(run *r, wlm_error *error)
{
    const uint64_t streams = is_capture(r) ? 1 : r->schedule.flows;
    for (uint64_t i = 0; i < streams; i++) {
        int64_t start_ns = r->start_ns + (is_capture(r) ? 0 : wlmi_schedule_next(&r->schedule));
        WLMI_TRY(wlmi_flow_lanes_next(r->lanes, &r->flow, error));
        WLMI_TRY(wlmi_trace_write(r->trace, start_ns, error));
        WLMI_TRY(place_packets(r, i, start_ns, error));
        count(r);
        show(r);
    }
    return WLM_OK;
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
    if (is_lossy(r) && at < size)
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
    for (size_t i = 0; r->kind && i < r->kinds; i++)
        wlmi_free(r->kind[i].comment);
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
        status = make_flows(&r, error);
    if (status == WLM_OK || status == WLM_STOPPED)
        write_note(&r);
    r.report->seconds = wlmi_clock() - r.clock_s;
    return finish(&r, status, error);
}
