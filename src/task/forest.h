/* forest.h: a random forest (Breiman, 2001): trees on bootstrap samples, each split among a few features, averaged. */
#ifndef WLMI_FOREST_H
#define WLMI_FOREST_H

#include "task/tree.h"

typedef struct wlmi_forest_options {
    int trees;              /* at least 1 */
    int depth, min_leaf;    /* as of tree.h */
    int features_per_split; /* 0: the square root of all, rounded down */
    int balance;            /* as of tree.h */
    uint64_t seed;
} wlmi_forest_options;

wlmi_forest_options wlmi_forest_options_default(void); /* 100 trees without limit, seed 1 */

typedef struct wlmi_forest wlmi_forest;

/* The same samples, options and seed give the same forest. */
wlm_status wlmi_forest_train(wlmi_forest **forest, const wlmi_samples *samples, const wlmi_forest_options *options,
                             wlm_error *error);
/* p [classes]: mean of the trees' shares for x [features]; sums to 1. */
void wlmi_forest_predict(const wlmi_forest *forest, const float *x, float *p);
void wlmi_forest_free(wlmi_forest *forest);

#endif
