/* sound.h: whether packets are what a correct machine would send: checksums, lengths, TCP sequence numbers. It takes
 * packets apart by itself, the slow and obvious way. */
#ifndef WLMI_TEST_SOUND_H
#define WLMI_TEST_SOUND_H

#include "wirelm.h"

typedef struct sound_end { /* what one end of a flow has sent */
    int sent, acked;
    uint8_t address[16];
    uint16_t port;
    uint32_t next, ack; /* sequence number to come; last acknowledgement */
} sound_end;

typedef struct sound_flow { /* zeros: no packet yet */
    int protocol;
    uint32_t address_size;
    sound_end end[2];
} sound_flow;

/* NULL, or what is wrong with the flow's next packet. Where the protocol changes a new flow begins. */
const char *sound_packet(sound_flow *flow, const wlm_packet *packet);

#endif
