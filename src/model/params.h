/* params.h: where each tensor stands in the flat parameter buffer.
 * Layers come first, then the final norm, the packet, role and place embeddings, the summary, and last the
 * embedding of rows, so that tasks grow the buffer at its end. */
#ifndef WLMI_PARAMS_H
#define WLMI_PARAMS_H

#include "model/model.h"

typedef enum wlmi_slot { /* one layer's tensors, in order */
    WLMI_SLOT_MIXER_NORM, /* [D] */
    WLMI_SLOT_QKV,        /* [C, D]: q heads, k heads, v heads, then each group's extra columns */
    WLMI_SLOT_OUT,        /* [D, H*K] */
    WLMI_SLOT_MLP_NORM,   /* [D] */
    WLMI_SLOT_UP,         /* [2*F, D]: gate, then up */
    WLMI_SLOT_DOWN,       /* [D, F] */
    WLMI_SLOTS            /* then the groups' own tensors */
} wlmi_slot;

/* A layer's plan, and its sizes: heads H of all groups, contiguous; inner H*K; C columns of its input product. */
typedef struct wlmi_layer_shape {
    const wlmi_plan *plan;
    int inner, columns;
} wlmi_layer_shape;

wlmi_layer_shape wlmi_config_layer(const wlmi_config *config, int layer);
/* Where group g of a layer stands in a row of its input product and in a row of o; and which of the layer's tensors is
 * its first own one. */
typedef struct wlmi_group_place {
    size_t q, k, v, extra, o;
    int own, owns;
} wlmi_group_place;

wlmi_group_place wlmi_config_place(const wlmi_config *config, int layer, int g);
/* The largest inner and columns of any layer; plan NULL. */
wlmi_layer_shape wlmi_config_widest(const wlmi_config *config);
uint64_t wlmi_config_count(const wlmi_config *config); /* parameters of a net without tasks; config was checked */

static inline const wlmi_param *wlmi_layer_param(const wlmi_net *net, int layer, wlmi_slot slot)
{
    return &net->param[net->layer_param[layer] + (int)slot];
}
static inline const wlmi_param *wlmi_norm_param(const wlmi_net *net) /* [D] */
{
    return &net->param[net->layer_param[net->config.layers]];
}
static inline const wlmi_param *wlmi_packet_param(const wlmi_net *net) /* [packet_rows, D], or NULL */
{
    return net->config.packet_rows ? wlmi_norm_param(net) + 1 : NULL;
}
static inline const wlmi_param *wlmi_role_param(const wlmi_net *net) /* [role_rows, D], or NULL */
{
    return net->config.role_rows ? wlmi_norm_param(net) + 1 + (net->config.packet_rows > 0) : NULL;
}
static inline const wlmi_param *wlmi_place_param(const wlmi_net *net) /* [place_rows, D], or NULL */
{
    const int before = (net->config.packet_rows > 0) + (net->config.role_rows > 0);
    return net->config.place_rows ? wlmi_norm_param(net) + 1 + before : NULL;
}
static inline const wlmi_param *wlmi_embed_param(const wlmi_net *net) /* [rows, D] */
{
    return &net->param[net->params - 1];
}
static inline wlmi_real *wlmi_value(const wlmi_net *net, const wlmi_param *param)
{
    return wlmi_at(net->backend, net->value, param->offset);
}
static inline wlmi_real *wlmi_grad(const wlmi_net *net, const wlmi_param *param)
{
    return wlmi_at(net->backend, net->grad, param->offset);
}

/* A net without meaningful values: table, record zeroed, no tasks. */
wlm_status wlmi_net_make(wlmi_net **net, const wlmi_config *config, const wlmi_backend *backend, wlm_error *error);
/* Makes room for n rows before row `at` of the embedding, zero at first; what follows moves up. Drops grad. */
wlm_status wlmi_net_add_rows(wlmi_net *net, int at, int n, wlm_error *error);
/* Releases what a task points to. */
void wlmi_task_clear(wlmi_task *task);
/* Normal numbers with this deviation over n values; the stream is the seed's and the name's own. */
wlm_status wlmi_init_normal(const wlmi_net *net, wlmi_real *value, size_t n, double deviation, uint64_t seed,
                            const char *name, wlm_error *error);
#define WLMI_EMBED_DEVIATION 0.02

#endif
