/* batch.c: the stream of packed batches that training reads. */
#include "task/batch.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "task/labelled.h"

typedef struct source { /* a folder */
    const wlmi_dataset *data;
    uint64_t first; /* flows of the folders before it */
    int task;       /* in the net, -1: none */
    int *label;     /* [labels of the folder]: in the net's task, -1: not there */
} source;

struct wlmi_batches {
    wlmi_batch_options options;
    const wlmi_net *net;
    wlmi_prompter *prompter;
    wlmi_pieces *pieces;    /* unit capture, else NULL */
    source *source;
    size_t sources;
    uint64_t flows;         /* of all folders and parts */
    uint64_t usable[3][2];  /* [part][has a label] flows */
    wlmi_place *plain;
    uint64_t plains;
    wlmi_labelled labelled;
    uint64_t plain_share, classify_share; /* of all, and of what is not plain; in 2^-32 */
};

wlmi_batch_options wlmi_batch_options_default(void)
{
    wlmi_batch_options options = {.plain = 1, .balance = 0.5, .task_balance = 0.5, .tokens = 4096, .seed = 1};
    return options;
}

/* The label of a flow as an index in the net's task of its folder, or -1. */
static int label_of(const source *s, const wlmi_shard_flow *flow)
{
    return s->task < 0 || flow->label == WLMI_NO_LABEL ? -1 : s->label[flow->label];
}

int wlmi_batch_leaves_out(const char *list, const char *label)
{
    for (size_t length; list; list = list[length] ? list + length + 1 : NULL) {
        length = strcspn(list, ",");
        if (strlen(label) == length && !strncmp(list, label, length))
            return 1;
    }
    return 0;
}

static wlm_status open_source(wlmi_batches *b, source *s, const wlmi_dataset *data, int strict, wlm_error *error)
{
    const char *task = wlmi_dataset_task(data);
    uint32_t labels = wlmi_dataset_labels(data);
    s->data = data;
    s->first = b->flows;
    b->flows += wlmi_dataset_flows(data);
    s->task = task ? wlmi_net_find_task(b->net, task) : -1;
    if (task && s->task < 0 && strict)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "the model has no task '%s'", task);
    s->label = wlmi_alloc_array(labels, sizeof *s->label);
    if (!s->label)
        return WLMI_NO_MEMORY(error);
    for (uint32_t i = 0; i < labels; i++) {
        const char *label = wlmi_dataset_label(data, i);
        const int left_out = wlmi_batch_leaves_out(b->options.leave_out, label);
        s->label[i] = s->task < 0 || left_out ? -1 : wlmi_task_find_label(&b->net->task[s->task], label);
        if (s->task >= 0 && s->label[i] < 0 && !left_out && strict)
            return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "the model's task '%s' has no label '%s'",
                             task, label);
    }
    return WLM_OK;
}

static wlm_status count_flows(wlmi_batches *b, wlm_error *error)
{
    WLMI_TRY(wlmi_labelled_begin(&b->labelled, b->net, error));
    for (size_t i = 0; i < b->sources; i++)
        for (uint64_t j = 0; j < wlmi_dataset_flows(b->source[i].data); j++) {
            wlmi_shard_flow flow;
            int label;
            wlmi_dataset_flow(b->source[i].data, j, &flow);
            label = label_of(&b->source[i], &flow);
            if (flow.part == WLM_PART_NONE)
                continue;
            b->usable[flow.part][label >= 0]++;
            if (flow.part == WLM_PART_TRAIN && label >= 0)
                wlmi_labelled_count(&b->labelled, b->source[i].task, label);
        }
    return WLM_OK;
}

static wlm_status place_flows(wlmi_batches *b, wlm_error *error)
{
    const uint64_t *train = b->usable[WLM_PART_TRAIN];
    WLMI_TRY(wlmi_labelled_room(&b->labelled, error));
    b->plain = wlmi_alloc_array(train[0] + train[1], sizeof *b->plain);
    if (!b->plain)
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < b->sources; i++)
        for (uint64_t j = 0; j < wlmi_dataset_flows(b->source[i].data); j++) {
            const wlmi_place at = {(uint32_t)i, j};
            wlmi_shard_flow flow;
            int label;
            wlmi_dataset_flow(b->source[i].data, j, &flow);
            if (flow.part != WLM_PART_TRAIN)
                continue;
            b->plain[b->plains++] = at;
            label = label_of(&b->source[i], &flow);
            if (label >= 0)
                wlmi_labelled_add(&b->labelled, b->source[i].task, label, at);
        }
    return WLM_OK;
}

