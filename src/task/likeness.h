/* likeness.h: which of several sampled flows is most like those that a model was trained on. A forest learns to tell
 * training flows from a first lot of sampled ones, by the numbers of report_vector.h without payload; the odds that it
 * gives a flow weigh it among others, which brings what is drawn by weight closer to the training flows than the model
 * alone would come (importance resampling by a classifier's odds: Grover et al., 2019). Strata by size and by how a
 * connection begins and ends say how frequent flows are that the model writes badly, which odds alone would make rare. */
#ifndef WLMI_LIKENESS_H
#define WLMI_LIKENESS_H

#include "task/report_flows.h"

enum {
    WLMI_LIKENESS_PILOT = 1000, /* flows in the first lot */
    WLMI_LIKENESS_MOST = 2000,  /* training flows that are learned from, drawn at random */
    WLMI_LIKENESS_LEAST = 20,   /* fewer are none to learn from */
    WLMI_LIKENESS_SIZES = 8,    /* of flows by their bytes, about as many training flows in each */
    WLMI_LIKENESS_KINDS = 13,   /* no TCP; TCP with no SYN, one, both, and both FIN, a RST, each or not */
    WLMI_LIKENESS_STRATA = WLMI_LIKENESS_KINDS * WLMI_LIKENESS_SIZES
};

typedef struct wlmi_likeness wlmi_likeness;

/* Reads the training flows with this label, or without any: of imported folders the part train. label NULL: all flows. */
wlm_status wlmi_likeness_new(wlmi_likeness **likeness, const char *const *paths, size_t count, const char *label,
                             uint64_t seed, wlm_error *error);
/* A flow of the first lot, as it would be written. */
wlm_status wlmi_likeness_show(wlmi_likeness *likeness, const wlmi_packet_list *packets, wlm_error *error);
/* After the last of them, once: lets go of all flows, training's and shown ones. */
wlm_status wlmi_likeness_learn(wlmi_likeness *likeness, wlm_error *error);
/* Of a flow as it would be written: its odds; 0 where it has no IP packet, or its ends say to each other, word for word
 * (wlmi_flow_said), what those of a training flow do. And its stratum. */
wlm_status wlmi_likeness_weigh(const wlmi_likeness *likeness, const wlmi_packet_list *packets, double *weight,
                               int *stratum, wlm_error *error);
/* [WLMI_LIKENESS_STRATA]: share of the training flows that each has. */
const double *wlmi_likeness_shares(const wlmi_likeness *likeness);
void wlmi_likeness_free(wlmi_likeness *likeness);

#endif
