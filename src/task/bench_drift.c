/* bench_drift.c: wlm_bench_drift: a long stream with window heads' memory as it is, beside one that rounds nothing there.
 *
 * Both are one net on one backend, but that the other's window heads are the reference's, which remember floats. What is
 * different between them is that rounding, and what it grows to. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "model/infer.h"
#include "task/bench.h"
#include "task/bench_model.h"

enum { ROUNDED, EXACT, SIDES };
/* Tokens are fed in pieces; around each point so many are compared. */
enum { PIECE = 256, PIECES = 4, POINT = PIECE * PIECES, DEFAULT_TOKENS = 65536, MOST_TOKENS = 1 << 30 };

typedef struct point { /* sums over the positions compared */
    double squares, errors, largest, bits[SIDES];
    uint64_t positions, same;  /* same: both have the same most likely token */
} point;

typedef struct measurement {
    wlmi_bench_model model;
    wlmi_backend exact;        /* the model's backend, but for window heads */
    wlmi_net net[SIDES];       /* borrow all but `infer` of the second */
    wlmi_stream stream[SIDES];
    int32_t position[PIECE];
    float *logits[SIDES];      /* [PIECE, V] */
    uint64_t tokens;
    json_t *points;
    double first, last;        /* relative difference at the points */
} measurement;

static wlm_status open_sides(measurement *m, wlm_error *error)
{
    const wlmi_backend *reference = wlmi_backend_find("ref");
    wlmi_net *net = m->model.net;
    m->exact = *net->backend;
    m->exact.attention_step = reference->attention_step;
    m->exact.act_size = reference->act_size; /* of what rings hold: streams use it for nothing else */
    m->net[ROUNDED] = m->net[EXACT] = *net;
    m->net[EXACT].backend = &m->exact;
    m->net[EXACT].infer = wlmi_infer_new();
    if (!m->net[EXACT].infer)
        return WLMI_NO_MEMORY(error);
    for (int side = 0; side < SIDES; side++) {
        WLMI_TRY(wlmi_stream_new(&m->stream[side], &m->net[side], error));
        m->logits[side] = wlmi_alloc_array((size_t)PIECE * (size_t)net->config.vocabulary, sizeof(float));
        if (!m->logits[side])
            return WLMI_NO_MEMORY(error);
    }
    for (int t = 0; t < PIECE; t++)
        m->position[t] = t;
    return WLM_OK;
}

