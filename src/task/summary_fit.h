/* summary_fit.h: where the numbers of a model's summary have their quantiles, from the first batches of its training. */
#ifndef WLMI_SUMMARY_FIT_H
#define WLMI_SUMMARY_FIT_H

#include "task/batch.h"

/* Does nothing for a net without a summary, or with one that is fitted. Batches without any question leave it unfitted:
 * then all its columns are 0. */
wlm_status wlmi_fit_summary(wlmi_net *net, wlmi_batches *batches, wlm_error *error);

#endif
