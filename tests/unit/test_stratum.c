/* test_stratum.c: what kind of traffic a flow is, by packets made by hand. */
#include "support/packets.h"
#include "support/support.h"

#include <string.h>

#include "base/rng.h"
#include "capture/stratum.h"

static const test_end client = {"192.0.2.7", 40000}, server = {"198.51.100.9", 8443};

/* A ClientHello with a list of `padding` bytes before the server's name, if there is one; returns its size. */
static size_t client_hello(uint8_t *out, size_t padding, const char *name)
{
    size_t n = 0, extensions, name_size = name ? strlen(name) : 0;
    memset(out, 0, 600);
    out[n++] = 22, out[n++] = 3, out[n++] = 1, n += 2;
    out[n++] = 1, n += 3;
    out[n++] = 3, out[n++] = 3, n += 32; /* version, random */
    out[n++] = 0;                        /* session */
    out[n++] = 0, out[n++] = 2, out[n++] = 0x13, out[n++] = 1;
    out[n++] = 1, out[n++] = 0;
    n += 2;
    extensions = n;
    out[n++] = 0, out[n++] = 21, out[n++] = (uint8_t)(padding >> 8), out[n++] = (uint8_t)padding, n += padding;
    if (name) {
        out[n++] = 0, out[n++] = 0, out[n++] = 0, out[n++] = (uint8_t)(name_size + 5);
        out[n++] = 0, out[n++] = (uint8_t)(name_size + 3), out[n++] = 0, out[n++] = 0, out[n++] = (uint8_t)name_size;
        memcpy(out + n, name, name_size);
        n += name_size;
    }
    out[extensions - 2] = (uint8_t)((n - extensions) >> 8), out[extensions - 1] = (uint8_t)(n - extensions);
    out[7] = (uint8_t)((n - 9) >> 8), out[8] = (uint8_t)(n - 9);
    out[3] = (uint8_t)((n - 5) >> 8), out[4] = (uint8_t)(n - 5);
    return n;
}

static wlmi_stratum_watch watch;

static void begin(void)
{
    memset(&watch, 0, sizeof watch);
}

static int take(test_packet ip)
{
    test_packet frame = test_ethernet(&ip);
    wlm_packet packet = test_view(&frame, WLMI_LINK_ETHERNET, 0);
    return wlmi_stratum_take(&watch, &packet);
}

static void assert_stratum(const char *name)
{
    assert_string_equal(wlmi_stratum_name(wlmi_stratum_of(&watch)), name);
}

static void text_is_plain(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: www.example.org\r\nAccept: */*\r\n\r\n";
    (void)state;
    begin();
    assert_true(take(test_tcp(client, server, WLMI_TCP_SYN, NULL, 0)));
    assert_stratum("other"); /* nothing was said yet */
    assert_true(take(test_tcp(client, server, WLMI_TCP_ACK, request, sizeof request - 1)));
    assert_stratum("plain");
}

static void tls_with_and_without_a_name(void **state)
{
    uint8_t hello[600];
    size_t size = client_hello(hello, 10, "www.example.org");
    (void)state;
    begin();
    take(test_tcp(client, server, WLMI_TCP_SYN, NULL, 0));
    assert_false(take(test_tcp(client, server, WLMI_TCP_ACK, hello, size))); /* enough is known */
    assert_stratum("tls_sni");
    begin();
    size = client_hello(hello, 10, NULL);
    assert_true(take(test_tcp(client, server, WLMI_TCP_ACK, hello, size)));
    assert_stratum("tls_no_sni");
    begin(); /* the name was cut off */
    size = client_hello(hello, 10, "www.example.org");
    take(test_tcp(client, server, WLMI_TCP_ACK, hello, size - 24));
    assert_stratum("tls_no_sni");
}

static void a_hello_in_pieces(void **state)
{
    uint8_t hello[600];
    size_t size = client_hello(hello, 400, "www.example.org");
    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        begin();
        assert_true(take(test_tcp_seq(client, server, WLMI_TCP_ACK, 1000, 1, hello, 200)));
        take(test_tcp_seq(server, client, WLMI_TCP_ACK, 1, 1200, NULL, 0));
        if (!lost)
            take(test_tcp_seq(client, server, WLMI_TCP_ACK, 1200, 1, hello + 200, 200));
        take(test_tcp_seq(client, server, WLMI_TCP_ACK, 1400, 1, hello + 400, size - 400));
        assert_stratum(lost ? "tls_no_sni" : "tls_sni");
    }
}

