/* tree.h: a decision tree that tells classes apart: CART (Breiman et al., 1984), by Gini impurity, unpruned. */
#ifndef WLMI_TREE_H
#define WLMI_TREE_H

#include "base/status.h"

typedef struct wlmi_samples {
    const float *x; /* [n, features]; NaN counts as above everything */
    const int *y;   /* [n], in [0, classes) */
    size_t n;       /* 1 to UINT32_MAX */
    int features, classes;
} wlmi_samples;

typedef struct wlmi_tree_options {
    int depth;              /* most splits above a leaf; 0: no limit */
    int min_leaf;           /* samples in a leaf; below 2: 1 */
    int features_per_split; /* that are looked at, drawn anew for each split, more only until one divides; 0: all */
    int balance;            /* classes weigh the same, however many samples they have; else samples do */
    uint64_t seed;
} wlmi_tree_options;

typedef struct wlmi_tree wlmi_tree;

/* index [count]: the samples to learn from, repetitions count; NULL: each once. Memory is in proportion to count.
 * WLM_ERR_ARGUMENT: there is nothing to learn from, or a class that does not exist. */
wlm_status wlmi_tree_train(wlmi_tree **tree, const wlmi_samples *samples, const uint32_t *index, size_t count,
                           const wlmi_tree_options *options, wlm_error *error);
/* Adds to p [classes] the classes' shares, by weight, in the leaf where x [features] ends. */
void wlmi_tree_add(const wlmi_tree *tree, const float *x, float *p);
void wlmi_tree_free(wlmi_tree *tree);

#endif
