/* bench_streams.h: streams fed in step, to measure use rather than training. */
#ifndef WLMI_BENCH_STREAMS_H
#define WLMI_BENCH_STREAMS_H

#include "task/bench_model.h"

enum { WLMI_BENCH_LABELS = 16 }; /* columns read out after each call, like a task's labels */

typedef struct wlmi_bench_streams {
    wlmi_bench_model *model; /* borrowed */
    int count;
    wlmi_stream *stream;     /* [count] */
    wlmi_stream **each;      /* [count] */
    int32_t *position;       /* [count] */
    float *logits;           /* [count, WLMI_BENCH_LABELS] */
    uint64_t fed;            /* calls, so that each has other tokens */
} wlmi_bench_streams;

/* On failure streams are to be freed too. */
wlm_status wlmi_bench_streams_new(wlmi_bench_streams *streams, wlmi_bench_model *model, int count, wlm_error *error);
/* Each stream takes n tokens in at one call, and the labels' logits behind the last are read; *seconds is added to. */
wlm_status wlmi_bench_streams_feed(wlmi_bench_streams *streams, int n, double *seconds, wlm_error *error);
/* The same as a classifier has it after a packet of n tokens: nothing is read behind them, but a peek of two more, 0 and 1
 * in the place of <ask> <task>, reads the labels' logits behind the second and leaves the streams as they are. */
wlm_status wlmi_bench_streams_ask(wlmi_bench_streams *streams, int n, double *seconds, wlm_error *error);
void wlmi_bench_streams_free(wlmi_bench_streams *streams);

#endif
