/* test_hide.c: nothing of who talked remains where hiding looks, and everything else does: lengths, checksums as
 * right or wrong as they were, structure that still decodes. */
#include "support/packets.h"
#include "support/support.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/rng.h"
#include "capture/hide.h"

static const test_end client = {"10.11.12.13", 40123}, server = {"172.16.99.88", 443};
static const test_end client6 = {"2001:4860:1234::77", 40123}, server6 = {"2606:4700:5678::99", 5060};

static const uint8_t link_a[6] = {0x00, 0x1b, 0x21, 0xaa, 0xbb, 0xcc}, link_b[6] = {0x00, 0x1b, 0x21, 0x11, 0x22, 0x33};

/* A packet in Ethernet between link_a and link_b, padded to at least 60 bytes. */
static test_packet framed(const test_packet *ip)
{
    test_packet p = test_ethernet(ip);
    memcpy(p.data, link_b, 6);
    memcpy(p.data + 6, link_a, 6);
    while (p.size < 60)
        p.data[p.size++] = 0xee;
    return p;
}

static wlm_flow_key key_between(test_end from, test_end to, uint8_t proto)
{
    test_packet p = test_ip(from, to, proto, "", 0);
    wlm_flow_key key = {.proto = proto, .src_port = from.port, .dst_port = to.port, .link_type = WLMI_LINK_ETHERNET};
    key.addr_len = p.data[0] >> 4 == 4 ? 4 : 16;
    memcpy(key.src, p.data + (key.addr_len == 4 ? 12 : 8), key.addr_len);
    memcpy(key.dst, p.data + (key.addr_len == 4 ? 16 : 24), key.addr_len);
    return key;
}

typedef struct hidden {
    uint8_t data[4096];
    wlm_packet packet; /* points to data */
    wlmi_headers h;
} hidden;

static void hide_view(hidden *out, wlm_packet view, const wlm_flow_key *key, wlm_hide policy, uint32_t payload)
{
    wlmi_hider *hider;
    wlm_error error;
    assert_ok(wlmi_hider_new(&hider, policy, payload, &error), &error);
    wlmi_hider_start(hider, key, 42, 1000);
    assert_ok(wlmi_hide_packet(hider, &view, &out->packet, &error), &error);
    assert_true(out->packet.captured <= sizeof out->data);
    memcpy(out->data, out->packet.data, out->packet.captured);
    out->packet.data = out->data;
    wlmi_decode(&out->packet, &out->h);
    wlmi_hider_free(hider);
}

static int holds(const hidden *out, const void *what, size_t size)
{
    return memmem(out->data, out->packet.captured, what, size) != NULL;
}

static int holds_text(const hidden *out, const char *text)
{
    return holds(out, text, strlen(text));
}

