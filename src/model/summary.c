/* summary.c: what a network of its own makes of a stream's sums (summary_sums.c). */
#include "model/summary.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/params.h"
#include "model/stream.h"

/* ---------------------------------------------------------------- columns */

const wlmi_param *wlmi_summary_param(const wlmi_net *net, wlmi_summary_slot slot)
{
    return wlmi_embed_param(net) - WLMI_SUMMARY_SLOTS + (int)slot;
}

int wlmi_summary_labels(const wlmi_net *net)
{
    return net->rows - net->config.vocabulary - WLMI_SPECIALS;
}

/* The row behind it is the task's, where the label is told. */
static int is_ask(const wlmi_net *net, const wlmi_batch *batch, int t, int end)
{
    return t + 1 < end && batch->id[t] == net->config.vocabulary + WLMI_ASK_ROW;
}

int wlmi_summary_asks(const wlmi_net *net, const wlmi_batch *batch)
{
    const int32_t *starts = batch->segments.starts;
    int asks = 0;
    for (int s = 0; net->config.summary_pieces && s < batch->segments.count; s++)
        for (int t = starts[s]; t < starts[s + 1]; t++)
            asks += is_ask(net, batch, t, starts[s + 1]);
    return asks;
}

int wlmi_summary_padded(int asks)
{
    const int step = asks <= 64 ? 8 : 32;
    return (asks + step - 1) / step * step;
}

/* The state of each segment's stream, row by row; told of every question, if it wants to be. */
static void walk(const wlmi_net *net, const wlmi_batch *batch, wlmi_stream *const *streams, int keep,
                 void (*asked)(void *user, int t, const float *number), void *user)
{
    const int32_t *starts = batch->segments.starts;
    float number[WLMI_SUMMARY_NUMBERS];
    for (int s = 0; s < batch->segments.count; s++) {
        float state[WLMI_SUMMARY_STATE] = {0}, *kept = streams ? wlmi_stream_summary(streams[s], net) : NULL;
        if (kept)
            memcpy(state, kept, sizeof state);
        for (int t = starts[s]; t < starts[s + 1]; t++) {
            if (batch->measure[t])
                wlmi_summary_take(state, batch->measure[t]);
            if (asked && is_ask(net, batch, t, starts[s + 1])) {
                wlmi_summary_numbers(state, number);
                asked(user, t, number);
            }
        }
        if (kept && keep)
            memcpy(kept, state, sizeof state);
    }
}

typedef struct reader {
    const wlmi_net *net;
    wlmi_summary_room *room;
    int done;
    float edge[WLMI_SUMMARY_NUMBERS * (WLMI_SUMMARY_MOST_PIECES + 1)];
    float column[WLMI_SUMMARY_NUMBERS * WLMI_SUMMARY_MOST_PIECES];
} reader;

static void place(void *user, int t, const float *number)
{
    reader *r = user;
    const int pieces = r->net->config.summary_pieces;
    const size_t S = (size_t)wlmi_summary_columns(&r->net->config);
    float *column = r->column;
    for (int i = 0; i < WLMI_SUMMARY_NUMBERS; i++) {
        const float *edge = r->edge + i * (pieces + 1);
        for (int k = 0; k < pieces; k++) {
            const float along = edge[k + 1] > edge[k] ? (number[i] - edge[k]) / (edge[k + 1] - edge[k]) : 0;
            *column++ = along < 0 ? 0 : along > 1 ? 1 : along;
        }
    }
    r->net->backend->from_float(wlmi_at(r->net->backend, r->room->columns, (size_t)r->done * S), r->column, S);
    r->room->position[r->done++] = t + 1;
}

void wlmi_summary_read(const wlmi_net *net, const wlmi_batch *batch, wlmi_stream *const *streams, int keep,
                       wlmi_summary_room *room)
{
    const wlmi_backend *b = net->backend;
    const size_t S = (size_t)wlmi_summary_columns(&net->config), padding = (size_t)(room->rows - room->asks);
    const wlmi_param *edges = wlmi_summary_param(net, WLMI_SUMMARY_EDGES);
    reader r = {.net = net, .room = room};
    if (!room->asks) {
        walk(net, batch, streams, keep, NULL, NULL);
        return;
    }
    b->to_float(r.edge, wlmi_value(net, edges), edges->count);
    walk(net, batch, streams, keep, place, &r);
    b->zero(wlmi_at(b, room->columns, (size_t)room->asks * S), padding * S);
    b->to_act(room->act, room->columns, (size_t)room->rows * S);
}

void *wlmi_summary_carve(void *block, size_t *used, size_t bytes)
{
    void *piece = block ? (char *)block + *used : NULL;
    *used += (bytes + 63) & ~(size_t)63;
    return piece;
}

