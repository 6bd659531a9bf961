/* community.c: names of flows for people and other tools: Community ID v1 (the specification of Corelight's
 * community-id-spec) and address text. */
#include "capture/flow.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "base/digest.h"

enum { ICMP_ECHO = 8, ICMP_ECHO_REPLY = 0, ICMPV6_ECHO = 128, ICMPV6_ECHO_REPLY = 129 };

static void base64(const uint8_t *data, size_t size, char *text)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits = (uint32_t)data[i] << 16;
        bits |= i + 1 < size ? (uint32_t)data[i + 1] << 8 : 0;
        bits |= i + 2 < size ? data[i + 2] : 0;
        *text++ = digit[bits >> 18];
        *text++ = digit[bits >> 12 & 63];
        *text++ = i + 1 < size ? digit[bits >> 6 & 63] : '=';
        *text++ = i + 2 < size ? digit[bits & 63] : '=';
    }
    *text = 0;
}

/* The ports that the identifier counts: ICMP's are the types of question and answer. 0: no identifier. */
static int community_ports(const wlm_flow_key *key, uint16_t *src, uint16_t *dst, int *ports)
{
    int known = key->src_port || key->dst_port;
    *src = key->src_port;
    *dst = key->dst_port;
    *ports = 1;
    switch (key->proto) {
    case WLMI_PROTO_TCP:
    case WLMI_PROTO_UDP:
    case WLMI_PROTO_SCTP: return known;
    case WLMI_PROTO_ICMP:
        *src = ICMP_ECHO;
        *dst = ICMP_ECHO_REPLY;
        return known;
    case WLMI_PROTO_ICMPV6:
        *src = ICMPV6_ECHO;
        *dst = ICMPV6_ECHO_REPLY;
        return known;
    }
    *ports = 0;
    return 1;
}

void wlmi_community_id(const wlm_flow_key *key, char text[40])
{
    uint8_t message[2 + 16 + 16 + 2 + 4] = {0}, digest[20];
    size_t n = key->addr_len, at = 2;
    uint16_t src_port, dst_port;
    int ports;

    text[0] = 0;
    if (key->proto == 0 || (n != 4 && n != 16) || !community_ports(key, &src_port, &dst_port, &ports))
        return;
    int order = memcmp(key->src, key->dst, n);
    int swap = order > 0 || (order == 0 && ports && src_port > dst_port);
    memcpy(message + at, swap ? key->dst : key->src, n);
    memcpy(message + at + n, swap ? key->src : key->dst, n);
    at += 2 * n;
    message[at] = key->proto;
    at += 2;
    if (ports) {
        wlmi_store_be16(message + at, swap ? dst_port : src_port);
        wlmi_store_be16(message + at + 2, swap ? src_port : dst_port);
        at += 4;
    }
    wlmi_sha1_of(message, at, digest);
    memcpy(text, "1:", 2);
    base64(digest, sizeof digest, text + 2);
}

void wlmi_address_text(const uint8_t *address, int addr_len, char text[64])
{
    text[0] = 0;
    if (addr_len == 4 || addr_len == 16) {
        if (!inet_ntop(addr_len == 4 ? AF_INET : AF_INET6, address, text, 64))
            text[0] = 0;
        return;
    }
    for (int i = 0; i < addr_len && i < 16; i++)
        snprintf(text + (i ? 3 * i - 1 : 0), 4, i ? ":%02x" : "%02x", address[i]);
}
