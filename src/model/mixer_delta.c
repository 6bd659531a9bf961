/* mixer_delta.c: gated delta heads (backend.h names the source): q, k and v pass a causal convolution of their own,
 * the state forgets and corrects itself, and the output is normed and gated. Their state does not grow. */
#include "model/mixer.h"

enum { CONV, LOG_RATE, BIAS, NORM, OWN }; /* own tensors: convolutions of q, k, v; of the decay; of the norm */
enum { TAPS = 4 };

static size_t width_of(const wlmi_head_group *group, int head_width)
{
    return (size_t)group->heads * (size_t)head_width;
}

/* Gate [heads, K], then forget [heads] and write [heads], before their maps. */
static int extra_columns(const wlmi_head_group *group, int head_width)
{
    return group->heads * head_width + 2 * group->heads;
}

/* Rates exp(log_rate) from 1 to 16 and steps softplus(bias) from 0.001 to 0.1, even in their logarithms: memories of
 * one token to a thousand (Gu and Dao, 2023, use the same ranges). */
static int own(const wlmi_head_group *group, int head_width, int i, wlmi_own *own)
{
    const wlmi_own all[OWN] = {
        [CONV] = {"conv", 3 * group->heads * head_width, TAPS, -0.5f, 0.5f},
        [LOG_RATE] = {"log_rate", group->heads, 0, 0, 2.7725887f},
        [BIAS] = {"bias", group->heads, 0, -6.9072552f, -2.2521685f},
        [NORM] = {"norm", head_width, 0, 1, 1},
    };
    if (i >= OWN)
        return 0;
    *own = all[i];
    return 1;
}

/* What forward keeps. */
typedef struct kept_parts {
    wlmi_real *mixed; /* [T, 3, heads, K] q, k, v after their convolutions; backward turns it into its gradient */
    wlmi_real *read;  /* [T, heads, K] what the heads read, before the norm */
    wlmi_real *rest;  /* the op's own */
} kept_parts;

static kept_parts kept_of(const wlmi_mixer_rows *r)
{
    size_t n = (size_t)r->tokens * width_of(r->group, r->head_width);
    return (kept_parts){r->kept, wlmi_at(r->backend, r->kept, 3 * n), wlmi_at(r->backend, r->kept, 4 * n)};
}

static size_t kept_size(const wlmi_backend *backend, const wlmi_head_group *group, int head_width, int tokens,
                        int segments)
{
    return 4 * (size_t)tokens * width_of(group, head_width) +
           backend->delta_kept_size(tokens, segments, group->heads, head_width);
}

static wlmi_delta delta_of(const wlmi_mixer_rows *r, const kept_parts *kept)
{
    const wlmi_backend *b = r->backend;
    const size_t W = width_of(r->group, r->head_width);
    return (wlmi_delta){
        .segments = r->segments, .heads = r->group->heads, .K = r->head_width, .stride = 3 * (int)W,
        .gate_stride = r->stride, .o_stride = (int)W, .q = kept->mixed, .k = wlmi_at(b, kept->mixed, W),
        .v = wlmi_at(b, kept->mixed, 2 * W), .forget = wlmi_at(b, r->extra, W),
        .write = wlmi_at(b, r->extra, W + (size_t)r->group->heads), .log_rate = r->own[LOG_RATE],
        .bias = r->own[BIAS], .o = kept->read,
    };
}

static void forward(const wlmi_mixer_rows *r)
{
    const wlmi_backend *b = r->backend;
    const kept_parts kept = kept_of(r);
    const wlmi_delta d = delta_of(r, &kept);
    const wlmi_real *const in[3] = {r->q, r->k, r->v};
    const size_t W = width_of(r->group, r->head_width);
    for (size_t i = 0; i < 3; i++)
        b->conv_forward(wlmi_at(b, kept.mixed, i * W), d.stride, in[i], r->stride,
                        wlmi_at(b, r->own[CONV], i * W * TAPS), r->segments, (int)W);
    b->delta_forward(&d, kept.rest);
    b->gate_norm_forward(r->o, r->o_stride, kept.read, d.o_stride, r->extra, r->stride, r->own[NORM], r->tokens,
                         d.heads, d.K);
}

/* The gradient of what was read stands in dq until that of q takes its place. */
static void backward(const wlmi_mixer_rows *r)
{
    const wlmi_backend *b = r->backend;
    const kept_parts kept = kept_of(r);
    const wlmi_delta d = delta_of(r, &kept);
    const wlmi_real *const in[3] = {r->q, r->k, r->v};
    wlmi_real *const d_in[3] = {r->dq, r->dk, r->dv};
    const size_t W = width_of(r->group, r->head_width);
    const wlmi_delta_gradient g = {
        .o_stride = r->stride, .d_o = r->dq, .dq = kept.mixed, .dk = wlmi_at(b, kept.mixed, W),
        .dv = wlmi_at(b, kept.mixed, 2 * W), .d_forget = wlmi_at(b, r->d_extra, W),
        .d_write = wlmi_at(b, r->d_extra, W + (size_t)d.heads), .d_log_rate = r->d_own[LOG_RATE],
        .d_bias = r->d_own[BIAS],
    };
    b->gate_norm_backward(r->dq, r->stride, r->d_extra, r->d_own[NORM], r->d_o, r->o_stride, kept.read, d.o_stride,
                          r->extra, r->stride, r->own[NORM], r->tokens, d.heads, d.K);
    b->delta_backward(&d, &g, kept.rest);
    for (size_t i = 0; i < 3; i++)
        b->conv_backward(d_in[i], wlmi_at(b, r->d_own[CONV], i * W * TAPS), wlmi_at(b, kept.mixed, i * W), d.stride,
                         in[i], r->stride, wlmi_at(b, r->own[CONV], i * W * TAPS), r->segments, (int)W);
}

/* S [heads, K, K], then the last inputs of the convolutions [3, TAPS - 1, heads, K]. */
static size_t state_size(const wlmi_backend *backend, const wlmi_head_group *group, int head_width, int room)
{
    (void)backend, (void)room;
    return width_of(group, head_width) * (size_t)(head_width + 3 * (TAPS - 1));
}

static void step(const wlmi_mixer_step *s)
{
    const wlmi_backend *b = s->backend;
    const size_t W = width_of(s->group, s->head_width), history = W * (size_t)s->head_width;
    wlmi_real *const in[3] = {s->q, s->k, s->v};
    const wlmi_delta d = {
        .segments = s->rows, .heads = s->group->heads, .K = s->head_width, .stride = s->stride,
        .gate_stride = s->stride, .o_stride = s->o_stride, .q = s->q, .k = s->k, .v = s->v,
        .forget = wlmi_at(b, s->extra, W), .write = wlmi_at(b, s->extra, W + (size_t)s->group->heads),
        .log_rate = s->own[LOG_RATE], .bias = s->own[BIAS], .o = s->o,
    };
    for (size_t i = 0; i < 3; i++)
        b->conv_step(in[i], s->stride, s->rows, s->state, history + i * (TAPS - 1) * W,
                     wlmi_at(b, s->own[CONV], i * W * TAPS), (int)W, s->keep);
    b->delta_step(&d, s->state, s->keep);
    b->gate_norm_forward(s->o, s->o_stride, s->o, s->o_stride, s->extra, s->stride, s->own[NORM],
                         s->rows.starts[s->rows.count], d.heads, d.K);
}

const wlmi_mixer wlmi_mixer_delta = {"delta", extra_columns, own, kept_size, forward, backward, NULL, state_size, step};
