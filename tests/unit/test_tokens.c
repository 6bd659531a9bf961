/* test_tokens.c: token files: exact for captures made at random and broken at random, whatever memory does. */
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/digest.h"
#include "base/rng.h"
#include "support/hostile.h"
#include "token/streams.h"
#include "token/transcode.h"

enum { ROOM = 1 << 18 };

typedef struct maker {
    uint8_t data[ROOM];
    size_t size;
    wlmi_rng rng;
} maker;

static uint64_t below(maker *m, uint64_t n)
{
    return wlmi_rng_below(&m->rng, n);
}

static void put32(maker *m, uint32_t v)
{
    wlmi_store_le32(m->data + m->size, v);
    m->size += 4;
}

static void put_noise(maker *m, size_t n)
{
    for (size_t i = 0; i < n; i++)
        m->data[m->size++] = (uint8_t)below(m, below(m, 2) ? 256 : 4);
}

static void make_pcap(maker *m, int records)
{
    put32(m, below(m, 2) ? 0xa1b2c3d4 : 0xa1b23c4d);
    put32(m, 2 | 4 << 16);
    put_noise(m, 8);
    put32(m, 65535);
    put32(m, below(m, 3) ? 101 : 1);
    for (int i = 0; i < records; i++) {
        uint32_t n = (uint32_t)below(m, below(m, 4) ? 80 : 2000);
        put32(m, (uint32_t)(1700000000 + i));
        put32(m, (uint32_t)below(m, below(m, 9) ? 1000000 : UINT32_MAX)); /* now and then no fraction at all */
        put32(m, n);
        put32(m, below(m, 4) ? n : (uint32_t)wlmi_rng_next(&m->rng));
        put_noise(m, n);
    }
}

static void make_block(maker *m, uint32_t type, size_t body)
{
    size_t at = m->size;
    put32(m, type);
    put32(m, (uint32_t)(12 + body));
    put_noise(m, body);
    put32(m, (uint32_t)(12 + body));
    if (type == 0x0a0d0d0a)
        wlmi_store_le32(m->data + at + 8, 0x1a2b3c4d);
    if (type == 6) { /* mostly plain: interface, a length that fits, zero padding */
        uint32_t n = (uint32_t)(body - 20 - below(m, 4));
        wlmi_store_le32(m->data + at + 8, (uint32_t)below(m, 2));
        wlmi_store_le32(m->data + at + 12, 0x5f000);
        wlmi_store_le32(m->data + at + 20, n);
        if (below(m, 4)) {
            wlmi_store_le32(m->data + at + 24, n);
            memset(m->data + at + 28 + n, 0, body - 20 - n);
        }
    }
}

static void make_pcapng(maker *m, int blocks)
{
    make_block(m, 0x0a0d0d0a, 16);
    for (int i = 0; i < 3; i++)
        make_block(m, 1, 8 + 4 * below(m, 6));
    for (int i = 0; i < blocks; i++)
        switch (below(m, 12)) {
        case 0: make_block(m, (uint32_t)below(m, 12) + 7, 4 * below(m, 50)); break;
        case 1: make_block(m, 3, 4 + 4 * below(m, 50)); break;
        case 2: make_block(m, 1, 8 + 4 * below(m, 6)); break;
        default: make_block(m, 6, 24 + 4 * below(m, 100));
        }
}

static wlm_status verify(const void *data, size_t size, const char *codec, int unit_capture, wlm_token_report *report,
                         wlm_error *error)
{
    wlm_capture *capture;
    wlm_status status = wlm_capture_open_memory(&capture, data, size, "made", error);
    return status == WLM_OK ? wlmi_verify_capture(capture, "made", wlmi_codec_find(codec),
                                                  &(wlmi_coder_options){.capture = unit_capture}, report, error)
                            : status;
}

