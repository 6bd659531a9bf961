/* first_payload.c: what the first payload of a flow looks like, and whom the flow goes to. */
#include "capture/first_payload.h"

#include <string.h>

#include "base/cursor.h"
#include "capture/decode.h"

enum { DNS_HEADER = 12, NTP_SIZE = 48, BOOTP_SIZE = 240, NETBIOS_NAME = 32 };

static int begins_with(const uint8_t *p, uint32_t size, const char *text)
{
    size_t length = strlen(text);
    return size >= length && memcmp(p, text, length) == 0;
}

/* ---------------------------------------------------------------- DNS */

/* Whether a name of labels begins here that ends inside, or at a pointer. */
static int is_name(const uint8_t *p, uint32_t size, uint32_t *end)
{
    uint32_t at = DNS_HEADER;
    while (at < size && p[at] && p[at] < 64)
        at += 1u + p[at];
    if (at >= size || (p[at] && p[at] < 192))
        return 0;
    *end = at + (p[at] ? 2 : 1);
    return 1;
}

static wlmi_first dns_of(const uint8_t *p, uint32_t size)
{
    uint32_t flags, questions, answers, end;
    if (size < DNS_HEADER + 5)
        return WLMI_FIRST_OTHER;
    flags = wlmi_load_be16(p + 2);
    questions = wlmi_load_be16(p + 4);
    answers = wlmi_load_be16(p + 6);
    if ((flags >> 11 & 15) > 6 || flags & 0x40 || questions > 32 || answers > 256 || questions + answers == 0 ||
        wlmi_load_be16(p + 8) > 256 || wlmi_load_be16(p + 10) > 256 || !is_name(p, size, &end) || end + 4 > size)
        return WLMI_FIRST_OTHER;
    if (wlmi_load_be16(p + end) == 0 || wlmi_load_be16(p + end) > 258 || (wlmi_load_be16(p + end + 2) & 0x7fff) > 255)
        return WLMI_FIRST_OTHER;
    if (p[DNS_HEADER] == NETBIOS_NAME && (wlmi_load_be16(p + end) & ~1u) == 0x20)
        return WLMI_FIRST_NETBIOS;
    return wlmi_load_be16(p) == 0 && (flags == 0 || flags == 0x8400) ? WLMI_FIRST_MDNS : WLMI_FIRST_DNS;
}

/* ---------------------------------------------------------------- others */

static int is_http(const uint8_t *p, uint32_t size)
{
    static const char *const begin[] = {"GET ", "POST ", "HEAD ", "PUT ", "OPTIONS ", "DELETE ", "CONNECT ",
                                        "PATCH ", "HTTP/1."};
    for (size_t i = 0; i < sizeof begin / sizeof *begin; i++)
        if (begins_with(p, size, begin[i]))
            return 1;
    return 0;
}

static int is_ssdp(const uint8_t *p, uint32_t size)
{
    return begins_with(p, size, "M-SEARCH ") || begins_with(p, size, "NOTIFY ") || begins_with(p, size, "HTTP/1.1 ");
}

static int is_ntp(const uint8_t *p, uint32_t size)
{
    uint32_t version, mode;
    if (size != NTP_SIZE)
        return 0;
    version = p[0] >> 3 & 7;
    mode = p[0] & 7;
    return version >= 1 && version <= 4 && mode >= 1 && mode <= 5;
}

/* A version that is registered, or one to force negotiation, behind a long header. */
static int is_quic(const uint8_t *p, uint32_t size)
{
    uint32_t version;
    if (size < 7 || !(p[0] & 0x80) || p[5] > 20)
        return 0;
    version = wlmi_load_be32(p + 1);
    return version <= 2 || version >> 8 == 0xff0000 || version == 0x6b3343cf || (version & 0x0f0f0f0f) == 0x0a0a0a0a ||
           version >> 16 == 0x5130;
}

static wlmi_first datagram(const uint8_t *p, uint32_t size)
{
    if (is_ssdp(p, size))
        return WLMI_FIRST_SSDP;
    if (size >= BOOTP_SIZE && (p[0] == 1 || p[0] == 2) && wlmi_load_be32(p + 236) == 0x63825363)
        return WLMI_FIRST_DHCP;
    if (is_quic(p, size))
        return WLMI_FIRST_QUIC;
    return dns_of(p, size) != WLMI_FIRST_OTHER ? dns_of(p, size) : is_ntp(p, size) ? WLMI_FIRST_NTP : WLMI_FIRST_OTHER;
}

