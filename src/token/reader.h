/* reader.h: reads a message as far as it is there; where it breaks off, a row says which byte can come next. */
#ifndef WLMI_READER_H
#define WLMI_READER_H

#include <stdint.h>

typedef enum wlmi_progress {
    WLMI_WRONG, /* what is there is not what was to be read */
    WLMI_READ,
    WLMI_HERE /* it breaks off, and the row says how it can go on */
} wlmi_progress;

/* Goes on behind what was read; else the caller's function ends with that. */
#define WLMI_STEP(progress)                                                                                          \
    do {                                                                                                             \
        const wlmi_progress step_ = (progress);                                                                      \
        if (step_ != WLMI_READ)                                                                                      \
            return step_;                                                                                            \
    } while (0)

typedef struct wlmi_reader { /* zero-initialise but for the first two */
    const uint8_t *bytes;
    uint32_t have, at;
    uint64_t row[4]; /* a bit for each byte */
} wlmi_reader;

/* Whether a number can stand there; the reader is still before it. */
typedef int (*wlmi_can_be)(const void *context, uint32_t number);

/* Of a length: what may be left behind it. */
typedef struct wlmi_room {
    uint32_t left;    /* bytes behind the number */
    uint32_t least;   /* what has to be left, where anything is */
    int can_take_all; /* nothing may be left */
} wlmi_room;

int wlmi_can_take(const void *room, uint32_t length); /* not 0 */

void wlmi_permit(wlmi_reader *r, unsigned from, unsigned to);
/* Bytes of no meaning. */
wlmi_progress wlmi_read_any(wlmi_reader *r, uint32_t count);
/* A byte of from..to. */
wlmi_progress wlmi_read_byte(wlmi_reader *r, unsigned from, unsigned to);
/* This number, in so many bytes. */
wlmi_progress wlmi_read_value(wlmi_reader *r, unsigned bytes, uint32_t value);
/* A number of two bytes, or of one, that can be. most: none above it can. */
wlmi_progress wlmi_read_number(wlmi_reader *r, unsigned bytes, wlmi_can_be can_be, const void *context, uint32_t most,
                               uint32_t *number);
/* Two bytes that are one of a list, and can be. */
wlmi_progress wlmi_read_listed(wlmi_reader *r, const uint16_t *list, int count, wlmi_can_be can_be, const void *context,
                               uint32_t *number);

#endif
