/* net.c: forward and backward of the whole model over packed rows.
 *
 * x = embed[id] (+ packet, role and place embeddings); in each layer
 *   x += mixers(shift(norm(x)) Wqkv^T) Wout^T
 *   x += swiglu(shift(norm(x)) Wup^T) Wdown^T
 * then a final norm, and logits = x embed^T at the positions with a target.
 *
 * Reversible (Gomez et al., 2017; TrafficGPT): two streams x1 = x2 = embed[id], and in each layer
 *   x1 += mixers(.. x2 ..)
 *   x2 += swiglu(.. x1 ..)
 * then x = x1 + x2, whose scale the final norm removes. With net->recompute backward takes both sums back. */
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

/* The stream that half h reads. */
static wlmi_real *read_by(const wlmi_net *net, int h)
{
    return net->work->x[h + net->config.reversible];
}

static void norm_forward(const wlmi_net *net, wlmi_act *y, wlmi_real *rstd, const wlmi_real *x, const wlmi_param *gain,
                         const wlmi_batch *batch)
{
    net->backend->rmsnorm_forward(y, rstd, x, wlmi_value(net, gain), shift_of(net, batch), batch->tokens,
                                  net->config.width);
}

/* Half h's norm: adds to the gradient of the stream that it reads, given dy [T,D] in work->dh. */
static void norm_backward(const wlmi_net *net, int h, const wlmi_real *rstd, const wlmi_param *gain,
                          const wlmi_batch *batch)
{
    wlmi_workspace *w = net->work;
    int into = (h + 1) % 2;
    net->backend->rmsnorm_backward(w->dx[into], w->dx_act[into], wlmi_grad(net, gain), w->dh, read_by(net, h),
                                   wlmi_value(net, gain), rstd, shift_of(net, batch), batch->tokens,
                                   net->config.width);
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
        rows.dq = wlmi_at(b, w->d_qkv, at.q);
        rows.dk = wlmi_at(b, w->d_qkv, at.k);
        rows.dv = wlmi_at(b, w->d_qkv, at.v);
        rows.d_extra = wlmi_at(b, w->d_qkv, at.extra);
        rows.d_o = wlmi_at(b, w->d_o, at.o);
        for (int i = 0; i < at.owns; i++)
            rows.d_own[i] = wlmi_grad(net, &own[i]);
    }
    return rows;
}

/* Up to the product that ends the half. */
static void mixer_forward(const wlmi_net *net, const wlmi_batch *batch, int layer)
{
    const wlmi_backend *b = net->backend;
    const wlmi_layer_shape shape = wlmi_config_layer(&net->config, layer);
    const wlmi_param *const p = wlmi_layer_param(net, layer, 0);
    wlmi_layer_work *w = &net->work->layer[layer];
    int T = batch->tokens, D = net->config.width;
    norm_forward(net, w->mixer_in, w->mixer_rstd, read_by(net, 2 * layer), &p[WLMI_SLOT_MIXER_NORM], batch);
    b->matmul_forward_onto(w->qkv, NULL, w->mixer_in, p[WLMI_SLOT_QKV].weight, T, shape.columns, D);
    for (int g = 0; g < shape.plan->groups; g++) {
        wlmi_mixer_rows rows = mixer_rows(net, batch, layer, g);
        wlmi_mixer_of(rows.group->kind)->forward(&rows);
    }
    b->to_act(w->mixer_out, w->o, (size_t)T * (size_t)shape.inner);
}

static void mlp_forward(const wlmi_net *net, const wlmi_batch *batch, int layer)
{
    const wlmi_backend *b = net->backend;
    const wlmi_param *const p = wlmi_layer_param(net, layer, 0);
    wlmi_layer_work *w = &net->work->layer[layer];
    int T = batch->tokens, D = net->config.width, F = net->config.hidden;
    norm_forward(net, w->mlp_in, w->mlp_rstd, read_by(net, 2 * layer + 1), &p[WLMI_SLOT_MLP_NORM], batch);
    b->matmul_forward(w->gate_up, w->mlp_in, p[WLMI_SLOT_UP].weight, T, 2 * F, D);
    b->swiglu_forward(w->hidden, w->gate_up, T, F);
}

