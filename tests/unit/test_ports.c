/* test_ports.c: ports of generated flows: drawn as in training, and fitting the first payload. */
#include <string.h>

#include "support/support.h"
#include "support/packets.h"

#include "capture/first_payload.h"
#include "task/ports.h"

static const uint8_t query[] = {0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 2, 'd', 'e', 0, 0, 1, 0, 1};

static void first_payloads_are_told_apart(void **state)
{
    uint8_t mdns[sizeof query], framed[2 + sizeof query] = {0, sizeof query};
    uint8_t netbios[12 + 34 + 4] = {1, 2, 1, 16, 0, 1};
    uint8_t ntp[48] = {0x23}, dhcp[300] = {1, 1, 6, [236] = 0x63, 0x82, 0x53, 0x63};
    const uint8_t tls[] = {22, 3, 1, 2, 0, 1, 0}, quic[] = {0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8};
    (void)state;
    memcpy(mdns, query, sizeof query);
    memset(mdns, 0, 4);
    memcpy(framed + 2, query, sizeof query);
    netbios[12] = 32;
    memset(netbios + 13, 'C', 32);
    netbios[47] = 0x20;
    netbios[49] = 1;
    assert_int_equal(wlmi_first_of(17, query, sizeof query), WLMI_FIRST_DNS);
    assert_int_equal(wlmi_first_of(6, framed, sizeof framed), WLMI_FIRST_DNS);
    assert_int_equal(wlmi_first_of(17, mdns, sizeof mdns), WLMI_FIRST_MDNS);
    assert_int_equal(wlmi_first_of(17, netbios, sizeof netbios), WLMI_FIRST_NETBIOS);
    assert_int_equal(wlmi_first_of(17, ntp, sizeof ntp), WLMI_FIRST_NTP);
    assert_int_equal(wlmi_first_of(17, dhcp, sizeof dhcp), WLMI_FIRST_DHCP);
    assert_int_equal(wlmi_first_of(17, (const uint8_t *)"NOTIFY * HTTP/1.1\r\n", 19), WLMI_FIRST_SSDP);
    assert_int_equal(wlmi_first_of(17, quic, sizeof quic), WLMI_FIRST_QUIC);
    assert_int_equal(wlmi_first_of(6, tls, sizeof tls), WLMI_FIRST_TLS);
    assert_int_equal(wlmi_first_of(6, (const uint8_t *)"GET / HTTP/1.1\r\n", 16), WLMI_FIRST_HTTP);
    assert_int_equal(wlmi_first_of(6, (const uint8_t *)"SSH-2.0-x\r\n", 11), WLMI_FIRST_SSH);
    assert_int_equal(wlmi_first_of(17, NULL, 0), WLMI_FIRST_NONE);
    for (uint32_t size = 1; size < sizeof query; size++) /* cut messages are none */
        assert_int_equal(wlmi_first_of(17, query, size), WLMI_FIRST_OTHER);
    assert_int_equal(wlmi_first_of(6, query, sizeof query), WLMI_FIRST_OTHER);
}

static wlmi_look look_at_udp(test_end from, test_end to, int is_answer)
{
    uint8_t message[sizeof query];
    wlmi_look look = {0};
    memcpy(message, query, sizeof query);
    message[2] |= is_answer ? 0x80 : 0;
    const test_packet ip = test_udp(from, to, message, sizeof message);
    const wlm_packet packet = test_view(&ip, WLMI_LINK_RAW, 0);
    assert_int_equal(wlmi_look_at(&look, &packet), 1);
    return look;
}

/* A query comes from a client; a flow that begins with an answer from a server. */
static void who_begins_is_told_by_what_is_said(void **state)
{
    const test_end client = {"192.0.2.1", 4000}, server = {"192.0.2.2", 53};
    (void)state;
    assert_int_equal(look_at_udp(client, server, 0).first, WLMI_FIRST_DNS);
    assert_int_equal(look_at_udp(server, client, 1).first, WLMI_FIRST_DNS_TURNED);
}

