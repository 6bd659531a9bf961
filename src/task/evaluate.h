/* evaluate.h: an evaluation of labels in the making: what was asked, the flows, what the model said of them; and the
 * parts of the report, each from these alone. */
#ifndef WLMI_EVALUATE_H
#define WLMI_EVALUATE_H

#include "capture/alter.h"
#include "capture/stratum.h"
#include "task/calibration.h"
#include "task/json.h"
#include "task/metrics.h"
#include "task/score.h"
#include "wirelm_evaluate.h"

/* Flows that were asked about together. All arrays [picks.count]. */
typedef struct wlmi_sample { /* zero-initialise */
    const wlmi_cohort *cohort;
    wlmi_picks picks;
    wlmi_scores scores;
    int32_t *truth, *guess;      /* in the cohort's labels */
    uint32_t *group;             /* captures, as the picks have them */
    uint8_t *right;
    double *confidence;          /* as the model has it */
    double *calibrated;          /* at the temperature of the evaluation */
    uint8_t *stratum;            /* wlmi_stratum; only of those that the report tells apart, else NULL */
} wlmi_sample;

/* Guess, right and confidence at temperature 1. */
wlm_status wlmi_sample_derive(wlmi_sample *sample, wlm_error *error);
/* From its labels, of the flows of a dev part. */
wlm_status wlmi_sample_temperature(const wlmi_sample *sample, double *temperature, wlm_error *error);
void wlmi_sample_calibrate(wlmi_sample *sample, double temperature);
void wlmi_sample_free(wlmi_sample *sample);

typedef enum wlmi_kin { WLMI_KIN_LABELLED, WLMI_KIN_LEFT_OUT, WLMI_KIN_FOREIGN, WLMI_KINS } wlmi_kin;

typedef struct wlmi_evaluation {
    wlm_model *model;
    const wlm_evaluate_options *options;
    wlmi_view view;
    int task;
    wlmi_cohort cohort, foreign; /* foreign: folders of strangers */
    wlmi_points points;
    wlmi_sample own[WLMI_KINS];  /* of the part that is scored */
    wlmi_sample dev[WLMI_KINS];  /* of the part that is calibrated on, where that is another one */
    wlmi_sample *fit;            /* which of the two is calibrated on; NULL: none */
    uint64_t *support[2];        /* [labels]: in the part, in the training part */
    double temperature;
    json_t *controls;            /* those that were asked for; NULL: none */
    int stressed[WLMI_ALTERATIONS];
    wlmi_score stress[WLMI_ALTERATIONS]; /* of flows that are altered so */
    uint64_t done, total;        /* flows */
    double start_s, shown_s;
} wlmi_evaluation;

/* New references, for the report; NULL where memory ran out. */
json_t *wlmi_report_head(const wlmi_evaluation *e);        /* what was asked, and of what */
json_t *wlmi_report_scores(const wlmi_evaluation *e);      /* accuracy, macro-F1, labels, confusion, majority */
json_t *wlmi_report_intervals(const wlmi_evaluation *e);
json_t *wlmi_report_calibration(const wlmi_evaluation *e);
json_t *wlmi_report_risk(const wlmi_evaluation *e);
json_t *wlmi_report_curves(const wlmi_evaluation *e);
json_t *wlmi_report_strata(const wlmi_evaluation *e);
json_t *wlmi_report_open_set(const wlmi_evaluation *e);

json_t *wlmi_report_accepted(const wlmi_evaluation *e);    /* at the model's own temperature and threshold */
json_t *wlmi_report_stress(const wlmi_evaluation *e);

/* Which alterations the options ask for; and the labelled flows once more under each of them. */
wlm_status wlmi_stress_choose(wlmi_evaluation *e, wlm_error *error);
wlm_status wlmi_stress_run(wlmi_evaluation *e, const wlmi_score_watch *watch, wlm_error *error);

/* A line of JSON for each flow, to options->predictions. */
wlm_status wlmi_predictions_write(const wlmi_evaluation *e, wlm_error *error);

#endif
