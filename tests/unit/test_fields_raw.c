/* test_fields_raw.c: raw packets of the codec `fields`: predicted bytes, lengths and frame checks. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "base/measure.h"
#include "base/rng.h"
#include "support/hostile.h"
#include "support/roundtrip.h"
#include "token/fields.h"
#include "token/fields_check.h"

enum { LINK_802_15_4 = 195, LINK_BLUETOOTH = 251, LINK_802_15_4_NOFCS = 230 };

static void checks_are_those_of_the_standards(void **state)
{
    static const uint8_t digits[] = "123456789";
    static const uint8_t bluetooth[] = "\xd6\xbe\x89\x8e" "123456789";
    uint8_t check[WLMI_CHECK_MAX];
    (void)state;
    wlmi_check_make(LINK_802_15_4, 0, digits, 9, check); /* CRC-16/KERMIT */
    assert_memory_equal(check, "\x89\x21", 2);
    wlmi_check_make(105, 0, digits, 9, check); /* CRC-32 */
    assert_memory_equal(check, "\x26\x39\xf4\xcb", 4);
    wlmi_check_make(LINK_BLUETOOTH, WLMI_CHECK_START, bluetooth, 13, check); /* CRC-24/BLE */
    assert_memory_equal(check, "\x56\x5a\xc2", 3);
}

static void the_start_of_a_check_is_found(void **state)
{
    uint8_t frame[64];
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 1);
    for (int i = 0; i < 500; i++) {
        uint32_t size = 4 + (uint32_t)wlmi_rng_below(&rng, 50), start = (uint32_t)wlmi_rng_next(&rng) & 0xffffff;
        uint8_t check[WLMI_CHECK_MAX];
        for (uint32_t k = 0; k < size; k++)
            frame[k] = (uint8_t)wlmi_rng_next(&rng);
        wlmi_check_make(LINK_BLUETOOTH, start, frame, size, check);
        memcpy(frame + size, check, 3);
        assert_int_equal(wlmi_check_start(LINK_BLUETOOTH, 0, frame, size + 3), start);
    }
    assert_int_equal(wlmi_check_start(LINK_802_15_4, 7, frame, 20), 7);
}

/* A data frame: control, sequence number, addresses, payload that nobody foresees; and room for a check. */
static void keep_frame(hostile_packets *s, wlmi_rng *rng, uint32_t link_type, int checked)
{
    uint8_t frame[40] = {0xd6, 0xbe, 0x89, 0x8e, 0x61, 0x88, (uint8_t)s->count, 0x34, 0x12, 1, 0, 2, 0}, check[4];
    uint32_t end = 30 - wlmi_check_size(link_type);
    wlm_packet p = {.captured = 30, .wire = 30, .link_type = link_type,
                    .data = frame};
    for (int i = 20; i < 30; i++)
        frame[i] = (uint8_t)wlmi_rng_next(rng);
    if (checked) {
        wlmi_check_make(link_type, 0x123456, frame, end, check);
        memcpy(frame + end, check, 30 - end);
    }
    assert_true(hostile_keep(s, &p));
}

static size_t last_packet_tokens(const roundtrip *r, uint32_t packets)
{
    size_t count = 0;
    for (size_t i = 0; i + 1 < r->tokens.count; i++)
        count += r->tokens.packet[i] == packets - 1;
    return count;
}

static size_t tokens_of(uint32_t link_type, int checked)
{
    hostile_packets *s = calloc(1, sizeof *s);
    wlmi_coder_options options = {.capture = 0};
    wlmi_rng rng;
    roundtrip r;
    roundtrip_make(&r);
    wlmi_rng_seed(&rng, 2);
    for (int i = 0; i < 40; i++)
        keep_frame(s, &rng, link_type, checked);
    assert_null(roundtrip_try(&r, &options, s));
    size_t count = last_packet_tokens(&r, 40);
    roundtrip_drop(&r);
    free(s);
    return count;
}

/* Kind, time, length, one run over the header with its sequence number, and the payload's bytes: a right check costs
 * nothing, nor does one that is wrong every time cost more than its bytes. */
static void only_what_is_new_costs_tokens(void **state)
{
    (void)state;
    assert_int_equal(tokens_of(LINK_802_15_4_NOFCS, 0), 4 + 10);
    assert_int_equal(tokens_of(LINK_802_15_4, 1), 4 + 8);
    assert_int_equal(tokens_of(LINK_802_15_4, 0), 4 + 10);
    assert_int_equal(tokens_of(LINK_BLUETOOTH, 1), 4 + 7); /* the connection's start was learned */
    assert_int_equal(tokens_of(LINK_BLUETOOTH, 0), 4 + 10);
}

/* Frames of one kind and another in turn: each length is foreseen by the one before. */
static void lengths_in_turns_are_predicted(void **state)
{
    hostile_packets *s = calloc(1, sizeof *s);
    wlmi_coder_options options = {.capture = 1};
    static const uint8_t data[100];
    roundtrip r;
    size_t same = 0;
    (void)state;
    roundtrip_make(&r);
    for (int i = 0; i < 30; i++) {
        wlm_packet p = {.captured = i % 2 ? 90 : 41, .wire = 100, .link_type = 1000, .data = data};
        assert_true(hostile_keep(s, &p));
    }
    assert_null(roundtrip_try(&r, &options, s));
    for (size_t i = 0; i < r.tokens.count; i++)
        same += r.tokens.token[i] == WLMI_T_LEN_SAME;
    assert_int_equal(same, 30 - 3);
    roundtrip_drop(&r);
    free(s);
}

