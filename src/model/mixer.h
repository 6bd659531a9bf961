/* mixer.h: how tokens see each other. A kind of mixer is one file and one row in the table of mixer.c. */
#ifndef WLMI_MIXER_H
#define WLMI_MIXER_H

#include "model/model.h"

/* One group's heads over packed rows. q, k, v [T, heads, K] stand inside rows of `stride` values; o likewise of
 * o_stride. */
typedef struct wlmi_mixer_rows {
    const wlmi_backend *backend;
    const wlmi_head_group *group;
    int head_width; /* K */
    int tokens;     /* T */
    wlmi_segments segments;
    int stride, o_stride;
    wlmi_real *q, *k, *v, *o;
    wlmi_real *kept; /* kept_size() values from forward to backward */
    wlmi_real *dq, *dk, *dv;
    const wlmi_real *d_o;
} wlmi_mixer_rows;

/* One token of one stream. q, k, v, o [heads, K]; position counts from 0 in the stream. */
typedef struct wlmi_mixer_token {
    const wlmi_backend *backend;
    const wlmi_head_group *group;
    int head_width;
    int position, room; /* position < room */
    wlmi_real *q, *k, *v, *o;
    wlmi_real *state[2]; /* zero before the first token */
} wlmi_mixer_token;

typedef struct wlmi_mixer {
    const char *name;
    size_t (*kept_size)(const wlmi_backend *backend, const wlmi_head_group *group, int head_width, int tokens,
                        int segments);
    void (*forward)(const wlmi_mixer_rows *rows);  /* may change q and k in place, as backward and step expect */
    void (*backward)(const wlmi_mixer_rows *rows); /* writes dq, dk, dv */
    /* Values in the two parts of one stream's state that can hold `room` tokens. A larger room keeps what stands
     * there as a prefix; for a constant state it changes nothing. */
    void (*state_size)(const wlmi_head_group *group, int head_width, int room, size_t size[2]);
    void (*step)(const wlmi_mixer_token *token);
} wlmi_mixer;

extern const wlmi_mixer wlmi_mixer_full, wlmi_mixer_window, wlmi_mixer_linear;

const wlmi_mixer *wlmi_mixer_of(wlmi_mixer_kind kind);
/* By its name; WLMI_MIXER_KINDS where there is none. */
wlmi_mixer_kind wlmi_mixer_find(const char *name);

#endif
