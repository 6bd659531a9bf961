/* token_report.h: what wlm_evaluate_tokens() measured, and its JSON. */
#ifndef WLMI_TOKEN_REPORT_H
#define WLMI_TOKEN_REPORT_H

#include <jansson.h>

#include "base/scale.h"
#include "task/handle.h"
#include "task/recordings.h"
#include "task/scorer.h"
#include "wirelm_evaluate.h"

/* The same packets as files for the compressors. */
enum { WLMI_BY_FILE, WLMI_BY_FLOW, WLMI_BY_FILE_ZEROED, WLMI_BY_FLOW_ZEROED, WLMI_LAYOUTS };

typedef struct wlmi_at_context { /* a measurement */
    wlmi_view view;
    wlmi_scorer *scorer;
    double seconds;
} wlmi_at_context;

typedef struct wlmi_file_row { /* of a capture */
    char *name;
    uint64_t bytes, packets, flows, beside;
    wlmi_sizes sizes[WLMI_LAYOUTS];
    double *bits;                 /* [contexts] */
} wlmi_file_row;

typedef struct wlmi_token_report {
    const wlm_model *model;
    const wlm_evaluate_tokens_options *options;
    wlmi_at_context *context;     /* [contexts] */
    size_t contexts;
    wlmi_recordings_report read;
    uint64_t bytes;               /* of the packets, as they are shown, as pcap files */
    uint64_t beside;              /* bytes that travel beside the tokens, under zstd -19, capture by capture */
    wlmi_sizes sizes[WLMI_LAYOUTS];
    wlmi_file_row *row;
    size_t rows, row_room;
} wlmi_token_report;

/* NULL: out of memory. */
json_t *wlmi_token_report_json(const wlmi_token_report *report);

#endif
