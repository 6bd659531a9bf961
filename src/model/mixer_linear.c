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

/* S [heads, K, K], then z [heads, K]. */
static size_t state_size(const wlmi_backend *backend, const wlmi_head_group *group, int head_width, int room)
{
    (void)backend, (void)room;
    return (size_t)group->heads * (size_t)head_width * (size_t)(head_width + 1);
}

static void step(const wlmi_mixer_step *s)
{
    s->backend->linear_step(s->o, s->o_stride, s->q, s->k, s->v, s->stride, s->rows, s->state, s->group->heads,
                            s->head_width, s->keep);
}

const wlmi_mixer wlmi_mixer_linear = {"linear", NULL, NULL, kept_size, forward, backward, NULL, state_size, step};
