/* address.c: generated packets get a place in a network. */
#include "capture/address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/rng.h"
#include "capture/decode.h"
#include "capture/first_payload.h"
#include "capture/hide.h"

enum { FIRST_CLIENT_PORT = 49152, CLIENT_PORTS = 16384, FIRST_SERVER_PORT = 1024, SERVER_PORTS = 48128 };
enum { EXPERIMENTAL_ETHERTYPE = 0x88b5 }; /* IEEE Std 802: local experimental */

/* ---------------------------------------------------------------- plan */

static wlmi_address_range documentation(const char *base, int length, uint64_t hosts)
{
    wlmi_address_range range = {.length = length, .first = 1, .hosts = hosts};
    inet_pton(length == 4 ? AF_INET : AF_INET6, base, range.base);
    return range;
}

/* Clears what lies behind the prefix; leaves out the network's own address, and IPv4's broadcast address, where the
 * range is wide enough to do without. */
static void cut_to_prefix(wlmi_address_range *range, int prefix)
{
    int free_bits = range->length * 8 - prefix;
    for (int bit = prefix; bit < range->length * 8; bit++)
        range->base[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    range->hosts = UINT64_C(1) << (free_bits < 32 ? free_bits : 32);
    range->first = 0;
    if (free_bits >= 2) {
        range->first = 1;
        range->hosts -= range->length == 4 ? 2 : 1;
    }
}

static int parse_range(wlmi_address_range *range, const char *net)
{
    char address[64], *end;
    const char *slash = strchr(net, '/');
    long prefix;
    if (!slash || slash == net || (size_t)(slash - net) >= sizeof address || slash[1] < '0' || slash[1] > '9')
        return 0;
    memcpy(address, net, (size_t)(slash - net));
    address[slash - net] = 0;
    memset(range, 0, sizeof *range);
    range->length = strchr(address, ':') ? 16 : 4;
    prefix = strtol(slash + 1, &end, 10);
    if (*end || prefix < 0 || prefix > range->length * 8 ||
        inet_pton(range->length == 4 ? AF_INET : AF_INET6, address, range->base) != 1)
        return 0;
    cut_to_prefix(range, (int)prefix);
    return 1;
}

wlm_status wlmi_address_plan_make(wlmi_address_plan *plan, const char *net, uint64_t seed, wlm_error *error)
{
    wlmi_address_range range;
    memset(plan, 0, sizeof *plan);
    plan->seed = seed;
    plan->client4 = documentation("192.0.2.0", 4, 254);
    plan->server4[0] = documentation("198.51.100.0", 4, 254);
    plan->server4[1] = documentation("203.0.113.0", 4, 254);
    plan->client6 = documentation("2001:db8::", 16, 65535);
    plan->server6 = documentation("2001:db8:1::", 16, 65535);
    if (!net)
        return WLM_OK;
    if (!parse_range(&range, net))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "'%.64s' is no network in CIDR form, such as 10.1.0.0/16 or fd00::/64", net);
    if (range.hosts < 2)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "network '%.64s' has no room for a client and a server", net);
    if (range.length == 4) {
        plan->client4 = plan->server4[0] = plan->server4[1] = range;
        plan->shared4 = 1;
    } else {
        plan->client6 = plan->server6 = range;
        plan->shared6 = 1;
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- addresses that are taken */

enum { RANGES = 5 };

static void ranges_of(wlmi_address_plan *plan, wlmi_address_range *range[RANGES])
{
    wlmi_address_range *const all[RANGES] = {&plan->client4, &plan->server4[0], &plan->server4[1], &plan->client6,
                                             &plan->server6};
    memcpy(range, all, sizeof all);
}

/* The number of an address in a range, or 0 returned. Ranges are at most 2^32 wide, behind aligned bases. */
static int number_of(const wlmi_address_range *range, const uint8_t *address, int length, uint64_t *number)
{
    const int low = length - 4;
    uint64_t host;
    if (length != range->length || memcmp(address, range->base, (size_t)low) != 0)
        return 0;
    host = (uint64_t)wlmi_load_be32(address + low) - wlmi_load_be32(range->base + low) - range->first;
    *number = host;
    return host < range->hosts;
}

static wlm_status take(wlmi_address_range *range, uint64_t number, wlm_error *error)
{
    size_t at = range->taken_count;
    while (at && range->taken[at - 1] > number)
        at--;
    if (at && range->taken[at - 1] == number)
        return WLM_OK;
    if (!wlmi_grow(&range->taken, &range->taken_capacity, range->taken_count + 1, sizeof *range->taken))
        return WLMI_NO_MEMORY(error);
    memmove(range->taken + at + 1, range->taken + at, (range->taken_count - at) * sizeof *range->taken);
    range->taken[at] = number;
    range->taken_count++;
    return WLM_OK;
}

wlm_status wlmi_address_plan_avoid(wlmi_address_plan *plan, const uint8_t *address, int length, wlm_error *error)
{
    wlmi_address_range *range[RANGES];
    uint64_t number;
    ranges_of(plan, range);
    for (int i = 0; i < RANGES; i++)
        if (number_of(range[i], address, length, &number))
            WLMI_TRY(take(range[i], number, error));
    return WLM_OK;
}

static uint64_t left_in(const wlmi_address_range *range)
{
    return range->hosts - range->taken_count;
}

wlm_status wlmi_address_plan_check(const wlmi_address_plan *plan, wlm_error *error)
{
    wlmi_address_plan copy = *plan;
    wlmi_address_range *range[RANGES];
    ranges_of(&copy, range);
    for (int i = 0; i < RANGES; i++)
        if (left_in(range[i]) < 2)
            return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                             "the network for generated flows has no addresses left beside those in the capture");
    return WLM_OK;
}

