/* bench_stream.c: wlm_bench_stream: many flows classified as they grow, all of them stepped together. */
#include "base/alloc.h"
#include "base/io.h"
#include "task/bench.h"
#include "task/bench_streams.h"

enum { STEPS = 16, MOST_STREAMS = 1 << 16, MOST_ROWS = 1 << 24, DEFAULT_STREAMS = 256, DEFAULT_BEFORE = 256 };

typedef struct measurement {
    wlmi_bench_model model;
    wlmi_bench_streams streams;
    int before;      /* tokens that each stream holds when a clock first runs */
    int chunk;       /* tokens that each takes in a step */
    double *seconds; /* [runs]: of STEPS steps */
    double *cpu_s;   /* [runs]: processor time of these */
    double *inside;  /* [runs]: share of that time in matrix products */
} measurement;

static wlm_status step(measurement *m, double *seconds, wlm_error *error)
{
    return m->model.options->ask ? wlmi_bench_streams_ask(&m->streams, m->chunk, seconds, error)
                                 : wlmi_bench_streams_feed(&m->streams, m->chunk, seconds, error);
}

static wlm_status measure(measurement *m, wlm_error *error)
{
    const wlm_bench_model_options *o = m->model.options;
    double start_s = wlmi_clock(), unused = 0;
    WLMI_TRY(wlmi_bench_streams_feed(&m->streams, m->before, &unused, error));
    WLMI_TRY(step(m, &unused, error));
    for (uint32_t run = 0; run < o->runs; run++) {
        WLMI_TRY(wlmi_bench_model_stopped(&m->model));
        double cpu_s = wlmi_bench_cpu_clock();
        m->model.meter.count = 0;
        for (int i = 0; i < STEPS; i++)
            WLMI_TRY(step(m, &m->seconds[run], error));
        m->cpu_s[run] = wlmi_bench_cpu_clock() - cpu_s;
        m->inside[run] = wlmi_meter_seconds(&m->model.meter) / m->seconds[run];
        wlmi_bench_show(o->progress, o->user, run + 1, o->runs, start_s);
    }
    return WLM_OK;
}

static wlm_status report(measurement *m, char **json, wlm_error *error)
{
    size_t runs = m->model.options->runs, bytes = wlmi_stream_bytes(&m->streams.stream[0], m->model.net);
    double chunks = (double)m->streams.count * STEPS;
    json_t *figures = json_pack("{s:i,s:i,s:i,s:b,s:I,s:o,s:o,s:o,s:o,s:f}", "streams", m->streams.count,
                                "tokens_before", m->before, "chunk", m->chunk, "ask", m->model.options->ask,
                                "state_bytes", (json_int_t)bytes, "tokens_per_s",
                                wlmi_rate_json(chunks * m->chunk, m->seconds, runs), "chunks_per_s",
                                wlmi_rate_json(chunks, m->seconds, runs), "run_s",
                                wlmi_spread_json(m->seconds, runs), "run_cpu_s",
                                wlmi_spread_json(m->cpu_s, runs), "product_time_share", wlmi_median(m->inside, runs));
    return wlmi_bench_report(&m->model, "stream", figures, json, error);
}

static wlm_status run(measurement *m, const wlm_bench_model_options *options, char **json, wlm_error *error)
{
    uint32_t count = options->streams ? options->streams : DEFAULT_STREAMS;
    if (count > MOST_STREAMS)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "at most %d streams", MOST_STREAMS);
    m->chunk = options->chunk ? (int)options->chunk : 1;
    if (options->chunk > MOST_ROWS / count)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "%u streams take at most %u tokens at once", count,
                         MOST_ROWS / count);
    WLMI_TRY(wlmi_bench_model_open(&m->model, options, error));
    m->before = options->context ? m->model.context : DEFAULT_BEFORE;
    m->seconds = wlmi_alloc_zero(options->runs, sizeof *m->seconds);
    m->inside = wlmi_alloc_zero(options->runs, sizeof *m->inside);
    m->cpu_s = wlmi_alloc_zero(options->runs, sizeof *m->cpu_s);
    if (!m->seconds || !m->inside || !m->cpu_s)
        return WLMI_NO_MEMORY(error);
    WLMI_TRY(wlmi_bench_streams_new(&m->streams, &m->model, (int)count, error));
    if (options->dump)
        WLMI_TRY(wlmi_bench_model_dump(&m->model, m->before, (int)count, 1, error));
    WLMI_TRY(measure(m, error));
    return report(m, json, error);
}

wlm_status wlm_bench_stream(const wlm_bench_model_options *options, char **json, wlm_error *error)
{
    measurement m = {.before = 0};
    wlm_status status;
    *json = NULL;
    status = run(&m, options, json, error);
    wlmi_bench_streams_free(&m.streams);
    wlmi_bench_model_close(&m.model);
    wlmi_free(m.seconds);
    wlmi_free(m.inside);
    wlmi_free(m.cpu_s);
    return status;
}
