/* alter.h: alterations of one flow's packets: what networks, capture tools and operating systems do to recordings.
 * Stress in evaluation, augmentation in training; they come before hiding. docs/ALTERATIONS.md says what each does. */
#ifndef WLMI_ALTER_H
#define WLMI_ALTER_H

#include "capture/packet_list.h"

typedef enum wlmi_alteration {
    WLMI_ALTER_NAT,
    WLMI_ALTER_ONEWAY,
    WLMI_ALTER_MIDSTREAM,
    WLMI_ALTER_SNAP96,
    WLMI_ALTER_SNAP128,
    WLMI_ALTER_SAMPLE10,
    WLMI_ALTER_LOSS1,
    WLMI_ALTER_REORDER,
    WLMI_ALTER_JITTER,
    WLMI_ALTER_NONAME,
    WLMI_ALTER_OFFLOAD,
    WLMI_ALTER_RANDOMISE, /* for training only: it changes nothing that a network would */
    WLMI_ALTERATIONS
} wlmi_alteration;

/* Names are lower case: "nat", "oneway". NULL past the last. */
const char *wlmi_alter_name(size_t i);
/* -1: there is none of that name. */
int wlmi_alter_find(const char *name);

/* How many packets of a flow, from its first on, an alteration should be given so that about `wanted` come out. */
uint64_t wlmi_alter_reach(wlmi_alteration kind, uint64_t wanted);

typedef struct wlmi_alterer wlmi_alterer; /* scratch memory */

wlm_status wlmi_alterer_new(wlmi_alterer **alterer, wlm_error *error);
/* Replaces what `out` holds by the packets of `in`, altered. A pure function of packets, key and seed. Packets that an
 * alteration cannot work on pass as they are; of a flow with packets at least one is left. Times that do not go back in
 * `in` do not go back in `out`. key: the flow's, with whom it was; it becomes that of the altered flow. */
wlm_status wlmi_alter_flow(wlmi_alterer *alterer, wlmi_alteration kind, uint64_t seed, wlm_flow_key *key,
                           const wlmi_packet_list *in, wlmi_packet_list *out, wlm_error *error);
void wlmi_alterer_free(wlmi_alterer *alterer);

#endif
