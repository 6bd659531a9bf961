/* test_dns.c: which byte can come next in a DNS message: in messages made by hand all that comes is permitted; what is
 * drawn from what is permitted is read by a reader of the test's own. */
#include "support/support.h"

#include <string.h>

#include "base/rng.h"
#include "token/dns.h"

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
            const int bound = wlmi_dns_next(m, have, made[i].size, row);
            if (bound != (have >= WLMI_DNS_HEADER) || (bound && !permitted(row, m[have])))
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
    assert_int_equal(wlmi_dns_next(query, 12, 20, row), 1);
    assert_true(only(row, lengths, 1));
    assert_int_equal(wlmi_dns_next(query, 15, 20, row), 1);
    assert_true(only(row, lengths + 1, 1));
    assert_int_equal(wlmi_dns_next(query, 12, 18, row), 0); /* two bytes are no name */
    assert_int_equal(wlmi_dns_next(query, 11, 20, row), 0);
    /* An address is four bytes, and the last record's. */
    assert_int_equal(wlmi_dns_next(answer, 22, 35, row), 1);
    assert_true(permitted(row, 1) && !permitted(row, 28));
    assert_int_equal(wlmi_dns_next(answer, 22, 40, row), 1);
    assert_true(!permitted(row, 1) && permitted(row, 5) && permitted(row, 16));
}

static void what_is_no_dns_is_not_bound(void **state)
{
    uint8_t m[48] = {0x23, 2, 6, 0xe9}; /* NTP */
    uint64_t row[4];
    (void)state;
    assert_int_equal(wlmi_dns_next(m, 20, 48, row), 0);
    m[2] = m[3] = 0; /* announces nothing */
    assert_int_equal(wlmi_dns_next(m, 20, 48, row), 0);
    m[5] = 9; /* more questions than 36 bytes hold */
    assert_int_equal(wlmi_dns_next(m, 20, 48, row), 0);
    m[5] = 1;
    m[12] = 0x80; /* no length, no pointer */
    assert_int_equal(wlmi_dns_next(m, 20, 48, row), 0);
    assert_int_equal(wlmi_dns_next(m, 48, 48, row), 0);
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
    case 41:
        while (at + 4 <= end)
            at += 4 + number(x, at + 2);
        return at == end;
    }
    return 1;
}

static int is_right(message x)
{
    uint32_t questions = number(x, 4), records = number(x, 6) + number(x, 8) + number(x, 10), at = 12;
    for (; questions; questions--) {
        at = name_end(x, at);
        if (!at || (at += 4) > x.size)
            return 0;
    }
    for (; records; records--) {
        uint32_t type, end;
        at = name_end(x, at);
        if (!at || at + 10 > x.size)
            return 0;
        type = number(x, at);
        end = at + 10 + number(x, at + 8);
        if (end > x.size || !data_is_right(x, type, at + 10, end))
            return 0;
        at = end;
    }
    return at == x.size;
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
    int bound = 0;
    (void)state;
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        assert_true(is_right((message){(const uint8_t *)made[i].bytes, made[i].size}));
    wlmi_rng_seed(&rng, 1);
    for (int i = 0; i < 3000; i++) {
        const uint32_t size = 13 + (uint32_t)wlmi_rng_below(&rng, wlmi_rng_below(&rng, 4) ? 100 : MOST - 13);
        uint64_t row[4];
        memset(m, 0, 12);
        m[2] = wlmi_rng_below(&rng, 2) ? 0x81 : 1;
        for (int k = 0; k < 4; k++)
            m[5 + 2 * k] = (uint8_t)wlmi_rng_below(&rng, wlmi_rng_below(&rng, 2) ? 2 : 6);
        if (!wlmi_dns_next(m, 12, size, row))
            continue;
        bound++;
        for (uint32_t have = 12; have < size; have++) {
            if (!wlmi_dns_next(m, have, size, row))
                fail_msg("message %d: nothing leads on from byte %u of %u", i, have, size);
            m[have] = draw(&rng, row);
        }
        if (!is_right((message){m, size}))
            fail_msg("message %d of %u bytes is not right", i, size);
    }
    assert_true(bound > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_right_is_permitted),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(what_is_no_dns_is_not_bound),
        cmocka_unit_test(what_is_drawn_is_right),
    };
    return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