void wlmi_address_plan_free(wlmi_address_plan *plan)
{
    wlmi_address_range *range[RANGES];
    ranges_of(plan, range);
    for (int i = 0; i < RANGES; i++)
        wlmi_free(range[i]->taken);
    memset(plan, 0, sizeof *plan);
}

/* The address of the host-th that is not taken. */
static void address_at(const wlmi_address_range *range, uint64_t host, uint8_t *out)
{
    uint64_t carry;
    for (size_t i = 0; i < range->taken_count && range->taken[i] <= host; i++)
        host++;
    carry = range->first + host;
    memcpy(out, range->base, (size_t)range->length);
    for (int i = range->length - 1; carry && i >= 0; i--) {
        carry += out[i];
        out[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

/* ---------------------------------------------------------------- place */

static void mac_of(const uint8_t address[4], uint8_t mac[6])
{
    mac[0] = 0x02;
    mac[1] = 0;
    memcpy(mac + 2, address, 4);
}

static void draw_pair(const wlmi_address_range *clients, const wlmi_address_range *servers, int shared, uint64_t host,
                      wlmi_rng *rng, uint8_t *client, uint8_t *server)
{
    uint64_t other = wlmi_rng_below(rng, left_in(servers) - (shared ? 1 : 0));
    if (shared && other >= host)
        other++;
    address_at(clients, host, client);
    address_at(servers, other, server);
}

void wlmi_place_make(wlmi_place *place, const wlmi_address_plan *plan, uint64_t index, uint16_t server_port)
{
    wlmi_rng rng;
    uint64_t room4 = left_in(&plan->client4) * CLIENT_PORTS, slot = wlmi_permute(plan->seed, index % room4, room4);
    int half;
    memset(place, 0, sizeof *place);
    wlmi_rng_seed(&rng, wlmi_mix2(plan->seed, index));
    half = (int)wlmi_rng_below(&rng, 2);
    draw_pair(&plan->client4, &plan->server4[half], plan->shared4, slot / CLIENT_PORTS, &rng, place->client4,
              place->server4);
    draw_pair(&plan->client6, &plan->server6, plan->shared6, slot / CLIENT_PORTS % left_in(&plan->client6), &rng,
              place->client6, place->server6);
    place->client_port = (uint16_t)(FIRST_CLIENT_PORT + slot % CLIENT_PORTS);
    place->server_port = server_port ? server_port
                                     : (uint16_t)(FIRST_SERVER_PORT + wlmi_rng_below(&rng, SERVER_PORTS));
    mac_of(place->client4, place->client_mac);
    mac_of(place->server4, place->server_mac);
}

/* ---------------------------------------------------------------- packets */

/* Offset of the IP header, or WLMI_ABSENT where there is none that is whole. */
static uint32_t find_ip(const wlm_packet *in, const wlmi_headers *h)
{
    const uint8_t *ip;
    uint32_t left;
    if (h->network == WLMI_ABSENT || h->arp || h->network >= in->captured)
        return WLMI_ABSENT;
    ip = in->data + h->network;
    left = in->captured - h->network;
    if (ip[0] >> 4 == 4 && (ip[0] & 15) >= 5 && left >= (ip[0] & 15) * 4u)
        return h->network;
    return ip[0] >> 4 == 6 && left >= 40 ? h->network : WLMI_ABSENT;
}

int wlmi_is_ip_packet(const wlm_packet *in)
{
    wlmi_headers headers;
    wlmi_decode(in, &headers);
    return find_ip(in, &headers) != WLMI_ABSENT;
}

/* Length that an IP header states for the whole packet, and its change. */
static uint32_t stated_length(const uint8_t *ip)
{
    return ip[0] >> 4 == 4 ? wlmi_load_be16(ip + 2) : 40u + wlmi_load_be16(ip + 4);
}

static void state_length(uint8_t *ip, uint32_t length)
{
    if (ip[0] >> 4 == 4)
        wlmi_store_be16(ip + 2, (uint16_t)length);
    else
        wlmi_store_be16(ip + 4, (uint16_t)(length - 40));
}

/* Makes IP and UDP lengths agree with the packet, of which `captured` bytes are there. Returns whether it had to. */
static int mend_lengths(uint8_t *ip, uint32_t captured, uint32_t wire, wlmi_headers *headers)
{
    wlm_packet packet = {.captured = captured, .wire = wire, .link_type = WLMI_LINK_RAW, .data = ip};
    int mended = stated_length(ip) != wire;
    if (mended)
        state_length(ip, wire);
    wlmi_decode(&packet, headers);
    if (headers->proto == WLMI_PROTO_UDP && headers->transport != WLMI_ABSENT && !headers->fragment &&
        headers->transport + 8 <= captured) {
        uint8_t *length = ip + headers->transport + 4;
        uint32_t right = wire - headers->transport;
        if (wlmi_load_be16(length) != right) {
            wlmi_store_be16(length, (uint16_t)right);
            wlmi_decode(&packet, headers);
            mended = 1;
        }
    }
    return mended;
}

static int same(const uint8_t *a, const uint8_t *b, int length)
{
    return memcmp(a, b, (size_t)length) == 0;
}

/* Who opened, in terms of the sampled packets: hidden packets say it by their stand-ins, others by the first packet. */
static void meet(wlmi_place *place, const uint8_t *src, const uint8_t *dst, const wlmi_headers *h)
{
    static const uint8_t client6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    static const uint8_t server6[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 1, [15] = 1};
    uint8_t client[16] = {0}, server[16] = {0};
    int length = (int)h->addr_len;
    memcpy(client, client6, 16);
    memcpy(server, server6, 16);
    if (length == 4) {
        wlmi_store_be32(client, WLMI_HIDDEN_CLIENT4);
        wlmi_store_be32(server, WLMI_HIDDEN_SERVER4);
    }
    place->opener_length = length;
    place->to_group = wlmi_is_group(dst, h->addr_len);
    memcpy(place->group, dst, (size_t)length);
    place->opener_port = WLMI_HIDDEN_CLIENT_PORT;
    place->peer_port = WLMI_HIDDEN_SERVER_PORT;
    if (!same(src, client, length) && !same(src, server, length) && !same(dst, client, length) &&
        !same(dst, server, length)) {
        memcpy(client, src, (size_t)length);
        memcpy(server, dst, (size_t)length);
        place->opener_port = h->src_port;
        place->peer_port = h->dst_port;
    }
    memcpy(place->opener, client, (size_t)length);
    memcpy(place->peer, server, (size_t)length);
}

static int is_backward(const wlmi_place *place, const uint8_t *src, const uint8_t *dst, const wlmi_headers *h)
{
    int length = (int)h->addr_len;
    if (same(place->opener, place->peer, length))
        return h->src_port == place->peer_port && h->src_port != place->opener_port;
    return !same(src, place->opener, length) &&
           (same(src, place->peer, length) || same(dst, place->opener, length));
}

/* The Ethernet address of a group (RFC 1112, RFC 2464), or of broadcast. */
static void group_mac(const uint8_t *address, int length, uint8_t mac[6])
{
    static const uint8_t group4[3] = {0x01, 0x00, 0x5e}, group6[2] = {0x33, 0x33};
    if (length == 16) {
        memcpy(mac, group6, 2);
        memcpy(mac + 2, address + 12, 4);
    } else if (wlmi_load_be32(address) == UINT32_MAX) {
        memset(mac, 0xff, 6);
    } else {
        memcpy(mac, group4, 3);
        memcpy(mac + 3, address + 1, 3);
        mac[3] &= 0x7f;
    }
}

/* Writes the flow's addresses and ports. Returns whether the packet goes from server to client. */
static int settle(wlmi_place *place, uint8_t *ip, const wlmi_headers *h)
{
    int backward, length = (int)h->addr_len;
    uint8_t *src = ip + h->src_addr, *dst = ip + h->dst_addr;
    const uint8_t *client = length == 4 ? place->client4 : place->client6;
    const uint8_t *server = length == 4 ? place->server4 : place->server6, *to;
    if (place->opener_length != length)
        meet(place, src, dst, h);
    backward = is_backward(place, src, dst, h);
    memcpy(src, backward ? server : client, (size_t)length);
    to = backward ? client : place->to_group ? place->group : server; /* groups are nobody's: as sampled */
    memcpy(dst, to, (size_t)length);
    if (h->transport != WLMI_ABSENT && h->transport + 4 <= h->network_end &&
        (h->proto == WLMI_PROTO_TCP || h->proto == WLMI_PROTO_UDP)) {
        wlmi_store_be16(ip + h->transport, backward ? place->server_port : place->client_port);
        wlmi_store_be16(ip + h->transport + 2, backward ? place->client_port : place->server_port);
    }
    return backward;
}

void wlmi_place_packet(wlmi_place *place, const wlm_packet *in, uint8_t *room, wlm_packet *out, wlmi_mended *mended)
{
    wlmi_headers headers;
    uint8_t *body = room + WLMI_ETHERNET_HEADER;
    uint32_t ip, skip, captured, wire, ether_type = EXPERIMENTAL_ETHERTYPE;
    int backward = 0;
    wlmi_decode(in, &headers);
    ip = find_ip(in, &headers);
    skip = ip == WLMI_ABSENT ? 0 : ip;
    captured = in->captured - skip;
    wire = in->wire > in->captured ? in->wire - skip : captured;
    memcpy(body, in->data + skip, captured);
    if (ip != WLMI_ABSENT) {
        mended->checksums += (wlmi_check_network(in->data, &headers) == WLMI_SUM_WRONG) +
                             (wlmi_check_transport(in->data, &headers) == WLMI_SUM_WRONG);
        captured = captured < UINT16_MAX ? captured : UINT16_MAX;
        wire = wire < UINT16_MAX ? wire : UINT16_MAX;
        mended->lengths += (uint64_t)mend_lengths(body, captured, wire, &headers);
        if (headers.addr_len)
            backward = settle(place, body, &headers);
        wlmi_mend_checksums(body, &headers);
        ether_type = body[0] >> 4 == 4 ? 0x0800 : 0x86dd;
    }
    if (ip != WLMI_ABSENT && headers.addr_len && wlmi_is_group(body + headers.dst_addr, headers.addr_len))
        group_mac(body + headers.dst_addr, (int)headers.addr_len, room);
    else
        memcpy(room, backward ? place->client_mac : place->server_mac, 6);
    memcpy(room + 6, backward ? place->server_mac : place->client_mac, 6);
    wlmi_store_be16(room + 12, (uint16_t)ether_type);
    *out = *in;
    out->link_type = WLMI_LINK_ETHERNET;
    out->interface = 0;
    out->data = room;
    out->captured = captured + WLMI_ETHERNET_HEADER;
    out->wire = wire + WLMI_ETHERNET_HEADER;
}
