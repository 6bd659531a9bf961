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
    size_t used; /* going back shares what comes after */
    size_t most;
} carver;

static void *carve(carver *c, size_t bytes)
{
    void *piece = c->block ? c->block + c->used : NULL;
    c->used += (bytes + 63) & ~(size_t)63;
    c->most = c->used > c->most ? c->used : c->most;
    return piece;
}

typedef struct sizes { /* as in workspace.h */
    size_t T, D, F, N, R;
    size_t real, act;
    int segments;
} sizes;

static void lay_out_mixer(carver *c, const wlmi_net *net, int l, const sizes *z)
{
    const wlmi_config *config = &net->config;
    wlmi_layer_work *layer = &net->work->layer[l];
    wlmi_layer_shape shape = wlmi_config_layer(config, l);
    size_t inner = (size_t)shape.inner;
    layer->mixer_rstd = carve(c, z->T * z->real);
    layer->mixer_in = carve(c, z->T * z->D * z->act);
    layer->qkv = carve(c, z->T * (size_t)shape.columns * z->real);
    for (int g = 0; g < shape.plan->groups; g++) {
        const wlmi_head_group *group = &shape.plan->group[g];
        layer->kept[g] = carve(c, wlmi_mixer_of(group->kind)->kept_size(net->backend, group, config->head_width,
                                                                        (int)z->T, z->segments) * z->real);
    }
    layer->o = carve(c, z->T * inner * z->real);
    layer->mixer_out = carve(c, z->T * inner * z->act);
}

static void lay_out_mlp(carver *c, const wlmi_net *net, int l, const sizes *z)
{
    wlmi_layer_work *layer = &net->work->layer[l];
    layer->mlp_rstd = carve(c, z->T * z->real);
    layer->mlp_in = carve(c, z->T * z->D * z->act);
    layer->gate_up = carve(c, z->T * 2 * z->F * z->act);
    layer->hidden = carve(c, z->T * z->F * z->act);
}

static void lay_out_mixer_gradient(carver *c, const wlmi_net *net, int l, const sizes *z)
{
    wlmi_layer_work *layer = &net->work->layer[l];
    wlmi_layer_shape shape = wlmi_config_layer(&net->config, l);
    layer->d_qkv = carve(c, z->T * (size_t)shape.columns * z->real);
    layer->d_qkv_act = (wlmi_act *)layer->qkv;
    layer->d_o = carve(c, z->T * (size_t)shape.inner * z->real);
}

static void lay_out_mlp_gradient(carver *c, const wlmi_net *net, int l, const sizes *z)
{
    wlmi_layer_work *layer = &net->work->layer[l];
    layer->d_gate_up = carve(c, z->T * 2 * z->F * z->act);
    layer->d_hidden = carve(c, z->T * z->F * z->act);
}

/* Every layer in a room of its own. */
static void lay_out_layers(carver *c, const wlmi_net *net, const sizes *z)
{
    const int layers = net->config.layers;
    size_t shared;
    for (int l = 0; l < layers; l++) {
        lay_out_mixer(c, net, l, z);
        lay_out_mlp(c, net, l, z);
    }
    shared = c->used;
    for (int l = 0; l < layers && net->grad; l++) {
        c->used = shared;
        lay_out_mixer_gradient(c, net, l, z);
        lay_out_mlp_gradient(c, net, l, z);
    }
}

/* All layers in one room. Backward is done with the MLP before it asks for the mixers' gradients. */
static void lay_out_layer_again(carver *c, const wlmi_net *net, int l, const sizes *z)
{
    size_t shared;
    lay_out_mixer(c, net, l, z);
    if (!net->config.reversible)
        net->work->x[2 * l + 1] = carve(c, z->T * z->D * z->real);
    shared = c->used;
    lay_out_mlp(c, net, l, z);
    if (net->grad) {
        lay_out_mlp_gradient(c, net, l, z);
        c->used = shared;
        lay_out_mixer_gradient(c, net, l, z);
    }
}

