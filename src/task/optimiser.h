/* optimiser.h: AdamW (Loshchilov and Hutter, 2019) over a net's parameters, or Muon for its layers' matrices, and the
 * shapes of its learning rate. */
#ifndef WLMI_OPTIMISER_H
#define WLMI_OPTIMISER_H

#include "model/model.h"
#include "task/muon.h"

#define WLMI_ADAMW_BETA1 0.9
#define WLMI_ADAMW_BETA2 0.95
#define WLMI_ADAMW_EPSILON 1e-8

typedef struct wlmi_optimiser {
    wlmi_net *net;
    wlmi_real *m, *v; /* [net->count] first and second moments; what Muon serves has no second, 0 */
    uint64_t updates; /* done so far */
    int has_muon;
    wlmi_muon muon;
} wlmi_optimiser;

typedef struct wlmi_rates { /* of one step */
    double rate;            /* learning rate */
    double clip;            /* largest norm of the gradient, 0: any */
    double decay;           /* of the layers' matrices; norms never decay */
    double embedding_decay; /* of embed, embed.packet, embed.role */
} wlmi_rates;

/* The net has its memory for gradients and gains no task any more. */
wlm_status wlmi_optimiser_init(wlmi_optimiser *optimiser, wlmi_net *net, wlm_error *error);
void wlmi_optimiser_clear(wlmi_optimiser *optimiser);
/* From here on Muon updates the layers' matrices. */
wlm_status wlmi_optimiser_use_muon(wlmi_optimiser *optimiser, wlm_error *error);
/* One update from net->grad times `scale`, then the gradient is zero again. Decay is decoupled: a weight loses
 * rate * decay of itself, whatever its gradient. *norm: of the scaled gradient, before the cut. Where it is not finite
 * nothing is updated and 0 is returned. */
int wlmi_optimiser_update(wlmi_optimiser *optimiser, const wlmi_rates *rates, double scale, double *norm);

typedef enum wlmi_schedule { WLMI_SCHEDULE_COSINE, WLMI_SCHEDULE_WSD, WLMI_SCHEDULE_CONSTANT } wlmi_schedule;
/* "cosine", "wsd", "constant"; NULL: cosine. 0 where there is none of that name. */
int wlmi_schedule_find(const char *name, wlmi_schedule *schedule);

/* Learning rate at `progress` (0 to 1) of a run. All rise linearly to `peak` over its first share `warmup`. Then
 *  - cosine falls as a cosine to a tenth of the peak (Loshchilov and Hutter, 2017);
 *  - wsd (warm-up, stable, decay) stays there, and over the last fifth of the run falls to 0 as 1 - sqrt (Haegele et
 *    al., 2024, arXiv 2405.18392);
 *  - constant stays there.
 * The first step of a warm-up is above 0 when `progress` is that of the step's end. */
double wlmi_learning_rate(wlmi_schedule schedule, double peak, double warmup, double progress);

#endif