static wlm_status check(const wlmi_batch_options *o, const wlmi_view *view, wlm_error *error)
{
    if (!(o->plain >= 0) || !(o->classify >= 0) || !(o->generate >= 0) || !(o->plain + o->classify + o->generate > 0) ||
        !isfinite(o->plain + o->classify + o->generate))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "shares of prompts must not be negative, nor all 0");
    if (!(o->balance >= 0 && o->balance <= 1) || !(o->task_balance >= 0 && o->task_balance <= 1))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "balance is between 0 and 1");
    if (o->tokens < view->context)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "%d tokens per batch cannot hold a sequence of %d", o->tokens, view->context);
    return WLM_OK;
}

static wlm_status prepare(wlmi_batches *b, const wlmi_dataset *const *data, size_t count, const wlmi_view *view,
                          wlm_error *error)
{
    const wlmi_batch_options *o = &b->options;
    const wlmi_labelled_options drawing = {o->balance, o->task_balance, o->task_shares, o->per_label, o->draw};
    WLMI_TRY(check(o, view, error));
    WLMI_TRY(wlmi_prompter_new(&b->prompter, view, b->net, error));
    b->source = wlmi_alloc_zero(count, sizeof *b->source);
    if (!b->source)
        return WLMI_NO_MEMORY(error);
    b->sources = count;
    for (size_t i = 0; i < count; i++)
        WLMI_TRY(open_source(b, &b->source[i], data[i], o->classify + o->generate > 0, error));
    WLMI_TRY(count_flows(b, error));
    WLMI_TRY(place_flows(b, error));
    WLMI_TRY(wlmi_labelled_share(&b->labelled, &drawing, error));
    if (view->unit == WLM_UNIT_CAPTURE) {
        if (o->classify + o->generate > 0)
            return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                             "labels belong to flows: unit capture trains plain prompts only");
        WLMI_TRY(wlmi_pieces_new(&b->pieces, data, count, view, b->net, error));
    }
    if (o->plain > 0 && !b->plains)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no flows to train on: the train part is empty");
    if (o->classify + o->generate > 0 && !b->labelled.slots)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "no flows with a label to train on: classify and generate need an import with --task");
    b->plain_share = (uint64_t)(o->plain / (o->plain + o->classify + o->generate) * 0x1p32 + 0.5);
    b->classify_share =
        o->classify + o->generate > 0 ? (uint64_t)(o->classify / (o->classify + o->generate) * 0x1p32 + 0.5) : 0;
    return WLM_OK;
}

wlm_status wlmi_batches_new(wlmi_batches **batches, const wlmi_dataset *const *data, size_t count, const wlmi_net *net,
                            const wlmi_view *view, const wlmi_batch_options *options, wlm_error *error)
{
    wlm_status status;
    *batches = wlmi_alloc_zero(1, sizeof **batches);
    if (!*batches)
        return WLMI_NO_MEMORY(error);
    (*batches)->options = *options;
    (*batches)->net = net;
    status = prepare(*batches, data, count, view, error);
    if (status != WLM_OK) {
        wlmi_batches_free(*batches);
        *batches = NULL;
    }
    return status;
}

void wlmi_batches_free(wlmi_batches *b)
{
    if (!b)
        return;
    for (size_t i = 0; b->source && i < b->sources; i++)
        wlmi_free(b->source[i].label);
    wlmi_free(b->source);
    wlmi_free(b->plain);
    wlmi_labelled_clear(&b->labelled);
    wlmi_prompter_free(b->prompter);
    wlmi_pieces_free(b->pieces);
    wlmi_free(b);
}

uint64_t wlmi_batches_flows(const wlmi_batches *b, wlm_part part, wlmi_prompt prompt)
{
    if (b->pieces)
        return prompt == WLMI_PROMPT_PLAIN ? wlmi_pieces_packets(b->pieces, part) : 0;
    if (part == WLM_PART_NONE)
        return 0;
    return b->usable[part][1] + (prompt == WLMI_PROMPT_PLAIN ? b->usable[part][0] : 0);
}

/* How many of the first n draws fall to a share (in 2^-32), evenly spread: floor(n * share). */
static uint64_t fallen(uint64_t n, uint64_t share)
{
    return (n >> 32) * share + ((n & UINT32_MAX) * share >> 32);
}

