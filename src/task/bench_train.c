/* bench_train.c: wlm_bench_train: a training step against the clock and against oneDNN's own products. */
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/io.h"
#include "model/flops.h"
#include "model/workspace.h"
#include "task/bench.h"
#include "task/bench_model.h"
#include "task/bench_product.h"

enum { WARM_UP = 2 }; /* steps that are not timed: memory is touched, oneDNN compiles */

typedef struct measurement {
    wlmi_bench_model model;
    wlmi_bench_products products;
    double flops;                /* of the model, a step */
    double *step_s, *products_s; /* [runs] */
    double *step_cpu_s;          /* [runs]: of all threads together, which a busy machine sways less */
    double *share, *inside;      /* [runs]: gemm_share; share of the step's time in products */
    double *loss;                /* [WARM_UP + runs] */
    double called_s[WLMI_METER_MOST], alone_s[WLMI_METER_MOST]; /* each product: in steps, by itself; all runs */
} measurement;

static int steps(const measurement *m)
{
    return WARM_UP + (int)m->model.options->runs;
}

/* ---------------------------------------------------------------- measuring */

static wlm_status set_up(measurement *m, wlm_error *error)
{
    size_t runs = m->model.options->runs;
    WLMI_TRY(wlmi_bench_model_train(&m->model, error));
    m->flops = wlmi_flops_per_token(m->model.net, m->model.context) * m->model.context * m->model.segments;
    m->step_s = wlmi_alloc_zero(runs, sizeof *m->step_s);
    m->products_s = wlmi_alloc_zero(runs, sizeof *m->products_s);
    m->step_cpu_s = wlmi_alloc_zero(runs, sizeof *m->step_cpu_s);
    m->share = wlmi_alloc_zero(runs, sizeof *m->share);
    m->inside = wlmi_alloc_zero(runs, sizeof *m->inside);
    m->loss = wlmi_alloc_zero(runs + WARM_UP, sizeof *m->loss);
    return m->step_s && m->step_cpu_s && m->products_s && m->share && m->inside && m->loss ? WLM_OK : WLMI_NO_MEMORY(error);
}

static wlm_status step(measurement *m, int i, double *seconds, wlm_error *error)
{
    wlmi_bench_model *model = &m->model;
    WLMI_TRY(wlmi_bench_model_batch(model, model->context, model->segments, (uint64_t)i, error));
    model->meter.count = 0;
    return wlmi_bench_model_step(model, seconds, &m->loss[i], error);
}

/* What the run's step and products took. */
static void keep(measurement *m, uint32_t run, double step_s, double products_s)
{
    const wlmi_meter *meter = &m->model.meter;
    for (int i = 0; i < meter->count; i++) {
        m->called_s[i] += meter->product[i].seconds;
        m->alone_s[i] += m->products.seconds[i];
    }
    m->step_s[run] = step_s;
    m->products_s[run] = products_s;
    m->inside[run] = wlmi_meter_seconds(meter) / step_s;
    m->share[run] = m->flops / step_s / (m->products.flops / products_s);
}

