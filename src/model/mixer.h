/* mixer.h: how tokens see each other. A kind of mixer is one file and one row in the table of mixer.c. */
#ifndef WLMI_MIXER_H
#define WLMI_MIXER_H

#include "model/model.h"

/* A tensor that a group of heads has for itself, [rows, cols], or [rows] where cols is 0. First values are uniform in
 * [low, high]. Weight decay never applies. */
typedef struct wlmi_own {
    const char *name; /* in the checkpoint: "layers.0.mixer.GROUP.name" */
    int rows, cols;
    float low, high;
} wlmi_own;

enum { WLMI_MAX_OWN = 4 };

/* One group's heads over packed rows. q, k, v [T, heads, K] and extra [T, extra_columns()] stand inside rows of
 * `stride` values; o [T, heads, K] inside rows of o_stride. */
typedef struct wlmi_mixer_rows {
    const wlmi_backend *backend;
    const wlmi_head_group *group;
    int head_width; /* K */
    int tokens;     /* T */
    wlmi_segments segments;
    int stride, o_stride;
    wlmi_real *q, *k, *v, *extra, *o;
    wlmi_real *own[WLMI_MAX_OWN];
    wlmi_real *kept; /* kept_size() values from forward to backward */
    wlmi_real *dq, *dk, *dv, *d_extra;
    wlmi_real *d_own[WLMI_MAX_OWN];
    const wlmi_real *d_o;
} wlmi_mixer_rows;

/* Some tokens of each of several streams: rows as above, segment b being the next tokens of stream b. */
typedef struct wlmi_mixer_step {
    const wlmi_backend *backend;
    const wlmi_head_group *group;
    int head_width;
    wlmi_segments rows;
    int keep; /* the states take the tokens in; else they are only read */
    const uint64_t *held; /* [B] tokens that each stream has had */
    const int *room;      /* [B] tokens that its state has room for, as state_size() was asked */
    wlmi_real *const *state; /* [B] */
    wlmi_ring *ring;      /* [B] working room */
    const wlmi_real *angles; /* [T,K] of the rows' positions */
    int stride, o_stride;
    wlmi_real *q, *k, *v, *extra, *o;
    wlmi_real *own[WLMI_MAX_OWN];
} wlmi_mixer_step;

typedef struct wlmi_mixer {
    const char *name;
    /* Columns of the layer's input product beside q, k and v, say for gates. NULL: none. */
    int (*extra_columns)(const wlmi_head_group *group, int head_width);
    /* The i-th tensor of its own; 0 past the last. NULL: none. */
    int (*own)(const wlmi_head_group *group, int head_width, int i, wlmi_own *own);
    size_t (*kept_size)(const wlmi_backend *backend, const wlmi_head_group *group, int head_width, int tokens,
                        int segments);
    void (*forward)(const wlmi_mixer_rows *rows);  /* may change q and k in place, as backward and step expect */
    void (*backward)(const wlmi_mixer_rows *rows); /* writes dq, dk, dv, d_extra; adds to d_own */
    /* The most tokens of a stream that are remembered one by one, INT_MAX: all. NULL: none are. */
    int (*reach)(const wlmi_head_group *group);
    /* Values in one stream's state, zero before the first token, that has room for so many tokens one by one. A larger
     * room, as long as no more tokens were held, keeps what stands there as a prefix. */
    size_t (*state_size)(const wlmi_backend *backend, const wlmi_head_group *group, int head_width, int room);
    void (*step)(const wlmi_mixer_step *step); /* may change q, k and v in place */
} wlmi_mixer;

extern const wlmi_mixer wlmi_mixer_full, wlmi_mixer_window, wlmi_mixer_linear, wlmi_mixer_delta;

const wlmi_mixer *wlmi_mixer_of(wlmi_mixer_kind kind);
/* By its name; WLMI_MIXER_KINDS where there is none. */
wlmi_mixer_kind wlmi_mixer_find(const char *name);

#endif