/* Hides with policy ids and checks what must be so for every packet. The first packet goes from `from`. */
static hidden hide_between(test_end from, test_end to, const test_packet *ip)
{
    test_packet p = framed(ip);
    wlm_packet view = test_view(&p, WLMI_LINK_ETHERNET, 5000);
    wlmi_headers before;
    hidden out, again;
    wlmi_decode(&view, &before);
    wlm_flow_key key = key_between(from, to, before.proto);
    hide_view(&out, view, &key, WLM_HIDE_IDS, WLM_PAYLOAD_FULL);
    assert_int_equal(out.packet.time_ns, 4000);
    assert_int_equal(out.packet.link_type, WLMI_HIDDEN_LINK);
    assert_int_equal(out.packet.captured, ip->size);
    assert_int_equal(out.packet.wire, ip->size);
    assert_int_equal(out.h.reason, before.reason);
    assert_int_equal(out.h.payload_len, before.payload_len);
    assert_int_equal(wlmi_check_network(out.data, &out.h), wlmi_check_network(p.data, &before));
    assert_int_equal(wlmi_check_transport(out.data, &out.h), wlmi_check_transport(p.data, &before));
    assert_false(holds(&out, key.src, key.addr_len));
    assert_false(holds(&out, key.dst, key.addr_len));
    assert_false(holds_text(&out, from.address));
    assert_false(holds_text(&out, to.address));
    assert_false(holds(&out, link_a, 6));
    assert_false(holds(&out, link_b, 6));

    /* The same key gives the same packet; hiding once more changes nothing about what it is. */
    hide_view(&again, view, &key, WLM_HIDE_IDS, WLM_PAYLOAD_FULL);
    assert_memory_equal(again.data, out.data, out.packet.captured);
    wlm_flow_key hidden_key = {.addr_len = key.addr_len, .proto = key.proto, .link_type = WLMI_HIDDEN_LINK};
    hidden_key.src_port = out.h.src_port;
    hidden_key.dst_port = out.h.dst_port;
    memcpy(hidden_key.src, out.data + out.h.src_addr, key.addr_len);
    memcpy(hidden_key.dst, out.data + out.h.dst_addr, key.addr_len);
    hide_view(&again, out.packet, &hidden_key, WLM_HIDE_IDS, WLM_PAYLOAD_FULL);
    again.packet.data = out.packet.data;
    assert_int_equal(again.packet.captured, out.packet.captured);
    assert_memory_equal(&again.h, &out.h, sizeof out.h);
    return out;
}

static void endpoints_become_constants_by_role(void **state)
{
    (void)state;
    test_packet p = test_tcp(client, server, WLMI_TCP_ACK, "payload", 7);
    hidden out = hide_between(client, server, &p);
    assert_int_equal(wlmi_load_be32(out.data + 12), WLMI_HIDDEN_CLIENT4);
    assert_int_equal(wlmi_load_be32(out.data + 16), WLMI_HIDDEN_SERVER4);
    assert_int_equal(out.h.src_port, WLMI_HIDDEN_CLIENT_PORT);
    assert_int_equal(out.h.dst_port, WLMI_HIDDEN_SERVER_PORT);
    assert_memory_equal(out.data + 40, "payload", 7);
    assert_memory_equal(out.data + 24, p.data + 24, 12); /* sequence numbers, flags and window stay */
    wlm_flow_key key = key_between(client, server, 6);
    p = test_tcp(server, client, WLMI_TCP_ACK, "", 0);
    hide_view(&out, test_view(&p, WLMI_LINK_RAW, 0), &key, WLM_HIDE_IDS, WLM_PAYLOAD_FULL);
    assert_int_equal(wlmi_load_be32(out.data + 12), WLMI_HIDDEN_SERVER4);
    assert_int_equal(out.h.src_port, WLMI_HIDDEN_SERVER_PORT);
    p = test_udp(client6, server6, "x", 1);
    hide_between(client6, server6, &p);
}

static void a_host_that_talks_to_itself_has_two_roles(void **state)
{
    test_end a = {"127.0.0.1", 5000}, b = {"127.0.0.1", 80};
    wlm_flow_key key = key_between(a, b, 6);
    hidden out;
    (void)state;
    test_packet p = test_tcp(b, a, WLMI_TCP_ACK, "", 0);
    hide_view(&out, test_view(&p, WLMI_LINK_RAW, 0), &key, WLM_HIDE_IDS, WLM_PAYLOAD_FULL);
    assert_int_equal(wlmi_load_be32(out.data + 12), WLMI_HIDDEN_SERVER4);
    assert_int_equal(wlmi_load_be32(out.data + 16), WLMI_HIDDEN_CLIENT4);
    assert_int_equal(out.h.src_port, WLMI_HIDDEN_SERVER_PORT);
}

static void groups_and_broadcast_keep_their_kind(void **state)
{
    static const struct { const char *to; uint32_t hidden; } known[] = {
        {"239.255.255.250", 0xe9fc0001u}, {"255.255.255.255", 0xffffffffu}, {"192.168.1.255", WLMI_HIDDEN_SERVER4}};
    hidden out;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        test_end to = {known[i].to, 1900};
        wlm_flow_key key = key_between(client, to, 17);
        test_packet p = test_udp(client, to, "x", 1);
        hide_view(&out, test_view(&p, WLMI_LINK_RAW, 0), &key, WLM_HIDE_IDS, WLM_PAYLOAD_FULL);
        assert_int_equal(wlmi_load_be32(out.data + 16), known[i].hidden);
    }
}

