/* metrics.h: what a confusion matrix says: accuracy, precision, recall, F1, and the guess that any score must beat. */
#ifndef WLMI_METRICS_H
#define WLMI_METRICS_H

#include <stdint.h>

#include "base/status.h"

typedef struct wlmi_label_score {
    double precision, recall, f1; /* 0 where they are undefined */
    uint64_t support;             /* flows that truly have the label */
} wlmi_label_score;

typedef struct wlmi_score {
    uint64_t count;               /* flows in all */
    double accuracy;
    double macro_f1;              /* mean F1 over the labels with support; a prediction of a label without support
                                     is an error of the true label and adds no term of its own */
} wlmi_score;

/* confusion [n,n]: rows are true labels, columns predicted ones. labels [n] may be NULL. All zero where nothing was
 * counted. */
void wlmi_score_confusion(const uint64_t *confusion, int n, wlmi_score *score, wlmi_label_score *labels);

/* The same for the classifier that always says `guess`. support [n]: flows per true label. */
void wlmi_score_guess(const uint64_t *support, int n, int guess, wlmi_score *score);

/* What the scores of a sample need, without the whole matrix: flows per label that are right, that were said to have
 * it, and that have it. */
typedef struct wlmi_counts {
    int labels;
    uint64_t *count; /* [3, labels] */
} wlmi_counts;

wlm_status wlmi_counts_new(wlmi_counts *counts, int labels, wlm_error *error);
void wlmi_counts_clear(wlmi_counts *counts);
void wlmi_counts_add(wlmi_counts *counts, int truth, int guess, uint64_t times);
wlmi_score wlmi_counts_score(const wlmi_counts *counts); /* as wlmi_score_confusion() has it */
int wlmi_counts_present(const wlmi_counts *counts);      /* labels with support */
void wlmi_counts_free(wlmi_counts *counts);

/* Index of the largest count, the first of equals; -1 where all are 0. */
int wlmi_majority(const uint64_t *support, int n);

#endif
