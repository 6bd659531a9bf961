/* optimiser.h: AdamW over a net's parameters, weight decay on its matrices only. */
#ifndef WLMI_OPTIMISER_H
#define WLMI_OPTIMISER_H

#include "model/model.h"

typedef struct wlmi_optimiser {
    wlmi_net *net;
    wlmi_real *m, *v; /* [net->count] first and second moments */
    uint64_t updates; /* done so far */
} wlmi_optimiser;

/* The net has its memory for gradients and gains no task any more. */
wlm_status wlmi_optimiser_init(wlmi_optimiser *optimiser, wlmi_net *net, wlm_error *error);
void wlmi_optimiser_clear(wlmi_optimiser *optimiser);
/* One update from net->grad times `scale`, cut to norm `clip` (0: never cut), then the gradient is zero again.
 * *norm: of the scaled gradient, before the cut. Where it is not finite nothing is updated and 0 is returned. */
int wlmi_optimiser_update(wlmi_optimiser *optimiser, double scale, double clip, double rate, double decay,
                          double *norm);

/* Learning rate at `progress` (0 to 1) of a run: linear warm-up over its first share `warmup`, then a cosine from
 * `peak` down to a tenth of it (Loshchilov and Hutter, 2017). The first step of a warm-up is above 0 when `progress`
 * is that of the step's end. */
double wlmi_learning_rate(double peak, double warmup, double progress);

#endif
