/* hostile.h: random packet sequences for codecs: conversations, and all that can be wrong with their packets. */
#ifndef WLMI_TEST_HOSTILE_H
#define WLMI_TEST_HOSTILE_H

#include "wirelm.h"

enum { HOSTILE_PACKETS = 64, HOSTILE_BYTES = 1 << 17 };

typedef struct hostile_packets { /* packets that own their bytes */
    wlm_packet packet[HOSTILE_PACKETS];
    size_t count, used;
    uint8_t bytes[HOSTILE_BYTES];
} hostile_packets;

/* Packets of so many conversations, interleaved: TCP, UDP, ICMP and others over IPv4 and IPv6 and several link layers,
 * with what goes wrong: flipped bytes, headers that overlap, packets in packets, wrong lengths, cuts, padding, fragments, duplicates, other order, wrapping
 * sequence numbers, ports used again, bytes without sense. */
void hostile_make(hostile_packets *s, uint64_t seed, int conversations);
void hostile_clear(hostile_packets *s);
int hostile_keep(hostile_packets *s, const wlm_packet *packet); /* 0: no room */

#endif
