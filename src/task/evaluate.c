/* evaluate.c: a model's labels against those of imported flows, with what a score must be read beside: how the flows
 * were split, what was hidden, and what guessing the most common label would score. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "task/metrics.h"
#include "task/query.h"

enum { BATCH_ROWS = 8192 };

typedef struct run {
    wlm_model *model;
    const wlm_evaluate_options *options;
    wlmi_view view;
    wlmi_dataset **data;  /* [data_count] */
    int task;
    const char **label;   /* [labels]: the model's, then those that only the folders know; borrowed */
    size_t labels, label_capacity;
    uint64_t *confusion;  /* [labels, labels] */
    uint64_t *support[2]; /* [labels]: in the part, in the training part */
    uint64_t flows, total;
    wlmi_prompter *prompter;
    wlmi_rows rows;
    int *truth;           /* [segments of rows] */
    size_t truth_capacity;
    float *share;         /* [segments of rows, labels of the task] */
    size_t share_capacity;
    double start_s, shown_s;
} run;

wlm_evaluate_options wlm_evaluate_options_default(void)
{
    wlm_evaluate_options options = {.part = WLM_PART_TEST, .hide = WLM_HIDE_IDS, .unit = WLM_UNIT_INHERIT,
                                    .payload = WLM_PAYLOAD_INHERIT};
    return options;
}

/* ---------------------------------------------------------------- folders and labels */

static wlm_status open_data(run *r, wlm_error *error)
{
    const wlm_evaluate_options *o = r->options;
    const char *task = o->task;
    if (!o->data_count)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no imported folder was named");
    r->data = wlmi_alloc_zero(o->data_count, sizeof *r->data);
    if (!r->data)
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < o->data_count; i++) {
        const char *own;
        WLMI_TRY(wlmi_dataset_open(&r->data[i], o->data[i], error));
        own = wlmi_dataset_task(r->data[i]);
        if (!own)
            return wlmi_fail(error, WLM_ERR_ARGUMENT, o->data[i], WLM_NO_OFFSET, "imported without labels");
        task = task ? task : own;
        if (strcmp(own, task))
            return wlmi_fail(error, WLM_ERR_ARGUMENT, o->data[i], WLM_NO_OFFSET,
                             "labelled for task '%.64s', not '%.64s'", own, task);
    }
    return wlmi_query_task(r->model, task, &r->task, error);
}

/* Index of a label among all, or -1. */
static int find_label(const run *r, const char *name)
{
    for (size_t i = 0; i < r->labels; i++)
        if (!strcmp(r->label[i], name))
            return (int)i;
    return -1;
}

static wlm_status add_label(run *r, const char *name, wlm_error *error)
{
    if (find_label(r, name) >= 0)
        return WLM_OK;
    if (!wlmi_grow(&r->label, &r->label_capacity, r->labels + 1, sizeof *r->label))
        return WLMI_NO_MEMORY(error);
    r->label[r->labels++] = name;
    return WLM_OK;
}

static wlm_status join_labels(run *r, wlm_error *error)
{
    const wlmi_task *task = &r->model->net->task[r->task];
    for (int i = 0; i < task->labels; i++)
        WLMI_TRY(add_label(r, task->label[i], error));
    for (size_t d = 0; d < r->options->data_count; d++)
        for (uint32_t i = 0; i < wlmi_dataset_labels(r->data[d]); i++)
            WLMI_TRY(add_label(r, wlmi_dataset_label(r->data[d], i), error));
    r->confusion = wlmi_alloc_zero(r->labels * r->labels, sizeof *r->confusion);
    r->support[0] = wlmi_alloc_zero(r->labels, sizeof *r->support[0]);
    r->support[1] = wlmi_alloc_zero(r->labels, sizeof *r->support[1]);
    return r->confusion && r->support[0] && r->support[1] ? WLM_OK : WLMI_NO_MEMORY(error);
}

static void count_support(run *r)
{
    for (size_t d = 0; d < r->options->data_count; d++)
        for (uint64_t i = 0; i < wlmi_dataset_flows(r->data[d]); i++) {
            wlmi_shard_flow flow;
            int truth;
            wlmi_dataset_flow(r->data[d], i, &flow);
            if (flow.label == WLMI_NO_LABEL)
                continue;
            truth = find_label(r, wlmi_dataset_label(r->data[d], flow.label));
            r->support[0][truth] += flow.part == r->options->part;
            r->support[1][truth] += flow.part == WLM_PART_TRAIN;
            r->total += flow.part == r->options->part;
        }
}

/* ---------------------------------------------------------------- asking */

