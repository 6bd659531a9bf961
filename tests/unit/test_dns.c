/* test_dns.c: which byte can come next in a DNS message: in messages made by hand all that comes is permitted; what is
 * drawn from what is permitted is read by a reader of the test's own. */
#include "support/support.h"

#include <string.h>

#include "base/rng.h"
#include "token/dns.h"
#include "token/fields_coder.h"

enum { MOST = 600 };

static int permitted(const uint64_t row[4], uint8_t byte)
{
    return (int)(row[byte >> 6] >> (byte & 63) & 1);
}

#define HEAD(flags, q, a, n, m) "\x12\x34" flags "\0" q "\0" a "\0" n "\0" m
#define MESSAGE(text) {text, sizeof text - 1}

static const struct {
    const char *bytes;
    uint32_t size;
} made[] = {
    MESSAGE(HEAD("\1\0", "\1", "\0", "\0", "\0") "\3www\7example\3com\0\0\1\0\1"),
    MESSAGE(HEAD("\x81\x80", "\1", "\2", "\0", "\1") "\3www\7example\3com\0\0\1\0\1"
            "\xc0\x0c\0\5\0\1\0\0\1\0\0\6\3cdn\xc0\x10" /* www's alias: cdn.example.com */
            "\xc0\x2d\0\1\0\1\0\0\1\0\0\4\xc0\0\2\1" "\0\0\x29\x10\0\0\0\0\0\0\0"),
    MESSAGE(HEAD("\x81\x83", "\1", "\0", "\1", "\0") "\2no\0\0\x1c\0\1"
            "\0\0\6\0\1\0\0\1\0\0\x1b\1a\0\1b\xc0\x0c" "12345678901234567890"),
    MESSAGE(HEAD("\x84\0", "\0", "\3", "\0", "\1") "\5_http\4_tcp\5local\0\0\x0c\x80\1\0\0\1\0\0\7\4name\xc0\x0c"
            "\xc0\x28\0\x21\x80\1\0\0\1\0\0\x0d\0\0\0\0\0\x50\4host\xc0\x17"
            "\xc0\x28\0\x10\x80\1\0\0\1\0\0\6\1x\3y=1" "\4host\0\0\x1c\0\1\0\0\1\0\0\x10" "0123456789abcdef"),
    MESSAGE(HEAD("\1\0", "\1", "\0", "\0", "\1") "\0\0\2\0\1" "\0\0\x29\2\0\0\0\0\0\0\x0c\0\x0a\0\x08" "cookie!!"),
    MESSAGE(HEAD("\1\0", "\2", "\0", "\0", "\0") "\1a\0\0\1\0\1" "\1b\xc0\x0c\0\1\0\1"),
};

static void what_is_right_is_permitted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        for (uint32_t have = 0; have < made[i].size; have++) {
            const uint8_t *m = (const uint8_t *)made[i].bytes;
            uint64_t row[4];
            const int bound = wlmi_dns_next(m, have, made[i].size, NULL, 0, row);
            if (!bound || !permitted(row, m[have]))
                fail_msg("message %zu, byte %u: %s", i, have, bound ? "not permitted" : "not bound");
        }
}

static int only(const uint64_t row[4], const uint8_t *bytes, int count)
{
    uint64_t want[4] = {0};
    for (int i = 0; i < count; i++)
        want[bytes[i] >> 6] |= UINT64_C(1) << (bytes[i] & 63);
    return !memcmp(row, want, sizeof want);
}

static void by_hand(void **state)
{
    static const uint8_t query[] = HEAD("\1\0", "\1", "\0", "\0", "\0") "\2ab\0\0\1\0\1";
    static const uint8_t lengths[] = {2, 0}, answer[] = HEAD("\x81\x80", "\1", "\1", "\0", "\0") "\1a\0\0\1\0\1\xc0\x0c\0\1";
    uint64_t row[4];
    (void)state;
    /* Eight bytes behind the header, four of them the question's: a label of two, or none, which no end can follow. */
    assert_int_equal(wlmi_dns_next(query, 12, 20, NULL, 0, row), 1);
    assert_true(only(row, lengths, 1));
    assert_int_equal(wlmi_dns_next(query, 15, 20, NULL, 0, row), 1);
    assert_true(only(row, lengths + 1, 1));
    assert_int_equal(wlmi_dns_next(query, 12, 18, NULL, 0, row), 0); /* two bytes are no name */
    assert_int_equal(wlmi_dns_next(query, 11, 20, NULL, 0, row), 1); /* no record has room behind a question */
    assert_true(only(row, lengths + 1, 1));
    /* An address is four bytes, and the last record's. */
    assert_int_equal(wlmi_dns_next(answer, 22, 35, NULL, 0, row), 1);
    assert_true(permitted(row, 1) && !permitted(row, 28));
    assert_int_equal(wlmi_dns_next(answer, 22, 40, NULL, 0, row), 1);
    assert_true(!permitted(row, 1) && permitted(row, 5) && permitted(row, 16));
}

