/* report_validity.h: whether packets and flows are what correct hosts would send: checksums, lengths, times, and the
 * rules of TCP. */
#ifndef WLMI_REPORT_VALIDITY_H
#define WLMI_REPORT_VALIDITY_H

#include <jansson.h>

#include "task/report_flows.h"
#include "task/report_tcp.h"

typedef enum wlmi_fault {
    WLMI_FAULT_IP_CHECKSUM, WLMI_FAULT_TRANSPORT_CHECKSUM, WLMI_FAULT_IP_LENGTH, WLMI_FAULT_UDP_LENGTH,
    WLMI_FAULT_HEADER, WLMI_FAULT_TIME, WLMI_FAULT_TCP_HANDSHAKE, WLMI_FAULT_TCP_GAP, WLMI_FAULT_TCP_OVERLAP,
    WLMI_FAULT_TCP_ACK_UNSEEN, WLMI_FAULT_TCP_ACK_BACK, WLMI_FAULT_TCP_NO_ACK, WLMI_FAULT_TCP_AFTER_CLOSE,
    WLMI_FAULT_TCP_SEQUENCE, /* any of those about sequence and acknowledgement numbers */
    WLMI_FAULT_ANY, WLMI_FAULTS
} wlmi_fault;

const char *wlmi_fault_name(wlmi_fault fault);

typedef struct wlmi_validity {
    uint64_t packets, flows;
    uint64_t checked[WLMI_FAULTS], checked_flows[WLMI_FAULTS]; /* packets and flows that could have the fault */
    uint64_t wrong[WLMI_FAULTS], wrong_flows[WLMI_FAULTS];
    uint64_t first[WLMI_FAULTS];   /* number of the first such packet in its capture; 0: none */
    uint64_t cut;                  /* packets captured in part */
    uint64_t opening[4];           /* TCP flows: midstream, SYN unanswered, answered, handshake complete */
} wlmi_validity;

void wlmi_validity_check(wlmi_validity *validity, const wlmi_flow_view *view);
json_t *wlmi_validity_json(const wlmi_validity *real, const wlmi_validity *fake);

#endif
