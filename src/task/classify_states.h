/* classify_states.h: the resident streams of flows that are asked more than once, within a budget of bytes. A flow whose
 * stream was dropped for another's is fed again from its kept tokens when the next question comes, or never. */
#ifndef WLMI_CLASSIFY_STATES_H
#define WLMI_CLASSIFY_STATES_H

#include "task/classify_watch.h"
#include "task/handle.h"

typedef struct wlmi_states wlmi_states;

typedef struct wlmi_states_report {
    uint64_t dropped, recomputed; /* streams */
    uint64_t most_bytes;          /* held at once, after the budget was kept */
} wlmi_states_report;

/* A question: the flow after so many tokens of its prefix. */
typedef struct wlmi_moment {
    wlmi_watch *watch;
    size_t tokens;
    int32_t packets;
    int last; /* all of its prefix, and nothing will be asked later */
} wlmi_moment;

wlm_status wlmi_states_new(wlmi_states **states, wlm_model *model, wlm_hide hide, size_t budget, wlm_error *error);
/* Brings the flows' streams to their moments, `rows` rows at a time, then peeks (at a flow's last moment, asked of one
 * task, one pass does both and the stream stays behind): for each task, out[task] [count,
 * labels of the task] gets probabilities. Moments of one flow stand in order. */
wlm_status wlmi_states_ask(wlmi_states *states, const wlmi_moment *moment, size_t count, const int *task, int tasks,
                           size_t rows, float *const *out, wlm_error *error);
/* The flow needs its stream no more. */
void wlmi_states_forget(wlmi_states *states, wlmi_watch *watch);
wlmi_states_report wlmi_states_counts(const wlmi_states *states);
void wlmi_states_free(wlmi_states *states); /* the streams are forgotten before */

#endif
