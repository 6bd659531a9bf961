/* score.c: flows in packed batches, either read in one forward pass, or each fed to a stream from point to point and
 * peeked at there. */
#include "task/score.h"

#include <string.h>

#include "base/alloc.h"
#include "task/query.h"

enum { BATCH_ROWS = 8192, LANES = 64, ASK_ROWS = 2 };

/* A place where a flow is asked: it has been fed so many rows, <flow> and tokens. */
typedef struct stop {
    int rows, packets;
} stop;

typedef struct lane { /* a flow of the batch at hand */
    wlmi_stream stream;
    stop stop[WLMI_POINTS_MAX + 1]; /* different ones, ascending; the last is the flow's end */
    int stops, place[WLMI_POINTS_MAX]; /* of each point among them */
    int fed;
} lane;

typedef struct run {
    wlm_model *model;
    int task;
    wlm_hide hide;
    const wlmi_points *points;
    wlmi_prompter *prompter;
    wlmi_rows rows;      /* whole prompts */
    wlmi_rows part;      /* with points: what is fed, then what is asked */
    lane *lane;          /* [LANES] with points */
    float *logit;        /* [LANES, labels] */
    int32_t *said;       /* [LANES, WLMI_POINTS_MAX + 1]: the label at each stop */
    size_t first;        /* flow of the batch's first segment */
    wlmi_scores *scores;
} run;

wlmi_points wlmi_points_of(const wlmi_view *view)
{
    static const uint32_t tokens[] = {32, 64, 128, 256, 512, 1024, 2048, 4096, 12032};
    wlmi_points points = {0};
    for (uint32_t at = 1; at <= 32; at *= 2)
        if (!view->max_packets || at <= view->max_packets)
            points.point[points.count].tokens = 0, points.point[points.count++].at = at;
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        if ((int)tokens[i] + 1 + ASK_ROWS <= view->context)
            points.point[points.count].tokens = 1, points.point[points.count++].at = tokens[i];
    return points;
}

static int best_of(const float *logit, int labels)
{
    int best = 0;
    for (int i = 1; i < labels; i++)
        best = logit[i] > logit[best] ? i : best;
    return best;
}

/* ---------------------------------------------------------------- without points */

static wlm_status run_whole(run *r, wlm_error *error)
{
    const wlmi_batch batch = wlmi_rows_batch(&r->rows);
    float *out = r->scores->logit + r->first * (size_t)r->scores->labels;
    return wlmi_query_logits(r->model, &batch, NULL, r->task, r->hide, out, error);
}

/* ---------------------------------------------------------------- with points */

/* Rows and packets of the flow in segment s at a point. */
static stop stop_at(const run *r, int s, int tokens, uint32_t at)
{
    const int from = r->rows.starts[s], end = r->rows.starts[s + 1] - ASK_ROWS;
    const int32_t *packet = r->rows.packet, shown = packet[end];
    int rows = end;
    if (tokens && at < (uint32_t)(end - from - 1)) {
        int32_t cut = packet[from + 1 + (int)at];
        if (cut == 0)
            return (stop){1 + (int)at, 1};
        for (rows = from + 1 + (int)at; packet[rows - 1] >= cut;)
            rows--;
        return (stop){rows - from, cut};
    }
    if (!tokens && at < (uint32_t)shown) {
        while (packet[rows - 1] >= (int32_t)at)
            rows--;
        return (stop){rows - from, (int)at};
    }
    return (stop){end - from, shown};
}

