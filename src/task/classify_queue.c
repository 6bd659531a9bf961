/* classify_queue.c: questions about flows in batches. */
#include "task/classify_queue.h"

#include <string.h>

#include "base/alloc.h"
#include "task/query.h"

typedef struct entry {
    wlmi_flow flow;
    wlmi_watch *watch;
    wlmi_shown shown;
} entry;

struct wlmi_queue {
    wlm_model *model;
    wlmi_prefixes *pool;
    wlmi_queue_options options;
    wlmi_states *states;  /* NULL: none are kept */
    entry *waiting;
    size_t count, capacity, rows;
    wlmi_watch **ahead;   /* flows to be fed, from first_ahead on */
    size_t ahead_count, ahead_capacity, first_ahead;
    wlmi_rows queries;
    wlmi_moment *moment;  /* [count] */
    size_t moment_capacity;
    float *share;         /* for each task: [count, labels of the task] */
    size_t share_capacity;
    float **part;         /* [tasks]: where in share */
    wlmi_answer *answer;  /* [tasks] */
};

wlm_status wlmi_queue_new(wlmi_queue **queue, wlm_model *model, wlmi_prefixes *pool,
                          const wlmi_queue_options *options, wlm_error *error)
{
    wlmi_queue *q = wlmi_alloc_zero(1, sizeof *q);
    wlm_status status = WLM_OK;
    *queue = NULL;
    if (!q)
        return WLMI_NO_MEMORY(error);
    q->model = model;
    q->pool = pool;
    q->options = *options;
    q->answer = wlmi_alloc_array((size_t)options->tasks, sizeof *q->answer);
    q->part = wlmi_alloc_array((size_t)options->tasks, sizeof *q->part);
    if (!q->answer || !q->part)
        status = WLMI_NO_MEMORY(error);
    if (status == WLM_OK && options->keeps_states)
        status = wlmi_states_new(&q->states, model, options->hide, options->state_bytes, error);
    if (status == WLM_OK)
        *queue = q;
    else
        wlmi_queue_free(q);
    return status;
}

/* What the flow takes beside its watch. */
static void empty(wlmi_queue *q, wlmi_watch *w)
{
    if (q->states)
        wlmi_states_forget(q->states, w);
    wlmi_prefix_free(q->pool, &w->prefix);
}

static void leave(wlmi_queue *q, wlmi_watch *w)
{
    if (--w->asked == 0 && w->over) {
        empty(q, w);
        wlmi_free(w);
    }
}

static void forget(wlmi_queue *q)
{
    for (size_t i = 0; i < q->count; i++) {
        if (q->waiting[i].shown.last)
            empty(q, q->waiting[i].watch);
        leave(q, q->waiting[i].watch);
    }
    q->count = q->rows = 0;
}

void wlmi_queue_free(wlmi_queue *q)
{
    if (!q)
        return;
    forget(q);
    for (size_t i = q->first_ahead; i < q->ahead_count; i++)
        leave(q, q->ahead[i]);
    wlmi_free(q->ahead);
    wlmi_states_free(q->states);
    wlmi_rows_free(&q->queries);
    wlmi_free(q->waiting);
    wlmi_free(q->moment);
    wlmi_free(q->share);
    wlmi_free(q->part);
    wlmi_free(q->answer);
    wlmi_free(q);
}

size_t wlmi_queue_waiting(const wlmi_queue *q)
{
    return q->count;
}

wlmi_states_report wlmi_queue_states(const wlmi_queue *q)
{
    return q->states ? wlmi_states_counts(q->states) : (wlmi_states_report){0};
}

wlm_status wlmi_queue_ask(wlmi_queue *q, const wlmi_flow *flow, wlmi_watch *w, int last, wlm_error *error)
{
    size_t rows = w->prefix.tokens.count - (w->fed ? w->fed - 1 : 0) + WLMI_QUERY_ROWS;
    if (q->count && q->rows + rows > q->options.rows)
        WLMI_TRY(wlmi_queue_run(q, error));
    if (!wlmi_grow(&q->waiting, &q->capacity, q->count + 1, sizeof *q->waiting))
        return WLMI_NO_MEMORY(error);
    if (last)
        wlmi_prefix_end(q->pool, &w->prefix);
    q->waiting[q->count++] = (entry){
        *flow, w, {w->prefix.packets, w->prefix.tokens.count, w->prefix.clipped, last}};
    q->rows += rows;
    w->asked++;
    w->answered |= last != 0;
    return WLM_OK;
}

void wlmi_queue_release(wlmi_queue *q, wlmi_watch *w)
{
    w->over = 1;
    if (w->asked)
        return;
    empty(q, w);
    wlmi_free(w);
}

static size_t labels_of(const wlmi_queue *q, int i)
{
    return (size_t)q->model->net->task[q->options.task[i]].labels;
}

