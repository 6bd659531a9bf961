/* labeller.h: packets in, answers about their flows out: the flow table, what the model sees of each flow, and the
 * queue of questions. */
#ifndef WLMI_LABELLER_H
#define WLMI_LABELLER_H

#include "task/classify_queue.h"

typedef struct wlmi_labeller_options {
    wlmi_queue_options queue; /* keeps_states follows from `every` and `ahead`, hide from the view */
    uint32_t every;           /* also ask after each so many packets that the model saw; 0: only at a flow's end */
    int early;                /* ask for good as soon as the model has seen all that it looks at: end budget */
    int ahead;                /* flows keep streams, which wlmi_labeller_idle() feeds before anything is asked */
} wlmi_labeller_options;

typedef struct wlmi_labeller wlmi_labeller;

wlm_status wlmi_labeller_new(wlmi_labeller **labeller, wlm_model *model, const wlmi_view *view,
                             const wlmi_labeller_options *options, wlm_error *error);
/* *used: it belongs to an IP flow. May answer questions. */
wlm_status wlmi_labeller_packet(wlmi_labeller *labeller, const wlm_packet *packet, int *used, wlm_error *error);
/* Answers what waits. */
wlm_status wlmi_labeller_run(wlmi_labeller *labeller, wlm_error *error);
/* For a moment without packets: answers what waits, else, with `ahead`, feeds about so many rows. *idle: there was
 * nothing to do. */
wlm_status wlmi_labeller_idle(wlmi_labeller *labeller, size_t rows, int *idle, wlm_error *error);
/* No more packets will come: ends all flows, and answers what waits. */
wlm_status wlmi_labeller_finish(wlmi_labeller *labeller, wlm_error *error);
/* Nanoseconds of capture time that the oldest question has waited; -1: none waits. */
int64_t wlmi_labeller_waited(const wlmi_labeller *labeller);
uint64_t wlmi_labeller_flows(const wlmi_labeller *labeller); /* asked about for good */
uint64_t wlmi_labeller_evictions(const wlmi_labeller *labeller);
wlmi_states_report wlmi_labeller_states(const wlmi_labeller *labeller);
void wlmi_labeller_free(wlmi_labeller *labeller); /* questions that wait are forgotten */

#endif
