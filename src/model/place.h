/* place.h: where the byte to come stands (base/measure.h), as rows of an embedding: its offset, the bytes left, and the
 * string that it may be in, each in a part of the table. A model that is shown this need not count. */
#ifndef WLMI_PLACE_H
#define WLMI_PLACE_H

#include "base/measure.h"
#include "model/model.h"

enum {
    WLMI_PLACE_PARTS = 3,
    WLMI_PLACE_EXACT = 48,  /* offsets and bytes left below have a row of their own; above are two to an octave */
    WLMI_PLACE_COUNTS = 64, /* rows of either; the first: no byte is to come */
    WLMI_PLACE_ROWS = 2 * WLMI_PLACE_COUNTS + WLMI_STRING_STATES
};

/* row [WLMI_PLACE_PARTS][T] of the byte behind each token. */
void wlmi_place_rows(const int64_t *measure, int T, int32_t *row);

#endif
