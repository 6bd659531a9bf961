/* report_neural.c: trains and asks the model, fold by fold, through captures of each fold's flows. */
#include "task/report_neural.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "task/report_auc.h"
#include "task/report_draws.h"
#include "task/report_forest.h"
#include "task/report_write.h"
#include "task/shard_layout.h"

enum { REAL, FAKE, KINDS, PATH_SIZE = 4096, CONTEXT = 1024, PAYLOAD = 64, PACKETS = 8 };

static const char *const kind_name[KINDS] = {"real", "fake"};

typedef struct contest {
    const wlmi_neural_options *options;
    char folder[PATH_SIZE];              /* of our own */
    char capture[KINDS][WLMI_FOLDS][PATH_SIZE + 32];
    size_t flows[KINDS][WLMI_FOLDS];
    size_t each;
    wlmi_scored *scored; /* [capacity] */
    size_t count, capacity;
    wlm_status status;   /* of keeping scores */
    int truth;           /* of the capture at hand */
} contest;

/* ---------------------------------------------------------------- files */

static void join(char *out, size_t size, const char *folder, const char *name)
{
    snprintf(out, size, "%s/%s", folder, name);
}

static wlm_status make_folder(const char *path, wlm_error *error)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST
               ? WLM_OK
               : wlmi_fail(error, WLM_ERR_IO, path, WLM_NO_OFFSET, "%s", strerror(errno));
}

static void remove_all(contest *c)
{
    static const char *const written[] = {"data/" WLMI_SHARD_DATA, "data/" WLMI_SHARD_INDEX, "data/" WLMI_SHARD_JSON,
                                          "data", "model", "model.resume", "real", "fake"};
    char path[PATH_SIZE + 64];
    for (int kind = 0; kind < KINDS; kind++)
        for (int fold = 0; fold < WLMI_FOLDS; fold++)
            remove(c->capture[kind][fold]);
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        join(path, sizeof path, c->folder, written[i]);
        remove(path);
    }
    remove(c->folder);
}

/* Each fold's share of `each` random flows of a view, as a capture. */
static wlm_status write_folds(contest *c, int kind, const wlmi_flow_view *view, uint64_t seed, wlm_error *error)
{
    int *fold = wlmi_alloc_array(view->flows, sizeof *fold);
    size_t *part = wlmi_alloc_array(c->each, sizeof *part);
    wlm_status status = fold && part ? WLM_OK : WLMI_NO_MEMORY(error);
    if (status == WLM_OK)
        wlmi_report_folds(view, seed, fold);
    for (int k = 0; status == WLM_OK && k < WLMI_FOLDS; k++) {
        wlmi_flow_view some = {view->set, part, 0};
        for (size_t i = 0; i < c->each; i++) {
            size_t at = (size_t)wlmi_permute(seed, i, view->flows);
            if (fold[at] == k)
                part[some.flows++] = view->flow[at];
        }
        c->flows[kind][k] = some.flows;
        status = wlmi_report_write(&some, c->capture[kind][k], error);
    }
    wlmi_free(fold);
    wlmi_free(part);
    return status;
}

