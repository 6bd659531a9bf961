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
    b->rotary(r->q, r->segments, 0, r->stride, heads, K, 1);
    b->rotary(r->k, r->segments, 0, r->stride, heads, K, 1);
    b->attention_forward(r->o, r->o_stride, r->kept, r->q, r->k, r->v, r->stride, r->segments, heads, K,
                         window_of(r->group));
}

static void backward(const wlmi_mixer_rows *r)
{
    const wlmi_backend *b = r->backend;
    int heads = r->group->heads, K = r->head_width;
    b->attention_backward(r->dq, r->dk, r->dv, r->d_o, r->o, r->o_stride, r->kept, r->q, r->k, r->v, r->stride,
                          r->segments, heads, K, window_of(r->group));
    b->rotary(r->dq, r->segments, 0, r->stride, heads, K, -1);
    b->rotary(r->dk, r->segments, 0, r->stride, heads, K, -1);
}

/* Keys and values: slots [slots, heads, K], used as a ring by window heads. */
static void state_size(const wlmi_head_group *group, int head_width, int room, size_t size[2])
{
    int slots = group->kind == WLMI_MIXER_WINDOW ? group->window : room;
    size[0] = size[1] = (size_t)slots * (size_t)group->heads * (size_t)head_width;
}

static void step_stream(const wlmi_mixer_step *s, int i)
{
    static const int32_t one_token[] = {0, 1};
    const wlmi_backend *b = s->backend;
    const wlmi_segments one = {1, one_token};
    const wlmi_mixer_state *state = s->state[i];
    int heads = s->group->heads, K = s->head_width, width = heads * K, position = s->position[i];
    int slots = s->group->kind == WLMI_MIXER_WINDOW ? s->group->window : state->room;
    int slot = position % slots, seen = position < slots ? position + 1 : slots;
    size_t at = (size_t)i * (size_t)s->stride, to = (size_t)slot * (size_t)width;
    wlmi_real *q = wlmi_at(b, s->q, at), *k = wlmi_at(b, s->k, at), *v = wlmi_at(b, s->v, at);
    wlmi_real *key = wlmi_at(b, state->part[0], to), *value = wlmi_at(b, state->part[1], to);
    b->rotary(q, one, position, width, heads, K, 1);
    b->rotary(k, one, position, width, heads, K, 1);
    b->zero(key, (size_t)width);
    b->add(key, k, (size_t)width);
    b->zero(value, (size_t)width);
    b->add(value, v, (size_t)width);
    b->attention_step(wlmi_at(b, s->o, (size_t)i * (size_t)s->o_stride), q, state->part[0], state->part[1], slot, seen,
                      slots, heads, K);
}

static void step(const wlmi_mixer_step *s)
{
    for (int i = 0; i < s->streams; i++)
        step_stream(s, i);
}

const wlmi_mixer wlmi_mixer_full = {"full", NULL, NULL, kept_size, forward, backward, state_size, step};
const wlmi_mixer wlmi_mixer_window = {"window", NULL, NULL, kept_size, forward, backward, state_size, step};
