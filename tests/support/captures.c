/* captures.c: small captures with conversations made by hand, and their import, for tests. */
#include "support/captures.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "support/support.h"

void test_capture_begin(test_capture *c, const char *name)
{
    const wlm_writer_options options = {WLM_FORMAT_PCAP, WLMI_LINK_ETHERNET, 0, 1};
    const char *path = test_path(name);
    char folder[512];
    wlm_error error;
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
        mkdir(folder, 0777);
    }
    c->time_ns = INT64_C(1700000000000000000);
    assert_ok(wlm_writer_open(&c->writer, path, &options, &error), &error);
}

void test_capture_put(test_capture *c, const test_packet *ip)
{
    test_packet framed = test_ethernet(ip);
    wlm_packet packet = test_view(&framed, WLMI_LINK_ETHERNET, c->time_ns);
    wlm_error error;
    c->time_ns += 1000000;
    assert_ok(wlm_writer_packet(c->writer, &packet, &error), &error);
}

void test_capture_tcp(test_capture *c, test_end client, test_end server, int exchanges)
{
    uint32_t seq = 1000, ack = 2000;
    test_packet p = test_tcp_seq(client, server, WLMI_TCP_SYN, seq++, 0, "", 0);
    test_capture_put(c, &p);
    p = test_tcp_seq(server, client, WLMI_TCP_SYN | WLMI_TCP_ACK, ack++, seq, "", 0);
    test_capture_put(c, &p);
    p = test_tcp_seq(client, server, WLMI_TCP_ACK, seq, ack, "", 0);
    test_capture_put(c, &p);
    for (int i = 0; i < exchanges; i++) {
        char text[40];
        size_t n = (size_t)snprintf(text, sizeof text, "question %d\n", i);
        p = test_tcp_seq(client, server, WLMI_TCP_PSH | WLMI_TCP_ACK, seq, ack, text, n);
        test_capture_put(c, &p);
        seq += (uint32_t)n;
        n = (size_t)snprintf(text, sizeof text, "answer number %d\n", i);
        p = test_tcp_seq(server, client, WLMI_TCP_PSH | WLMI_TCP_ACK, ack, seq, text, n);
        test_capture_put(c, &p);
        ack += (uint32_t)n;
    }
    p = test_tcp_seq(client, server, WLMI_TCP_FIN | WLMI_TCP_ACK, seq++, ack, "", 0);
    test_capture_put(c, &p);
    p = test_tcp_seq(server, client, WLMI_TCP_ACK, ack, seq, "", 0);
    test_capture_put(c, &p);
    p = test_tcp_seq(server, client, WLMI_TCP_FIN | WLMI_TCP_ACK, ack++, seq, "", 0);
    test_capture_put(c, &p);
    p = test_tcp_seq(client, server, WLMI_TCP_ACK, seq, ack, "", 0);
    test_capture_put(c, &p);
}

void test_capture_udp(test_capture *c, test_end client, test_end server, int exchanges)
{
    for (int i = 0; i < exchanges; i++) {
        test_packet p = test_udp(client, server, "ping", 4);
        test_capture_put(c, &p);
        p = test_udp(server, client, "pong!", 5);
        test_capture_put(c, &p);
    }
}

void test_capture_end(test_capture *c)
{
    wlm_error error;
    assert_ok(wlm_writer_finish(c->writer, &error), &error);
}

void test_capture_two(const char *name, uint16_t port)
{
    test_capture c;
    test_capture_begin(&c, name);
    test_capture_tcp(&c, (test_end){"10.0.0.1", port}, (test_end){"10.0.0.9", 80}, 2);
    test_capture_udp(&c, (test_end){"10.0.0.1", (uint16_t)(port + 1)}, (test_end){"10.0.0.9", 53}, 1);
    test_capture_end(&c);
}

void test_write_text(const char *path, const char *text)
{
    test_write(path, text, strlen(text));
}

wlmi_dataset *test_import(wlm_import_options *options, const char *csv, wlm_import_report *report)
{
    wlmi_dataset *dataset;
    wlm_error error;
    options->out = test_path("import");
    if (csv) {
        options->labels = test_path("labels.csv");
        test_write_text(options->labels, csv);
    }
    assert_ok(wlm_import(options, report, &error), &error);
    assert_ok(wlmi_dataset_open(&dataset, options->out, &error), &error);
    return dataset;
}