/* That product, of half h: y = base + half. base NULL: half alone. */
static void end_half(const wlmi_net *net, const wlmi_batch *batch, int h, wlmi_real *y, const wlmi_real *base)
{
    const wlmi_layer_work *w = &net->work->layer[h / 2];
    const wlmi_param *const p = wlmi_layer_param(net, h / 2, 0);
    int T = batch->tokens, D = net->config.width;
    if (h % 2 == 0)
        net->backend->matmul_forward_onto(y, base, w->mixer_out, p[WLMI_SLOT_OUT].weight, T, D,
                                          wlmi_config_layer(&net->config, h / 2).inner);
    else
        net->backend->matmul_forward_onto(y, base, w->hidden, p[WLMI_SLOT_DOWN].weight, T, D, net->config.hidden);
}

/* The streams of a reversible model hold multiples of a small step, so that what was added can be taken away again to
 * the last bit: y becomes y + half or y - half. */
static void add_exactly(const wlmi_net *net, const wlmi_batch *batch, int h, wlmi_real *y, int sign)
{
    const wlmi_backend *b = net->backend;
    const size_t n = (size_t)batch->tokens * (size_t)net->config.width;
    wlmi_real *half = net->work->half;
    end_half(net, batch, h, half, NULL);
    b->to_grid(half, n);
    if (sign < 0)
        b->scale(half, -1, n);
    b->add(y, half, n);
}

/* Half h makes x[h + 1], or of a reversible model x[h + 2], which may be x[h] itself. */
static void make_stream(const wlmi_net *net, const wlmi_batch *batch, int h)
{
    const wlmi_backend *b = net->backend;
    wlmi_real **x = &net->work->x[h];
    const size_t n = (size_t)batch->tokens * (size_t)net->config.width;
    if (!net->config.reversible) {
        end_half(net, batch, h, x[1], x[0]);
        return;
    }
    if (x[2] != x[0]) {
        b->zero(x[2], n);
        b->add(x[2], x[0], n);
    }
    add_exactly(net, batch, h, x[2], 1);
}

static void layer_forward(const wlmi_net *net, const wlmi_batch *batch, int layer)
{
    mixer_forward(net, batch, layer);
    make_stream(net, batch, 2 * layer);
    mlp_forward(net, batch, layer);
    make_stream(net, batch, 2 * layer + 1);
}

static void mlp_backward(const wlmi_net *net, const wlmi_batch *batch, int layer)
{
    const wlmi_backend *b = net->backend;
    const wlmi_param *const p = wlmi_layer_param(net, layer, 0);
    const wlmi_layer_work *w = &net->work->layer[layer];
    const wlmi_act *dy = net->work->dx_act[1];
    int T = batch->tokens, D = net->config.width, F = net->config.hidden;
    b->matmul_backward_weight(wlmi_grad(net, &p[WLMI_SLOT_DOWN]), dy, w->hidden, T, D, F);
    b->matmul_backward_input(w->d_hidden, dy, p[WLMI_SLOT_DOWN].weight, T, D, F);
    b->swiglu_backward(w->d_gate_up, w->d_hidden, w->gate_up, T, F);
    b->matmul_backward_weight(wlmi_grad(net, &p[WLMI_SLOT_UP]), w->d_gate_up, w->mlp_in, T, 2 * F, D);
    b->matmul_backward_input(net->work->dh, w->d_gate_up, p[WLMI_SLOT_UP].weight, T, 2 * F, D);
    norm_backward(net, 2 * layer + 1, w->mlp_rstd, &p[WLMI_SLOT_MLP_NORM], batch);
}

