/* ablate.c: wlm_bench_ablate: one small model per kind of heads, codec and role embedding, all of one size, trained on
 * the same data for as many tokens, and what held-out captures cost each in bits. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "model/mixer.h"
#include "model/params.h"
#include "model/workspace.h"
#include "task/batch.h"
#include "task/bits.h"
#include "task/trainer.h"
#include "wirelm_bench.h"

static const struct heads {
    const char *name;
    struct {
        const char *kind;
        int heads;
    } group[2];
} kinds[] = {
    {"full", {{"full", 6}, {NULL, 0}}},
    {"window", {{"window", 6}, {NULL, 0}}},
    {"linear", {{"linear", 6}, {NULL, 0}}},
    {"linear+window", {{"linear", 2}, {"window", 4}}},
    {"delta", {{"delta", 6}, {NULL, 0}}},
    {"delta+window", {{"delta", 4}, {"window", 2}}},
};
static const char *const codecs[] = {"bytes", "fields"};
enum { KINDS = sizeof kinds / sizeof *kinds, CODECS = sizeof codecs / sizeof *codecs };
enum { AS_TEXT = JSON_COMPACT | JSON_REAL_PRECISION(8) }; /* of a row: the same when it is read and written again */

/* The size of the nano presets. */
static const wlmi_config base = {.preset = "ablate", .width = 256, .layers = 2, .head_width = 32, .hidden = 320};

typedef struct row {
    const struct heads *heads;
    const wlmi_codec *codec;
    int roles;
    uint64_t seed;
} row;

typedef struct ablation {
    const wlm_ablate_options *options;
    wlmi_dataset **data;
    json_t *done; /* lines of an earlier run */
    FILE *out;
} ablation;

typedef struct training { /* of one row */
    wlmi_net *net;
    wlmi_batches *batches;
    wlmi_rows rows;
    wlmi_trainer trainer;
    double seconds;
    size_t work_bytes; /* activations and their gradients */
} training;

wlm_ablate_options wlm_ablate_options_default(void)
{
    wlm_ablate_options o;
    memset(&o, 0, sizeof o);
    o.seeds = 1;
    o.tokens = 1000000;
    o.bytes = 400000;
    o.context = 1024;
    o.window = 256;
    o.learning_rate = 1.5e-3;
    o.hide = WLM_HIDE_NONE;
    o.part = WLM_PART_VAL;
    return o;
}

/* ---------------------------------------------------------------- the model of a row */

static int make_plan(const struct heads *heads, int window, wlmi_plan *plan)
{
    memset(plan, 0, sizeof *plan);
    for (int g = 0; g < 2 && heads->group[g].kind; g++) {
        wlmi_mixer_kind kind = wlmi_mixer_find(heads->group[g].kind);
        if (kind == WLMI_MIXER_KINDS)
            return 0;
        plan->group[plan->groups++] =
            (wlmi_head_group){kind, heads->group[g].heads, kind == WLMI_MIXER_WINDOW ? window : 0};
    }
    return 1;
}

/* Makes up with SwiGLU's width for what the heads have more or fewer parameters than full ones. */
static void even_out(wlmi_config *config)
{
    wlmi_config full = *config;
    int64_t per_hidden = 3 * (int64_t)config->width * config->layers, excess;
    make_plan(&kinds[0], 0, &full.plan);
    excess = (int64_t)wlmi_config_count(config) - (int64_t)wlmi_config_count(&full);
    config->hidden -= (int)(excess / per_hidden);
}

static wlm_status make_net(const ablation *a, const row *r, wlmi_net **net, wlm_error *error)
{
    wlmi_config config = base;
    config.context = (int)a->options->context;
    config.vocabulary = (int)r->codec->vocabulary;
    if (!make_plan(r->heads, (int)a->options->window, &config.plan))
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, NULL, WLM_NO_OFFSET, "no heads of kind %s", r->heads->name);
    even_out(&config);
    config.role_rows = r->roles ? (int)r->codec->roles + 1 : 0;
    return wlmi_net_new(net, &config, wlmi_backend_find(NULL), r->seed, error);
}

/* ---------------------------------------------------------------- training */

static wlm_status next_batch(void *user, uint64_t *cursor, wlmi_batch *batch, wlm_error *error)
{
    training *t = user;
    WLMI_TRY(wlmi_batches_next(t->batches, cursor, &t->rows, error));
    *batch = wlmi_rows_batch(&t->rows);
    return WLM_OK;
}

static void tell(const ablation *a, const row *r, const training *t, double began)
{
    wlm_progress p;
    if (!a->options->progress)
        return;
    memset(&p, 0, sizeof p);
    p.what = r->heads->name;
    p.unit = "tokens";
    p.done = t->trainer.tokens;
    p.total = a->options->tokens;
    p.elapsed_s = wlmi_clock() - began;
    p.tokens_per_s = (double)p.done / p.elapsed_s;
    p.remaining_s = p.total > p.done ? (double)(p.total - p.done) / p.tokens_per_s : 0;
    p.loss = wlmi_trainer_loss(&t->trainer);
    a->options->progress(a->options->user, &p);
}

