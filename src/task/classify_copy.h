/* classify_copy.h: the packets that were classified once more, as pcapng, each flow's label in the comment of its first
 * packet. A capture is read a second time for it; standard input is spooled beside the output first. */
#ifndef WLMI_CLASSIFY_COPY_H
#define WLMI_CLASSIFY_COPY_H

#include "base/status.h"

typedef struct wlmi_copy wlmi_copy;

/* filter is borrowed; NULL: all packets. The output is opened here, so that a bad path is found early. */
wlm_status wlmi_copy_new(wlmi_copy **copy, const char *out, wlm_filter *filter, wlm_error *error);
/* While a capture that cannot be read twice is read: keeps the packet. */
wlm_status wlmi_copy_spool(wlmi_copy *copy, const wlm_packet *packet, wlm_error *error);
/* The flow that begins with this packet of the current file is called so. Several notes on one packet are joined. */
wlm_status wlmi_copy_note(wlmi_copy *copy, uint64_t first_packet, const char *text, wlm_error *error);
/* The current file is done: copies its first `packets` packets (path "-": those spooled) with their notes. */
wlm_status wlmi_copy_file(wlmi_copy *copy, const char *path, uint64_t packets, wlm_error *error);
/* The copy is gone afterwards. */
wlm_status wlmi_copy_finish(wlmi_copy *copy, wlm_error *error);
void wlmi_copy_discard(wlmi_copy *copy);

#endif