static void random_captures_are_exact(void **state)
{
    maker *m = malloc(sizeof *m);
    (void)state;
    assert_non_null(m);
    wlmi_rng_seed(&m->rng, 1);
    for (int round = 0; round < 400; round++) {
        wlm_token_report report;
        wlm_error error;
        char digest[65];
        m->size = 0;
        if (round % 2)
            make_pcap(m, (int)below(m, 40));
        else
            make_pcapng(m, (int)below(m, 60));
        if (round % 3 == 0) /* broken off, or garbled past the header */
            m->size = 100 + below(m, m->size);
        else if (round % 3 == 1 && m->size > 200)
            for (int i = 0; i < 5; i++)
                m->data[100 + below(m, m->size - 100)] ^= (uint8_t)below(m, 256);
        assert_ok(verify(m->data, m->size, round / 6 % 2 ? "bytes" : "fields", round / 12 % 2, &report, &error), &error);
        assert_int_equal(report.unit, round / 12 % 2 ? WLM_UNIT_CAPTURE : WLM_UNIT_FLOW);
        assert_int_equal(report.capture_bytes, m->size);
        assert_true((report.damage[0] != 0) == (report.damage_offset != WLM_NO_OFFSET));
        wlmi_sha256_of(m->data, m->size, digest);
        assert_string_equal(report.sha256, digest);
    }
    free(m);
}

static void captures_of_many_frames_are_exact(void **state)
{
    enum { PACKET = 300000, PACKETS = 12 };
    size_t size = 24, room = 24 + PACKETS * (size_t)(16 + 10 * PACKET);
    uint8_t *file = calloc(1, room);
    wlm_token_report report;
    wlm_error error;
    (void)state;
    assert_non_null(file);
    wlmi_store_le32(file, 0xa1b2c3d4);
    wlmi_store_le32(file + 4, 2 | 4 << 16);
    wlmi_store_le32(file + 20, 101);
    for (uint32_t i = 0; i < PACKETS; i++) { /* the last but one alone fills several frames */
        uint32_t n = i == PACKETS - 2 ? 10 * PACKET : PACKET;
        wlmi_store_le32(file + size, 1000 + i);
        wlmi_store_le32(file + size + 8, n);
        wlmi_store_le32(file + size + 12, n);
        memset(file + size + 16, (int)i, n);
        size += 16 + n;
    }
    for (int unit = 0; unit < 2; unit++) {
        assert_ok(verify(file, size, "bytes", unit, &report, &error), &error);
        assert_int_equal(report.packets, PACKETS);
        assert_true(report.tokens > 6 * WLMI_FRAME_TOKENS);
        assert_ok(verify(file, size, "fields", unit, &report, &error), &error);
    }
    free(file);
}

/* More flows at a time than are held: the least recently used end, and their slots are used again. */
static void more_flows_than_are_held_are_exact(void **state)
{
    enum { FLOWS = WLMI_STREAMS_MAX + 200, PACKET = 28, RECORD = 16 + PACKET };
    size_t size = 24;
    uint8_t *file = calloc(1, 24 + 2 * FLOWS * RECORD);
    wlm_error error;
    (void)state;
    assert_non_null(file);
    wlmi_store_le32(file, 0xa1b2c3d4);
    wlmi_store_le32(file + 4, 2 | 4 << 16);
    wlmi_store_le32(file + 20, 101);
    for (uint32_t i = 0; i < 2 * FLOWS; i++, size += RECORD) {
        uint8_t *ip = file + size + 16;
        wlmi_store_le32(file + size, 1000 + i / 200);
        wlmi_store_le32(file + size + 8, PACKET);
        wlmi_store_le32(file + size + 12, PACKET);
        memcpy(ip, (uint8_t[]){0x45, 0, 0, PACKET, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}, 20);
        wlmi_store_be16(ip + 20, (uint16_t)(1024 + i % FLOWS));
        wlmi_store_be16(ip + 22, 53);
        wlmi_store_be16(ip + 24, 8);
    }
    for (int unit = 0; unit < 2; unit++) {
        wlm_token_report report;
        assert_ok(verify(file, size, "fields", unit, &report, &error), &error);
        assert_int_equal(report.flows, 2 * FLOWS); /* each was forgotten before it spoke again */
    }
    free(file);
}

static const char *small_capture(void)
{
    static maker m;
    wlmi_rng_seed(&m.rng, 4);
    m.size = 0;
    make_pcapng(&m, 30);
    put_noise(&m, 7);
    test_write(test_path("small.pcapng"), m.data, m.size);
    return test_path("small.pcapng");
}

