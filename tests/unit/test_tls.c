/* test_tls.c: which byte can come next in a TLS stream: in a handshake made by hand all that comes is permitted; what is
 * drawn from what is permitted is read by a reader of the test's own. */
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "capture/decode.h"
#include "token/fields_coder.h"
#include "token/tls.h"

enum { MOST = 3000, CLIENT = 0, SERVER = 1 };

static int permitted(const uint64_t row[4], uint8_t byte)
{
    return (int)(row[byte >> 6] >> (byte & 63) & 1);
}

/* ---------------------------------------------------------------- made by hand */

typedef struct bytes {
    uint8_t b[MOST];
    uint32_t size;
} bytes;

static void put(bytes *x, const char *hex)
{
    for (unsigned byte; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        x->b[x->size++] = (uint8_t)byte;
}

static void fill(bytes *x, uint32_t count, uint8_t byte)
{
    memset(x->b + x->size, byte, count);
    x->size += count;
}

/* A length of so many bytes, and what it is of. */
static void put_part(bytes *x, unsigned length_bytes, const bytes *part)
{
    for (unsigned i = length_bytes; i--;)
        x->b[x->size++] = (uint8_t)(part->size >> 8 * i);
    memcpy(x->b + x->size, part->b, part->size);
    x->size += part->size;
}

static void put_message(bytes *x, uint8_t type, const bytes *body)
{
    x->b[x->size++] = type;
    put_part(x, 3, body);
}

static void put_record(bytes *x, uint8_t type, const bytes *content)
{
    x->b[x->size++] = type;
    put(x, "0303");
    put_part(x, 2, content);
}

static bytes client_hello(void)
{
    bytes hello = {.size = 0}, message = {.size = 0}, record = {.size = 0}, extensions = {.size = 0};
    put(&hello, "0303");
    fill(&hello, 32, 0xa5);
    put(&hello, "00" "0004c02f1301" "0100");
    put(&extensions, "0000000b0009000006612e622e6364"); /* server name a.b.cd */
    put(&extensions, "000a00040002001d" "000b00020100" "000d000400020401");
    put(&extensions, "0010000b000908687474702f312e31"); /* http/1.1 */
    put(&extensions, "002b0003020304" "0033000700050a0a000155" "00170000" "0a0a0000" "001500021234");
    put_part(&hello, 2, &extensions);
    put_message(&message, 1, &hello);
    put_record(&record, 22, &message);
    return record;
}

static bytes server_hello(const char *suite, const char *extensions)
{
    bytes hello = {.size = 0}, own = {.size = 0};
    put(&hello, "0303");
    fill(&hello, 32, 0x5a);
    put(&hello, "0401020304");
    put(&hello, suite);
    put(&hello, "00");
    put(&own, extensions);
    if (own.size)
        put_part(&hello, 2, &own);
    return hello;
}

static bytes certificate(void)
{
    bytes body = {.size = 0}, list = {.size = 0}, one = {.size = 0}, two = {.size = 0};
    put(&one, "308200fe"); /* less than 256 bytes behind it: DER would be shorter, nobody looks */
    fill(&one, 254, 7);
    put(&two, "30820190");
    fill(&two, 400, 7);
    put_part(&list, 3, &two);
    put_part(&list, 3, &two);
    put_part(&body, 3, &list);
    return body;
}

static bytes key_exchange(void)
{
    bytes body = {.size = 0}, point = {.size = 0}, signature = {.size = 0};
    put(&body, "03001d");
    fill(&point, 32, 9);
    put_part(&body, 1, &point);
    put(&body, "0804");
    fill(&signature, 256, 8);
    put_part(&body, 2, &signature);
    return body;
}

typedef struct segment {
    int from, pushed;
    bytes payload;
} segment;

/* Adds a record of one message; all of them in one where it is NULL. */
static void add_message(bytes *records, bytes *all, uint8_t type, const bytes *body)
{
    bytes message = {.size = 0};
    put_message(&message, type, body);
    if (!all)
        put_record(records, 22, &message);
    else {
        memcpy(all->b + all->size, message.b, message.size);
        all->size += message.size;
    }
}

static bytes server_flight(int in_one)
{
    const bytes hello = server_hello("c02f", "ff01000100" "000b00020100"), chain = certificate(), key = key_exchange();
    const bytes done = {.size = 0};
    bytes flight = {.size = 0}, all = {.size = 0};
    add_message(&flight, in_one ? &all : NULL, 2, &hello);
    add_message(&flight, in_one ? &all : NULL, 11, &chain);
    add_message(&flight, in_one ? &all : NULL, 12, &key);
    add_message(&flight, in_one ? &all : NULL, 14, &done);
    if (in_one)
        put_record(&flight, 22, &all);
    return flight;
}

static bytes part_of(const bytes *x, uint32_t from, uint32_t to)
{
    bytes part = {.size = to - from};
    memcpy(part.b, x->b + from, to - from);
    return part;
}

static bytes change_and_finish(void)
{
    bytes records = {.size = 0}, finished = {.size = 0};
    put(&records, "140303000101");
    fill(&finished, 40, 0xee);
    put_record(&records, 22, &finished);
    return records;
}

static bytes data(uint32_t size)
{
    bytes record = {.size = 0}, content = {.size = 0};
    fill(&content, size, 0xdd);
    put_record(&record, 23, &content);
    return record;
}

static bytes client_exchange(void)
{
    bytes records = {.size = 0}, body = {.size = 0}, point = {.size = 0}, finish = change_and_finish();
    fill(&point, 32, 9);
    put_part(&body, 1, &point);
    add_message(&records, NULL, 16, &body);
    memcpy(records.b + records.size, finish.b, finish.size);
    records.size += finish.size;
    return records;
}

/* Takes note of a segment after each of its bytes was permitted, those before `clear` by not being bound. */
static void say(wlmi_tls *tls, const segment *s, uint32_t clear)
{
    const wlmi_tls_segment t = {s->payload.b, s->payload.size, s->from, s->pushed};
    for (uint32_t have = 0; have < t.size; have++) {
        uint64_t row[4];
        const int bound = wlmi_tls_next(tls, &t, have, row);
        if (bound != (have >= clear) || (bound && !permitted(row, t.payload[have])))
            fail_msg("byte %u of %u from %d: %s", have, t.size, t.from, bound ? "not permitted" : "bound or not");
    }
    wlmi_tls_said(tls, &t, t.size);
}

static void say_all(const segment *s, size_t count)
{
    wlmi_tls tls = {.side = {{0}}};
    for (size_t i = 0; i < count; i++)
        say(&tls, &s[i], i ? 0 : 3);
}
#define SAY(...)                                                                                                     \
    do {                                                                                                             \
        const segment said_[] = {__VA_ARGS__};                                                                       \
        say_all(said_, sizeof said_ / sizeof *said_);                                                                \
    } while (0)

static void handshakes_are_permitted(void **state)
{
    const bytes flight = server_flight(0), in_one = server_flight(1), finish = change_and_finish();
    const bytes short_flight = server_hello("1301", "002b00020304" "00330024001d0020"
                                            "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f");
    bytes resumed = {.size = 0}, hello = server_hello("c02f", "ff01000100"), modern = {.size = 0};
    (void)state;
    SAY({CLIENT, 1, client_hello()}, {SERVER, 1, flight}, {CLIENT, 1, client_exchange()}, {SERVER, 1, finish},
        {CLIENT, 1, data(100)}, {SERVER, 0, data(1400)}, {SERVER, 1, data(30)});
    SAY({CLIENT, 1, client_hello()}, {SERVER, 1, in_one}, {CLIENT, 1, client_exchange()}, {SERVER, 1, finish});
    /* Cut inside a certificate, and between messages' bytes. */
    for (uint32_t cut = 600; cut < 1000; cut += 37)
        SAY({CLIENT, 1, client_hello()}, {SERVER, 0, part_of(&in_one, 0, cut)},
            {SERVER, 1, part_of(&in_one, cut, in_one.size)}, {CLIENT, 1, client_exchange()});
    add_message(&resumed, NULL, 2, &hello);
    memcpy(resumed.b + resumed.size, finish.b, finish.size);
    resumed.size += finish.size;
    SAY({CLIENT, 1, client_hello()}, {SERVER, 1, resumed}, {CLIENT, 1, finish}, {CLIENT, 1, data(50)});
    add_message(&modern, NULL, 2, &short_flight);
    put(&modern, "140303000101" "1703030003010203");
    SAY({CLIENT, 1, client_hello()}, {SERVER, 1, modern}, {CLIENT, 1, data(60)});
    put(&resumed, "150303001a");
    fill(&resumed, 26, 1);
    SAY({CLIENT, 1, client_hello()}, {SERVER, 1, resumed});
}

static int only(const uint64_t row[4], uint8_t byte)
{
    uint64_t want[4] = {0};
    want[byte >> 6] |= UINT64_C(1) << (byte & 63);
    return !memcmp(row, want, sizeof want);
}

static void by_hand(void **state)
{
    const bytes hello = client_hello(), flight = server_flight(0);
    wlmi_tls tls = {.side = {{0}}};
    wlmi_tls_segment s = {hello.b, hello.size, CLIENT, 1};
    uint64_t row[4];
    (void)state;
    /* A hello in a pushed segment fills it. */
    assert_int_equal(wlmi_tls_next(&tls, &s, 3, row), 1);
    assert_true(only(row, 0));
    assert_int_equal(wlmi_tls_next(&tls, &s, 4, row), 1);
    assert_true(only(row, (uint8_t)(hello.size - 5)));
    s.pushed = 0; /* it may go on in the next */
    assert_int_equal(wlmi_tls_next(&tls, &s, 3, row), 1);
    assert_true(permitted(row, 0) && permitted(row, 2) && !permitted(row, 0x60));
    /* The answer is a handshake or an alert, which has seven bytes, and says hello. */
    s.pushed = 1;
    wlmi_tls_said(&tls, &s, s.size);
    s = (wlmi_tls_segment){flight.b, flight.size, SERVER, 1};
    assert_int_equal(wlmi_tls_next(&tls, &s, 0, row), 1);
    assert_true(only(row, 22));
    s.size = 7;
    assert_int_equal(wlmi_tls_next(&tls, &s, 0, row), 1);
    assert_true(permitted(row, 21) && !permitted(row, 23) && !permitted(row, 20));
    s.size = flight.size;
    assert_int_equal(wlmi_tls_next(&tls, &s, 5, row), 1);
    assert_true(only(row, 2));
}

static void what_is_no_tls_is_not_bound(void **state)
{
    static const char *const others[] = {"GET / HTTP/1.1\r\n\r\n", "\x16\x07\1\0\x30\1\0\0\x2c...............",
                                         "\x18\3\1\0\x30\1\0\0\x2c...............", "SSH-2.0-x..........."};
    wlmi_tls tls = {.side = {{0}}};
    uint64_t row[4];
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const wlmi_tls_segment s = {(const uint8_t *)others[i], 18, (int)i & 1, 1};
        for (uint32_t have = 0; have < s.size; have++)
            assert_int_equal(wlmi_tls_next(&tls, &s, have, row), 0);
        wlmi_tls_said(&tls, &s, s.size);
        assert_false(tls.side[i & 1].is_tls);
    }
    /* STARTTLS: behind other payload a hello begins as at first, and is answered. */
    segment s = {CLIENT, 1, client_hello()};
    say(&tls, &s, 3);
    s = (segment){SERVER, 1, server_flight(0)};
    say(&tls, &s, 0);
}

