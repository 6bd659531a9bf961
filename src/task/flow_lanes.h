/* flow_lanes.h: many flows sampled side by side, in lanes that step together. Lane k of L makes flows k, k + L, k + 2 L
 * ..., and every step has L rows, be there flows for them or not: so that a flow is the same however many are made. */
#ifndef WLMI_FLOW_LANES_H
#define WLMI_FLOW_LANES_H

#include "task/flow_sampler.h"

typedef struct wlmi_flow_lanes wlmi_flow_lanes;

/* Flows 0 .. count - 1, each from a seed of its own. What options point to is borrowed. Unit capture, where a flow is a
 * whole stream: one lane. */
wlm_status wlmi_flow_lanes_new(wlmi_flow_lanes **lanes, wlm_model *model, const wlmi_flow_sampler_options *options,
                               uint64_t seed, uint64_t count, wlm_error *error);
/* The next flow in order, until the next call. To be called `count` times at most. WLM_STOPPED where the flag is set,
 * though more flows may be complete. */
wlm_status wlmi_flow_lanes_next(wlmi_flow_lanes *lanes, const wlmi_sampled_flow **flow, wlm_error *error);
void wlmi_flow_lanes_free(wlmi_flow_lanes *lanes);

#endif
