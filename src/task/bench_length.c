/* bench_length.c: wlm_bench_length: what a token costs in a long sequence, against a short one. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/io.h"
#include "model/workspace.h"
#include "task/bench.h"
#include "task/bench_streams.h"

enum { SHORT, LONG, LENGTHS };
enum { DEFAULT_SHORT = 2048, DEFAULT_LONG = 65536, MEMORY_LENGTHS = 4 };
/* Tokens one by one, and after how many of them a ratio is taken: the median of many stands noise. */
enum { STEPS = 512, TURN = 32 };

typedef struct measurement {
    wlm_bench_model_options options; /* context: the longer one */
    wlmi_bench_model model;
    wlmi_bench_streams streams[LENGTHS]; /* one stream each, that far along */
    int length[LENGTHS];
    double *train_s[LENGTHS], *chunk_s[LENGTHS], *step_s[LENGTHS]; /* [runs] */
    double *train, *chunk, *step;                                  /* [runs]: long over short */
    uint64_t batch;
} measurement;

/* As many tokens whatever the length. */
static wlm_status train_step(measurement *m, int which, double *seconds, wlm_error *error)
{
    WLMI_TRY(wlmi_bench_model_stopped(&m->model));
    WLMI_TRY(wlmi_bench_model_batch(&m->model, m->length[which], m->length[LONG] / m->length[which], m->batch++,
                                    error));
    return wlmi_bench_model_step(&m->model, seconds, NULL, error);
}

static wlm_status allocate(measurement *m, wlm_error *error)
{
    double **const all[] = {&m->train_s[SHORT], &m->train_s[LONG], &m->chunk_s[SHORT], &m->chunk_s[LONG],
                            &m->step_s[SHORT], &m->step_s[LONG], &m->train, &m->chunk, &m->step};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        *all[i] = wlmi_alloc_zero(m->options.runs, sizeof(double));
        if (!*all[i])
            return WLMI_NO_MEMORY(error);
    }
    return WLM_OK;
}

/* Streams that have seen `length` tokens, in pieces of the shorter length. */
static wlm_status feed_streams(measurement *m, wlm_error *error)
{
    for (int which = 0; which < LENGTHS; which++) {
        double unused = 0;
        WLMI_TRY(wlmi_bench_streams_new(&m->streams[which], &m->model, 1, error));
        for (int at = 0; at < m->length[which]; at += m->length[SHORT]) {
            WLMI_TRY(wlmi_bench_model_stopped(&m->model));
            WLMI_TRY(wlmi_bench_streams_feed(&m->streams[which], m->length[SHORT], &unused, error));
        }
    }
    return WLM_OK;
}

/* Tokens one by one, by turns of the short stream and of the long one, a few turns to a ratio. The run's ratio is
 * the median of these. */
static wlm_status step_in_turn(measurement *m, uint32_t run, wlm_error *error)
{
    double ratio[STEPS / TURN];
    for (int turn = 0; turn < STEPS / TURN; turn++) {
        double seconds[LENGTHS] = {0};
        WLMI_TRY(wlmi_bench_model_stopped(&m->model));
        for (int i = 0; i < LENGTHS * TURN; i++)
            WLMI_TRY(wlmi_bench_streams_feed(&m->streams[i % LENGTHS], 1, &seconds[i % LENGTHS], error));
        for (int which = 0; which < LENGTHS; which++)
            m->step_s[which][run] += seconds[which];
        ratio[turn] = seconds[LONG] / seconds[SHORT];
    }
    m->step[run] = wlmi_median(ratio, STEPS / TURN);
    return WLM_OK;
}

/* Long and short take turns. */
static wlm_status measure(measurement *m, wlm_error *error)
{
    const wlm_bench_model_options *o = &m->options;
    double start_s = wlmi_clock(), unused;
    for (int which = 0; which < LENGTHS; which++)
        WLMI_TRY(train_step(m, which, &unused, error));
    for (uint32_t run = 0; run < o->runs; run++) {
        for (int which = 0; which < LENGTHS; which++) {
            WLMI_TRY(train_step(m, which, &m->train_s[which][run], error));
            WLMI_TRY(wlmi_bench_streams_feed(&m->streams[which], m->length[SHORT], &m->chunk_s[which][run], error));
        }
        WLMI_TRY(step_in_turn(m, run, error));
        m->train[run] = m->train_s[LONG][run] / m->train_s[SHORT][run];
        m->chunk[run] = m->chunk_s[LONG][run] / m->chunk_s[SHORT][run];
        wlmi_bench_show(o->progress, o->user, run + 1, o->runs, start_s);
    }
    return WLM_OK;
}

