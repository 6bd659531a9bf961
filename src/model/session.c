/* session.c: one stream fed token by token; every mixer in its recurrent form. */
#include <limits.h>
#include <string.h>

#include "base/alloc.h"
#include "model/mixer.h"
#include "model/params.h"

struct wlmi_session {
    wlmi_net *net;
    int32_t position;
    int room;
    wlmi_mixer_state *state; /* [layers, WLMI_MAX_GROUPS] */
    wlmi_real *before;  /* [2*layers, 2, D] with shift: normed rows of the token before and of this one */
    wlmi_real *block;   /* the rows below */
    wlmi_real *x, *normed, *in, *rstd, *qkv, *o, *gate_up, *hidden, *logits;
};

enum { FIRST_ROOM = 64 };

static void copy(const wlmi_backend *b, wlmi_real *to, const wlmi_real *from, size_t n)
{
    b->zero(to, n);
    b->add(to, from, n);
}

static int grow(const wlmi_backend *b, wlmi_mixer_state *state, const wlmi_head_group *group, int head_width, int room)
{
    size_t size[2];
    wlmi_mixer_of(group->kind)->state_size(group, head_width, room, size);
    for (int part = 0; part < 2; part++) {
        wlmi_real *grown;
        if (size[part] <= state->size[part])
            continue;
        grown = wlmi_alloc_aligned(size[part] * b->real_size);
        if (!grown)
            return 0;
        if (state->size[part])
            b->add(grown, state->part[part], state->size[part]);
        wlmi_free(state->part[part]);
        state->part[part] = grown;
        state->size[part] = size[part];
    }
    state->room = room;
    return 1;
}

/* Makes the states hold `room` tokens; what they hold stays. */
static int make_room(wlmi_session *s, int room)
{
    const wlmi_config *c = &s->net->config;
    const wlmi_backend *b = s->net->backend;
    for (int l = 0; l < c->layers; l++) {
        const wlmi_plan *plan = wlmi_config_layer(c, l).plan;
        for (int g = 0; g < plan->groups; g++)
            if (!grow(b, &s->state[l * WLMI_MAX_GROUPS + g], &plan->group[g], c->head_width, room))
                return 0;
    }
    s->room = room;
    return 1;
}

static int make_rows(wlmi_session *s)
{
    const wlmi_config *c = &s->net->config;
    const wlmi_backend *b = s->net->backend;
    const wlmi_layer_shape widest = wlmi_config_widest(c);
    size_t D = (size_t)c->width, F = (size_t)c->hidden;
    const struct {
        wlmi_real **row;
        size_t size;
    } rows[] = {{&s->x, D}, {&s->normed, D}, {&s->in, 2 * D}, {&s->rstd, 1}, {&s->qkv, (size_t)widest.columns},
                {&s->o, (size_t)widest.inner},
                {&s->gate_up, 2 * F}, {&s->hidden, F}, {&s->logits, (size_t)s->net->rows}};
    size_t total = 0, at = 0, count = sizeof rows / sizeof *rows;
    for (size_t i = 0; i < count; i++)
        total += (rows[i].size + 15) & ~(size_t)15;
    s->block = wlmi_alloc_aligned(total * b->real_size);
    s->before = wlmi_alloc_aligned((c->shift ? 4 * (size_t)c->layers * D : 0) * b->real_size);
    s->state = wlmi_alloc_zero((size_t)(c->layers * WLMI_MAX_GROUPS), sizeof *s->state);
    if (!s->block || !s->before || !s->state)
        return 0;
    for (size_t i = 0; i < count; i++) {
        *rows[i].row = wlmi_at(b, s->block, at);
        at += (rows[i].size + 15) & ~(size_t)15;
    }
    return 1;
}

wlm_status wlmi_session_new(wlmi_session **out, wlmi_net *net, wlm_error *error)
{
    wlmi_session *s = wlmi_alloc_zero(1, sizeof *s);
    *out = NULL;
    if (!s)
        return WLMI_NO_MEMORY(error);
    s->net = net;
    if (!make_rows(s) || !make_room(s, FIRST_ROOM)) {
        wlmi_session_free(s);
        return WLMI_NO_MEMORY(error);
    }
    *out = s;
    return WLM_OK;
}

void wlmi_session_reset(wlmi_session *s)
{
    const wlmi_config *c = &s->net->config;
    const wlmi_backend *b = s->net->backend;
    s->position = 0;
    for (int i = 0; i < c->layers * WLMI_MAX_GROUPS; i++)
        for (int part = 0; part < 2; part++)
            b->zero(s->state[i].part[part], s->state[i].size[part]);
    if (c->shift)
        b->zero(s->before, 4 * (size_t)c->layers * (size_t)c->width);
}

/* The input of a layer's half (0: mixer, 1: MLP): norm(x), shifted against the token before. */
static wlmi_real *half_input(wlmi_session *s, int layer, int half, const wlmi_param *gain)
{
    static const int32_t pair[] = {0, 2};
    const wlmi_segments two = {1, pair};
    const wlmi_net *net = s->net;
    const wlmi_backend *b = net->backend;
    int D = net->config.width;
    wlmi_real *before, *now;
    if (!net->config.shift) {
        b->rmsnorm_forward(s->in, s->rstd, s->x, wlmi_value(net, gain), 1, D);
        return s->in;
    }
    before = wlmi_at(b, s->before, (size_t)(2 * layer + half) * 2 * (size_t)D);
    now = wlmi_at(b, before, (size_t)D);
    b->rmsnorm_forward(now, s->rstd, s->x, wlmi_value(net, gain), 1, D);
    b->shift_forward(s->in, before, two, D);
    copy(b, before, now, (size_t)D);
    return wlmi_at(b, s->in, (size_t)D);
}

