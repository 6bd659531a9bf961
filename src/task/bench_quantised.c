/* bench_quantised.c: wlm_bench_quantised: what products in int8 cost in bits and save in time. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "task/bench.h"
#include "task/bench_streams.h"
#include "task/bits.h"
#include "task/handle.h"

enum { FULL, INT8, SIDES };
enum { CHUNK, BATCH, SINGLE, WORKLOADS };
enum { DEFAULT_STEPS = 64, HELD_OUT = 8, BEFORE = 64, SCORED_BYTES = 100000, ROWS = 4096 };

static const struct {
    const char *name;
    int rows, calls; /* calls in a run */
} workloads[WORKLOADS] = {{"2048", 2048, 1}, {"256", 256, 8}, {"1", 1, 64}};

typedef struct measurement {
    wlm_bench_model_options options;
    wlmi_bench_model model;
    wlmi_bench_streams streams[WORKLOADS]; /* the chunk has none */
    int32_t *position;                     /* [rows of the chunk] */
    float *logits;                         /* [those, V] */
    uint32_t steps;                        /* that the model was trained here */
    uint64_t scored;                       /* tokens */
    double bits[SIDES];                    /* per token */
    double *product_s[WORKLOADS][SIDES], *call_s[WORKLOADS][SIDES]; /* [runs] */
    double *product[WORKLOADS], *call[WORKLOADS];                   /* [runs]: full over int8 */
} measurement;

/* ---------------------------------------------------------------- bits */

/* Of the test part, by the model's own codec and grammar. */
static wlm_status score_data(measurement *m, const wlmi_dataset *data, wlm_error *error)
{
    wlmi_net *net = m->model.net;
    wlmi_view view = wlmi_view_default(m->model.codec);
    wlmi_bits bits;
    wlmi_bits_options how = {.part = WLM_PART_TEST, .seed = 1, .flow_bytes = 16384, .bytes = SCORED_BYTES,
                             .stop = m->options.stop};
    view.hide = net->record.hide;
    view.payload = net->record.payload;
    view.context = m->model.context;
    how.tokens = view.context > ROWS ? view.context : ROWS;
    for (int side = 0; side < SIDES; side++) {
        WLMI_TRY(wlmi_net_quantise(net, side == INT8, error));
        WLMI_TRY(wlmi_bits_measure(&bits, net, &view, &data, 1, &how, error));
        m->bits[side] = wlmi_bits_total(&bits) / (double)bits.tokens;
        m->scored = bits.tokens;
    }
    return WLM_OK;
}

static wlm_status score_folder(measurement *m, wlm_error *error)
{
    wlmi_dataset *data;
    wlm_status status;
    WLMI_TRY(wlmi_dataset_open(&data, m->options.data, error));
    status = score_data(m, data, error);
    wlmi_dataset_close(data);
    return status;
}

static wlm_status score_batches(measurement *m, uint64_t first, uint64_t last, wlm_error *error)
{
    wlmi_bench_model *model = &m->model;
    for (int side = 0; side < SIDES; side++) {
        wlmi_loss loss;
        double nats = 0, weight = 0;
        WLMI_TRY(wlmi_net_quantise(model->net, side == INT8, error));
        for (uint64_t i = first; i < last; i++) {
            WLMI_TRY(wlmi_bench_model_stopped(model));
            WLMI_TRY(wlmi_bench_model_batch(model, model->context, model->segments, i, error));
            const wlmi_batch batch = wlmi_rows_batch(&model->rows);
            WLMI_TRY(wlmi_net_forward(model->net, &batch, &loss, error));
            nats += loss.tokens;
            weight += loss.tokens_weight;
        }
        m->bits[side] = nats / weight / M_LN2;
        m->scored = (uint64_t)weight;
    }
    return WLM_OK;
}

