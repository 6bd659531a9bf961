/* report_forest.h: what a random forest says about generated flows: whether it can tell them from real ones, and what
 * it learns from them. */
#ifndef WLMI_REPORT_FOREST_H
#define WLMI_REPORT_FOREST_H

#include "task/report_draws.h"

enum { WLMI_FOLDS = 5, WLMI_ENOUGH_FLOWS = 1000, WLMI_MOST_FLOWS = 2000 }; /* flows: of each kind */

/* Real against generated flows, and training flows in their place: {"auc", "flows_each", "too_few", ...}. */
wlm_status wlmi_report_discriminator(const wlmi_side *real, const wlmi_side *fake, const wlmi_side *train,
                                     uint64_t seed, json_t **report, wlm_error *error);

/* Labels learned from generated flows, and from as many training flows, tested on real ones; then from 10 training
 * flows of each label with and without the generated ones. Flows without a label are left out. NULL where the three
 * sets do not share two labels. */
wlm_status wlmi_report_tstr(const wlmi_side *real, const wlmi_side *fake, const wlmi_side *train, uint64_t seed,
                            json_t **report, wlm_error *error);

/* The fold of each flow of a view [flows], so that what stood in one capture falls into one fold; by flow where there
 * are fewer captures than folds. */
void wlmi_report_folds(const wlmi_flow_view *view, uint64_t seed, int *fold);

#endif
