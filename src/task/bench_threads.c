/* bench_threads.c: wlm_bench_threads: what a second thread brings to a training step, and to its products alone. */
#include "base/alloc.h"
#include "base/io.h"
#include "task/bench.h"
#include "task/bench_model.h"
#include "task/bench_product.h"

enum { FEW, MANY, COUNTS }; /* one thread, and as many as asked for */

typedef struct measurement {
    wlmi_bench_model model;
    wlmi_bench_products products;
    int threads[COUNTS];
    double *step_s[COUNTS], *products_s[COUNTS]; /* [runs] */
    double *step_gain, *products_gain, *relative; /* [runs] */
    uint64_t batch;
} measurement;

static wlm_status step(measurement *m, int count, double *seconds, wlm_error *error)
{
    wlmi_bench_model *model = &m->model;
    WLMI_TRY(wlmi_bench_model_stopped(model));
    WLMI_TRY(wlmi_bench_model_batch(model, model->context, model->segments, m->batch++, error));
    model->backend->set_threads(m->threads[count]);
    model->meter.count = 0;
    return wlmi_bench_model_step(model, seconds, NULL, error);
}

static wlm_status set_up(measurement *m, wlm_error *error)
{
    size_t runs = m->model.options->runs;
    double seconds;
    int ready = 1;
    m->threads[FEW] = 1;
    m->threads[MANY] = m->model.threads;
    if (m->threads[MANY] < 2)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "one thread alone shows no scaling");
    for (int c = 0; c < COUNTS; c++) {
        m->step_s[c] = wlmi_alloc_zero(runs, sizeof(double));
        m->products_s[c] = wlmi_alloc_zero(runs, sizeof(double));
        ready &= m->step_s[c] && m->products_s[c];
    }
    m->step_gain = wlmi_alloc_zero(runs, sizeof(double));
    m->products_gain = wlmi_alloc_zero(runs, sizeof(double));
    m->relative = wlmi_alloc_zero(runs, sizeof(double));
    if (!ready || !m->step_gain || !m->products_gain || !m->relative)
        return WLMI_NO_MEMORY(error);
    WLMI_TRY(wlmi_bench_model_train(&m->model, error));
    for (int c = 0; c < COUNTS; c++)
        WLMI_TRY(step(m, c, &seconds, error));
    WLMI_TRY(wlmi_bench_products_new(&m->products, &m->model.meter, error));
    for (int c = 0; c < COUNTS; c++)
        WLMI_TRY(wlmi_bench_products_run(&m->products, m->threads[c], &seconds, error));
    return WLM_OK;
}

/* One thread and many take turns, steps and products too. */
static wlm_status measure(measurement *m, wlm_error *error)
{
    const wlm_bench_model_options *o = m->model.options;
    double start_s = wlmi_clock();
    for (uint32_t run = 0; run < o->runs; run++) {
        for (int c = 0; c < COUNTS; c++) {
            WLMI_TRY(step(m, c, &m->step_s[c][run], error));
            WLMI_TRY(wlmi_bench_products_run(&m->products, m->threads[c], &m->products_s[c][run], error));
        }
        m->step_gain[run] = m->step_s[FEW][run] / m->step_s[MANY][run];
        m->products_gain[run] = m->products_s[FEW][run] / m->products_s[MANY][run];
        m->relative[run] = m->step_gain[run] / m->products_gain[run];
        wlmi_bench_show(o->progress, o->user, run + 1, o->runs, start_s);
    }
    return WLM_OK;
}

static wlm_status report(measurement *m, char **json, wlm_error *error)
{
    const wlmi_bench_model *model = &m->model;
    size_t runs = model->options->runs;
    double tokens = (double)model->context * model->segments;
    json_t *figures = json_pack(
        "{s:i,s:i,s:o,s:o,s:o,s:o,s:o,s:o,s:f,s:o}", "context", model->context, "tokens_per_step", (int)tokens,
        "tokens_per_s_1", wlmi_rate_json(tokens, m->step_s[FEW], runs), "tokens_per_s",
        wlmi_rate_json(tokens, m->step_s[MANY], runs), "onednn_flops_per_s_1",
        wlmi_rate_json(m->products.flops, m->products_s[FEW], runs), "onednn_flops_per_s",
        wlmi_rate_json(m->products.flops, m->products_s[MANY], runs), "step_scaling",
        wlmi_spread_json(m->step_gain, runs), "onednn_scaling", wlmi_spread_json(m->products_gain, runs),
        "relative_scaling", wlmi_median(m->relative, runs), "relative_scaling_spread",
        wlmi_spread_json(m->relative, runs));
    return wlmi_bench_report(model, "threads", figures, json, error);
}

static wlm_status run(measurement *m, const wlm_bench_model_options *options, char **json, wlm_error *error)
{
    WLMI_TRY(wlmi_bench_model_open(&m->model, options, error));
    WLMI_TRY(set_up(m, error));
    WLMI_TRY(measure(m, error));
    return report(m, json, error);
}

wlm_status wlm_bench_threads(const wlm_bench_model_options *options, char **json, wlm_error *error)
{
    measurement *m = wlmi_alloc_zero(1, sizeof *m);
    wlm_status status;
    *json = NULL;
    if (!m)
        return WLMI_NO_MEMORY(error);
    status = run(m, options, json, error);
    wlmi_bench_products_free(&m->products);
    wlmi_bench_model_close(&m->model);
    for (int c = 0; c < COUNTS; c++) {
        wlmi_free(m->step_s[c]);
        wlmi_free(m->products_s[c]);
    }
    wlmi_free(m->step_gain);
    wlmi_free(m->products_gain);
    wlmi_free(m->relative);
    wlmi_free(m);
    return status;
}