size_t wlmi_summary_lay_out(const wlmi_net *net, wlmi_summary_room *room, void *block)
{
    const size_t real = net->backend->real_size, act = net->backend->act_size;
    const size_t A = (size_t)room->rows, S = (size_t)wlmi_summary_columns(&net->config);
    const size_t H = WLMI_SUMMARY_HIDDEN;
    size_t used = 0;
    room->position = wlmi_summary_carve(block, &used, A * sizeof *room->position);
    room->columns = wlmi_summary_carve(block, &used, A * S * real);
    room->act = wlmi_summary_carve(block, &used, A * S * act);
    for (int i = 0; i < 2; i++) {
        room->gate_up[i] = wlmi_summary_carve(block, &used, A * 2 * H * act);
        room->hidden[i] = wlmi_summary_carve(block, &used, A * H * act);
    }
    return used;
}

void wlmi_summary_forward(const wlmi_net *net, wlmi_summary_room *room)
{
    const wlmi_backend *b = net->backend;
    const int H = WLMI_SUMMARY_HIDDEN, A = room->rows;
    b->matmul_forward(room->gate_up[0], room->act, wlmi_summary_param(net, WLMI_SUMMARY_IN)->weight, A, 2 * H,
                      wlmi_summary_columns(&net->config));
    b->swiglu_forward(room->hidden[0], room->gate_up[0], A, H);
    b->matmul_forward(room->gate_up[1], room->hidden[0], wlmi_summary_param(net, WLMI_SUMMARY_MID)->weight, A, 2 * H, H);
    b->swiglu_forward(room->hidden[1], room->gate_up[1], A, H);
}

/* ---------------------------------------------------------------- edges */

static void put(void *user, int t, const float *number)
{
    float **out = user;
    (void)t;
    memcpy(*out, number, WLMI_SUMMARY_NUMBERS * sizeof *number);
    *out += WLMI_SUMMARY_NUMBERS;
}

void wlmi_summary_collect(const wlmi_net *net, const wlmi_batch *batch, float *out)
{
    walk(net, batch, NULL, 0, put, &out);
}

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* edge [n]: the values at even steps of x [count]. */
static void take_some(const float *x, size_t count, int n, float *edge)
{
    for (int k = 0; k < n; k++)
        edge[k] = x[(count - 1) * (size_t)k / (size_t)(n > 1 ? n - 1 : 1)];
}

/* Of x [n], which is put in order. The last edge fills what is left. */
static void fit_one(float *x, size_t n, int pieces, float *edge)
{
    const int quantiles = pieces / 2 + 1, taken = pieces + 1;
    int used = 1;
    size_t different = 1;
    qsort(x, n, sizeof *x, by_size);
    take_some(x, n, quantiles, edge);
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[different - 1])
            x[different++] = x[i];
    take_some(x, different, taken - quantiles, edge + quantiles);
    qsort(edge, (size_t)taken, sizeof *edge, by_size);
    for (int k = 1; k < taken; k++)
        if (edge[k] > edge[used - 1])
            edge[used++] = edge[k];
    for (; used <= pieces; used++)
        edge[used] = edge[used - 1];
}

wlm_status wlmi_summary_fit(wlmi_net *net, const float *number, size_t n, wlm_error *error)
{
    const int pieces = net->config.summary_pieces, F = WLMI_SUMMARY_NUMBERS;
    const wlmi_backend *b = net->backend;
    wlmi_real *edges = wlmi_value(net, wlmi_summary_param(net, WLMI_SUMMARY_EDGES));
    float edge[WLMI_SUMMARY_MOST_PIECES + 1], *x = wlmi_alloc_array(n, sizeof *x);
    if (!x)
        return WLMI_NO_MEMORY(error);
    for (int i = 0; n && i < F; i++) {
        for (size_t j = 0; j < n; j++)
            x[j] = number[j * (size_t)F + (size_t)i];
        fit_one(x, n, pieces, edge);
        b->from_float(wlmi_at(b, edges, (size_t)i * (size_t)(pieces + 1)), edge, (size_t)pieces + 1);
    }
    wlmi_free(x);
    return WLM_OK;
}

int wlmi_summary_is_fitted(const wlmi_net *net)
{
    const wlmi_param *edges = wlmi_summary_param(net, WLMI_SUMMARY_EDGES);
    float edge[WLMI_SUMMARY_NUMBERS * (WLMI_SUMMARY_MOST_PIECES + 1)];
    net->backend->to_float(edge, wlmi_value(net, edges), edges->count);
    for (size_t i = 0; i < edges->count; i++)
        if (edge[i] != 0)
            return 1;
    return 0;
}
