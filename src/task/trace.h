/* trace.h: where generated flows go: one capture in order of time, mixed into another where that is asked for; a file
 * per flow; a CSV that tells what each flow is. */
#ifndef WLMI_TRACE_H
#define WLMI_TRACE_H

#include "capture/address.h"
#include "capture/packet_list.h"

typedef struct wlmi_trace_options { /* strings are borrowed; NULL: not wanted; out or per_flow is needed */
    const char *out, *per_flow, *truth, *merge;
} wlmi_trace_options;

typedef struct wlmi_traced {          /* flows that were sampled as one stream */
    const wlmi_packet_list *packets;  /* as they are to be written, Ethernet */
    const uint64_t *of;               /* [packets]: which of the flows each belongs to */
    uint64_t flows, first;            /* how many, and the number of the first, from 0 */
    const char *label;                /* or NULL */
} wlmi_traced;

typedef struct wlmi_trace wlmi_trace;

/* Takes the addresses of the capture at `merge` out of the plan. */
wlm_status wlmi_trace_open(wlmi_trace **trace, const wlmi_trace_options *options, wlmi_address_plan *plan,
                           wlm_error *error);
/* The earliest and the latest time in the capture at `merge`; 0 returned where there is none. */
int wlmi_trace_span(const wlmi_trace *trace, int64_t *first_ns, int64_t *last_ns);
wlm_status wlmi_trace_add(wlmi_trace *trace, const wlmi_traced *flows, wlm_error *error);
/* No packet before that time will come any more: writes and forgets those that are there. */
wlm_status wlmi_trace_write(wlmi_trace *trace, int64_t before_ns, wlm_error *error);
/* Completes all files; the trace is gone afterwards, whatever the status. */
wlm_status wlmi_trace_finish(wlmi_trace *trace, wlm_error *error);
void wlmi_trace_discard(wlmi_trace *trace);

#endif
