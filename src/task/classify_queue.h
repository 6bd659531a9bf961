/* classify_queue.h: flows that have ended wait here until there are enough of them for one packed batch; answers come
 * out in the order of the flows' ends. */
#ifndef WLMI_CLASSIFY_QUEUE_H
#define WLMI_CLASSIFY_QUEUE_H

#include "capture/flow.h"
#include "task/prefix.h"

typedef struct wlmi_answer {
    int task;          /* index in the net */
    const float *share;/* [labels of the task]: probabilities */
} wlmi_answer;

typedef struct wlmi_queue_options {
    const int *task;   /* [tasks]: indices in the net; borrowed */
    int tasks;
    size_t rows;       /* of a batch: it runs when the next flow would not fit */
    /* Called for each flow, with one answer per task. */
    void (*answered)(void *owner, const wlmi_flow *flow, const wlmi_prefix *prefix, const wlmi_answer *answer);
    void *owner;
} wlmi_queue_options;

typedef struct wlmi_queue wlmi_queue;

wlm_status wlmi_queue_new(wlmi_queue **queue, wlm_model *model, wlmi_prefixes *pool,
                          const wlmi_queue_options *options, wlm_error *error);
/* Takes the flow (flow->user is not used) and its prefix, which is empty afterwards. May run a batch. */
wlm_status wlmi_queue_add(wlmi_queue *queue, const wlmi_flow *flow, wlmi_prefix *prefix, wlm_error *error);
/* Runs what waits. */
wlm_status wlmi_queue_run(wlmi_queue *queue, wlm_error *error);
size_t wlmi_queue_waiting(const wlmi_queue *queue); /* flows */
void wlmi_queue_free(wlmi_queue *queue);

#endif
