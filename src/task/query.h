/* query.h: how a trained model is asked: by which view, about which task, and what its labels' probabilities are. */
#ifndef WLMI_QUERY_H
#define WLMI_QUERY_H

#include "task/handle.h"
#include "task/prompt.h"

/* The view that a model was trained with, with this policy. max_packets 0: as trained. A policy that it was not
 * trained on is WLM_ERR_REFUSED unless force is set. */
wlm_status wlmi_query_view(const wlm_model *model, wlm_hide hide, int force, uint32_t max_packets, wlmi_view *view,
                           wlm_error *error);

/* Index of a task, or of a label in a task; an unknown name is WLM_ERR_ARGUMENT that lists what there is.
 * Task NULL: the first. */
wlm_status wlmi_query_task(const wlm_model *model, const char *name, int *task, wlm_error *error);
wlm_status wlmi_query_label(const wlm_model *model, int task, const char *name, int *label, wlm_error *error);

/* Appends <ask> <task>, a segment that asks after so many packets. */
wlm_status wlmi_query_rows(const wlm_model *model, int task, int32_t packets, wlmi_rows *rows, wlm_error *error);
/* Probabilities of a task's labels at the end of each segment of a batch of classify prompts; with streams [segments],
 * of what wlmi_query_rows wrote, peeking at these. out [segments, labels of the task]. */
wlm_status wlmi_query_run(wlm_model *model, const wlmi_batch *batch, wlmi_stream *const *streams, int task, float *out,
                          wlm_error *error);

#endif
