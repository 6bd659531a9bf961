/* split.h: which flows train, which validate, which test. */
#ifndef WLMI_SPLIT_H
#define WLMI_SPLIT_H

#include "base/status.h"

typedef struct wlmi_split_item {
    uint64_t group; /* hash of what a split by capture keeps together */
    uint64_t flow;  /* hash of what a split by flow keeps together: the 5-tuple within its group */
    uint32_t label; /* below `labels` */
    wlm_part part;  /* result */
    uint64_t draw;  /* internal */
} wlmi_split_item;

/* 80/10/10, from seed and hash alone, so that more data does not move what is there. Afterwards as few units as needed
 * move: into test and val where those would be empty, into train for each label that it would lack.
 * by capture: a label that stands in one group only is split by flow; *fell_back counts such labels. */
wlm_status wlmi_split(wlmi_split_item *item, size_t count, uint32_t labels, wlm_split_by by, uint64_t seed,
                      uint32_t *fell_back, wlm_error *error);

#endif
