/* infer.c: forward for reading out alone: one layer's activations at a time, streams that go on, and no work in the
 * last layer's second half but for the rows that are asked for. Where there are enough segments, each thread takes some
 * of them through the whole model (slices.h); else all threads share every op. */
#include "model/infer.h"

#include <string.h>

#include "base/alloc.h"
#include "model/embed.h"
#include "model/mixer.h"
#include "model/params.h"
#include "model/slices.h"
#include "model/stream.h"
#include "model/summary.h"
#include "model/workspace.h"

/* Under so many multiplications with weights a thread does a call alone: waking others would take longer. */
static const double alone_below = 1e8;

/* Of one thread. T rows, D width, C columns of the widest input product, F hidden, N rows asked for, B segments. */
typedef struct workspace {
    void *block;
    size_t size;          /* bytes */
    wlmi_real *x[2], *picked_x[2]; /* [T,D] residual streams, one and the same but of a reversible model, and room to
                                    * pick rows of them */
    wlmi_act *normed, *in; /* [T,D] */
    wlmi_real *rstd;      /* [T] */
    wlmi_real *qkv;       /* [T,C] */
    wlmi_real *kept;      /* of the mixers' chunked form */
    wlmi_real *o, *picked_o; /* [T,H*K] */
    wlmi_act *mixer_out;  /* [T,H*K] o for the product */
    wlmi_act *gate_up, *hidden; /* [T,2F], [T,F] */
    wlmi_real *angles;    /* [T,K] */
    wlmi_real *logits;    /* of one part of what is asked for */
    int32_t *row;         /* [WLMI_EMBED_ROWS][T] */
    wlmi_summary_room summary; /* of the questions that are answered */
    void *summary_block;
    uint64_t *position;   /* [T] in the row's stream */
    /* [B], with streams: */
    uint64_t *held;
    int *room;
    size_t *at;           /* values of the stream's block that layers before have used */
    wlmi_real **state;
    wlmi_ring *ring;
} workspace;

struct wlmi_infer {
    workspace *worker; /* [workers] */
    size_t workers;
    wlmi_slices slices;
};

typedef struct run {
    const wlmi_net *net;
    const wlmi_batch *batch;
    wlmi_stream *const *streams;
    int keep;
    const int32_t *positions;
    int n;       /* N */
    size_t logits; /* of the largest part */
    int answers; /* labels are asked for that the summary has a share in */
    int rows;    /* that x holds: T, or N once they are picked */
    workspace *w;
} run;

wlmi_infer *wlmi_infer_new(void)
{
    return wlmi_alloc_zero(1, sizeof(wlmi_infer));
}

void wlmi_infer_free(wlmi_infer *infer)
{
    if (!infer)
        return;
    for (size_t i = 0; i < infer->workers; i++)
        wlmi_free(infer->worker[i].block);
    wlmi_free(infer->worker);
    wlmi_slices_free(&infer->slices);
    wlmi_free(infer);
}

/* ---------------------------------------------------------------- memory */

/* Products take rows in few different numbers, since each is compiled for its shape: what stands in the rows behind the
 * real ones does not matter, nor what comes of them. */
static int padded(int rows)
{
    const int step = rows <= 8 ? 1 : rows <= 64 ? 8 : rows <= 1024 ? 32 : 128;
    return (rows + step - 1) / step * step;
}

enum { MOST_PADDING = 127 };

/* A workspace for each of so many threads. */
static wlm_status hire(wlmi_infer *infer, int threads, wlm_error *error)
{
    const size_t n = (size_t)threads;
    workspace *worker;
    if (n <= infer->workers)
        return WLM_OK;
    worker = wlmi_realloc(infer->worker, n * sizeof *worker);
    if (!worker)
        return WLMI_NO_MEMORY(error);
    memset(worker + infer->workers, 0, (n - infer->workers) * sizeof *worker);
    infer->worker = worker;
    infer->workers = n;
    return WLM_OK;
}

static void *carve(const workspace *w, size_t *used, size_t bytes)
{
    void *piece = w->block ? (char *)w->block + *used : NULL;
    *used += (bytes + 63) & ~(size_t)63;
    return piece;
}

