/* intervals.h: how far scores would move with other captures: intervals by resampling capture groups, not flows, for
 * flows of one capture are not independent of each other. */
#ifndef WLMI_INTERVALS_H
#define WLMI_INTERVALS_H

#include <stddef.h>

#include "task/metrics.h"

typedef struct wlmi_intervals {
    double accuracy[2], macro_f1[2]; /* 2.5 % and 97.5 % of the draws */
    size_t groups;                   /* with fewer than two there is no interval: all NAN */
} wlmi_intervals;

/* Percentile bootstrap (Efron, 1979): each draw takes as many groups as there are, with replacement; macro-F1 is over
 * the labels that the draw has. truth, guess, group [count]; groups have any numbers. The same seed gives the same. */
wlm_status wlmi_intervals_of(const int32_t *truth, const int32_t *guess, const uint32_t *group, size_t count,
                             int labels, size_t draws, uint64_t seed, wlmi_intervals *out, wlm_error *error);

#endif
