/* rows.h: sequences packed one behind the other: the arrays that a model's batch points at. */
#ifndef WLMI_ROWS_H
#define WLMI_ROWS_H

#include "model/model.h"
#include "token/codec.h"

/* Zero-initialise.
 * role: the codec's, of the token to come; codec->roles where none comes. packet: for <ask> and its task, the number of
 * packets before them; 0 for what stands before a flow. measure: the codec's, of the row's own token; 0: it has none. */
typedef struct wlmi_rows {
    int tokens, capacity;
    int32_t *id, *packet, *role, *target, *first, *last;
    int64_t *measure;
    float *weight;
    int32_t *starts; /* [segments + 1] */
    int segments, segment_capacity;
} wlmi_rows;
/* Room for another segment of this many rows; WLM_ERR_MEMORY leaves rows as they were. */
wlm_status wlmi_rows_reserve(wlmi_rows *rows, size_t tokens, wlm_error *error);
/* Appends a row without measure or target; wlmi_rows_reserve() made room for it. */
void wlmi_rows_put(wlmi_rows *rows, int32_t id, int32_t packet, int32_t role);
/* The same for token i, with its measure. */
void wlmi_rows_put_token(wlmi_rows *rows, const wlmi_tokens *tokens, size_t i);
/* The same as row i of others, targets aside. */
void wlmi_rows_put_again(wlmi_rows *rows, const wlmi_rows *others, int i);
/* Gives the last row a measure. */
void wlmi_rows_measure(wlmi_rows *rows, int64_t measure);
/* Gives the last row a target, one of columns first .. last - 1. */
void wlmi_rows_aim(wlmi_rows *rows, int32_t target, int32_t first, int32_t last, float weight);
/* Ends the segment at hand. */
void wlmi_rows_close(wlmi_rows *rows);
void wlmi_rows_clear(wlmi_rows *rows);
void wlmi_rows_cut(wlmi_rows *rows, int segments); /* forgets all but the first `segments` */
void wlmi_rows_free(wlmi_rows *rows);
wlmi_batch wlmi_rows_batch(const wlmi_rows *rows);

#endif
