/* fields_flows.h: the flows of unit capture: slots in a table of fixed size, in the order of their last use. */
#ifndef WLMI_FIELDS_FLOWS_H
#define WLMI_FIELDS_FLOWS_H

#include "token/fields.h"

enum { WLMI_SLOTS = 4096, WLMI_NO_SLOT = 0xffff };

typedef struct wlmi_flow_id { /* who talks, in whichever direction */
    uint8_t low[18], high[18]; /* address and port, in order */
    uint32_t link_type;
    uint8_t protocol, pad[3];
} wlmi_flow_id;

typedef struct wlmi_slot {
    wlmi_flow_state state;
    wlmi_flow_id id;
    uint16_t newer, older; /* order of use */
    uint16_t next;         /* of the same hash */
    uint8_t named;         /* found by id */
    uint64_t number;       /* flows opened before it */
} wlmi_slot;

typedef struct wlmi_flows {
    wlmi_slot *slot; /* WLMI_SLOTS of them, NULL until needed */
    uint16_t *bucket;
    uint32_t count;
    uint64_t opened;
    uint16_t newest, oldest;
} wlmi_flows;

wlm_status wlmi_flows_make(wlmi_flows *flows, wlm_error *error);
void wlmi_flows_clear(wlmi_flows *flows);
void wlmi_flows_free(wlmi_flows *flows);
/* Who talks in this packet; values NULL: what the link layer says. */
void wlmi_flow_id_of(const wlm_packet *packet, const wlmi_values *values, wlmi_flow_id *id);
int wlmi_flows_find(const wlmi_flows *flows, const wlmi_flow_id *id); /* a slot, or -1 */
int wlmi_flows_open(wlmi_flows *flows);                               /* a slot, the least recently used where full */
void wlmi_flows_name(wlmi_flows *flows, int slot, const wlmi_flow_id *id);
void wlmi_flows_use(wlmi_flows *flows, int slot);                     /* becomes the newest */
int wlmi_flows_recent(const wlmi_flows *flows, int index);            /* slot of that index in the order of use */
int wlmi_flows_index(const wlmi_flows *flows, int slot, int limit);   /* index in it, or -1 past limit */
int wlmi_flows_slot_of(const wlmi_flows *flows, const wlmi_flow_state *state);

#endif