/* From the last stream to the loss, and back. */
static void lay_out_loss(carver *c, const wlmi_net *net, const sizes *z)
{
    wlmi_workspace *w = net->work;
    w->picked = carve(c, z->N * z->D * z->real);
    w->rstd = carve(c, z->N * z->real);
    w->normed = carve(c, z->N * z->D * z->act);
    w->logits = carve(c, z->N * z->R * z->real);
    w->loss = carve(c, z->N * z->real);
    if (net->grad) {
        w->d_logits = carve(c, z->N * z->R * z->act);
        w->d_normed = carve(c, z->N * z->D * z->act);
        w->d_picked = carve(c, z->N * z->D * z->real);
    }
}

static void lay_out_gradients(carver *c, const wlmi_net *net, const sizes *z)
{
    wlmi_workspace *w = net->work;
    for (int i = 0; i < 2; i++) {
        int same = i && !net->config.reversible;
        w->dx[i] = same ? w->dx[0] : carve(c, z->T * z->D * z->real);
        w->dx_act[i] = same ? w->dx_act[0] : carve(c, z->T * z->D * z->act);
    }
    w->dh = carve(c, z->T * z->D * z->act);
}

/* Recomputed, a reversible model has two streams changed in place; another keeps those at layers' inputs, and the last
 * one, which nobody asks for once the gradient of it is made, gives its room to that. */
static void lay_out_streams(carver *c, const wlmi_net *net, const sizes *z)
{
    wlmi_workspace *w = net->work;
    const int last = 2 * net->config.layers, reversible = net->config.reversible;
    w->half = reversible ? carve(c, z->T * z->D * z->real) : NULL;
    for (int h = 0; h <= last + reversible; h++)
        if (net->recompute && reversible && h > 1)
            w->x[h] = w->x[h - 2];
        else if (net->recompute && !reversible && h == last && net->grad)
            w->x[h] = w->dx[0];
        else if (!net->recompute || reversible || h % 2 == 0)
            w->x[h] = carve(c, z->T * z->D * z->real);
}

static void lay_out(carver *c, const wlmi_net *net, size_t T, int segments, size_t N)
{
    wlmi_workspace *w = net->work;
    const sizes z = {T, (size_t)net->config.width, (size_t)net->config.hidden, N, (size_t)net->rows,
                     net->backend->real_size, net->backend->act_size, segments};
    w->row = carve(c, WLMI_EMBED_ROWS * T * sizeof *w->row);
    w->position = carve(c, N * sizeof *w->position);
    w->target = carve(c, N * sizeof *w->target);
    w->first = carve(c, N * sizeof *w->first);
    w->last = carve(c, N * sizeof *w->last);
    w->weight = carve(c, N * sizeof *w->weight);
    if (net->grad)
        lay_out_gradients(c, net, &z);
    lay_out_streams(c, net, &z);
    if (net->recompute) {
        size_t shared = c->used;
        lay_out_loss(c, net, &z);
        for (int l = 0; l < net->config.layers; l++) {
            c->used = shared;
            lay_out_layer_again(c, net, l, &z);
        }
    } else {
        lay_out_loss(c, net, &z);
        lay_out_layers(c, net, &z);
    }
}

wlm_status wlmi_workspace_fit(const wlmi_net *net, int tokens, int segments, int scored, wlm_error *error)
{
    wlmi_workspace *w = net->work;
    carver c = {NULL, 0, 0};
    lay_out(&c, net, (size_t)tokens, segments, (size_t)scored);
    if (c.most > w->size) {
        wlmi_free(w->block);
        w->size = 0;
        w->block = wlmi_alloc_aligned(c.most);
        if (!w->block)
            return WLMI_NO_MEMORY(error);
        w->size = c.most;
    }
    c = (carver){w->block, 0, 0};
    lay_out(&c, net, (size_t)tokens, segments, (size_t)scored);
    w->scored = scored;
    return WLM_OK;
}

size_t wlmi_workspace_bytes(const wlmi_net *net, int tokens, int segments, int scored)
{
    wlmi_workspace *w = net->work, kept = *w;
    carver c = {NULL, 0, 0};
    lay_out(&c, net, (size_t)tokens, segments, (size_t)scored);
    *w = kept;
    return c.most;
}