static void checksums_stay_as_they_were(void **state)
{
    static const uint8_t echo[] = {0x77, 0x77, 0, 2, 'a', 'b', 'c'};
    test_packet all[5];
    (void)state;
    all[0] = test_tcp(client, server, WLMI_TCP_ACK, "to 172.16.99.88 at 12", 21);
    all[1] = test_udp(client, server, "odd", 3);
    all[2] = test_icmp(client, server, 8, 0, echo, sizeof echo);
    all[3] = test_tcp(client6, server6, WLMI_TCP_SYN, "", 0);
    all[4] = test_udp(client6, server6, "even", 4);
    for (size_t i = 0; i < 5; i++) {
        hide_between(i < 3 ? client : client6, i < 3 ? server : server6, &all[i]);
        uint32_t field = (uint32_t[]){36, 26, 22, 56, 46}[i];
        for (uint32_t change = 1; change < 0x10000; change += 4099) {
            test_packet bad = all[i];
            wlmi_store_be16(bad.data + field, (uint16_t)(wlmi_load_be16(bad.data + field) ^ change));
            if (i < 3)
                bad.data[10] ^= 0x55;
            hide_between(i < 3 ? client : client6, i < 3 ? server : server6, &bad); /* compares the states */
        }
    }
    wlmi_store_be16(all[1].data + 26, 0); /* UDP without a checksum */
    hidden out = hide_between(client, server, &all[1]);
    assert_int_equal(wlmi_load_be16(out.data + 26), 0);
}

static void a_cut_packet_keeps_the_state_of_its_checksum(void **state)
{
    test_packet p = test_tcp(client, server, WLMI_TCP_ACK, "0123456789abcdefghij", 20), whole;
    wlm_flow_key key = key_between(client, server, 6);
    wlm_packet view = test_view(&p, WLMI_LINK_RAW, 0);
    wlmi_headers h;
    hidden out;
    (void)state;
    view.captured = 50;
    hide_view(&out, view, &key, WLM_HIDE_IDS, WLM_PAYLOAD_FULL);
    assert_int_equal(out.packet.captured, 50);
    assert_int_equal(out.packet.wire, 60);
    memcpy(whole.data, out.data, 50);
    memcpy(whole.data + 50, p.data + 50, 10); /* what was cut was nothing that hiding would touch */
    whole.size = 60;
    view = test_view(&whole, WLMI_LINK_RAW, 0);
    wlmi_decode(&view, &h);
    assert_int_equal(wlmi_check_transport(whole.data, &h), WLMI_SUM_RIGHT);
}

static void dns_names_and_addresses(void **state)
{
    static const uint8_t answer[] =
        "\x12\x34\x81\x80\0\1\0\3\0\0\0\1"
        "\3www\x0b" "wirelm-corp\7example\0\0\1\0\1"
        "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\7\4edge\xc0\x10"
        "\xc0\x35\0\1\0\1\0\0\0\x3c\0\4\xac\x10\x63\x58"
        "\xc0\x35\0\x1c\0\1\0\0\0\x3c\0\x10\x2a\x02\0\1\0\2\0\3\0\4\0\5\0\6\0\7"
        "\0\0\x29\x10\0\0\0\0\0\0\x0b\0\x08\0\7\0\1\x18\0\x0a\x0b\x0c";
    static const uint8_t third[16] = {0x2a, 2, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7};
    test_end dns = {"172.16.99.88", 53}, odd = {"172.16.99.88", 9953};
    (void)state;
    for (int i = 0; i < 2; i++) { /* on its port, and known by its form alone */
        test_packet p = test_udp(client, i ? odd : dns, answer, sizeof answer - 1);
        hidden out = hide_between(client, i ? odd : dns, &p);
        const uint8_t *message = out.data + 28;
        assert_false(holds_text(&out, "wirelm-corp"));
        assert_false(holds_text(&out, "example"));
        assert_false(holds(&out, third, 16));
        assert_false(holds(&out, "\x0a\x0b\x0c", 3)); /* client subnet */
        assert_memory_equal(message, answer, 12);
        assert_memory_equal(message + 12, "\3www\x0b", 5);
        assert_int_equal(message[23], '-');
        assert_int_equal(message[28], 7);
        assert_memory_equal(message + 36, "\0\0\1\0\1\xc0\x0c", 7);
        assert_true(holds_text(&out, "\4edge\xc0\x10"));
    }
}