static void plan_lane(run *r, int s)
{
    lane *a = &r->lane[s];
    stop wanted[WLMI_POINTS_MAX + 1];
    const int n = r->points->count;
    for (int p = 0; p < n; p++)
        wanted[p] = stop_at(r, s, r->points->point[p].tokens, r->points->point[p].at);
    wanted[n] = stop_at(r, s, 0, UINT32_MAX);
    a->stops = a->fed = 0;
    for (;;) { /* the least one that is not there yet */
        int last = a->stops ? a->stop[a->stops - 1].rows : 0, next = -1;
        for (int p = 0; p <= n; p++)
            if (wanted[p].rows > last && (next < 0 || wanted[p].rows < wanted[next].rows))
                next = p;
        if (next < 0)
            break;
        a->stop[a->stops++] = wanted[next];
    }
    for (int p = 0; p < n; p++)
        for (int i = 0; i < a->stops; i++)
            if (a->stop[i].rows == wanted[p].rows)
                a->place[p] = i;
}

static wlm_status feed(run *r, int round, wlmi_stream **stream, wlm_error *error)
{
    wlmi_batch batch;
    int n = 0;
    wlmi_rows_clear(&r->part);
    for (int s = 0; s < r->rows.segments; s++) {
        lane *a = &r->lane[s];
        const int from = r->rows.starts[s];
        if (round >= a->stops)
            continue;
        WLMI_TRY(wlmi_rows_reserve(&r->part, (size_t)(a->stop[round].rows - a->fed), error));
        for (int i = from + a->fed; i < from + a->stop[round].rows; i++)
            wlmi_rows_put_again(&r->part, &r->rows, i);
        wlmi_rows_close(&r->part);
        a->fed = a->stop[round].rows;
        stream[n++] = &a->stream;
    }
    batch = wlmi_rows_batch(&r->part);
    return wlmi_net_logits(r->model->net, &batch, stream, 1, NULL, 0, 0, 1, NULL, error);
}

static wlm_status ask(run *r, int round, wlmi_stream **stream, wlm_error *error)
{
    const size_t labels = (size_t)r->scores->labels;
    wlmi_batch batch;
    int n = 0;
    wlmi_rows_clear(&r->part);
    for (int s = 0; s < r->rows.segments; s++)
        if (round < r->lane[s].stops)
            WLMI_TRY(wlmi_query_rows(r->model, r->task, r->lane[s].stop[round].packets, &r->part, error));
    batch = wlmi_rows_batch(&r->part);
    WLMI_TRY(wlmi_query_logits(r->model, &batch, stream, r->task, r->hide, r->logit, error));
    for (int s = 0; s < r->rows.segments; s++) {
        const float *logit = r->logit + (size_t)n * labels;
        if (round >= r->lane[s].stops)
            continue;
        r->said[s * (WLMI_POINTS_MAX + 1) + round] = best_of(logit, (int)labels);
        if (round == r->lane[s].stops - 1)
            memcpy(r->scores->logit + (r->first + (size_t)s) * labels, logit, labels * sizeof *logit);
        n++;
    }
    return WLM_OK;
}

static wlm_status run_points(run *r, wlm_error *error)
{
    wlmi_stream *stream[LANES];
    const int points = r->points->count;
    int rounds = 0;
    for (int s = 0; s < r->rows.segments; s++) {
        lane *a = &r->lane[s];
        plan_lane(r, s);
        rounds = a->stops > rounds ? a->stops : rounds;
        if (a->stream.block)
            wlmi_stream_reset(&a->stream, r->model->net);
        else
            WLMI_TRY(wlmi_stream_new(&a->stream, r->model->net, error));
    }
    for (int round = 0; round < rounds; round++) {
        WLMI_TRY(feed(r, round, stream, error));
        WLMI_TRY(ask(r, round, stream, error));
    }
    for (int s = 0; s < r->rows.segments; s++)
        for (int p = 0; p < points; p++)
            r->scores->at[(r->first + (size_t)s) * (size_t)points + (size_t)p] =
                r->said[s * (WLMI_POINTS_MAX + 1) + r->lane[s].place[p]];
    return WLM_OK;
}

/* ---------------------------------------------------------------- all flows */

