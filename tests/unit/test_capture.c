/* test_capture.c: the reader over captures made here byte by byte, and the writer. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "capture/capture.h"

typedef struct bytes { /* a file in the making, of either byte order */
    uint8_t data[1 << 16];
    size_t size;
    int big;
} bytes;

static void put(bytes *b, uint64_t v, int size)
{
    for (int i = 0; i < size; i++)
        b->data[b->size + (size_t)i] = (uint8_t)(v >> 8 * (b->big ? size - 1 - i : i));
    b->size += (size_t)size;
}

static void zeros(bytes *b, size_t n)
{
    memset(b->data + b->size, 0, n);
    b->size += n;
}

static void put_text(bytes *b, const char *text)
{
    memcpy(b->data + b->size, text, strlen(text));
    b->size += strlen(text);
}

static void pcap_header(bytes *b, uint32_t magic, unsigned major, unsigned minor, uint32_t network)
{
    put(b, magic, 4);
    put(b, major, 2);
    put(b, minor, 2);
    put(b, 0, 8);
    put(b, 65535, 4);
    put(b, network, 4);
}

static void record(bytes *b, uint32_t seconds, uint32_t fraction, uint32_t first, uint32_t second)
{
    put(b, seconds, 4);
    put(b, fraction, 4);
    put(b, first, 4);
    put(b, second, 4);
}

static size_t begin_block(bytes *b, uint32_t type)
{
    put(b, type, 4);
    put(b, 0, 4);
    return b->size - 8;
}

static void end_block(bytes *b, size_t at)
{
    size_t size;
    while (b->size % 4)
        put(b, 0, 1);
    size = b->size + 4 - at;
    put(b, size, 4);
    b->size = at + 4;
    put(b, size, 4);
    b->size = at + size;
}

static void section(bytes *b)
{
    size_t at = begin_block(b, 0x0a0d0d0a);
    put(b, 0x1a2b3c4d, 4);
    put(b, 1, 2);
    put(b, 0, 2);
    put(b, UINT64_MAX, 8);
    end_block(b, at);
}

static void interface(bytes *b, unsigned link, unsigned snap, int resolution, int64_t offset)
{
    size_t at = begin_block(b, 1);
    put(b, link, 2);
    put(b, 0, 2);
    put(b, snap, 4);
    if (resolution >= 0) {
        put(b, 9, 2);
        put(b, 1, 2);
        put(b, (unsigned)resolution, 1);
        put(b, 0, 3);
    }
    if (offset) {
        put(b, 14, 2);
        put(b, 8, 2);
        put(b, (uint64_t)offset, 8);
    }
    end_block(b, at);
}

static void enhanced(bytes *b, unsigned on, uint64_t units, const char *data, unsigned wire)
{
    size_t at = begin_block(b, 6);
    put(b, on, 4);
    put(b, units >> 32, 4);
    put(b, units & UINT32_MAX, 4);
    put(b, strlen(data), 4);
    put(b, wire, 4);
    put_text(b, data);
    end_block(b, at);
}

static wlm_capture *over(const bytes *b)
{
    wlm_capture *capture;
    wlm_error error;
    assert_ok(wlm_capture_open_memory(&capture, b->data, b->size, "made", &error), &error);
    return capture;
}

static void expect(wlm_capture *capture, int64_t time, const char *data, unsigned wire, unsigned link, unsigned on)
{
    wlm_packet p;
    wlm_error error;
    assert_ok(wlm_capture_next(capture, &p, &error), &error);
    assert_true(p.time_ns == time);
    assert_int_equal(p.captured, strlen(data));
    assert_memory_equal(p.data, data, p.captured);
    assert_int_equal(p.wire, wire);
    assert_int_equal(p.link_type, link);
    assert_int_equal(p.interface, on);
}

static void expect_end(wlm_capture *capture, wlm_status how)
{
    wlm_packet p;
    wlm_error error;
    assert_int_equal(wlm_capture_next(capture, &p, &error), how);
    assert_int_equal(wlm_capture_next(capture, &p, &error), how);
    wlm_capture_close(capture);
}