/* Steps and products take turns, so that a neighbour on the machine slows both down alike. */
static wlm_status measure(measurement *m, wlm_error *error)
{
    const wlm_bench_model_options *o = m->model.options;
    double start_s = wlmi_clock(), cpu_s, step_s, products_s;
    for (int i = 0; i < WARM_UP; i++)
        WLMI_TRY(step(m, i, &step_s, error));
    WLMI_TRY(wlmi_bench_products_new(&m->products, &m->model.meter, error));
    WLMI_TRY(wlmi_bench_products_run(&m->products, m->model.threads, &products_s, error));
    for (uint32_t run = 0; run < o->runs; run++) {
        WLMI_TRY(wlmi_bench_model_stopped(&m->model));
        cpu_s = wlmi_bench_cpu_clock();
        WLMI_TRY(step(m, WARM_UP + (int)run, &step_s, error));
        m->step_cpu_s[run] = wlmi_bench_cpu_clock() - cpu_s;
        WLMI_TRY(wlmi_bench_products_run(&m->products, m->model.threads, &products_s, error));
        keep(m, run, step_s, products_s);
        wlmi_bench_show(o->progress, o->user, run + 1, o->runs, start_s);
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- the report */

static json_t *products_json(const measurement *m)
{
    json_t *list = json_array();
    for (int i = 0; i < m->products.step.count; i++) {
        const wlmi_noted_product *p = &m->products.step.product[i];
        double flops = wlmi_product_flops(p) * (double)p->calls * m->model.options->runs;
        json_array_append_new(list, json_pack("{s:s,s:i,s:i,s:i,s:I,s:f,s:f}", "way", wlmi_way_name(p->way), "m", p->M,
                                              "n", p->N, "k", p->K, "calls", (json_int_t)p->calls, "step_flops_per_s",
                                              flops / m->called_s[i], "onednn_flops_per_s", flops / m->alone_s[i]));
    }
    return list;
}

static json_t *losses_json(const measurement *m)
{
    json_t *list = json_array();
    for (int i = 0; i < steps(m); i++)
        json_array_append_new(list, json_real(m->loss[i]));
    return list;
}

/* The most memory that the process ever had. */
static json_int_t peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (json_int_t)usage.ru_maxrss * 1024 : 0;
}

static wlm_status report(measurement *m, char **json, wlm_error *error)
{
    const wlmi_bench_model *model = &m->model;
    size_t runs = model->options->runs;
    double tokens = (double)model->context * model->segments;
    json_t *figures;
    figures = json_pack("{s:i,s:i,s:i,s:o,s:o,s:o,s:f,s:o,s:s,s:o,s:f,s:o,s:f,s:o,s:I,s:I,s:o,s:o}", "context",
                        model->context, "segments", model->segments, "tokens_per_step", (int)tokens, "tokens_per_s",
                        wlmi_rate_json(tokens, m->step_s, runs), "step_s", wlmi_spread_json(m->step_s, runs),
                        "step_cpu_s", wlmi_spread_json(m->step_cpu_s, runs), "flops_per_token", m->flops / tokens,
                        "flops_per_s",
                        wlmi_rate_json(m->flops, m->step_s, runs), "onednn_type", m->products.bf16 ? "bf16" : "f32",
                        "onednn_flops_per_s", wlmi_rate_json(m->products.flops, m->products_s, runs), "gemm_share",
                        wlmi_median(m->share, runs), "gemm_share_spread", wlmi_spread_json(m->share, runs),
                        "product_time_share", wlmi_median(m->inside, runs), "products", products_json(m),
                        "activation_bytes", (json_int_t)model->net->work->size, "peak_bytes", peak_bytes(), "losses",
                        losses_json(m), "optimiser", wlmi_bench_model_optimiser_json());
    return wlmi_bench_report(model, "train", figures, json, error);
}

static wlm_status run(measurement *m, const wlm_bench_model_options *options, char **json, wlm_error *error)
{
    WLMI_TRY(wlmi_bench_model_open(&m->model, options, error));
    WLMI_TRY(set_up(m, error));
    if (options->dump)
        WLMI_TRY(wlmi_bench_model_dump(&m->model, m->model.context, m->model.segments, steps(m), error));
    WLMI_TRY(measure(m, error));
    return report(m, json, error);
}

wlm_status wlm_bench_train(const wlm_bench_model_options *options, char **json, wlm_error *error)
{
    measurement *m = wlmi_alloc_zero(1, sizeof *m);
    wlm_status status;
    *json = NULL;
    if (!m)
        return WLMI_NO_MEMORY(error);
    status = run(m, options, json, error);
    wlmi_bench_products_free(&m->products);
    wlmi_bench_model_close(&m->model);
    wlmi_free(m->step_s);
    wlmi_free(m->products_s);
    wlmi_free(m->step_cpu_s);
    wlmi_free(m->share);
    wlmi_free(m->inside);
    wlmi_free(m->loss);
    wlmi_free(m);
    return status;
}
