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

/* What one group of one stream remembers. */
typedef struct wlmi_mixer_state {
    wlmi_real *part[2]; /* zero before the first token */
    size_t size[2];     /* values, as state_size() says for `room` */
    int room;           /* tokens that it can hold */
} wlmi_mixer_state;

/* One token of each of several streams: row b of q, k, v, extra and o, laid out as above, is stream b's. */
typedef struct wlmi_mixer_step {
    const wlmi_backend *backend;
    const wlmi_head_group *group;
    int head_width;
    int streams; /* B */
    const int32_t *position; /* [B], from 0 in its stream, below its state's room */
    int stride, o_stride;
    wlmi_real *q, *k, *v, *extra, *o;
    wlmi_real *own[WLMI_MAX_OWN];
    const wlmi_mixer_state *const *state; /* [B] */
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
    /* Values in the two parts of one stream's state that can hold `room` tokens. A larger room keeps what stands
     * there as a prefix; for a constant state it changes nothing. */
    void (*state_size)(const wlmi_head_group *group, int head_width, int room, size_t size[2]);
    void (*step)(const wlmi_mixer_step *step);
} wlmi_mixer;

extern const wlmi_mixer wlmi_mixer_full, wlmi_mixer_window, wlmi_mixer_linear, wlmi_mixer_delta;

const wlmi_mixer *wlmi_mixer_of(wlmi_mixer_kind kind);
/* By its name; WLMI_MIXER_KINDS where there is none. */
wlmi_mixer_kind wlmi_mixer_find(const char *name);

#endif
