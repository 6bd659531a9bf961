/* facts.h: what the training flows of each label look like from outside, for generation and reports. */
#ifndef WLMI_FACTS_H
#define WLMI_FACTS_H

#include "model/model.h"
#include "task/shard.h"

/* Fills flows, flows_cut, port, proto and ports of the net's labels from the train parts of the folders; labels that no
 * folder knows keep what they have. */
wlm_status wlmi_facts_gather(wlmi_net *net, wlmi_dataset *const *data, size_t count, wlm_error *error);

#endif