static void reverse_local_and_country_names(void **state)
{
    static const struct { const char *wire, *gone, *kept; size_t size; } name[] = {
        {"\2\x34\x32\2\x39\x39\2\x31\x37\7in-addr\4arpa", "\2\x34\x32", "\7in-addr\4arpa", 0},
        {"\4Bobs\5_ipps\4_tcp\5local", "Bobs", "\5_ipps\4_tcp\5local", 0},
        {"\3www\4acme\2co\2uk", "acme", "\3www", 0},
        {"\7printer\4acme\3com", "com", "\7printer", 0},
        {"\x20" "FHEPFCELEHFCEPFFFACACACACACACAAA", "FHEPFCELEHFCEPFF", "CACAAA", 0}, /* NetBIOS: WORKGROUP */
    };
    test_end dns = {"172.16.99.88", 53};
    (void)state;
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        uint8_t message[128] = {0, 1, 1, 0, 0, 1};
        size_t n = strlen(name[i].wire);
        memcpy(message + 12, name[i].wire, n + 1);
        memcpy(message + 13 + n, "\0\1\0\1", 4);
        test_packet p = test_udp(client, dns, message, 17 + n);
        hidden out = hide_between(client, dns, &p);
        assert_false(holds_text(&out, name[i].gone));
        assert_true(holds_text(&out, name[i].kept));
        assert_int_equal(out.data[28 + 12], message[12]);
    }
}

static void text_protocols(void **state)
{
    static const struct { const char *text, *gone[4], *kept; } t[] = {
        {"GET http://intra.acme-corp.com/x HTTP/1.1\r\nHost: intra.acme-corp.com:8443\r\nReferer: https://acme-corp.com/\r\n"
         "User-Agent: Mozilla Chrome/120.0.0.0\r\nX-For: 10.11.12.13, 8.8.4.4\r\n\r\n",
         {"acme-corp", "8.8.4.4", "corp.com"}, "Chrome/120.0.0.0"},
        {"host: 172.16.99.88:443\r\nmore to come", {"172.16", ":443"}, "more to come"},
        {"INVITE sip:bob@172.16.99.88:40123 SIP/2.0\r\nVia: SIP/2.0/UDP 10.11.12.13:40123;branch=z\r\n"
         "Contact: <sip:al@pbx.acme-corp.com>\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.168.7.7\r\nc=IN IP4 192.168.7.7\r\n"
         "m=audio 49170 RTP/AVP 0\r\n",
         {"40123", "192.168.7.7", "acme-corp"}, "m=audio 49170"},
        {"PORT 10,11,12,13,156,187\r\n", {"10,11,12,13", "156,187"}, "PORT "},
        {"227 Entering Passive Mode (172,16,99,88,200,11).\r\n", {"172,16,99,88"}, ",200,11)."},
        {"EPRT |1|10.11.12.13|40123|\r\n", {"40123"}, "EPRT |1|"},
        {"EHLO mail.acme-corp.com\r\n", {"acme-corp"}, "EHLO mail."},
    };
    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        size_t n = strlen(t[i].text);
        test_packet p = test_tcp(client, server, WLMI_TCP_ACK, t[i].text, n), u = test_udp(client, server, t[i].text, n);
        hidden out = hide_between(client, server, &p);
        for (int j = 0; j < 4 && t[i].gone[j]; j++)
            if (holds_text(&out, t[i].gone[j]))
                fail_msg("%s is still in: %.*s", t[i].gone[j], (int)n, (const char *)out.data + 40);
        if (!holds_text(&out, t[i].kept))
            fail_msg("%s is gone from: %.*s", t[i].kept, (int)n, (const char *)out.data + 40);
        for (size_t j = 0; j < n; j++) /* each byte stays of its kind; a number may move inside its address */
            assert_int_equal(strchr("0123456789.,", t[i].text[j]) != NULL,
                             strchr("0123456789.,", out.data[40 + j]) != NULL);
        hide_between(client, server, &u);
    }
}

