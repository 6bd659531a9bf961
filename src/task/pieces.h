/* pieces.h: whole captures as training sequences: <flow> tokens... end
 * A piece is the packets of all flows of one capture, in the order in which they were captured, from some packet on to
 * the last that fits the context: one stream of interleaved flows (unit capture). Each flow is hidden as if it were
 * alone, but for time, which goes on from the piece's first packet; which packets are of one flow the coder is told,
 * since hidden flows look alike. The end token stands only behind the capture's last packet.
 *
 * A capture is what an imported folder holds of it, and of that one part: flows of other parts are not seen. Where the
 * view limits packets, those beyond a flow's first ones are left out. */
#ifndef WLMI_PIECES_H
#define WLMI_PIECES_H

#include "task/prompt.h"

typedef struct wlmi_pieces wlmi_pieces;

/* Folders and net are borrowed. Takes 32 bytes of memory for each packet. WLM_ERR_ARGUMENT where the codec does not
 * tell flows apart. */
wlm_status wlmi_pieces_new(wlmi_pieces **pieces, const wlmi_dataset *const *data, size_t count, const wlmi_view *view,
                           const wlmi_net *net, wlm_error *error);
/* Packets of a part (train, val, test), capture after capture: each can begin a piece. */
uint64_t wlmi_pieces_packets(const wlmi_pieces *pieces, wlm_part part);
/* Appends the piece that begins with a part's packet `first` as one segment; on failure rows are as before. draw:
 * other than 0 it seeds the order of fields, where the view shuffles them. *used: how many packets went in, the last
 * one cut only where it is the first. */
wlm_status wlmi_pieces_append(wlmi_pieces *pieces, wlm_part part, uint64_t first, uint64_t draw, wlmi_rows *rows,
                              uint64_t *used, wlm_error *error);
void wlmi_pieces_free(wlmi_pieces *pieces);

#endif