static size_t most_kept(const run *r)
{
    const wlmi_net *net = r->net;
    size_t most = 0;
    for (int l = 0; l < net->config.layers && !r->streams; l++) {
        const wlmi_plan *plan = wlmi_config_layer(&net->config, l).plan;
        for (int g = 0; g < plan->groups; g++) {
            size_t size = wlmi_mixer_of(plan->group[g].kind)->kept_size(net->backend, &plan->group[g],
                                                                        net->config.head_width, r->batch->tokens,
                                                                        r->batch->segments.count);
            most = size > most ? size : most;
        }
    }
    return most;
}

/* Lays everything out in the block, or, while there is none, says how many bytes that takes. */
static size_t lay_out(const run *r)
{
    workspace *w = r->w;
    const wlmi_config *c = &r->net->config;
    const wlmi_layer_shape widest = wlmi_config_widest(c);
    const size_t real = r->net->backend->real_size, act = r->net->backend->act_size;
    const size_t T = (size_t)padded(r->batch->tokens);
    const size_t D = (size_t)c->width;
    const size_t inner = (size_t)widest.inner, F = (size_t)c->hidden;
    const size_t B = r->streams ? (size_t)r->batch->segments.count : 0;
    size_t used = 0;
    for (int i = 0; i < 2; i++) {
        int same = i && !c->reversible;
        w->x[i] = same ? w->x[0] : carve(w, &used, T * D * real);
        w->picked_x[i] = same ? w->picked_x[0] : carve(w, &used, T * D * real);
    }
    w->normed = carve(w, &used, (T + MOST_PADDING) * D * act);
    w->in = carve(w, &used, T * D * act);
    w->rstd = carve(w, &used, T * real);
    w->qkv = carve(w, &used, T * (size_t)widest.columns * real);
    w->kept = carve(w, &used, most_kept(r) * real);
    w->o = carve(w, &used, T * inner * real);
    w->picked_o = carve(w, &used, T * inner * real);
    w->mixer_out = carve(w, &used, T * inner * act);
    w->gate_up = carve(w, &used, T * 2 * F * act);
    w->hidden = carve(w, &used, T * F * act);
    w->logits = carve(w, &used, r->logits * real);
    w->summary_block = carve(w, &used, wlmi_summary_lay_out(&w->summary, NULL));
    wlmi_summary_lay_out(&w->summary, w->summary_block);
    w->row = carve(w, &used, WLMI_EMBED_ROWS * T * sizeof *w->row);
    w->angles = carve(w, &used, r->streams ? T * (size_t)c->head_width * real : 0);
    w->position = carve(w, &used, r->streams ? T * sizeof *w->position : 0);
    w->held = carve(w, &used, B * sizeof *w->held);
    w->room = carve(w, &used, B * sizeof *w->room);
    w->at = carve(w, &used, B * sizeof *w->at);
    w->state = carve(w, &used, B * sizeof *w->state);
    w->ring = carve(w, &used, B * sizeof *w->ring);
    return used;
}

static wlm_status make_room(const run *r, wlm_error *error)
{
    workspace *w = r->w;
    void *block = w->block;
    size_t need;
    w->summary.asks = r->answers ? wlmi_summary_asks(r->net, r->batch) : 0;
    w->block = NULL;
    need = lay_out(r);
    w->block = block;
    if (need > w->size) {
        wlmi_free(w->block);
        w->size = 0;
        w->block = wlmi_alloc_aligned(need);
        if (!w->block)
            return WLMI_NO_MEMORY(error);
        w->size = need;
    }
    lay_out(r);
    return WLM_OK;
}

/* ---------------------------------------------------------------- streams */

