/* truth.h: a CSV that says what each flow of a generated capture is, in the columns that labels.h reads. */
#ifndef WLMI_TRUTH_H
#define WLMI_TRUTH_H

#include "base/status.h"

typedef struct wlmi_truth wlmi_truth;

typedef struct wlmi_truth_line {
    const char *path;          /* of the capture, as the caller named it */
    const char *label;         /* NULL: none */
    const wlm_packet *first;   /* the flow's first packet: its source is the flow's */
    uint64_t packets;
} wlmi_truth_line;

/* Columns path (relative to the CSV's folder where it stands below it, else absolute), label, src_ip, src_port, dst_ip,
 * dst_port, proto, start (RFC 3339), packets. */
wlm_status wlmi_truth_open(wlmi_truth **truth, const char *path, wlm_error *error);
/* A flow whose first packet is no IP packet has no line: it has no 5-tuple to be known by. */
wlm_status wlmi_truth_add(wlmi_truth *truth, const wlmi_truth_line *line, wlm_error *error);
/* Completes the file; gone afterwards, whatever the status. */
wlm_status wlmi_truth_finish(wlmi_truth *truth, wlm_error *error);
void wlmi_truth_discard(wlmi_truth *truth);

#endif
