/* beside.h: what stands beside the tokens of a frame while it is written: the operations of transcode.h. */
#ifndef WLMI_BESIDE_H
#define WLMI_BESIDE_H

#include "base/status.h"

typedef struct wlmi_beside { /* zero-initialise */
    uint8_t *bytes;
    size_t size, capacity;
    uint64_t run; /* foretold packets not yet written down */
} wlmi_beside;

wlm_status wlmi_beside_bytes(wlmi_beside *beside, const uint8_t *bytes, size_t size, wlm_error *error);
wlm_status wlmi_beside_number(wlmi_beside *beside, uint64_t n, wlm_error *error);
/* Writes the run down. What follows does so first. */
wlm_status wlmi_beside_run(wlmi_beside *beside, wlm_error *error);
/* An operation with a number, or with bytes behind their number. */
wlm_status wlmi_beside_operation(wlmi_beside *beside, int operation, uint64_t n, wlm_error *error);
wlm_status wlmi_beside_literal(wlmi_beside *beside, int operation, const uint8_t *bytes, size_t size,
                               wlm_error *error);
void wlmi_beside_free(wlmi_beside *beside);

#endif
