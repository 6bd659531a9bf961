/* packets.h: packets built by hand, byte by byte, with right checksums, for tests. */
#ifndef WLMI_TEST_PACKETS_H
#define WLMI_TEST_PACKETS_H

#include "capture/decode.h"

typedef struct test_packet {
    uint8_t data[4096];
    uint32_t size;
} test_packet;

typedef struct test_end { /* one end of a conversation; address as text, "192.0.2.7" or "2001:db8::7" */
    const char *address;
    uint16_t port;
} test_end;

/* IP (by the kind of address) around `size` bytes of the given protocol. */
test_packet test_ip(test_end from, test_end to, uint8_t proto, const void *data, size_t size);
/* sequence numbers 1000 and 2000 */
test_packet test_tcp(test_end from, test_end to, int flags, const void *data, size_t size);
test_packet test_tcp_seq(test_end from, test_end to, int flags, uint32_t seq, uint32_t ack, const void *data,
                         size_t size);
test_packet test_udp(test_end from, test_end to, const void *data, size_t size);
/* type and code, then rest of the message */
test_packet test_icmp(test_end from, test_end to, uint8_t type, uint8_t code, const void *data, size_t size);
/* Puts bytes in front: a link layer. */
test_packet test_behind(const void *head, size_t size, const test_packet *inner);
/* In front: Ethernet between 00:00:5e:00:53:01 and :02, with the type that fits the IP version. */
test_packet test_ethernet(const test_packet *ip);
wlm_packet test_view(const test_packet *packet, uint32_t link_type, int64_t time_ns);

#endif
