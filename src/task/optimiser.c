/* optimiser.c: AdamW and Muon over a net, and the shapes of its learning rate. */
#include "task/optimiser.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

wlm_status wlmi_optimiser_init(wlmi_optimiser *o, wlmi_net *net, wlm_error *error)
{
    memset(o, 0, sizeof *o);
    o->net = net;
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
    wlmi_muon_clear(&o->muon);
    memset(o, 0, sizeof *o);
}

static int is_embedding(const wlmi_param *p)
{
    return !strncmp(p->name, "embed", 5);
}

/* The layers' matrices are what decays by itself. */
static int is_matrix(const wlmi_param *p)
{
    return p->dims == 2 && p->decay;
}

wlm_status wlmi_optimiser_use_muon(wlmi_optimiser *o, wlm_error *error)
{
    size_t largest = 0, side = 0;
    for (int i = 0; i < o->net->params; i++) {
        const wlmi_param *p = &o->net->param[i];
        size_t shorter = (size_t)(p->shape[0] < p->shape[1] ? p->shape[0] : p->shape[1]);
        if (is_matrix(p) && p->count > largest)
            largest = p->count;
        if (is_matrix(p) && shorter > side)
            side = shorter;
    }
    o->has_muon = 1;
    return wlmi_muon_init(&o->muon, o->net->backend, largest, side, error);
}

static void update(wlmi_optimiser *o, const wlmi_param *p, const wlmi_rates *r, double scale)
{
    const wlmi_net *net = o->net;
    const wlmi_backend *b = net->backend;
    double decay = is_embedding(p) ? r->embedding_decay : p->decay ? r->decay : 0;
    wlmi_real *value = wlmi_at(b, net->value, p->offset), *grad = wlmi_at(b, net->grad, p->offset);
    wlmi_real *m = wlmi_at(b, o->m, p->offset), *v = wlmi_at(b, o->v, p->offset);
    if (o->has_muon && is_matrix(p))
        wlmi_muon_update(&o->muon, value, m, grad, p->shape[0], p->shape[1], scale, r->rate, decay);
    else
        b->adamw(value, m, v, grad, p->count, scale, r->rate, WLMI_ADAMW_BETA1, WLMI_ADAMW_BETA2, WLMI_ADAMW_EPSILON,
                 decay, o->updates);
}

int wlmi_optimiser_update(wlmi_optimiser *o, const wlmi_rates *r, double scale, double *norm)
{
    wlmi_net *net = o->net;
    const wlmi_backend *b = net->backend;
    int finite;
    *norm = sqrt(b->sum_squares(net->grad, net->count)) * scale;
    finite = isfinite(*norm) != 0;
    if (finite) {
        if (r->clip > 0 && *norm > r->clip)
            scale *= r->clip / *norm;
        o->updates++;
        for (int i = 0; i < net->params; i++)
            if (!net->param[i].fixed)
                update(o, &net->param[i], r, scale);
        wlmi_net_refresh(net);
    }
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
