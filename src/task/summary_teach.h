/* summary_teach.h: grows the trees of a model's summary (model/summary.h), anew, from the questions of many batches: the
 * rest of the model stays as it is. */
#ifndef WLMI_SUMMARY_TEACH_H
#define WLMI_SUMMARY_TEACH_H

#include "task/batch.h"

typedef struct wlmi_summary_lesson {
    uint64_t batches;  /* to read */
    uint64_t seed;     /* of what the trees are grown from */
    /* After each batch and each tree, with what there is in all; loss: of the flows that the task's trees learn from, NaN
     * while batches are read. Not 0: stop. */
    int (*told)(void *user, const char *what, uint64_t done, uint64_t total, double loss);
    void *user;
    uint64_t tokens;   /* out: rows that were read */
    double loss_first, loss_last; /* out: means over the tasks, of the first tree and of the last */
} wlmi_summary_lesson;

/* WLM_ERR_ARGUMENT: no question came. WLM_STOPPED leaves the net without meaning. A task of which no question came keeps
 * its trees as they are: zeros. */
wlm_status wlmi_teach_summary(wlmi_net *net, wlmi_batches *batches, wlmi_summary_lesson *lesson, wlm_error *error);

#endif
