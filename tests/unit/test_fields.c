/* test_fields.c: the codec `fields`: whatever the packets, they come back. */
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure.h"
#include "base/alloc.h"
#include "base/cursor.h"
#include "base/rng.h"
#include "capture/decode.h"
#include "support/hostile.h"
#include "support/packets.h"
#include "support/roundtrip.h"
#include "token/fields.h"

static const wlmi_codec *const codec = &wlmi_codec_fields;

static void packets_come_back(void **state)
{
    hostile_packets *s = calloc(1, sizeof *s);
    roundtrip b;
    (void)state;
    roundtrip_make(&b);
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        hostile_make(s, seed, seed % 3 ? 1 : 5);
        for (int capture = 0; capture < 2; capture++) {
            wlmi_coder_options options = {.capture = capture, .shuffle = seed % 5 == 0, .seed = seed};
            if (roundtrip_try(&b, &options, s))
                roundtrip_shrink(&b, &options, s, seed);
        }
    }
    roundtrip_drop(&b);
    free(s);
}

static int by_value(const void *a, const void *b)
{
    return *(const wlmi_token *)a - *(const wlmi_token *)b;
}

/* Shuffled, a packet has the same tokens in another order, and decodes to the same: whatever the order. */
static void tags_in_any_order_tell_the_same(void **state)
{
    hostile_packets *s = calloc(1, sizeof *s);
    wlmi_tokens plain = {0};
    roundtrip b;
    int reordered = 0;
    (void)state;
    roundtrip_make(&b);
    for (uint64_t sequence = 1; sequence <= 60; sequence++) {
        wlmi_coder_options options = {.capture = sequence % 2 == 0};
        hostile_make(s, 2000 + sequence, 2);
        assert_null(roundtrip_encode(b.writer, &options, s, &plain));
        for (uint64_t seed = 1; seed <= 20; seed++) {
            options.shuffle = 1;
            options.seed = seed;
            if (roundtrip_try(&b, &options, s))
                roundtrip_shrink(&b, &options, s, seed);
            assert_int_equal(b.tokens.count, plain.count);
            reordered += memcmp(b.tokens.token, plain.token, plain.count * sizeof *plain.token) != 0;
            assert_memory_equal(b.tokens.packet, plain.packet, plain.count * sizeof *plain.packet);
            if (seed == 1) {
                qsort(b.tokens.token, plain.count, sizeof *plain.token, by_value);
                wlmi_token *sorted = malloc(plain.count * sizeof *sorted);
                memcpy(sorted, plain.token, plain.count * sizeof *sorted);
                qsort(sorted, plain.count, sizeof *sorted, by_value);
                assert_memory_equal(b.tokens.token, sorted, plain.count * sizeof *sorted);
                free(sorted);
            }
        }
    }
    assert_true(reordered > 60 * 20 / 2);
    wlmi_tokens_free(&plain);
    roundtrip_drop(&b);
    free(s);
}

/* In unit capture too, a segment is a packet of its flow; the token that names a flow counts to the one before. */
static void segments_count_packets_of_flows(void **state)
{
    static const test_end a = {"192.0.2.7", 40000}, b = {"198.51.100.9", 53}, other = {"192.0.2.8", 40000};
    static const int flow[] = {0, 0, 1, 0, 1, 1, 0, 0};
    static const uint32_t segment[] = {0, 1, 0, 2, 1, 2, 3, 4};
    hostile_packets *s = calloc(1, sizeof *s);
    wlmi_coder_options options = {.capture = 1};
    roundtrip w;
    (void)state;
    roundtrip_make(&w);
    for (int i = 0; i < 8; i++) {
        test_packet ip = test_udp(flow[i] ? other : a, b, "name", 4);
        wlm_packet p = test_view(&ip, WLMI_LINK_RAW, 1000 * i);
        assert_true(hostile_keep(s, &p));
    }
    assert_null(roundtrip_try(&w, &options, s));
    const wlmi_tokens *t = &w.tokens;
    int at = -1;
    for (size_t i = 0; i < t->count; i++) {
        int naming = t->role[i] == 0, time = t->role[i] > 0 && !strcmp(codec->role_names[t->role[i]], "time");
        at += time;
        if (time)
            assert_int_equal(t->packet[i], segment[at]);
        else if (naming && at >= 0)
            assert_int_equal(t->packet[i], segment[at] + 1);
    }
    assert_int_equal(at, 7);
    roundtrip_drop(&w);
    free(s);
}