static void mix(wlmi_session *s, int layer)
{
    const wlmi_config *c = &s->net->config;
    const wlmi_backend *b = s->net->backend;
    const wlmi_layer_shape shape = wlmi_config_layer(c, layer);
    for (int g = 0; g < shape.plan->groups; g++) {
        const wlmi_group_place at = wlmi_config_place(c, layer, g);
        const wlmi_param *own = wlmi_layer_param(s->net, layer, 0) + at.own;
        const wlmi_mixer_state *state = &s->state[layer * WLMI_MAX_GROUPS + g];
        wlmi_mixer_step step = {
            .backend = b, .group = &shape.plan->group[g], .head_width = c->head_width, .streams = 1,
            .position = &s->position, .stride = shape.columns, .o_stride = shape.inner,
            .q = wlmi_at(b, s->qkv, at.q), .k = wlmi_at(b, s->qkv, at.k), .v = wlmi_at(b, s->qkv, at.v),
            .extra = wlmi_at(b, s->qkv, at.extra), .o = wlmi_at(b, s->o, at.o), .state = &state,
        };
        for (int i = 0; i < at.owns; i++)
            step.own[i] = wlmi_value(s->net, &own[i]);
        wlmi_mixer_of(step.group->kind)->step(&step);
    }
}

static void layer_step(wlmi_session *s, int layer)
{
    const wlmi_net *net = s->net;
    const wlmi_config *c = &net->config;
    const wlmi_backend *b = net->backend;
    const wlmi_layer_shape shape = wlmi_config_layer(c, layer);
    int D = c->width;
    const wlmi_param *const p = wlmi_layer_param(net, layer, 0);
    wlmi_real *in = half_input(s, layer, 0, &p[WLMI_SLOT_MIXER_NORM]);
    b->matmul_forward(s->qkv, in, wlmi_value(net, &p[WLMI_SLOT_QKV]), 1, shape.columns, D, 0);
    mix(s, layer);
    b->matmul_forward(s->x, s->o, wlmi_value(net, &p[WLMI_SLOT_OUT]), 1, D, shape.inner, 1);
    in = half_input(s, layer, 1, &p[WLMI_SLOT_MLP_NORM]);
    b->matmul_forward(s->gate_up, in, wlmi_value(net, &p[WLMI_SLOT_UP]), 1, 2 * c->hidden, D, 0);
    b->swiglu_forward(s->hidden, s->gate_up, 1, c->hidden);
    b->matmul_forward(s->x, s->hidden, wlmi_value(net, &p[WLMI_SLOT_DOWN]), 1, D, c->hidden, 1);
}

static wlm_status check(const wlmi_session *s, int32_t id, int32_t packet, int32_t role, wlm_error *error)
{
    const wlmi_config *c = &s->net->config;
    if (id < 0 || id >= s->net->rows || (c->packet_rows && packet < 0) ||
        (c->role_rows && (role < 0 || role >= c->role_rows)))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "token %d (packet %d, role %d) is outside the model's embeddings", id, packet, role);
    if (s->position == INT_MAX)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "the stream is too long");
    return WLM_OK;
}

wlm_status wlmi_session_step(wlmi_session *s, int32_t id, int32_t packet, int32_t role, float *logits,
                             wlm_error *error)
{
    const wlmi_net *net = s->net;
    const wlmi_config *c = &net->config;
    const wlmi_backend *b = net->backend;
    WLMI_TRY(check(s, id, packet, role, error));
    if (s->position >= s->room && !make_room(s, s->room > INT_MAX / 2 ? INT_MAX : 2 * s->room))
        return WLMI_NO_MEMORY(error);
    b->embed_forward(s->x, wlmi_value(net, wlmi_embed_param(net)), &id, 1, c->width, 0);
    if (c->packet_rows) {
        int32_t row = packet < c->packet_rows ? packet : c->packet_rows - 1;
        b->embed_forward(s->x, wlmi_value(net, wlmi_packet_param(net)), &row, 1, c->width, 1);
    }
    if (c->role_rows)
        b->embed_forward(s->x, wlmi_value(net, wlmi_role_param(net)), &role, 1, c->width, 1);
    for (int l = 0; l < c->layers; l++)
        layer_step(s, l);
    s->position++;
    if (logits) {
        b->rmsnorm_forward(s->normed, s->rstd, s->x, wlmi_value(net, wlmi_norm_param(net)), 1, c->width);
        b->matmul_forward(s->logits, s->normed, wlmi_value(net, wlmi_embed_param(net)), 1, net->rows, c->width, 0);
        b->to_float(logits, s->logits, (size_t)net->rows);
    }
    return b->status(error);
}

void wlmi_session_free(wlmi_session *s)
{
    if (!s)
        return;
    if (s->state)
        for (int i = 0; i < s->net->config.layers * WLMI_MAX_GROUPS; i++) {
            wlmi_free(s->state[i].part[0]);
            wlmi_free(s->state[i].part[1]);
        }
    wlmi_free(s->state);
    wlmi_free(s->before);
    wlmi_free(s->block);
    wlmi_free(s);
}
