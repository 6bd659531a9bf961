/* summary_teach.c: numbers and labels of questions, task by task, and trees from them. */
#include "task/summary_teach.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "model/embed.h"
#include "model/params.h"
#include "model/summary.h"
#include "task/boost.h"

enum { F = WLMI_SUMMARY_NUMBERS, ALONG_ONE_IN = 8 };
static const float along_weight = .1f;

typedef struct questions { /* of one task, of flows that show the same */
    float *number; /* [count, F] */
    int *label;    /* [count] */
    float *weight; /* [count] */
    size_t count, number_room, label_room, weight_room;
} questions;

typedef struct teacher {
    wlmi_net *net;
    wlmi_summary_lesson *lesson;
    questions (*of)[WLMI_SHOWN]; /* [tasks] */
    void *block;   /* of the room */
    size_t size;
    int trees_before; /* of tasks that are done */
    wlmi_rng rng;
    double loss_first, loss_last;
} teacher;

static wlm_status keep(questions *q, const float *number, int label, float weight, wlm_error *error)
{
    if (!wlmi_grow(&q->number, &q->number_room, (q->count + 1) * F, sizeof *q->number) ||
        !wlmi_grow(&q->label, &q->label_room, q->count + 1, sizeof *q->label) ||
        !wlmi_grow(&q->weight, &q->weight_room, q->count + 1, sizeof *q->weight))
        return WLMI_NO_MEMORY(error);
    memcpy(q->number + q->count * F, number, F * sizeof *number);
    q->weight[q->count] = weight;
    q->label[q->count++] = label;
    return WLM_OK;
}

/* Of a question. Several stand along a flow, of which trees would learn most: one in four of those is taken, 0 says that
 * this is none. */
static float weight_at(teacher *t, const wlmi_batch *batch, int32_t position)
{
    int s = 0;
    while (batch->segments.starts[s + 1] <= position)
        s++;
    if (position + 1 == batch->segments.starts[s + 1])
        return 1;
    return wlmi_rng_below(&t->rng, ALONG_ONE_IN) == 0 ? along_weight : 0;
}

static wlm_status take_batch(teacher *t, const wlmi_batch *batch, wlm_error *error)
{
    wlmi_summary_room room = {.asks = wlmi_summary_asks(t->net, batch)};
    const size_t need = wlmi_summary_lay_out(&room, NULL);
    if (need > t->size) {
        wlmi_free(t->block);
        t->block = wlmi_alloc_aligned(need);
        t->size = t->block ? need : 0;
        if (!t->block)
            return WLMI_NO_MEMORY(error);
    }
    wlmi_summary_lay_out(&room, t->block);
    wlmi_summary_read(t->net, batch, NULL, 0, &room);
    for (int a = 0; a < room.asks; a++) {
        const int task = room.task[a];
        const float *number = room.number + (size_t)a * F;
        const int label = task < 0 ? -1 : batch->target[room.position[a]] - t->net->task[task].row - 1;
        const float weight = weight_at(t, batch, room.position[a]);
        if (label >= 0 && label < t->net->task[task].labels && weight > 0)
            WLMI_TRY(keep(&t->of[task][wlmi_summary_shown(number)], number, label, weight, error));
    }
    return WLM_OK;
}

static wlm_status read_batches(teacher *t, wlmi_batches *batches, wlmi_rows *rows, wlm_error *error)
{
    wlmi_summary_lesson *l = t->lesson;
    uint64_t cursor = 0;
    for (uint64_t i = 0; i < l->batches; i++) {
        wlmi_batch batch;
        WLMI_TRY(wlmi_batches_next(batches, &cursor, rows, error));
        batch = wlmi_rows_batch(rows);
        WLMI_TRY(wlmi_batch_check(t->net, &batch, error));
        WLMI_TRY(take_batch(t, &batch, error));
        l->tokens += (uint64_t)batch.tokens;
        if (l->told && l->told(l->user, "batches", i + 1, l->batches, NAN))
            return wlmi_fail(error, WLM_STOPPED, NULL, WLM_NO_OFFSET, "stopped after %llu batches",
                             (unsigned long long)i + 1);
    }
    return WLM_OK;
}

static int grown(void *user, int trees, double loss)
{
    teacher *t = user;
    const wlmi_summary_lesson *l = t->lesson;
    const int all = WLMI_SHOWN * t->net->config.summary_trees * t->net->tasks;
    t->loss_first = trees == 1 ? loss : t->loss_first;
    t->loss_last = loss;
    return l->told ? l->told(l->user, "trees", (uint64_t)(t->trees_before + trees), (uint64_t)all, loss) : 0;
}

