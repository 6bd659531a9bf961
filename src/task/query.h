/* query.h: how a trained model is asked: by which view, about which task, and what its labels' probabilities are. */
#ifndef WLMI_QUERY_H
#define WLMI_QUERY_H

#include "task/handle.h"
#include "task/prompt.h"

typedef struct wlmi_wish { /* how the caller wants flows shown */
    const char *codec;    /* NULL: as trained */
    wlm_unit unit;        /* or WLM_UNIT_INHERIT: as trained */
    wlm_hide hide;        /* or WLM_HIDE_INHERIT: as trained */
    uint32_t payload;     /* or WLM_PAYLOAD_INHERIT: as trained */
    uint32_t max_packets; /* 0: as trained */
    int force;
} wlmi_wish;

/* Whether the model has the codec and the unit (WLM_UNIT_INHERIT: any): WLM_ERR_ARGUMENT and WLM_ERR_REFUSED. */
wlm_status wlmi_query_tokens(const wlm_model *model, const char *codec, wlm_unit unit, wlm_error *error);
/* The view in which a model is asked about flows: as it was trained but for the wish. A policy or a payload limit that
 * none of its training sequences was drawn with is WLM_ERR_REFUSED unless force is set; so is, always, a unit other than flow. */
wlm_status wlmi_query_view(const wlm_model *model, const wlmi_wish *wish, wlmi_view *view, wlm_error *error);

/* The same for packets as such, in the model's own unit. */
wlm_status wlmi_query_shown(const wlm_model *model, const wlmi_wish *wish, wlmi_view *view, wlm_error *error);

/* Index of a task, or of a label in a task; an unknown name is WLM_ERR_ARGUMENT that lists what there is.
 * Task NULL: the first. */
wlm_status wlmi_query_task(const wlm_model *model, const char *name, int *task, wlm_error *error);
wlm_status wlmi_query_label(const wlm_model *model, int task, const char *name, int *label, wlm_error *error);

/* Appends <ask> <task>, a segment that asks after so many packets. */
wlm_status wlmi_query_rows(const wlm_model *model, int task, int32_t packets, wlmi_rows *rows, wlm_error *error);
/* Probabilities of a task's labels at the end of each segment of a batch of classify prompts; with streams [segments],
 * of what wlmi_query_rows wrote, peeking at these. hide: the policy by which the flows are shown, whose calibration
 * holds. out [segments, labels of the task]. */
wlm_status wlmi_query_run(wlm_model *model, const wlmi_batch *batch, wlmi_stream *const *streams, int task,
                          wlm_hide hide, float *out, wlm_error *error);

/* The same as logits: before they are divided by the task's temperature and made probabilities. */
wlm_status wlmi_query_logits(wlm_model *model, const wlmi_batch *batch, wlmi_stream *const *streams, int task,
                             wlm_hide hide, float *out, wlm_error *error);

/* The *count (at most) most likely labels, of equals the first; *count becomes how many there are. */
void wlmi_query_rank(const wlmi_task *task, const float *share, wlm_label *top, size_t *count);

#endif