/* What was captured in part is not known to go on as records; the next that begins as one is. */
static void what_was_cut_off_is_not_bound(void **state)
{
    segment s = {CLIENT, 1, client_hello()};
    const wlmi_tls_segment cut = {s.payload.b, s.payload.size, CLIENT, 1};
    wlmi_tls tls = {.side = {{0}}};
    (void)state;
    wlmi_tls_said(&tls, &cut, 60);
    assert_false(tls.side[CLIENT].is_tls);
    say(&tls, &s, 3);
}

/* ---------------------------------------------------------------- the test's reader */

typedef struct side {
    uint32_t left; /* of a record */
    int ciphered, spoke;
} side;

static uint32_t number(const uint8_t *b, unsigned count)
{
    uint32_t n = 0;
    while (count--)
        n = n << 8 | *b++;
    return n;
}

/* Whether parts with lengths of so many bytes, behind `before` others, fill what is from b to end. */
static int parts_fill(const uint8_t *b, const uint8_t *end, unsigned before, unsigned length_bytes)
{
    while (b < end) {
        if (end - b < (ptrdiff_t)(before + length_bytes))
            return 0;
        const uint32_t length = number(b + before, length_bytes);
        if (!length || length > (uint32_t)(end - b) - before - length_bytes)
            return 0;
        b += before + length_bytes + length;
    }
    return 1;
}