static wlm_status run_batch(run *r, wlm_error *error)
{
    int labels = r->model->net->task[r->task].labels;
    wlmi_batch batch = wlmi_rows_batch(&r->rows);
    if (!r->rows.segments)
        return WLM_OK;
    if (!wlmi_grow(&r->share, &r->share_capacity, (size_t)r->rows.segments * (size_t)labels, sizeof *r->share))
        return WLMI_NO_MEMORY(error);
    WLMI_TRY(wlmi_query_run(r->model, &batch, NULL, r->task, r->share, error));
    for (int s = 0; s < r->rows.segments; s++) {
        const float *share = r->share + (size_t)s * (size_t)labels;
        int best = 0;
        for (int i = 1; i < labels; i++)
            best = share[i] > share[best] ? i : best;
        r->confusion[(size_t)r->truth[s] * r->labels + (size_t)best]++;
    }
    r->flows += (uint64_t)r->rows.segments;
    wlmi_rows_clear(&r->rows);
    return WLM_OK;
}

static void show(run *r)
{
    double elapsed = wlmi_clock() - r->start_s, done = (double)r->flows;
    wlm_progress progress = {.what = "evaluate", .done = r->flows, .total = r->total, .unit = "flows",
                             .elapsed_s = elapsed, .remaining_s = -1, .loss = NAN};
    if (r->flows)
        progress.remaining_s = elapsed / done * ((double)r->total - done);
    if (r->options->progress && (elapsed > r->shown_s + 0.2 || r->flows == r->total)) {
        r->options->progress(r->options->user, &progress);
        r->shown_s = elapsed;
    }
}

static wlm_status ask_flow(run *r, const wlmi_dataset *data, uint64_t i, wlm_error *error)
{
    wlmi_shard_flow flow;
    wlmi_dataset_flow(data, i, &flow);
    if (flow.part != r->options->part || flow.label == WLMI_NO_LABEL)
        return WLM_OK;
    if (!wlmi_grow(&r->truth, &r->truth_capacity, (size_t)r->rows.segments + 1, sizeof *r->truth))
        return WLMI_NO_MEMORY(error);
    r->truth[r->rows.segments] = find_label(r, wlmi_dataset_label(data, flow.label));
    WLMI_TRY(wlmi_prompter_append(r->prompter, data, i, WLMI_PROMPT_CLASSIFY, r->task, -1, 0, &r->rows, NULL, error));
    return r->rows.tokens >= BATCH_ROWS ? run_batch(r, error) : WLM_OK;
}

static wlm_status ask_all(run *r, wlm_error *error)
{
    for (size_t d = 0; d < r->options->data_count; d++)
        for (uint64_t i = 0; i < wlmi_dataset_flows(r->data[d]); i++) {
            if (r->options->stop && *r->options->stop)
                return WLM_STOPPED;
            WLMI_TRY(ask_flow(r, r->data[d], i, error));
            show(r);
        }
    WLMI_TRY(run_batch(r, error));
    show(r);
    return WLM_OK;
}

/* ---------------------------------------------------------------- the report */

/* Labels that occur, as truth or as a guess, one after another; returns how many. */
static size_t occurring(const run *r, size_t *index)
{
    size_t n = 0;
    for (size_t i = 0; i < r->labels; i++) {
        uint64_t seen = 0;
        for (size_t j = 0; j < r->labels; j++)
            seen += r->confusion[i * r->labels + j] + r->confusion[j * r->labels + i];
        if (seen)
            index[n++] = i;
    }
    return n;
}

static json_t *labels_json(const run *r, const wlmi_label_score *score, const size_t *index, size_t n)
{
    json_t *object = json_object();
    for (size_t i = 0; i < n; i++) {
        const wlmi_label_score *s = &score[index[i]];
        json_object_set_new(object, r->label[index[i]],
                            json_pack("{s:f,s:f,s:f,s:I}", "precision", s->precision, "recall", s->recall, "f1", s->f1,
                                      "support", (json_int_t)s->support));
    }
    return object;
}

static json_t *confusion_json(const run *r, const size_t *index, size_t n)
{
    json_t *names = json_array(), *matrix = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *row = json_array();
        json_array_append_new(names, json_string(r->label[index[i]]));
        for (size_t j = 0; j < n; j++)
            json_array_append_new(row, json_integer((json_int_t)r->confusion[index[i] * r->labels + index[j]]));
        json_array_append_new(matrix, row);
    }
    return json_pack("{s:o,s:o}", "labels", names, "matrix", matrix);
}

/* The label that was most common in training, or in the part itself where the folders hold no training part. */
static json_t *majority_json(const run *r)
{
    int labels = (int)r->labels, guess = wlmi_majority(r->support[1], labels);
    wlmi_score score;
    if (guess < 0)
        guess = wlmi_majority(r->support[0], labels);
    wlmi_score_guess(r->support[0], labels, guess, &score);
    return json_pack("{s:s,s:f,s:f}", "label", r->label[guess], "accuracy", score.accuracy, "macro_f1",
                     score.macro_f1);
}

