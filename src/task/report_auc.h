/* report_auc.h: how well a score tells two kinds apart. */
#ifndef WLMI_REPORT_AUC_H
#define WLMI_REPORT_AUC_H

#include "base/status.h"

typedef struct wlmi_scored {
    float score;  /* higher: more likely positive */
    int positive;
} wlmi_scored;

/* Area under the ROC curve: the share of pairs of a positive and a negative in which the positive scores higher, ties
 * count half. NaN where one kind is missing. Reorders. */
double wlmi_auc(wlmi_scored *scored, size_t count);

#endif
