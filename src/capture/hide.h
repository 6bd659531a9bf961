/* hide.h: removes from packets what would identify the recording, before any codec sees them, so that every
 * model and baseline reads the same hidden packets. Rewrites keep lengths inside IP; the link layer is dropped.
 * docs/HIDING.md states field by field what is rewritten and what remains. */
#ifndef WLMI_HIDE_H
#define WLMI_HIDE_H

#include "base/status.h"
#include "capture/decode.h"

/* State of one flow, of constant size: who is who, what stands for which name, where counting began. */
typedef struct wlmi_hider wlmi_hider;

/* key seeds the stand-ins for third addresses and names: the same key gives the same packets.
 * payload: bytes of payload kept in each packet (the true lengths stay in the headers and in `wire`). */
wlm_status wlmi_hider_new(wlmi_hider **hider, wlm_hide policy, uint32_t payload, wlm_error *error);
/* Begins a flow. flow: the real endpoints. base_ns: the time that becomes 0. */
void wlmi_hider_start(wlmi_hider *hider, const wlm_flow_key *flow, uint64_t key, int64_t base_ns);
/* Rewrites one packet of the flow. *out borrows the hider's memory until the next call.
 * Policy none with full payload gives the packet as it is. */
wlm_status wlmi_hide_packet(wlmi_hider *hider, const wlm_packet *in, wlm_packet *out, wlm_error *error);
void wlmi_hider_free(wlmi_hider *hider);

/* What hidden packets look like (all policies but none): raw IP, these endpoints, times from 0. */
#define WLMI_HIDDEN_LINK 101
#define WLMI_HIDDEN_CLIENT4 0xc0000201u /* 192.0.2.1 */
#define WLMI_HIDDEN_SERVER4 0xc6336401u /* 198.51.100.1 */
/* 2001:db8::1 and 2001:db8:1::1 */
#define WLMI_HIDDEN_CLIENT_PORT 49152
#define WLMI_HIDDEN_SERVER_PORT 49153

#endif