/* The task's trees into the net's tensors. */
static void put_trees(const wlmi_net *net, int task, int shown, const wlmi_boosted *trees)
{
    const wlmi_backend *b = net->backend;
    const size_t R = (size_t)net->config.summary_trees, L = (size_t)net->config.summary_labels;
    const size_t K = (size_t)net->task[task].labels, splits = R * WLMI_SUMMARY_SPLITS;
    const size_t first = (size_t)(net->task[task].row + 1 - net->config.vocabulary - WLMI_SPECIALS);
    const size_t at = (size_t)(shown * net->config.summary_tasks + task) * splits;
    const size_t row = (size_t)shown * R * WLMI_SUMMARY_LEAVES;
    wlmi_real *value = wlmi_value(net, wlmi_summary_param(net, WLMI_SUMMARY_VALUE));
    b->from_float(wlmi_at(b, wlmi_value(net, wlmi_summary_param(net, WLMI_SUMMARY_INDEX)), at), trees->index, splits);
    b->from_float(wlmi_at(b, wlmi_value(net, wlmi_summary_param(net, WLMI_SUMMARY_BORDER)), at), trees->border, splits);
    for (size_t leaf = 0; leaf < R * WLMI_SUMMARY_LEAVES; leaf++)
        b->from_float(wlmi_at(b, value, (row + leaf) * L + first), trees->value + leaf * K, K);
}

/* 1 on the average. */
static void level_weights(questions *q)
{
    double sum = 0;
    for (size_t i = 0; i < q->count; i++)
        sum += (double)q->weight[i];
    for (size_t i = 0; i < q->count; i++)
        q->weight[i] *= (float)((double)q->count / sum);
}

static wlm_status grow_task(teacher *t, int task, int shown, wlm_error *error)
{
    const questions *q = &t->of[task][shown];
    const size_t R = (size_t)t->net->config.summary_trees, K = (size_t)t->net->task[task].labels;
    const wlmi_samples samples = {q->number, q->label, q->count, F, (int)K};
    wlmi_boost_options options = wlmi_boost_options_default();
    wlmi_boosted trees = {wlmi_alloc_array(R * WLMI_SUMMARY_SPLITS, sizeof(float)),
                          wlmi_alloc_array(R * WLMI_SUMMARY_SPLITS, sizeof(float)),
                          wlmi_alloc_array(R * WLMI_SUMMARY_LEAVES * K, sizeof(float))};
    wlm_status status = trees.index && trees.border && trees.value ? WLM_OK : WLMI_NO_MEMORY(error);
    level_weights(&t->of[task][shown]);
    options.weight = q->weight;
    options.trees = (int)R;
    options.depth = WLMI_SUMMARY_DEPTH;
    options.seed = wlmi_mix2(t->lesson->seed, (uint64_t)(WLMI_SHOWN * task + shown));
    options.grown = grown;
    options.user = t;
    if (status == WLM_OK)
        status = wlmi_boost(&samples, &options, t->net->backend, &trees, error);
    if (status == WLM_OK)
        put_trees(t->net, task, shown, &trees);
    wlmi_free(trees.index);
    wlmi_free(trees.border);
    wlmi_free(trees.value);
    return status;
}

static wlm_status grow_all(teacher *t, wlm_error *error)
{
    const int sets = WLMI_SHOWN * t->net->tasks;
    int taught = 0;
    for (int i = 0; i < sets; i++, t->trees_before += t->net->config.summary_trees) {
        if (!t->of[i / WLMI_SHOWN][i % WLMI_SHOWN].count)
            continue;
        WLMI_TRY(grow_task(t, i / WLMI_SHOWN, i % WLMI_SHOWN, error));
        t->lesson->loss_first += t->loss_first;
        t->lesson->loss_last += t->loss_last;
        taught++;
    }
    if (!taught)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no question in what a summary is taught with");
    t->lesson->loss_first /= taught;
    t->lesson->loss_last /= taught;
    return t->net->backend->status(error);
}

wlm_status wlmi_teach_summary(wlmi_net *net, wlmi_batches *batches, wlmi_summary_lesson *lesson, wlm_error *error)
{
    teacher t = {.net = net, .lesson = lesson, .of = wlmi_alloc_zero((size_t)net->tasks, sizeof *t.of)};
    wlmi_rows rows = {0};
    wlm_status status;
    wlmi_rng_seed(&t.rng, lesson->seed);
    status = t.of ? read_batches(&t, batches, &rows, error) : WLMI_NO_MEMORY(error);
    lesson->loss_first = lesson->loss_last = 0;
    if (status == WLM_OK)
        status = grow_all(&t, error);
    for (int i = 0; t.of && i < WLMI_SHOWN * net->tasks; i++) {
        questions *q = &t.of[i / WLMI_SHOWN][i % WLMI_SHOWN];
        wlmi_free(q->number);
        wlmi_free(q->label);
        wlmi_free(q->weight);
    }
    wlmi_free(t.of);
    wlmi_free(t.block);
    wlmi_rows_free(&rows);
    return status;
}