static wlm_status begin_streams(const run *r, wlm_error *error)
{
    const wlmi_net *net = r->net;
    const int32_t *starts = r->batch->segments.starts;
    workspace *w = r->w;
    for (int s = 0; s < r->batch->segments.count; s++) {
        wlmi_stream *stream = r->streams[s];
        if (r->keep)
            WLMI_TRY(wlmi_stream_fit(stream, net, starts[s + 1] - starts[s], error));
        w->held[s] = stream->position;
        w->room[s] = stream->room;
        w->at[s] = 0;
        for (int t = starts[s]; t < starts[s + 1]; t++)
            w->position[t] = stream->position + (uint64_t)(t - starts[s]);
    }
    net->backend->rotary_angles(w->angles, w->position, r->batch->tokens, net->config.head_width);
    return WLM_OK;
}

/* Points state at the next part of every stream's block: parts are asked for in the order in which they stand. */
static void next_part(const run *r, int layer, int part)
{
    workspace *w = r->w;
    for (int s = 0; s < r->batch->segments.count; s++) {
        w->state[s] = wlmi_at(r->net->backend, r->streams[s]->block, w->at[s]);
        w->at[s] += wlmi_stream_part(r->net, layer, part, w->room[s]);
    }
}

static void end_streams(const run *r)
{
    const int32_t *starts = r->batch->segments.starts;
    for (int s = 0; s < r->batch->segments.count; s++)
        r->streams[s]->position += (uint64_t)(starts[s + 1] - starts[s]);
}

/* ---------------------------------------------------------------- a layer */

/* The input of a layer's half: norm of the stream, shifted against the row before where the configuration says so. */
static wlmi_act *half_input(const run *r, int layer, int part, const wlmi_real *x, const wlmi_param *gain)
{
    const wlmi_net *net = r->net;
    const wlmi_backend *b = net->backend;
    const wlmi_segments *shift = net->config.shift && !r->streams ? &r->batch->segments : NULL;
    workspace *w = r->w;
    int D = net->config.width;
    b->rmsnorm_forward(w->normed, w->rstd, x, wlmi_value(net, gain), shift, r->rows, D);
    if (!r->streams)
        return w->normed;
    next_part(r, layer, part);
    if (!net->config.shift)
        return w->normed;
    b->shift_step(w->in, w->normed, r->batch->segments, w->state, D, r->keep);
    return w->in;
}

static void mix_new(const run *r, const wlmi_layer_shape *shape, const wlmi_group_place *at, wlmi_real *const *own,
                    int g)
{
    const wlmi_backend *b = r->net->backend;
    const workspace *w = r->w;
    wlmi_mixer_rows rows = {
        .backend = b, .group = &shape->plan->group[g], .head_width = r->net->config.head_width,
        .tokens = r->batch->tokens, .segments = r->batch->segments, .stride = shape->columns,
        .o_stride = shape->inner, .q = wlmi_at(b, w->qkv, at->q), .k = wlmi_at(b, w->qkv, at->k),
        .v = wlmi_at(b, w->qkv, at->v), .extra = wlmi_at(b, w->qkv, at->extra), .o = wlmi_at(b, w->o, at->o),
        .kept = w->kept,
    };
    memcpy(rows.own, own, sizeof rows.own);
    wlmi_mixer_of(rows.group->kind)->forward(&rows);
}

static void mix_on(const run *r, const wlmi_layer_shape *shape, const wlmi_group_place *at, wlmi_real *const *own,
                   int g)
{
    const wlmi_backend *b = r->net->backend;
    const workspace *w = r->w;
    wlmi_mixer_step step = {
        .backend = b, .group = &shape->plan->group[g], .head_width = r->net->config.head_width,
        .rows = r->batch->segments, .keep = r->keep, .held = w->held, .room = w->room, .state = w->state,
        .ring = w->ring, .angles = w->angles, .stride = shape->columns, .o_stride = shape->inner,
        .q = wlmi_at(b, w->qkv, at->q), .k = wlmi_at(b, w->qkv, at->k), .v = wlmi_at(b, w->qkv, at->v),
        .extra = wlmi_at(b, w->qkv, at->extra), .o = wlmi_at(b, w->o, at->o),
    };
    memcpy(step.own, own, sizeof step.own);
    wlmi_mixer_of(step.group->kind)->step(&step);
}

