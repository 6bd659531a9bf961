/* ahead.h: captures read and sorted into flows by several threads, ahead of the one who takes them, and taken in their
 * order: what is taken is the same for any number of threads. */
#ifndef WLMI_AHEAD_H
#define WLMI_AHEAD_H

#include "capture/flow.h"
#include "capture/packet_list.h"

typedef struct wlmi_ahead_flow { /* of a capture, at its end */
    wlm_flow_key key;
    wlm_flow_start start;
    wlm_flow_end end;
    int oneway; /* packets in one direction only */
} wlmi_ahead_flow;

typedef struct wlmi_ahead_block { /* packets that follow each other in a capture */
    wlmi_packet_list packets;
    uint64_t *flow;        /* [packets.count] of each packet: flows are numbered from 0 in the order of their opening */
    wlm_flow_key *opened;  /* [opens] keys, as they were then, of the flows that open with these packets */
    size_t opens, flow_capacity, opened_capacity;
    struct wlmi_ahead_block *next;
} wlmi_ahead_block;

typedef struct wlmi_ahead wlmi_ahead;

/* path [count] stays the caller's. threads: that read, beside the caller's own; 1: that one reads too, and there is no
 * other; 0: one per processor. Memory: 8 MiB of packets per thread, and what the flow tables and flows need. */
wlm_status wlmi_ahead_new(wlmi_ahead **ahead, const char *const *path, size_t count, int threads, wlm_error *error);
/* WLM_OK and some packets of the capture at hand, borrowed until the next call: none, one time at least, of every capture
 * that can be opened. Else that capture is at its end, of itself (WLM_END) or for what the error says, and the next call
 * is about the next one. No more calls than that after the last one's end. */
wlm_status wlmi_ahead_next(wlmi_ahead *ahead, const wlmi_ahead_block **block, wlm_error *error);
/* The flows [*count] of the capture whose end was just told (WLM_END, WLM_ERR_FORMAT), until the next call. */
const wlmi_ahead_flow *wlmi_ahead_flows(const wlmi_ahead *ahead, size_t *count);
void wlmi_ahead_free(wlmi_ahead *ahead);

#endif
