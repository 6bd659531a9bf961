/* score.h: a model run over flows once each, for what it says of them: logits at the end and, for curves, the label it
 * would have given after so many packets or tokens, by peeks at the flow's stream on the way. */
#ifndef WLMI_SCORE_H
#define WLMI_SCORE_H

#include "task/cohort.h"
#include "task/handle.h"
#include "task/prompt.h"

enum { WLMI_POINTS_MAX = 32 };

/* Where a curve has values. tokens: whole packets of at most so many tokens, or so many of the first packet where it
 * has more, as in a prompt (prompt.h). */
typedef struct wlmi_points {
    int count;
    struct {
        int tokens; /* `at` counts tokens, else packets */
        uint32_t at;
    } point[WLMI_POINTS_MAX];
} wlmi_points;

/* 1, 2, 4 ... 32 packets and 32, 64 ... 4096, 12032 tokens, as far as the view goes. */
wlmi_points wlmi_points_of(const wlmi_view *view);

typedef struct wlmi_scores { /* zero-initialise */
    size_t count;
    int labels, points;
    float *logit;        /* [count, labels of the task] */
    int32_t *at;         /* [count, points]: the label at each point, or at the flow's end where that comes first */
    uint32_t *packets, *tokens; /* [count]: what was shown to the model */
} wlmi_scores;

typedef struct wlmi_score_watch { /* how a long run is followed and stopped; may be shared by several runs */
    const wlm_stop *stop;
    void (*scored)(void *user, size_t more); /* flows; NULL: nobody asks */
    void *user;
} wlmi_score_watch;

/* points NULL: no curves, and no streams. */
wlm_status wlmi_score_flows(wlm_model *model, const wlmi_view *view, int task, const wlmi_cohort *cohort,
                            const wlmi_picks *picks, const wlmi_points *points, const wlmi_score_watch *watch,
                            wlmi_scores *scores, wlm_error *error);
void wlmi_scores_free(wlmi_scores *scores);

#endif
