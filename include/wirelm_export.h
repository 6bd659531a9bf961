/* wirelm_export.h: the part of libwirelm's public interface that hands flows to other programs as rows: what a model makes
 * of them, and what a shallow model may read of them. The conventions are those of wirelm.h. */
#ifndef WIRELM_EXPORT_H
#define WIRELM_EXPORT_H

#include "wirelm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- features */

enum { WLM_FEATURE_PACKETS = 32, WLM_FEATURE_BYTES = 128 };

typedef struct wlm_features_options {
    const char *const *data;       /* imported folders */
    size_t data_count;
    wlm_part part;                 /* WLM_PART_NONE: all of them */
    int labelled;                  /* only flows that have a label */
    wlm_hide hide;
    uint32_t payload;              /* bytes of each packet's payload that are shown, or WLM_PAYLOAD_FULL */
    uint32_t max_packets;          /* of a flow, at most WLM_FEATURE_PACKETS; 0: that many */
    const char *out;               /* JSON Lines; "-": standard output; .gz and .zst are compressed */
    wlm_progress_fn *progress;
    void *user;
    wlm_stop *stop;
} wlm_features_options;

typedef struct wlm_features_report {
    uint64_t flows, packets;       /* written */
} wlm_features_report;

WLM_API wlm_features_options wlm_features_options_default(void);
/* Writes what stands in the first packets of each flow, one JSON object a line: docs/EVALUATE.md has the fields. Packets
 * are hidden as a model's are that is asked with the same policy and payload limit, so that a baseline on these features
 * reads what the model reads. report may be NULL. */
WLM_API wlm_status wlm_features(const wlm_features_options *options, wlm_features_report *report, wlm_error *error);

#ifdef __cplusplus
}
#endif
#endif
