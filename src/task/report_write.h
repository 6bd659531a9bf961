/* report_write.h: flows of a report as captures that other programs read. */
#ifndef WLMI_REPORT_WRITE_H
#define WLMI_REPORT_WRITE_H

#include "task/report_flows.h"

/* A pcap of Ethernet frames, flow after flow, each so long after the one before that no program joins the two. Other
 * link layers are replaced; what Ethernet has is left as it is. */
wlm_status wlmi_report_write(const wlmi_flow_view *view, const char *path, wlm_error *error);

#endif
