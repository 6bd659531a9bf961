/* captures.h: small captures with conversations made by hand, and their import, for tests. */
#ifndef WLMI_TEST_CAPTURES_H
#define WLMI_TEST_CAPTURES_H

#include "support/packets.h"
#include "task/shard.h"

typedef struct test_capture {
    wlm_writer *writer;
    int64_t time_ns; /* of the next packet; each moves it on by 1 ms */
} test_capture;

/* A pcap of Ethernet packets at test_path(name); folders in the name are made. */
void test_capture_begin(test_capture *capture, const char *name);
void test_capture_put(test_capture *capture, const test_packet *ip);
/* Handshake, `exchanges` requests and answers, FIN both ways: 7 + 2 * exchanges packets. */
void test_capture_tcp(test_capture *capture, test_end client, test_end server, int exchanges);
/* A question and an answer, so many times. */
void test_capture_udp(test_capture *capture, test_end client, test_end server, int exchanges);
void test_capture_end(test_capture *capture);

/* A capture with one TCP flow of 2 exchanges and one UDP flow of 1, from client ports `port` and port + 1. */
void test_capture_two(const char *name, uint16_t port);

void test_write_text(const char *path, const char *text);

/* Imports into test_path("import"), and opens it. csv: text for test_path("labels.csv"), or NULL. options: what else
 * there is to say (out and labels are set here); NULL paths: the CSV's. Fails the test where it cannot. */
wlmi_dataset *test_import(wlm_import_options *options, const char *csv, wlm_import_report *report);

#endif