static wlm_status run_batch(run *r, const wlmi_score_watch *watch, wlm_error *error)
{
    const int segments = r->rows.segments;
    if (!segments)
        return WLM_OK;
    WLMI_TRY(r->points ? run_points(r, error) : run_whole(r, error));
    r->first += (size_t)segments;
    wlmi_rows_clear(&r->rows);
    if (watch && watch->scored)
        watch->scored(watch->user, (size_t)segments);
    return watch && watch->stop && *watch->stop ? WLM_STOPPED : WLM_OK;
}

static wlm_status run_flows(run *r, const wlmi_cohort *cohort, const wlmi_picks *picks, const wlmi_score_watch *watch,
                            wlm_error *error)
{
    const int most = r->points ? LANES : BATCH_ROWS;
    for (size_t i = 0; i < picks->count; i++) {
        const wlmi_pick *pick = &picks->item[i];
        const int before = r->rows.tokens;
        uint64_t packets;
        WLMI_TRY(wlmi_prompter_append(r->prompter, cohort->data[pick->folder], pick->flow, WLMI_PROMPT_CLASSIFY,
                                      r->task, -1, 0, &r->rows, &packets, error));
        r->scores->packets[i] = (uint32_t)packets;
        r->scores->tokens[i] = (uint32_t)(r->rows.tokens - before - 1 - ASK_ROWS);
        if (r->rows.tokens >= BATCH_ROWS || r->rows.segments == most)
            WLMI_TRY(run_batch(r, watch, error));
    }
    return run_batch(r, watch, error);
}

static wlm_status make_room(run *r, const wlmi_view *view, size_t count, wlm_error *error)
{
    wlmi_scores *s = r->scores;
    s->count = count;
    s->labels = r->model->net->task[r->task].labels;
    s->points = r->points ? r->points->count : 0;
    s->logit = wlmi_alloc_array(count * (size_t)s->labels, sizeof *s->logit);
    s->at = wlmi_alloc_zero(count * (size_t)s->points, sizeof *s->at);
    s->packets = wlmi_alloc_zero(count, sizeof *s->packets);
    s->tokens = wlmi_alloc_zero(count, sizeof *s->tokens);
    if (!s->logit || !s->at || !s->packets || !s->tokens)
        return WLMI_NO_MEMORY(error);
    if (r->points) {
        r->lane = wlmi_alloc_zero(LANES, sizeof *r->lane);
        r->logit = wlmi_alloc_array(LANES * (size_t)s->labels, sizeof *r->logit);
        r->said = wlmi_alloc_zero(LANES * (WLMI_POINTS_MAX + 1), sizeof *r->said);
        if (!r->lane || !r->logit || !r->said)
            return WLMI_NO_MEMORY(error);
    }
    return wlmi_prompter_new(&r->prompter, view, r->model->net, error);
}

wlm_status wlmi_score_flows(wlm_model *model, const wlmi_view *view, int task, const wlmi_cohort *cohort,
                            const wlmi_picks *picks, const wlmi_points *points, const wlmi_score_watch *watch,
                            wlmi_scores *scores, wlm_error *error)
{
    run r = {.model = model, .task = task, .hide = view->hide, .points = points, .scores = scores};
    wlm_status status = make_room(&r, view, picks->count, error);
    if (status == WLM_OK)
        status = run_flows(&r, cohort, picks, watch, error);
    for (int s = 0; r.lane && s < LANES; s++)
        wlmi_stream_free(&r.lane[s].stream);
    wlmi_prompter_free(r.prompter);
    wlmi_rows_free(&r.rows);
    wlmi_rows_free(&r.part);
    wlmi_free(r.lane);
    wlmi_free(r.logit);
    wlmi_free(r.said);
    return status;
}

void wlmi_scores_free(wlmi_scores *s)
{
    wlmi_free(s->logit);
    wlmi_free(s->at);
    wlmi_free(s->packets);
    wlmi_free(s->tokens);
    memset(s, 0, sizeof *s);
}
