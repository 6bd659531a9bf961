/* embedder.h: flows in, a vector of the model's for each of them out, in batches. */
#ifndef WLMI_EMBEDDER_H
#define WLMI_EMBEDDER_H

#include "task/handle.h"
#include "task/prefix.h"
#include "wirelm_export.h"

typedef struct wlmi_embedder_options {
    wlm_pool pool;
    int task;    /* pool ask: index in the net */
    size_t rows; /* of a batch; 0: 8192 */
    /* Called for each flow, in the order in which they were added: vector [width of the model]. */
    void (*embedded)(void *owner, uint64_t name, const float *vector);
    void *owner;
} wlmi_embedder_options;

typedef struct wlmi_embedder wlmi_embedder;

wlm_status wlmi_embedder_new(wlmi_embedder **embedder, wlm_model *model, const wlmi_view *view,
                             const wlmi_embedder_options *options, wlm_error *error);
/* Takes the flow's next packet, if the model still uses it. What stands for hidden names differs from flow to flow, and
 * is the same wherever the flow was read from. */
wlm_status wlmi_embedder_packet(wlmi_embedder *embedder, wlmi_prefix *prefix, const wlm_flow_key *key,
                                const wlm_packet *packet, wlm_error *error);
/* The flow is complete; its prefix is empty afterwards, whatever the status. May run a batch. */
wlm_status wlmi_embedder_add(wlmi_embedder *embedder, wlmi_prefix *prefix, uint64_t name, wlm_error *error);
/* The same for a flow of an imported folder. used, which may be NULL: packets and tokens of it that the model saw. */
wlm_status wlmi_embedder_flow(wlmi_embedder *embedder, const wlmi_dataset *data, uint64_t flow, uint64_t name,
                              uint64_t used[2], wlm_error *error);
wlm_status wlmi_embedder_run(wlmi_embedder *embedder, wlm_error *error); /* what waits */
void wlmi_embedder_drop(wlmi_embedder *embedder, wlmi_prefix *prefix);   /* forgets a flow */
void wlmi_embedder_free(wlmi_embedder *embedder);

#endif
