/* optimiser.c: AdamW and its learning rate. */
#include "task/optimiser.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

static const double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;

wlm_status wlmi_optimiser_init(wlmi_optimiser *o, wlmi_net *net, wlm_error *error)
{
    o->net = net;
    o->updates = 0;
    o->m = wlmi_alloc_aligned(net->count * net->backend->real_size);
    o->v = wlmi_alloc_aligned(net->count * net->backend->real_size);
    if (o->m && o->v)
        return WLM_OK;
    wlmi_optimiser_clear(o);
    return WLMI_NO_MEMORY(error);
}

void wlmi_optimiser_clear(wlmi_optimiser *o)
{
    wlmi_free(o->m);
    wlmi_free(o->v);
    memset(o, 0, sizeof *o);
}

int wlmi_optimiser_update(wlmi_optimiser *o, double scale, double clip, double rate, double decay, double *norm)
{
    wlmi_net *net = o->net;
    const wlmi_backend *b = net->backend;
    int finite;
    *norm = sqrt(b->sum_squares(net->grad, net->count)) * scale;
    finite = isfinite(*norm) != 0;
    if (finite) {
        if (clip > 0 && *norm > clip)
            scale *= clip / *norm;
        o->updates++;
        for (int i = 0; i < net->params; i++) {
            const wlmi_param *p = &net->param[i];
            b->adamw(wlmi_at(b, net->value, p->offset), wlmi_at(b, o->m, p->offset), wlmi_at(b, o->v, p->offset),
                     wlmi_at(b, net->grad, p->offset), p->count, scale, rate, beta1, beta2, epsilon,
                     p->decay ? decay : 0, o->updates);
        }
    }
    b->zero(net->grad, net->count);
    return finite;
}

double wlmi_learning_rate(double peak, double warmup, double progress)
{
    const double pi = 3.14159265358979323846, floor_share = 0.1;
    double along;
    if (progress < warmup)
        return peak * progress / warmup;
    along = warmup < 1 ? (progress - warmup) / (1 - warmup) : 1;
    if (along > 1)
        along = 1;
    return peak * (floor_share + (1 - floor_share) * 0.5 * (1 + cos(pi * along)));
}