static void ipv6_addresses_in_payload(void **state)
{
    static const char text[] = "Via: SIP/2.0/UDP [2001:4860:1234::77]:40123\r\n";
    (void)state;
    test_packet p = test_udp(client6, server6, text, sizeof text - 1);
    hidden out = hide_between(client6, server6, &p);
    assert_true(holds_text(&out, "]:49152"));
    uint8_t binary[40] = {1, 2, 3};
    wlm_flow_key key = key_between(client6, server6, 17);
    memcpy(binary + 11, key.dst, 16);
    p = test_udp(client6, server6, binary, sizeof binary);
    hide_between(client6, server6, &p);
}

static void ipv4_addresses_in_binary_payload(void **state)
{
    static const uint8_t binary[] = {7, 0, 0xac, 16, 99, 88, 1, 0, 10, 0, 0, 1, 9, 9};
    (void)state;
    test_packet p = test_udp(client, server, binary, sizeof binary);
    hidden out = hide_between(client, server, &p);
    assert_int_equal(wlmi_load_be32(out.data + 30), WLMI_HIDDEN_SERVER4);
    test_end plain = {"10.0.0.1", 9999}; /* small numbers may stand there for anything */
    wlm_flow_key key = key_between(plain, server, 17);
    p = test_udp(plain, server, binary, sizeof binary);
    hide_view(&out, test_view(&p, WLMI_LINK_RAW, 0), &key, WLM_HIDE_IDS, WLM_PAYLOAD_FULL);
    assert_memory_equal(out.data + 34, binary + 6, 8);
}

static size_t client_hello(uint8_t *out, const char *name)
{
    size_t n = strlen(name), at = 0;
    memset(out, 7, 300);
    memcpy(out, "\x16\3\1\0\0\1\0\0\0\3\3", 11);
    at = 11 + 32;
    memcpy(out + at, "\0\0\2\x13\1\1\0", 7); /* session, one suite, compression; then the extensions' length */
    at += 9;
    memcpy(out + at, "\0\x0a\0\2\1\2\0\0", 8); /* another extension, then the name's */
    at += 8;
    wlmi_store_be16(out + at, (uint16_t)(n + 5));
    wlmi_store_be16(out + at + 2, (uint16_t)(n + 3));
    out[at + 4] = 0;
    wlmi_store_be16(out + at + 5, (uint16_t)n);
    memcpy(out + at + 7, name, n);
    at += 7 + n;
    wlmi_store_be16(out + 3, (uint16_t)(at - 5));
    wlmi_store_be16(out + 7, (uint16_t)(at - 9));
    wlmi_store_be16(out + 50, (uint16_t)(at - 52));
    return at;
}

static void the_server_name_of_a_client_hello(void **state)
{
    uint8_t hello[400];
    size_t n = client_hello(hello, "static.acme-corp.com");
    (void)state;
    test_packet p = test_tcp(client, server, WLMI_TCP_ACK, hello, n);
    hidden out = hide_between(client, server, &p);
    assert_true(holds_text(&out, "static."));
    assert_false(holds_text(&out, "acme-corp"));
    p = test_tcp(client, server, WLMI_TCP_ACK, hello, n - 4); /* the name's end is in the next segment */
    out = hide_between(client, server, &p);
    assert_false(holds_text(&out, "acme"));
}

