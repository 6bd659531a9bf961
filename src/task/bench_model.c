/* bench_model.c: a new model and batches to measure it on. */
#include "task/bench_model.h"

#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/rng.h"
#include "task/bench.h"
#include "task/handle.h"

static const char default_preset[] = "wire-tiny";
static const uint32_t default_tokens = 2048;
static const wlmi_step_options step_options = {.rates = {.rate = 1e-3, .clip = 1, .decay = 0.1}, .accumulate = 1};
enum { MOST_TOKENS = 1 << 24, PACKET_TOKENS = 64 };

wlm_bench_model_options wlm_bench_model_options_default(void)
{
    wlm_bench_model_options options = {.runs = WLM_BENCH_RUNS, .seed = 1};
    return options;
}

static wlm_status check_options(const wlm_bench_model_options *o, wlm_error *error)
{
    WLMI_TRY(wlmi_bench_check_runs(o->runs, error));
    if (o->tokens_per_batch > MOST_TOKENS || o->context > MOST_TOKENS)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "context and batch are at most %d tokens",
                         MOST_TOKENS);
    return WLM_OK;
}

/* ---------------------------------------------------------------- tokens */

typedef struct reading {
    wlmi_bench_model *model;
    int in_folder; /* files are found, not named: they may well be no captures */
} reading;

static wlm_status read_capture(void *user, const char *path, wlm_error *error)
{
    const reading *r = user;
    wlmi_bench_model *m = r->model;
    wlmi_coder_options options = {.capture = 1};
    wlm_capture *capture;
    wlmi_coder *coder;
    wlm_packet packet;
    wlm_status status;
    int started = 0;
    WLMI_TRY(m->codec->make(&coder, error));
    status = wlm_capture_open(&capture, path, error);
    while (status == WLM_OK && m->tokens.count < MOST_TOKENS &&
           (status = wlm_capture_next(capture, &packet, error)) == WLM_OK) {
        if (!started)
            options.start_ns = packet.time_ns, m->codec->start(coder, &options);
        started = 1;
        status = m->codec->encode(coder, &packet, &m->tokens, error);
    }
    wlm_capture_close(capture);
    m->codec->drop(coder);
    return status == WLM_END || (status == WLM_ERR_FORMAT && r->in_folder && !started) ? WLM_OK : status;
}

static wlm_status read_captures(wlmi_bench_model *m, wlm_error *error)
{
    for (size_t i = 0; i < m->options->path_count; i++) {
        struct stat st;
        reading r = {m, stat(m->options->paths[i], &st) == 0 && S_ISDIR(st.st_mode)};
        WLMI_TRY(wlm_walk(m->options->paths[i], read_capture, &r, error));
    }
    if (m->options->path_count && m->tokens.count == 0)
        return wlmi_fail(error, WLM_ERR_FORMAT, m->options->paths[0], WLM_NO_OFFSET, "no packets to measure with");
    return WLM_OK;
}

void wlmi_bench_model_sequence(const wlmi_bench_model *m, uint64_t i, int32_t *out, size_t n)
{
    const uint64_t seed = m->options->seed, V = (uint64_t)m->net->config.vocabulary;
    wlmi_rng rng;
    if (m->tokens.count) {
        for (size_t j = 0; j < n; j++)
            out[j] = m->tokens.token[(i * n + j) % m->tokens.count];
        return;
    }
    wlmi_rng_seed(&rng, wlmi_mix2(seed, i));
    for (size_t j = 0; j < n; j++) {
        int follows = j > 0 && wlmi_rng_below(&rng, 4) > 0;
        out[j] = (int32_t)(follows ? wlmi_permute(seed, (uint64_t)out[j - 1], V) : wlmi_rng_below(&rng, V));
    }
}

