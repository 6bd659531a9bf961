/* embed.h: what a batch may be, and what its rows begin as. */
#ifndef WLMI_EMBED_H
#define WLMI_EMBED_H

#include "model/model.h"

wlm_status wlmi_bad_batch(wlm_error *error, const char *what, int at);
/* Whether tokens, id, packet, role, measure and segments fit the net. */
wlm_status wlmi_batch_check(const wlmi_net *net, const wlmi_batch *batch, wlm_error *error);
/* x [T,D] = sums of the embeddings; packet [T]: working room, holds rows of the packet embedding afterwards. */
void wlmi_batch_embed(const wlmi_net *net, const wlmi_batch *batch, wlmi_real *x, int32_t *packet);

#endif