static int most_likely(const float *logits, int V)
{
    int best = 0;
    for (int i = 1; i < V; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

/* Nats of the target. */
static double surprise(const float *logits, int V, int32_t target)
{
    const double top = (double)logits[most_likely(logits, V)];
    double total = 0;
    for (int i = 0; i < V; i++)
        total += exp((double)logits[i] - top);
    return top + log(total) - (double)logits[target];
}

static void compare(const measurement *m, const wlmi_batch *batch, point *p)
{
    const int V = m->model.net->config.vocabulary;
    for (int t = 0; t < PIECE; t++) {
        const float *rounded = m->logits[ROUNDED] + (size_t)t * (size_t)V;
        const float *exact = m->logits[EXACT] + (size_t)t * (size_t)V;
        for (int i = 0; i < V; i++) {
            const double error = fabs((double)rounded[i] - (double)exact[i]);
            p->squares += (double)exact[i] * (double)exact[i];
            p->errors += error * error;
            if (error > p->largest)
                p->largest = error;
        }
        p->bits[ROUNDED] += surprise(rounded, V, batch->target[t]) / M_LN2;
        p->bits[EXACT] += surprise(exact, V, batch->target[t]) / M_LN2;
        p->same += most_likely(rounded, V) == most_likely(exact, V);
        p->positions++;
    }
}

/* Both sides take the piece in; p: and are compared. */
static wlm_status feed(measurement *m, uint64_t piece, point *p, wlm_error *error)
{
    const int V = m->model.net->config.vocabulary;
    WLMI_TRY(wlmi_bench_model_stopped(&m->model));
    WLMI_TRY(wlmi_bench_model_batch(&m->model, PIECE, 1, piece, error));
    const wlmi_batch batch = wlmi_rows_batch(&m->model.rows);
    for (int side = 0; side < SIDES; side++) {
        wlmi_stream *stream = &m->stream[side];
        WLMI_TRY(wlmi_net_logits(&m->net[side], &batch, &stream, 1, m->position, p ? PIECE : 0, 0, V, m->logits[side],
                                 error));
    }
    if (p)
        compare(m, &batch, p);
    return WLM_OK;
}

static wlm_status tell_point(measurement *m, const point *p, wlm_error *error)
{
    const double difference = sqrt(p->errors / fmax(p->squares, 1e-30)), n = (double)p->positions;
    json_t *value = json_pack("{s:I,s:f,s:f,s:f,s:f,s:f}", "position", (json_int_t)m->stream[ROUNDED].position,
                              "relative_difference", difference, "largest_difference", p->largest, "bits_per_token",
                              p->bits[ROUNDED] / n, "bits_per_token_exact", p->bits[EXACT] / n, "same_most_likely",
                              (double)p->same / n);
    if (!json_array_size(m->points))
        m->first = difference;
    m->last = difference;
    return json_array_append_new(m->points, value) ? WLMI_NO_MEMORY(error) : WLM_OK;
}

/* The last POINT tokens before each power of two from POINT on, and before the end. */
static wlm_status measure(measurement *m, wlm_error *error)
{
    const wlm_bench_model_options *o = m->model.options;
    const double start_s = wlmi_clock();
    point p = {0};
    for (uint64_t at = 0, next = POINT; at < m->tokens; at += PIECE) {
        WLMI_TRY(feed(m, at / PIECE, at + POINT >= next ? &p : NULL, error));
        if (at + PIECE < next)
            continue;
        WLMI_TRY(tell_point(m, &p, error));
        p = (point){0};
        next = 2 * next < m->tokens ? 2 * next : m->tokens;
        wlmi_bench_show(o->progress, o->user, at + PIECE, m->tokens, start_s);
    }
    return WLM_OK;
}

static wlm_status train(measurement *m, wlm_error *error)
{
    wlmi_bench_model *model = &m->model;
    double unused;
    if (!model->options->steps)
        return WLM_OK;
    WLMI_TRY(wlmi_bench_model_train(model, error));
    for (uint32_t i = 0; i < model->options->steps; i++) {
        WLMI_TRY(wlmi_bench_model_stopped(model));
        WLMI_TRY(wlmi_bench_model_batch(model, model->context, model->segments, i, error));
        WLMI_TRY(wlmi_bench_model_step(model, &unused, NULL, error));
    }
    return WLM_OK;
}

static wlm_status run(measurement *m, const wlm_bench_model_options *o, char **json, wlm_error *error)
{
    m->tokens = o->tokens ? o->tokens : DEFAULT_TOKENS;
    if (m->tokens % POINT || m->tokens > MOST_TOKENS)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "tokens come in multiples of %d, up to %d", POINT,
                         MOST_TOKENS);
    WLMI_TRY(wlmi_bench_model_open(&m->model, o, error));
    m->points = json_array();
    WLMI_TRY(train(m, error));
    WLMI_TRY(open_sides(m, error));
    WLMI_TRY(measure(m, error));
    return wlmi_bench_report(&m->model, "drift",
                             json_pack("{s:I,s:i,s:O,s:f,s:f}", "tokens", (json_int_t)m->tokens, "trained_steps",
                                       (int)o->steps, "points", m->points, "relative_difference", m->last,
                                       "last_over_first", m->last / fmax(m->first, 1e-30)),
                             json, error);
}

wlm_status wlm_bench_drift(const wlm_bench_model_options *options, char **json, wlm_error *error)
{
    measurement m;
    wlm_status status;
    memset(&m, 0, sizeof m);
    *json = NULL;
    status = run(&m, options, json, error);
    json_decref(m.points);
    for (int side = 0; side < SIDES; side++) {
        wlmi_stream_free(&m.stream[side]);
        wlmi_free(m.logits[side]);
    }
    wlmi_infer_free(m.net[EXACT].infer);
    wlmi_bench_model_close(&m.model);
    return status;
}
