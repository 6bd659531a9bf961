/* report_auc.c: area under the ROC curve, by ranks. */
#include "task/report_auc.h"

#include <math.h>
#include <stdlib.h>

static int by_score(const void *a, const void *b)
{
    float x = ((const wlmi_scored *)a)->score, y = ((const wlmi_scored *)b)->score;
    return (x > y) - (x < y);
}

double wlmi_auc(wlmi_scored *scored, size_t count)
{
    double below = 0, pairs = 0, positives = 0; /* negatives that score less, so far */
    if (count)
        qsort(scored, count, sizeof *scored, by_score);
    for (size_t i = 0, end; i < count; i = end) {
        double here[2] = {0, 0};
        for (end = i; end < count && scored[end].score == scored[i].score; end++)
            here[scored[end].positive != 0]++;
        pairs += here[1] * (below + here[0] / 2);
        below += here[0];
        positives += here[1];
    }
    return below > 0 && positives > 0 ? pairs / (below * positives) : NAN;
}
