/* streams.h: the token streams of a token file, each with a coder: one for a capture, or one for each open flow. */
#ifndef WLMI_STREAMS_H
#define WLMI_STREAMS_H

#include "token/codec.h"

enum { WLMI_STREAMS_MAX = 4096 }; /* flows held at a time in unit flow */

typedef struct wlmi_streams { /* zero-initialise */
    const wlmi_codec *codec;
    wlmi_coder_options options;
    wlmi_coder **coder; /* [slots]; NULL in slots never used */
    uint8_t *is_open;   /* [slots] */
    uint32_t slots;
    uint64_t opened, open; /* in all; now */
} wlmi_streams;

/* Flows that such a token file tells apart: of unit flow, the streams held; of unit capture, the codec's table. */
uint32_t wlmi_streams_flows(const wlmi_codec *codec, int capture);

/* options: of every stream, but for its start; payload that is not told is drawn otherwise in each. */
wlm_status wlmi_streams_make(wlmi_streams *streams, const wlmi_codec *codec, const wlmi_coder_options *options,
                             uint32_t slots, wlm_error *error);
/* Begins a stream in a slot below `slots` that has none open. */
wlm_status wlmi_streams_open(wlmi_streams *streams, uint32_t slot, int64_t start_ns, wlm_error *error);
void wlmi_streams_close(wlmi_streams *streams, uint32_t slot);
wlmi_coder *wlmi_streams_at(const wlmi_streams *streams, uint64_t slot); /* NULL where no stream is open */
void wlmi_streams_free(wlmi_streams *streams);

#endif
