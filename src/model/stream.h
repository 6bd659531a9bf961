/* stream.h: how a stream's state is laid out: one block, in the order in which a forward pass needs its parts. */
#ifndef WLMI_STREAM_H
#define WLMI_STREAM_H

#include "model/model.h"

/* Parts of a layer: the row before the mixer (with shift), each group's state, the row before the MLP (with shift). */
enum { WLMI_STREAM_PARTS = WLMI_MAX_GROUPS + 2 };
/* Values that part 0 .. groups + 1 of a layer takes in a stream of this room. */
size_t wlmi_stream_part(const wlmi_net *net, int layer, int part, int room);
/* The state of its summary [WLMI_SUMMARY_STATE], where the net has one. */
float *wlmi_stream_summary(const wlmi_stream *stream, const wlmi_net *net);
/* Makes room for so many more rows. WLM_ERR_ARGUMENT: no stream can be so long; it is as it was then, and on
 * WLM_ERR_MEMORY too. */
wlm_status wlmi_stream_fit(wlmi_stream *stream, const wlmi_net *net, int more, wlm_error *error);

#endif
