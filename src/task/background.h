/* background.h: a real capture into which generated flows are mixed, packet by packet in order of time. */
#ifndef WLMI_BACKGROUND_H
#define WLMI_BACKGROUND_H

#include "capture/address.h"
#include "capture/capture.h"

typedef struct wlmi_background { /* zero-initialise */
    wlm_capture *capture;
    wlm_packet packet;         /* the next one, where there is one */
    int there;
    int64_t first_ns, last_ns; /* the earliest and latest times */
    uint64_t packets;
} wlmi_background;

/* Reads the capture once, takes its addresses out of the plan, and opens it again. A link type other than Ethernet is
 * refused where the output cannot mix them. */
wlm_status wlmi_background_open(wlmi_background *background, const char *path, int mixes, wlmi_address_plan *plan,
                                wlm_error *error);
/* Writes its packets, as they are and in their order, up to the first that is later than until_ns. */
wlm_status wlmi_background_write(wlmi_background *background, int64_t until_ns, wlm_writer *writer, wlm_error *error);
void wlmi_background_close(wlmi_background *background);

#endif