static void joined_in_the_middle(void **state)
{
    uint8_t data[300] = {23, 3, 3, 1, 0x23};
    (void)state;
    begin();
    take(test_tcp(server, client, WLMI_TCP_ACK, data, sizeof data));
    assert_stratum("tls_no_sni");
}

static void starttls_is_tls(void **state)
{
    uint8_t hello[600];
    size_t size = client_hello(hello, 10, "mail.example.org");
    (void)state;
    begin();
    take(test_tcp(server, client, WLMI_TCP_ACK, "220 mail ready\r\n", 16));
    take(test_tcp(client, server, WLMI_TCP_ACK, "STARTTLS\r\n", 10));
    take(test_tcp(client, server, WLMI_TCP_ACK, hello, size));
    assert_stratum("tls_sni");
}

static void quic_by_its_version(void **state)
{
    static const uint8_t versions[][4] = {{0, 0, 0, 1}, {0x6b, 0x33, 0x43, 0xcf}, {0xff, 0, 0, 29},
                                          {'Q', '0', '4', '6'}, {0x1a, 0x2a, 0x3a, 0x4a}};
    uint8_t data[200] = {0xc3, 0, 0, 0, 0, 8};
    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        begin();
        memcpy(data + 1, versions[i], 4);
        take(test_udp(client, server, data, sizeof data));
        assert_stratum("quic");
    }
    begin();
    memcpy(data + 1, "\x12\x34\x56\x78", 4);
    take(test_udp(client, server, data, sizeof data));
    assert_stratum("plain");
    begin(); /* a connection name that does not fit */
    memcpy(data + 1, "\0\0\0\1", 4);
    data[5] = 21;
    take(test_udp(client, server, data, sizeof data));
    assert_stratum("plain");
    begin();
    data[5] = 8;
    take(test_udp(client, server, data, 14)); /* shorter than its names */
    assert_stratum("plain");
}

static void chance_and_silence_are_other(void **state)
{
    uint8_t data[600];
    wlmi_rng rng;
    int others = 0;
    (void)state;
    begin();
    take(test_icmp(client, server, 8, 0, "abcdefgh", 8));
    assert_stratum("other");
    wlmi_rng_seed(&rng, 1);
    for (int i = 0; i < 100; i++) {
        for (size_t j = 0; j < sizeof data; j++)
            data[j] = (uint8_t)wlmi_rng_next(&rng);
        data[0] = 1;
        begin();
        take(test_udp(client, server, data, sizeof data));
        others += wlmi_stratum_of(&watch) == WLMI_STRATUM_OTHER;
    }
    assert_int_equal(others, 100);
}

static void hostile_bytes(void **state)
{
    uint8_t hello[600];
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 2);
    for (int i = 0; i < 3000; i++) {
        const size_t size = client_hello(hello, wlmi_rng_below(&rng, 300), "a.example");
        const size_t at = 1 + wlmi_rng_below(&rng, size - 1);
        if (i % 8 == 0)
            begin();
        for (int j = 0; j < 3; j++)
            hello[wlmi_rng_below(&rng, size)] = (uint8_t)wlmi_rng_next(&rng);
        take(test_tcp_seq(client, server, WLMI_TCP_ACK, 1000, 1, hello, at));
        take(test_tcp_seq(client, server, WLMI_TCP_ACK, 1000 + (uint32_t)at, 1, hello + at, size - at));
        take(test_udp(client, server, hello, at));
        wlmi_stratum_of(&watch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_plain),
        cmocka_unit_test(tls_with_and_without_a_name),
        cmocka_unit_test(a_hello_in_pieces),
        cmocka_unit_test(joined_in_the_middle),
        cmocka_unit_test(starttls_is_tls),
        cmocka_unit_test(quic_by_its_version),
        cmocka_unit_test(chance_and_silence_are_other),
        cmocka_unit_test(hostile_bytes),
    };
    return cmocka_run_group_tests_name("stratum", tests, NULL, NULL);
}