static void every_pcap_magic_is_read(void **state)
{
    static const uint32_t magic[] = {0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34};
    (void)state;
    for (int big = 0; big < 2; big++)
        for (int m = 0; m < 3; m++) {
            bytes b = {.big = big};
            wlm_capture *c;
            pcap_header(&b, magic[m], 2, 4, 0x14000000 | 101); /* FCS bits above the link type */
            for (int i = 0; i < 2; i++) {
                record(&b, 4000000000u, 7, 3, 60);
                if (m == 2)
                    put(&b, 0, 8);
                put_text(&b, "abc");
            }
            c = over(&b);
            assert_int_equal(wlm_capture_format(c), WLM_FORMAT_PCAP);
            expect(c, INT64_C(4000000000) * 1000000000 + (m == 1 ? 7 : 7000), "abc", 60, 101, 0);
            expect(c, INT64_C(4000000000) * 1000000000 + (m == 1 ? 7 : 7000), "abc", 60, 101, 0);
            expect_end(c, WLM_END);
        }
}

static void old_versions_swap_lengths(void **state)
{
    bytes b = {.big = 0}, maybe = {.big = 1};
    wlm_capture *c;
    (void)state;
    pcap_header(&b, 0xa1b2c3d4, 2, 2, 1);
    record(&b, 1, 0, 9, 2);
    put_text(&b, "xy");
    c = over(&b);
    expect(c, 1000000000, "xy", 9, 1, 0);
    expect_end(c, WLM_END);
    pcap_header(&maybe, 0xa1b2c3d4, 2, 3, 1);
    record(&maybe, 1, 0, 9, 2);
    put_text(&maybe, "xy");
    record(&maybe, 1, 0, 2, 9);
    put_text(&maybe, "xy");
    c = over(&maybe);
    expect(c, 1000000000, "xy", 9, 1, 0);
    expect(c, 1000000000, "xy", 9, 1, 0);
    expect_end(c, WLM_END);
}

static void sections_interfaces_and_clocks(void **state)
{
    (void)state;
    for (int big = 0; big < 2; big++) {
        bytes b = {.big = big};
        wlm_capture *c;
        size_t at;
        section(&b);
        interface(&b, 1, 0, -1, 0);
        interface(&b, 101, 0, 9, -3);
        interface(&b, 113, 0, 0x80 | 10, 0);
        interface(&b, 228, 0, 12, 0);
        enhanced(&b, 0, UINT64_C(1700000000000001), "abc", 3);
        enhanced(&b, 1, UINT64_C(5000000007), "abcd", 99);
        enhanced(&b, 2, 1024 + 512, "", 0);
        enhanced(&b, 3, UINT64_C(2000000001999), "x", 1);
        at = begin_block(&b, 0x0bad); /* unknown: passed over */
        put_text(&b, "whatever");
        end_block(&b, at);
        b.big = !big; /* another section, from the other end, with interfaces of its own */
        section(&b);
        interface(&b, 9, 2, -1, 0);
        enhanced(&b, 0, 5, "zz", 2);
        at = begin_block(&b, 3); /* simple: no time, no interface, cut by the snap length */
        put(&b, 5, 4);
        put_text(&b, "he");
        end_block(&b, at);
        at = begin_block(&b, 2); /* obsolete */
        put(&b, 0, 2);
        put(&b, 1, 2);
        put(&b, 0, 4);
        put(&b, 8, 4);
        put(&b, 2, 4);
        put(&b, 70, 4);
        put_text(&b, "ob");
        end_block(&b, at);
        c = over(&b);
        assert_int_equal(wlm_capture_format(c), WLM_FORMAT_PCAPNG);
        expect(c, INT64_C(1700000000000001000), "abc", 3, 1, 0);
        expect(c, 2000000007, "abcd", 99, 101, 1);
        expect(c, 1500000000, "", 0, 113, 2);
        expect(c, 2000000001, "x", 1, 228, 3);
        expect(c, 5000, "zz", 2, 9, 4);
        expect(c, 5000, "he", 5, 9, 4);
        expect(c, 8000, "ob", 70, 9, 4);
        expect_end(c, WLM_END);
    }
}

/* Damage: packets before it are given, the error says where, and the rest is all there. */
static void expect_damage(const bytes *b, int packets, uint64_t offset)
{
    wlm_capture *c = over(b);
    const uint8_t *piece;
    uint8_t *whole = malloc(b->size + 1);
    size_t at = 0, size;
    wlmi_item item;
    wlm_error error;
    wlm_status status;
    assert_non_null(whole);
    while ((status = wlmi_capture_item(c, &item, &error)) == WLM_OK) {
        memcpy(whole + at, item.bytes, item.size);
        at += item.size;
        packets -= item.is_packet;
    }
    assert_int_equal(packets, 0);
    assert_int_equal(status, WLM_ERR_FORMAT);
    assert_int_equal(error.offset, offset);
    assert_int_equal(at, offset);
    assert_string_equal(error.file, "made");
    while ((status = wlmi_capture_rest(c, &piece, &size, &error)) == WLM_OK) {
        memcpy(whole + at, piece, size);
        at += size;
    }
    assert_int_equal(status, WLM_END);
    assert_int_equal(at, b->size);
    assert_memory_equal(whole, b->data, at);
    free(whole);
    wlm_capture_close(c);
}

