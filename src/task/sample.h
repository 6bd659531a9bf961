/* sample.h: draws the next token from logits, never outside what a codec's grammar allows. */
#ifndef WLMI_SAMPLE_H
#define WLMI_SAMPLE_H

#include "base/rng.h"
#include "token/codec.h"

typedef struct wlmi_sampling {
    double temperature; /* 0: the most likely token (the lowest id of equals) */
    uint32_t top_k;     /* only the k most likely; 0: off */
    double top_p;       /* only the most likely that together reach this probability (nucleus sampling: Holtzman et
                           al., 2020), after temperature and top_k; 1: off */
} wlmi_sampling;

typedef struct wlmi_candidate { /* scratch: one per token of the vocabulary */
    double score;
    int32_t token;
} wlmi_candidate;

wlm_status wlmi_sampling_check(const wlmi_sampling *sampling, wlm_error *error);

/* A token among allowed less those in `banned` (a bit row as in wlmi_allowed, or NULL), or -1 where none is left.
 * logits [vocabulary]; NaN counts as impossible; where all are impossible the draw is uniform.
 * Takes one number from rng in every case but temperature 0, so that a stream of draws stays in step. */
int32_t wlmi_sample(const wlmi_sampling *sampling, const float *logits, uint32_t vocabulary,
                    const wlmi_allowed *allowed, const uint64_t *banned, wlmi_candidate *scratch, wlmi_rng *rng);

#endif