wlm_status wlmi_bench_model_batch(wlmi_bench_model *m, int context, int segments, uint64_t index, wlm_error *error)
{
    const wlmi_config *c = &m->net->config;
    size_t n = (size_t)context + 1;
    if (!wlmi_grow(&m->sequence, &m->sequence_room, n, sizeof *m->sequence))
        return WLMI_NO_MEMORY(error);
    wlmi_rows_clear(&m->rows);
    for (int s = 0; s < segments; s++) {
        WLMI_TRY(wlmi_rows_reserve(&m->rows, (size_t)context, error));
        wlmi_bench_model_sequence(m, index * (uint64_t)segments + (uint64_t)s, m->sequence, n);
        for (int t = 0; t < context; t++) {
            int32_t id = m->sequence[t];
            wlmi_rows_put(&m->rows, id, t / PACKET_TOKENS, c->role_rows ? id % c->role_rows : 0);
            wlmi_rows_measure(&m->rows, id);
            wlmi_rows_aim(&m->rows, m->sequence[t + 1], 0, c->vocabulary, 1);
        }
        wlmi_rows_close(&m->rows);
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- the model */

static int processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static wlm_status make_net(wlmi_bench_model *m, const wlmi_backend *metered, wlm_error *error)
{
    const wlm_bench_model_options *o = m->options;
    uint32_t tokens;
    if (o->model) {
        WLMI_TRY(wlmi_checkpoint_load(&m->net, o->model, metered, error));
        WLMI_TRY(wlmi_handle_codec(&m->net->record, o->model, &m->codec, error));
        if ((uint32_t)m->net->config.vocabulary != m->codec->vocabulary)
            return wlmi_fail(error, WLM_ERR_FORMAT, o->model, WLM_NO_OFFSET, "%d rows for the %u tokens of its codec",
                             m->net->config.vocabulary, m->codec->vocabulary);
    } else {
        WLMI_TRY(wlmi_handle_new_net(&m->net, o->preset ? o->preset : default_preset, (wlmi_embeddings){0},
                                     m->codec, metered, o->seed, error));
    }
    if (o->context)
        m->net->config.context = (int)o->context;
    m->net->recompute |= o->recompute != 0;
    WLMI_TRY(wlmi_config_check(&m->net->config, error));
    m->context = m->net->config.context;
    tokens = o->tokens_per_batch ? o->tokens_per_batch : default_tokens;
    m->segments = (int)tokens > m->context ? (int)tokens / m->context : 1;
    return WLM_OK;
}

wlm_status wlmi_bench_model_open(wlmi_bench_model *m, const wlm_bench_model_options *options, wlm_error *error)
{
    const wlmi_backend *metered;
    memset(m, 0, sizeof *m);
    m->options = options;
    WLMI_TRY(check_options(options, error));
    m->codec = wlmi_codec_find(options->codec);
    if (!m->codec)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no codec is called '%s'", options->codec);
    m->backend = wlmi_backend_find(options->backend);
    if (!m->backend || m->backend->real_size != sizeof(float))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no backend to measure is called '%s'",
                         options->backend);
    m->threads = options->threads > 0 ? options->threads : processors();
    m->backend->set_threads(m->threads);
    WLMI_TRY(wlmi_meter_start(&m->meter, m->backend, &metered, error));
    m->metering = 1;
    WLMI_TRY(make_net(m, metered, error));
    return read_captures(m, error);
}

void wlmi_bench_model_close(wlmi_bench_model *m)
{
    wlmi_trainer_clear(&m->trainer);
    wlmi_net_free(m->net);
    wlmi_tokens_free(&m->tokens);
    wlmi_rows_free(&m->rows);
    wlmi_free(m->sequence);
    if (m->metering)
        wlmi_meter_stop();
}

/* ---------------------------------------------------------------- the step */

wlm_status wlmi_bench_model_train(wlmi_bench_model *m, wlm_error *error)
{
    return wlmi_trainer_init(&m->trainer, m->net, error);
}

static wlm_status give_rows(void *user, uint64_t *cursor, wlmi_batch *batch, wlm_error *error)
{
    const wlmi_bench_model *m = user;
    (void)error;
    *batch = wlmi_rows_batch(&m->rows);
    ++*cursor;
    return WLM_OK;
}

wlm_status wlmi_bench_model_step(wlmi_bench_model *m, double *seconds, double *loss, wlm_error *error)
{
    wlmi_step_report report;
    double start_s = wlmi_clock();
    WLMI_TRY(wlmi_trainer_step(&m->trainer, &step_options, give_rows, m, &report, error));
    *seconds = wlmi_clock() - start_s;
    if (loss)
        *loss = wlmi_loss_mean(&report.loss);
    return WLM_OK;
}

wlm_status wlmi_bench_model_stopped(const wlmi_bench_model *m)
{
    return m->options->stop && *m->options->stop ? WLM_STOPPED : WLM_OK;
}

json_t *wlmi_bench_model_json(const wlmi_bench_model *m, const char *bench)
{
    const wlmi_config *c = &m->net->config;
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:b,s:I,s:i}", "bench", bench, "preset", c->preset, "codec",
                     m->codec->name, "data", m->options->path_count ? "captures" : "synthetic", "backend",
                     m->backend->name, "device", m->backend->describe(), "threads", m->threads, "recompute",
                     m->net->recompute, "parameters", (json_int_t)m->net->count, "runs", (int)m->options->runs);
}

wlm_status wlmi_bench_report(const wlmi_bench_model *m, const char *bench, json_t *figures, char **text,
                             wlm_error *error)
{
    json_t *root = wlmi_bench_model_json(m, bench);
    if (!root || !figures || json_object_update(root, figures)) {
        json_decref(root);
        root = NULL;
    }
    json_decref(figures);
    return wlmi_bench_text(root, text, error);
}

json_t *wlmi_bench_model_optimiser_json(void)
{
    const wlmi_rates *r = &step_options.rates;
    return json_pack("{s:s,s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "name", "adamw", "rate", r->rate, "clip", r->clip,
                     "weight_decay", r->decay, "embedding_decay", r->embedding_decay, "beta1", WLMI_ADAMW_BETA1,
                     "beta2", WLMI_ADAMW_BETA2, "epsilon", WLMI_ADAMW_EPSILON);
}
