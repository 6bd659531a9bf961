/* flow_sampler.h: a new flow out of a model's logits, through the codec's grammar; out of a model of unit capture,
 * one stream of interleaved flows. */
#ifndef WLMI_FLOW_SAMPLER_H
#define WLMI_FLOW_SAMPLER_H

#include "capture/packet_list.h"
#include "task/handle.h"
#include "task/rows.h"
#include "task/sample.h"

typedef struct wlmi_flow_sampler_options {
    wlmi_sampling sampling;
    int task, label;       /* indices in the net, or -1: any flow */
    int (*label_of)(const void *from, uint64_t flow); /* in place of `label`, where flows differ in it; or NULL */
    const void *from;
    int begin_anywhere;    /* else TCP begins with a SYN */
    int end_anywhere;      /* else the end token `cut` is left out */
    uint32_t max_tokens;   /* per flow, those of the beginning included */
    const wlmi_packet_list *beginning; /* hidden packets that every flow begins with; borrowed; may be NULL */
    uint64_t flows;        /* unit capture: most that the stream may open */
    const wlm_stop *stop;
} wlmi_flow_sampler_options;

typedef struct wlmi_sampled_flow {
    wlmi_packet_list packets; /* as sampled; times from that of the first; at least one */
    uint64_t *of;             /* [packets]: flow of each, counted from 0 in order of opening */
    size_t of_capacity;
    uint64_t flows;           /* unit flow: 1 */
    uint64_t unsound;         /* unit capture: packets that would have a flow given up */
    uint64_t tokens;          /* of all tries */
    int out_of_tokens;        /* ran into max_tokens before an end; what was begun of a packet is dropped */
    uint32_t given_up;        /* tries before this one */
    int reencoded_differently; /* the codec writes other tokens for these packets; 0 where its order is shuffled */
    int flawed;               /* the last try was kept though it would have been given up */
} wlmi_sampled_flow;

enum { WLMI_FLOW_TRIES = 16 };

typedef struct wlmi_flow_sampler wlmi_flow_sampler;

wlm_status wlmi_flow_sampler_new(wlmi_flow_sampler **sampler, wlm_model *model,
                                 const wlmi_flow_sampler_options *options, wlm_error *error);
typedef struct wlmi_sampler_row { /* what the model is to take in */
    int32_t id, packet, role;
    int64_t measure;
    int afresh; /* as the first row of a stream */
} wlmi_sampler_row;

/* Begins flow number `number`. *flow is zero-initialised or was used before, and lent until the flow is over. A try is given up, and
 * the next begun, where a packet is no IP packet or its headers contradict themselves, and where TCP begins in the
 * middle and must not; a stream of unit capture is kept as it comes. The same seed and logits give the same flow. */
wlm_status wlmi_flow_sampler_begin(wlmi_flow_sampler *sampler, uint64_t number, uint64_t seed, wlmi_sampled_flow *flow,
                                   wlm_error *error);
/* The row that the model is to take in next, or *over: the flow is complete. logits [vocabulary] follow the row given
 * before; the first call after begin reads none. */
wlm_status wlmi_flow_sampler_next(wlmi_flow_sampler *sampler, const float *logits, wlmi_sampler_row *row, int *over,
                                  wlm_error *error);
void wlmi_sampled_flow_free(wlmi_sampled_flow *flow);
void wlmi_flow_sampler_free(wlmi_flow_sampler *sampler);

#endif
