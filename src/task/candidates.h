/* candidates.h: sampled flows that wait to be written. One after the other is drawn: from the stratum (likeness.h) that
 * has had the fewest so far of those that its share makes due, by weight among that stratum's. Those that are not drawn
 * wait for the next draws, up to a number, so that a lot without a good one need not give a bad one. */
#ifndef WLMI_CANDIDATES_H
#define WLMI_CANDIDATES_H

#include "base/rng.h"
#include "task/flow_sampler.h"
#include "task/likeness.h"

enum { WLMI_CANDIDATES_MOST = 64 }; /* that wait; one more and the oldest goes */

typedef struct wlmi_candidates { /* zero-initialise */
    wlmi_sampled_flow flow[WLMI_CANDIDATES_MOST], drawn;
    double weight[WLMI_CANDIDATES_MOST];
    int stratum[WLMI_CANDIDATES_MOST];
    size_t count; /* oldest first */
    uint64_t drawn_of[WLMI_LIKENESS_STRATA], draws;
} wlmi_candidates;

/* Adds a copy. weight: 0 or more. */
wlm_status wlmi_candidates_add(wlmi_candidates *candidates, const wlmi_sampled_flow *flow, double weight, int stratum,
                               wlm_error *error);
/* Takes one out, where none has any weight the latest; lent until the next draw. There must be one. share: of each
 * stratum. */
const wlmi_sampled_flow *wlmi_candidates_draw(wlmi_candidates *candidates, const double share[WLMI_LIKENESS_STRATA],
                                              wlmi_rng *rng);
void wlmi_candidates_free(wlmi_candidates *candidates);

#endif