/* As small_capture(), of packets that have flows, headers and payload, some of them broken. */
static const char *hostile_capture(uint64_t seed)
{
    static maker m;
    hostile_packets *s = calloc(1, sizeof *s);
    assert_non_null(s);
    hostile_make(s, seed, 3);
    m.size = 0;
    put32(&m, 0xa1b23c4d);
    put32(&m, 2 | 4 << 16);
    put32(&m, 0);
    put32(&m, 0);
    put32(&m, 65535);
    put32(&m, s->count ? s->packet[0].link_type : 1);
    for (size_t i = 0; i < s->count && m.size + 16 + s->packet[i].captured < ROOM; i++) {
        const wlm_packet *p = &s->packet[i];
        if (p->link_type != s->packet[0].link_type)
            continue;
        put32(&m, (uint32_t)(1700000000 + i));
        put32(&m, (uint32_t)(seed * i % 1000000000));
        put32(&m, p->captured);
        put32(&m, p->wire);
        if (p->captured)
            memcpy(m.data + m.size, p->data, p->captured);
        m.size += p->captured;
    }
    free(s);
    test_write(test_path("hostile.pcap"), m.data, m.size);
    return test_path("hostile.pcap");
}

static void assert_same_file(const char *a_name, const char *b_name)
{
    size_t a_size, b_size;
    uint8_t *a = test_read(a_name, &a_size), *b = test_read(b_name, &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a, b, a_size);
    free(a);
    free(b);
}

/* encode(decode(t)) = t, to the last byte of the file, where payload was left out; and verify agrees. */
static void limited_payload_stays_as_decoded(void **state)
{
    char in[512], first[512], out[512], second[512];
    uint64_t lossy = 0;
    (void)state;
    snprintf(first, sizeof first, "%s", test_path("first.tok"));
    snprintf(out, sizeof out, "%s", test_path("lossy.pcap"));
    snprintf(second, sizeof second, "%s", test_path("second.tok"));
    for (uint64_t round = 0; round < 60; round++) {
        const wlm_token_options options = {.codec = "fields", .payload = (uint32_t)(round % 3) * 9, .seed = round,
                                           .unit = round % 2 ? WLM_UNIT_CAPTURE : WLM_UNIT_FLOW};
        wlm_token_report whole, encoded, decoded;
        wlm_error error;
        snprintf(in, sizeof in, "%s", round % 5 ? hostile_capture(round) : small_capture());
        assert_ok(wlm_verify_file(in, &(wlm_token_options){.codec = "fields", .payload = WLM_PAYLOAD_FULL}, &whole,
                                  &error), &error);
        assert_int_equal(whole.payload, WLM_PAYLOAD_FULL);
        assert_false(whole.lossy);
        assert_ok(wlm_encode_file(in, first, &options, &encoded, &error), &error);
        assert_ok(wlm_decode_file(first, out, NULL, &decoded, &error), &error);
        assert_int_equal(decoded.payload, options.payload);
        assert_string_equal(encoded.sha256, decoded.sha256);
        assert_int_equal(encoded.capture_bytes, whole.capture_bytes);
        assert_int_equal(encoded.lossy, strcmp(encoded.sha256, whole.sha256) != 0);
        lossy += (uint64_t)encoded.lossy;
        assert_ok(wlm_verify_file(in, &options, &decoded, &error), &error);
        assert_int_equal(decoded.lossy, encoded.lossy);
        assert_string_equal(decoded.sha256, encoded.sha256);
        assert_ok(wlm_encode_file(out, second, &options, &encoded, &error), &error);
        assert_false(encoded.lossy);
        assert_same_file(first, second);
    }
    assert_in_range(lossy, 20, 59);
}

/* What was left out stands nowhere in the file; another seed fills it otherwise. */
static void payload_left_out_is_gone(void **state)
{
    enum { HEAD = 24 + 16, PACKET = 1028 };
    wlm_token_options options = {.codec = "fields", .payload = 8, .seed = 1};
    uint8_t file[HEAD + PACKET] = {0}, *ip = file + HEAD, *a, *b;
    char in[512], tokens[512], out[512];
    wlm_error error;
    size_t size;
    (void)state;
    snprintf(in, sizeof in, "%s", test_path("one.pcap"));
    snprintf(tokens, sizeof tokens, "%s", test_path("one.tok"));
    snprintf(out, sizeof out, "%s", test_path("one.out"));
    wlmi_store_le32(file, 0xa1b2c3d4);
    wlmi_store_le32(file + 4, 2 | 4 << 16);
    wlmi_store_le32(file + 20, 101);
    wlmi_store_le32(file + 32, PACKET);
    wlmi_store_le32(file + 36, PACKET);
    memcpy(ip, (uint8_t[]){0x45, 0, PACKET >> 8, PACKET & 255, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
                           4, 0, 0, 53, (PACKET - 20) >> 8, (PACKET - 20) & 255, 0, 0}, 28);
    for (int i = 28; i < PACKET; i++)
        ip[i] = (uint8_t)(i * i >> 3);
    test_write(in, file, sizeof file);
    assert_ok(wlm_encode_file(in, tokens, &options, NULL, &error), &error);
    free(test_read(tokens, &size));
    assert_in_range(size, 240, 500); /* 1000 bytes that do not repeat are not in there */
    assert_ok(wlm_decode_file(tokens, out, NULL, NULL, &error), &error);
    a = test_read(out, &size);
    assert_int_equal(size, sizeof file);
    assert_memory_equal(a, file, HEAD + 36);
    assert_memory_not_equal(a + HEAD + 36, ip + 36, 16);
    options.seed = 2;
    assert_ok(wlm_encode_file(in, tokens, &options, NULL, &error), &error);
    assert_ok(wlm_decode_file(tokens, out, NULL, NULL, &error), &error);
    b = test_read(out, &size);
    assert_memory_equal(b, file, HEAD + 36);
    assert_memory_not_equal(a + HEAD + 36, b + HEAD + 36, 16);
    free(a);
    free(b);
}