/* The numbers of an IPv4 packet, read where they stand. */
static wlmi_measured numbers_of(const wlm_packet *p, int backward, uint32_t length)
{
    const uint8_t *d = p->data;
    wlmi_measured m = {.backward = backward, .length = length, .ttl = d[9] == WLMI_SHAPE_PROTOCOL ? 0 : d[8],
                       .keeps_whole = d[6] >> 6 & 1, .has_id = d[4] || d[5]};
    if (d[9] == 6) {
        m.flags = d[33];
        m.window = wlmi_load_be16(d + 34);
        m.options = (d[32] >> 4) - 5u;
    }
    return m;
}

static void measures_tell_sizes_times_and_headers(void **state)
{
    static const test_end a = {"192.0.2.7", 40000}, b = {"198.51.100.9", 53};
    static const uint8_t data[100];
    static const struct {
        int backward, size, us, flags;
    } sent[] = {{0, 0, 0, 0x02}, {1, 100, 1000, 0x18}, {0, 4, 3000, 0x10}, {1, 0, 9000, 0x11}};
    (void)state;
    static const uint8_t protocols[] = {17, 6, 132, WLMI_SHAPE_PROTOCOL};
    for (size_t c = 0; c < sizeof protocols; c++) {
        const int tcp = protocols[c] == 6;
        hostile_packets *s = calloc(1, sizeof *s);
        const wlmi_coder_options options = {0};
        int64_t expected[8];
        roundtrip w;
        size_t n = 0;
        roundtrip_make(&w);
        for (size_t i = 0; i < 4; i++) {
            const test_end from = sent[i].backward ? b : a, to = sent[i].backward ? a : b;
            const size_t size = (size_t)sent[i].size;
            test_packet ip = tcp ? test_tcp(from, to, sent[i].flags, data, size) : test_udp(from, to, data, size);
            ip.data[9] = protocols[c];
            wlm_packet p = test_view(&ip, WLMI_LINK_RAW, 1000 * sent[i].us);
            const int header = protocols[c] == 6 || protocols[c] == 17 ? 0 : 8;
            const wlmi_measured m = numbers_of(&p, sent[i].backward, (uint32_t)(size + header));
            assert_true(hostile_keep(s, &p));
            expected[2 * i] = wlmi_measure_gap(1000 * (sent[i].us - (i ? sent[i - 1].us : 0)));
            expected[2 * i + 1] = wlmi_measure_packet(&m);
        }
        assert_null(roundtrip_try(&w, &options, s));
        for (size_t i = 0; i < w.tokens.count; i++)
            if ((w.tokens.measure[i] & 3) != WLMI_MEASURE_PLACE) {
                assert_true(n < sizeof expected / sizeof *expected);
                assert_int_equal(w.tokens.measure[i], expected[n++]);
            }
        assert_int_equal(n, sizeof expected / sizeof *expected);
        roundtrip_drop(&w);
        free(s);
    }
}

