/* controls.h: what stands beside a model's score: what could be had without it, or without training it for the task. */
#ifndef WLMI_CONTROLS_H
#define WLMI_CONTROLS_H

#include <jansson.h>

#include "task/cohort.h"
#include "task/handle.h"
#include "task/prompt.h"

typedef struct wlmi_controls_options {
    const wlmi_view *view;     /* in which the model sees flows */
    const wlmi_cohort *cohort;
    const wlmi_picks *picks;   /* the flows that are scored */
    size_t per_label;          /* flows of each label of the train part that vectors are learned from, drawn evenly */
    const wlm_stop *stop;      /* or NULL */
} wlmi_controls_options;

/* Adds to *controls, an object: "shortcut", a tree on clock, link type, addresses and ports of the flows as they were
 * recorded; "nearest" and "probe", neighbours and a linear map on the model's vectors. All learn from the train part;
 * where that has no labelled flow, each is null. */
wlm_status wlmi_controls_add(json_t *controls, wlm_model *model, const wlmi_controls_options *options,
                             wlm_error *error);

#endif