static void codecs_that_tell_all_payload_say_so(void **state)
{
    const wlm_token_options options = {.codec = "bytes", .payload = 64};
    char out[512];
    wlm_error error;
    wlm_capture *capture;
    (void)state;
    snprintf(out, sizeof out, "%s", test_path("never.tok"));
    assert_int_equal(wlm_token_options_check(&options, &error), WLM_ERR_UNSUPPORTED);
    assert_int_equal(wlm_verify_file(small_capture(), &options, NULL, &error), WLM_ERR_UNSUPPORTED);
    assert_int_equal(wlm_encode_file(small_capture(), out, &options, NULL, &error), WLM_ERR_UNSUPPORTED);
    assert_int_equal(wlm_capture_open(&capture, out, &error), WLM_ERR_IO);
}

/* With the k-th allocation failing, for every k, a call says so, leaves nothing behind, and later succeeds. */
static void failing_memory(wlm_status (*call)(const char *in, const char *out, wlm_error *error), const char *in)
{
    char out[512];
    uint64_t k = 0;
    wlm_status status;
    snprintf(out, sizeof out, "%s", test_path("out"));
    do {
        wlm_error error = {.status = WLM_OK};
        wlmi_alloc_fail_at(++k);
        status = call(in, out, &error);
        wlmi_alloc_fail_at(0);
        if (status != WLM_OK) {
            wlm_capture *capture;
            if (status != WLM_ERR_MEMORY)
                fail_msg("allocation %d: %s", (int)k, error.cause);
            assert_int_equal(error.status, WLM_ERR_MEMORY);
            assert_int_equal(wlm_capture_open(&capture, out, &error), WLM_ERR_IO);
        }
        assert_true(k < 2000);
    } while (status != WLM_OK);
    assert_true(k > 10);
}

static wlm_status call_encode(const char *in, const char *out, wlm_error *error)
{
    return wlm_encode_file(in, out, NULL, NULL, error);
}

static const wlm_token_options limited = {.codec = "fields", .payload = 4};

static wlm_status call_encode_limited(const char *in, const char *out, wlm_error *error)
{
    return wlm_encode_file(in, out, &limited, NULL, error);
}

static wlm_status call_verify_limited(const char *in, const char *out, wlm_error *error)
{
    (void)out;
    return wlm_verify_file(in, &limited, NULL, error);
}

static wlm_status call_decode(const char *in, const char *out, wlm_error *error)
{
    return wlm_decode_file(in, out, NULL, NULL, error);
}

static wlm_status call_verify(const char *in, const char *out, wlm_error *error)
{
    (void)out;
    return wlm_verify_file(in, NULL, NULL, error);
}

static void memory_that_fails_is_a_status(void **state)
{
    char in[512], tokens[512];
    wlm_error error;
    (void)state;
    snprintf(in, sizeof in, "%s", small_capture());
    snprintf(tokens, sizeof tokens, "%s", test_path("small.tok"));
    failing_memory(call_verify, in);
    failing_memory(call_encode, in);
    unlink(test_path("out"));
    failing_memory(call_verify_limited, in);
    failing_memory(call_encode_limited, in);
    assert_ok(wlm_encode_file(in, tokens, NULL, NULL, &error), &error);
    unlink(test_path("out"));
    failing_memory(call_decode, tokens);
    assert_same_file(in, test_path("out"));
}

