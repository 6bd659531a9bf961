/* params.c: the parameter table, and first values. */
#include "model/params.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "model/infer.h"
#include "model/mixer.h"
#include "model/summary.h"
#include "model/workspace.h"

static int extra_columns(const wlmi_config *config, const wlmi_head_group *group)
{
    const wlmi_mixer *mixer = wlmi_mixer_of(group->kind);
    return mixer->extra_columns ? mixer->extra_columns(group, config->head_width) : 0;
}

/* The i-th own tensor of a group; 0 past the last. */
static int own_tensor(const wlmi_config *config, const wlmi_head_group *group, int i, wlmi_own *own)
{
    const wlmi_mixer *mixer = wlmi_mixer_of(group->kind);
    return i < WLMI_MAX_OWN && mixer->own && mixer->own(group, config->head_width, i, own);
}

wlmi_layer_shape wlmi_config_layer(const wlmi_config *config, int layer)
{
    int other = config->every && (layer + 1) % config->every == 0;
    wlmi_layer_shape shape = {other ? &config->other : &config->plan, 0, 0};
    for (int g = 0; g < shape.plan->groups; g++) {
        shape.inner += shape.plan->group[g].heads * config->head_width;
        shape.columns += extra_columns(config, &shape.plan->group[g]);
    }
    shape.columns += 3 * shape.inner;
    return shape;
}

wlmi_layer_shape wlmi_config_widest(const wlmi_config *config)
{
    wlmi_layer_shape widest = {NULL, 0, 0};
    for (int l = 0; l < config->layers; l++) {
        wlmi_layer_shape shape = wlmi_config_layer(config, l);
        if (shape.inner > widest.inner)
            widest.inner = shape.inner;
        if (shape.columns > widest.columns)
            widest.columns = shape.columns;
    }
    return widest;
}

wlmi_group_place wlmi_config_place(const wlmi_config *config, int layer, int g)
{
    wlmi_layer_shape shape = wlmi_config_layer(config, layer);
    size_t inner = (size_t)shape.inner, before = 0, extra = 3 * inner;
    wlmi_group_place place = {.own = WLMI_SLOTS};
    wlmi_own own;
    for (int i = 0;; i++) {
        const wlmi_head_group *group = &shape.plan->group[i];
        for (place.owns = 0; own_tensor(config, group, place.owns, &own);)
            place.owns++;
        if (i == g)
            break;
        before += (size_t)group->heads * (size_t)config->head_width;
        extra += (size_t)extra_columns(config, group);
        place.own += place.owns;
    }
    place.q = place.o = before;
    place.k = inner + before;
    place.v = 2 * inner + before;
    place.extra = extra;
    return place;
}

static uint64_t summary_count(const wlmi_config *c)
{
    const uint64_t R = (uint64_t)c->summary_trees, Q = (uint64_t)c->summary_tasks, L = (uint64_t)c->summary_labels;
    return WLMI_SHOWN * R * (2 * Q * WLMI_SUMMARY_SPLITS + WLMI_SUMMARY_LEAVES * L);
}

uint64_t wlmi_config_count(const wlmi_config *c)
{
    uint64_t D = (uint64_t)c->width, F = (uint64_t)c->hidden;
    uint64_t rows = (uint64_t)c->packet_rows + (uint64_t)c->role_rows + (uint64_t)c->place_rows +
                    (uint64_t)c->vocabulary + WLMI_SPECIALS;
    uint64_t count = D + rows * D + summary_count(c);
    wlmi_own own;
    for (int l = 0; l < c->layers; l++) {
        wlmi_layer_shape shape = wlmi_config_layer(c, l);
        count += 2 * D + (uint64_t)shape.columns * D + (uint64_t)shape.inner * D + 3 * F * D;
        for (int g = 0; g < shape.plan->groups; g++)
            for (int i = 0; own_tensor(c, &shape.plan->group[g], i, &own); i++)
                count += (uint64_t)own.rows * (uint64_t)(own.cols ? own.cols : 1);
    }
    return count;
}

