/* mixer_linear.c: linear attention heads in TrafficGPT's form; their state does not grow. */
#include "model/mixer.h"

static size_t kept_size(const wlmi_backend *backend, const wlmi_head_group *group, int head_width, int tokens,
                        int segments)
{
    return backend->linear_state_size(tokens, segments, group->heads, head_width);
}

static void forward(const wlmi_mixer_rows *r)
{
    r->backend->linear_forward(r->o, r->o_stride, r->kept, r->q, r->k, r->v, r->stride, r->segments, r->group->heads,
                               r->head_width);
}

static void backward(const wlmi_mixer_rows *r)
{
    r->backend->linear_backward(r->dq, r->dk, r->dv, r->d_o, r->o, r->o_stride, r->kept, r->q, r->k, r->v, r->stride,
                                r->segments, r->group->heads, r->head_width);
}

/* S [heads, K, K] and z [heads, K]. */
static void state_size(const wlmi_head_group *group, int head_width, int room, size_t size[2])
{
    (void)room;
    size[1] = (size_t)group->heads * (size_t)head_width;
    size[0] = size[1] * (size_t)head_width;
}

static void step(const wlmi_mixer_step *s)
{
    const wlmi_backend *b = s->backend;
    for (int i = 0; i < s->streams; i++) {
        size_t at = (size_t)i * (size_t)s->stride;
        b->linear_step(wlmi_at(b, s->o, (size_t)i * (size_t)s->o_stride), s->state[i]->part[0], s->state[i]->part[1],
                       wlmi_at(b, s->q, at), wlmi_at(b, s->k, at), wlmi_at(b, s->v, at), s->group->heads,
                       s->head_width);
    }
}

const wlmi_mixer wlmi_mixer_linear = {"linear", NULL, NULL, kept_size, forward, backward, state_size, step};