static void a_changed_token_file_is_refused(void **state)
{
    char tokens[512], bad[512], out[512];
    wlm_error error;
    wlm_capture *capture;
    uint8_t *file;
    size_t size;
    (void)state;
    snprintf(tokens, sizeof tokens, "%s", test_path("t.tok"));
    snprintf(bad, sizeof bad, "%s", test_path("bad.tok"));
    snprintf(out, sizeof out, "%s", test_path("never.pcap"));
    assert_ok(wlm_encode_file(small_capture(), tokens, NULL, NULL, &error), &error);
    file = test_read(tokens, &size);
    for (size_t at = 0; at < size; at += at < 150 ? 1 : 37) {
        wlm_status status;
        file[at] ^= 16;
        test_write(bad, file, size);
        file[at] ^= 16;
        status = wlm_decode_file(bad, out, NULL, NULL, &error);
        assert_true(status == WLM_ERR_FORMAT || status == WLM_ERR_UNSUPPORTED);
        assert_string_equal(error.file, bad);
        assert_true(error.offset != WLM_NO_OFFSET);
        assert_int_equal(wlm_capture_open(&capture, out, &error), WLM_ERR_IO);
    }
    for (size_t n = 0; n < size; n += 29) {
        test_write(bad, file, n);
        assert_int_equal(wlm_decode_file(bad, out, NULL, NULL, &error), WLM_ERR_FORMAT);
        assert_int_equal(wlm_capture_open(&capture, out, &error), WLM_ERR_IO);
    }
    free(file);
}

static wlm_status to_stdio(void *owner, const void *data, size_t size, wlm_error *error)
{
    (void)error;
    assert_int_equal(fwrite(data, 1, size, owner), size);
    return WLM_OK;
}

/* A file that is right in all but the codec's hash: what a build with other tokens would have made. */
static void another_codec_is_refused(void **state)
{
    char bad[512], out[512];
    wlm_error error;
    wlmi_tokfile_writer *writer;
    wlmi_tokfile_head head = {.unit = WLM_UNIT_CAPTURE, .codec_version = 1, .payload = WLM_PAYLOAD_FULL};
    (void)state;
    snprintf(bad, sizeof bad, "%s", test_path("other.tok"));
    snprintf(out, sizeof out, "%s", test_path("other.pcap"));
    for (int kind = 0; kind < 7; kind++) {
        static const char *const words[] = {"another version of codec 'bytes'", "codec 'others', unknown", "unit 9",
                                            "limited payload", "a table of 8 flows", "a table of 5000 flows",
                                            "a table of 0 flows"};
        FILE *file = fopen(bad, "wb");
        assert_non_null(file);
        memset(head.codec_hash, '0', 64);
        strcpy(head.codec, kind == 1 ? "others" : "bytes");
        head.unit = kind == 2 ? 9 : WLM_UNIT_CAPTURE;
        if (kind >= 3)
            wlmi_codec_hash(&wlmi_codec_bytes, head.codec_hash);
        head.payload = kind == 3 ? 64 : WLM_PAYLOAD_FULL;
        head.flows = kind == 4 ? 8 : kind == 5 ? 5000 : 0;
        if (kind >= 5)
            head.unit = WLM_UNIT_FLOW;
        assert_ok(wlmi_tokfile_writer_new(&writer, (wlmi_sink){to_stdio, file}, &error), &error);
        assert_ok(wlmi_tokfile_put_head(writer, &head, &error), &error);
        wlmi_tokfile_writer_free(writer);
        fclose(file);
        assert_int_equal(wlm_decode_file(bad, out, NULL, NULL, &error), WLM_ERR_UNSUPPORTED);
        assert_non_null(strstr(error.cause, words[kind]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_captures_are_exact),
        cmocka_unit_test(captures_of_many_frames_are_exact),
        cmocka_unit_test(more_flows_than_are_held_are_exact),
        cmocka_unit_test(limited_payload_stays_as_decoded),
        cmocka_unit_test(payload_left_out_is_gone),
        cmocka_unit_test(codecs_that_tell_all_payload_say_so),
        cmocka_unit_test(memory_that_fails_is_a_status),
        cmocka_unit_test(a_changed_token_file_is_refused),
        cmocka_unit_test(another_codec_is_refused),
    };
    return cmocka_run_group_tests_name("tokens", tests, NULL, NULL);
}