static int extension_is_right(unsigned type, const uint8_t *b, uint32_t size, int from)
{
    switch (type) {
    case 0: return from == SERVER ? size == 0 : number(b, 2) == size - 2 && !b[2] && number(b + 3, 2) == size - 5;
    case 10: return size > 2 && number(b, 2) == size - 2 && size % 2 == 0;
    case 11: return size > 1 && b[0] == size - 1;
    case 16: return size > 2 && number(b, 2) == size - 2 && parts_fill(b + 2, b + size, 0, 1);
    case 23: return size == 0;
    case 51:
        return from == SERVER ? size > 4 && number(b + 2, 2) == size - 4
                              : size > 2 && number(b, 2) == size - 2 && parts_fill(b + 2, b + size, 2, 2);
    case 65281: return size > 0 && b[0] == size - 1;
    }
    return 1;
}

static int hello_is_right(const uint8_t *b, uint32_t size, int from)
{
    uint32_t at = 35;
    if (size < 38 || b[0] != 3 || b[1] > 3 || b[34] > 32)
        return 0;
    at += b[34];
    if (from == CLIENT) {
        const uint32_t suites = number(b + at, 2);
        if (!suites || suites % 2 || at + 2 + suites + 2 > size)
            return 0;
        at += 2 + suites;
        if (!b[at] || at + 1 + b[at] > size || b[at + b[at]])
            return 0;
        at += 1u + b[at];
    } else {
        at += 3;
    }
    if (at == size)
        return 1;
    if (at + 2 > size || number(b + at, 2) != size - at - 2)
        return 0;
    for (at += 2; at < size;) {
        if (at + 4 > size || at + 4 + number(b + at + 2, 2) > size ||
            !extension_is_right(number(b + at, 2), b + at + 4, number(b + at + 2, 2), from))
            return 0;
        at += 4 + number(b + at + 2, 2);
    }
    return 1;
}