static void damage_is_found_where_it_is(void **state)
{
    bytes b = {.big = 0}, ng = {.big = 0};
    size_t good;
    (void)state;
    pcap_header(&b, 0xa1b2c3d4, 2, 4, 1);
    record(&b, 1, 2, 3, 3);
    put_text(&b, "abc");
    good = b.size;
    put_text(&b, "junk");
    expect_damage(&b, 1, good); /* less than a record's head */
    b.size = good;
    record(&b, 1, 2, 10, 10);
    put_text(&b, "short");
    expect_damage(&b, 1, good);
    b.size = good;
    record(&b, 1, 2, UINT32_MAX, 10); /* a length that must not be believed */
    put_text(&b, "anything, and more");
    expect_damage(&b, 1, good);

    section(&ng);
    interface(&ng, 1, 0, -1, 0);
    enhanced(&ng, 0, 5, "abc", 3);
    good = ng.size;
    enhanced(&ng, 0, 5, "abc", 3);
    ng.data[ng.size - 4] ^= 4; /* the two lengths differ */
    expect_damage(&ng, 1, good);
    ng.size = good;
    enhanced(&ng, 1, 5, "abc", 3); /* no such interface */
    expect_damage(&ng, 1, good);
    ng.size = good;
    enhanced(&ng, 0, 5, "abc", 3);
    ng.data[good + 20] = 5; /* longer than the block */
    expect_damage(&ng, 1, good);
    ng.size = good;
    put(&ng, 6, 4);
    put(&ng, 30, 4); /* no multiple of 4, and too short */
    zeros(&ng, 20);
    expect_damage(&ng, 1, good);
    ng.size = good;
    put(&ng, 5, 4);
    put(&ng, 0xfffffffc, 4);
    zeros(&ng, 20);
    expect_damage(&ng, 1, good);
}

static void what_is_no_capture_is_refused(void **state)
{
    static const struct {
        const char *data;
        size_t size;
    } inputs[] = {{"", 0}, {"\xd4", 1}, {"\xd4\xc3\xb2\xa1", 4}, {"hello, world", 12},
                  {"\x0a\x0d\x0d\x0a\x1c\0\0\0\1\2\3\4", 12}, {"\x1f\x8b\x08garbage", 10}};
    (void)state;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        wlm_capture *c;
        wlm_error error;
        assert_int_equal(wlm_capture_open_memory(&c, inputs[i].data, inputs[i].size, "it", &error), WLM_ERR_FORMAT);
        assert_null(c);
        assert_string_equal(error.file, "it");
        assert_true(error.cause[0]);
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) { /* pcap us, pcap ns, pcapng */
        const char *path = test_path(kind == 2 ? "w.pcapng" : "w.pcap");
        wlm_writer_options options = {kind == 2 ? WLM_FORMAT_PCAPNG : WLM_FORMAT_PCAP, 101, 0, kind == 1};
        wlm_packet made[40], p;
        uint8_t data[40];
        wlm_writer *w;
        wlm_capture *c;
        wlm_error error;
        assert_ok(wlm_writer_open(&w, path, &options, &error), &error);
        for (int i = 0; i < 40; i++) {
            data[i] = (uint8_t)i;
            made[i] = (wlm_packet){.time_ns = INT64_C(1700000000123456789) + i * 7919, .captured = (uint32_t)i,
                                   .wire = (uint32_t)(i + i % 3), .link_type = kind == 2 && i % 4 == 3 ? 1 : 101,
                                   .data = data, .comment = i % 5 ? NULL : "a label, \xc3\xbc"};
            assert_ok(wlm_writer_packet(w, &made[i], &error), &error);
        }
        p = made[3];
        p.link_type = kind == 2 ? 65536 : 7;
        assert_int_equal(wlm_writer_packet(w, &p, &error), WLM_ERR_ARGUMENT);
        p = made[3];
        p.time_ns = -1;
        assert_int_equal(wlm_writer_packet(w, &p, &error), WLM_ERR_ARGUMENT);
        assert_ok(wlm_writer_finish(w, &error), &error);
        assert_ok(wlm_capture_open(&c, path, &error), &error);
        for (int i = 0; i < 40; i++) {
            int64_t unit = kind == 0 ? 1000 : 1;
            assert_ok(wlm_capture_next(c, &p, &error), &error);
            assert_true(p.time_ns == made[i].time_ns / unit * unit);
            assert_int_equal(p.captured, made[i].captured);
            assert_int_equal(p.wire, made[i].wire);
            assert_int_equal(p.link_type, made[i].link_type);
            assert_memory_equal(p.data, data, p.captured);
        }
        expect_end(c, WLM_END);
    }
}

