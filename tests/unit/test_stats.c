/* test_stats.c: what captures cost in tokens: everything is counted once, in its place. */
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support/packets.h"
#include "token/codec.h"

static void write_capture(const char *path)
{
    static const test_end a = {"192.0.2.7", 40000}, b = {"198.51.100.9", 80};
    wlm_writer *writer;
    wlm_error error;
    wlm_writer_options options = {.format = WLM_FORMAT_PCAP, .link_type = 1};
    test_packet ip[5] = {test_tcp_seq(a, b, 2, 6, 0, "", 0), test_tcp_seq(b, a, 18, 8, 7, "", 0),
                         test_tcp_seq(a, b, 24, 7, 9, "hello", 5), test_udp(a, b, "name", 4),
                         test_udp(a, b, "name", 4)};
    assert_ok(wlm_writer_open(&writer, path, &options, &error), &error);
    for (int i = 0; i < 5; i++) {
        test_packet frame = test_ethernet(&ip[i]);
        wlm_packet p = test_view(&frame, 1, 1000000 * i);
        assert_ok(wlm_writer_packet(writer, &p, &error), &error);
    }
    static const uint8_t odd[20] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x12, 0x34};
    wlm_packet p = {.time_ns = 9000000, .captured = 20, .wire = 20, .link_type = 1, .data = odd};
    assert_ok(wlm_writer_packet(writer, &p, &error), &error);
    assert_ok(wlm_writer_finish(writer, &error), &error);
}

static void write_frames(const char *path)
{
    wlm_writer *writer;
    wlm_error error;
    wlm_writer_options options = {.format = WLM_FORMAT_PCAP, .link_type = 195};
    assert_ok(wlm_writer_open(&writer, path, &options, &error), &error);
    for (int i = 0; i < 40; i++) {
        const uint8_t frame[9] = {0x41, 0x88, (uint8_t)i, 1, 2, 3, 4, 5, 6};
        wlm_packet p = {.time_ns = 1000000 * i, .captured = 9, .wire = 9, .link_type = 195, .data = frame};
        assert_ok(wlm_writer_packet(writer, &p, &error), &error);
    }
    assert_ok(wlm_writer_finish(writer, &error), &error);
}

static wlm_token_stats stats_of(const char *codec, int times)
{
    const wlm_token_options options = {.codec = codec, .payload = WLM_PAYLOAD_FULL};
    wlm_token_counter *counter;
    wlm_token_stats stats;
    wlm_error error;
    write_capture(test_path("few.pcap"));
    assert_ok(wlm_token_counter_new(&counter, &options, &error), &error);
    for (int i = 0; i < times; i++)
        assert_ok(wlm_token_counter_add(counter, test_path("few.pcap"), &error), &error);
    wlm_token_counter_read(counter, &stats);
    wlm_token_counter_free(counter);
    return stats;
}

static void all_is_counted_once(void **state)
{
    (void)state;
    for (int codec = 0; codec < 2; codec++) {
        wlm_token_stats s = stats_of(codec ? "fields" : "bytes", 1);
        assert_int_equal(s.flows, 3);
        assert_int_equal(s.packets[WLM_TOKENS_TCP], 3);
        assert_int_equal(s.packets[WLM_TOKENS_UDP], 2);
        assert_int_equal(s.packets[WLM_TOKENS_OTHER], 1);
        assert_int_equal(s.opening_packets, 3);
        assert_int_equal(s.continuing_packets, 2);
        assert_int_equal(s.tokens[0] + s.tokens[1] + s.tokens[2], s.time_tokens + s.link_tokens + s.network_tokens +
                                                                      s.transport_tokens + s.raw_tokens);
        assert_int_equal(s.payload_tokens, 5 + 4 + 4 + (codec ? 0 : 20)); /* raw bytes are no payload */
        assert_int_equal(s.raw[0], codec);
        assert_true(s.header_bits > 0);
        if (!codec) { /* every header byte is a token */
            assert_int_equal(s.network_tokens, 5 * 20);
            assert_int_equal(s.transport_tokens, 3 * 20 + 2 * 8);
        }
    }
}

static void raw_packets_are_counted_by_link_type(void **state)
{
    const wlm_token_options options = {.codec = "fields", .payload = WLM_PAYLOAD_FULL};
    wlm_token_counter *counter;
    wlm_link_stats link;
    wlm_error error;
    (void)state;
    write_capture(test_path("few.pcap"));
    write_frames(test_path("frames.pcap"));
    assert_ok(wlm_token_counter_new(&counter, &options, &error), &error);
    assert_ok(wlm_token_counter_add(counter, test_path("frames.pcap"), &error), &error);
    assert_ok(wlm_token_counter_add(counter, test_path("few.pcap"), &error), &error);
    assert_true(wlm_token_counter_link(counter, 0, &link));
    assert_int_equal(link.link_type, 1);
    assert_int_equal(link.packets, 6);
    assert_int_equal(link.raw[0], 1);
    assert_true(wlm_token_counter_link(counter, 1, &link));
    assert_int_equal(link.link_type, 195);
    assert_int_equal(link.packets, 40);
    assert_int_equal(link.raw[0], 40);
    assert_int_equal(link.raw[1] + link.raw[2] + link.raw[3], 0);
    assert_false(wlm_token_counter_link(counter, 2, &link));
    wlm_token_counter_free(counter);
}

