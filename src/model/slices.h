/* slices.h: a batch cut between segments, so that a thread takes some of them through the whole model by itself: no
 * thread waits for another after every op, and what becomes of a slice's rows stays in the processor's cache. */
#ifndef WLMI_SLICES_H
#define WLMI_SLICES_H

#include "model/model.h"

typedef struct wlmi_slice {
    wlmi_batch batch;   /* the whole's arrays from its first row on; its own starts */
    int segment;        /* its first one in the whole */
    int n;              /* positions that are asked for */
    int32_t *position;  /* [n] rows of the slice, part after part, in a part as in the whole */
    int32_t *place;     /* [n] which row of its part's output each is */
    int32_t *of_part;   /* [parts] how many of each part */
    wlm_status status;  /* of whoever takes it */
    wlm_error error;
} wlmi_slice;

typedef struct wlmi_slices { /* zero-initialise; freed by wlmi_slices_free */
    wlmi_slice *slice;  /* [count] */
    int count;
    size_t capacity;    /* of slice */
    int32_t *numbers;   /* what the slices point to */
    size_t numbers_capacity;
} wlmi_slices;

/* How many slices so many threads should cut the batch into: 1 where a segment is too long for a thread's part. */
int wlmi_slices_for(const wlmi_batch *batch, int threads);
/* Cuts into `count` slices of about as many rows, fewer where segments are long. Positions lie in the batch. */
wlm_status wlmi_slices_cut(wlmi_slices *slices, const wlmi_batch *batch, int count, const int32_t *positions,
                           const wlmi_logits *part, int parts, wlm_error *error);
void wlmi_slices_free(wlmi_slices *slices);

#endif
