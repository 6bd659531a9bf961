/* fixture.h: an untrained model as a file, and a small capture to ask it about. */
#ifndef WLMI_TEST_FIXTURE_H
#define WLMI_TEST_FIXTURE_H

#include "model/model.h"
#include "support/packets.h"

typedef struct test_model_options {
    wlm_hide hide;
    uint32_t payload, max_packets;
    int context;          /* 0: 256 */
    const char *codec;    /* NULL: bytes */
    uint64_t shuffle_fields;
    wlm_unit unit;
    int all_cut;          /* training flows of each label: 10, 3 of them cut, of the first so many labels all */
} test_model_options;

/* Saves a tiny model of random weights, tasks "app" (dns, ssh, web / TLS 1.3; ports 53, 22, 0) and
 * "vpn-use" (yes, no). */
void test_model_file(const char *path, const test_model_options *options);

/* Conversations in Ethernet frames: TCP over IPv4 from SYN to FIN (8 packets), UDP both ways, UDP one way, TCP over
 * IPv6 from the middle on, ICMP echo; and one ARP packet. */
enum { TEST_CAPTURE_FLOWS = 5, TEST_CAPTURE_PACKETS = 8 + 2 + 1 + 3 + 2 + 1 };
size_t test_capture_packets(test_packet out[TEST_CAPTURE_PACKETS], int64_t time_ns[TEST_CAPTURE_PACKETS]);
void test_capture_file(const char *path, wlm_format format);

#endif