/* A question for www.example.com, behind its identification: bytes 11, 15 and 23 are lengths. */
static void places_tell_where_the_next_byte_stands(void **state)
{
    static const test_end a = {"192.0.2.7", 40000}, b = {"198.51.100.9", 53};
    static const char data[] = "\xff\1\0\0\1\0\0\0\0\0\0\3www\7example\3com\0\0\1\0\1";
    static const uint32_t string[] = {0, 0, 2, 1, 0, 2, 1, 0, 0, 0, 0, 0, 4, 3, 2, 1,
                                      8, 7, 6, 5, 4, 3, 2, 1, 4, 3, 2, 1, 0, 0, 2, 1};
    const uint32_t size = sizeof data - 1;
    const wlmi_coder_options options = {0};
    hostile_packets *s = calloc(1, sizeof *s);
    test_packet ip = test_udp(a, b, data, size);
    wlm_packet p = test_view(&ip, WLMI_LINK_RAW, 0);
    roundtrip w;
    size_t i = 0;
    (void)state;
    roundtrip_make(&w);
    assert_true(hostile_keep(s, &p));
    assert_null(roundtrip_try(&w, &options, s));
    while (strcmp(codec->role_names[w.tokens.role[i]], "payload"))
        i++;
    for (uint32_t at = 1; at < size; at++, i++) {
        const wlmi_byte_place place = wlmi_measured_place(w.tokens.measure[i]);
        assert_int_equal(w.tokens.measure[i] & 3, WLMI_MEASURE_PLACE);
        assert_int_equal(place.offset, at);
        assert_int_equal(place.left, size - at);
        assert_int_equal(place.string, string[at]);
    }
    assert_int_equal(w.tokens.measure[i], 0); /* no byte is to come */
    roundtrip_drop(&w);
    free(s);
}

/* Behind a string the next length may be a byte that could be text; elsewhere such a byte is text. */
static void strings_are_counted(void **state)
{
    uint32_t s = 0;
    (void)state;
    assert_int_equal(s = wlmi_string_next(s, 'A'), 0);
    assert_int_equal(s = wlmi_string_next(s, 1), 2);
    assert_int_equal(s = wlmi_string_next(s, '0'), 1);
    assert_int_equal(s = wlmi_string_next(s, 63), 64);
    assert_int_equal(s = wlmi_string_next(s, '?'), 63);
    assert_int_equal(wlmi_string_next(WLMI_STRING_ENDED, 64), 0);
    assert_int_equal(wlmi_string_next(WLMI_STRING_ENDED, 0), 0);
    for (uint32_t state_before = 0; state_before < WLMI_STRING_STATES; state_before++)
        for (int byte = 0; byte < 256; byte++)
            assert_true(wlmi_string_next(state_before, (uint8_t)byte) < WLMI_STRING_STATES);
}

static void a_measure_keeps_what_it_was_made_of(void **state)
{
    const wlmi_measured p = {1, 1460, 128, 0x5a, 64240, 5, 9, 1, 0, 1}, most = {.length = 1u << 20, .scale = 16};
    wlmi_measured back = wlmi_measured_packet(wlmi_measure_packet(&p));
    (void)state;
    assert_true(wlmi_measure_packet(&p) > 0);
    assert_true(back.backward == 1 && back.length == 1460 && back.ttl == 128 && back.flags == 0x5a);
    assert_true(back.window == 64240 && back.options == 5 && back.scale == 9);
    assert_true(back.is_ip6 && !back.keeps_whole && back.has_id);
    back = wlmi_measured_packet(wlmi_measure_packet(&most));
    assert_true(back.length == 0x3ffff && back.scale == 15 && !back.backward && !back.has_id);

    const wlmi_byte_place place = {1400, 60, 63}, far = {1u << 20, 1u << 20, 0};
    wlmi_byte_place place_back = wlmi_measured_place(wlmi_measure_place(&place));
    assert_true(place_back.offset == 1400 && place_back.left == 60 && place_back.string == 63);
    place_back = wlmi_measured_place(wlmi_measure_place(&far));
    assert_true(place_back.offset == 0x3ffff && place_back.left == 0x3ffff && place_back.string == 0);
    assert_int_equal(wlmi_measure_place(&far) & 3, WLMI_MEASURE_PLACE);
}