static wlm_status train(const ablation *a, const row *r, const wlmi_view *view, training *t, wlm_error *error)
{
    const wlm_ablate_options *o = a->options;
    wlmi_batch_options batching = wlmi_batch_options_default();
    double began;
    batching.seed = r->seed;
    batching.tokens = view->context > batching.tokens ? view->context : batching.tokens;
    WLMI_TRY(make_net(a, r, &t->net, error));
    WLMI_TRY(wlmi_batches_new(&t->batches, (const wlmi_dataset *const *)a->data, o->data_count, t->net, view, &batching,
                              error));
    WLMI_TRY(wlmi_trainer_init(&t->trainer, t->net, error));
    began = wlmi_clock();
    while (t->trainer.tokens < o->tokens) {
        double progress = (double)(t->trainer.tokens + (uint64_t)batching.tokens) / (double)o->tokens;
        const wlmi_step_options step = {
            {wlmi_learning_rate(WLMI_SCHEDULE_COSINE, o->learning_rate, 0.05, fmin(1, progress)), 1, 0.1, 0}, 1};
        wlmi_step_report report;
        if (o->stop && *o->stop)
            return wlmi_fail(error, WLM_STOPPED, NULL, WLM_NO_OFFSET, "stopped");
        WLMI_TRY(wlmi_trainer_step(&t->trainer, &step, next_batch, t, &report, error));
        tell(a, r, t, began);
    }
    t->seconds = wlmi_clock() - began;
    return WLM_OK;
}

/* ---------------------------------------------------------------- one row */

static json_t *describe(const ablation *a, const row *r)
{
    const wlm_ablate_options *o = a->options;
    json_t *data = json_array();
    for (size_t i = 0; i < o->data_count; i++)
        json_array_append_new(data, json_string(o->data[i]));
    return json_pack("{s:s, s:s, s:b, s:I, s:o, s:s, s:s, s:I, s:I, s:I, s:I, s:f}", "heads", r->heads->name, "codec",
                     r->codec->name, "roles", r->roles, "seed", (json_int_t)r->seed, "data", data, "part",
                     wlm_part_name(o->part), "hide", wlm_hide_name(o->hide), "context", (json_int_t)o->context,
                     "window", (json_int_t)o->window, "budget_tokens", (json_int_t)o->tokens, "budget_bytes",
                     (json_int_t)o->bytes, "learning_rate", o->learning_rate);
}

static void add_results(json_t *line, const training *t, const wlmi_bits *bits)
{
    double bytes = (double)bits->bytes, other = wlmi_bits_total(bits), payload = bits->bits[WLMI_GROUP_PAYLOAD];
    json_object_set_new(line, "parameters", json_integer((json_int_t)t->net->count));
    json_object_set_new(line, "trained_tokens", json_integer((json_int_t)t->trainer.tokens));
    json_object_set_new(line, "train_tokens_per_s", json_real((double)t->trainer.tokens / t->seconds));
    json_object_set_new(line, "activation_bytes", json_integer((json_int_t)t->work_bytes));
    json_object_set_new(line, "flows", json_integer((json_int_t)bits->flows));
    json_object_set_new(line, "capture_bytes", json_integer((json_int_t)bits->bytes));
    json_object_set_new(line, "tokens_per_byte", json_real((double)bits->tokens / bytes));
    json_object_set_new(line, "bits_per_token", json_real(other / (double)bits->tokens));
    json_object_set_new(line, "bits_per_byte", json_real(other / bytes));
    if (payload > 0)
        json_object_set_new(line, "bits_per_byte_payload", json_real(payload / bytes));
}

static wlm_status measure(const ablation *a, const row *r, training *t, json_t *line, wlm_error *error)
{
    const wlm_ablate_options *o = a->options;
    wlmi_view view = wlmi_view_default(r->codec);
    wlmi_bits bits;
    wlmi_bits_options how = {.part = o->part, .seed = 1, .flow_bytes = 16384, .bytes = o->bytes, .tokens = 4096,
                             .stop = o->stop};
    view.hide = o->hide;
    view.context = (int)o->context;
    if (how.tokens < view.context)
        how.tokens = view.context;
    WLMI_TRY(train(a, r, &view, t, error));
    t->work_bytes = t->net->work->size;
    WLMI_TRY(wlmi_bits_measure(&bits, t->net, &view, (const wlmi_dataset *const *)a->data, o->data_count, &how, error));
    add_results(line, t, &bits);
    return WLM_OK;
}

static wlm_status write_line(const ablation *a, const json_t *line, wlm_error *error)
{
    if (!a->out)
        return WLM_OK;
    if (json_dumpf(line, a->out, AS_TEXT) != 0 || fwrite("\n", 1, 1, a->out) != 1 ||
        fflush(a->out) != 0)
        return wlmi_fail(error, WLM_ERR_IO, a->options->out, WLM_NO_OFFSET, "%s", strerror(errno));
    return WLM_OK;
}

