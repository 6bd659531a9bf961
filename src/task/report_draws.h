/* report_draws.h: samples of equal size drawn from real, generated and training flows, so that the distance between
 * real and generated flows can be read beside the distance that chance alone makes. */
#ifndef WLMI_REPORT_DRAWS_H
#define WLMI_REPORT_DRAWS_H

#include "task/json.h"
#include "task/report_columns.h"

enum { WLMI_DRAWS = 9 };

/* One kind of flows: which, and what was read off their set. */
typedef struct wlmi_side {
    wlmi_flow_view view;
    const wlmi_columns *columns; /* of the whole set */
} wlmi_side;

typedef struct wlmi_draw { /* [flows] indices into the sets; real and other are disjoint */
    size_t *real, *other, *fake, *train;
} wlmi_draw;

typedef struct wlmi_draws { /* zero-initialise */
    const wlmi_side *real, *fake, *train; /* train NULL: none */
    size_t flows;           /* in each sample but train's: the fewer of the generated flows and half of the real ones */
    size_t train_flows;     /* the same, but no more than there are; 0: none */
    int halves;             /* there are two real flows at least: `other` can be had */
    wlmi_draw draw[WLMI_DRAWS];
} wlmi_draws;

/* real and fake hold one flow at least. */
wlm_status wlmi_draws_make(wlmi_draws *draws, const wlmi_side *real, const wlmi_side *fake, const wlmi_side *train,
                           uint64_t seed, wlm_error *error);
void wlmi_draws_free(wlmi_draws *draws);

/* Distances of the columns: {"mean", "worst", "floor", "copy_of_training", "columns": {...}}. addresses: those of
 * packets are compared too, named by the table. */
wlm_status wlmi_report_fields(const wlmi_draws *draws, const wlmi_strings *addresses, int with_addresses,
                              json_t **report, wlm_error *error);
wlm_status wlmi_report_features(const wlmi_draws *draws, json_t **report, wlm_error *error);

/* How sizes and gaps of packets depend on those before them. */
wlm_status wlmi_report_rhythm(const wlmi_draws *draws, json_t **report, wlm_error *error);

#endif