/* Lossy payload: lengths stay, what was told stays, and what was decoded encodes to the same tokens. */
static void payload_can_be_left_out(void **state)
{
    hostile_packets *s = calloc(1, sizeof *s), *got = calloc(1, sizeof *got);
    wlmi_tokens first = {0};
    roundtrip b;
    (void)state;
    roundtrip_make(&b);
    for (uint64_t seed = 1; seed <= 300; seed++) {
        wlmi_coder_options options = {.payload_limited = 1, .payload_limit = (uint32_t)(seed % 4) * 7, .seed = seed};
        wlmi_pushed what;
        wlm_error error;
        hostile_make(s, seed, 1);
        assert_null(roundtrip_encode(b.writer, &options, s, &first));
        codec->start(b.reader, &options);
        hostile_clear(got);
        for (size_t i = 0; i < first.count; i++) {
            assert_ok(codec->push(b.reader, first.token[i], &what, &error), &error);
            if (what == WLMI_PUSHED_PACKET)
                hostile_keep(got, codec->packet(b.reader));
        }
        assert_int_equal(got->count, s->count);
        for (size_t i = 0; i < s->count; i++) {
            assert_int_equal(got->packet[i].captured, s->packet[i].captured);
            assert_int_equal(got->packet[i].wire, s->packet[i].wire);
        }
        assert_null(roundtrip_encode(b.writer, &options, got, &b.tokens));
        assert_int_equal(b.tokens.count, first.count);
        assert_memory_equal(b.tokens.token, first.token, first.count * sizeof *first.token);
    }
    wlmi_tokens_free(&first);
    roundtrip_drop(&b);
    free(s);
    free(got);
}

/* A checksum as offloading leaves it, while payload is drawn from seeds for one of which, 17071, the right one is the same:
 * then it must be drawn again, or what was decoded would encode as right. */
static void drawn_payload_keeps_the_checksum_class(void **state)
{
    static const test_end a = {"192.0.2.7", 40000}, b = {"198.51.100.9", 53};
    hostile_packets *s = calloc(1, sizeof *s);
    test_packet ip = test_udp(a, b, "payload", 7);
    wlmi_tokens first = {0};
    wlmi_pushed what;
    wlm_error error;
    roundtrip r;
    (void)state;
    ip.data[26] = ip.data[27] = 0;
    uint32_t pseudo = wlmi_sum(WLMI_PROTO_UDP + 15, ip.data + 12, 8);
    wlmi_store_be16(ip.data + 26, (uint16_t)~wlmi_sum_fold(pseudo));
    wlm_packet p = test_view(&ip, WLMI_LINK_RAW, 0);
    roundtrip_make(&r);
    for (uint64_t seed = 17070; seed < 17073; seed++) {
        wlmi_coder_options options = {.payload_limited = 1, .seed = seed};
        hostile_clear(s);
        assert_true(hostile_keep(s, &p));
        assert_null(roundtrip_encode(r.writer, &options, s, &first));
        codec->start(r.reader, &options);
        for (size_t i = 0; i + 1 < first.count; i++)
            assert_ok(codec->push(r.reader, first.token[i], &what, &error), &error);
        hostile_clear(s);
        assert_true(hostile_keep(s, codec->packet(r.reader)));
        assert_null(roundtrip_encode(r.writer, &options, s, &r.tokens));
        assert_int_equal(r.tokens.count, first.count);
        assert_memory_equal(r.tokens.token, first.token, first.count * sizeof *first.token);
    }
    wlmi_tokens_free(&first);
    roundtrip_drop(&r);
    free(s);
}

static void a_forbidden_token_changes_nothing(void **state)
{
    hostile_packets *s = calloc(1, sizeof *s);
    roundtrip b;
    (void)state;
    roundtrip_make(&b);
    for (uint64_t seed = 1; seed <= 4; seed++) {
        wlmi_coder_options options = {.capture = seed % 2 == 0};
        wlmi_pushed what;
        wlm_error error;
        hostile_make(s, seed, 3);
        s->count = s->count > 4 ? 4 : s->count;
        assert_null(roundtrip_encode(b.writer, &options, s, &b.tokens));
        codec->start(b.reader, &options);
        for (size_t i = 0; i < b.tokens.count && i < 300; i++) {
            wlmi_allowed allowed;
            codec->allowed(b.reader, &allowed);
            for (unsigned t = 0; t <= codec->vocabulary; t += 3)
                if (t >= codec->vocabulary || !wlmi_is_allowed(&allowed, (wlmi_token)t))
                    assert_int_equal(codec->push(b.reader, (wlmi_token)t, &what, &error), WLM_ERR_FORMAT);
            assert_ok(codec->push(b.reader, b.tokens.token[i], &what, &error), &error);
        }
    }
    roundtrip_drop(&b);
    free(s);
}