static int messages_are_right(const uint8_t *b, uint32_t size, int from)
{
    for (uint32_t at = 0; at < size;) {
        const uint32_t length = at + 4 <= size ? number(b + at + 1, 3) : UINT32_MAX;
        const uint8_t type = b[at], *body = b + at + 4;
        if (length > size - at - 4)
            return 0;
        if (type <= 2 && (type != from + 1 || !hello_is_right(body, length, from)))
            return 0;
        if (type == 11 && (number(body, 3) != length - 3 || !parts_fill(body + 3, body + length, 0, 3)))
            return 0;
        if (type == 14 && length)
            return 0;
        at += 4 + length;
    }
    return 1;
}

/* Whether records fill the segment, up to one that goes on. */
static int records_are_right(side *s, const wlmi_tls_segment *t)
{
    uint32_t at = s->left < t->size ? s->left : t->size;
    s->left -= at;
    const int begins = at < t->size;
    while (at < t->size) {
        const uint8_t *b = t->payload + at;
        if (t->size - at <= 5 || b[0] < 20 || b[0] > 23 || b[1] != 3 || b[2] > 4)
            return 0;
        const uint32_t length = number(b + 3, 2), there = t->size - at - 5;
        if (!length || (b[0] == 20 && (length != 1 || b[5] != 1)))
            return 0;
        s->ciphered |= b[0] == 20;
        if (b[0] == 22 && !s->ciphered && length <= there && !messages_are_right(b + 5, length, t->from))
            return 0;
        at += 5 + (length < there ? length : there);
        s->left = length - (length < there ? length : there);
    }
    return !s->left || !begins || !t->pushed || t->size >= 1000 || t->size < 50;
}

