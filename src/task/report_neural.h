/* report_neural.h: a small model of our own architecture that tries to tell generated flows from real ones by their
 * bytes. */
#ifndef WLMI_REPORT_NEURAL_H
#define WLMI_REPORT_NEURAL_H

#include <jansson.h>

#include "task/report_flows.h"

/* wire-nano from scratch under codec bytes and policy ids, classification only, so many steps for each of five folds;
 * equally many flows of both kinds. folder exists; what is written there is removed again. */
typedef struct wlmi_neural_options {
    const char *folder;
    uint64_t steps, seed;
    int threads;
    wlm_progress_fn *progress;
    void *user;
    wlm_stop *stop;
} wlmi_neural_options;

wlm_status wlmi_report_neural(const wlmi_flow_view *real, const wlmi_flow_view *fake,
                              const wlmi_neural_options *options, json_t **report, wlm_error *error);

#endif