static void mix(const run *r, int layer, const wlmi_layer_shape *shape)
{
    for (int g = 0; g < shape->plan->groups; g++) {
        const wlmi_group_place at = wlmi_config_place(&r->net->config, layer, g);
        const wlmi_param *param = wlmi_layer_param(r->net, layer, 0) + at.own;
        wlmi_real *own[WLMI_MAX_OWN] = {NULL};
        for (int i = 0; i < at.owns; i++)
            own[i] = wlmi_value(r->net, &param[i]);
        if (r->streams) {
            next_part(r, layer, 1 + g);
            mix_on(r, shape, &at, own, g);
        } else {
            mix_new(r, shape, &at, own, g);
        }
    }
}

/* From here on only the rows that are asked for matter. */
static void pick(run *r, int inner)
{
    const wlmi_backend *b = r->net->backend;
    workspace *w = r->w;
    wlmi_real *o = w->o;
    for (int i = 0; i < 2; i++) {
        wlmi_real *x = w->x[i];
        if (i <= r->net->config.reversible)
            b->embed_forward(w->picked_x[i], x, r->positions, r->n, r->net->config.width, 0);
        w->x[i] = w->picked_x[i];
        w->picked_x[i] = x;
    }
    if (inner) {
        b->embed_forward(w->picked_o, o, r->positions, r->n, inner, 0);
        w->o = w->picked_o;
        w->picked_o = o;
    }
    r->rows = r->n;
}

static void layer_forward(run *r, int layer)
{
    const wlmi_net *net = r->net;
    const wlmi_config *c = &net->config;
    const wlmi_backend *b = net->backend;
    const wlmi_layer_shape shape = wlmi_config_layer(c, layer);
    const wlmi_param *const p = wlmi_layer_param(net, layer, 0);
    workspace *w = r->w;
    int D = c->width;
    wlmi_act *in = half_input(r, layer, 0, w->x[1], &p[WLMI_SLOT_MIXER_NORM]);
    b->matmul_forward_onto(w->qkv, NULL, in, p[WLMI_SLOT_QKV].weight, padded(r->rows), shape.columns, D);
    mix(r, layer, &shape);
    if (layer + 1 == c->layers && !c->shift) /* a shifted row also needs the one before */
        pick(r, shape.inner);
    if (!r->rows)
        return;
    b->to_act(w->mixer_out, w->o, (size_t)r->rows * (size_t)shape.inner);
    b->matmul_forward_onto(w->x[0], w->x[0], w->mixer_out, p[WLMI_SLOT_OUT].weight, padded(r->rows), D, shape.inner);
    in = half_input(r, layer, shape.plan->groups + 1, w->x[0], &p[WLMI_SLOT_MLP_NORM]);
    b->matmul_forward(w->gate_up, in, p[WLMI_SLOT_UP].weight, padded(r->rows), 2 * c->hidden, D);
    b->swiglu_forward(w->hidden, w->gate_up, r->rows, c->hidden);
    b->matmul_forward_onto(w->x[1], w->x[1], w->hidden, p[WLMI_SLOT_DOWN].weight, padded(r->rows), D, c->hidden);
}

/* ---------------------------------------------------------------- the whole */

static wlm_status check(const wlmi_net *net, const wlmi_batch *batch, const int32_t *positions, int n, int first,
                        int last, wlm_error *error)
{
    WLMI_TRY(wlmi_batch_check(net, batch, error));
    if (first < 0 || last > net->rows || first >= last)
        return wlmi_bad_batch(error, "columns outside the embedding asked for", first);
    if (n < 0 || n > batch->tokens)
        return wlmi_bad_batch(error, "more positions asked for than there are", n);
    for (int i = 0; i < n; i++)
        if (positions[i] < 0 || positions[i] >= batch->tokens)
            return wlmi_bad_batch(error, "a position outside asked for", positions[i]);
    return WLM_OK;
}