/* Bytes of meaning more often than by chance. */
static uint8_t draw(wlmi_rng *rng, const uint64_t row[4])
{
    static const uint8_t liked[] = {0, 1, 2, 3, 11, 12, 14, 16, 20, 22, 23, 0x13, 0xc0, 0x2f, 51};
    for (;;) {
        const uint8_t byte = wlmi_rng_below(rng, 2) ? liked[wlmi_rng_below(rng, sizeof liked)]
                                                    : (uint8_t)wlmi_rng_below(rng, 256);
        if (permitted(row, byte))
            return byte;
    }
}

/* Fills a segment from byte `have` on; 0: nothing binds its first byte. Where that is bound, all are, but behind a record
 * that began before: what its end would leave of the segment was not known then. */
static int draw_segment(const wlmi_tls *tls, uint8_t *payload, const wlmi_tls_segment *t, uint32_t have, wlmi_rng *rng)
{
    for (uint32_t first = have; have < t->size; have++) {
        uint64_t row[4];
        if (!wlmi_tls_next(tls, t, have, row)) {
            if (have > first && !tls->side[t->from].record_left)
                fail_msg("nothing leads on from byte %u of %u", have, t->size);
            return 0;
        }
        payload[have] = draw(rng, row);
    }
    return 1;
}

static void what_is_drawn_is_right(void **state)
{
    static const uint8_t begin[] = {22, 3, 1};
    uint8_t payload[MOST];
    unsigned records = 0, segments = 0;
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 1);
    for (int i = 0; i < 400; i++) {
        wlmi_tls tls = {.side = {{0}}};
        side sides[2] = {{0}};
        for (int j = 0; j < 12; j++) {
            const int from = j < 2 ? j : (int)wlmi_rng_below(&rng, 2);
            const uint32_t small = 6 + (uint32_t)wlmi_rng_below(&rng, 500);
            const wlmi_tls_segment t = {payload, wlmi_rng_below(&rng, 3) ? small : MOST - small, from,
                                        wlmi_rng_below(&rng, 4) > 0};
            if (j == 0)
                memcpy(payload, begin, sizeof begin);
            if (!draw_segment(&tls, payload, &t, j ? 0 : 3, &rng)) /* it has no room for what has to come */
                continue;
            if (j == 0 && payload[5] != 1)
                break;
            segments++;
            records += payload[0] == 22;
            if (!records_are_right(&sides[from], &t))
                fail_msg("conversation %d, segment %d of %u bytes is not right", i, j, t.size);
            wlmi_tls_said(&tls, &t, t.size);
        }
    }
    assert_true(segments > 2000 && records > 400);
}

/* What is in a capture may be anything: a handshake with some bytes changed, cut anywhere. */
static void any_bytes_are_read(void **state)
{
    const bytes hello = client_hello(), flight = server_flight(1);
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 6);
    for (int i = 0; i < 3000; i++) {
        wlmi_tls tls = {.side = {{0}}};
        for (int from = 0; from < 2; from++) {
            bytes whole = from ? flight : hello;
            for (int j = (int)wlmi_rng_below(&rng, 4); j; j--)
                whole.b[wlmi_rng_below(&rng, whole.size)] = (uint8_t)wlmi_rng_next(&rng);
            for (uint32_t at = 0, size; at < whole.size; at += size) {
                size = 1 + (uint32_t)wlmi_rng_below(&rng, whole.size - at);
                const uint32_t have = (uint32_t)wlmi_rng_below(&rng, size + 1);
                uint8_t *own = malloc(have + 1); /* so that reading behind it is noticed */
                const wlmi_tls_segment t = {own, size, from, (int)wlmi_rng_below(&rng, 2)};
                uint64_t row[4];
                assert_non_null(own);
                memcpy(own, whole.b + at, have);
                if (have < size && wlmi_tls_next(&tls, &t, have, row))
                    assert_true(row[0] | row[1] | row[2] | row[3]);
                wlmi_tls_said(&tls, &t, have);
                free(own);
            }
        }
    }
}

