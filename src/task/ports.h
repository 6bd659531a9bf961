/* ports.h: the ports that a label's flows go between: counted in training flows, drawn for generated ones. */
#ifndef WLMI_TASK_PORTS_H
#define WLMI_TASK_PORTS_H

#include "base/rng.h"
#include "capture/first_payload.h"
#include "model/model.h"
#include "task/shard.h"

typedef struct wlmi_port_counts {
    uint64_t *flow; /* a number each: label, protocol, group, ports, class of the first payload */
    size_t flows, capacity;
} wlmi_port_counts;

/* Counts flow i, which has this label. Neither TCP nor UDP: not counted. */
wlm_status wlmi_ports_count(wlmi_port_counts *counts, int label, const wlmi_dataset *data, uint64_t i,
                            wlm_error *error);
/* Fills the rows of each label that was counted: for each protocol the most common ports, and the rest as one. */
void wlmi_ports_name(wlmi_port_counts *counts, wlmi_task *task);
void wlmi_port_counts_free(wlmi_port_counts *counts);

/* Ports for a generated flow that looks so: *server 0: any, *client 0: an ephemeral one. ports: its label's, or NULL.
 * Drawn among training flows of the protocol with such a first payload, to a group or not as this one; where there are
 * none, whether to a group or not; else what such payload is registered for. */
void wlmi_ports_draw(const wlmi_ports *ports, const wlmi_look *look, wlmi_rng *rng, uint16_t *client,
                     uint16_t *server);

/* An ephemeral port moved to where those of training flows of the protocol lay; ports that differ modulo 16,384 still
 * differ. Where there were none it stays. */
uint16_t wlmi_ports_client(const wlmi_ports *ports, int proto, uint16_t port, wlmi_rng *rng);

#endif
