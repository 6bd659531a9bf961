/* wirelm_evaluate.h: the part of libwirelm's public interface that says how good a model is. The conventions are those
 * of wirelm.h. */
#ifndef WIRELM_EVALUATE_H
#define WIRELM_EVALUATE_H

#include "wirelm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- bits */

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
    int same_tokens;               /* where the model forgets the codec goes on: all contexts on the same tokens. Else
                                      it begins anew as well, and a shorter context also pays for telling flows again */
    int recall;                    /* what each flow or capture has shown is mixed into what the model says */
    uint64_t bytes, flows;         /* of a sample, drawn by the seed capture by capture; 0: all */
    uint64_t seed;
    int models_only;               /* leave the compressors out */
    int by_file;                   /* also a row for each capture */
    wlm_progress_fn *progress;
    void *user;
    wlm_stop *stop;
} wlm_evaluate_tokens_options;

WLM_API wlm_evaluate_tokens_options wlm_evaluate_tokens_options_default(void);
/* *json: one JSON object: what each byte of the captures costs the model in bits, by section, protocol and header
 * field, beside gzip, zstd and xz on the same packets: docs/EVALUATE.md. */
WLM_API wlm_status wlm_evaluate_tokens(wlm_model *model, const wlm_evaluate_tokens_options *options, char **json,
                                       wlm_error *error);

/* ---------------------------------------------------------------- labels */

typedef struct wlm_evaluate_options {
    const char *const *data;
    size_t data_count;
    wlm_part part;
    const char *task;              /* NULL: the model's only or first task */
    const char *codec;             /* these as for classification */
    wlm_unit unit;
    wlm_hide hide;
    uint32_t payload;
    int force;
    uint32_t max_packets;
    uint32_t context;              /* longest sequence in tokens; 0: as trained */
    wlm_part calibrate_on;         /* the part on which a temperature is fitted, WLM_PART_NONE: none is; val */
    int controls;                  /* also what could be had without the model: docs/CONTROLS.md */
    int curves;                    /* also after 1, 2, 4 ... packets and 32, 64 ... tokens */
    int open_set;                  /* flows with a label that the model does not know are strangers, not errors */
    const char *left_out;          /* "a,b": those with these labels are; NULL with open_set: all of them */
    const char *const *strangers;  /* folders whose flows, of the same part, are all strangers */
    size_t stranger_count;
    const char *stress;            /* "nat,oneway": alterations that befall all flows, each for itself; "all"; NULL */
    const char *predictions;       /* JSON Lines, one for each flow; NULL: none */
    size_t draws;                  /* resampled captures for intervals; 1000 */
    uint64_t seed;                 /* of these draws */
    wlm_progress_fn *progress;
    void *user;
    wlm_stop *stop;
} wlm_evaluate_options;

WLM_API wlm_evaluate_options wlm_evaluate_options_default(void);
/* *json: one JSON object with accuracy, macro-F1, labels, confusion, controls, intervals, calibration, risk against
 * coverage, strata, and what else the options ask for: docs/EVALUATE.md. */
WLM_API wlm_status wlm_evaluate_classify(wlm_model *model, const wlm_evaluate_options *options, char **json,
                                         wlm_error *error);

/* *json: for each hide policy of these reports, how many there are, and mean and deviation of their main figures. */
WLM_API wlm_status wlm_evaluate_summary(const char *const *report, size_t count, char **json, wlm_error *error);

/* ---------------------------------------------------------------- calibration */

typedef struct wlm_calibrate_options {
    const char *const *data;       /* imported folders of any of the model's tasks, each calibrated for itself */
    size_t data_count;
    wlm_part part;                 /* val: flows that the model was not trained on */
    wlm_hide hide;                 /* how they are shown, as for classification */
    uint32_t payload, max_packets;
    int force;
    double give_up;                /* share of right answers whose confidence lies below the threshold; .05 */
    wlm_progress_fn *progress;
    void *user;
    wlm_stop *stop;
} wlm_calibrate_options;

WLM_API wlm_calibrate_options wlm_calibrate_options_default(void);
/* Gives each of the tasks a temperature, that which minimises the negative log-likelihood of the flows' labels (a
 * little smoothed: docs/EVALUATE.md), and a threshold for "unknown": the give_up quantile of right answers' confidence
 * at that temperature; and, of a model with a summary, its share: once for policies that show headers, as asked for, and
 * once for `shape` where the model knows that. They hold for the loaded model, and are saved with it. *json: what was
 * chosen, for each task and policy. On failure the model is as it was. */
WLM_API wlm_status wlm_calibrate(wlm_model *model, const wlm_calibrate_options *options, char **json,
                                 wlm_error *error);

/* ---------------------------------------------------------------- generated flows */

typedef struct wlm_flow_source {
    const char *path;              /* a capture, a folder of captures, or an imported folder */
    const char *label;             /* of all its flows; NULL: as the imported folder says, none in captures */
} wlm_flow_source;

typedef struct wlm_evaluate_generate_options {
    const wlm_flow_source *fake, *real, *train; /* generated; real ones that no model has seen; those trained on */
    size_t fake_count, real_count, train_count;
    wlm_part part;                 /* of imported folders among the real; of those among train: train; fake: all */
    const char *const *labels;     /* compare flows of these, each for itself; flows without a label are of any,
                                      but of imported folders that have labels of none */
    size_t label_count;            /* 0: all labels that the fake flows have; all flows as one where they have none */
    int addresses;                 /* compare addresses too: sense only where the model was shown them */
    uint64_t seed;                 /* of samples */
    uint64_t neural_steps;         /* of a model that tells them apart, for each of 5 folds; needs captures; 0: none */
    int threads;                   /* for that; 0: as many as there are processors */
    const char *captures;          /* folder to write them to as pcaps, which the report names, or NULL */
    wlm_progress_fn *progress;     /* of that training */
    void *user;
    wlm_stop *stop;
} wlm_evaluate_generate_options;

WLM_API wlm_evaluate_generate_options wlm_evaluate_generate_options_default(void);
/* *json: one JSON object that says, label by label, how generated flows differ from real ones; docs/EVALUATE.md defines
 * every figure. All flows are held in memory. */
WLM_API wlm_status wlm_evaluate_generate(const wlm_evaluate_generate_options *options, char **json, wlm_error *error);

#ifdef __cplusplus
}
#endif
#endif
