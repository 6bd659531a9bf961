/* optimiser.c: AdamW, and the shapes of its learning rate. */
#include "task/optimiser.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

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

static int is_embedding(const wlmi_param *p)
{
    return !strncmp(p->name, "embed", 5);
}

static void update_all(wlmi_optimiser *o, const wlmi_rates *r, double scale)
{
    const wlmi_net *net = o->net;
    const wlmi_backend *b = net->backend;
    o->updates++;
    for (int i = 0; i < net->params; i++) {
        const wlmi_param *p = &net->param[i];
        double decay = is_embedding(p) ? r->embedding_decay : p->decay ? r->decay : 0;
        b->adamw(wlmi_at(b, net->value, p->offset), wlmi_at(b, o->m, p->offset), wlmi_at(b, o->v, p->offset),
                 wlmi_at(b, net->grad, p->offset), p->count, scale, r->rate, WLMI_ADAMW_BETA1, WLMI_ADAMW_BETA2,
                 WLMI_ADAMW_EPSILON, decay, o->updates);
    }
}

int wlmi_optimiser_update(wlmi_optimiser *o, const wlmi_rates *r, double scale, double *norm)
{
    const wlmi_net *net = o->net;
    const wlmi_backend *b = net->backend;
    int finite;
    *norm = sqrt(b->sum_squares(net->grad, net->count)) * scale;
    finite = isfinite(*norm) != 0;
    if (finite)
        update_all(o, r, r->clip > 0 && *norm > r->clip ? scale * r->clip / *norm : scale);
    b->zero(net->grad, net->count);
    return finite;
}

int wlmi_schedule_find(const char *name, wlmi_schedule *schedule)
{
    static const char *const names[] = {"cosine", "wsd", "constant"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(name ? name : names[0], names[i])) {
            *schedule = (wlmi_schedule)i;
            return 1;
        }
    return 0;
}

/* Share of the way from `begin` to the run's end that is behind it. */
static double share_behind(double progress, double begin)
{
    double share = begin < 1 ? (progress - begin) / (1 - begin) : 1;
    return fmin(1, fmax(0, share));
}

double wlmi_learning_rate(wlmi_schedule schedule, double peak, double warmup, double progress)
{
    const double pi = 3.14159265358979323846, cosine_floor = 0.1, wsd_fall = 0.8;
    if (progress < warmup)
        return peak * progress / warmup;
    if (schedule == WLMI_SCHEDULE_COSINE)
        return peak * (cosine_floor + (1 - cosine_floor) * 0.5 * (1 + cos(pi * share_behind(progress, warmup))));
    if (schedule == WLMI_SCHEDULE_WSD)
        return peak * (1 - sqrt(share_behind(progress, fmax(warmup, wsd_fall))));
    return peak;
}
