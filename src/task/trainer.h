/* trainer.h: a training run's state and its one step, whatever the batches come from; how a run is put aside. */
#ifndef WLMI_TRAINER_H
#define WLMI_TRAINER_H

#include <jansson.h>

#include "task/optimiser.h"
#include "task/ranks.h"

/* Gives the batch at *cursor and moves the cursor behind it. The batch is valid until the next call. */
typedef wlm_status wlmi_batch_source(void *user, uint64_t *cursor, wlmi_batch *batch, wlm_error *error);

typedef struct wlmi_trainer {
    wlmi_net *net;
    wlmi_ranks *ranks;  /* borrowed; NULL: alone */
    wlmi_optimiser optimiser;
    uint64_t step;      /* steps done, skipped ones included */
    uint64_t skipped;   /* steps whose loss or gradient was not finite: they changed no parameter */
    uint64_t skipped_in_row; /* of these, the last ones */
    uint64_t tokens;    /* over all ranks */
    uint64_t cursor;
    double elapsed_s;   /* in training, over all sittings */
    double loss_first;  /* of the first step; NaN before */
    double loss_sum, loss_count; /* decaying sums for the recent mean */
} wlmi_trainer;

typedef struct wlmi_step_options {
    wlmi_rates rates;
    uint32_t accumulate; /* batches per step and rank */
} wlmi_step_options;

typedef struct wlmi_step_report {
    wlmi_loss loss;
    double grad_norm;
    int skipped;
} wlmi_step_report;

/* Begins a run; the net is borrowed and gets its memory for training. */
wlm_status wlmi_trainer_init(wlmi_trainer *trainer, wlmi_net *net, wlm_error *error);
/* From here on steps are those of all ranks together, which hold the same net of floats. ranks NULL: alone. */
wlm_status wlmi_trainer_join(wlmi_trainer *trainer, wlmi_ranks *ranks, wlm_error *error);
void wlmi_trainer_clear(wlmi_trainer *trainer);
/* With ranks, the gradient is that of all ranks' batches, exchanged layer by layer while backward goes on.
 * On failure, which is then that of all ranks, the net is unchanged and the step may be tried again; its cursor has not
 * moved. */
wlm_status wlmi_trainer_step(wlmi_trainer *trainer, const wlmi_step_options *options, wlmi_batch_source *source,
                             void *user, wlmi_step_report *report, wlm_error *error);
/* Mean loss of about the last 20 steps; NaN before the first. */
double wlmi_trainer_loss(const wlmi_trainer *trainer);
void wlmi_loss_add(wlmi_loss *sum, const wlmi_loss *loss);
/* Weighted mean over both kinds of positions; NaN where there are none. */
double wlmi_loss_mean(const wlmi_loss *loss);

/* A run put aside: a safetensors file with parameters, moments and everything that the next step depends on.
 * options: an object of what the run was asked for; borrowed. */
wlm_status wlmi_resume_save(const wlmi_trainer *trainer, const json_t *options, const char *path, wlm_error *error);
/* Makes the net and the state of its trainer. A run that was asked for something else is WLM_ERR_ARGUMENT naming the
 * option. */
wlm_status wlmi_resume_load(wlmi_trainer *trainer, wlmi_net **net, const json_t *options, const char *path,
                            const wlmi_backend *backend, wlm_error *error);

#endif
