/* classify_states.c: resident streams: fed in batches, peeked at in batches, dropped by last use. */
#include "task/classify_states.h"

#include "base/alloc.h"
#include "task/query.h"

struct wlmi_states {
    wlm_model *model;
    wlm_hide hide;
    size_t budget, bytes;
    wlmi_watch *first, *last;  /* least recently used first */
    uint64_t round;
    wlmi_states_report report;
    wlmi_rows rows;
    wlmi_stream **stream;      /* of the segments of rows */
    size_t stream_capacity;
    size_t *taken;             /* moments of the round */
    size_t taken_capacity, taken_count;
    uint8_t *done;             /* [count] */
    size_t done_capacity;
    float *share;              /* [taken, labels] */
    size_t share_capacity;
};

wlm_status wlmi_states_new(wlmi_states **states, wlm_model *model, wlm_hide hide, size_t budget, wlm_error *error)
{
    *states = wlmi_alloc_zero(1, sizeof **states);
    if (!*states)
        return WLMI_NO_MEMORY(error);
    (*states)->model = model;
    (*states)->hide = hide;
    (*states)->budget = budget;
    return WLM_OK;
}

void wlmi_states_free(wlmi_states *s)
{
    if (!s)
        return;
    wlmi_rows_free(&s->rows);
    wlmi_free(s->stream);
    wlmi_free(s->taken);
    wlmi_free(s->done);
    wlmi_free(s->share);
    wlmi_free(s);
}

wlmi_states_report wlmi_states_counts(const wlmi_states *s)
{
    return s->report;
}

/* ---------------------------------------------------------------- by last use */

static void unlink_watch(wlmi_states *s, wlmi_watch *w)
{
    *(w->before ? &w->before->after : &s->first) = w->after;
    *(w->after ? &w->after->before : &s->last) = w->before;
    w->before = w->after = NULL;
}

static void append_watch(wlmi_states *s, wlmi_watch *w)
{
    w->before = s->last;
    *(s->last ? &s->last->after : &s->first) = w;
    s->last = w;
}

void wlmi_states_forget(wlmi_states *s, wlmi_watch *w)
{
    if (!w->stream.block)
        return;
    s->bytes -= wlmi_stream_bytes(&w->stream, s->model->net);
    unlink_watch(s, w);
    wlmi_stream_free(&w->stream);
    w->fed = 0;
}

static void keep_budget(wlmi_states *s)
{
    while (s->first && s->bytes > s->budget) {
        s->first->dropped = 1;
        s->report.dropped++;
        wlmi_states_forget(s, s->first);
    }
    if (s->bytes > s->report.most_bytes)
        s->report.most_bytes = s->bytes;
}

static wlm_status provide(wlmi_states *s, wlmi_watch *w, wlm_error *error)
{
    if (w->stream.block) {
        unlink_watch(s, w);
        append_watch(s, w);
        return WLM_OK;
    }
    WLMI_TRY(wlmi_stream_new(&w->stream, s->model->net, error));
    s->bytes += wlmi_stream_bytes(&w->stream, s->model->net);
    s->report.recomputed += w->dropped;
    append_watch(s, w);
    return WLM_OK;
}

/* ---------------------------------------------------------------- rounds */

/* Moments that are next for their flows, as many as fit the rows. */
static wlm_status choose(wlmi_states *s, const wlmi_moment *moment, size_t count, size_t most_rows, wlm_error *error)
{
    size_t rows = 0;
    s->round++;
    s->taken_count = 0;
    for (size_t i = 0; i < count; i++) {
        wlmi_watch *w = moment[i].watch;
        size_t more;
        if (s->done[i] || w->round == s->round)
            continue;
        w->round = s->round;
        more = 1 + moment[i].tokens - w->fed;
        if (s->taken_count && rows + more + 2 > most_rows)
            continue;
        rows += more + 2;
        WLMI_TRY(provide(s, w, error));
        s->taken[s->taken_count++] = i;
    }
    return WLM_OK;
}

