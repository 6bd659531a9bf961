/* meter.h: a backend that does what another one does and notes every matrix product: shape, calls, time. */
#ifndef WLMI_METER_H
#define WLMI_METER_H

#include "tensor/backend.h"

typedef enum wlmi_way { WLMI_FORWARD, WLMI_BACKWARD_INPUT, WLMI_BACKWARD_WEIGHT, WLMI_WAYS } wlmi_way;
const char *wlmi_way_name(wlmi_way way); /* forward, backward_input, backward_weight */

/* The products of one kind and shape; M, N, K as in backend.h: x [M,K], w [N,K], y [M,N], whichever way. */
typedef struct wlmi_noted_product {
    wlmi_way way;
    int M, N, K;
    uint64_t calls;
    double seconds; /* of all calls */
} wlmi_noted_product;

enum { WLMI_METER_MOST = 256 }; /* shapes; products of further ones are done and not noted */

typedef struct wlmi_meter {
    wlmi_noted_product product[WLMI_METER_MOST];
    int count;
} wlmi_meter;

/* *metered works like `under` until wlmi_meter_stop(), and notes in meter what the calling thread's ops multiply; the
 * caller may clear the meter at any time. One meter at a time in the process: else WLM_ERR_REFUSED. */
wlm_status wlmi_meter_start(wlmi_meter *meter, const wlmi_backend *under, const wlmi_backend **metered,
                            wlm_error *error);
void wlmi_meter_stop(void);

static inline double wlmi_product_flops(const wlmi_noted_product *p) /* of one call */
{
    return 2.0 * p->M * p->N * p->K;
}
double wlmi_meter_seconds(const wlmi_meter *meter); /* of all products */

#endif
