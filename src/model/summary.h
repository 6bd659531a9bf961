/* summary.h: a second opinion about a flow's label, from what its measures (base/measure.h) add up to: counts, sums,
 * means, deviations and extremes of sizes and gaps, by direction, the first packets one by one, flags counted, and the
 * rest of either direction's first and last header. A sequence model has to learn to count and to average from few labelled flows; this need not. Where a model asks for a label, the numbers
 * so far become columns, each number by its place between values that training data had (piecewise linear encoding:
 * Gorishniy et al., 2022); two hidden layers (SwiGLU) take them to logits of its own. What the model says is
 * (1 - share) its own logits + share those, by task. */
#ifndef WLMI_SUMMARY_H
#define WLMI_SUMMARY_H

#include "model/model.h"

enum {
    WLMI_SUMMARY_PIECES = 47, /* P, of each number */
    WLMI_SUMMARY_MOST_PIECES = 64,
    WLMI_SUMMARY_HIDDEN = 256, /* H */
    WLMI_SUMMARY_FIRST = 16,   /* packets that are told one by one */
    WLMI_SUMMARY_SERIES = 8,   /* sizes of all, forward, backward packets; of those not empty either way; gaps: all, and
                                * between packets of one direction */
    WLMI_SUMMARY_HEADER = 16, /* numbers from the headers of either direction */
    WLMI_SUMMARY_STATE = 8 + 5 * WLMI_SUMMARY_SERIES + 2 * WLMI_SUMMARY_FIRST + 2 * WLMI_SUMMARY_HEADER,
    WLMI_SUMMARY_NUMBERS = 6 * WLMI_SUMMARY_SERIES + 2 + 2 * WLMI_SUMMARY_FIRST + 1 + 2 * WLMI_SUMMARY_HEADER /* F */
};

/* Its parameters, before the embedding of rows. */
typedef enum wlmi_summary_slot {
    WLMI_SUMMARY_EDGES, /* [F*(P+1)]: fitted, not learned */
    WLMI_SUMMARY_IN,    /* [2H, F*P] */
    WLMI_SUMMARY_MID,   /* [2H, H] */
    WLMI_SUMMARY_OUT,   /* [L, H]: a row for each task and each label, as behind the special rows of the embedding */
    WLMI_SUMMARY_SLOTS
} wlmi_summary_slot;
const wlmi_param *wlmi_summary_param(const wlmi_net *net, wlmi_summary_slot slot); /* of a net with a summary */

static inline int wlmi_summary_columns(const wlmi_config *config) /* S = F*P; 0: there is none */
{
    return WLMI_SUMMARY_NUMBERS * config->summary_pieces;
}

/* state [WLMI_SUMMARY_STATE], zero at first, takes in a row's measure. */
void wlmi_summary_take(float *state, int64_t measure);
/* number [F]: logarithms, of microseconds where they are times. */
void wlmi_summary_numbers(const float *state, float *number);

/* Working room for one batch: A questions in it, `rows` with those that are padding. */
typedef struct wlmi_summary_room {
    int asks, rows;
    int32_t *position;  /* [A]: rows behind <ask> */
    wlmi_real *columns; /* [rows,S] */
    wlmi_act *act;      /* [rows,S] the same for products */
    wlmi_act *gate_up[2], *hidden[2]; /* [rows,2H], [rows,H] of either layer */
} wlmi_summary_room;

/* The next piece of a block, or NULL while it is only measured; *used moves behind it. */
void *wlmi_summary_carve(void *block, size_t *used, size_t bytes);
/* Lays it out, its `rows` being set, at the beginning of block, or, NULL, tells how many bytes that takes. */
size_t wlmi_summary_lay_out(const wlmi_net *net, wlmi_summary_room *room, void *block);
/* L, as the net has tasks now: a summary knows those that there were when it was made. */
int wlmi_summary_labels(const wlmi_net *net);
/* Questions in a batch; 0 where the net has no summary. */
int wlmi_summary_asks(const wlmi_net *net, const wlmi_batch *batch);
/* The same and some more, so that products come in few sizes. */
int wlmi_summary_padded(int asks);
/* Streams take in the batch's measures, if `keep`; fills position, columns and act. streams NULL: each segment begins
 * one. */
void wlmi_summary_read(const wlmi_net *net, const wlmi_batch *batch, wlmi_stream *const *streams, int keep,
                       wlmi_summary_room *room);
/* From there to the last of hidden. */
void wlmi_summary_forward(const wlmi_net *net, wlmi_summary_room *room);

/* From here on training teaches the summary, and nothing else of the net. */
void wlmi_summary_teach(wlmi_net *net);
/* Loss and gradient of the summary alone, at those of the batch's targets that are labels behind <ask>: in place of
 * wlmi_net_forward() and wlmi_net_backward() where net->teaches_summary says so. */
wlm_status wlmi_summary_loss(wlmi_net *net, const wlmi_batch *batch, wlmi_loss *loss, wlm_error *error);
wlm_status wlmi_summary_backward(wlmi_net *net, wlm_error *error);

/* The numbers at a batch's questions: out [asks,F]. */
void wlmi_summary_collect(const wlmi_net *net, const wlmi_batch *batch, float *out);
/* Sets the edges: half of them quantiles of n such rows of training data, half spread evenly over their different values,
 * for the rare large ones. */
wlm_status wlmi_summary_fit(wlmi_net *net, const float *number, size_t n, wlm_error *error);
int wlmi_summary_is_fitted(const wlmi_net *net);

typedef struct wlmi_summary_step wlmi_summary_step; /* what wlmi_summary_loss() leaves for backward */
void wlmi_summary_step_free(wlmi_summary_step *step);

#endif
