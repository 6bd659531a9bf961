/* bench_classify.c: wlm_bench_classify: captured packets in, labels out: how many flows a second, how soon a label is
 * there, and how much memory open flows take. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/rng.h"
#include "task/bench.h"
#include "task/bench_flows.h"
#include "task/labeller.h"
#include "task/query.h"
#include "tensor/meter.h"

enum {
    BATCH_ROWS = 4096,  /* of the throughput pass */
    PIECE_ROWS = 128,   /* fed in an idle moment: what a packet may have to wait for */
    PROBE_FLOWS = 32,
    LABELS = 10,
    FLOWS_LEAST = 32, FLOWS_MOST = 20000, PACKETS_MOST = 1 << 16
};

static const char default_preset[] = "wire-tiny";
static const double mean_gap_s = 0.02;

typedef struct arrival {
    double time_s;
    uint32_t flow, packet;
} arrival;

typedef struct bench {
    const wlm_bench_classify_options *options;
    wlm_model *model;
    wlmi_view view;
    int task;
    wlmi_bench_flows flows;
    wlmi_packet_list placed;   /* in the order of arrivals */
    arrival *arrival;          /* [placed.count] */
    size_t arrival_capacity;
    wlmi_meter meter;
    /* The pass at hand: */
    uint64_t answered, tokens;
    const double *due_s;       /* [flows]: when the packet that completes a flow's evidence is due; NULL: not asked */
    double *latency_s;         /* [flows] */
} bench;

wlm_bench_classify_options wlm_bench_classify_options_default(void)
{
    wlm_bench_classify_options options = {.packets = 16, .payload = 64, .open_flows = 100000, .seconds = 20,
                                          .runs = WLM_BENCH_RUNS, .seed = 1};
    return options;
}

/* ---------------------------------------------------------------- what is measured */

static wlm_status make_model(bench *b, wlm_error *error)
{
    const wlm_bench_classify_options *o = b->options;
    const wlmi_backend *backend = wlmi_backend_find(NULL);
    char name[LABELS][16];
    const char *labels[LABELS];
    if (o->model)
        return wlm_model_load(&b->model, o->model, o->threads, error);
    b->model = wlmi_alloc_zero(1, sizeof *b->model);
    if (!b->model)
        return WLMI_NO_MEMORY(error);
    backend->set_threads(o->threads);
    b->model->codec = wlmi_codec_find(NULL);
    for (int i = 0; i < LABELS; i++) {
        snprintf(name[i], sizeof name[i], "label %d", i);
        labels[i] = name[i];
    }
    WLMI_TRY(wlmi_handle_new_net(&b->model->net, o->preset ? o->preset : default_preset, (wlmi_embeddings){0},
                                 b->model->codec, backend, o->seed, error));
    return wlmi_net_add_task(b->model->net, "bench", labels, LABELS, o->seed, error);
}

static wlm_status prepare(bench *b, wlm_error *error)
{
    const wlm_bench_classify_options *o = b->options;
    wlmi_wish wish;
    WLMI_TRY(wlmi_bench_check_runs(o->runs, error));
    if (o->packets < 1 || o->packets > PACKETS_MOST)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "packets must be from 1 to %d", PACKETS_MOST);
    if (!(o->seconds > 0 && o->seconds <= 3600))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "seconds must lie above 0 and at most at 3600");
    WLMI_TRY(make_model(b, error));
    WLMI_TRY(wlmi_query_task(b->model, NULL, &b->task, error));
    wish = (wlmi_wish){.hide = b->model->net->record.hide, .unit = b->model->net->record.unit, .payload = o->payload,
                       .max_packets = o->packets, .force = 1};
    WLMI_TRY(wlmi_query_view(b->model, &wish, &b->view, error));
    return o->path ? wlmi_bench_flows_read(&b->flows, o->path, o->packets, error)
                   : wlmi_bench_flows_draw(&b->flows, o->seed, o->packets, error);
}

static void answered(void *owner, const wlmi_flow *flow, const wlmi_shown *shown, const wlmi_answer *answer)
{
    bench *b = owner;
    (void)answer;
    b->answered++;
    b->tokens += shown->tokens;
    if (b->due_s)
        b->latency_s[flow->id - 1] = wlmi_clock() - b->due_s[flow->id - 1];
}