static void dhcp(void **state)
{
    uint8_t m[300] = {2, 1, 6};
    static const uint8_t options[] = {99, 130, 83, 99, 53, 1, 5, 54, 4, 172, 16, 99, 88, 61, 7, 1, 0, 0x1b, 0x21, 0xaa,
                                      0xbb, 0xcc, 12, 6, 'b', 'o', 'b', '-', 'p', 'c', 50, 4, 10, 11, 12, 13, 255};
    test_end from = {"172.16.99.88", 67}, to = {"10.11.12.13", 68};
    (void)state;
    memcpy(m + 16, "\x0a\x0b\x0c\x0d", 4);
    memcpy(m + 28, link_a, 6);
    memcpy(m + 236, options, sizeof options);
    test_packet p = test_udp(from, to, m, sizeof m);
    hidden out = hide_between(from, to, &p);
    assert_false(holds_text(&out, "bob"));
    assert_int_equal(wlmi_load_be32(out.data + 28 + 16), WLMI_HIDDEN_SERVER4);
}

static void icmp_errors_hide_what_they_quote(void **state)
{
    test_end router = {"10.99.98.97", 0}, host = {"10.11.12.13", 0}, dns = {"172.16.99.88", 53};
    test_packet inner = test_udp(client, dns, "\0\1\1\0\0\1\0\0\0\0\0\0\7secrets\4acme\0\0\1\0\1", 30);
    uint8_t rest[200] = {0};
    (void)state;
    memcpy(rest + 4, inner.data, inner.size);
    test_packet p = test_icmp(router, host, 3, 3, rest, 4 + inner.size);
    hidden out = hide_between(router, host, &p);
    assert_false(holds(&out, "\xac\x10\x63\x58", 4));
    assert_false(holds_text(&out, "secrets"));
    wlm_packet quoted = {.captured = inner.size, .wire = inner.size, .link_type = 101, .data = out.data + 28};
    wlmi_headers h;
    wlmi_decode(&quoted, &h);
    assert_int_equal(wlmi_check_network(quoted.data, &h), WLMI_SUM_RIGHT);
    assert_int_equal(wlmi_check_transport(quoted.data, &h), WLMI_SUM_RIGHT);
    assert_int_equal(h.src_port, WLMI_HIDDEN_CLIENT_PORT);
}

static void neighbour_discovery(void **state)
{
    uint8_t rest[28] = {0, 0, 0, 0, 0xfe, 0x80, [12] = 2, 0x1b, 0x21, 0xff, 0xfe, 0xaa, 0xbb, 0xcc, [20] = 1, 1};
    test_end from = {"fe80::21b:21ff:feaa:bbcc", 0}, to = {"fe80::21b:21ff:fe11:2233", 0};
    (void)state;
    memcpy(rest + 22, link_a, 6);
    test_packet p = test_icmp(from, to, 135, 0, rest, sizeof rest);
    hide_between(from, to, &p);
}

static void sctp_keeps_its_crc(void **state)
{
    uint8_t segment[28] = {0x9c, 0xbb, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0, 1, 0, 0, 16, 9, 9};
    uint32_t crc[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        crc[i] = UINT32_MAX;
        for (size_t j = 0; j < sizeof segment; j++) {
            crc[i] ^= j >= 8 && j < 12 ? 0 : segment[j];
            for (int bit = 0; bit < 8; bit++)
                crc[i] = crc[i] >> 1 ^ (crc[i] & 1 ? 0x82f63b78u : 0);
        }
        crc[i] = ~crc[i];
        if (i == 0) {
            wlmi_store_le32(segment + 8, crc[0]);
            test_packet p = test_ip(client, server, WLMI_PROTO_SCTP, segment, sizeof segment);
            hidden out = hide_between((test_end){client.address, 40123}, (test_end){server.address, 80}, &p);
            memcpy(segment, out.data + 20, sizeof segment);
            assert_int_equal(out.h.dst_port, WLMI_HIDDEN_SERVER_PORT);
        }
    }
    assert_int_equal(wlmi_load_le32(segment + 8), crc[1]);
}