static wlmi_ports some_ports(void)
{
    wlmi_ports ports = {.rows = 5,
                        .row = {{.proto = 17, .server = 53, .flows = {[WLMI_FIRST_DNS] = 30}},
                                {.proto = 17, .server = 5335, .flows = {[WLMI_FIRST_DNS] = 10}},
                                {.proto = 17, .group = 1, .client = 5353, .server = 5353,
                                 .flows = {[WLMI_FIRST_MDNS] = 7}},
                                {.proto = 6, .server = 8443, .flows = {[WLMI_FIRST_TLS] = 5}},
                                {.proto = 6, .server = 0, .flows = {[WLMI_FIRST_OTHER] = 5}}}};
    return ports;
}

static void ports_fit_the_payload_and_training(void **state)
{
    const wlmi_ports ports = some_ports();
    uint16_t client, server;
    int usual = 0;
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 1);
    for (int i = 0; i < 4000; i++) {
        wlmi_ports_draw(&ports, &(wlmi_look){.proto = 17, .group = 0, .first = WLMI_FIRST_DNS}, &rng, &client, &server);
        assert_true(client == 0 && (server == 53 || server == 5335));
        usual += server == 53;
    }
    assert_in_range(usual, 2800, 3200); /* 3 of 4 */
    wlmi_ports_draw(&ports, &(wlmi_look){.proto = 17, .group = 1, .first = WLMI_FIRST_MDNS}, &rng, &client, &server);
    assert_true(client == 5353 && server == 5353);
    wlmi_ports_draw(&ports, &(wlmi_look){.proto = 17, .group = 0, .first = WLMI_FIRST_MDNS}, &rng, &client, &server); /* none but to groups */
    assert_true(client == 5353 && server == 5353);
    wlmi_ports_draw(&ports, &(wlmi_look){.proto = 6, .group = 0, .first = WLMI_FIRST_TLS}, &rng, &client, &server);
    assert_int_equal(server, 8443);
    wlmi_ports_draw(&ports, &(wlmi_look){.proto = 6, .group = 0, .first = WLMI_FIRST_OTHER}, &rng, &client, &server);
    assert_int_equal(server, 0);
    wlmi_ports_draw(&ports, &(wlmi_look){.proto = 17, .group = 0, .first = WLMI_FIRST_NTP}, &rng, &client, &server); /* never in training */
    assert_int_equal(server, 123);
    wlmi_ports_draw(NULL, &(wlmi_look){.proto = 6, .group = 0, .first = WLMI_FIRST_SSH}, &rng, &client, &server);
    assert_int_equal(server, 22);
    wlmi_ports_draw(&ports, &(wlmi_look){.proto = 17, .first = WLMI_FIRST_DNS_TURNED}, &rng, &client, &server);
    assert_true(client == 53 && server == 0);
}

static void clients_lie_where_they_did_in_training(void **state)
{
    const wlmi_ports ports = {.clients = {[0] = {0, 1, 0, 3}, [1] = {1, 0, 0, 0}}};
    int low = 0;
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 2);
    for (uint32_t port = 49152; port < 65536; port++) {
        const uint16_t tcp = wlmi_ports_client(&ports, 6, (uint16_t)port, &rng);
        const uint16_t udp = wlmi_ports_client(&ports, 17, (uint16_t)port, &rng);
        assert_true(tcp == port || tcp == port - 32768);
        low += tcp < 32768;
        assert_int_equal(udp, port < 49152 + 1024 ? port : port - 49152); /* none below 1024 */
        assert_int_equal(wlmi_ports_client(NULL, 6, (uint16_t)port, &rng), port);
    }
    assert_in_range(low, 3900, 4300); /* one in four */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_payloads_are_told_apart),
        cmocka_unit_test(who_begins_is_told_by_what_is_said),
        cmocka_unit_test(ports_fit_the_payload_and_training),
        cmocka_unit_test(clients_lie_where_they_did_in_training),
    };
    return cmocka_run_group_tests_name("ports", tests, NULL, NULL);
}
