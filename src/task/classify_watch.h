/* classify_watch.h: a flow under observation: what the model sees of it, and what it remembers. */
#ifndef WLMI_CLASSIFY_WATCH_H
#define WLMI_CLASSIFY_WATCH_H

#include "task/prefix.h"

typedef struct wlmi_watch { /* zero-initialise */
    wlmi_prefix prefix;
    wlmi_stream stream;         /* no block: none is kept */
    size_t fed;                 /* rows it has: <flow>, then tokens of the prefix; 0: none */
    struct wlmi_watch *before, *after; /* among those with a stream, by last use */
    uint64_t round;             /* of asking, that it last took part in */
    uint32_t asked;             /* questions that wait for an answer, and places in a queue */
    uint8_t ahead;              /* waits to be fed */
    uint8_t dropped;            /* it had a stream once, and lost it to the budget */
    uint8_t answered;           /* for good: nothing will be asked again */
    uint8_t over;               /* its flow is gone */
} wlmi_watch;

#endif
