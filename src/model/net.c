/* net.c: forward and backward of the whole model over packed rows.
 *
 * x = embed[id] (+ packet and role embeddings); in each layer
 *   x += mixers(shift(norm(x)) Wqkv^T) Wout^T
 *   x += swiglu(shift(norm(x)) Wup^T) Wdown^T
 * then a final norm, and logits = x embed^T at the positions with a target. */
#include <string.h>

#include "model/embed.h"
#include "model/mixer.h"
#include "model/params.h"
#include "model/workspace.h"

/* Counts the positions that have a target. */
static wlm_status check_targets(const wlmi_net *net, const wlmi_batch *batch, int *scored, wlm_error *error)
{
    *scored = 0;
    for (int t = 0; t < batch->tokens; t++) {
        if (batch->target[t] == -1)
            continue;
        if (batch->first[t] < 0 || batch->last[t] > net->rows || batch->target[t] < batch->first[t] ||
            batch->target[t] >= batch->last[t])
            return wlmi_bad_batch(error, "a target outside its columns", t);
        ++*scored;
    }
    return WLM_OK;
}

static void gather_targets(const wlmi_net *net, const wlmi_batch *batch)
{
    wlmi_workspace *w = net->work;
    for (int t = 0, n = 0; t < batch->tokens; t++)
        if (batch->target[t] != -1) {
            w->position[n] = t;
            w->target[n] = batch->target[t];
            w->first[n] = batch->first[t];
            w->last[n] = batch->last[t];
            w->weight[n++] = batch->weight[t];
        }
}

/* The segments along which a norm's output is shifted: NULL where the configuration says that it is not. */
static const wlmi_segments *shift_of(const wlmi_net *net, const wlmi_batch *batch)
{
    return net->config.shift ? &batch->segments : NULL;
}

static void norm_forward(const wlmi_net *net, wlmi_act *y, wlmi_real *rstd, const wlmi_real *x, const wlmi_param *gain,
                         const wlmi_batch *batch)
{
    net->backend->rmsnorm_forward(y, rstd, x, wlmi_value(net, gain), shift_of(net, batch), batch->tokens,
                                  net->config.width);
}

/* work->dx += d(norm_forward), given dy [T,D] in work->dh. */
static void norm_backward(const wlmi_net *net, const wlmi_real *rstd, const wlmi_real *x, const wlmi_param *gain,
                          const wlmi_batch *batch)
{
    wlmi_workspace *w = net->work;
    net->backend->rmsnorm_backward(w->dx, w->dx_act, wlmi_grad(net, gain), w->dh, x, wlmi_value(net, gain), rstd,
                                   shift_of(net, batch), batch->tokens, net->config.width);
}

static wlmi_mixer_rows mixer_rows(const wlmi_net *net, const wlmi_batch *batch, int layer, int g)
{
    const wlmi_backend *b = net->backend;
    const wlmi_config *c = &net->config;
    const wlmi_layer_work *w = &net->work->layer[layer];
    const wlmi_layer_shape shape = wlmi_config_layer(c, layer);
    const wlmi_group_place at = wlmi_config_place(c, layer, g);
    const wlmi_param *own = wlmi_layer_param(net, layer, 0) + at.own;
    wlmi_mixer_rows rows = {
        .backend = b, .group = &shape.plan->group[g], .head_width = c->head_width, .tokens = batch->tokens,
        .segments = batch->segments, .stride = shape.columns, .o_stride = shape.inner,
        .q = wlmi_at(b, w->qkv, at.q), .k = wlmi_at(b, w->qkv, at.k), .v = wlmi_at(b, w->qkv, at.v),
        .extra = wlmi_at(b, w->qkv, at.extra), .o = wlmi_at(b, w->o, at.o), .kept = w->kept[g],
    };
    for (int i = 0; i < at.owns; i++)
        rows.own[i] = wlmi_value(net, &own[i]);
    if (net->grad) {
        rows.dq = wlmi_at(b, net->work->d_qkv, at.q);
        rows.dk = wlmi_at(b, net->work->d_qkv, at.k);
        rows.dv = wlmi_at(b, net->work->d_qkv, at.v);
        rows.d_extra = wlmi_at(b, net->work->d_qkv, at.extra);
        rows.d_o = wlmi_at(b, net->work->d_o, at.o);
        for (int i = 0; i < at.owns; i++)
            rows.d_own[i] = wlmi_grad(net, &own[i]);
    }
    return rows;
}