/* ---------------------------------------------------------------- in a flow that is generated */

static wlmi_token kind_of(unsigned flags, int backward)
{
    unsigned i = 0;
    while (wlmi_kind_flags[i] != flags)
        i++;
    return (wlmi_token)(WLMI_T_KIND + (backward ? WLMI_KINDS : 0) + WLMI_KIND_TCP + i);
}

/* A segment that begins with these bytes and goes on with any that may follow. */
static void push_segment(wlmi_coder *coder, int from, const uint8_t *begin, uint32_t count, uint32_t size,
                         wlmi_rng *rng, uint8_t *out)
{
    const wlmi_codec *codec = &wlmi_codec_fields;
    wlmi_pushed what = WLMI_PUSHED;
    wlm_error error;
    uint32_t have = 0;
    for (int pushed = 0; what == WLMI_PUSHED; pushed++) {
        const wlmi_token length = (wlmi_token)(size < WLMI_LEN_SMALL ? WLMI_T_LEN + size : (uint32_t)WLMI_T_LEN_MID);
        const wlmi_token kind = kind_of(WLMI_TCP_PSH | WLMI_TCP_ACK, from);
        wlmi_allowed a;
        unsigned t;
        assert_true(pushed < 2000);
        codec->allowed(coder, &a);
        for (t = a.low; t < a.high && (!wlmi_is_allowed(&a, (wlmi_token)t) || (t >= WLMI_T_END && t < WLMI_T_END + 3));)
            t++;
        if (codec->role(coder) == WLMI_R_BORDER && !coder->packets)
            t = WLMI_T_SHAPE + WLMI_FL_RAW * WLMI_FIELDS_NETS + WLMI_FN_TCP;
        else if (codec->role(coder) == WLMI_R_PAYLOAD) {
            out[have] = have < count ? begin[have] : draw(rng, a.row);
            t = out[have++];
        } else if (codec->role(coder) == WLMI_R_LEN + 2)
            t = WLMI_T_DIGIT + size;
        else if (wlmi_is_allowed(&a, kind))
            t = kind;
        else if (wlmi_is_allowed(&a, length))
            t = length;
        else if (wlmi_is_allowed(&a, WLMI_T_LEN_SAME))
            t = WLMI_T_LEN_SAME;
        assert_ok(codec->push(coder, (wlmi_token)t, &what, &error), &error);
    }
    assert_int_equal(what, WLMI_PUSHED_PACKET);
    assert_int_equal(have, size);
}

static void generated_records_are_right(void **state)
{
    enum { HELLO = 205, ANSWER = 700 };
    static const uint8_t begin[] = {22, 3, 1, 0, HELLO - 5, 1};
    uint8_t payload[ANSWER];
    wlmi_coder *coder;
    wlm_error error;
    wlmi_rng rng;
    (void)state;
    assert_ok(wlmi_codec_fields.make(&coder, &error), &error);
    wlmi_rng_seed(&rng, 2);
    for (int i = 0; i < 100; i++) {
        const wlmi_coder_options options = {.generating = WLMI_GENERATING_WHOLE};
        const wlmi_tls_segment hello = {payload, HELLO, CLIENT, 1}, answer = {payload, ANSWER, SERVER, 1};
        side sides[2] = {{0}};
        wlmi_codec_fields.start(coder, &options);
        push_segment(coder, CLIENT, begin, sizeof begin, HELLO, &rng, payload);
        assert_true(records_are_right(&sides[CLIENT], &hello));
        push_segment(coder, SERVER, NULL, 0, ANSWER, &rng, payload);
        assert_true(payload[0] == 22 && payload[5] == 2);
        assert_true(records_are_right(&sides[SERVER], &answer));
    }
    wlmi_codec_fields.drop(coder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes_are_permitted),    cmocka_unit_test(by_hand),
        cmocka_unit_test(what_is_no_tls_is_not_bound), cmocka_unit_test(what_was_cut_off_is_not_bound),
        cmocka_unit_test(what_is_drawn_is_right),      cmocka_unit_test(any_bytes_are_read),
        cmocka_unit_test(generated_records_are_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
