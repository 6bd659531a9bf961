/* labelled.h: the training flows that have a label, and which of them a draw gives. Tasks come by their flows^(1 -
 * task_balance) or by given shares; within a task, a label with n flows comes n^(1 - balance) times; every flow of a label
 * comes once before any of them comes again. */
#ifndef WLMI_LABELLED_H
#define WLMI_LABELLED_H

#include "task/mix.h"

typedef struct wlmi_place { /* a flow of a folder */
    uint32_t source;
    uint64_t flow;
} wlmi_place;

typedef struct wlmi_class { /* training flows of one label */
    int task, label;
    uint64_t first, flows; /* in place[] */
    uint64_t first_slot;   /* it has the slots up to the next class's first */
} wlmi_class;

typedef struct wlmi_labelled { /* zero-initialise */
    const wlmi_net *net;    /* borrowed */
    wlmi_place *place;      /* grouped by class */
    uint64_t places, added;
    wlmi_class *class;      /* [classes + 1] */
    size_t classes;
    uint64_t slots;
} wlmi_labelled;

typedef struct wlmi_labelled_options {
    double balance, task_balance;
    const char *task_shares; /* or NULL */
    uint64_t per_label, draw;
} wlmi_labelled_options;

wlm_status wlmi_labelled_begin(wlmi_labelled *l, const wlmi_net *net, wlm_error *error);
/* First all flows are counted; then, after _room, all are added, in the same order. */
void wlmi_labelled_count(wlmi_labelled *l, int task, int label);
wlm_status wlmi_labelled_room(wlmi_labelled *l, wlm_error *error);
void wlmi_labelled_add(wlmi_labelled *l, int task, int label, wlmi_place place);
/* Then shares are decided. per_label: of a label's n flows, in the order in which they were added, those with the
 * numbers wlmi_few(draw, label, i, n) for i below per_label stay. */
wlm_status wlmi_labelled_share(wlmi_labelled *l, const wlmi_labelled_options *options, wlm_error *error);
uint64_t wlmi_few(uint64_t draw, const char *label, uint64_t i, uint64_t n);
/* The flow of draw `rank` under a seed, with its task and label. There is at least one. */
wlmi_place wlmi_labelled_draw(const wlmi_labelled *l, uint64_t seed, uint64_t rank, int *task, int *label);
void wlmi_labelled_clear(wlmi_labelled *l);

#endif