static void layer_forward(const wlmi_net *net, const wlmi_batch *batch, int layer)
{
    const wlmi_backend *b = net->backend;
    const wlmi_config *c = &net->config;
    wlmi_layer_work *w = &net->work->layer[layer];
    wlmi_real *x = net->work->x[layer], *next = net->work->x[layer + 1];
    const wlmi_layer_shape shape = wlmi_config_layer(c, layer);
    int T = batch->tokens, D = c->width;
    const wlmi_param *const p = wlmi_layer_param(net, layer, 0);

    norm_forward(net, w->mixer_in, w->mixer_rstd, x, &p[WLMI_SLOT_MIXER_NORM], batch);
    b->matmul_forward_onto(w->qkv, NULL, w->mixer_in, p[WLMI_SLOT_QKV].weight, T, shape.columns, D);
    for (int g = 0; g < shape.plan->groups; g++) {
        wlmi_mixer_rows rows = mixer_rows(net, batch, layer, g);
        wlmi_mixer_of(rows.group->kind)->forward(&rows);
    }
    b->to_act(w->mixer_out, w->o, (size_t)T * (size_t)shape.inner);
    b->matmul_forward_onto(w->middle, x, w->mixer_out, p[WLMI_SLOT_OUT].weight, T, D, shape.inner);

    norm_forward(net, w->mlp_in, w->mlp_rstd, w->middle, &p[WLMI_SLOT_MLP_NORM], batch);
    b->matmul_forward(w->gate_up, w->mlp_in, p[WLMI_SLOT_UP].weight, T, 2 * c->hidden, D);
    b->swiglu_forward(w->hidden, w->gate_up, T, c->hidden);
    b->matmul_forward_onto(next, w->middle, w->hidden, p[WLMI_SLOT_DOWN].weight, T, D, c->hidden);
}

/* work->dx and dx_act hold the gradient of the layer's output, then that of its input. */
static void layer_backward(const wlmi_net *net, const wlmi_batch *batch, int layer)
{
    const wlmi_backend *b = net->backend;
    const wlmi_config *c = &net->config;
    wlmi_workspace *work = net->work;
    wlmi_layer_work *w = &work->layer[layer];
    const wlmi_layer_shape shape = wlmi_config_layer(c, layer);
    int T = batch->tokens, D = c->width;
    const wlmi_param *const p = wlmi_layer_param(net, layer, 0);

    b->matmul_backward_weight(wlmi_grad(net, &p[WLMI_SLOT_DOWN]), work->dx_act, w->hidden, T, D, c->hidden);
    b->matmul_backward_input(work->d_hidden, work->dx_act, p[WLMI_SLOT_DOWN].weight, T, D, c->hidden);
    b->swiglu_backward(work->d_gate_up, work->d_hidden, w->gate_up, T, c->hidden);
    b->matmul_backward_weight(wlmi_grad(net, &p[WLMI_SLOT_UP]), work->d_gate_up, w->mlp_in, T, 2 * c->hidden, D);
    b->matmul_backward_input(work->dh, work->d_gate_up, p[WLMI_SLOT_UP].weight, T, 2 * c->hidden, D);
    norm_backward(net, w->mlp_rstd, w->middle, &p[WLMI_SLOT_MLP_NORM], batch);

    b->matmul_backward_weight(wlmi_grad(net, &p[WLMI_SLOT_OUT]), work->dx_act, w->mixer_out, T, D, shape.inner);
    b->matmul_backward_input_real(work->d_o, work->dx_act, p[WLMI_SLOT_OUT].weight, T, D, shape.inner);
    for (int g = 0; g < shape.plan->groups; g++) {
        wlmi_mixer_rows rows = mixer_rows(net, batch, layer, g);
        wlmi_mixer_of(rows.group->kind)->backward(&rows);
    }
    b->to_act(work->d_qkv_act, work->d_qkv, (size_t)T * (size_t)shape.columns);
    b->matmul_backward_weight(wlmi_grad(net, &p[WLMI_SLOT_QKV]), work->d_qkv_act, w->mixer_in, T, shape.columns, D);
    b->matmul_backward_input(work->dh, work->d_qkv_act, p[WLMI_SLOT_QKV].weight, T, shape.columns, D);
    norm_backward(net, w->mixer_rstd, work->x[layer], &p[WLMI_SLOT_MIXER_NORM], batch);
}

/* From the rows to the normed rows of the scored positions, whose indices stand in work->position. */
static void body_forward(const wlmi_net *net, const wlmi_batch *batch)
{
    const wlmi_backend *b = net->backend;
    wlmi_workspace *w = net->work;
    int D = net->config.width, layers = net->config.layers;
    wlmi_batch_embed(net, batch, w->x[0], w->packet);
    for (int l = 0; l < layers; l++)
        layer_forward(net, batch, l);
    b->embed_forward(w->picked, w->x[layers], w->position, w->scored, D, 0);
    b->rmsnorm_forward(w->normed, w->rstd, w->picked, wlmi_value(net, wlmi_norm_param(net)), NULL, w->scored, D);
}

