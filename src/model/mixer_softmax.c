/* mixer_softmax.c: causal softmax heads with rotary positions, over everything before (full) or a sliding window. */
#include <limits.h>

#include "model/mixer.h"

static int window_of(const wlmi_head_group *group)
{
    return group->kind == WLMI_MIXER_WINDOW ? group->window : INT_MAX;
}

static size_t kept_size(const wlmi_backend *backend, const wlmi_head_group *group, int head_width, int tokens,
                        int segments)
{
    (void)backend, (void)head_width, (void)segments;
    return (size_t)tokens * (size_t)group->heads; /* lse [T,heads] */
}

static void forward(const wlmi_mixer_rows *r)
{
    const wlmi_backend *b = r->backend;
    int heads = r->group->heads, K = r->head_width;
    b->rotary(r->q, r->segments, r->stride, heads, K, 1);
    b->rotary(r->k, r->segments, r->stride, heads, K, 1);
    b->attention_forward(r->o, r->o_stride, r->kept, r->q, r->k, r->v, r->stride, r->segments, heads, K,
                         window_of(r->group));
}

static void backward(const wlmi_mixer_rows *r)
{
    const wlmi_backend *b = r->backend;
    int heads = r->group->heads, K = r->head_width;
    b->attention_backward(r->dq, r->dk, r->dv, r->d_o, r->o, r->o_stride, r->kept, r->q, r->k, r->v, r->stride,
                          r->segments, heads, K, window_of(r->group));
    b->rotary(r->dq, r->segments, r->stride, heads, K, -1);
    b->rotary(r->dk, r->segments, r->stride, heads, K, -1);
}

/* In whole blocks. */
static size_t slots_of(const wlmi_head_group *group, int room)
{
    const size_t slots = (size_t)(room < window_of(group) ? room : window_of(group));
    return (slots + WLMI_RING_BLOCK - 1) / WLMI_RING_BLOCK * WLMI_RING_BLOCK;
}

/* A ring (backend.h) that grows with use up to the window. */
static size_t state_size(const wlmi_backend *backend, const wlmi_head_group *group, int head_width, int room)
{
    return 2 * slots_of(group, room) * (size_t)group->heads * (size_t)head_width * backend->act_size /
           backend->real_size;
}

static void step(const wlmi_mixer_step *s)
{
    const wlmi_backend *b = s->backend;
    int heads = s->group->heads, K = s->head_width, T = s->rows.starts[s->rows.count];
    for (int i = 0; i < s->rows.count; i++)
        s->ring[i] = (wlmi_ring){(wlmi_act *)s->state[i], (int)slots_of(s->group, s->room[i]), s->held[i]};
    b->rotary_turn(s->q, s->angles, T, s->stride, heads, K);
    b->rotary_turn(s->k, s->angles, T, s->stride, heads, K);
    b->attention_step(s->o, s->o_stride, s->q, s->k, s->v, s->stride, s->rows, s->ring, heads, K, window_of(s->group),
                      s->keep);
}

const wlmi_mixer wlmi_mixer_full = {"full", NULL, NULL, kept_size, forward, backward, window_of, state_size, step};
const wlmi_mixer wlmi_mixer_window = {"window", NULL, NULL, kept_size, forward, backward, window_of, state_size, step};