/* Moments after which no stream is needed are left to the peek where there is one, if `by_peek`. */
static wlm_status feed(wlmi_states *s, const wlmi_moment *moment, int by_peek, wlm_error *error)
{
    const wlmi_net *net = s->model->net;
    wlmi_batch batch;
    size_t streams = 0;
    wlmi_rows_clear(&s->rows);
    for (size_t i = 0; i < s->taken_count; i++) {
        const wlmi_moment *m = &moment[s->taken[i]];
        if (m->watch->fed == 1 + m->tokens || (by_peek && m->last))
            continue;
        WLMI_TRY(wlmi_prefix_rows(&m->watch->prefix, s->model->codec, m->watch->fed, 1 + m->tokens, &s->rows, error));
        s->stream[streams++] = &m->watch->stream;
        s->bytes -= wlmi_stream_bytes(&m->watch->stream, net);
    }
    if (streams) {
        wlm_status status;
        batch = wlmi_rows_batch(&s->rows);
        status = wlmi_net_logits(s->model->net, &batch, s->stream, 1, NULL, 0, 0, 1, NULL, error);
        for (size_t i = 0; i < streams; i++)
            s->bytes += wlmi_stream_bytes(s->stream[i], net);
        WLMI_TRY(status);
    }
    for (size_t i = 0; i < s->taken_count; i++)
        if (!by_peek || !moment[s->taken[i]].last)
            moment[s->taken[i]].watch->fed = 1 + moment[s->taken[i]].tokens;
    return WLM_OK;
}

static wlm_status peek(wlmi_states *s, const wlmi_moment *moment, int task, float *out, wlm_error *error)
{
    const wlmi_task *t = &s->model->net->task[task];
    const size_t labels = (size_t)t->labels;
    wlmi_batch batch;
    wlmi_rows_clear(&s->rows);
    for (size_t i = 0; i < s->taken_count; i++) {
        const wlmi_moment *m = &moment[s->taken[i]];
        if (m->watch->fed == 1 + m->tokens)
            WLMI_TRY(wlmi_query_rows(s->model, task, m->packets, &s->rows, error));
        else
            WLMI_TRY(wlmi_prefix_ask(&m->watch->prefix, s->model->net, s->model->codec, m->watch->fed, task, &s->rows,
                                     error));
        s->stream[i] = &m->watch->stream;
    }
    if (!wlmi_grow(&s->share, &s->share_capacity, s->taken_count * labels, sizeof *s->share))
        return WLMI_NO_MEMORY(error);
    batch = wlmi_rows_batch(&s->rows);
    WLMI_TRY(wlmi_query_run(s->model, &batch, s->stream, task, s->hide, s->share, error));
    for (size_t i = 0; i < s->taken_count; i++)
        for (size_t j = 0; j < labels; j++)
            out[s->taken[i] * labels + j] = s->share[i * labels + j];
    return WLM_OK;
}

wlm_status wlmi_states_ask(wlmi_states *s, const wlmi_moment *moment, size_t count, const int *task, int tasks,
                           size_t rows, float *const *out, wlm_error *error)
{
    size_t answered = 0;
    if (!wlmi_grow(&s->done, &s->done_capacity, count, 1) ||
        !wlmi_grow(&s->taken, &s->taken_capacity, count, sizeof *s->taken) ||
        !wlmi_grow(&s->stream, &s->stream_capacity, count, sizeof *s->stream))
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < count; i++)
        s->done[i] = 0;
    while (answered < count) {
        WLMI_TRY(choose(s, moment, count, rows, error));
        WLMI_TRY(feed(s, moment, tasks == 1, error));
        for (int i = 0; i < tasks; i++)
            WLMI_TRY(peek(s, moment, task[i], out[i], error));
        for (size_t i = 0; i < s->taken_count; i++)
            s->done[s->taken[i]] = 1;
        answered += s->taken_count;
        keep_budget(s);
    }
    return WLM_OK;
}
