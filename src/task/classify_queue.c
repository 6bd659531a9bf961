/* classify_queue.c: ended flows in packed batches. */
#include "task/classify_queue.h"

#include <string.h>

#include "base/alloc.h"
#include "task/query.h"

typedef struct entry {
    wlmi_flow flow;
    wlmi_prefix prefix;
} entry;

struct wlmi_queue {
    wlm_model *model;
    wlmi_prefixes *pool;
    wlmi_queue_options options;
    entry *waiting;
    size_t count, capacity, tokens;
    wlmi_rows queries;
    float *share;         /* for each task: [count, labels of the task] */
    size_t share_capacity;
    wlmi_answer *answer;  /* [tasks] */
};

wlm_status wlmi_queue_new(wlmi_queue **queue, wlm_model *model, wlmi_prefixes *pool,
                          const wlmi_queue_options *options, wlm_error *error)
{
    wlmi_queue *q = wlmi_alloc_zero(1, sizeof *q);
    *queue = q;
    if (!q)
        return WLMI_NO_MEMORY(error);
    q->model = model;
    q->pool = pool;
    q->options = *options;
    q->answer = wlmi_alloc_array((size_t)options->tasks, sizeof *q->answer);
    if (q->answer)
        return WLM_OK;
    wlmi_queue_free(q);
    *queue = NULL;
    return WLMI_NO_MEMORY(error);
}

static void forget(wlmi_queue *q)
{
    for (size_t i = 0; i < q->count; i++)
        wlmi_prefix_free(q->pool, &q->waiting[i].prefix);
    q->count = q->tokens = 0;
}

void wlmi_queue_free(wlmi_queue *q)
{
    if (!q)
        return;
    forget(q);
    wlmi_rows_free(&q->queries);
    wlmi_free(q->waiting);
    wlmi_free(q->share);
    wlmi_free(q->answer);
    wlmi_free(q);
}

size_t wlmi_queue_waiting(const wlmi_queue *q)
{
    return q->count;
}

wlm_status wlmi_queue_add(wlmi_queue *q, const wlmi_flow *flow, wlmi_prefix *prefix, wlm_error *error)
{
    size_t rows = prefix->tokens.count + WLMI_QUERY_ROWS;
    if (q->count && q->tokens + rows > q->options.rows)
        WLMI_TRY(wlmi_queue_run(q, error));
    if (!wlmi_grow(&q->waiting, &q->capacity, q->count + 1, sizeof *q->waiting))
        return WLMI_NO_MEMORY(error);
    wlmi_prefix_end(q->pool, prefix);
    q->waiting[q->count++] = (entry){*flow, *prefix};
    q->tokens += rows;
    memset(prefix, 0, sizeof *prefix);
    return WLM_OK;
}

static size_t labels_of(const wlmi_queue *q, int i)
{
    return (size_t)q->model->net->task[q->options.task[i]].labels;
}

static wlm_status ask(wlmi_queue *q, int task, float *out, wlm_error *error)
{
    wlmi_batch batch;
    wlmi_rows_clear(&q->queries);
    for (size_t i = 0; i < q->count; i++)
        WLMI_TRY(wlmi_prefix_ask(&q->waiting[i].prefix, q->model->net, q->model->codec, task, &q->queries, error));
    batch = wlmi_rows_batch(&q->queries);
    return wlmi_query_run(q->model, &batch, task, out, error);
}

wlm_status wlmi_queue_run(wlmi_queue *q, wlm_error *error)
{
    size_t labels = 0;
    float *share;
    if (!q->count)
        return WLM_OK;
    for (int i = 0; i < q->options.tasks; i++)
        labels += labels_of(q, i);
    if (!wlmi_grow(&q->share, &q->share_capacity, q->count * labels, sizeof *q->share))
        return WLMI_NO_MEMORY(error);
    share = q->share;
    for (int i = 0; i < q->options.tasks; i++) {
        q->answer[i] = (wlmi_answer){q->options.task[i], share};
        WLMI_TRY(ask(q, q->options.task[i], share, error));
        share += q->count * labels_of(q, i);
    }
    for (size_t f = 0; f < q->count; f++) {
        q->options.answered(q->options.owner, &q->waiting[f].flow, &q->waiting[f].prefix, q->answer);
        for (int i = 0; i < q->options.tasks; i++)
            q->answer[i].share += labels_of(q, i);
    }
    forget(q);
    return WLM_OK;
}