/* cols 0: a vector, of ones unless said otherwise later. */
static wlmi_param *append(wlmi_net *net, const char *name, int rows, int cols, double deviation)
{
    wlmi_param *p = &net->param[net->params++];
    snprintf(p->name, sizeof p->name, "%s", name);
    p->dims = cols ? 2 : 1;
    p->shape[0] = rows;
    p->shape[1] = cols;
    p->offset = net->count;
    p->count = (size_t)rows * (size_t)(cols ? cols : 1);
    p->deviation = (float)deviation;
    p->low = p->high = 1;
    net->count += p->count;
    return p;
}

static void append_own(wlmi_net *net, int layer, int g, const wlmi_head_group *group)
{
    wlmi_own own;
    for (int i = 0; own_tensor(&net->config, group, i, &own); i++) {
        char full[96];
        wlmi_param *p;
        snprintf(full, sizeof full, "layers.%d.mixer.%d.%s", layer, g, own.name);
        p = append(net, full, own.rows, own.cols, 0);
        p->low = own.low;
        p->high = own.high;
    }
}

/* Deviation of a matrix: GPT-2's 0.02 at width 768, in proportion to 1/sqrt(inputs) elsewhere; matrices that write
 * into the residual stream are divided by sqrt(2 layers) (Radford et al., 2019). */
static void append_layer(wlmi_net *net, int layer)
{
    static const char *const name[WLMI_SLOTS] = {"mixer.norm", "mixer.qkv", "mixer.out", "mlp.norm", "mlp.up", "mlp.down"};
    const wlmi_config *c = &net->config;
    wlmi_layer_shape shape = wlmi_config_layer(c, layer);
    const int rows[WLMI_SLOTS] = {c->width, shape.columns, c->width, c->width, 2 * c->hidden, c->width};
    const int cols[WLMI_SLOTS] = {0, c->width, shape.inner, 0, c->width, c->hidden};
    net->layer_param[layer] = net->params;
    for (int slot = 0; slot < WLMI_SLOTS; slot++) {
        int matrix = cols[slot] != 0, to_stream = slot == WLMI_SLOT_OUT || slot == WLMI_SLOT_DOWN;
        double deviation = matrix ? 0.02 * sqrt(768.0 / cols[slot]) : 0;
        char full[96];
        wlmi_param *p;
        snprintf(full, sizeof full, "layers.%d.%s", layer, name[slot]);
        p = append(net, full, rows[slot], cols[slot],
                   to_stream ? deviation / sqrt(2.0 * c->layers) : deviation);
        p->decay = p->in_products = matrix;
    }
    for (int g = 0; g < shape.plan->groups; g++)
        append_own(net, layer, g, &shape.plan->group[g]);
}

static void append_summary(wlmi_net *net)
{
    static const char *const name[] = {"summary.index", "summary.border", "summary.value"};
    const int trees = WLMI_SHOWN * net->config.summary_trees;
    const int splits = net->config.summary_tasks * trees * WLMI_SUMMARY_SPLITS;
    const int rows[] = {splits, splits, trees * WLMI_SUMMARY_LEAVES}, cols[] = {0, 0, net->config.summary_labels};
    for (int i = 0; i < WLMI_SUMMARY_SLOTS; i++) {
        wlmi_param *p = append(net, name[i], rows[i], cols[i], 0);
        p->fixed = 1;
        p->low = p->high = 0;
    }
}

