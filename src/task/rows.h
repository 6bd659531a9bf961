/* rows.h: sequences packed one behind the other: the arrays that a model's batch points at. */
#ifndef WLMI_ROWS_H
#define WLMI_ROWS_H

#include "model/model.h"

/* Zero-initialise.
 * role: the codec's, of the token to come; codec->roles where none comes. packet: for <ask> and its task, the number of
 * packets before them; 0 for what stands before a flow. */
typedef struct wlmi_rows {
    int tokens, capacity;
    int32_t *id, *packet, *role, *target, *first, *last;
    float *weight;
    int32_t *starts; /* [segments + 1] */
    int segments, segment_capacity;
} wlmi_rows;
/* Room for another segment of this many rows; WLM_ERR_MEMORY leaves rows as they were. */
wlm_status wlmi_rows_reserve(wlmi_rows *rows, size_t tokens, wlm_error *error);
/* Appends a row without a target; wlmi_rows_reserve() made room for it. */
void wlmi_rows_put(wlmi_rows *rows, int32_t id, int32_t packet, int32_t role);
/* Gives the last row a target, one of columns first .. last - 1. */
void wlmi_rows_aim(wlmi_rows *rows, int32_t target, int32_t first, int32_t last, float weight);
/* Ends the segment at hand. */
void wlmi_rows_close(wlmi_rows *rows);
void wlmi_rows_clear(wlmi_rows *rows);
void wlmi_rows_cut(wlmi_rows *rows, int segments); /* forgets all but the first `segments` */
void wlmi_rows_free(wlmi_rows *rows);
wlmi_batch wlmi_rows_batch(const wlmi_rows *rows);

#endif