/* To the normed rows of the positions, in normed [n,D]. */
static wlm_status read_out(run *r, wlm_error *error)
{
    const wlmi_net *net = r->net;
    const wlmi_backend *b = net->backend;
    workspace *w = r->w;
    int D = net->config.width;
    WLMI_TRY(make_room(r, error));
    if (r->streams)
        WLMI_TRY(begin_streams(r, error));
    if (w->summary.asks || (net->config.summary_trees && r->streams && r->keep))
        wlmi_summary_read(net, r->batch, r->streams, r->keep, &w->summary);
    for (int i = 0; i <= net->config.reversible; i++)
        wlmi_batch_embed(net, r->batch, w->x[i], w->row);
    for (int l = 0; l < net->config.layers; l++)
        layer_forward(r, l);
    if (r->streams && r->keep)
        end_streams(r);
    if (net->config.shift)
        pick(r, 0);
    if (!r->n)
        return WLM_OK;
    if (net->config.reversible)
        b->add(w->x[0], w->x[1], (size_t)r->n * (size_t)D);
    b->rmsnorm_forward(w->normed, w->rstd, w->x[0], wlmi_value(net, wlmi_norm_param(net)), NULL, r->n, D);
    return WLM_OK;
}

/* A call, and how it is cut. */
typedef struct call {
    const wlmi_net *net;
    const wlmi_batch *batch;
    wlmi_stream *const *streams;
    int keep;
    const wlmi_logits *part;
    int parts;
} call;

/* The share that the summary has in a part's logits: none where labels came that it does not know. */
static double summary_share(const wlmi_net *net, const wlmi_logits *part)
{
    return wlmi_summary_is_current(net) ? part->summary_share : 0;
}

