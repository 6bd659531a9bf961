/* checkpoint.h: a net inside a safetensors file, alone (checkpoint.c) or beside a training run's state. */
#ifndef WLMI_CHECKPOINT_H
#define WLMI_CHECKPOINT_H

#include "model/model.h"
#include "model/safetensors.h"

/* The tensors under which one buffer laid out like net->value is stored, names behind `prefix`: *count of them, to be
 * released with wlmi_free; the embedding is split by name. NULL: out of memory. */
wlmi_tensor_out *wlmi_checkpoint_tensors(const wlmi_net *net, const wlmi_real *buffer, const char *prefix, int *count);
/* Reads such a buffer back. */
wlm_status wlmi_checkpoint_read(wlmi_safetensors *file, const wlmi_net *net, wlmi_real *buffer, const char *prefix,
                                wlm_error *error);
/* Metadata that describes the net. NULL: out of memory. */
json_t *wlmi_checkpoint_metadata(const wlmi_net *net);
/* A net with its tasks and record as the metadata says, without values yet. copies: how many buffers like net->value
 * the file holds, which bounds what is allocated. */
wlm_status wlmi_checkpoint_make_net(wlmi_net **net, const wlmi_safetensors *file, int copies,
                                    const wlmi_backend *backend, wlm_error *error);

#endif
