/* schedule.h: when each flow of a generated trace begins, and which label it has. */
#ifndef WLMI_SCHEDULE_H
#define WLMI_SCHEDULE_H

#include "base/rng.h"
#include "base/status.h"

typedef struct wlmi_schedule_wish {
    uint64_t seed;
    uint64_t flows;                /* 0: as the labels say, or rate and duration give, else 10 */
    const wlm_label_count *labels; /* [label_count]; borrowed */
    size_t label_count;
    double rate;                   /* flows per second; 0: 20, or as the duration has it */
    double duration_s;             /* flows begin within it; 0: as long as they take */
} wlmi_schedule_wish;

typedef struct wlmi_schedule {
    wlmi_schedule_wish wish;
    uint64_t flows;        /* how many there are */
    uint64_t given;        /* by wlmi_schedule_next() so far */
    uint64_t total;        /* of the labels' counts */
    double gap_ns;         /* between two flows, on average; 0: they are spread over the duration */
    double at_ns;
    wlmi_rng rng;
} wlmi_schedule;

/* Flows arrive as a Poisson process. A number of flows and a rate: they take as long as they take. A number and a
 * duration: so many at random moments of it. Rate and duration: as many as arrive; the labels' counts are then only
 * shares. WLM_ERR_ARGUMENT: flows, rate and duration together, and numbers that make no sense. */
wlm_status wlmi_schedule_make(wlmi_schedule *schedule, const wlmi_schedule_wish *wish, wlm_error *error);
/* When the next flow begins, in nanoseconds from the beginning of the trace; INT64_MAX behind the last. */
int64_t wlmi_schedule_next(wlmi_schedule *schedule);
/* Index in the wish's labels of flow number `flow`; 0 where there are none. */
size_t wlmi_schedule_label(const wlmi_schedule *schedule, uint64_t flow);

#endif