static void what_is_no_dns_is_not_bound(void **state)
{
    uint8_t m[48] = {0x23, 2, 6, 0xe9}; /* NTP */
    uint64_t row[4];
    (void)state;
    assert_int_equal(wlmi_dns_next(m, 20, 48, NULL, 0, row), 0);
    m[2] = m[3] = 0; /* announces nothing */
    assert_int_equal(wlmi_dns_next(m, 20, 48, NULL, 0, row), 0);
    m[5] = 9; /* more questions than 36 bytes hold */
    assert_int_equal(wlmi_dns_next(m, 20, 48, NULL, 0, row), 0);
    m[5] = 1;
    m[12] = 0x80; /* no length, no pointer */
    assert_int_equal(wlmi_dns_next(m, 20, 48, NULL, 0, row), 0);
    assert_int_equal(wlmi_dns_next(m, 48, 48, NULL, 0, row), 0);
}

/* Any protocol may begin with a number; one question is rarer, and with recursion or an answer rarer still. */
static void what_is_likely_to_be_dns(void **state)
{
    static const struct {
        uint8_t begin[6];
        uint32_t have;
        int likely;
    } cases[] = {{{7, 7, 1, 0, 0, 1}, 6, 1}, {{7, 7, 0x81, 0x80, 0, 1}, 6, 1}, {{7, 7, 0x84, 0, 0, 1}, 6, 1},
                 {{7, 7, 1, 0, 0, 1}, 5, 0}, {{7, 7, 0, 0, 0, 1}, 6, 0},       {{7, 7, 1, 0, 0, 2}, 6, 0},
                 {{7, 7, 0, 0, 0, 2}, 12, 1}, {{0}, 0, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(wlmi_dns_begins(cases[i].begin, cases[i].have), cases[i].likely);
}

/* ---------------------------------------------------------------- the test's reader */

typedef struct message {
    const uint8_t *m;
    uint32_t size;
} message;

/* Where the name at `at` ends; 0: it is none. Pointers go back. */
static uint32_t name_end(message x, uint32_t at)
{
    uint32_t end = 0, length = 0;
    for (int hops = 0; hops < 200; hops++) {
        if (at >= x.size)
            return 0;
        if (x.m[at] == 0)
            return length + 1 > 255 ? 0 : end ? end : at + 1;
        if (x.m[at] >= 0xc0) {
            const uint32_t to = at + 1 < x.size ? (x.m[at] & 63u) << 8 | x.m[at + 1] : x.size;
            end = end ? end : at + 2;
            if (to >= at)
                return 0;
            at = to;
        } else if (x.m[at] >= 0x40) {
            return 0;
        } else {
            length += 1u + x.m[at];
            at += 1u + x.m[at];
        }
    }
    return 0;
}

static uint32_t number(message x, uint32_t at)
{
    return at + 1 < x.size ? (uint32_t)x.m[at] << 8 | x.m[at + 1] : 0;
}

static int data_is_right(message x, uint32_t type, uint32_t at, uint32_t end)
{
    switch (type) {
    case 1: return end - at == 4;
    case 28: return end - at == 16;
    case 2:
    case 5:
    case 12:
    case 39: return name_end(x, at) == end;
    case 15: return end - at > 2 && name_end(x, at + 2) == end;
    case 33: return end - at > 6 && name_end(x, at + 6) == end;
    case 6: return (at = name_end(x, at)) && (at = name_end(x, at)) && at + 20 == end;
    case 16:
        while (at < end)
            at += 1u + x.m[at];
        return at == end;
    case 32: return end > at && (end - at) % 6 == 0;
    case 10:
    case 65399: return 1;
    case 41:
        while (at + 4 <= end)
            at += 4 + number(x, at + 2);
        return at == end;
    }
    return 0;
}

static int class_is_right(uint32_t class)
{
    return class == 1 || class == 3 || class == 0x8001;
}

static int is_right(message x)
{
    uint32_t questions = number(x, 4), records = number(x, 6) + number(x, 8) + number(x, 10), at = 12;
    const int answers = x.m[2] >> 7, code = x.m[3] & 15;
    int opts = 0;
    if (x.m[2] & 0x78 || x.m[3] & 0x40 || code > 10 || (!answers && (code || !questions)))
        return 0;
    for (; questions; questions--) {
        at = name_end(x, at);
        if (!at || at + 4 > x.size || !number(x, at) || !class_is_right(number(x, at + 2)))
            return 0;
        at += 4;
    }
    for (; records; records--) {
        uint32_t type, end;
        const uint32_t name = at;
        at = name_end(x, at);
        if (!at || at + 10 > x.size)
            return 0;
        type = number(x, at);
        if (type == 41 ? at != name + 1 || number(x, at + 4) : !class_is_right(number(x, at + 2)))
            return 0;
        opts += type == 41;
        end = at + 10 + number(x, at + 8);
        if (end > x.size || !data_is_right(x, type, at + 10, end))
            return 0;
        at = end;
    }
    return at == x.size && opts < 2;
}

/* Bytes of meaning more often than by chance: lengths are short, types known ones. */
static uint8_t draw(wlmi_rng *rng, const uint64_t row[4])
{
    static const uint8_t liked[] = {0, 1, 2, 5, 6, 12, 15, 16, 28, 33, 41, 0xc0};
    for (;;) {
        const uint8_t byte = wlmi_rng_below(rng, 2) ? liked[wlmi_rng_below(rng, sizeof liked)]
                                                    : (uint8_t)wlmi_rng_below(rng, 256);
        if (permitted(row, byte))
            return byte;
    }
}

static void what_is_drawn_is_right(void **state)
{
    uint8_t m[MOST];
    wlmi_rng rng;
    (void)state;
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        assert_true(is_right((message){(const uint8_t *)made[i].bytes, made[i].size}));
    wlmi_rng_seed(&rng, 1);
    for (int i = 0; i < 3000; i++) {
        const uint32_t size = 19 + (uint32_t)wlmi_rng_below(&rng, wlmi_rng_below(&rng, 4) ? 100 : MOST - 19);
        uint64_t row[4];
        for (uint32_t have = 0; have < size; have++) {
            if (!wlmi_dns_next(m, have, size, NULL, 0, row))
                fail_msg("message %d: nothing leads on from byte %u of %u", i, have, size);
            m[have] = draw(&rng, row);
        }
        if (!is_right((message){m, size}))
            fail_msg("message %d of %u bytes is not right", i, size);
    }
}

/* One in three has no record. */
static void what_answers_repeats_the_question(void **state)
{
    static const uint8_t asks[] = {0, 4}; /* of `made`: a name, and none */
    uint8_t m[MOST];
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 3);
    for (int i = 0; i < 3000; i++) {
        const uint8_t *query = (const uint8_t *)made[asks[i % 2]].bytes;
        const uint32_t question = i % 2 ? 5 : 21, whole = WLMI_DNS_HEADER + question;
        const uint32_t size = i % 3 ? whole + 11 + (uint32_t)wlmi_rng_below(&rng, 200) : whole;
        wlmi_dns_asked asked = {.count = 0};
        uint64_t row[4];
        wlmi_dns_said(&asked, query, made[asks[i % 2]].size, 1);
        assert_int_equal(asked.count, 1);
        for (uint32_t have = 0; have < size; have++) {
            if (!wlmi_dns_next(m, have, size, &asked, 0, row))
                fail_msg("answer %d: nothing leads on from byte %u of %u", i, have, size);
            m[have] = draw(&rng, row);
        }
        assert_memory_equal(m, query, 2);
        assert_true(m[2] & 0x80 && number((message){m, size}, 4) == 1);
        assert_memory_equal(m + WLMI_DNS_HEADER, query + WLMI_DNS_HEADER, question);
        if (!is_right((message){m, size}))
            fail_msg("answer %d of %u bytes is not right", i, size);
        wlmi_dns_said(&asked, m, size, 0);
        assert_int_equal(asked.count, 0);
    }
}

static void ask(wlmi_dns_asked *asked, uint8_t id, int direction)
{
    uint8_t m[33];
    memcpy(m, made[0].bytes, sizeof m);
    m[0] = id;
    wlmi_dns_said(asked, m, sizeof m, direction);
}

static void the_latest_queries_wait(void **state)
{
    wlmi_dns_asked asked = {.count = 0};
    uint8_t answer[33];
    uint64_t row[4];
    (void)state;
    memcpy(answer, made[0].bytes, sizeof answer);
    for (uint8_t id = 1; id <= 5; id++)
        ask(&asked, id, 0);
    ask(&asked, 3, 0); /* once more */
    assert_int_equal(asked.count, WLMI_DNS_ASKED);
    assert_int_equal(wlmi_dns_next(answer, 0, 33, &asked, 1, row), 1);
    assert_true(row[0] == (1 << 2 | 1 << 3 | 1 << 4 | 1 << 5) && !row[1] && !row[2] && !row[3]);
    assert_int_equal(wlmi_dns_next(answer, 0, 33, &asked, 0, row), 1); /* who asked may ask anything */
    assert_true(!~row[0] && !~row[1]);
    assert_int_equal(wlmi_dns_next(answer, 0, 40, &asked, 1, row), 1); /* seven bytes behind it are no record */
    assert_true(!~row[0] && !~row[1]);
    answer[0] = 4;
    answer[2] = 0x81;
    wlmi_dns_said(&asked, answer, sizeof answer, 1);
    assert_int_equal(asked.count, WLMI_DNS_ASKED - 1);
    wlmi_dns_said(&asked, answer, sizeof answer, 1); /* answered already */
    assert_int_equal(asked.count, WLMI_DNS_ASKED - 1);
}

/* Whose answers are not known to repeat the question: two questions, other classes, NetBIOS; and what is no message. */
static void other_queries_do_not_wait(void **state)
{
    static const char netbios[] = HEAD("\1\0", "\1", "\0", "\0", "\0") "\x20" "CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0\x21\0\1";
    uint8_t m[33];
    wlmi_dns_asked asked = {.count = 0};
    (void)state;
    wlmi_dns_said(&asked, (const uint8_t *)made[5].bytes, made[5].size, 0);
    wlmi_dns_said(&asked, (const uint8_t *)netbios, sizeof netbios - 1, 0);
    memcpy(m, made[0].bytes, sizeof m);
    m[31] = 0x80; /* mDNS: answer me alone */
    wlmi_dns_said(&asked, m, sizeof m, 0);
    for (uint32_t size = 0; size < sizeof m; size++)
        wlmi_dns_said(&asked, (const uint8_t *)made[0].bytes, size, 0);
    assert_int_equal(asked.count, 0);
}

/* ---------------------------------------------------------------- in a flow that is generated */

/* The first that may follow, but a payload of so many bytes, and no end. */
static wlmi_token plain_token(const wlmi_allowed *a, uint8_t role, uint32_t payload, int backward)
{
    const wlmi_token back = WLMI_T_KIND + WLMI_KINDS + WLMI_KIND_PLAIN;
    const wlmi_token length = (wlmi_token)(payload < WLMI_LEN_SMALL ? WLMI_T_LEN + payload : (uint32_t)WLMI_T_LEN_MID);
    unsigned t = a->low;
    if (backward && wlmi_is_allowed(a, back))
        return back;
    if (role == WLMI_R_LEN + 2)
        return (wlmi_token)(WLMI_T_DIGIT + payload);
    if (wlmi_is_allowed(a, length))
        return length;
    if (wlmi_is_allowed(a, WLMI_T_LEN_SAME))
        return WLMI_T_LEN_SAME;
    while (t < a->high && (!wlmi_is_allowed(a, (wlmi_token)t) || (t >= WLMI_T_END && t < WLMI_T_END + 3)))
        t++;
    return (wlmi_token)t;
}

typedef enum place { FIRST, NEXT, ANSWER } place;

/* A packet of UDP that begins with these bytes and goes on with any that may follow; *free: how often all might have. */
static void push_packet(wlmi_coder *coder, place at, const uint8_t *bytes, uint32_t count, uint32_t payload,
                        wlmi_rng *rng, uint8_t *out, uint32_t *free_bytes)
{
    const wlmi_codec *codec = &wlmi_codec_fields;
    wlmi_pushed what = WLMI_PUSHED;
    wlm_error error;
    uint32_t have = 0;
    *free_bytes = 0;
    for (int pushed = 0; what == WLMI_PUSHED; pushed++) {
        wlmi_allowed a;
        wlmi_token token;
        assert_true(pushed < 1000);
        codec->allowed(coder, &a);
        token = plain_token(&a, codec->role(coder), payload, at == ANSWER);
        if (at == FIRST && pushed == 0)
            token = WLMI_T_SHAPE + WLMI_FL_RAW * WLMI_FIELDS_NETS + WLMI_FN_UDP;
        if (codec->role(coder) == WLMI_R_PAYLOAD) {
            *free_bytes += !(~a.row[0] | ~a.row[1] | ~a.row[2] | ~a.row[3]);
            token = have < count ? bytes[have] : draw(rng, a.row);
            out[have++] = (uint8_t)token;
        }
        assert_ok(codec->push(coder, token, &what, &error), &error);
    }
    assert_int_equal(what, WLMI_PUSHED_PACKET);
    assert_true(have <= payload);
}

/* The first packet must begin as one does, the next is bound from its beginning. */
static void generated_messages_are_right(void **state)
{
    enum { SIZE = 31, BEGIN = WLMI_DNS_HEADER };
    const uint8_t *query = (const uint8_t *)made[0].bytes;
    uint8_t m[SIZE];
    uint32_t free_bytes;
    wlmi_coder *coder;
    wlm_error error;
    wlmi_rng rng;
    (void)state;
    assert_ok(wlmi_codec_fields.make(&coder, &error), &error);
    wlmi_rng_seed(&rng, 2);
    for (int i = 0; i < 100; i++) {
        wlmi_coder_options options = {.generating = WLMI_GENERATING_WHOLE};
        wlmi_codec_fields.start(coder, &options);
        push_packet(coder, FIRST, query, BEGIN, SIZE, &rng, m, &free_bytes);
        assert_true(is_right((message){m, SIZE}));
        push_packet(coder, NEXT, NULL, 0, SIZE, &rng, m, &free_bytes);
        assert_true(is_right((message){m, SIZE}));
        options.generating = 0;
        wlmi_codec_fields.start(coder, &options);
        push_packet(coder, FIRST, query, BEGIN, SIZE, &rng, m, &free_bytes);
        assert_int_equal(free_bytes, SIZE);
    }
    wlmi_codec_fields.drop(coder);
}

static void generated_answers_fit_the_query(void **state)
{
    enum { QUERY = 33, SIZE = QUERY + 16 };
    const uint8_t *query = (const uint8_t *)made[0].bytes;
    uint8_t m[SIZE];
    uint32_t free_bytes;
    wlmi_coder *coder;
    wlm_error error;
    wlmi_rng rng;
    (void)state;
    assert_ok(wlmi_codec_fields.make(&coder, &error), &error);
    wlmi_rng_seed(&rng, 4);
    for (int i = 0; i < 100; i++) {
        const wlmi_coder_options options = {.generating = WLMI_GENERATING_WHOLE};
        wlmi_codec_fields.start(coder, &options);
        push_packet(coder, FIRST, query, QUERY, QUERY, &rng, m, &free_bytes);
        push_packet(coder, ANSWER, NULL, 0, SIZE, &rng, m, &free_bytes);
        assert_true(is_right((message){m, SIZE}));
        assert_memory_equal(m, query, 2);
        assert_memory_equal(m + WLMI_DNS_HEADER, query + WLMI_DNS_HEADER, QUERY - WLMI_DNS_HEADER);
    }
    wlmi_codec_fields.drop(coder);
}

/* What no token tells of a message is drawn, and fits it. */
static void messages_that_are_filled_up_are_right(void **state)
{
    enum { TOLD = 20, SIZE = 90 };
    const uint8_t *query = (const uint8_t *)made[0].bytes;
    uint8_t m[SIZE];
    uint32_t free_bytes;
    wlmi_coder *coder;
    wlm_error error;
    wlmi_rng rng;
    (void)state;
    assert_ok(wlmi_codec_fields.make(&coder, &error), &error);
    wlmi_rng_seed(&rng, 5);
    for (uint64_t i = 0; i < 100; i++) {
        wlmi_coder_options options = {.generating = WLMI_GENERATING_WHOLE, .seed = i};
        wlm_packet packet;
        wlmi_codec_limit(&wlmi_codec_fields, TOLD, &options);
        wlmi_codec_fields.start(coder, &options);
        push_packet(coder, FIRST, query, WLMI_DNS_HEADER, SIZE, &rng, m, &free_bytes);
        packet = *wlmi_codec_fields.packet(coder);
        assert_true(packet.captured > SIZE);
        assert_memory_equal(packet.data + packet.captured - SIZE, m, TOLD);
        assert_true(is_right((message){packet.data + packet.captured - SIZE, SIZE}));
    }
    wlmi_codec_fields.drop(coder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_right_is_permitted),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(what_is_no_dns_is_not_bound),
        cmocka_unit_test(what_is_likely_to_be_dns),
        cmocka_unit_test(what_is_drawn_is_right),
        cmocka_unit_test(what_answers_repeats_the_question),
        cmocka_unit_test(the_latest_queries_wait),
        cmocka_unit_test(other_queries_do_not_wait),
        cmocka_unit_test(generated_messages_are_right),
        cmocka_unit_test(generated_answers_fit_the_query),
        cmocka_unit_test(messages_that_are_filled_up_are_right),
    };
    return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
