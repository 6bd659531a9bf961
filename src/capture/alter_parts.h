/* alter_parts.h: what the parts of altering share. */
#ifndef WLMI_ALTER_PARTS_H
#define WLMI_ALTER_PARTS_H

#include "base/rng.h"
#include "capture/alter.h"
#include "capture/decode.h"

struct wlmi_alterer {
    uint8_t *buffer; /* of the packet at hand */
    size_t capacity;
};

typedef struct wlmi_altering { /* one flow at hand */
    wlmi_alterer *alterer;
    uint64_t seed;
    wlmi_rng rng;      /* from the seed */
    wlm_flow_key *key;
    const wlmi_packet_list *in;
    wlmi_packet_list *out;
} wlmi_altering;

/* ---- alter_rewrite.c: packets keep their number, order and lengths */

wlm_status wlmi_alter_nat(wlmi_altering *a, wlm_error *error);
wlm_status wlmi_alter_noname(wlmi_altering *a, wlm_error *error);
wlm_status wlmi_alter_randomise(wlmi_altering *a, wlm_error *error);

/* ---- alter_offload.c */

wlm_status wlmi_alter_offload(wlmi_altering *a, wlm_error *error);

#endif
