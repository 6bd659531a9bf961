/* generate_parts.h: what generate.c, which prepares a run, and generate_flows.c, which writes its flows, share. */
#ifndef WLMI_GENERATE_PARTS_H
#define WLMI_GENERATE_PARTS_H

#include "capture/address.h"
#include "task/candidates.h"
#include "task/flow_lanes.h"
#include "task/likeness.h"
#include "task/ports.h"
#include "task/schedule.h"
#include "task/trace.h"

typedef struct wlmi_generate_kind { /* of flows */
    int label;               /* -1: any */
    char *comment;           /* of its flows' first packets; NULL: none */
    wlmi_likeness *likeness; /* NULL: every sampled flow is written */
    wlmi_candidates candidates;
} wlmi_generate_kind;

typedef struct wlmi_generate_run {
    wlm_model *model;
    const wlm_generate_options *options;
    wlm_generate_report *report;
    int task;                /* -1: none */
    wlmi_generate_kind *kind; /* [kinds]; flow i is of the schedule's i-th */
    size_t kinds;
    wlmi_schedule schedule;
    wlmi_flow_lanes *lanes;
    wlmi_packet_list beginning;
    wlmi_address_plan plan;
    wlmi_trace *trace;
    wlmi_packet_list placed; /* the current flow's */
    uint32_t candidates;     /* sampled for each flow that is written */
    uint8_t *frame;          /* room for one packet, and for one with its payload filled up */
    size_t frame_capacity;
    uint8_t *filled;
    size_t filled_capacity;
    const wlmi_sampled_flow *flow;
    wlmi_place *place;       /* [flow.flows] */
    size_t place_capacity;
    wlmi_look *look;         /* [flow.flows] */
    size_t look_capacity;
    uint64_t flawed, unsound;
    int64_t start_ns;        /* of the trace */
    double clock_s;
} wlmi_generate_run;

int wlmi_generate_is_capture(const wlmi_generate_run *run);
int wlmi_generate_is_lossy(const wlmi_generate_run *run);
/* How the run's flows are sampled: flow number / candidates is the flow that is written. */
wlmi_flow_sampler_options wlmi_generate_sampling(const wlmi_generate_run *run);

/* ---- generate_flows.c */
wlm_status wlmi_generate_flows(wlmi_generate_run *run, wlm_error *error);

#endif
