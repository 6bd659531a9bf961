/* shard.h: an imported folder: packets of many captures grouped by flow, memory-mapped, with labels and splits. */
#ifndef WLMI_SHARD_H
#define WLMI_SHARD_H

#include "base/io.h"
#include "token/codec.h"

#define WLMI_NO_LABEL UINT32_MAX

typedef struct wlmi_shard_flow {
    wlm_flow_key key;
    wlm_flow_start start;
    wlm_flow_end end;
    wlm_part part;
    uint32_t label;        /* index in the dataset's labels, or WLMI_NO_LABEL */
    uint32_t file;         /* index in the dataset's files */
    uint32_t group;        /* index in the dataset's capture groups: what a split by capture keeps together */
    uint64_t packets;
    uint64_t first_packet; /* number in its file */
    uint64_t data_bytes;   /* captured bytes in all */
    int oneway;
} wlmi_shard_flow;

typedef struct wlmi_dataset wlmi_dataset; /* one imported folder, read-only, thread-safe */

wlm_status wlmi_dataset_open(wlmi_dataset **dataset, const char *folder, wlm_error *error);
/* The same over the contents of the three files, which the caller keeps alive (shard_layout.h). */
wlm_status wlmi_dataset_open_memory(wlmi_dataset **dataset, const char *name, const void *json, size_t json_size,
                                    const void *index, size_t index_size, const void *data, size_t data_size,
                                    wlm_error *error);
void wlmi_dataset_close(wlmi_dataset *dataset);

const char *wlmi_dataset_task(const wlmi_dataset *dataset); /* NULL: unlabelled */
uint32_t wlmi_dataset_labels(const wlmi_dataset *dataset);
const char *wlmi_dataset_label(const wlmi_dataset *dataset, uint32_t i);
uint32_t wlmi_dataset_files(const wlmi_dataset *dataset);
const char *wlmi_dataset_file(const wlmi_dataset *dataset, uint32_t i);
int wlmi_dataset_fell_back(const wlmi_dataset *dataset); /* split by flow though by capture was asked */
uint64_t wlmi_dataset_flows(const wlmi_dataset *dataset);
uint64_t wlmi_dataset_packets(const wlmi_dataset *dataset);
/* Index order is order of import: deterministic. */
void wlmi_dataset_flow(const wlmi_dataset *dataset, uint64_t i, wlmi_shard_flow *flow);
/* Packet j of flow i, in capture order; data points into the map. WLM_ERR_FORMAT where the shard is damaged. */
wlm_status wlmi_dataset_packet(const wlmi_dataset *dataset, uint64_t i, uint64_t j, wlm_packet *packet,
                               wlm_error *error);

/* Whether path is a folder that looks like an imported one. */
int wlmi_dataset_is(const char *path);
/* *json: what is in an imported folder, for people and scripts. */
wlm_status wlmi_dataset_describe(const wlmi_dataset *dataset, char **json, wlm_error *error);

#endif