/* The line of an earlier run that was asked for the same, or NULL. */
static const json_t *find_done(const ablation *a, const json_t *asked)
{
    size_t i;
    const json_t *line;
    json_array_foreach(a->done, i, line) {
        const char *key;
        json_t *value;
        int same = 1;
        json_object_foreach((json_t *)(uintptr_t)asked, key, value)
            same &= json_equal(value, json_object_get(line, key));
        if (same)
            return line;
    }
    return NULL;
}

static wlm_status show(const ablation *a, const json_t *line, wlm_error *error)
{
    char *text = json_dumps(line, AS_TEXT);
    if (!text)
        return WLMI_NO_MEMORY(error);
    if (a->options->row)
        a->options->row(a->options->user, text);
    free(text);
    return WLM_OK;
}

static wlm_status run_row(const ablation *a, const row *r, wlm_error *error)
{
    json_t *line = describe(a, r);
    const json_t *earlier;
    training t = {0};
    wlm_status status = WLM_OK;
    if (!line)
        return WLMI_NO_MEMORY(error);
    earlier = find_done(a, line);
    if (!earlier) {
        status = measure(a, r, &t, line, error);
        if (status == WLM_OK)
            status = write_line(a, line, error);
    }
    if (status == WLM_OK)
        status = show(a, earlier ? earlier : line, error);
    wlmi_batches_free(t.batches);
    wlmi_rows_free(&t.rows);
    wlmi_trainer_clear(&t.trainer);
    wlmi_net_free(t.net);
    json_decref(line);
    return status;
}

/* ---------------------------------------------------------------- all rows */

/* Reads the lines of an earlier run. One that broke off in the middle of a line is no failure. */
static wlm_status read_done(ablation *a, wlm_error *error)
{
    FILE *in = fopen(a->options->out, "r");
    char *text = NULL;
    size_t room = 0;
    if (!in && errno == ENOENT)
        return WLM_OK;
    if (!in)
        return wlmi_fail(error, WLM_ERR_IO, a->options->out, WLM_NO_OFFSET, "%s", strerror(errno));
    while (getline(&text, &room, in) > 0) {
        json_t *line = json_loads(text, 0, NULL);
        if (json_is_object(line))
            json_array_append_new(a->done, line);
        else
            json_decref(line);
    }
    free(text);
    fclose(in);
    return WLM_OK;
}

static int wanted(const wlm_ablate_options *o, const row *r)
{
    wlmi_plan plan;
    return make_plan(r->heads, 1, &plan) && (!o->heads || !strcmp(o->heads, r->heads->name)) &&
           (!o->codec || !strcmp(o->codec, r->codec->name));
}

static wlm_status run_rows(const ablation *a, wlm_error *error)
{
    const wlm_ablate_options *o = a->options;
    int rows = 0;
    for (uint64_t seed = 1; seed <= o->seeds; seed++)
        for (int c = 0; c < CODECS; c++)
            for (int k = 0; k < KINDS; k++)
                for (int roles = 0; roles < 2; roles++) {
                    const row r = {&kinds[k], wlmi_codec_find(codecs[c]), roles, seed};
                    if (!wanted(o, &r))
                        continue;
                    rows++;
                    WLMI_TRY(run_row(a, &r, error));
                }
    if (!rows)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no row has such heads and codec");
    return WLM_OK;
}

static wlm_status check(const wlm_ablate_options *o, wlm_error *error)
{
    if (!o->data_count)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "at least one imported folder is needed");
    if (o->seeds < 1 || o->tokens < 1 || o->context < WLMI_MIN_CONTEXT || o->context > 1 << 20 || o->window < 1 ||
        o->window > 1 << 20 || !(o->learning_rate > 0))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "seeds, tokens, context, window and learning rate must be positive, a context at least %d",
                         WLMI_MIN_CONTEXT);
    return WLM_OK;
}

static wlm_status ablate(ablation *a, wlm_error *error)
{
    const wlm_ablate_options *o = a->options;
    a->data = wlmi_alloc_zero(o->data_count, sizeof *a->data);
    a->done = json_array();
    if (!a->data || !a->done)
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < o->data_count; i++)
        WLMI_TRY(wlmi_dataset_open(&a->data[i], o->data[i], error));
    wlmi_backend_find(NULL)->set_threads(o->threads);
    if (o->out) {
        WLMI_TRY(read_done(a, error));
        a->out = fopen(o->out, "a");
        if (!a->out)
            return wlmi_fail(error, WLM_ERR_IO, o->out, WLM_NO_OFFSET, "%s", strerror(errno));
    }
    return run_rows(a, error);
}

wlm_status wlm_bench_ablate(const wlm_ablate_options *options, wlm_error *error)
{
    ablation a = {.options = options};
    wlm_status status = check(options, error);
    if (status == WLM_OK)
        status = ablate(&a, error);
    if (a.out && fclose(a.out) != 0 && status == WLM_OK)
        status = wlmi_fail(error, WLM_ERR_IO, options->out, WLM_NO_OFFSET, "%s", strerror(errno));
    if (a.data)
        for (size_t i = 0; i < options->data_count; i++)
            wlmi_dataset_close(a.data[i]);
    wlmi_free(a.data);
    json_decref(a.done);
    return status;
}
