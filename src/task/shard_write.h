/* shard_write.h: writes an imported folder beside its final name, and puts it there when complete. */
#ifndef WLMI_SHARD_WRITE_H
#define WLMI_SHARD_WRITE_H

#include "task/shard.h"

typedef struct wlmi_shard_writer wlmi_shard_writer;

/* WLM_ERR_REFUSED where folder exists and is not an imported folder (or empty). */
wlm_status wlmi_shard_writer_new(wlmi_shard_writer **writer, const char *folder, wlm_error *error);
/* Stores a packet of the capture at hand for a flow: flows are numbered from 0 in order of import. */
wlm_status wlmi_shard_write_packet(wlmi_shard_writer *writer, uint64_t flow, const wlm_packet *packet,
                                   wlm_error *error);
/* Groups the packets stored since the last call by flow. After it those flows are complete. */
wlm_status wlmi_shard_write_flush(wlmi_shard_writer *writer, wlm_error *error);
/* Takes the flows one by one; `packets` and `data_bytes` are the writer's own counts. */
wlm_status wlmi_shard_write_flow(wlmi_shard_writer *writer, const wlmi_shard_flow *flow, wlm_error *error);
/* Completes the two binary files. data, index: digests. */
wlm_status wlmi_shard_write_footer(wlmi_shard_writer *writer, char data[65], char index[65], wlm_error *error);
/* Writes the description and puts the folder in its place. The writer is gone afterwards, whatever the status. */
wlm_status wlmi_shard_writer_finish(wlmi_shard_writer *writer, const char *json, wlm_error *error);
/* Gives up: nothing stays behind. */
void wlmi_shard_writer_discard(wlmi_shard_writer *writer);

#endif
