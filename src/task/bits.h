/* bits.h: what flows of imported folders cost a model, drawn in a seeded order: bits by what they tell of. */
#ifndef WLMI_BITS_H
#define WLMI_BITS_H

#include "task/prompt.h"

typedef struct wlmi_bits {
    uint64_t flows, packets, tokens, pieces;
    uint64_t bytes;            /* as the packets would stand in a pcap file: captured, and 16 for each record's header */
    double bits[WLMI_GROUPS];  /* by what the tokens tell of */
} wlmi_bits;

typedef struct wlmi_bits_options {
    wlm_part part;
    uint64_t seed;   /* of the order in which flows are drawn */
    uint64_t flow_bytes; /* of each flow, the packets that first reach so many captured bytes; 0: all */
    uint64_t bytes;  /* stops after the flow that reaches so many; the same flows under any codec. 0: all flows */
    int tokens;      /* rows per batch */
    wlm_stop *stop;  /* WLM_STOPPED where it is seen; may be NULL */
} wlmi_bits_options;

/* view: codec, hide, payload and context are read. WLM_ERR_ARGUMENT where the part has no flow. */
wlm_status wlmi_bits_measure(wlmi_bits *bits, wlmi_net *net, const wlmi_view *view, const wlmi_dataset *const *data,
                             size_t count, const wlmi_bits_options *options, wlm_error *error);
double wlmi_bits_total(const wlmi_bits *bits);

#endif
