/* altered.h: a flow before and after an alteration, for tests. */
#ifndef WLMI_TEST_ALTERED_H
#define WLMI_TEST_ALTERED_H

#include "capture/alter.h"
#include "support/packets.h"

typedef struct test_altered {
    wlm_flow_key key; /* before */
    wlmi_packet_list in, out;
    wlmi_alterer *alterer;
} test_altered;

test_altered test_altered_begin(void);
/* In Ethernet; the first packet makes the key. */
void test_altered_add(test_altered *f, const test_packet *ip, int64_t time_ns);
/* What a client and a server say: a handshake, then `segments` of 1,000 bytes of the server's in bursts of four, each
 * with a push at its end and an acknowledgement behind it. */
test_altered test_altered_talk(test_end from, test_end to, int segments);
void test_altered_end(test_altered *f);

/* Alters in to out; gives the key afterwards. */
wlm_flow_key test_alter(test_altered *f, wlmi_alteration kind, uint64_t seed);

wlmi_headers test_altered_headers(const wlm_packet *p);
int test_altered_same(const wlmi_packet_list *a, const wlmi_packet_list *b);
/* All checksums right, lengths those of the bytes, times not going back. */
void test_altered_sound(const wlmi_packet_list *list);
/* Whether every packet of `out` is one of `in`, in its order. */
int test_altered_subset(const test_altered *f);

#endif