static void mixer_backward(const wlmi_net *net, const wlmi_batch *batch, int layer)
{
    const wlmi_backend *b = net->backend;
    const wlmi_layer_shape shape = wlmi_config_layer(&net->config, layer);
    const wlmi_param *const p = wlmi_layer_param(net, layer, 0);
    const wlmi_layer_work *w = &net->work->layer[layer];
    const wlmi_act *dy = net->work->dx_act[0];
    int T = batch->tokens, D = net->config.width;
    b->matmul_backward_weight(wlmi_grad(net, &p[WLMI_SLOT_OUT]), dy, w->mixer_out, T, D, shape.inner);
    b->matmul_backward_input_real(w->d_o, dy, p[WLMI_SLOT_OUT].weight, T, D, shape.inner);
    for (int g = 0; g < shape.plan->groups; g++) {
        wlmi_mixer_rows rows = mixer_rows(net, batch, layer, g);
        wlmi_mixer_of(rows.group->kind)->backward(&rows);
    }
    b->to_act(w->d_qkv_act, w->d_qkv, (size_t)T * (size_t)shape.columns);
    b->matmul_backward_weight(wlmi_grad(net, &p[WLMI_SLOT_QKV]), w->d_qkv_act, w->mixer_in, T, shape.columns, D);
    b->matmul_backward_input(net->work->dh, w->d_qkv_act, p[WLMI_SLOT_QKV].weight, T, shape.columns, D);
    norm_backward(net, 2 * layer, w->mixer_rstd, &p[WLMI_SLOT_MIXER_NORM], batch);
}

/* work->dx and dx_act hold the gradients of what the layer made, then those of what it read. */
static void layer_backward(const wlmi_net *net, const wlmi_batch *batch, int layer)
{
    int again = net->recompute && !net->config.reversible, back = net->recompute && net->config.reversible;
    if (again) {
        mixer_forward(net, batch, layer);
        make_stream(net, batch, 2 * layer);
    }
    if (again || back)
        mlp_forward(net, batch, layer);
    if (back)
        add_exactly(net, batch, 2 * layer + 1, net->work->x[2 * layer + 1], -1);
    mlp_backward(net, batch, layer);
    if (back) {
        mixer_forward(net, batch, layer);
        add_exactly(net, batch, 2 * layer, net->work->x[2 * layer], -1);
    }
    mixer_backward(net, batch, layer);
}

/* From the rows to the normed rows of the scored positions, whose indices stand in work->position. */
static void body_forward(const wlmi_net *net, const wlmi_batch *batch)
{
    const wlmi_backend *b = net->backend;
    wlmi_workspace *w = net->work;
    int D = net->config.width, layers = net->config.layers, reversible = net->config.reversible;
    for (int i = 0; i <= reversible; i++)
        wlmi_batch_embed(net, batch, w->x[i], w->row);
    for (int i = 0; i < 2 * reversible; i++)
        b->to_grid(w->x[i], (size_t)batch->tokens * (size_t)D);
    for (int l = 0; l < layers; l++)
        layer_forward(net, batch, l);
    for (int i = 0; i <= reversible; i++)
        b->embed_forward(w->picked, w->x[2 * layers + i], w->position, w->scored, D, i);
    b->rmsnorm_forward(w->normed, w->rstd, w->picked, wlmi_value(net, wlmi_norm_param(net)), NULL, w->scored, D);
}

double wlmi_read_real(const wlmi_backend *b, const wlmi_real *x, size_t i)
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
        double weight = (double)w->weight[n], nats = wlmi_read_real(b, w->loss, (size_t)n);
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
    for (int i = 0; i <= net->config.reversible; i++) {
        b->zero(w->dx[i], n);
        b->embed_backward(w->dx[i], w->d_picked, w->position, N, T, D);
        b->to_act(w->dx_act[i], w->dx[i], n);
    }
    for (int l = layers - 1; l >= 0; l--) {
        layer_backward(net, batch, l);
        tell_done(net, l);
    }
    if (net->config.reversible)
        b->add(w->dx[0], w->dx[1], n);
    wlmi_batch_embed_backward(net, batch, w->dx[0], w->row);
    tell_done(net, layers);
    return b->status(error);
}