/* Trains the new model for a while on the first nine tenths of the tokens, and scores the rest. */
static wlm_status train_and_score(measurement *m, wlm_error *error)
{
    wlmi_bench_model *model = &m->model;
    uint64_t batches = UINT64_MAX / 2, first, last;
    double unused;
    if (model->tokens.count)
        batches = model->tokens.count / ((uint64_t)model->segments * ((uint64_t)model->context + 1));
    first = batches - (batches + 9) / 10;
    last = batches - first < HELD_OUT ? batches : first + HELD_OUT;
    if (!first)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "%zu tokens are too few for batches to train on and to measure on", model->tokens.count);
    WLMI_TRY(wlmi_bench_model_train(model, error));
    for (uint32_t i = 0; i < m->steps; i++) {
        WLMI_TRY(wlmi_bench_model_stopped(model));
        WLMI_TRY(wlmi_bench_model_batch(model, model->context, model->segments, i % first, error));
        WLMI_TRY(wlmi_bench_model_step(model, &unused, NULL, error));
    }
    return score_batches(m, first, last, error);
}

/* ---------------------------------------------------------------- time */

static wlm_status chunk(measurement *m, uint64_t index, double *seconds, wlm_error *error)
{
    wlmi_bench_model *model = &m->model;
    const int rows = workloads[CHUNK].rows;
    double start_s;
    WLMI_TRY(wlmi_bench_model_batch(model, rows, 1, index, error));
    const wlmi_batch batch = wlmi_rows_batch(&model->rows);
    start_s = wlmi_clock();
    WLMI_TRY(wlmi_net_logits(model->net, &batch, NULL, 0, m->position, rows, 0, model->net->config.vocabulary,
                             m->logits, error));
    *seconds += wlmi_clock() - start_s;
    return WLM_OK;
}

static wlm_status call(measurement *m, int workload, uint64_t index, double *seconds, wlm_error *error)
{
    if (workload == CHUNK)
        return chunk(m, index, seconds, error);
    return wlmi_bench_streams_feed(&m->streams[workload], 1, seconds, error);
}

/* A call that is not timed, then those that are. */
static wlm_status run_workload(measurement *m, int workload, int side, uint32_t run, wlm_error *error)
{
    double unused = 0;
    WLMI_TRY(wlmi_bench_model_stopped(&m->model));
    WLMI_TRY(call(m, workload, run, &unused, error));
    m->model.meter.count = 0;
    for (int i = 0; i < workloads[workload].calls; i++)
        WLMI_TRY(call(m, workload, run, &m->call_s[workload][side][run], error));
    m->product_s[workload][side][run] = wlmi_meter_seconds(&m->model.meter);
    return WLM_OK;
}