static wlmi_first segment(const uint8_t *p, uint32_t size)
{
    if (is_http(p, size))
        return WLMI_FIRST_HTTP;
    if (begins_with(p, size, "SSH-"))
        return WLMI_FIRST_SSH;
    if (size >= 6 && p[0] == 22 && p[1] == 3 && p[2] <= 4 && (p[5] == 1 || p[5] == 2))
        return WLMI_FIRST_TLS;
    if (size > 2 && wlmi_load_be16(p) + 2u == size && dns_of(p + 2, size - 2) != WLMI_FIRST_OTHER)
        return WLMI_FIRST_DNS;
    return WLMI_FIRST_OTHER;
}

wlmi_first wlmi_first_of(int proto, const uint8_t *payload, uint32_t size)
{
    if (!size)
        return WLMI_FIRST_NONE;
    return proto == WLMI_PROTO_UDP ? datagram(payload, size) : segment(payload, size);
}

int wlmi_first_is_turned(wlmi_first first)
{
    return first == WLMI_FIRST_DNS_TURNED || first == WLMI_FIRST_TLS_TURNED || first == WLMI_FIRST_HTTP_TURNED;
}

uint16_t wlmi_first_port(wlmi_first first)
{
    static const uint16_t port[WLMI_FIRST_COUNT] = {
        [WLMI_FIRST_DNS] = 53, [WLMI_FIRST_MDNS] = 5353, [WLMI_FIRST_NETBIOS] = 137, [WLMI_FIRST_TLS] = 443,
        [WLMI_FIRST_HTTP] = 80, [WLMI_FIRST_NTP] = 123,  [WLMI_FIRST_DHCP] = 67,     [WLMI_FIRST_SSDP] = 1900,
        [WLMI_FIRST_QUIC] = 443, [WLMI_FIRST_SSH] = 22,
        [WLMI_FIRST_DNS_TURNED] = 53, [WLMI_FIRST_TLS_TURNED] = 443, [WLMI_FIRST_HTTP_TURNED] = 80};
    return port[first];
}

/* ---------------------------------------------------------------- a flow */

int wlmi_is_group(const uint8_t *address, uint32_t length)
{
    if (length == 4)
        return address[0] >> 4 == 14 || wlmi_load_be32(address) == UINT32_MAX;
    return length == 16 && address[0] == 0xff;
}

/* Of payload of these kinds, whether the server says it. */
static int is_answer(wlmi_first first, int proto, const uint8_t *p)
{
    enum { FRAMING = 2 /* of DNS over TCP */, DNS_ANSWER = 0x80, SERVER_HELLO = 2 };
    if (first == WLMI_FIRST_DNS)
        return (p[proto == WLMI_PROTO_TCP ? FRAMING + 2 : 2] & DNS_ANSWER) != 0;
    return first == WLMI_FIRST_TLS ? p[5] == SERVER_HELLO : p[0] == 'H' && p[1] == 'T';
}

static wlmi_first turned(wlmi_first first)
{
    switch (first) {
    case WLMI_FIRST_DNS: return WLMI_FIRST_DNS_TURNED;
    case WLMI_FIRST_TLS: return WLMI_FIRST_TLS_TURNED;
    case WLMI_FIRST_HTTP: return WLMI_FIRST_HTTP_TURNED;
    default: return first;
    }
}

int wlmi_look_at(wlmi_look *look, const wlm_packet *packet)
{
    wlmi_headers h;
    wlmi_decode(packet, &h);
    if (!h.ip_version || h.transport == WLMI_ABSENT)
        return 0;
    if (!look->proto) {
        look->proto = h.proto;
        look->group = (uint8_t)wlmi_is_group(packet->data + h.dst_addr, h.addr_len);
        look->port = h.src_port;
        memcpy(look->address, packet->data + h.src_addr, h.addr_len);
    }
    if (h.proto != look->proto || (h.proto != WLMI_PROTO_TCP && h.proto != WLMI_PROTO_UDP) || !h.payload_len)
        return 0;
    const uint8_t *payload = packet->data + h.payload;
    const int opens = h.src_port == look->port && !memcmp(packet->data + h.src_addr, look->address, h.addr_len);
    look->first = wlmi_first_of(h.proto, payload, h.payload_len);
    if (turned(look->first) != look->first && is_answer(look->first, h.proto, payload) == opens)
        look->first = turned(look->first);
    return 1;
}
