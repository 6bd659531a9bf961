/* flops.c: counts the products of a training step. */
#include "model/flops.h"

#include "model/params.h"

/* Mean number of tokens that a token of a segment sees, itself included. */
static double mean_seen(int context, int window)
{
    double n = context, w = window < context ? window : context;
    return (w * (w + 1) / 2 + (n - w) * w) / n;
}

static double mixer_forward(const wlmi_head_group *group, double K, int context)
{
    switch (group->kind) {
    case WLMI_MIXER_FULL: return group->heads * 4 * K * mean_seen(context, context);
    case WLMI_MIXER_WINDOW: return group->heads * 4 * K * mean_seen(context, group->window);
    case WLMI_MIXER_LINEAR: return group->heads * 4 * K * K;
    case WLMI_MIXER_DELTA: return group->heads * 6 * K * K;
    case WLMI_MIXER_KINDS: break;
    }
    return 0;
}

double wlmi_flops_per_token(const wlmi_net *net, int context)
{
    const wlmi_config *c = &net->config;
    double weights = (double)wlmi_embed_param(net)->count, mixers = 0;
    for (int l = 0; l < c->layers; l++) {
        const wlmi_plan *plan = wlmi_config_layer(c, l).plan;
        for (int slot = 0; slot < WLMI_SLOTS; slot++)
            if (wlmi_layer_param(net, l, (wlmi_slot)slot)->dims == 2)
                weights += (double)wlmi_layer_param(net, l, (wlmi_slot)slot)->count;
        for (int g = 0; g < plan->groups; g++)
            mixers += mixer_forward(&plan->group[g], c->head_width, context);
    }
    return 6 * weights + 3 * mixers;
}
