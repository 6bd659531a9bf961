/* alter_rewrite.c: alterations that write other addresses, names or numbers into packets, and leave their number, order
 * and lengths. */
#include "capture/alter_parts.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "capture/flow_key.h"
#include "capture/hide_parts.h"

enum { LEAST_PORT = 1024 };

/* Rewrites `out`, which is a copy of the packet's bytes; checksums follow by themselves. */
typedef void rewrite(void *user, const uint8_t *in, uint8_t *out, const wlmi_headers *h);

static wlm_status rewrite_each(wlmi_altering *a, rewrite *write, void *user, wlm_error *error)
{
    wlmi_alterer *alterer = a->alterer;
    for (size_t i = 0; i < a->in->count; i++) {
        wlm_packet packet = wlmi_packet_list_at(a->in, i);
        wlmi_headers h;
        wlmi_decode(&packet, &h);
        if (h.ip_version) {
            if (!wlmi_grow(&alterer->buffer, &alterer->capacity, packet.captured, 1))
                return WLMI_NO_MEMORY(error);
            memcpy(alterer->buffer, packet.data, packet.captured);
            write(user, packet.data, alterer->buffer, &h);
            wlmi_move_checksums(packet.data, alterer->buffer, &h);
            packet.data = alterer->buffer;
        }
        WLMI_TRY(wlmi_packet_list_add(a->out, &packet, error));
    }
    return WLM_OK;
}

static uint16_t draw_port(wlmi_rng *rng)
{
    return (uint16_t)(LEAST_PORT + wlmi_rng_below(rng, 65536 - LEAST_PORT));
}

/* Writes the ports, or the identifier of an echo, by which a flow is known. */
static void write_ports(uint8_t *out, const wlmi_headers *h, uint16_t src, uint16_t dst)
{
    uint8_t *at = out + h->transport;
    if (h->transport == WLMI_ABSENT)
        return;
    if (h->proto == WLMI_PROTO_TCP || h->proto == WLMI_PROTO_UDP || h->proto == WLMI_PROTO_SCTP) {
        wlmi_store_be16(at, src);
        wlmi_store_be16(at + 2, dst);
    } else if (h->src_port && h->transport_len >= 8) {
        wlmi_store_be16(at + 4, src);
    }
}

/* ---------------------------------------------------------------- nat */

typedef struct translation {
    wlm_flow_key before, after;
    uint8_t hops[2];         /* by direction: taken off TTL or hop limit */
    uint16_t id[2];          /* the next IPv4 identification */
    uint16_t fragment_of[2]; /* what the last one stood for */
} translation;

/* Another host of the same kind: groups, broadcast, loopback and link-local addresses are nobody's to translate. */
static void draw_address(wlmi_rng *rng, uint8_t *address, uint8_t size, int end)
{
    static const uint8_t zero[15], net6[2][6] = {{0x20, 1, 0x0d, 0xb8, 0, 3}, {0x20, 1, 0x0d, 0xb8, 0, 4}};
    uint64_t host = wlmi_rng_next(rng);
    if (size == 4 && address[0] != 0 && address[0] != 127 && address[0] < 224 &&
        !(address[0] == 169 && address[1] == 254)) {
        /* 100.64.0.0/10 (RFC 6598), 198.18.0.0/15 (RFC 2544) */
        wlmi_store_be32(address, end ? 0xc6120000u | (host & 0x1ffff) : 0x64400000u | (host & 0x3fffff));
    } else if (size == 16 && address[0] != 0xff && !(address[0] == 0xfe && (address[1] & 0xc0) == 0x80) &&
               memcmp(address, zero, 15) != 0) {
        memset(address, 0, 16);
        memcpy(address, net6[end], 6);
        wlmi_store_be32(address + 8, (uint32_t)(host >> 32));
        wlmi_store_be32(address + 12, (uint32_t)host);
    }
}

static void recount(translation *t, const uint8_t *in, uint8_t *out, const wlmi_headers *h, int backward)
{
    uint16_t id = wlmi_load_be16(in + h->network + 4);
    if (!id && in[h->network + 6] & 0x40) /* none (RFC 6864) */
        return;
    if (!h->fragment || id != t->fragment_of[backward])
        t->id[backward]++;
    t->fragment_of[backward] = id;
    wlmi_store_be16(out + h->network + 4, t->id[backward]);
}

static void translate(void *user, const uint8_t *in, uint8_t *out, const wlmi_headers *h)
{
    translation *t = user;
    const wlm_flow_key *to = &t->after;
    int backward = wlmi_flow_key_is_backward(&t->before, in, h);
    uint8_t *hops = out + h->network + (h->ip_version == 4 ? 8 : 7);
    if (h->addr_len != to->addr_len)
        return;
    memcpy(out + h->src_addr, backward ? to->dst : to->src, h->addr_len);
    memcpy(out + h->dst_addr, backward ? to->src : to->dst, h->addr_len);
    write_ports(out, h, backward ? to->dst_port : to->src_port, backward ? to->src_port : to->dst_port);
    *hops = *hops > t->hops[backward] ? (uint8_t)(*hops - t->hops[backward]) : 1;
    if (h->ip_version == 4)
        recount(t, in, out, h, backward);
}

