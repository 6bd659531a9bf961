/* run.h: everything that one training run holds: data, net, view, batches. Set up here; train.c runs it. */
#ifndef WLMI_RUN_H
#define WLMI_RUN_H

#include "task/batch.h"
#include "task/trainer.h"

typedef struct wlmi_run {
    const wlm_train_options *options; /* borrowed */
    wlmi_dataset **data;              /* [options->data_count] */
    const wlmi_backend *backend;
    wlmi_net *net;
    wlmi_trainer trainer;
    wlmi_batches *batches;
    wlmi_rows rows;
    wlmi_rows others;                 /* batches of other ranks, made only to get past them */
    double plain, classify, generate; /* shares, decided */
    uint64_t steps;                   /* 0: by time */
    wlmi_schedule schedule;
    int muon;                         /* else AdamW for all */
    wlmi_ranks *ranks;                /* NULL: alone */
    json_t *asked;                    /* the options that a resumed run must share */
    char *resume_path;                /* OUT.resume */
    wlmi_record record;               /* where a summary is taught: of the model that gains it, which stays */
} wlmi_run;

/* Joins the other ranks, checks the options, opens the folders, and makes, loads or resumes the model. A failure is that
 * of all ranks; the run is to be closed then too. */
wlm_status wlmi_run_open(wlmi_run *run, const wlm_train_options *options, wlm_error *error);
/* *loss: weighted mean over at most 16 batches of the val parts for each kind of prompt in use, the same flows of the
 * same data in every run; NaN where there are none. */
wlm_status wlmi_run_validate(wlmi_run *run, double *loss, wlm_error *error);
/* WLM_ERR_ARGUMENT where the ranks no longer hold the same parameters. */
wlm_status wlmi_run_compare_nets(wlmi_run *run, wlm_error *error);
void wlmi_run_close(wlmi_run *run);

#endif
