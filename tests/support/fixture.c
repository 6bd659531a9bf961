/* fixture.c: an untrained model as a file, and a small capture to ask it about. */
#include "support/fixture.h"

#include <string.h>

#include "support/model.h"
#include "support/support.h"
#include "token/codec.h"

void test_model_file(const char *path, const test_model_options *options)
{
    static const char *const app[] = {"dns", "ssh", "web / TLS 1.3"}, *const vpn[] = {"yes", "no"};
    static const uint16_t port[] = {53, 22, 0};
    const wlmi_codec *codec = wlmi_codec_find(options->codec ? options->codec : "bytes");
    wlmi_config config = test_config("trafficgpt-nano");
    wlmi_net *net;
    wlm_error error;
    config.vocabulary = (int)codec->vocabulary;
    config.role_rows = (int)codec->roles + 1;
    config.context = options->context ? options->context : 256;
    assert_ok(wlmi_net_new(&net, &config, wlmi_backend_find(NULL), 1, &error), &error);
    assert_ok(wlmi_net_add_task(net, "app", app, 3, 1, &error), &error);
    assert_ok(wlmi_net_add_task(net, "vpn-use", vpn, 2, 1, &error), &error);
    for (int i = 0; i < 3; i++) {
        net->task[0].port[i] = port[i];
        net->task[0].flows[i] = 10;
        net->task[0].flows_cut[i] = i < options->all_cut ? 10 : 3;
    }
    strcpy(net->record.codec, codec->name);
    wlmi_codec_hash(codec, net->record.codec_hash);
    net->record.hide = options->hide;
    net->record.payload = options->payload;
    net->record.unit = options->unit;
    net->record.max_packets = options->max_packets;
    net->record.shuffle_fields = options->shuffle_fields;
    assert_ok(wlmi_checkpoint_save(net, path, &error), &error);
    wlmi_net_free(net);
}

size_t test_capture_packets(test_packet out[TEST_CAPTURE_PACKETS], int64_t time_ns[TEST_CAPTURE_PACKETS])
{
    static const test_end a = {"10.0.0.5", 40000}, b = {"10.0.0.9", 22}, c = {"10.0.0.5", 5353}, d = {"10.0.0.1", 53};
    static const test_end e = {"2001:db8::5", 50000}, f = {"2001:db8::6", 443}, g = {"10.0.0.5", 6000};
    static const uint8_t arp[28] = {0, 1, 8, 0, 6, 4, 0, 1}, broadcast[14] = {255, 255, 255, 255, 255, 255, [12] = 8, 6};
    const test_packet arp_body = {.size = 0};
    enum { SYN = WLMI_TCP_SYN, ACK = WLMI_TCP_ACK, FIN = WLMI_TCP_FIN };
    size_t n = 0;
    out[n++] = test_tcp_seq(a, b, SYN, 100, 0, "", 0);
    out[n++] = test_tcp_seq(b, a, SYN | ACK, 500, 101, "", 0);
    out[n++] = test_tcp_seq(a, b, ACK, 101, 501, "", 0);
    out[n++] = test_udp(c, d, "who is it", 9);
    out[n++] = test_tcp_seq(b, a, ACK, 501, 101, "SSH-2.0-test\r\n", 14);
    out[n++] = test_udp(d, c, "it is me", 8);
    out[n++] = test_udp(g, d, "hello?", 6);
    out[n++] = test_tcp_seq(e, f, ACK, 900, 800, "from the middle", 15);
    out[n++] = test_tcp_seq(f, e, ACK, 800, 915, "of it", 5);
    out[n++] = test_tcp_seq(a, b, ACK, 101, 515, "SSH-2.0-other\r\n", 15);
    out[n++] = test_icmp(a, d, 8, 0, "\0\1\0\1ping", 8);
    out[n++] = test_icmp(d, a, 0, 0, "\0\1\0\1ping", 8);
    out[n++] = test_tcp_seq(a, b, FIN | ACK, 116, 515, "", 0);
    out[n++] = test_tcp_seq(b, a, FIN | ACK, 515, 117, "", 0);
    out[n++] = test_tcp_seq(a, b, ACK, 117, 516, "", 0);
    out[n++] = test_tcp_seq(e, f, ACK, 915, 805, "", 0);
    for (size_t i = 0; i < n; i++)
        out[i] = test_ethernet(&out[i]);
    out[n] = test_behind(arp, sizeof arp, &arp_body);
    out[n] = test_behind(broadcast, sizeof broadcast, &out[n]);
    n++;
    for (size_t i = 0; i < n; i++)
        time_ns[i] = INT64_C(1700000000) * 1000000000 + (int64_t)i * 1234567;
    return n;
}

void test_capture_file(const char *path, wlm_format format)
{
    const wlm_writer_options options = {.format = format, .link_type = WLMI_LINK_ETHERNET, .nanosecond = 1};
    static test_packet packet[TEST_CAPTURE_PACKETS];
    int64_t time_ns[TEST_CAPTURE_PACKETS];
    size_t n = test_capture_packets(packet, time_ns);
    wlm_writer *writer;
    wlm_error error;
    assert_ok(wlm_writer_open(&writer, path, &options, &error), &error);
    for (size_t i = 0; i < n; i++) {
        wlm_packet view = test_view(&packet[i], WLMI_LINK_ETHERNET, time_ns[i]);
        assert_ok(wlm_writer_packet(writer, &view, &error), &error);
    }
    assert_ok(wlm_writer_finish(writer, &error), &error);
}
