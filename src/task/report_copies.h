/* report_copies.h: how much of the generated flows stands in the training flows, word for word. */
#ifndef WLMI_REPORT_COPIES_H
#define WLMI_REPORT_COPIES_H

#include <jansson.h>

#include "task/report_flows.h"

enum { WLMI_GRAM = 16 }; /* bytes */

/* Shares of 16-byte pieces of payload, and of whole flows (payloads, directions and their order), that occur in
 * training: of the generated flows, and of the real ones, each counted once however often it occurs. Flows without
 * payload are no copies of anything. */
wlm_status wlmi_report_copies(const wlmi_flow_view *real, const wlmi_flow_view *fake, const wlmi_flow_view *train,
                              json_t **report, wlm_error *error);

/* A hash of what both ends say to each other, in order; 0: nothing, or less than 16 bytes. */
uint64_t wlmi_flow_said(const wlmi_flow_set *set, const wlmi_report_flow *flow);

#endif
