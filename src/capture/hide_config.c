/* hide_config.c: addresses in the protocols that configure hosts: ARP, DHCP, neighbour discovery, IP's own options. */
#include "capture/hide_parts.h"

#include <string.h>

#include "base/rng.h"

void wlmi_hide_arp(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size)
{
    if (size < 8)
        return;
    uint32_t hardware = in[4], protocol = in[5], pair = hardware + protocol;
    for (uint32_t i = 0; i < 2 && 8 + (i + 1) * (size_t)pair <= size; i++) {
        const uint8_t *from = in + 8 + i * pair;
        uint8_t *to = out + 8 + i * pair;
        wlmi_hide_link_address(hider, from, to, hardware);
        if (protocol == 4)
            wlmi_hide_address(hider, from + hardware, to + hardware, 4);
    }
}

enum { /* DHCP options that name someone; see the IANA registry of BOOTP and DHCP parameters */
    DHCP_PAD = 0,
    DHCP_ROUTER = 3,
    DHCP_DNS = 6,
    DHCP_HOST_NAME = 12,
    DHCP_DOMAIN_NAME = 15,
    DHCP_BROADCAST = 28,
    DHCP_NTP = 42,
    DHCP_NETBIOS_SERVER = 44,
    DHCP_REQUESTED = 50,
    DHCP_SERVER = 54,
    DHCP_CLIENT_ID = 61,
    DHCP_FQDN = 81,
    DHCP_END = 255
};

/* An identifier of any make: a type, then bytes that say nothing about their form. */
static void hide_bytes(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, uint32_t size)
{
    uint64_t hash = hider->key;
    if (hider->names_only)
        return;
    for (uint32_t i = 0; i < size; i++)
        hash = wlmi_mix2(hash, in[i]);
    for (uint32_t i = 1; i < size; i++, hash = wlmi_mix(hash))
        out[i] = (uint8_t)hash;
}

static void hide_dhcp_option(const wlmi_hider *hider, uint8_t code, const uint8_t *in, uint8_t *out, uint32_t size)
{
    switch (code) {
    case DHCP_ROUTER:
    case DHCP_DNS:
    case DHCP_BROADCAST:
    case DHCP_NTP:
    case DHCP_NETBIOS_SERVER:
    case DHCP_REQUESTED:
    case DHCP_SERVER:
        for (uint32_t i = 0; i + 4 <= size; i += 4)
            wlmi_hide_address(hider, in + i, out + i, 4);
        break;
    case DHCP_HOST_NAME:
    case DHCP_DOMAIN_NAME: wlmi_hide_word(hider, in, out, size); break;
    case DHCP_FQDN:
        if (size > 3)
            wlmi_hide_word(hider, in + 3, out + 3, size - 3);
        break;
    case DHCP_CLIENT_ID:
        if (size == 7)
            wlmi_hide_link_address(hider, in + 1, out + 1, 6);
        else
            hide_bytes(hider, in, out, size);
        break;
    }
}

void wlmi_hide_dhcp(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size)
{
    static const uint8_t cookie[4] = {99, 130, 83, 99};
    for (uint32_t at = 12; at < 28 && at + 4 <= size; at += 4)
        wlmi_hide_address(hider, in + at, out + at, 4);
    if (size < 44 || in[2] > 16)
        return;
    wlmi_hide_link_address(hider, in + 28, out + 28, in[2]);
    if (size < 240 || memcmp(in + 236, cookie, 4) != 0)
        return;
    for (size_t at = 240; at + 2 <= size && in[at] != DHCP_END;) {
        if (in[at] == DHCP_PAD) {
            at++;
            continue;
        }
        uint32_t room = (uint32_t)(size - at - 2), length = in[at + 1] < room ? in[at + 1] : room;
        hide_dhcp_option(hider, in[at], in + at + 2, out + at + 2, length);
        at += 2 + length;
    }
}

void wlmi_hide_neighbour(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size)
{
    enum { ROUTER_SOLICITATION = 133, ROUTER_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT, REDIRECT };
    enum { SOURCE_LINK = 1, TARGET_LINK = 2, PREFIX = 3 };
    static const uint8_t options_at[] = {8, 16, 24, 24, 40};
    if (size < 8 || in[0] < ROUTER_SOLICITATION || in[0] > REDIRECT)
        return;
    size_t at = options_at[in[0] - ROUTER_SOLICITATION];
    for (size_t address = 8; in[0] >= NEIGHBOUR_SOLICITATION && address + 16 <= at && address + 16 <= size;
         address += 16)
        wlmi_hide_address(hider, in + address, out + address, 16);
    while (at + 8 <= size && in[at + 1] > 0) {
        size_t length = (size_t)in[at + 1] * 8;
        if (in[at] == SOURCE_LINK || in[at] == TARGET_LINK)
            wlmi_hide_link_address(hider, in + at + 2, out + at + 2, 6);
        if (in[at] == PREFIX && at + 32 <= size)
            wlmi_hide_address(hider, in + at + 16, out + at + 16, 16);
        at += length;
    }
}

void wlmi_hide_ipv4_options(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size)
{
    enum { END = 0, NOTHING = 1, RECORD_ROUTE = 7, TIMESTAMP = 68, LOOSE_ROUTE = 131, STRICT_ROUTE = 137 };
    for (size_t at = 20; at + 2 <= size && in[at] != END;) {
        size_t length = in[at] == NOTHING ? 1 : in[at + 1], first = 3, step = 4;
        if (length < 1 || length > size - at || (in[at] != NOTHING && length < 2))
            return;
        if (in[at] == TIMESTAMP && length >= 4 && (in[at + 3] & 15) != 0) {
            first = 4;
            step = 8; /* each address is followed by a time */
        }
        if (step == 8 || in[at] == RECORD_ROUTE || in[at] == LOOSE_ROUTE || in[at] == STRICT_ROUTE)
            for (size_t i = first; i + 4 <= length; i += step)
                wlmi_hide_address(hider, in + at + i, out + at + i, 4);
        at += length;
    }
}

void wlmi_hide_ipv6_routing(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size)
{
    enum { ROUTING = 43, FRAGMENT = 44, AUTHENTICATION = 51 };
    uint8_t type = in[6];
    for (size_t at = 40; at + 8 <= size;) { /* decode walked these headers: their lengths fit */
        size_t length = type == FRAGMENT         ? 8
                        : type == AUTHENTICATION ? ((size_t)in[at + 1] + 2) * 4
                                                 : ((size_t)in[at + 1] + 1) * 8;
        for (size_t i = 8; type == ROUTING && i + 16 <= length && at + i + 16 <= size; i += 16)
            wlmi_hide_address(hider, in + at + i, out + at + i, 16);
        type = in[at];
        at += length;
    }
}