static int most_params(const wlmi_config *config)
{
    return config->layers * (WLMI_SLOTS + WLMI_MAX_GROUPS * WLMI_MAX_OWN) + 5 + WLMI_SUMMARY_SLOTS;
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
    net->recompute = config->reversible;
    net->rows = config->vocabulary + WLMI_SPECIALS;
    net->param = wlmi_alloc_zero((size_t)most_params(config), sizeof *net->param);
    net->work = wlmi_workspace_new();
    net->infer = wlmi_infer_new();
    if (net->param) {
        for (int l = 0; l < config->layers; l++)
            append_layer(net, l);
        net->layer_param[config->layers] = net->params;
        append(net, "norm", config->width, 0, 0);
        if (config->packet_rows)
            append(net, "embed.packet", config->packet_rows, config->width, WLMI_EMBED_DEVIATION);
        if (config->role_rows)
            append(net, "embed.role", config->role_rows, config->width, WLMI_EMBED_DEVIATION);
        if (config->place_rows)
            append(net, "embed.place", config->place_rows, config->width, WLMI_EMBED_DEVIATION);
        if (config->summary_trees)
            append_summary(net);
        append(net, "embed", net->rows, config->width, WLMI_EMBED_DEVIATION)->in_products = 1;
        if (net->count <= SIZE_MAX / backend->real_size)
            net->value = wlmi_alloc_aligned(net->count * backend->real_size);
    }
    if (!net->param || !net->work || !net->infer || !net->value) {
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

static wlm_status init_uniform(const wlmi_net *net, const wlmi_param *p, uint64_t seed, wlm_error *error)
{
    float *chunk = wlmi_alloc_array(p->count, sizeof *chunk);
    wlmi_rng rng;
    if (!chunk)
        return WLMI_NO_MEMORY(error);
    wlmi_rng_seed(&rng, hash_text(seed, p->name));
    for (size_t i = 0; i < p->count; i++)
        chunk[i] = (float)(p->low + (p->high - p->low) * wlmi_rng_uniform(&rng));
    net->backend->from_float(wlmi_value(net, p), chunk, p->count);
    wlmi_free(chunk);
    return WLM_OK;
}

wlm_status wlmi_net_new(wlmi_net **out, const wlmi_config *config, const wlmi_backend *backend, uint64_t seed,
                        wlm_error *error)
{
    wlmi_net *net;
    wlm_status status = wlmi_net_make(&net, config, backend, error);
    *out = NULL;
    for (int i = 0; status == WLM_OK && i < net->params; i++) {
        const wlmi_param *p = &net->param[i];
        if (p->deviation > 0)
            status = wlmi_init_normal(net, wlmi_value(net, p), p->count, p->deviation, seed, p->name, error);
        else
            status = init_uniform(net, p, seed, error);
    }
    if (status == WLM_OK) {
        wlmi_net_refresh(net);
        status = backend->status(error);
    }
    if (status == WLM_OK)
        *out = net;
    else
        wlmi_net_free(net);
    return status;
}

void wlmi_net_refresh(wlmi_net *net)
{
    const wlmi_backend *b = net->backend;
    for (int i = 0; i < net->params; i++) {
        wlmi_param *p = &net->param[i];
        if (p->in_products && !p->weight)
            p->weight = b->weight_new(p->shape[0], p->shape[1]);
        if (p->weight)
            b->weight_set(p->weight, wlmi_value(net, p), net->grad != NULL);
    }
}

static void quantise(wlmi_net *net, int on)
{
    for (int i = 0; i < net->params; i++)
        if (net->param[i].weight)
            net->backend->weight_quantise(net->param[i].weight, on);
}

wlm_status wlmi_net_quantise(wlmi_net *net, int on, wlm_error *error)
{
    wlm_status status;
    if (!net->backend->weight_quantise)
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, NULL, WLM_NO_OFFSET, "backend '%s' has no products in int8",
                         net->backend->name);
    quantise(net, on);
    status = net->backend->status(error);
    if (status != WLM_OK)
        quantise(net, 0);
    return status;
}

wlm_status wlmi_net_train_memory(wlmi_net *net, wlm_error *error)
{
    wlm_status status;
    if (net->grad)
        return WLM_OK;
    net->grad = wlmi_alloc_aligned(net->count * net->backend->real_size);
    if (!net->grad)
        return WLMI_NO_MEMORY(error);
    wlmi_net_refresh(net);
    status = net->backend->status(error);
    if (status != WLM_OK) {
        wlmi_free(net->grad);
        net->grad = NULL;
    }
    return status;
}

void wlmi_net_free(wlmi_net *net)
{
    if (!net)
        return;
    for (int t = 0; t < net->tasks; t++)
        wlmi_task_clear(&net->task[t]);
    wlmi_free(net->task);
    wlmi_workspace_free(net->work);
    for (int i = 0; net->param && i < net->params; i++)
        net->backend->weight_free(net->param[i].weight);
    wlmi_infer_free(net->infer);
    wlmi_free(net->param);
    wlmi_free(net->value);
    wlmi_free(net->grad);
    wlmi_free(net);
}