/* The prompt of sequence i; *rank counts the sequences of its kind before it. */
static wlmi_prompt kind_of(const wlmi_batches *b, uint64_t i, uint64_t *rank)
{
    uint64_t plains = fallen(i, b->plain_share), others = i - plains, classifies;
    *rank = plains;
    if (fallen(i + 1, b->plain_share) > plains)
        return WLMI_PROMPT_PLAIN;
    classifies = *rank = fallen(others, b->classify_share);
    if (fallen(others + 1, b->classify_share) > classifies)
        return WLMI_PROMPT_CLASSIFY;
    *rank = others - classifies;
    return WLMI_PROMPT_GENERATE;
}

/* The place of the i-th draw of n, in another order each time round. */
static uint64_t drawn(uint64_t seed, uint64_t i, uint64_t n)
{
    return wlmi_permute(wlmi_mix2(seed, i / n), i % n, n);
}

static wlm_status append(wlmi_batches *b, uint64_t i, wlmi_rows *rows, wlm_error *error)
{
    uint64_t rank, seed, draw = wlmi_mix2(wlmi_mix2(b->options.seed, 1), i) | 1;
    wlmi_prompt prompt = kind_of(b, i, &rank);
    int task = -1, label = -1;
    wlmi_place at;
    seed = wlmi_mix2(b->options.seed, 2 + (uint64_t)prompt);
    if (b->pieces) {
        uint64_t first = drawn(seed, rank, wlmi_pieces_packets(b->pieces, WLM_PART_TRAIN)), used;
        return wlmi_pieces_append(b->pieces, WLM_PART_TRAIN, first, draw, rows, &used, error);
    }
    if (prompt == WLMI_PROMPT_PLAIN) {
        at = b->plain[drawn(seed, rank, b->plains)];
    } else {
        at = wlmi_labelled_draw(&b->labelled, seed, rank, &task, &label);
    }
    return wlmi_prompter_append(b->prompter, b->source[at.source].data, at.flow, prompt, task, label, draw, rows, NULL,
                                error);
}

wlm_status wlmi_batches_next(wlmi_batches *b, uint64_t *cursor, wlmi_rows *rows, wlm_error *error)
{
    wlmi_rows_clear(rows);
    for (;;) {
        WLMI_TRY(append(b, *cursor, rows, error));
        if (rows->tokens > b->options.tokens) {
            wlmi_rows_cut(rows, rows->segments - 1);
            return WLM_OK;
        }
        ++*cursor;
    }
}

static wlm_status sweep_pieces(wlmi_batches *b, wlm_part part, uint64_t *cursor, wlmi_rows *rows, wlm_error *error)
{
    while (*cursor < wlmi_pieces_packets(b->pieces, part)) {
        uint64_t used;
        WLMI_TRY(wlmi_pieces_append(b->pieces, part, *cursor, 0, rows, &used, error));
        if (rows->tokens > b->options.tokens) {
            wlmi_rows_cut(rows, rows->segments - 1);
            return WLM_OK;
        }
        *cursor += used;
    }
    return rows->segments ? WLM_OK : WLM_END;
}

static const source *source_of(const wlmi_batches *b, uint64_t flow)
{
    size_t at = 0;
    while (at + 1 < b->sources && b->source[at + 1].first <= flow)
        at++;
    return &b->source[at];
}

wlm_status wlmi_batches_sweep(wlmi_batches *b, wlm_part part, wlmi_prompt prompt, uint64_t *cursor, wlmi_rows *rows,
                              wlm_error *error)
{
    const uint64_t order = 1; /* one seed for all runs: their losses are then over the same flows */
    wlmi_rows_clear(rows);
    if (b->pieces)
        return sweep_pieces(b, part, cursor, rows, error);
    for (; *cursor < b->flows; ++*cursor) {
        uint64_t at = wlmi_permute(order, *cursor, b->flows);
        const source *s = source_of(b, at);
        wlmi_shard_flow flow;
        int label;
        wlmi_dataset_flow(s->data, at - s->first, &flow);
        label = label_of(s, &flow);
        if (flow.part != part || (prompt != WLMI_PROMPT_PLAIN && label < 0))
            continue;
        WLMI_TRY(wlmi_prompter_append(b->prompter, s->data, at - s->first, prompt, s->task, label, 0, rows, NULL,
                                      error));
        if (rows->tokens > b->options.tokens) {
            wlmi_rows_cut(rows, rows->segments - 1);
            return WLM_OK;
        }
    }
    return rows->segments ? WLM_OK : WLM_END;
}
