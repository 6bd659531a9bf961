/* classify_queue.h: questions about flows wait here until there are enough of them for a batch; answers come out in the
 * order in which they were asked. Either every question is about a flow's whole prefix, which is read in one packed
 * forward pass; or flows are asked again and again as they grow, and keep streams (classify_states.h). */
#ifndef WLMI_CLASSIFY_QUEUE_H
#define WLMI_CLASSIFY_QUEUE_H

#include "capture/flow.h"
#include "task/classify_states.h"

typedef struct wlmi_answer {
    int task;          /* index in the net */
    const float *share;/* [labels of the task]: probabilities */
} wlmi_answer;

typedef struct wlmi_shown { /* what of the flow the model had seen when it was asked */
    uint32_t packets;
    size_t tokens;
    int clipped; /* bytes of a packet were not shown */
    int last;    /* nothing more will be asked about the flow */
} wlmi_shown;

typedef struct wlmi_queue_options {
    const int *task;    /* [tasks]: indices in the net; borrowed */
    int tasks;
    wlm_hide hide;      /* how the flows are shown */
    size_t rows;        /* of a batch: it runs when the next question would not fit */
    int keeps_states;
    size_t state_bytes; /* with states: the budget of classify_states.h */
    /* Called for each question, with one answer per task; flow as it was when asked. */
    void (*answered)(void *owner, const wlmi_flow *flow, const wlmi_shown *shown, const wlmi_answer *answer);
    void *owner;
} wlmi_queue_options;

typedef struct wlmi_queue wlmi_queue;

wlm_status wlmi_queue_new(wlmi_queue **queue, wlm_model *model, wlmi_prefixes *pool,
                          const wlmi_queue_options *options, wlm_error *error);
/* Asks about the flow as it is now; flow->user is not used. last: its prefix is complete, nothing more will be asked, and
 * its tokens go once it is answered. Without states every question must be the last. May run a batch. */
wlm_status wlmi_queue_ask(wlmi_queue *queue, const wlmi_flow *flow, wlmi_watch *watch, int last, wlm_error *error);
/* With states: the flow has tokens that its stream does not have yet; wlmi_queue_feed may bring them there. */
wlm_status wlmi_queue_ahead(wlmi_queue *queue, wlmi_watch *watch, wlm_error *error);
/* Feeds flows that are ahead of their streams, about so many rows; *rows becomes how many it were. To be called while no
 * question waits. */
wlm_status wlmi_queue_feed(wlmi_queue *queue, size_t *rows, wlm_error *error);
/* The flow is gone: frees its watch (of wlmi_alloc) as soon as nothing about it waits. */
void wlmi_queue_release(wlmi_queue *queue, wlmi_watch *watch);
/* Runs what waits. */
wlm_status wlmi_queue_run(wlmi_queue *queue, wlm_error *error);
size_t wlmi_queue_waiting(const wlmi_queue *queue); /* questions */
wlmi_states_report wlmi_queue_states(const wlmi_queue *queue);
void wlmi_queue_free(wlmi_queue *queue); /* every watch has been released */

#endif
