/* timeline.h: packets of overlapping flows put into one order of time, without holding them all. */
#ifndef WLMI_TIMELINE_H
#define WLMI_TIMELINE_H

#include "base/status.h"

typedef struct wlmi_timeline { /* zero-initialise */
    struct wlmi_moment *heap;
    size_t count, capacity;
    uint64_t pushed;
} wlmi_timeline;

/* Copies the packet. Packets of equal time come out in the order they went in. */
wlm_status wlmi_timeline_add(wlmi_timeline *timeline, const wlm_packet *packet, wlm_error *error);
/* Writes and forgets the packets before that time, in order. */
wlm_status wlmi_timeline_write(wlmi_timeline *timeline, int64_t before_ns, wlm_writer *writer, wlm_error *error);
/* The time of the first packet; 0 returned where there is none. */
int wlmi_timeline_first(const wlmi_timeline *timeline, int64_t *time_ns);
void wlmi_timeline_free(wlmi_timeline *timeline);

#endif