/* However little of them was captured: policy `shape` leaves nothing. */
static void a_measure_tells_the_length_on_the_wire(void **state)
{
    static const struct {
        uint32_t captured, wire;
    } sent[] = {{0, 60}, {60, 60}, {0, 1514}, {20, 60}, {0, 60}};
    static const uint8_t data[60];
    hostile_packets *s = calloc(1, sizeof *s);
    const wlmi_coder_options options = {0};
    roundtrip r;
    size_t n = 0;
    (void)state;
    roundtrip_make(&r);
    for (size_t i = 0; i < 5; i++) {
        const wlm_packet p = {.captured = sent[i].captured, .wire = sent[i].wire, .link_type = 1000, .data = data};
        assert_true(hostile_keep(s, &p));
    }
    assert_null(roundtrip_try(&r, &options, s));
    for (size_t i = 0; i < r.tokens.count; i++) {
        const int kind = r.tokens.measure[i] & 3;
        if (kind != WLMI_MEASURE_PLACE && kind != WLMI_MEASURE_GAP) {
            assert_true(n < 5);
            assert_int_equal(wlmi_measured_packet(r.tokens.measure[i]).length, sent[n++].wire);
        }
    }
    assert_int_equal(n, 5);
    roundtrip_drop(&r);
    free(s);
}

/* Frames of all link types that have checks: right and wrong ones, too short ones, cut ones, repeated, of any length. */
static void make_frames(hostile_packets *s, wlmi_rng *rng)
{
    static const uint16_t links[] = {105, 127, 192, 195, 230, 251, 256, 272, 283, 147, 1};
    static uint8_t data[700];
    uint32_t start = (uint32_t)wlmi_rng_next(rng) & 0xffffff;
    hostile_clear(s);
    for (uint64_t n = wlmi_rng_below(rng, HOSTILE_PACKETS); n > 0; n--) {
        uint32_t size = (uint32_t)wlmi_rng_below(rng, wlmi_rng_below(rng, 4) ? 60 : 700), check_size;
        wlm_packet p = {.time_ns = (int64_t)(1000 * s->count), .captured = size, .wire = size, .data = data,
                        .link_type = links[wlmi_rng_below(rng, wlmi_rng_below(rng, 3) ? 2 : 11)]};
        uint8_t check[WLMI_CHECK_MAX];
        for (uint64_t i = wlmi_rng_below(rng, 12); i > 0; i--)
            data[wlmi_rng_below(rng, 40)] += (uint8_t)(wlmi_rng_below(rng, 2) ? 1 : wlmi_rng_next(rng));
        check_size = wlmi_check_of(&p);
        if (check_size && wlmi_rng_below(rng, 4)) {
            wlmi_check_make(p.link_type, wlmi_rng_below(rng, 8) ? start : WLMI_CHECK_START, data, size - check_size, check);
            memcpy(data + size - check_size, check, check_size);
        }
        if (wlmi_rng_below(rng, 8) == 0)
            p.wire += (uint32_t)wlmi_rng_below(rng, 2000);
        assert_true(hostile_keep(s, &p));
    }
}

static void frames_come_back(void **state)
{
    hostile_packets *s = calloc(1, sizeof *s);
    wlmi_rng rng;
    roundtrip r;
    (void)state;
    roundtrip_make(&r);
    wlmi_rng_seed(&rng, 3);
    for (uint64_t seed = 1; seed <= 300; seed++) {
        wlmi_coder_options options = {.capture = seed % 3 == 0, .shuffle = seed % 4 == 0, .seed = seed};
        make_frames(s, &rng);
        if (roundtrip_try(&r, &options, s))
            roundtrip_shrink(&r, &options, s, seed);
    }
    roundtrip_drop(&r);
    free(s);
}

/* The first packet that a decoder meets, so that its buffer grows while bytes come. */
static void the_first_frame_may_be_of_any_length(void **state)
{
    hostile_packets *s = calloc(1, sizeof *s);
    wlmi_coder_options options = {.capture = 0};
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 4);
    for (uint32_t size = 0; size < 1000; size += 37) {
        uint8_t data[1000];
        wlm_packet p = {.captured = size, .wire = size, .link_type = LINK_802_15_4, .data = data};
        roundtrip r;
        for (uint32_t i = 0; i < size; i++)
            data[i] = (uint8_t)wlmi_rng_next(&rng);
        hostile_clear(s);
        assert_true(hostile_keep(s, &p));
        roundtrip_make(&r);
        assert_null(roundtrip_try(&r, &options, s));
        roundtrip_drop(&r);
    }
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks_are_those_of_the_standards),
        cmocka_unit_test(the_start_of_a_check_is_found),
        cmocka_unit_test(only_what_is_new_costs_tokens),
        cmocka_unit_test(lengths_in_turns_are_predicted),
        cmocka_unit_test(a_measure_tells_the_length_on_the_wire),
        cmocka_unit_test(frames_come_back),
        cmocka_unit_test(the_first_frame_may_be_of_any_length),
    };
    return cmocka_run_group_tests_name("fields_raw", tests, NULL, NULL);
}