static void every_step_comes_back(void **state)
{
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 10);
    for (int i = 0; i < 50000; i++) {
        int64_t before = (int64_t)wlmi_rng_next(&rng);
        uint64_t step = wlmi_rng_next(&rng) >> wlmi_rng_below(&rng, 64);
        if (i % 2)
            step = step / 1000 * 1000;
        wlmi_step spelled;
        wlmi_step_spell(before, (int64_t)((uint64_t)before + step), &spelled);
        assert_true(wlmi_step_read(before, &spelled) == (int64_t)((uint64_t)before + step));
        uint32_t high;
        assert_int_equal(wlmi_step_digits(spelled.token, &high), spelled.count);
        if (spelled.count)
            assert_true(spelled.digit[0] <= high);
    }
}

static void memory_that_fails_is_a_status(void **state)
{
    hostile_packets *s = calloc(1, sizeof *s);
    uint64_t k = 1;
    (void)state;
    hostile_make(s, 3, 2);
    for (;; k++) {
        wlmi_tokens tokens = {0};
        wlmi_coder *coder;
        wlm_error error;
        wlmi_pushed what;
        wlmi_coder_options options = {.capture = 1};
        wlmi_alloc_fail_at(k);
        wlm_status status = codec->make(&coder, &error);
        if (status == WLM_OK) {
            codec->start(coder, &options);
            for (size_t i = 0; i < s->count && status == WLM_OK; i++)
                status = codec->encode(coder, &s->packet[i], &tokens, &error);
            codec->start(coder, &options);
            for (size_t i = 0; i < tokens.count && status == WLM_OK; i++)
                status = codec->push(coder, tokens.token[i], &what, &error);
            codec->drop(coder);
        }
        wlmi_alloc_fail_at(0);
        wlmi_tokens_free(&tokens);
        if (status == WLM_OK)
            break;
        assert_int_equal(status, WLM_ERR_MEMORY);
        assert_true(k < 50);
    }
    assert_true(k > 5);
    free(s);
}

static void the_codec_is_found_and_hashed(void **state)
{
    char hex[65];
    (void)state;
    assert_ptr_equal(wlmi_codec_find("fields"), codec);
    assert_ptr_equal(wlmi_codec_find(NULL), codec);
    assert_true(codec->vocabulary <= 4096 && codec->roles <= 256);
    for (uint32_t role = 0; role < codec->roles; role++)
        assert_non_null(codec->role_names[role]);
    /* Token ids and grammar are fixed by name and version: a change of either must come with a new version. */
    wlmi_codec_hash(codec, hex);
    assert_int_equal(codec->version, 1);
    assert_string_equal(hex, "780ca07709368e97189f9b4b589bdccc7cc560dc2fd8c10505217011a332052c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_comes_back),
        cmocka_unit_test(packets_come_back),
        cmocka_unit_test(tags_in_any_order_tell_the_same),
        cmocka_unit_test(segments_count_packets_of_flows),
        cmocka_unit_test(measures_tell_sizes_times_and_headers),
        cmocka_unit_test(places_tell_where_the_next_byte_stands),
        cmocka_unit_test(strings_are_counted),
        cmocka_unit_test(a_measure_keeps_what_it_was_made_of),
        cmocka_unit_test(payload_can_be_left_out),
        cmocka_unit_test(drawn_payload_keeps_the_checksum_class),
        cmocka_unit_test(a_forbidden_token_changes_nothing),
        cmocka_unit_test(memory_that_fails_is_a_status),
        cmocka_unit_test(the_codec_is_found_and_hashed),
    };
    return cmocka_run_group_tests_name("fields", tests, NULL, NULL);
}
