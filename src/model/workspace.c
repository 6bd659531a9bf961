/* workspace.c: lays out the activations of one batch. */
#include "model/workspace.h"

#include "base/alloc.h"
#include "model/mixer.h"
#include "model/params.h"

wlmi_workspace *wlmi_workspace_new(void)
{
    return wlmi_alloc_zero(1, sizeof(wlmi_workspace));
}

void wlmi_workspace_free(wlmi_workspace *work)
{
    if (work)
        wlmi_free(work->block);
    wlmi_free(work);
}

typedef struct carver { /* counts while block is NULL, hands out pieces otherwise */
    char *block;
    size_t used;
} carver;

static void *carve(carver *c, size_t bytes)
{
    void *piece = c->block ? c->block + c->used : NULL;
    c->used += (bytes + 63) & ~(size_t)63;
    return piece;
}

static void lay_out_layer(carver *c, const wlmi_net *net, int l, size_t T, int segments)
{
    const wlmi_config *config = &net->config;
    wlmi_layer_work *layer = &net->work->layer[l];
    wlmi_layer_shape shape = wlmi_config_layer(config, l);
    size_t real = net->backend->real_size, act = net->backend->act_size;
    size_t D = (size_t)config->width, F = (size_t)config->hidden;
    layer->mixer_rstd = carve(c, T * real);
    layer->mixer_in = carve(c, T * D * act);
    layer->qkv = carve(c, T * (size_t)shape.columns * real);
    for (int g = 0; g < shape.plan->groups; g++) {
        const wlmi_head_group *group = &shape.plan->group[g];
        layer->kept[g] = carve(c, wlmi_mixer_of(group->kind)->kept_size(net->backend, group, config->head_width,
                                                                        (int)T, segments) * real);
    }
    layer->o = carve(c, T * (size_t)shape.inner * real);
    layer->mixer_out = carve(c, T * (size_t)shape.inner * act);
    layer->middle = carve(c, T * D * real);
    layer->mlp_rstd = carve(c, T * real);
    layer->mlp_in = carve(c, T * D * act);
    layer->gate_up = carve(c, T * 2 * F * act);
    layer->hidden = carve(c, T * F * act);
}

static void lay_out(carver *c, const wlmi_net *net, size_t T, int segments, size_t N)
{
    wlmi_workspace *w = net->work;
    const wlmi_config *config = &net->config;
    size_t real = net->backend->real_size, act = net->backend->act_size;
    size_t D = (size_t)config->width, F = (size_t)config->hidden;
    wlmi_layer_shape widest = wlmi_config_widest(config);
    for (int l = 0; l < config->layers; l++) {
        w->x[l] = carve(c, T * D * real);
        lay_out_layer(c, net, l, T, segments);
    }
    w->x[config->layers] = carve(c, T * D * real);
    w->picked = carve(c, N * D * real);
    w->rstd = carve(c, N * real);
    w->normed = carve(c, N * D * act);
    w->logits = carve(c, N * (size_t)net->rows * real);
    w->loss = carve(c, N * real);
    if (net->grad) {
        w->d_logits = carve(c, N * (size_t)net->rows * act);
        w->d_normed = carve(c, N * D * act);
        w->d_picked = carve(c, N * D * real);
        w->dx = carve(c, T * D * real);
        w->dx_act = carve(c, T * D * act);
        w->dh = carve(c, T * D * act);
        w->d_qkv = carve(c, T * (size_t)widest.columns * real);
        w->d_qkv_act = carve(c, T * (size_t)widest.columns * act);
        w->d_o = carve(c, T * (size_t)widest.inner * real);
        w->d_gate_up = carve(c, T * 2 * F * act);
        w->d_hidden = carve(c, T * F * act);
    }
    w->packet = carve(c, T * sizeof *w->packet);
    w->position = carve(c, N * sizeof *w->position);
    w->target = carve(c, N * sizeof *w->target);
    w->first = carve(c, N * sizeof *w->first);
    w->last = carve(c, N * sizeof *w->last);
    w->weight = carve(c, N * sizeof *w->weight);
}

wlm_status wlmi_workspace_fit(const wlmi_net *net, int tokens, int segments, int scored, wlm_error *error)
{
    wlmi_workspace *w = net->work;
    carver c = {NULL, 0};
    lay_out(&c, net, (size_t)tokens, segments, (size_t)scored);
    if (c.used > w->size) {
        wlmi_free(w->block);
        w->size = 0;
        w->block = wlmi_alloc_aligned(c.used);
        if (!w->block)
            return WLMI_NO_MEMORY(error);
        w->size = c.used;
    }
    c.block = w->block;
    c.used = 0;
    lay_out(&c, net, (size_t)tokens, segments, (size_t)scored);
    w->scored = scored;
    return WLM_OK;
}

size_t wlmi_workspace_bytes(const wlmi_net *net, int tokens, int segments, int scored)
{
    wlmi_workspace *w = net->work, kept = *w;
    carver c = {NULL, 0};
    lay_out(&c, net, (size_t)tokens, segments, (size_t)scored);
    *w = kept;
    return c.used;
}
