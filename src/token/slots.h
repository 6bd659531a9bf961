/* slots.h: the flows of a capture in numbered slots, so that each has a token stream of its own: which slot a packet's
 * flow has, and which flows ended before it. A slot is used again once its flow ended. */
#ifndef WLMI_SLOTS_OF_FLOWS_H
#define WLMI_SLOTS_OF_FLOWS_H

#include "capture/flow.h"
#include "token/codec.h"

typedef struct wlmi_ended { /* a flow that ended */
    uint32_t slot;
    wlmi_end end;
} wlmi_ended;

typedef struct wlmi_slots wlmi_slots;

/* At most `count` flows are held, the least recently used one making room; each has a slot below count. */
wlm_status wlmi_slots_new(wlmi_slots **slots, uint32_t count, wlm_error *error);
/* The packet's flow, with its slot; *opened: it begins with this packet. told: bytes of the packet that may decide.
 * The flow stays valid until the next call. */
wlm_status wlmi_slots_of(wlmi_slots *slots, const wlm_packet *packet, uint32_t told, const wlmi_flow **flow,
                         uint32_t *slot, int *opened, wlm_error *error);
/* Ends all flows. */
void wlmi_slots_flush(wlmi_slots *slots);
/* Those that ended in the last call, in order; one of them may have had the slot that has just opened. */
const wlmi_ended *wlmi_slots_ended(const wlmi_slots *slots, size_t *count);
void wlmi_slots_free(wlmi_slots *slots);

#endif
