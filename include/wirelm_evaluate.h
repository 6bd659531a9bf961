/* wirelm_evaluate.h: libwirelm's judgement of models: what captures cost one in bits. The conventions are wirelm.h's. */
#ifndef WIRELM_EVALUATE_H
#define WIRELM_EVALUATE_H

#include "wirelm.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wlm_evaluate_tokens_options {
    const char *const *paths;      /* captures and folders of captures; or */
    size_t path_count;
    const char *const *data;       /* imported folders, and of them the flows of a part */
    size_t data_count;
    wlm_part part;
    const char *codec;             /* NULL: the model's; another one is WLM_ERR_ARGUMENT */
    wlm_unit unit;                 /* these three ..._INHERIT: as the model has it */
    wlm_hide hide;
    uint32_t payload;
    int force;                     /* allow a hide policy or a payload limit that the model was not trained on */
    const uint32_t *contexts;      /* tokens that the model remembers, one measurement for each; none: as trained */
    size_t context_count;
    uint64_t bytes, flows;         /* of a sample, drawn by the seed capture by capture; 0: all */
    uint64_t seed;
    int models_only;               /* leave the compressors out */
    int by_file;                   /* also a row for each capture */
    wlm_progress_fn *progress;
    void *user;
    wlm_stop *stop;
} wlm_evaluate_tokens_options;

WLM_API wlm_evaluate_tokens_options wlm_evaluate_tokens_options_default(void);
/* *json: one JSON object: what each byte of the captures costs the model in bits, by section, protocol and header field,
 * beside gzip, zstd and xz on the same packets: docs/EVALUATE.md. */
WLM_API wlm_status wlm_evaluate_tokens(wlm_model *model, const wlm_evaluate_tokens_options *options, char **json,
                                       wlm_error *error);

#ifdef __cplusplus
}
#endif
#endif
