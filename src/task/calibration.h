/* calibration.h: whether a model's confidence means what it says: calibration error, a temperature that mends it, and
 * what is risked at each share of flows that are answered. */
#ifndef WLMI_CALIBRATION_H
#define WLMI_CALIBRATION_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Largest of softmax(logit / temperature), for each of `count` flows. logit [count, labels]; guess and confidence
 * [count], either may be NULL. Of equals the first is the guess. */
void wlmi_confide(const float *logit, size_t count, int labels, double temperature, int32_t *guess,
                  double *confidence);
/* temperature * log(sum(exp(logit / temperature))): the negative of the free energy (Liu et al., 2020). */
void wlmi_free_energy(const float *logit, size_t count, int labels, double temperature, double *energy);

/* Mean -log softmax(logit / temperature)[truth] in nats over the flows whose truth is one of the labels; others are
 * passed over. 0 where there is none. */
double wlmi_nll(const float *logit, const int32_t *truth, size_t count, int labels, double temperature);

#define WLMI_TEMPERATURE_MIN 0.05
#define WLMI_TEMPERATURE_MAX 20.0
/* The temperature that minimises wlmi_nll() (Guo et al., 2017) where of n flows each counts with its truth as
 * (n + 1) / (n + 2) and with the other labels, alike, for the rest (as Platt, 1999): a few flows that are all right do
 * not make a model certain of everything. Between these bounds; 1 where there is nothing to learn it from. The loss is
 * convex in the inverse, so that bisection finds it. */
double wlmi_fit_temperature(const float *logit, const int32_t *truth, size_t count, int labels);
/* The temperature nearest to 1, between 1 and that one, whose wlmi_nll() is at most one standard error above what it is
 * there (after Breiman et al., 1984), where captures, and with them the losses of all their flows, might have been others:
 * what one capture alone asks for is not heeded. group [count]: which capture, each below groups. The fitted one where
 * there is one capture only. */
wlm_status wlmi_choose_temperature(const float *logit, const int32_t *truth, const uint32_t *group, size_t count,
                                   int labels, uint32_t groups, double *temperature, wlm_error *error);

enum { WLMI_SHARE_STEPS = 20, WLMI_USUAL_STEP = 14 }; /* the usual share is .7: bench/trials.md */
/* Two opinions about the same flows. */
typedef struct wlmi_opinions {
    const float *own, *other; /* logits [count, labels] */
    const int32_t *truth;     /* [count]; flows whose truth is none of the labels are passed over */
    const uint32_t *group;    /* [count]: which capture, each below groups */
    size_t count;
    int labels;
    uint32_t groups;
} wlmi_opinions;

typedef struct wlmi_share {
    double share;                        /* of the other opinion */
    double loss, loss_own, loss_other; /* wlmi_nll() of the mixture, and of either alone */
} wlmi_share;

/* (1 - share) own + share other, n numbers. */
void wlmi_mix_opinions(const float *own, const float *other, double share, size_t n, float *mixed);
/* The share, of WLMI_SHARE_STEPS, nearest to the usual one whose loss is at most one standard error over captures above that at
 * the best share: as wlmi_choose_temperature(). */
wlm_status wlmi_choose_share(const wlmi_opinions *opinions, wlmi_share *out, wlm_error *error);

enum { WLMI_BINS = 15 };
typedef struct wlmi_reliability {
    uint64_t count[WLMI_BINS];
    double confidence[WLMI_BINS], accuracy[WLMI_BINS]; /* means; 0 where a bin is empty */
    double error; /* expected calibration error: mean |accuracy - confidence| of bins, by their counts */
} wlmi_reliability;
/* Bins of equal width; bin i holds confidences in (i / 15, (i + 1) / 15]. */
void wlmi_reliability_of(const double *confidence, const uint8_t *right, size_t count, wlmi_reliability *out);

/* Risk: the share of wrong answers among those given, where the least confident flows are not answered. risk[i] at
 * coverage[i] (in (0, 1], rounded up to whole flows); *area is the mean risk over all coverages 1/count .. 1. Flows of
 * equal confidence count as if in random order. */
wlm_status wlmi_risk(const double *confidence, const uint8_t *right, size_t count, const double *coverage,
                     size_t coverages, double *risk, double *area, wlm_error *error);

/* The confidence below which a share of the right answers lies: with share .05, one in twenty right answers is given up
 * by a threshold there. 0 where nothing is right. */
wlm_status wlmi_threshold_of(const double *confidence, const uint8_t *right, size_t count, double share,
                             double *threshold, wlm_error *error);

/* Telling knowns from strangers by a score that is higher for knowns. auroc: the share of pairs in the right order,
 * equals half (Mann-Whitney). fpr: the share of strangers that pass a threshold which `recall` of the knowns pass.
 * NAN where either side is empty. */
typedef struct wlmi_detection {
    double auroc, fpr;
} wlmi_detection;
wlm_status wlmi_detect(const double *known, size_t knowns, const double *stranger, size_t strangers, double recall,
                       wlmi_detection *out, wlm_error *error);

#endif
