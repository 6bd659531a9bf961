/* embed.h: what a batch may be, and what its rows begin as. */
#ifndef WLMI_EMBED_H
#define WLMI_EMBED_H

#include "model/place.h"

wlm_status wlmi_bad_batch(wlm_error *error, const char *what, int at);
enum { WLMI_EMBED_ROWS = 1 + WLMI_PLACE_PARTS };

/* Whether tokens, id, packet, role, measure and segments fit the net. */
wlm_status wlmi_batch_check(const wlmi_net *net, const wlmi_batch *batch, wlm_error *error);
/* x [T,D] = sums of the embeddings; row [WLMI_EMBED_ROWS][T]: working room, holds rows of the packet embedding and of the
 * place embedding afterwards. */
void wlmi_batch_embed(const wlmi_net *net, const wlmi_batch *batch, wlmi_real *x, int32_t *row);
/* Adds what dx [T,D] means to the gradients of all embeddings; row as the above left it. */
void wlmi_batch_embed_backward(const wlmi_net *net, const wlmi_batch *batch, const wlmi_real *dx, const int32_t *row);

#endif