wlm_status wlmi_alter_nat(wlmi_altering *a, wlm_error *error)
{
    translation t = {.before = *a->key, .after = *a->key};
    draw_address(&a->rng, t.after.src, t.after.addr_len, 0);
    draw_address(&a->rng, t.after.dst, t.after.addr_len, 1);
    if (t.after.src_port)
        t.after.src_port = draw_port(&a->rng);
    if (t.after.proto == WLMI_PROTO_ICMP || t.after.proto == WLMI_PROTO_ICMPV6)
        t.after.dst_port = t.after.src_port;
    for (int d = 0; d < 2; d++) {
        t.hops[d] = (uint8_t)(1 + wlmi_rng_below(&a->rng, 3));
        t.id[d] = (uint16_t)wlmi_rng_next(&a->rng);
    }
    WLMI_TRY(rewrite_each(a, translate, &t, error));
    *a->key = t.after;
    return WLM_OK;
}

/* ---------------------------------------------------------------- noname */

static void rename_all(void *user, const uint8_t *in, uint8_t *out, const wlmi_headers *h)
{
    wlmi_hide_names(user, in, out, h);
}

wlm_status wlmi_alter_noname(wlmi_altering *a, wlm_error *error)
{
    wlmi_hider hider = {.policy = WLM_HIDE_IDS, .key = a->seed, .names_only = 1};
    return rewrite_each(a, rename_all, &hider, error);
}

/* ---------------------------------------------------------------- randomise */

typedef struct other_start {
    wlmi_hider hider; /* its bases are drawn, not seen */
    uint64_t seed;
    uint16_t src_port;
} other_start;

/* The randoms of TLS hellos. Those that say something stay: a hello retry's, and the last 8 bytes of a server's, where
 * it may tell that it was talked down (RFC 8446, 4.1.3). */
static void randomise_hello(uint64_t seed, const uint8_t *in, uint8_t *out, size_t size)
{
    enum { HANDSHAKE = 22, CLIENT_HELLO = 1, SERVER_HELLO = 2, AT = 11, RANDOM = 32, TELLING = 8 };
    static const uint8_t retry[] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11};
    uint64_t word = 0;
    size_t bytes;
    if (size < AT + RANDOM || in[0] != HANDSHAKE || in[1] != 3 || (in[5] != CLIENT_HELLO && in[5] != SERVER_HELLO))
        return;
    if (in[5] == SERVER_HELLO && !memcmp(in + AT, retry, sizeof retry))
        return;
    bytes = in[5] == SERVER_HELLO ? RANDOM - TELLING : RANDOM;
    for (size_t i = 0; i < bytes; i++, word >>= 8) {
        if (i % 8 == 0)
            word = wlmi_mix2(seed, (uint64_t)in[5] << 8 | i);
        out[AT + i] = in[AT + i] ^ (uint8_t)word;
    }
}

static void start_elsewhere(void *user, const uint8_t *in, uint8_t *out, const wlmi_headers *h)
{
    other_start *s = user;
    int backward = wlmi_flow_key_is_backward(&s->hider.flow, in, h);
    uint16_t src = backward ? h->src_port : s->src_port, dst = backward ? s->src_port : h->dst_port;
    wlmi_hide_implicit(&s->hider, in, out, h, 0);
    if (h->proto == WLMI_PROTO_TCP || h->proto == WLMI_PROTO_UDP)
        write_ports(out, h, src, dst);
    if (h->proto == WLMI_PROTO_TCP && h->transport != WLMI_ABSENT)
        randomise_hello(s->seed, in + h->payload, out + h->payload, h->payload_len);
}

wlm_status wlmi_alter_randomise(wlmi_altering *a, wlm_error *error)
{
    other_start s = {.hider = {.policy = WLM_HIDE_IMPLICIT, .flow = *a->key}, .seed = wlmi_mix(a->seed)};
    s.src_port = draw_port(&a->rng);
    for (int d = 0; d < 2; d++) {
        wlmi_base *bases[] = {&s.hider.bases[d].id, &s.hider.bases[d].fragment, &s.hider.bases[d].label,
                              &s.hider.bases[d].sequence, &s.hider.bases[d].time};
        for (size_t i = 0; i < sizeof bases / sizeof *bases; i++)
            *bases[i] = (wlmi_base){(uint32_t)wlmi_rng_next(&a->rng), 1};
    }
    WLMI_TRY(rewrite_each(a, start_elsewhere, &s, error));
    if (a->key->proto == WLMI_PROTO_TCP || a->key->proto == WLMI_PROTO_UDP)
        a->key->src_port = s.src_port;
    return WLM_OK;
}
