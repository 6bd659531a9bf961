/* wirelm_generate.h: the part of wirelm.h that makes new flows; wirelm.h includes it. */
#ifndef WIRELM_GENERATE_H
#define WIRELM_GENERATE_H

#include "wirelm.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wlm_label_count {
    const char *label;
    uint64_t flows;
} wlm_label_count;

typedef struct wlm_generate_options {
    const char *codec;             /* NULL: the model's; another one is WLM_ERR_ARGUMENT */
    wlm_unit unit;                 /* WLM_UNIT_INHERIT: the model's; another one is refused */
    uint32_t payload;              /* WLM_PAYLOAD_INHERIT: the model's; another one is refused */
    const char *task, *label;      /* both NULL: any flows; task NULL: the model's first */
    const wlm_label_count *labels; /* or so many flows of each of these, mixed in a seeded order */
    size_t label_count;
    uint64_t flows, seed;          /* flows 0: as the labels' counts say, or rate and duration give, else 10 */
    double rate;                   /* flows per second; 0: 20, or as the duration has it */
    double duration_s;             /* in which flows begin; 0: as long as they take. Flows arrive as a Poisson process;
                                      with both rate and duration the labels' counts are shares */
    double temperature, top_p;     /* top_p 1: off */
    uint32_t top_k;                /* 0: off */
    uint32_t max_tokens;           /* per flow; 0: the model's context */
    int allow_cut;                 /* also flows that break off, and labels that know no others */
    int random_payload;            /* allow a model that saw only the first bytes of payloads: those behind them are
                                      drawn from the seed */
    const char *const *like;       /* [like_count] what the model was trained on: imported folders (of which the part train
                                      is read) and captures. For each flow `candidates` (0: 4) are sampled, and one of
                                      those that were not written yet is drawn with weight on those that a forest does
                                      not tell from these (task/likeness.h, task/candidates.h) */
    size_t like_count;
    uint32_t candidates;
    const char *prefix;            /* capture whose first flow begins every generated one, or NULL */
    const char *net;               /* CIDR for addresses, NULL: documentation ranges */
    int64_t start_ns;              /* when the trace begins; without a duration the first packet's time */
    const char *merge;             /* capture that the flows are mixed into, its packets as they are: the trace then has
                                      its beginning, and of itself its duration; or NULL */
    const char *out;               /* .pcap, .pcapng, "-"; NULL: none */
    const char *per_flow;          /* folder that gets one file per flow, below one folder per label; or NULL. These
                                      files stay where a later one fails */
    const char *truth;             /* CSV that says what each flow is, as wlm_import reads it; or NULL */
    wlm_progress_fn *progress;
    void *user;
    wlm_stop *stop;
} wlm_generate_options;

typedef struct wlm_generate_report {
    uint64_t flows, packets;
    uint64_t tokens;               /* sampled: of candidates too */
    uint64_t candidates;           /* flows that were sampled, but not written */
    uint64_t flows_cut;            /* reached max_tokens before an end token */
    uint64_t reencoded_differently; /* flows whose packets the codec would write as other tokens than were sampled; not
                                       counted, 0, where the model was trained with shuffled fields */
    uint64_t flows_resampled;      /* tries that were given up: began in the middle, or a packet was unsound */
    uint64_t lengths_mended;       /* packets whose IP or UDP length contradicted the packet */
    uint64_t checksums_mended;     /* sampled wrong, written right */
    double seconds;
    char note[256];                /* e.g. all flows of this task's training part were cut; empty: nothing to say */
} wlm_generate_report;

WLM_API wlm_generate_options wlm_generate_options_default(void);
WLM_API wlm_status wlm_generate(wlm_model *model, const wlm_generate_options *options, wlm_generate_report *report,
                                wlm_error *error);

#ifdef __cplusplus
}
#endif
#endif