/* Both sides take turns. */
static wlm_status measure(measurement *m, wlm_error *error)
{
    const wlm_bench_model_options *o = &m->options;
    double start_s = wlmi_clock();
    for (uint32_t run = 0; run < o->runs; run++) {
        for (int side = 0; side < SIDES; side++) {
            WLMI_TRY(wlmi_net_quantise(m->model.net, side == INT8, error));
            for (int w = 0; w < WORKLOADS; w++)
                WLMI_TRY(run_workload(m, w, side, run, error));
        }
        for (int w = 0; w < WORKLOADS; w++) {
            m->product[w][run] = m->product_s[w][FULL][run] / fmax(m->product_s[w][INT8][run], 1e-9);
            m->call[w][run] = m->call_s[w][FULL][run] / fmax(m->call_s[w][INT8][run], 1e-9);
        }
        wlmi_bench_show(o->progress, o->user, run + 1, o->runs, start_s);
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- the whole */

static json_t *workload_json(measurement *m, int w)
{
    const size_t runs = m->options.runs;
    const double tokens = (double)workloads[w].rows * workloads[w].calls;
    return json_pack("{s:i,s:o,s:o,s:o,s:o,s:o,s:o}", "rows", workloads[w].rows, "product_ratio",
                     wlmi_spread_json(m->product[w], runs), "step_ratio", wlmi_spread_json(m->call[w], runs),
                     "product_tokens_per_s", wlmi_rate_json(tokens, m->product_s[w][FULL], runs),
                     "product_tokens_per_s_int8", wlmi_rate_json(tokens, m->product_s[w][INT8], runs), "tokens_per_s",
                     wlmi_rate_json(tokens, m->call_s[w][FULL], runs), "tokens_per_s_int8",
                     wlmi_rate_json(tokens, m->call_s[w][INT8], runs));
}

static wlm_status report(measurement *m, char **json, wlm_error *error)
{
    const size_t runs = m->options.runs;
    json_t *product = json_object(), *step = json_object(), *each = json_array();
    for (int w = 0; w < WORKLOADS; w++) {
        json_array_append_new(each, workload_json(m, w));
        json_object_set_new(product, workloads[w].name, json_real(wlmi_median(m->product[w], runs)));
        json_object_set_new(step, workloads[w].name, json_real(wlmi_median(m->call[w], runs)));
    }
    json_t *figures = json_pack(
        "{s:s,s:i,s:s,s:I,s:f,s:f,s:f,s:o,s:o,s:o}", "weights", m->options.model ? m->options.model : "new",
        "trained_steps", (int)m->steps, "scored", m->options.data ? "test part" : "batches kept back",
        "scored_tokens", (json_int_t)m->scored, "bits_per_token", m->bits[FULL], "bits_per_token_int8", m->bits[INT8],
        "bits_loss", m->bits[INT8] / m->bits[FULL] - 1, "product_ratio", product, "step_ratio", step, "workloads",
        each);
    return wlmi_bench_report(&m->model, "quantised", figures, json, error);
}

static wlm_status allocate(measurement *m, wlm_error *error)
{
    const int rows = workloads[CHUNK].rows;
    m->position = wlmi_alloc((size_t)rows * sizeof *m->position);
    m->logits = wlmi_alloc_zero((size_t)rows * (size_t)m->model.net->config.vocabulary, sizeof *m->logits);
    if (!m->position || !m->logits)
        return WLMI_NO_MEMORY(error);
    for (int t = 0; t < rows; t++)
        m->position[t] = t;
    for (int w = 0; w < WORKLOADS; w++) {
        double **const all[] = {&m->product_s[w][FULL], &m->product_s[w][INT8], &m->call_s[w][FULL],
                                &m->call_s[w][INT8], &m->product[w], &m->call[w]};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            if (!(*all[i] = wlmi_alloc_zero(m->options.runs, sizeof(double))))
                return WLMI_NO_MEMORY(error);
    }
    return WLM_OK;
}

static wlm_status start_streams(measurement *m, wlm_error *error)
{
    double unused = 0;
    for (int w = BATCH; w < WORKLOADS; w++) {
        WLMI_TRY(wlmi_bench_streams_new(&m->streams[w], &m->model, workloads[w].rows, error));
        WLMI_TRY(wlmi_bench_streams_feed(&m->streams[w], BEFORE, &unused, error));
    }
    return WLM_OK;
}

static wlm_status run(measurement *m, char **json, wlm_error *error)
{
    const wlm_bench_model_options *o = &m->options;
    if (!o->model != !o->data)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "a checkpoint is measured on an imported folder, and a folder needs a checkpoint");
    WLMI_TRY(wlmi_bench_model_open(&m->model, o, error));
    WLMI_TRY(allocate(m, error));
    if (o->model) {
        WLMI_TRY(score_folder(m, error));
    } else {
        m->steps = o->steps ? o->steps : DEFAULT_STEPS;
        WLMI_TRY(train_and_score(m, error));
    }
    WLMI_TRY(start_streams(m, error));
    WLMI_TRY(measure(m, error));
    return report(m, json, error);
}

wlm_status wlm_bench_quantised(const wlm_bench_model_options *options, char **json, wlm_error *error)
{
    measurement m = {.options = *options};
    wlm_status status;
    *json = NULL;
    status = run(&m, json, error);
    for (int w = 0; w < WORKLOADS; w++) {
        wlmi_bench_streams_free(&m.streams[w]);
        for (int side = 0; side < SIDES; side++) {
            wlmi_free(m.product_s[w][side]);
            wlmi_free(m.call_s[w][side]);
        }
        wlmi_free(m.product[w]);
        wlmi_free(m.call[w]);
    }
    wlmi_free(m.position);
    wlmi_free(m.logits);
    wlmi_bench_model_close(&m.model);
    return status;
}