/* The question that is answered at this row, or -1. */
static int question_at(const wlmi_summary_room *room, int32_t row)
{
    int low = 0, high = room->asks;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (room->position[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low < room->asks && room->position[low] == row ? low : -1;
}

/* Mixes the summary's logits into those of a slice's positions, from `done` on. */
static void mix_summary(const run *r, const wlmi_slice *slice, const wlmi_logits *part, int done, int count)
{
    const wlmi_summary_room *room = &r->w->summary;
    const float share = (float)summary_share(r->net, part);
    const int columns = part->last - part->first, before = r->net->config.vocabulary + WLMI_SPECIALS;
    for (int i = 0; share > 0 && i < count; i++) {
        const int question = question_at(room, slice->position[done + i]);
        float *own = part->out + (size_t)slice->place[done + i] * (size_t)columns;
        if (question < 0 || room->task[question] < 0)
            continue;
        for (int j = 0; j < columns; j++)
            own[j] *= 1 - share;
        wlmi_summary_add(r->net, room->task[question], room->number + (size_t)question * WLMI_SUMMARY_NUMBERS, share,
                         part->first - before, part->last - before, own);
    }
}

/* Logits of a slice's positions, to their places. */
static void write_logits(const call *c, const run *r, const wlmi_slice *slice)
{
    const wlmi_backend *b = c->net->backend;
    const int D = c->net->config.width;
    for (int p = 0, done = 0; p < c->parts; done += slice->of_part[p++]) {
        const wlmi_logits *part = &c->part[p];
        const size_t columns = (size_t)(part->last - part->first);
        const wlmi_act *in = (const wlmi_act *)((const char *)r->w->normed + (size_t)done * (size_t)D * b->act_size);
        if (!slice->of_part[p])
            continue;
        b->matmul_forward_rows(r->w->logits, in, wlmi_embed_param(c->net)->weight, padded(slice->of_part[p]),
                               part->first, part->last, D);
        for (int i = 0, n; i < slice->of_part[p]; i += n) { /* rows side by side go together */
            const int32_t *place = &slice->place[done + i];
            for (n = 1; i + n < slice->of_part[p] && place[n] == place[0] + n; n++)
                ;
            b->to_float(part->out + (size_t)place[0] * columns, wlmi_at(b, r->w->logits, (size_t)i * columns),
                        (size_t)n * columns);
        }
        if (r->w->summary.asks)
            mix_summary(r, slice, part, done, slice->of_part[p]);
    }
}

static void take_slice(void *user, int i, int worker)
{
    const call *c = user;
    wlmi_infer *infer = c->net->infer;
    wlmi_slice *slice = &infer->slices.slice[i];
    run r = {
        .net = c->net, .batch = &slice->batch, .streams = c->streams ? c->streams + slice->segment : NULL,
        .keep = c->keep, .positions = slice->position, .n = slice->n, .rows = slice->batch.tokens,
        .w = &infer->worker[worker],
    };
    for (int p = 0; p < c->parts; p++) {
        const size_t size = (size_t)padded(slice->of_part[p]) * (size_t)(c->part[p].last - c->part[p].first);
        r.logits = size > r.logits ? size : r.logits;
        r.answers |= slice->of_part[p] > 0 && summary_share(c->net, &c->part[p]) > 0;
    }
    slice->status = WLM_OK;
    if (r.n > 0 || r.keep)
        slice->status = read_out(&r, &slice->error);
    if (slice->status == WLM_OK && r.n > 0)
        write_logits(c, &r, slice);
    if (slice->status == WLM_OK) /* of this thread's ops */
        slice->status = c->net->backend->status(&slice->error);
    else
        c->net->backend->status(NULL);
}

/* Multiplications with the layers' weights, roughly. */
static double work_of(const wlmi_net *net, const wlmi_batch *batch)
{
    return (double)(net->count - wlmi_embed_param(net)->count) * batch->tokens;
}

static wlm_status take_slices(call *c, const int32_t *positions, wlm_error *error)
{
    const wlmi_backend *b = c->net->backend;
    wlmi_infer *infer = c->net->infer;
    const int threads = b->threads(), small = work_of(c->net, c->batch) < alone_below;
    const int count = small ? 1 : wlmi_slices_for(c->batch, threads);
    WLMI_TRY(hire(infer, threads, error));
    WLMI_TRY(wlmi_slices_cut(&infer->slices, c->batch, count, positions, c->part, c->parts, error));
    if (small || count > 1)
        b->each(take_slice, c, infer->slices.count);
    else
        take_slice(c, 0, 0);
    for (int i = 0; i < infer->slices.count; i++)
        if (infer->slices.slice[i].status != WLM_OK) {
            if (error)
                *error = infer->slices.slice[i].error;
            return infer->slices.slice[i].status;
        }
    return WLM_OK;
}

wlm_status wlmi_net_logits_parts(wlmi_net *net, const wlmi_batch *batch, wlmi_stream *const *streams, int keep,
                                 const int32_t *positions, const wlmi_logits *part, int parts, wlm_error *error)
{
    call c = {net, batch, streams, keep, part, parts};
    int n = 0;
    for (int i = 0; i < parts; i++) {
        if (part[i].n < 0 || part[i].n > batch->tokens - n)
            return wlmi_bad_batch(error, "more positions asked for than there are", part[i].n);
        n += part[i].n;
    }
    for (int i = 0; i < parts; i++)
        WLMI_TRY(check(net, batch, positions, n, part[i].first, part[i].last, error));
    return n < 1 && !keep ? WLM_OK : take_slices(&c, positions, error);
}

wlm_status wlmi_net_logits(wlmi_net *net, const wlmi_batch *batch, wlmi_stream *const *streams, int keep,
                           const int32_t *positions, int n, int first, int last, float *out, wlm_error *error)
{
    const wlmi_logits all = {n, first, last, out, 0};
    return wlmi_net_logits_parts(net, batch, streams, keep, positions, &all, 1, error);
}

wlm_status wlmi_net_hidden(wlmi_net *net, const wlmi_batch *batch, const int32_t *positions, int n, float *out,
                           wlm_error *error)
{
    const wlmi_backend *b = net->backend;
    const size_t size = (size_t)(n > 0 ? n : 0) * (size_t)net->config.width;
    run r = {net, batch, NULL, 0, positions, n, 0, 0, batch->tokens, NULL};
    WLMI_TRY(check(net, batch, positions, n, 0, 1, error));
    if (n < 1)
        return WLM_OK;
    WLMI_TRY(hire(net->infer, 1, error));
    r.w = net->infer->worker;
    WLMI_TRY(read_out(&r, error));
    b->to_real(r.w->x[0], r.w->normed, size);
    b->to_float(out, r.w->x[0], size);
    return b->status(error);
}
