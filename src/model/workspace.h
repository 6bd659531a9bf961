/* workspace.h: the memory that forward fills and backward reads: one block, grown to the largest batch seen. */
#ifndef WLMI_WORKSPACE_H
#define WLMI_WORKSPACE_H

#include "model/embed.h"
#include "model/summary.h"

/* What one layer keeps, and the gradients of backward. T tokens, D width, H heads of K, F hidden; C columns of the input
 * product. Where net->recompute says so all layers share one such room, and within it what is never needed at once
 * shares memory too. */
typedef struct wlmi_layer_work {
    wlmi_real *mixer_rstd;               /* [T] */
    wlmi_act *mixer_in;                  /* [T,D] normed, shifted */
    wlmi_real *qkv;                      /* [T,C] q, k, v, extras */
    wlmi_real *kept[WLMI_MAX_GROUPS];    /* the mixers' own */
    wlmi_real *o;                        /* [T,H*K] */
    wlmi_act *mixer_out;                 /* [T,H*K] o for the product */
    wlmi_real *mlp_rstd;                 /* [T] */
    wlmi_act *mlp_in;                    /* [T,D] normed, shifted */
    wlmi_act *gate_up;                   /* [T,2*F] */
    wlmi_act *hidden;                    /* [T,F] */
    wlmi_real *d_qkv;                    /* [T,C]; from here on all layers share memory */
    wlmi_act *d_qkv_act;                 /* [T,C] the same for products, in place of qkv */
    wlmi_real *d_o;                      /* [T,H*K] */
    wlmi_act *d_gate_up;                 /* [T,2*F] */
    wlmi_act *d_hidden;                  /* [T,F] */
} wlmi_layer_work;

/* A layer has two halves, mixers and MLP; layer l's are 2l and 2l + 1. Half h
 *   reads x[h], and makes x[h + 1] = x[h] + half(x[h]);
 *   of a reversible model reads x[h + 1], and makes x[h + 2] = x[h] + half(x[h + 1]),
 * where x[0] = x[1]: even and odd ones are two streams. */
typedef struct wlmi_workspace {
    void *block;
    size_t size;               /* bytes */
    wlmi_layer_work layer[WLMI_MAX_LAYERS];
    wlmi_real *x[2 * WLMI_MAX_LAYERS + 2]; /* [T,D] each */
    int scored;                /* N: positions with a target, or asked for */
    wlmi_real *picked;         /* [N,D] rows of the last residual stream, or of the sum of the last two */
    wlmi_real *rstd;           /* [N] of the final norm */
    wlmi_act *normed;          /* [N,D] */
    wlmi_real *logits;         /* [N,R] */
    wlmi_real *loss;           /* [N] */
    wlmi_act *d_logits;        /* [N,R] */
    wlmi_act *d_normed;        /* [N,D] */
    wlmi_real *d_picked;       /* [N,D] */
    wlmi_real *dx[2];          /* [T,D] gradients of even and odd streams; one and the same where there is one stream */
    wlmi_act *dx_act[2];       /* [T,D] the same for products */
    wlmi_act *dh;              /* [T,D] of a half's input */
    wlmi_real *half;           /* [T,D] what a half adds, of a reversible model */
    int32_t *row;              /* [WLMI_EMBED_ROWS][T] of the packet and of the place embedding */
    int32_t *position;         /* [N] */
    int32_t *target, *first, *last; /* [N] */
    float *weight;             /* [N] */
} wlmi_workspace;

wlmi_workspace *wlmi_workspace_new(void); /* NULL: out of memory */
void wlmi_workspace_free(wlmi_workspace *work);
/* Lays it out for T tokens in so many segments, N of them scored; backward's part only with grad. */
wlm_status wlmi_workspace_fit(const wlmi_net *net, int tokens, int segments, int scored, wlm_error *error);
/* Bytes that such a layout takes. */
size_t wlmi_workspace_bytes(const wlmi_net *net, int tokens, int segments, int scored);

double wlmi_read_real(const wlmi_backend *backend, const wlmi_real *x, size_t i); /* x[i] */

#endif
