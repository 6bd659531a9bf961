/* infer.h: the activations of wlmi_net_logits: one layer's at a time. */
#ifndef WLMI_INFER_H
#define WLMI_INFER_H

#include "model/model.h"

typedef struct wlmi_infer wlmi_infer;
wlmi_infer *wlmi_infer_new(void); /* NULL: out of memory */
void wlmi_infer_free(wlmi_infer *infer);

#endif