static void what_is_not_ip(void **state)
{
    test_packet p = {{0}, 60};
    wlm_flow_key key = {.addr_len = 6, .link_type = WLMI_LINK_ETHERNET};
    hidden out;
    (void)state;
    memcpy(key.src, link_a, 6);
    memcpy(key.dst, link_b, 6);
    memcpy(p.data, link_b, 6);
    memcpy(p.data + 6, link_a, 6);
    memcpy(p.data + 12, "\x08\x06\0\1\x08\0\6\4\0\2", 10);
    memcpy(p.data + 22, link_a, 6);
    memcpy(p.data + 28, "\x0a\x0b\x0c\x0d", 4);
    memcpy(p.data + 32, link_b, 6);
    memcpy(p.data + 38, "\xac\x10\x63\x58", 4);
    hide_view(&out, test_view(&p, WLMI_LINK_ETHERNET, 0), &key, WLM_HIDE_IDS, WLM_PAYLOAD_FULL);
    assert_int_equal(out.packet.link_type, WLMI_HIDDEN_LINK);
    assert_int_equal(out.packet.captured, 28);
    assert_memory_equal(out.data, "\0\1\x08\0\6\4\0\2", 8);
    assert_false(holds(&out, link_a, 6) || holds(&out, link_b, 6) || holds(&out, "\x0a\x0b\x0c\x0d", 4));
    memcpy(p.data + 12, "\x88\xcc", 2); /* LLDP */
    hide_view(&out, test_view(&p, WLMI_LINK_ETHERNET, 0), &key, WLM_HIDE_IDS, WLM_PAYLOAD_FULL);
    assert_int_equal(out.packet.captured, 60);
    assert_int_equal(out.packet.link_type, WLMI_LINK_ETHERNET);
    assert_false(holds(&out, link_a, 6) || holds(&out, link_b, 6));
    hide_view(&out, test_view(&p, 195, 0), &key, WLM_HIDE_IDS, WLM_PAYLOAD_FULL);
    assert_int_equal(out.packet.link_type, 195);
    assert_int_equal(out.packet.captured, 60);
}

static void shape_tells_length_and_direction_only(void **state)
{
    wlm_flow_key key = key_between(client, server, 6), key6 = key_between(client6, server6, 17);
    hidden out, other;
    (void)state;
    test_packet p = test_tcp(server, client, WLMI_TCP_ACK, "some payload", 12), f = framed(&p);
    hide_view(&out, test_view(&f, WLMI_LINK_ETHERNET, 5000), &key, WLM_HIDE_SHAPE, WLM_PAYLOAD_FULL);
    assert_int_equal(out.packet.captured, 20);
    assert_int_equal(out.packet.wire, 52);
    assert_int_equal(out.packet.time_ns, 4000);
    assert_int_equal(wlmi_load_be16(out.data + 2), 52);
    assert_int_equal(wlmi_load_be32(out.data + 12), WLMI_HIDDEN_SERVER4);
    assert_int_equal(wlmi_check_network(out.data, &out.h), WLMI_SUM_RIGHT);
    p = test_udp(server, client, "some other payload of ..", 24);
    hide_view(&other, test_view(&p, WLMI_LINK_RAW, 5000), &key, WLM_HIDE_SHAPE, WLM_PAYLOAD_FULL);
    assert_memory_equal(out.data, other.data, 20);
    p = test_udp(client6, server6, "abc", 3);
    hide_view(&out, test_view(&p, WLMI_LINK_RAW, 5000), &key6, WLM_HIDE_SHAPE, WLM_PAYLOAD_FULL);
    assert_int_equal(out.packet.captured, 40);
    assert_int_equal(out.packet.wire, 51);
    assert_int_equal(out.h.ip_version, 6);
    assert_int_equal(out.data[13], 0); /* 2001:db8::1 sends */
}

