/* features.h: what a shallow model may read of a flow: numbers and bytes that stand in its first packets, hidden as a
 * model's are. */
#ifndef WLMI_FEATURES_H
#define WLMI_FEATURES_H

#include "capture/hide.h"
#include "task/shard.h"
#include "wirelm_export.h"

enum { WLMI_OPTION_KINDS = 40 }; /* TCP has room for no more */

typedef struct wlmi_packet_features {
    int64_t time_ns;        /* since the flow's first packet */
    int backward;           /* from the flow's destination to its source */
    uint32_t wire, payload; /* bytes that were on the wire; of payload, by the headers' own lengths */
    uint8_t ttl, tos, df;   /* IPv6: hop limit, traffic class, 0 */
    uint32_t id;            /* IPv4 identification, IPv6 flow label */
    uint8_t tcp_flags;      /* this and what follows: TCP, else 0 */
    uint16_t window;
    uint8_t option[WLMI_OPTION_KINDS]; /* kinds, in order */
    int options;
} wlmi_packet_features;

typedef struct wlmi_bytes_seen {
    uint8_t byte[WLM_FEATURE_BYTES];
    size_t count;
} wlmi_bytes_seen;

typedef struct wlmi_features {
    wlm_flow_key key;       /* as hidden, with its source as source */
    int64_t first_ns;       /* as hidden */
    uint8_t ip_version, proto;
    int packets;            /* that follow */
    wlmi_packet_features packet[WLM_FEATURE_PACKETS];
    wlmi_bytes_seen both, direction[2]; /* first payload bytes: of the flow, forward, backward */
    uint16_t segment_size[2]; /* what TCP's options of either side first said; 0: nothing */
    int16_t window_scale[2];  /* the same; -1: nothing */
} wlmi_features;

typedef struct wlmi_feature_reader wlmi_feature_reader;

/* How flows are shown. alter: a wlmi_alteration, or -1; packets: at most so many of a flow; 0: WLM_FEATURE_PACKETS. */
wlm_status wlmi_feature_reader_new(wlmi_feature_reader **reader, wlm_hide hide, uint32_t payload, int alter,
                                   uint32_t packets, wlm_error *error);
/* The first packets of a flow, altered and hidden by the same seed and key as in prompts. */
wlm_status wlmi_features_read(wlmi_feature_reader *reader, wlmi_features *features, const wlmi_dataset *data,
                              uint64_t flow, wlm_error *error);
void wlmi_feature_reader_free(wlmi_feature_reader *reader);

#endif