static wlm_status prepare(contest *c, const wlmi_flow_view *const view[KINDS], wlm_error *error)
{
    WLMI_TRY(make_folder(c->folder, error));
    for (int kind = 0; kind < KINDS; kind++) {
        char path[PATH_SIZE + 16];
        join(path, sizeof path, c->folder, kind_name[kind]);
        WLMI_TRY(make_folder(path, error));
        for (int k = 0; k < WLMI_FOLDS; k++)
            snprintf(c->capture[kind][k], sizeof c->capture[kind][k], "%s/%d.pcap", path, k);
        WLMI_TRY(write_folds(c, kind, view[kind], wlmi_mix2(c->options->seed, (uint64_t)kind), error));
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- one fold */

static wlm_status import_others(contest *c, int fold, const char *data, wlm_error *error)
{
    const char *path[KINDS * WLMI_FOLDS];
    wlm_import_options options = wlm_import_options_default();
    wlm_import_report unused;
    for (int kind = 0; kind < KINDS; kind++)
        for (int k = 0; k < WLMI_FOLDS; k++)
            if (k != fold && c->flows[kind][k])
                path[options.path_count++] = c->capture[kind][k];
    options.paths = path;
    options.out = data;
    options.task = "origin";
    options.part = WLM_PART_TRAIN;
    options.seed = c->options->seed;
    options.stop = c->options->stop;
    return wlm_import(&options, &unused, error);
}

static wlm_status train(const contest *c, const char *data, const char *model, wlm_error *error)
{
    wlm_train_options options = wlm_train_options_default();
    wlm_train_report unused;
    options.data = &data;
    options.data_count = 1;
    options.out = model;
    options.preset = "wire-nano";
    options.codec = "bytes";
    options.hide = WLM_HIDE_IDS;
    options.payload = PAYLOAD;
    options.max_packets = PACKETS;
    options.context = CONTEXT;
    options.classify = 1;
    options.optimiser = "muon";
    options.steps = c->options->steps;
    options.seed = c->options->seed;
    options.threads = c->options->threads;
    options.progress = c->options->progress;
    options.user = c->options->user;
    options.stop = c->options->stop;
    return wlm_train(&options, &unused, error);
}

static void keep_score(void *user, const wlm_flow_result *result)
{
    contest *c = user;
    float score = 0;
    for (size_t i = 0; i < result->top_count; i++)
        if (!strcmp(result->top[i].label, kind_name[FAKE]))
            score = (float)result->top[i].confidence;
    if (!wlmi_grow(&c->scored, &c->capacity, c->count + 1, sizeof *c->scored)) {
        c->status = WLM_ERR_MEMORY;
        return;
    }
    c->scored[c->count++] = (wlmi_scored){score, c->truth};
}

static wlm_status ask(contest *c, int fold, const char *path, wlm_error *error)
{
    wlm_model *model;
    wlm_status status;
    WLMI_TRY(wlm_model_load(&model, path, c->options->threads, error));
    status = WLM_OK;
    for (int kind = 0; status == WLM_OK && kind < KINDS; kind++) {
        const char *const capture = c->capture[kind][fold];
        wlm_classify_options options = wlm_classify_options_default();
        wlm_classify_report unused;
        options.top = KINDS;
        options.result = keep_score;
        options.user = c;
        options.stop = c->options->stop;
        c->truth = kind == FAKE;
        if (c->flows[kind][fold])
            status = wlm_classify(model, &capture, 1, &options, &unused, error);
    }
    wlm_model_free(model);
    return status == WLM_OK && c->status != WLM_OK ? WLMI_NO_MEMORY(error) : status;
}

/* Nothing to ask about, or nothing to tell it from: the fold is left out. */
static int is_void(const contest *c, int fold)
{
    for (int kind = 0; kind < KINDS; kind++)
        if (c->flows[kind][fold] == c->each)
            return 1;
    return !c->flows[REAL][fold] && !c->flows[FAKE][fold];
}

static wlm_status run_fold(contest *c, int fold, wlm_error *error)
{
    char data[PATH_SIZE + 16], model[PATH_SIZE + 16];
    if (is_void(c, fold))
        return WLM_OK;
    join(data, sizeof data, c->folder, "data");
    join(model, sizeof model, c->folder, "model");
    WLMI_TRY(import_others(c, fold, data, error));
    WLMI_TRY(train(c, data, model, error));
    return ask(c, fold, model, error);
}

wlm_status wlmi_report_neural(const wlmi_flow_view *real, const wlmi_flow_view *fake,
                              const wlmi_neural_options *options, json_t **report, wlm_error *error)
{
    const wlmi_flow_view *const view[KINDS] = {real, fake};
    contest *c = wlmi_alloc_zero(1, sizeof *c);
    wlm_status status;
    if (!c)
        return WLMI_NO_MEMORY(error);
    c->options = options;
    c->each = real->flows < fake->flows ? real->flows : fake->flows;
    c->each = c->each < WLMI_MOST_FLOWS ? c->each : WLMI_MOST_FLOWS;
    if (snprintf(c->folder, sizeof c->folder, "%s/neural", options->folder) >= PATH_SIZE)
        status = wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "too long a name for a folder");
    else
        status = prepare(c, view, error);
    for (int fold = 0; status == WLM_OK && fold < WLMI_FOLDS; fold++)
        status = run_fold(c, fold, error);
    if (status == WLM_OK) {
        *report = json_pack("{s:o, s:I, s:b, s:I, s:i}", "auc", wlmi_json_real(wlmi_auc(c->scored, c->count)),
                            "flows_each", (json_int_t)c->each, "too_few", c->each < WLMI_ENOUGH_FLOWS, "steps",
                            (json_int_t)options->steps, "folds", WLMI_FOLDS);
        status = *report ? WLM_OK : WLMI_NO_MEMORY(error);
    }
    remove_all(c);
    wlmi_free(c->scored);
    wlmi_free(c);
    return status;
}