/* Of one segment of each length, all of it scored: the longest, and its half, quarter and eighth. */
static json_t *memory_json(const measurement *m)
{
    json_t *list = json_array();
    for (int i = MEMORY_LENGTHS - 1; i >= 0; i--) {
        int tokens = m->length[LONG] >> i;
        size_t bytes = wlmi_workspace_bytes(m->model.net, tokens, 1, tokens);
        json_array_append_new(list, json_pack("{s:i,s:I,s:f}", "context", tokens, "activation_bytes",
                                              (json_int_t)bytes, "bytes_per_token", (double)bytes / tokens));
    }
    return list;
}

/* Activations of one segment of the longer length when backward makes them anew, over those when all are kept. */
static double recompute_share(const measurement *m)
{
    wlmi_net *net = m->model.net;
    const int as_asked = net->recompute, tokens = m->length[LONG];
    size_t bytes[2];
    for (int i = 0; i < 2; i++) {
        net->recompute = i;
        bytes[i] = wlmi_workspace_bytes(net, tokens, 1, tokens);
    }
    net->recompute = as_asked;
    return (double)bytes[1] / (double)bytes[0];
}

static wlm_status report(measurement *m, char **json, wlm_error *error)
{
    size_t runs = m->options.runs;
    double tokens = m->length[LONG], piece = m->length[SHORT], chunk = wlmi_median(m->chunk, runs);
    double step = wlmi_median(m->step, runs);
    char train_key[64], infer_key[64];
    json_t *figures;
    snprintf(train_key, sizeof train_key, "train_%d_over_%d", m->length[LONG], m->length[SHORT]);
    snprintf(infer_key, sizeof infer_key, "infer_%d_over_%d", m->length[LONG], m->length[SHORT]);
    figures = json_pack(
        "{s:i,s:f,s:f,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:f}", "tokens_per_step", m->length[LONG], train_key,
        wlmi_median(m->train, runs), infer_key, chunk > step ? chunk : step, "train_ratio",
        wlmi_spread_json(m->train, runs), "chunk_ratio", wlmi_spread_json(m->chunk, runs), "step_ratio",
        wlmi_spread_json(m->step, runs), "train_tokens_per_s_short", wlmi_rate_json(tokens, m->train_s[SHORT], runs),
        "train_tokens_per_s_long", wlmi_rate_json(tokens, m->train_s[LONG], runs), "chunk_tokens_per_s_short",
        wlmi_rate_json(piece, m->chunk_s[SHORT], runs), "chunk_tokens_per_s_long",
        wlmi_rate_json(piece, m->chunk_s[LONG], runs), "step_tokens_per_s_short",
        wlmi_rate_json(STEPS, m->step_s[SHORT], runs), "step_tokens_per_s_long",
        wlmi_rate_json(STEPS, m->step_s[LONG], runs), "memory", memory_json(m),
        "recompute_memory_over_plain", recompute_share(m));
    return wlmi_bench_report(&m->model, "length", figures, json, error);
}

static wlm_status run(measurement *m, char **json, wlm_error *error)
{
    m->length[LONG] = (int)m->options.context;
    m->length[SHORT] = m->options.short_context ? (int)m->options.short_context : DEFAULT_SHORT;
    if (m->length[SHORT] < 1 || m->length[LONG] < 8 || m->length[LONG] % m->length[SHORT])
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "%d tokens are not a multiple of %d", m->length[LONG], m->length[SHORT]);
    WLMI_TRY(wlmi_bench_model_open(&m->model, &m->options, error));
    WLMI_TRY(allocate(m, error));
    WLMI_TRY(wlmi_bench_model_train(&m->model, error));
    WLMI_TRY(feed_streams(m, error));
    WLMI_TRY(measure(m, error));
    return report(m, json, error);
}

wlm_status wlm_bench_length(const wlm_bench_model_options *options, char **json, wlm_error *error)
{
    measurement m = {.options = *options};
    wlm_status status;
    *json = NULL;
    if (!m.options.context)
        m.options.context = DEFAULT_LONG;
    status = run(&m, json, error);
    for (int which = 0; which < LENGTHS; which++) {
        wlmi_bench_streams_free(&m.streams[which]);
        wlmi_free(m.train_s[which]);
        wlmi_free(m.chunk_s[which]);
        wlmi_free(m.step_s[which]);
    }
    wlmi_bench_model_close(&m.model);
    wlmi_free(m.train);
    wlmi_free(m.chunk);
    wlmi_free(m.step);
    return status;
}