static double read_real(const wlmi_backend *b, const wlmi_real *x, size_t i)
{
    float single;
    double full;
    if (b->real_size == sizeof full) {
        memcpy(&full, wlmi_at(b, x, i), sizeof full);
        return full;
    }
    memcpy(&single, wlmi_at(b, x, i), sizeof single);
    return (double)single;
}

wlm_status wlmi_net_forward(wlmi_net *net, const wlmi_batch *batch, wlmi_loss *loss, wlm_error *error)
{
    const wlmi_backend *b = net->backend;
    wlmi_workspace *w = net->work;
    int scored;
    memset(loss, 0, sizeof *loss);
    WLMI_TRY(wlmi_batch_check(net, batch, error));
    WLMI_TRY(check_targets(net, batch, &scored, error));
    WLMI_TRY(wlmi_workspace_fit(net, batch->tokens, batch->segments.count, scored, error));
    gather_targets(net, batch);
    if (!scored)
        return WLM_OK;
    body_forward(net, batch);
    b->matmul_forward_onto(w->logits, NULL, w->normed, wlmi_embed_param(net)->weight, scored, net->rows,
                           net->config.width);
    b->cross_entropy_forward(w->loss, w->logits, w->target, w->first, w->last, scored, net->rows);
    for (int n = 0; n < scored; n++) {
        int label = w->first[n] >= net->config.vocabulary + WLMI_SPECIALS;
        double weight = (double)w->weight[n], nats = read_real(b, w->loss, (size_t)n);
        *(label ? &loss->labels : &loss->tokens) += weight * nats;
        *(label ? &loss->labels_weight : &loss->tokens_weight) += weight;
    }
    return b->status(error);
}

/* Tells that a layer's gradient is whole, or, past the last layer, that of all that is not in layers. */
static void tell_done(const wlmi_net *net, int layer)
{
    const wlmi_param *first = wlmi_layer_param(net, layer, 0);
    size_t end = layer < net->config.layers ? wlmi_layer_param(net, layer + 1, 0)->offset : net->count;
    if (net->grad_done)
        net->grad_done(net->grad_user, first->offset, end - first->offset);
}

wlm_status wlmi_net_backward(wlmi_net *net, const wlmi_batch *batch, wlm_error *error)
{
    const wlmi_backend *b = net->backend;
    wlmi_workspace *w = net->work;
    const wlmi_param *embedding = wlmi_embed_param(net), *norm = wlmi_norm_param(net);
    int T = batch->tokens, D = net->config.width, layers = net->config.layers, N = w->scored;
    size_t n = (size_t)T * (size_t)D;
    if (!net->grad)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "backward without memory for gradients");
    if (!N) {
        for (int l = layers - 1; l >= 0; l--)
            tell_done(net, l);
        tell_done(net, layers);
        return WLM_OK;
    }
    b->cross_entropy_backward(w->d_logits, w->logits, w->target, w->first, w->last, w->weight, N, net->rows);
    b->matmul_backward_weight(wlmi_grad(net, embedding), w->d_logits, w->normed, N, net->rows, D);
    b->matmul_backward_input(w->d_normed, w->d_logits, embedding->weight, N, net->rows, D);
    b->zero(w->d_picked, (size_t)N * (size_t)D);
    b->rmsnorm_backward(w->d_picked, NULL, wlmi_grad(net, norm), w->d_normed, w->picked, wlmi_value(net, norm), w->rstd,
                        NULL, N, D);
    b->zero(w->dx, n);
    b->embed_backward(w->dx, w->d_picked, w->position, N, T, D);
    b->to_act(w->dx_act, w->dx, n);
    for (int l = layers - 1; l >= 0; l--) {
        layer_backward(net, batch, l);
        tell_done(net, l);
    }
    b->embed_backward(wlmi_grad(net, embedding), w->dx, batch->id, T, net->rows, D);
    if (net->config.packet_rows)
        b->embed_backward(wlmi_grad(net, wlmi_packet_param(net)), w->dx, w->packet, T, net->config.packet_rows, D);
    if (net->config.role_rows)
        b->embed_backward(wlmi_grad(net, wlmi_role_param(net)), w->dx, batch->role, T, net->config.role_rows, D);
    tell_done(net, layers);
    return b->status(error);
}