/* How the folders were split: the one way, or "mixed". */
static json_t *split_json(const run *r)
{
    char said[32] = "";
    for (size_t d = 0; d < r->options->data_count; d++) {
        char *text = NULL;
        json_t *root = NULL;
        const char *split;
        if (wlmi_dataset_describe(r->data[d], &text, NULL) == WLM_OK)
            root = json_loads(text, 0, NULL);
        split = json_string_value(json_object_get(root, "split"));
        split = split ? split : "unknown";
        snprintf(said, sizeof said, "%.31s", said[0] && strcmp(said, split) ? "mixed" : split);
        json_decref(root);
        wlm_text_free(text);
    }
    return json_string(said);
}

static int fell_back(const run *r)
{
    int any = 0;
    for (size_t d = 0; d < r->options->data_count; d++)
        any |= wlmi_dataset_fell_back(r->data[d]);
    return any;
}

/* Labels of the part that the model was never taught: each of their flows is an error. */
static json_t *unknown_json(const run *r)
{
    json_t *names = json_array();
    for (size_t i = (size_t)r->model->net->task[r->task].labels; i < r->labels; i++)
        if (r->support[0][i])
            json_array_append_new(names, json_string(r->label[i]));
    return names;
}

static json_t *payload_json(const run *r)
{
    return r->view.payload == WLM_PAYLOAD_FULL ? json_string("full") : json_integer(r->view.payload);
}

static wlm_status write_report(const run *r, char **json, wlm_error *error)
{
    const wlmi_net *net = r->model->net;
    wlmi_label_score *score = wlmi_alloc_array(r->labels, sizeof *score);
    size_t *index = wlmi_alloc_array(r->labels, sizeof *index), n;
    json_t *root = NULL;
    char *text = NULL;
    wlmi_score all;
    if (score && index) {
        wlmi_score_confusion(r->confusion, (int)r->labels, &all, score);
        n = occurring(r, index);
        root = json_pack("{s:s,s:s,s:o,s:b,s:s,s:o,s:i,s:I,s:f,s:f,s:o,s:o,s:{s:o},s:o,s:s,s:s}", "task",
                         net->task[r->task].name, "split", wlm_part_name(r->options->part), "split_by", split_json(r),
                         "fell_back", fell_back(r), "hide", wlm_hide_name(r->view.hide), "payload",
                         payload_json(r), "max_packets",
                         (int)r->view.max_packets, "flows", (json_int_t)r->flows, "accuracy", all.accuracy, "macro_f1",
                         all.macro_f1, "labels", labels_json(r, score, index, n), "confusion",
                         confusion_json(r, index, n), "controls", "majority", majority_json(r), "labels_unknown",
                         unknown_json(r), "note", net->record.split_note, "model", r->model->id);
    }
    if (root)
        text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(root);
    wlmi_free(score);
    wlmi_free(index);
    *json = text ? wlmi_strdup(text) : NULL;
    free(text);
    return *json ? WLM_OK : WLMI_NO_MEMORY(error);
}

static void release(run *r)
{
    for (size_t i = 0; r->data && i < r->options->data_count; i++)
        wlmi_dataset_close(r->data[i]);
    wlmi_prompter_free(r->prompter);
    wlmi_rows_free(&r->rows);
    wlmi_free(r->data);
    wlmi_free(r->label);
    wlmi_free(r->confusion);
    wlmi_free(r->support[0]);
    wlmi_free(r->support[1]);
    wlmi_free(r->truth);
    wlmi_free(r->share);
}

static wlm_status prepare(run *r, wlm_error *error)
{
    const wlm_evaluate_options *o = r->options;
    const wlmi_wish wish = {o->codec, o->unit, o->hide, o->payload, o->max_packets, o->force};
    WLMI_TRY(wlmi_query_view(r->model, &wish, &r->view, error));
    WLMI_TRY(open_data(r, error));
    WLMI_TRY(join_labels(r, error));
    count_support(r);
    if (!r->total)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, o->data[0], WLM_NO_OFFSET, "no labelled flow in the %s part",
                         wlm_part_name(o->part));
    return wlmi_prompter_new(&r->prompter, &r->view, r->model->net, error);
}

wlm_status wlm_evaluate_classify(wlm_model *model, const wlm_evaluate_options *options, char **json, wlm_error *error)
{
    run r = {.model = model, .options = options, .start_s = wlmi_clock()};
    wlm_status status;
    *json = NULL;
    status = prepare(&r, error);
    if (status == WLM_OK)
        status = ask_all(&r, error);
    if (status == WLM_OK)
        status = write_report(&r, json, error);
    release(&r);
    return status;
}