static wlm_status make_labeller(bench *b, int ahead, wlmi_labeller **labeller, wlm_error *error)
{
    const wlmi_labeller_options options = {
        .queue = {.task = &b->task, .tasks = 1, .rows = BATCH_ROWS, .state_bytes = (size_t)1 << 30,
                  .answered = answered, .owner = b},
        .early = 1, .ahead = ahead};
    b->answered = b->tokens = 0;
    return wlmi_labeller_new(labeller, b->model, &b->view, &options, error);
}

/* ---------------------------------------------------------------- arrivals */

static double exponential(wlmi_rng *rng, double mean)
{
    return -mean * log(1 - wlmi_rng_uniform(rng));
}

static int by_time(const void *a, const void *b)
{
    const arrival *x = a, *y = b;
    if (x->time_s != y->time_s)
        return x->time_s < y->time_s ? -1 : 1;
    if (x->flow != y->flow)
        return x->flow < y->flow ? -1 : 1;
    return x->packet < y->packet ? -1 : x->packet > y->packet;
}

/* Flows begin as a Poisson stream of this rate; the gaps between a flow's packets are exponential too. */
static wlm_status lay_out(bench *b, size_t flows, double rate, wlm_error *error)
{
    const uint32_t packets = b->flows.packets;
    wlmi_rng rng;
    double start_s = 0;
    wlmi_rng_seed(&rng, b->options->seed);
    if (!wlmi_grow(&b->arrival, &b->arrival_capacity, flows * packets, sizeof *b->arrival))
        return WLMI_NO_MEMORY(error);
    for (size_t f = 0; f < flows; f++) {
        double time_s = start_s += exponential(&rng, 1 / rate);
        for (uint32_t j = 0; j < packets; j++) {
            b->arrival[f * packets + j] = (arrival){time_s, (uint32_t)f, j};
            time_s += exponential(&rng, mean_gap_s);
        }
    }
    qsort(b->arrival, flows * packets, sizeof *b->arrival, by_time);
    wlmi_packet_list_cut(&b->placed, 0);
    for (size_t i = 0; i < flows * packets; i++) {
        wlm_packet packet;
        WLMI_TRY(wlmi_bench_flows_packet(&b->flows, b->arrival[i].flow, b->arrival[i].packet, &packet, error));
        packet.time_ns = (int64_t)(1e9 * b->arrival[i].time_s);
        packet.number = i + 1;
        WLMI_TRY(wlmi_packet_list_add(&b->placed, &packet, error));
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- passes */

static int stopped(const bench *b)
{
    return b->options->stop && *b->options->stop;
}

/* As fast as it goes. */
static wlm_status pass(bench *b, double *seconds, wlm_error *error)
{
    wlmi_labeller *labeller;
    double start_s = wlmi_clock();
    wlm_status status;
    int used;
    WLMI_TRY(make_labeller(b, 0, &labeller, error));
    status = WLM_OK;
    for (size_t i = 0; status == WLM_OK && i < b->placed.count; i++) {
        const wlm_packet packet = wlmi_packet_list_at(&b->placed, i);
        status = stopped(b) ? WLM_STOPPED : wlmi_labeller_packet(labeller, &packet, &used, error);
    }
    if (status == WLM_OK)
        status = wlmi_labeller_finish(labeller, error);
    *seconds = wlmi_clock() - start_s;
    wlmi_labeller_free(labeller);
    return status;
}

static void wait_until(double time_s)
{
    const double left_s = time_s - wlmi_clock();
    if (left_s > 0) {
        const struct timespec t = {(time_t)left_s, (long)(1e9 * (left_s - floor(left_s)))};
        nanosleep(&t, NULL);
    }
}

/* In real time: a packet is there when it is due and not before; what is due is taken first, then questions are
 * answered, then flows are fed ahead. */
static wlm_status live_pass(bench *b, wlmi_labeller *labeller, double start_s, wlm_error *error)
{
    size_t next = 0;
    int used, idle;
    while (next < b->placed.count) {
        if (stopped(b))
            return WLM_STOPPED;
        while (next < b->placed.count && start_s + b->arrival[next].time_s <= wlmi_clock()) {
            const wlm_packet packet = wlmi_packet_list_at(&b->placed, next++);
            WLMI_TRY(wlmi_labeller_packet(labeller, &packet, &used, error));
        }
        WLMI_TRY(wlmi_labeller_idle(labeller, PIECE_ROWS, &idle, error));
        if (idle && next < b->placed.count)
            wait_until(start_s + b->arrival[next].time_s);
    }
    return wlmi_labeller_finish(labeller, error);
}

static wlm_status measure_latency(bench *b, double rate, double quantile[2], wlm_error *error)
{
    const uint32_t packets = b->flows.packets;
    const size_t flows = (size_t)fmin(fmax(b->options->seconds * rate, FLOWS_LEAST), FLOWS_MOST);
    wlmi_labeller *labeller = NULL;
    double *due_s = NULL, start_s;
    size_t room = 0, latency_room = 0;
    wlm_status status = lay_out(b, flows, rate, error);
    if (status == WLM_OK && (!wlmi_grow(&due_s, &room, flows, sizeof *due_s) ||
                             !wlmi_grow(&b->latency_s, &latency_room, flows, sizeof *b->latency_s)))
        status = WLMI_NO_MEMORY(error);
    if (status == WLM_OK)
        status = make_labeller(b, 1, &labeller, error);
    if (status == WLM_OK) {
        start_s = wlmi_clock() + 0.01;
        for (size_t i = 0; i < b->placed.count; i++)
            if (b->arrival[i].packet + 1 == packets)
                due_s[b->arrival[i].flow] = start_s + b->arrival[i].time_s;
        b->due_s = due_s;
        status = live_pass(b, labeller, start_s, error);
        b->due_s = NULL;
    }
    wlmi_labeller_free(labeller);
    if (status == WLM_OK) {
        wlmi_median(b->latency_s, flows); /* sorts */
        quantile[0] = b->latency_s[flows / 2];
        quantile[1] = b->latency_s[(size_t)ceil(0.99 * (double)flows) - 1];
    }
    wlmi_free(due_s);
    return status;
}

/* So many flows, each but one packet short of its evidence. */
static wlm_status open_flows(bench *b, uint64_t *bytes, wlm_error *error)
{
    wlmi_labeller *labeller;
    wlm_status status;
    int64_t now_ns = 0;
    int used;
    WLMI_TRY(make_labeller(b, 0, &labeller, error));
    status = WLM_OK;
    for (uint32_t j = 0; j + 1 < b->flows.packets; j++)
        for (uint32_t f = 0; status == WLM_OK && f < b->options->open_flows; f++) {
            wlm_packet packet;
            status = stopped(b) ? WLM_STOPPED : wlmi_bench_flows_packet(&b->flows, f, j, &packet, error);
            packet.time_ns = now_ns += 1000;
            if (status == WLM_OK)
                status = wlmi_labeller_packet(labeller, &packet, &used, error);
        }
    *bytes = wlmi_peak_bytes();
    wlmi_labeller_free(labeller);
    return status;
}

/* ---------------------------------------------------------------- the whole */

typedef struct figures {
    double *seconds;   /* [runs] */
    double processor_s;/* of all runs */
    size_t flows;      /* of a run */
    double tokens;     /* of a flow */
    double flops, products_s, metered_s; /* of the products of a run; time in them, and of that run */
    double rate, quantile[2];
    uint64_t bytes;
} figures;

/* One more run under a meter. */
static wlm_status meter_products(bench *b, figures *f, wlm_error *error)
{
    const wlmi_backend *plain = b->model->net->backend, *metered;
    wlm_status status;
    WLMI_TRY(wlmi_meter_start(&b->meter, plain, &metered, error));
    b->model->net->backend = metered;
    status = pass(b, &f->metered_s, error);
    b->model->net->backend = plain;
    wlmi_meter_stop();
    for (int i = 0; i < b->meter.count; i++) {
        f->flops += wlmi_product_flops(&b->meter.product[i]) * (double)b->meter.product[i].calls;
        f->products_s += b->meter.product[i].seconds;
    }
    return status;
}

static wlm_status measure(bench *b, figures *f, wlm_error *error)
{
    const wlm_bench_classify_options *o = b->options;
    double start_s = wlmi_clock(), probe_s;
    WLMI_TRY(lay_out(b, PROBE_FLOWS, 1000, error));
    for (int i = 0; i < 2; i++) /* once for memory and oneDNN's compiler */
        WLMI_TRY(pass(b, &probe_s, error));
    f->flows = (size_t)fmin(fmax(o->seconds / 5 * PROBE_FLOWS / probe_s, PROBE_FLOWS), FLOWS_MOST);
    WLMI_TRY(lay_out(b, f->flows, 1000, error));
    f->processor_s = -wlmi_processor_clock();
    for (uint32_t i = 0; i < o->runs; i++) {
        WLMI_TRY(pass(b, &f->seconds[i], error));
        wlmi_bench_show(o->progress, o->user, i + 1, o->runs + 6, start_s);
    }
    f->processor_s += wlmi_processor_clock();
    f->tokens = (double)b->tokens / (double)f->flows;
    WLMI_TRY(meter_products(b, f, error));
    f->rate = (double)f->flows / wlmi_median(f->seconds, o->runs) / 2;
    WLMI_TRY(measure_latency(b, f->rate, f->quantile, error));
    wlmi_bench_show(o->progress, o->user, o->runs + 5, o->runs + 6, start_s);
    return o->open_flows ? open_flows(b, &f->bytes, error) : WLM_OK;
}

static json_t *figures_json(const bench *b, const figures *f)
{
    const wlm_bench_classify_options *o = b->options;
    const wlmi_net *net = b->model->net;
    const double flows = (double)f->flows;
    json_t *root = json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:f,s:f,s:o}", "bench", "classify", "preset", net->config.preset, "weights",
        o->model ? b->model->id : "random", "traffic", o->path ? o->path : "drawn", "backend", net->backend->describe(),
        "packets_per_flow", (int)o->packets, "payload", (int)o->payload, "tokens_per_flow", f->tokens, "flows_per_s",
        flows / wlmi_median(f->seconds, o->runs), "flows_per_s_runs", wlmi_rate_json(flows, f->seconds, o->runs));
    json_t *rest = json_pack(
        "{s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:s}", "processor_ms_per_flow",
        1e3 * f->processor_s / (flows * o->runs), "product_flops_per_flow", f->flops / flows, "product_flops_per_s",
        f->flops / f->products_s, "product_share", f->products_s / f->metered_s, "flows_per_s_products_alone",
        flows / f->products_s, "load_flows_per_s", f->rate, "p50_ms", 1e3 * f->quantile[0], "p99_ms",
        1e3 * f->quantile[1], "arrivals", "flows Poisson; gaps in a flow exponential, mean 20 ms");
    if (root && rest)
        json_object_update(root, rest);
    json_decref(rest);
    if (root && o->open_flows) {
        json_object_set_new(root, "open_flows", json_integer((json_int_t)o->open_flows));
        json_object_set_new(root, o->open_flows == 100000 ? "rss_bytes_100k" : "rss_bytes",
                            json_integer((json_int_t)f->bytes));
    }
    return root;
}

wlm_status wlm_bench_classify(const wlm_bench_classify_options *options, char **json, wlm_error *error)
{
    bench b = {.options = options};
    figures f = {.seconds = NULL};
    size_t room = 0;
    wlm_status status = prepare(&b, error);
    *json = NULL;
    if (status == WLM_OK && !wlmi_grow(&f.seconds, &room, options->runs, sizeof *f.seconds))
        status = WLMI_NO_MEMORY(error);
    if (status == WLM_OK)
        status = measure(&b, &f, error);
    if (status == WLM_OK)
        status = wlmi_bench_text(figures_json(&b, &f), json, error);
    wlmi_free(f.seconds);
    wlmi_free(b.arrival);
    wlmi_free(b.latency_s);
    wlmi_packet_list_free(&b.placed);
    wlmi_bench_flows_free(&b.flows);
    wlm_model_free(b.model);
    return status;
}