static wlm_status ask_packed(wlmi_queue *q, int task, float *out, wlm_error *error)
{
    wlmi_batch batch;
    wlmi_rows_clear(&q->queries);
    for (size_t i = 0; i < q->count; i++)
        WLMI_TRY(wlmi_prefix_ask(&q->waiting[i].watch->prefix, q->model->net, q->model->codec, 0, task,
                                 &q->queries, error));
    batch = wlmi_rows_batch(&q->queries);
    return wlmi_query_run(q->model, &batch, NULL, task, q->options.hide, out, error);
}

static wlm_status ask_streams(wlmi_queue *q, wlm_error *error)
{
    if (!wlmi_grow(&q->moment, &q->moment_capacity, q->count, sizeof *q->moment))
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < q->count; i++)
        q->moment[i] = (wlmi_moment){q->waiting[i].watch, q->waiting[i].shown.tokens,
                                     (int32_t)q->waiting[i].shown.packets, q->waiting[i].shown.last};
    return wlmi_states_ask(q->states, q->moment, q->count, q->options.task, q->options.tasks, q->options.rows, q->part,
                           error);
}

wlm_status wlmi_queue_ahead(wlmi_queue *q, wlmi_watch *w, wlm_error *error)
{
    if (w->ahead)
        return WLM_OK;
    if (q->first_ahead == q->ahead_count)
        q->first_ahead = q->ahead_count = 0;
    if (!wlmi_grow(&q->ahead, &q->ahead_capacity, q->ahead_count + 1, sizeof *q->ahead))
        return WLMI_NO_MEMORY(error);
    q->ahead[q->ahead_count++] = w;
    w->ahead = 1;
    w->asked++;
    return WLM_OK;
}

/* Of the next so many the flow that has shown the most packets comes first: it will be asked about the soonest. */
static void bring_nearest(wlmi_queue *q)
{
    enum { NEXT = 256 };
    const size_t end = q->ahead_count - q->first_ahead < NEXT ? q->ahead_count : q->first_ahead + NEXT;
    size_t best = q->first_ahead;
    wlmi_watch *first = q->ahead[best];
    for (size_t i = best + 1; i < end; i++)
        if (q->ahead[i]->prefix.packets > q->ahead[best]->prefix.packets)
            best = i;
    q->ahead[q->first_ahead] = q->ahead[best];
    q->ahead[best] = first;
}

/* Those that ended or were answered meanwhile need no feeding. */
wlm_status wlmi_queue_feed(wlmi_queue *q, size_t *rows, wlm_error *error)
{
    const size_t most = *rows;
    size_t from = q->first_ahead, count = 0;
    wlm_status status = WLM_OK;
    *rows = 0;
    while (q->first_ahead < q->ahead_count && *rows < most) {
        wlmi_watch *w;
        bring_nearest(q);
        w = q->ahead[q->first_ahead++];
        if (w->over || w->answered || w->fed == 1 + w->prefix.tokens.count)
            continue;
        if (!wlmi_grow(&q->moment, &q->moment_capacity, count + 1, sizeof *q->moment)) {
            status = WLMI_NO_MEMORY(error);
            break;
        }
        q->moment[count++] = (wlmi_moment){w, w->prefix.tokens.count, 0, 0};
        *rows += 1 + w->prefix.tokens.count - w->fed;
    }
    if (status == WLM_OK && count)
        status = wlmi_states_ask(q->states, q->moment, count, NULL, 0, q->options.rows, NULL, error);
    for (; from < q->first_ahead; from++) {
        q->ahead[from]->ahead = 0;
        leave(q, q->ahead[from]);
    }
    return status;
}

wlm_status wlmi_queue_run(wlmi_queue *q, wlm_error *error)
{
    size_t labels = 0;
    if (!q->count)
        return WLM_OK;
    for (int i = 0; i < q->options.tasks; i++)
        labels += labels_of(q, i);
    if (!wlmi_grow(&q->share, &q->share_capacity, q->count * labels, sizeof *q->share))
        return WLMI_NO_MEMORY(error);
    for (int i = 0; i < q->options.tasks; i++) {
        q->part[i] = i ? q->part[i - 1] + q->count * labels_of(q, i - 1) : q->share;
        if (!q->states)
            WLMI_TRY(ask_packed(q, q->options.task[i], q->part[i], error));
    }
    if (q->states)
        WLMI_TRY(ask_streams(q, error));
    for (size_t f = 0; f < q->count; f++) {
        for (int i = 0; i < q->options.tasks; i++)
            q->answer[i] = (wlmi_answer){q->options.task[i], q->part[i] + f * labels_of(q, i)};
        q->options.answered(q->options.owner, &q->waiting[f].flow, &q->waiting[f].shown, q->answer);
    }
    forget(q);
    return WLM_OK;
}