static void a_comment_stands_in_its_block(void **state)
{
    const char *path = test_path("comment.pcapng");
    wlm_writer_options options = {WLM_FORMAT_PCAPNG, 1, 0, 0};
    wlm_packet p = {.captured = 3, .wire = 3, .link_type = 1, .data = (const uint8_t *)"abc", .comment = "dns"};
    wlm_writer *w;
    wlm_error error;
    uint8_t *file;
    size_t size;
    static const uint8_t tail[] = {'a', 'b', 'c', 0, 1, 0, 3, 0, 'd', 'n', 's', 0, 0, 0, 0, 0, 48, 0, 0, 0};
    (void)state;
    assert_ok(wlm_writer_open(&w, path, &options, &error), &error);
    assert_ok(wlm_writer_packet(w, &p, &error), &error);
    assert_ok(wlm_writer_finish(w, &error), &error);
    file = test_read(path, &size);
    assert_true(size > sizeof tail);
    assert_memory_equal(file + size - sizeof tail, tail, sizeof tail);
    free(file);
}

static void a_discarded_file_is_gone(void **state)
{
    wlm_writer *w;
    wlm_error error;
    wlm_capture *c;
    (void)state;
    assert_ok(wlm_writer_open(&w, test_path("gone.pcap"), &(wlm_writer_options){.link_type = 1}, &error), &error);
    wlm_writer_discard(w);
    assert_int_equal(wlm_capture_open(&c, test_path("gone.pcap"), &error), WLM_ERR_IO);
}

/* What wrap foretells for a packet is what parsing gives back, for every clock that is no finer than 1 ns. */
static void records_are_foretold(void **state)
{
    static const int resolutions[] = {0, 3, 6, 9, 0x80, 0x80 | 1, 0x80 | 20, 0x80 | 29};
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 9);
    for (int round = 0; round < 2000; round++) {
        static bytes b;
        int resolution = resolutions[round % 8];
        double per_second = resolution & 0x80 ? (double)(1u << (resolution & 0x7f))
                            : resolution == 9 ? 1e9 : resolution == 6 ? 1e6 : resolution == 3 ? 1e3 : 1;
        uint64_t seconds = wlmi_rng_below(&rng, 4000000000u);
        uint64_t units = (uint64_t)((double)seconds * per_second) + wlmi_rng_below(&rng, 1000);
        wlmi_item item;
        wlmi_wrap wrap;
        wlm_error error;
        wlm_capture *c;
        b.size = 0;
        b.big = round & 1;
        section(&b);
        interface(&b, 1, 0, resolution, (int64_t)wlmi_rng_below(&rng, 3) - 1);
        enhanced(&b, 0, units, "abcde" + round % 6, 77);
        c = over(&b);
        for (int i = 0; i < 3; i++)
            assert_ok(wlmi_capture_item(c, &item, &error), &error);
        assert_true(item.is_packet);
        assert_int_equal(wlmi_layout_wrap(wlmi_capture_layout(c), &item.packet, 0, &wrap), 1);
        assert_int_equal(wrap.prefix_size, item.data_at);
        assert_memory_equal(wrap.prefix, item.bytes, wrap.prefix_size);
        assert_int_equal(wrap.prefix_size + item.packet.captured + wrap.suffix_size, item.size);
        assert_memory_equal(wrap.suffix, item.bytes + item.size - wrap.suffix_size, wrap.suffix_size);
        wlm_capture_close(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pcap_magic_is_read),
        cmocka_unit_test(old_versions_swap_lengths),
        cmocka_unit_test(sections_interfaces_and_clocks),
        cmocka_unit_test(damage_is_found_where_it_is),
        cmocka_unit_test(what_is_no_capture_is_refused),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_comment_stands_in_its_block),
        cmocka_unit_test(a_discarded_file_is_gone),
        cmocka_unit_test(records_are_foretold),
    };
    return cmocka_run_group_tests_name("capture", tests, NULL, NULL);
}