static void payload_is_cut_and_wire_stays_true(void **state)
{
    wlm_flow_key key = key_between(client, server, 6);
    test_packet p = test_tcp(client, server, WLMI_TCP_ACK, "some payload", 12), f = framed(&p);
    hidden out;
    (void)state;
    hide_view(&out, test_view(&f, WLMI_LINK_ETHERNET, 5000), &key, WLM_HIDE_NONE, WLM_PAYLOAD_FULL);
    assert_memory_equal(out.data, f.data, f.size);
    assert_int_equal(out.packet.time_ns, 5000);
    hide_view(&out, test_view(&f, WLMI_LINK_ETHERNET, 5000), &key, WLM_HIDE_NONE, 4);
    assert_int_equal(out.packet.captured, 58);
    assert_int_equal(out.packet.wire, f.size);
    hide_view(&out, test_view(&f, WLMI_LINK_ETHERNET, 5000), &key, WLM_HIDE_IDS, 4);
    assert_int_equal(out.packet.captured, 44);
    assert_int_equal(out.packet.wire, 52);
    assert_int_equal(out.h.payload_wire_len, 12);
    hide_view(&out, test_view(&f, WLMI_LINK_ETHERNET, 5000), &key, WLM_HIDE_IDS, 0);
    assert_int_equal(out.packet.captured, 40);
}

static void no_allocation_after_the_first_packet(void **state)
{
    wlm_flow_key key = key_between(client, server, 6);
    test_packet p = test_tcp(client, server, WLMI_TCP_ACK, "GET / HTTP/1.1\r\nHost: a.b.c\r\n\r\n", 31);
    wlm_packet view = test_view(&p, WLMI_LINK_RAW, 0), out;
    wlmi_hider *hider;
    wlm_error error;
    (void)state;
    assert_ok(wlmi_hider_new(&hider, WLM_HIDE_IDS, WLM_PAYLOAD_FULL, &error), &error);
    wlmi_hider_start(hider, &key, 1, 0);
    wlmi_alloc_fail_at(1);
    assert_int_equal(wlmi_hide_packet(hider, &view, &out, &error), WLM_ERR_MEMORY);
    wlmi_alloc_fail_at(0);
    assert_ok(wlmi_hide_packet(hider, &view, &out, &error), &error);
    wlmi_alloc_fail_at(1);
    for (int i = 0; i < 10; i++)
        assert_ok(wlmi_hide_packet(hider, &view, &out, &error), &error);
    wlmi_alloc_fail_at(0);
    wlmi_hider_free(hider);
    assert_int_equal(wlmi_hider_new(&hider, (wlm_hide)4, 0, &error), WLM_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_become_constants_by_role),
        cmocka_unit_test(a_host_that_talks_to_itself_has_two_roles),
        cmocka_unit_test(groups_and_broadcast_keep_their_kind),
        cmocka_unit_test(checksums_stay_as_they_were),
        cmocka_unit_test(a_cut_packet_keeps_the_state_of_its_checksum),
        cmocka_unit_test(dns_names_and_addresses),
        cmocka_unit_test(reverse_local_and_country_names),
        cmocka_unit_test(text_protocols),
        cmocka_unit_test(ipv6_addresses_in_payload),
        cmocka_unit_test(ipv4_addresses_in_binary_payload),
        cmocka_unit_test(the_server_name_of_a_client_hello),
        cmocka_unit_test(dhcp),
        cmocka_unit_test(icmp_errors_hide_what_they_quote),
        cmocka_unit_test(neighbour_discovery),
        cmocka_unit_test(sctp_keeps_its_crc),
        cmocka_unit_test(what_is_not_ip),
        cmocka_unit_test(shape_tells_length_and_direction_only),
        cmocka_unit_test(payload_is_cut_and_wire_stays_true),
        cmocka_unit_test(no_allocation_after_the_first_packet),
    };
    return cmocka_run_group_tests_name("hide", tests, NULL, NULL);
}
