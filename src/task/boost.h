/* boost.h: gradient boosting for classes: trees of one depth with a value of every class at every leaf, each a step down
 * the gradient of the cross-entropy (Friedman, 2001), from samples and features drawn anew (Friedman, 2002). Features
 * are put into at most 64 bins first; a tree is grown level by level. Of more than 7 classes it sees random projections of
 * the gradients onto 7 numbers, others for each tree (Iosipoi and Vakhrushev, SketchBoost, 2022): that takes less time,
 * and trees that differ more are no worse together (bench/trials.md). */
#ifndef WLMI_BOOST_H
#define WLMI_BOOST_H

#include "task/tree.h"
#include "tensor/backend.h"

typedef struct wlmi_boost_options {
    const float *weight; /* [n] of the samples, above 0, 1 on the average; NULL: all the same */
    int trees;       /* R, at least 1 */
    int depth;       /* d: 1 to 8 */
    double rate;     /* of a Newton step that a leaf's values are */
    double ridge;    /* added to what a step, or a split's gain, is divided by */
    double rows;     /* share of the samples that grow a tree */
    double features; /* share of the features that a level looks at; at least one */
    double min_leaf; /* weight on either side of a split */
    uint64_t seed;
    int (*grown)(void *user, int trees, double loss); /* after each tree, with the loss before it; not 0: stop */
    void *user;
} wlmi_boost_options;

wlmi_boost_options wlmi_boost_options_default(void); /* 250 trees of depth 6, seed 1 */

/* Node i of a tree has children 2 i + 1 and, for what is above the border, 2 i + 2; node 2^d - 1 is leaf 0. */
typedef struct wlmi_boosted {
    float *index, *border; /* [R, 2^d - 1] */
    float *value;          /* [R, 2^d, classes] */
} wlmi_boosted;

/* Fills the arrays of out, the caller's. backend: whose threads take part; the same bits however many there are. The sum
 * of a row's values are logits. WLM_ERR_ARGUMENT: no samples, or a class that does not exist; WLM_STOPPED. */
wlm_status wlmi_boost(const wlmi_samples *samples, const wlmi_boost_options *options, const wlmi_backend *backend,
                      wlmi_boosted *out, wlm_error *error);

#endif
