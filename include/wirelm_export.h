/* wirelm_export.h: the part of libwirelm's public interface that hands flows to other programs as rows: what a model
 * makes of them, and what a shallow model may read of them. The conventions are those of wirelm.h. */
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
    const char *alter;             /* an alteration, done to each flow before it is hidden; NULL: none */
    const char *out;               /* JSON Lines; "-": standard output; .gz and .zst are compressed */
    wlm_progress_fn *progress;
    void *user;
    wlm_stop *stop;
} wlm_features_options;

typedef struct wlm_features_report {
    uint64_t flows, packets;       /* written */
} wlm_features_report;

WLM_API wlm_features_options wlm_features_options_default(void);
/* Writes what stands in the first packets of each flow, one JSON object a line: docs/CONTROLS.md has the fields. Packets
 * are hidden as a model's are that is asked with the same policy and payload limit, so that a baseline on these
 * features reads what the model reads. report may be NULL. */
WLM_API wlm_status wlm_features(const wlm_features_options *options, wlm_features_report *report, wlm_error *error);

/* ---------------------------------------------------------------- embeddings */

/* Which of a model's final hidden states become a flow's vector. */
typedef enum wlm_pool {
    WLM_POOL_MEAN, /* the mean of those at the flow's tokens */
    WLM_POOL_LAST, /* that at its last token */
    WLM_POOL_ASK   /* that at the question for a task, of which label scores are made */
} wlm_pool;
WLM_API const char *wlm_pool_name(wlm_pool pool); /* mean, last, ask */
/* WLM_OK and *pool, or WLM_ERR_ARGUMENT. */
WLM_API wlm_status wlm_pool_parse(const char *name, wlm_pool *pool);

typedef struct wlm_embed_options {
    const char *const *paths;      /* captures and folders of captures; or: */
    size_t path_count;
    const char *const *data;       /* imported folders */
    size_t data_count;
    wlm_part part;                 /* of these; WLM_PART_NONE: all of them */
    const char *out;               /* .npy: float32 [flows, width]; else JSON Lines. "-": standard output */
    const char *index;             /* with .npy: JSON Lines, what each row is; NULL: out with .jsonl behind it */
    wlm_pool pool;
    const char *task;              /* pool ask: NULL: the model's only or first task */
    const char *codec;             /* these as for classification */
    wlm_unit unit;
    wlm_hide hide;
    uint32_t payload;
    int force;
    uint32_t max_packets;
    const char *filter;            /* of captures alone */
    wlm_progress_fn *progress;
    void *user;
    wlm_stop *stop;
} wlm_embed_options;

typedef struct wlm_embed_report {
    uint64_t files, files_damaged, packets, packets_filtered, packets_unusable, flows;
    int width;
    wlm_error damage;              /* the first damaged file; status WLM_OK where there was none */
} wlm_embed_report;

WLM_API wlm_embed_options wlm_embed_options_default(void); /* pool mean, hide ids */
/* Writes a vector for each flow: file by file, in the order in which flows began. All are kept until the end: 4 * width
 * bytes and about 200 more for each. A flow gives the same vector whatever stands beside it. report may be NULL. */
WLM_API wlm_status wlm_embed(wlm_model *model, const wlm_embed_options *options, wlm_embed_report *report,
                             wlm_error *error);

#ifdef __cplusplus
}
#endif
#endif
