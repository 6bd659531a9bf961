/* embed_table.h: flows with their vectors, put in order and written. */
#ifndef WLMI_EMBED_TABLE_H
#define WLMI_EMBED_TABLE_H

#include "base/status.h"

typedef struct wlmi_embedded { /* a flow; text is borrowed */
    const char *file;
    uint64_t place;      /* of the file among all */
    uint64_t flow_id;    /* from 1 within its file */
    wlm_flow_key key;
    int64_t first_ns;    /* 0: not told */
    uint64_t packets, packets_used, tokens_used;
    const char *task, *label; /* NULL: unknown */
    wlm_part part;       /* NONE: it has none */
} wlmi_embedded;

typedef struct wlmi_embed_table { /* zero-initialise, but for the width */
    size_t width, count, capacity, vector_capacity;
    wlmi_embedded *flow; /* [count] */
    float *vector;       /* [count, width] */
} wlmi_embed_table;

/* Appends a flow, with a vector of zeros that is to be set; its index is table->count - 1. */
wlm_status wlmi_embed_table_add(wlmi_embed_table *table, const wlmi_embedded *flow, wlm_error *error);
/* Writes all flows by file and number: to a path in .npy the vectors, and to index (NULL: path.jsonl) what they are;
 * else one JSON object a line, vector included, and nothing to index. */
wlm_status wlmi_embed_table_write(const wlmi_embed_table *table, const char *path, const char *index, wlm_error *error);
void wlmi_embed_table_free(wlmi_embed_table *table);

#endif
