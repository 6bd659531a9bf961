/* report_vector.h: a flow as a row of numbers for a forest: sizes, times, directions and header statistics; then first
 * payload bytes. Neither addresses nor ports nor absolute times. */
#ifndef WLMI_REPORT_VECTOR_H
#define WLMI_REPORT_VECTOR_H

#include "task/report_columns.h"

enum {
    WLMI_VECTOR_PACKETS = 16, /* first packets whose size and gap stand in it */
    WLMI_VECTOR_PAYLOAD = 32, /* first payload bytes of each direction */
    WLMI_VECTOR_DIRECTION = 5, /* of each direction: packets; mean, deviation, least, greatest length */
    WLMI_VECTOR_FLAGS = 5,    /* shares of packets with FIN, SYN, RST, PSH; mean window */
    WLMI_VECTOR_FIN = WLMI_FEATURES + 2 * WLMI_VECTOR_DIRECTION + 3, /* where that stands, and what follows */
    WLMI_VECTOR_SYN, WLMI_VECTOR_RST, WLMI_VECTOR_PSH, WLMI_VECTOR_WINDOW, /* NaN where no packet is TCP's */
    WLMI_VECTOR_SHAPE = WLMI_FEATURES + 2 * WLMI_VECTOR_DIRECTION + 3 + WLMI_VECTOR_FLAGS + 1 + 2 * WLMI_VECTOR_PACKETS,
    WLMI_VECTOR = WLMI_VECTOR_SHAPE + 2 * WLMI_VECTOR_PAYLOAD
};

/* *x [flows of the view, WLMI_VECTOR]: NaN where a flow has no such thing. The payload is hidden under policy ids. For
 * wlmi_free. */
wlm_status wlmi_vectors_read(const wlmi_flow_view *view, const wlmi_columns *columns, float **x, wlm_error *error);

#endif
