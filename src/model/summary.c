/* summary.c: what trees make of a stream's sums (summary_sums.c). */
#include "model/summary.h"

#include <string.h>

#include "model/params.h"
#include "model/stream.h"
#include "model/workspace.h"

const wlmi_param *wlmi_summary_param(const wlmi_net *net, wlmi_summary_slot slot)
{
    return wlmi_embed_param(net) - WLMI_SUMMARY_SLOTS + (int)slot;
}

int wlmi_summary_labels(const wlmi_net *net)
{
    return net->rows - net->config.vocabulary - WLMI_SPECIALS;
}

int wlmi_summary_is_current(const wlmi_net *net)
{
    return net->config.summary_trees && net->config.summary_tasks == net->tasks &&
           net->config.summary_labels == wlmi_summary_labels(net);
}

/* ---------------------------------------------------------------- questions */

/* The row behind it is the task's, where the label is told. */
static int is_ask(const wlmi_net *net, const wlmi_batch *batch, int t, int end)
{
    return t + 1 < end && batch->id[t] == net->config.vocabulary + WLMI_ASK_ROW;
}

int wlmi_summary_asks(const wlmi_net *net, const wlmi_batch *batch)
{
    const int32_t *starts = batch->segments.starts;
    int asks = 0;
    for (int s = 0; net->config.summary_trees && s < batch->segments.count; s++)
        for (int t = starts[s]; t < starts[s + 1]; t++)
            asks += is_ask(net, batch, t, starts[s + 1]);
    return asks;
}

static int32_t task_at(const wlmi_net *net, int32_t row)
{
    for (int t = 0; wlmi_summary_is_current(net) && t < net->tasks; t++)
        if (net->task[t].row == row)
            return t;
    return -1;
}

void wlmi_summary_read(const wlmi_net *net, const wlmi_batch *batch, wlmi_stream *const *streams, int keep,
                       wlmi_summary_room *room)
{
    const int32_t *starts = batch->segments.starts;
    int asks = 0;
    for (int s = 0; s < batch->segments.count; s++) {
        float state[WLMI_SUMMARY_STATE] = {0}, *kept = streams ? wlmi_stream_summary(streams[s], net) : NULL;
        if (kept)
            memcpy(state, kept, sizeof state);
        for (int t = starts[s]; t < starts[s + 1]; t++) {
            wlmi_summary_take(state, batch->id[t], batch->measure[t]);
            if (!room->asks || !is_ask(net, batch, t, starts[s + 1]))
                continue;
            wlmi_summary_numbers(state, room->number + (size_t)asks * WLMI_SUMMARY_NUMBERS);
            room->task[asks] = task_at(net, batch->id[t + 1]);
            room->position[asks++] = t + 1;
        }
        if (kept && keep)
            memcpy(kept, state, sizeof state);
    }
}

static void *carve(void *block, size_t *used, size_t bytes)
{
    void *piece = block ? (char *)block + *used : NULL;
    *used += (bytes + 63) & ~(size_t)63;
    return piece;
}

size_t wlmi_summary_lay_out(wlmi_summary_room *room, void *block)
{
    const size_t A = (size_t)room->asks;
    size_t used = 0;
    room->position = carve(block, &used, A * sizeof *room->position);
    room->task = carve(block, &used, A * sizeof *room->task);
    room->number = carve(block, &used, A * WLMI_SUMMARY_NUMBERS * sizeof *room->number);
    return used;
}

/* ---------------------------------------------------------------- answers */

/* The leaf of a task's tree where numbers end up; a file can name any index. */
static size_t leaf_of(const wlmi_net *net, size_t tree, const float *number)
{
    const wlmi_backend *b = net->backend;
    const wlmi_real *index = wlmi_value(net, wlmi_summary_param(net, WLMI_SUMMARY_INDEX));
    const wlmi_real *border = wlmi_value(net, wlmi_summary_param(net, WLMI_SUMMARY_BORDER));
    size_t node = 0;
    for (int d = 0; d < WLMI_SUMMARY_DEPTH; d++) {
        const size_t at = tree * WLMI_SUMMARY_SPLITS + node;
        const double told = wlmi_read_real(b, index, at);
        const int i = told > 0 && told < WLMI_SUMMARY_NUMBERS ? (int)told : 0;
        node = 2 * node + 1 + (number[i] > wlmi_read_real(b, border, at));
    }
    return node - WLMI_SUMMARY_SPLITS;
}

void wlmi_summary_add(const wlmi_net *net, int task, const float *number, float share, int first, int last,
                      float *logit)
{
    enum { AT_ONCE = 64 };
    const wlmi_backend *b = net->backend;
    const wlmi_real *value = wlmi_value(net, wlmi_summary_param(net, WLMI_SUMMARY_VALUE));
    const size_t R = (size_t)net->config.summary_trees, L = (size_t)net->config.summary_labels;
    const size_t shown = (size_t)wlmi_summary_shown(number), Q = (size_t)net->config.summary_tasks;
    float some[AT_ONCE];
    for (size_t r = 0; r < R; r++) {
        const size_t leaf = leaf_of(net, (shown * Q + (size_t)task) * R + r, number);
        const size_t row = (shown * R + r) * WLMI_SUMMARY_LEAVES + leaf;
        for (int j = first; j < last; j += AT_ONCE) {
            const int n = last - j < AT_ONCE ? last - j : AT_ONCE;
            b->to_float(some, wlmi_at(b, value, row * L + (size_t)j), (size_t)n);
            for (int i = 0; i < n; i++)
                logit[j - first + i] += share * some[i];
        }
    }
}