static uint64_t size_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

/* Against what the compressors themselves make of the file, where they are installed. */
static void bytes_for_scale_are_those_of_the_compressors(void **state)
{
    char command[1200];
    wlm_token_stats s = stats_of("fields", 2);
    (void)state;
    assert_int_equal(s.capture_bytes, 2 * size_of(test_path("few.pcap")));
    assert_true(s.gzip_bytes > 100 && s.gzip_bytes < s.capture_bytes);
    assert_true(s.zstd_bytes > 100 && s.zstd_bytes < s.capture_bytes);
    snprintf(command, sizeof command, "gzip -9 -n -c '%s' > '%s.gz'", test_path("few.pcap"), test_path("few.pcap"));
    if (system(command) == 0)
        assert_int_equal(s.gzip_bytes, 2 * size_of(test_path("few.pcap.gz")));
    snprintf(command, sizeof command, "zstd -q -f -19 --no-check '%s'", test_path("few.pcap"));
    if (system(command) == 0)
        assert_int_equal(s.zstd_bytes, 2 * size_of(test_path("few.pcap.zst")));
}

static void fields_need_fewer_tokens_and_bits(void **state)
{
    (void)state;
    wlm_token_stats bytes = stats_of("bytes", 1), fields = stats_of("fields", 1), more = stats_of("fields", 3);
    assert_true(3 * fields.tokens[WLM_TOKENS_TCP] < bytes.tokens[WLM_TOKENS_TCP]);
    assert_true(fields.header_bits < bytes.header_bits);
    assert_int_equal(more.tokens[WLM_TOKENS_TCP], 3 * fields.tokens[WLM_TOKENS_TCP]);
    assert_true(more.header_bits < 3 * fields.header_bits); /* what was seen is cheaper */
}

typedef struct lines {
    int count, stop_at;
    char text[8][1024];
} lines;

static int keep_line(void *user, const char *text)
{
    lines *l = user;
    assert_in_range(l->count, 0, 7);
    strncpy(l->text[l->count], text, sizeof l->text[0] - 1);
    return ++l->count == l->stop_at;
}

static void text_tells_what_was_told_and_what_was_predicted(void **state)
{
    const wlm_token_options fields = {.codec = "fields", .payload = WLM_PAYLOAD_FULL, .unit = WLM_UNIT_CAPTURE};
    const wlm_token_options bytes = {.codec = "bytes", .payload = WLM_PAYLOAD_FULL, .unit = WLM_UNIT_CAPTURE};
    lines l = {.count = 0};
    wlm_error error;
    (void)state;
    write_capture(test_path("few.pcap"));
    assert_ok(wlm_token_text(test_path("few.pcap"), &fields, keep_line, &l, &error), &error);
    assert_int_equal(l.count, 6);
    assert_non_null(strstr(l.text[0], "new eth/ip4/tcp >S time=0.000000000 "));
    assert_non_null(strstr(l.text[0], " dst=198.51.100.9 "));
    assert_non_null(strstr(l.text[1], "<SA time=0.001000000 "));
    assert_non_null(strstr(l.text[2], " seq+ ack+ "));
    assert_non_null(strstr(l.text[2], " length=5 "));
    l = (lines){.stop_at = 2};
    assert_int_equal(wlm_token_text(test_path("few.pcap"), &bytes, keep_line, &l, &error), WLM_STOPPED);
    assert_int_equal(strncmp(l.text[1], "start same ", 11), 0);
}

static void what_is_no_capture_is_an_error(void **state)
{
    wlm_token_options options = {.codec = "no such codec", .payload = WLM_PAYLOAD_FULL};
    wlm_token_counter *counter;
    wlm_error error;
    (void)state;
    assert_int_equal(wlm_token_counter_new(&counter, &options, &error), WLM_ERR_ARGUMENT);
    options = (wlm_token_options){.codec = "bytes", .payload = 8};
    assert_int_equal(wlm_token_counter_new(&counter, &options, &error), WLM_ERR_UNSUPPORTED);
    options.codec = "fields";
    assert_ok(wlm_token_counter_new(&counter, &options, &error), &error);
    test_write(test_path("text"), "no capture", 10);
    assert_int_equal(wlm_token_counter_add(counter, test_path("text"), &error), WLM_ERR_FORMAT);
    wlm_token_counter_free(counter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_counted_once),
        cmocka_unit_test(raw_packets_are_counted_by_link_type),
        cmocka_unit_test(bytes_for_scale_are_those_of_the_compressors),
        cmocka_unit_test(fields_need_fewer_tokens_and_bits),
        cmocka_unit_test(text_tells_what_was_told_and_what_was_predicted),
        cmocka_unit_test(what_is_no_capture_is_an_error),
    };
    return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
