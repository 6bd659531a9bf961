/* params.c: the parameter table, and first values. */
#include "model/params.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "model/workspace.h"

int wlmi_config_heads(const wlmi_config *config)
{
    int heads = 0;
    for (int g = 0; g < config->groups; g++)
        heads += config->group[g].heads;
    return heads;
}

uint64_t wlmi_config_count(const wlmi_config *c)
{
    uint64_t D = (uint64_t)c->width, F = (uint64_t)c->hidden;
    uint64_t inner = (uint64_t)wlmi_config_heads(c) * (uint64_t)c->head_width;
    uint64_t rows = (uint64_t)c->packet_rows + (uint64_t)c->role_rows + (uint64_t)c->vocabulary + WLMI_SPECIALS;
    return (uint64_t)c->layers * (2 * D + 4 * inner * D + 3 * F * D) + D + rows * D;
}

/* cols 0: a vector. */
static void append(wlmi_net *net, const char *name, int rows, int cols, int decay)
{
    wlmi_param *p = &net->param[net->params++];
    snprintf(p->name, sizeof p->name, "%s", name);
    p->dims = cols ? 2 : 1;
    p->shape[0] = rows;
    p->shape[1] = cols;
    p->offset = net->count;
    p->count = (size_t)rows * (size_t)(cols ? cols : 1);
    p->decay = decay;
    net->count += p->count;
}

static void append_layer(wlmi_net *net, int layer)
{
    static const char *const name[WLMI_SLOTS] = {"mixer.norm", "mixer.qkv", "mixer.out", "mlp.norm", "mlp.up", "mlp.down"};
    const wlmi_config *c = &net->config;
    int inner = wlmi_config_heads(c) * c->head_width;
    const int rows[WLMI_SLOTS] = {c->width, 3 * inner, c->width, c->width, 2 * c->hidden, c->width};
    const int cols[WLMI_SLOTS] = {0, c->width, inner, 0, c->width, c->hidden};
    for (int slot = 0; slot < WLMI_SLOTS; slot++) {
        char full[96];
        snprintf(full, sizeof full, "layers.%d.%s", layer, name[slot]);
        append(net, full, rows[slot], cols[slot], cols[slot] != 0);
    }
}

wlm_status wlmi_net_make(wlmi_net **out, const wlmi_config *config, const wlmi_backend *backend, wlm_error *error)
{
    wlmi_net *net;
    *out = NULL;
    WLMI_TRY(wlmi_config_check(config, error));
    net = wlmi_alloc_zero(1, sizeof *net);
    if (!net)
        return WLMI_NO_MEMORY(error);
    net->config = *config;
    net->backend = backend;
    net->rows = config->vocabulary + WLMI_SPECIALS;
    net->param = wlmi_alloc_zero((size_t)(config->layers * WLMI_SLOTS + 4), sizeof *net->param);
    net->work = wlmi_workspace_new();
    if (net->param) {
        for (int l = 0; l < config->layers; l++)
            append_layer(net, l);
        append(net, "norm", config->width, 0, 0);
        if (config->packet_rows)
            append(net, "embed.packet", config->packet_rows, config->width, 0);
        if (config->role_rows)
            append(net, "embed.role", config->role_rows, config->width, 0);
        append(net, "embed", net->rows, config->width, 0);
        if (net->count <= SIZE_MAX / backend->real_size)
            net->value = wlmi_alloc_aligned(net->count * backend->real_size);
    }
    if (!net->param || !net->work || !net->value) {
        wlmi_net_free(net);
        return WLMI_NO_MEMORY(error);
    }
    *out = net;
    return WLM_OK;
}

static uint64_t hash_text(uint64_t seed, const char *text)
{
    for (; *text; text++)
        seed = wlmi_mix2(seed, (unsigned char)*text);
    return seed;
}

wlm_status wlmi_init_normal(const wlmi_net *net, wlmi_real *value, size_t n, double deviation, uint64_t seed,
                            const char *name, wlm_error *error)
{
    float *chunk = wlmi_alloc_array(n, sizeof *chunk);
    wlmi_rng rng;
    if (!chunk)
        return WLMI_NO_MEMORY(error);
    wlmi_rng_seed(&rng, hash_text(seed, name));
    for (size_t i = 0; i < n; i++)
        chunk[i] = (float)(deviation * wlmi_rng_normal(&rng));
    net->backend->from_float(value, chunk, n);
    wlmi_free(chunk);
    return WLM_OK;
}

static wlm_status init_ones(const wlmi_net *net, wlmi_real *value, size_t n, wlm_error *error)
{
    float *chunk = wlmi_alloc_array(n, sizeof *chunk);
    if (!chunk)
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < n; i++)
        chunk[i] = 1;
    net->backend->from_float(value, chunk, n);
    wlmi_free(chunk);
    return WLM_OK;
}

/* Deviation of a matrix: GPT-2's 0.02 at width 768, in proportion to 1/sqrt(inputs) elsewhere; matrices that write
 * into the residual stream are divided by sqrt(2 layers) (Radford et al., 2019). */
static double deviation(const wlmi_net *net, int i)
{
    const wlmi_param *p = &net->param[i];
    double scale = 0.02 * sqrt(768.0 / p->shape[1]);
    if (i >= net->config.layers * WLMI_SLOTS)
        return WLMI_EMBED_DEVIATION;
    if (i % WLMI_SLOTS == WLMI_SLOT_OUT || i % WLMI_SLOTS == WLMI_SLOT_DOWN)
        scale /= sqrt(2.0 * net->config.layers);
    return scale;
}

wlm_status wlmi_net_new(wlmi_net **out, const wlmi_config *config, const wlmi_backend *backend, uint64_t seed,
                        wlm_error *error)
{
    wlmi_net *net;
    wlm_status status = wlmi_net_make(&net, config, backend, error);
    *out = NULL;
    for (int i = 0; status == WLM_OK && i < net->params; i++) {
        const wlmi_param *p = &net->param[i];
        if (p->dims == 1)
            status = init_ones(net, wlmi_value(net, p), p->count, error);
        else
            status = wlmi_init_normal(net, wlmi_value(net, p), p->count, deviation(net, i), seed, p->name, error);
    }
    if (status == WLM_OK)
        *out = net;
    else
        wlmi_net_free(net);
    return status;
}

wlm_status wlmi_net_train_memory(wlmi_net *net, wlm_error *error)
{
    if (!net->grad)
        net->grad = wlmi_alloc_aligned(net->count * net->backend->real_size);
    return net->grad ? WLM_OK : WLMI_NO_MEMORY(error);
}

void wlmi_net_free(wlmi_net *net)
{
    if (!net)
        return;
    for (int t = 0; t < net->tasks; t++)
        wlmi_task_clear(&net->task[t]);
    wlmi_free(net->task);
    wlmi_workspace_free(net->work);
    wlmi_free(net->param);
    wlmi_free(net->value);
    wlmi_free(net->grad);
    wlmi_free(net);
}
