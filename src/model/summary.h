/* summary.h: a second opinion about a flow's label, from what its measures (base/measure.h) add up to: counts, sums,
 * means, deviations and extremes of sizes and gaps, by direction, the first packets one by one, flags counted, the
 * rest of either direction's first and last header, and either direction's first payload bytes. A sequence model has to
 * learn to count and to average from few labelled flows; this need not. Where a model asks for a label, trees of that
 * task, each with a value of every label at every leaf, add up to logits of their own (gradient boosting: Friedman,
 * 2001; task/boost.h grows them): some for flows that show headers or payload, others for those of which sizes and times
 * alone are seen. What the model says is (1 - share) its own logits + share those, by task. */
#ifndef WLMI_SUMMARY_H
#define WLMI_SUMMARY_H

#include "model/model.h"

enum {
    WLMI_SUMMARY_TREES = 250, /* R, of each task and kind of flow, unless asked otherwise */
    WLMI_SUMMARY_MOST_TREES = 1000,
    WLMI_SUMMARY_DEPTH = 6, /* of every tree: whole ones, as a split can send all one way */
    WLMI_SUMMARY_SPLITS = (1 << WLMI_SUMMARY_DEPTH) - 1,
    WLMI_SUMMARY_LEAVES = 1 << WLMI_SUMMARY_DEPTH,
    WLMI_SUMMARY_FIRST = 32,  /* packets that are told one by one */
    WLMI_SUMMARY_BYTES = 64,  /* of either direction's payload, as they come */
    WLMI_SUMMARY_SERIES = 8,  /* sizes of all, forward, backward packets; of those not empty either way; gaps: all, and
                               * between packets of one direction */
    WLMI_SUMMARY_HEADER = 16, /* numbers from the headers of either direction */
    WLMI_SUMMARY_STATE = 11 + 5 * WLMI_SUMMARY_SERIES + 2 * WLMI_SUMMARY_FIRST + 2 * WLMI_SUMMARY_HEADER +
                         2 * WLMI_SUMMARY_BYTES,
    WLMI_SUMMARY_NUMBERS = 6 * WLMI_SUMMARY_SERIES + 2 + 2 * WLMI_SUMMARY_FIRST + 1 + 2 * WLMI_SUMMARY_HEADER +
                           2 * WLMI_SUMMARY_BYTES /* F */
};

/* Its parameters, before the embedding of rows; Q tasks, L rows of tasks and labels, as behind the special rows of the
 * embedding; first for flows that show more than sizes and times (WLMI_SHOWN_HEADERS), then for others. No optimiser
 * changes them. Node i of a tree sends a flow to node 2 i + 1, or, where the number of that index is above its border, to
 * 2 i + 2; node 63 is leaf 0. */
typedef enum wlmi_summary_slot {
    WLMI_SUMMARY_INDEX,  /* [2*Q*R*63]: whole numbers below F */
    WLMI_SUMMARY_BORDER, /* [2*Q*R*63] */
    WLMI_SUMMARY_VALUE,  /* [2*R*64, L]: a task's trees write in the columns of its labels */
    WLMI_SUMMARY_SLOTS
} wlmi_summary_slot;
const wlmi_param *wlmi_summary_param(const wlmi_net *net, wlmi_summary_slot slot); /* of a net with a summary */

/* state [WLMI_SUMMARY_STATE], zero at first, takes in a row. */
void wlmi_summary_take(float *state, int32_t token, int64_t measure);
/* number [F]: logarithms, of microseconds where they are times; bytes as they are, -1 where there is none. */
void wlmi_summary_numbers(const float *state, float *number);
/* WLMI_SHOWN_SHAPE where no header says anything that one under policy shape does not, and no byte is there. */
int wlmi_summary_shown(const float *number);

/* The questions in a batch, A of them. */
typedef struct wlmi_summary_room {
    int asks;
    int32_t *position; /* [A]: rows behind <ask> */
    int32_t *task;     /* [A]: whose row stands there; -1: of none that the summary knows */
    float *number;     /* [A,F] */
} wlmi_summary_room;

/* L, and whether it is what the net has now: a summary knows the tasks that there were when it was made. */
int wlmi_summary_labels(const wlmi_net *net);
int wlmi_summary_is_current(const wlmi_net *net);
/* Questions in a batch; 0 where the net has no summary. */
int wlmi_summary_asks(const wlmi_net *net, const wlmi_batch *batch);
/* Lays it out, its `asks` being set, at the beginning of block, or, NULL, tells how many bytes that takes. */
size_t wlmi_summary_lay_out(wlmi_summary_room *room, void *block);
/* Streams take in the batch's measures, if `keep`; fills the room. streams NULL: each segment begins one. */
void wlmi_summary_read(const wlmi_net *net, const wlmi_batch *batch, wlmi_stream *const *streams, int keep,
                       wlmi_summary_room *room);
/* logit [last-first] += share times those of one question, columns first .. last-1 counted behind the special rows. */
void wlmi_summary_add(const wlmi_net *net, int task, const float *number, float share, int first, int last,
                      float *logit);

#endif
