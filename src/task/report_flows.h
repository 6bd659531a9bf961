/* report_flows.h: flows held in memory, for the report on generated traffic: those of captures, or of a part of an
 * imported folder. Only flows of IP packets are kept. */
#ifndef WLMI_REPORT_FLOWS_H
#define WLMI_REPORT_FLOWS_H

#include "capture/flow.h"
#include "capture/packet_list.h"
#include "task/strings.h"

typedef struct wlmi_report_flow {
    wlm_flow_key key;
    wlm_flow_start start;
    uint32_t label;      /* number in the set's labels, or WLMI_NO_STRING */
    uint32_t group;      /* the capture that it stood in, or what an import kept together; numbered over the set */
    size_t first, count; /* its packets: places first .. first + count - 1 */
} wlmi_report_flow;

typedef struct wlmi_flow_set { /* zero-initialise, but for labels */
    wlmi_strings *labels;      /* borrowed; shared by sets whose labels shall have the same numbers */
    wlmi_packet_list list;
    size_t *owner;             /* [list.count]: the flow of each packet, while reading */
    size_t *place;             /* [list.count]: packets flow by flow, in order of capture within one */
    wlmi_report_flow *flow;
    size_t flows, capacity, owner_capacity;
    uint32_t groups;
    uint64_t not_ip;           /* packets left out */
    uint64_t unlabelled;       /* flows left out: of imported folders where others have labels */
    uint64_t damaged;          /* captures that broke off; what stands before that is kept */
} wlmi_flow_set;

/* Adds all flows of a capture, a folder of captures, or an imported folder's `part` (WLM_PART_NONE: all of them).
 * label: of all flows; NULL: the imported folder's own, none for captures. */
wlm_status wlmi_flow_set_add(wlmi_flow_set *set, const char *path, const char *label, wlm_part part, wlm_error *error);
/* Adds a flow of IP packets without a label, a capture of its own. */
wlm_status wlmi_flow_set_add_flow(wlmi_flow_set *set, const wlmi_packet_list *packets, wlm_error *error);
/* To be called once, after the last add: packets can be had from now on. */
wlm_status wlmi_flow_set_close(wlmi_flow_set *set, wlm_error *error);
void wlmi_flow_set_free(wlmi_flow_set *set);

/* Packet at a place; *backward: from the flow's destination to its source. Valid as long as the set. */
wlm_packet wlmi_flow_set_packet(const wlmi_flow_set *set, size_t place);
int wlmi_report_backward(const wlmi_report_flow *flow, const wlm_packet *packet, const wlmi_headers *headers);

/* Some flows of a set. */
typedef struct wlmi_flow_view {
    const wlmi_flow_set *set;
    const size_t *flow; /* [flows]: indices */
    size_t flows;
} wlmi_flow_view;

#endif
