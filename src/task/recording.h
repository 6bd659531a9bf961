/* recording.h: one capture in memory: its packets in order, as they are shown to a model, the flow of each, what
 * travels beside their tokens, and the same packets as pcap files. */
#ifndef WLMI_RECORDING_H
#define WLMI_RECORDING_H

#include "capture/hide.h"
#include "capture/packet_list.h"
#include "token/beside.h"
#include "token/slots.h"

typedef struct wlmi_recorded_flow {
    wlm_flow_key key;
    wlmi_end end;
    uint64_t number;       /* of its first packet in the capture */
    size_t first, packets; /* of its packets in `order` */
} wlmi_recorded_flow;

typedef struct wlmi_recorded { /* of a packet */
    uint32_t flow;
    uint8_t backward;
} wlmi_recorded;

typedef struct wlmi_recording { /* zero-initialise; cleared and used again */
    wlmi_packet_list packets;   /* in capture order */
    wlmi_recorded *of;          /* [packets] */
    size_t *order;              /* [packets] flow by flow, each in capture order */
    wlmi_recorded_flow *flow;
    size_t flows;
    uint64_t flow_limit;        /* packets of later flows are left out; 0: all are taken */
    wlm_unit unit;              /* what stands beside is of this unit */
    wlmi_beside beside;         /* operations of the token file: file header, runs, and in unit flow the flows' turns */
    int cut;                    /* packets were left out */
    int nanoseconds;            /* some time is no whole number of microseconds */
    size_t of_room, order_room, flow_room;
    wlmi_slots *slots;
    uint32_t *at;               /* [WLMI_STREAMS_MAX]: flow in each slot */
    uint32_t slot;              /* of the packet before */
} wlmi_recording;

void wlmi_recording_free(wlmi_recording *recording);
/* Forgets what was recorded. */
wlm_status wlmi_recording_begin(wlmi_recording *recording, wlm_unit unit, uint64_t flow_limit, wlm_error *error);
/* Packets come in capture order. */
wlm_status wlmi_recording_add(wlmi_recording *recording, const wlm_packet *packet, wlm_error *error);
/* Ends all flows and puts packets in order. */
wlm_status wlmi_recording_end(wlmi_recording *recording, wlm_error *error);
/* Hides every flow as if it were alone, but for time, which goes on from the capture's first packet. file: seeds the
 * stand-ins, with each flow's first packet. */
wlm_status wlmi_recording_hide(wlmi_recording *recording, wlmi_hider *hider, uint64_t file, wlm_error *error);

/* Bytes that the capture, or each flow of it, takes as a pcap file. */
enum { WLMI_PCAP_FILE_HEADER = 24, WLMI_PCAP_RECORD_HEADER = 16 };
uint64_t wlmi_recording_bytes(const wlmi_recording *recording);

typedef struct wlmi_file_image { /* zero-initialise; freed with wlmi_free(bytes) */
    uint8_t *bytes;
    size_t size, capacity;
} wlmi_file_image;
/* A pcap file of the whole capture (flow NULL), or of one flow. Payload beyond the first `payload` bytes of a packet is
 * zeros. Microseconds where these hold all times. Packets of another link type than the first stand there all the
 * same. */
wlm_status wlmi_recording_image(const wlmi_recording *recording, const wlmi_recorded_flow *flow, uint32_t payload,
                                wlmi_file_image *image, wlm_error *error);

#endif
