/* hostile.c: random packet sequences. */
#include "support/hostile.h"

#include <string.h>

#include "base/cursor.h"
#include "base/rng.h"
#include "capture/decode.h"

typedef struct talk { /* a conversation */
    uint32_t link_type;
    int vlan, version, protocol, timestamps;
    uint16_t port[2], id[2];
    uint32_t seq[2], ticks, echo;
    int sent;
} talk;

void hostile_clear(hostile_packets *s)
{
    s->count = 0;
    s->used = 0;
}

int hostile_keep(hostile_packets *s, const wlm_packet *packet)
{
    if (s->count == HOSTILE_PACKETS || packet->captured > HOSTILE_BYTES - s->used)
        return 0;
    wlm_packet *p = &s->packet[s->count++];
    *p = *packet;
    p->data = s->bytes + s->used;
    if (packet->captured)
        memcpy(s->bytes + s->used, packet->data, packet->captured);
    s->used += packet->captured;
    return 1;
}

static uint32_t any(wlmi_rng *rng, uint32_t n)
{
    return (uint32_t)wlmi_rng_below(rng, n);
}

static void begin_talk(wlmi_rng *rng, talk *t)
{
    static const uint32_t links[] = {1, 1, 1, 1, 101, 101, 12, 113, 276, 0, 108, 228, 195, 1000, 70000};
    static const int protocols[] = {6, 6, 6, 17, 17, 1, 58, 47, 4, 41, 132, 44};
    memset(t, 0, sizeof *t);
    t->link_type = links[any(rng, 15)];
    t->vlan = any(rng, 5) == 0;
    t->version = any(rng, 3) ? 4 : 6;
    t->protocol = protocols[any(rng, 12)];
    t->timestamps = (int)any(rng, 2);
    t->port[0] = (uint16_t)wlmi_rng_next(rng);
    t->port[1] = any(rng, 2) ? 443 : (uint16_t)any(rng, 3000);
    for (int d = 0; d < 2; d++) {
        t->seq[d] = any(rng, 4) ? (uint32_t)wlmi_rng_next(rng) : UINT32_MAX - any(rng, 2000);
        t->id[d] = (uint16_t)wlmi_rng_next(rng);
    }
}

static uint32_t put_link(const talk *t, int d, uint8_t *out)
{
    static const uint8_t ends[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
    uint16_t type = t->version == 4 ? 0x0800 : 0x86dd;
    memset(out, 0, 20);
    switch (t->link_type) {
    case 1:
        memcpy(out, ends[!d], 6);
        memcpy(out + 6, ends[d], 6);
        wlmi_store_be16(out + 12, t->vlan ? 0x8100 : type);
        wlmi_store_be16(out + 14, 42);
        wlmi_store_be16(out + 16, type);
        return t->vlan ? 18 : 14;
    case 113:
        out[1] = d ? 0 : 4;
        out[3] = 1;
        out[5] = 6;
        memcpy(out + 6, ends[d], 6);
        wlmi_store_be16(out + 14, type);
        return 16;
    case 276:
        wlmi_store_be16(out, type);
        out[10] = d ? 0 : 4;
        memcpy(out + 12, ends[d], 6);
        return 20;
    case 0: out[0] = t->version == 4 ? 2 : 30; return 4;
    case 108: out[3] = t->version == 4 ? 2 : 24; return 4;
    }
    return 0;
}

static uint32_t put_options(wlmi_rng *rng, talk *t, int syn, uint8_t *out)
{
    uint32_t size = 0;
    if (any(rng, 12) == 0) { /* without sense */
        size = 4 * any(rng, 11);
        for (uint32_t i = 0; i < size; i++)
            out[i] = (uint8_t)(any(rng, 2) ? any(rng, 9) : wlmi_rng_next(rng));
        return size;
    }
    if (syn) {
        static const uint8_t mss[12] = {2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 4, 2};
        memcpy(out, mss, 12);
        size = any(rng, 3) ? 12 : 4;
    }
    if (t->timestamps) {
        out[size] = out[size + 1] = 1;
        out[size + 2] = 8;
        out[size + 3] = 10;
        wlmi_store_be32(out + size + 4, t->ticks += any(rng, 300));
        wlmi_store_be32(out + size + 8, t->echo);
        t->echo = any(rng, 8) ? t->ticks : (uint32_t)wlmi_rng_next(rng);
        size += 12;
    }
    if (!syn && any(rng, 6) == 0) {
        int blocks = 1 + (int)any(rng, t->timestamps ? 3 : 4);
        out[size] = out[size + 1] = 1;
        out[size + 2] = 5;
        out[size + 3] = (uint8_t)(2 + 8 * blocks);
        size += 4;
        for (int i = 0; i < 2 * blocks; i++, size += 4)
            wlmi_store_be32(out + size, any(rng, 3) ? t->seq[0] + any(rng, 5000) : (uint32_t)wlmi_rng_next(rng));
    }
    return size;
}

static uint32_t put_packet(wlmi_rng *rng, talk *t, int d, uint8_t *out);

/* A packet inside the packet: IPv4 or IPv6, whichever is outside. */
static uint32_t put_tunnelled(wlmi_rng *rng, const talk *t, int d, uint8_t *out)
{
    talk inner = *t;
    inner.link_type = 101;
    inner.version = t->protocol == 4 ? 4 : 6;
    inner.protocol = any(rng, 2) ? 17 : 6;
    return put_packet(rng, &inner, d, out);
}

/* Transport header and payload; their length. */
static uint32_t put_transport(wlmi_rng *rng, talk *t, int d, uint32_t payload, uint8_t *out)
{
    static const uint8_t flags[] = {0x10, 0x18, 0x10, 0x18, 0x11, 0x14, 0x04, 0x00, 0xc2, 0x38};
    int syn = t->sent < 2;
    uint32_t size;
    if (t->protocol == 4 || t->protocol == 41)
        return put_tunnelled(rng, t, d, out);
    memset(out, 0, 60);
    if (t->protocol == 6) {
        wlmi_store_be16(out, t->port[d]);
        wlmi_store_be16(out + 2, t->port[!d]);
        wlmi_store_be32(out + 4, t->seq[d] - (any(rng, 8) ? 0 : any(rng, 3000)));
        wlmi_store_be32(out + 8, t->sent || any(rng, 8) == 0 ? t->seq[!d] - (any(rng, 6) ? 0 : any(rng, 3000)) : 0);
        size = 20 + put_options(rng, t, syn, out + 20);
        out[12] = (uint8_t)(size / 4 << 4 | (any(rng, 20) ? 0 : any(rng, 16)));
        out[13] = syn ? (t->sent ? 0x12 : 2) : flags[any(rng, 10)];
        wlmi_store_be16(out + 14, (uint16_t)(any(rng, 2) ? 502 : any(rng, 65536)));
        out[19] = (uint8_t)(any(rng, 30) ? 0 : 3);
        t->seq[d] += payload + (out[13] & 3 ? 1 : 0);
    } else if (t->protocol == 17) {
        wlmi_store_be16(out, t->port[d]);
        wlmi_store_be16(out + 2, t->port[!d]);
        wlmi_store_be16(out + 4, (uint16_t)(8 + payload + (any(rng, 20) ? 0 : any(rng, 9))));
        size = 8;
    } else {
        out[0] = t->protocol == 1 ? (d ? 0 : 8) : d ? 129 : 128;
        wlmi_store_be16(out + 4, t->port[0]);
        wlmi_store_be16(out + 6, (uint16_t)t->sent);
        size = any(rng, 10) ? 8 : any(rng, 8);
    }
    for (uint32_t i = 0; i < payload; i++)
        out[size + i] = (uint8_t)wlmi_rng_next(rng);
    return size + payload;
}

static uint32_t put_packet(wlmi_rng *rng, talk *t, int d, uint8_t *out)
{
    uint32_t link = put_link(t, d, out), payload = any(rng, 3) ? any(rng, 40) : any(rng, 4) ? 0 : 1448;
    uint8_t *ip = out + link;
    uint32_t header = t->version == 4 ? 20 : 40;
    memset(ip, 0, header);
    if (t->version == 4 && any(rng, 25) == 0) {
        header += 4 * any(rng, 11);
        memset(ip + 20, 1, header - 20);
    }
    uint32_t size = header + put_transport(rng, t, d, payload, ip + header);
    if (t->version == 4) {
        ip[0] = (uint8_t)(0x40 | header / 4);
        wlmi_store_be16(ip + 2, (uint16_t)(any(rng, 30) ? size : any(rng, 3) ? 0 : any(rng, 100)));
        wlmi_store_be16(ip + 4, t->id[d]++);
        wlmi_store_be16(ip + 6, (uint16_t)(any(rng, 15) ? 0x4000 : any(rng, 65536)));
        ip[8] = 64;
        ip[9] = (uint8_t)t->protocol;
        wlmi_store_be32(ip + 12, 0x0a000001u + (uint32_t)d);
        wlmi_store_be32(ip + 16, 0x0a000002u - (uint32_t)d);
    } else {
        wlmi_store_be32(ip, 0x60000000u | (any(rng, 3) ? 0x12345u : any(rng, 1u << 28)));
        wlmi_store_be16(ip + 4, (uint16_t)(any(rng, 30) ? size - 40 : any(rng, 100)));
        ip[6] = (uint8_t)t->protocol;
        ip[7] = 64;
        ip[23] = (uint8_t)(1 + d);
        ip[39] = (uint8_t)(2 - d);
    }
    if (any(rng, 50) == 0) /* headers that overlap what follows them, or are not all there */
        ip[0] = (uint8_t)(t->version << 4 | any(rng, 16));
    if (any(rng, 50) == 0)
        ip[header + 12] = (uint8_t)(any(rng, 16) << 4);
    return link + size;
}

static void damage(wlmi_rng *rng, uint8_t *bytes, wlm_packet *p)
{
    switch (any(rng, 14)) {
    case 0:
        for (uint32_t i = any(rng, 4) + 1; i-- > 0 && p->captured;)
            bytes[any(rng, p->captured < 64 ? p->captured : 64)] ^= (uint8_t)(1 << any(rng, 8));
        break;
    case 1: p->captured = any(rng, p->captured + 1); break; /* cut, and wire with it */
    case 2:
        p->wire = p->captured;
        p->captured = any(rng, p->captured + 1);
        return;
    case 3: /* padding, or a trailer */
        for (uint32_t i = 1 + any(rng, 20); i-- > 0;)
            bytes[p->captured++] = (uint8_t)(any(rng, 2) ? 0 : wlmi_rng_next(rng));
        break;
    case 4:
        while (p->captured < 60)
            bytes[p->captured++] = 0;
        break;
    case 5: p->wire = (uint32_t)wlmi_rng_next(rng); return;
    }
    p->wire = p->captured;
}

void hostile_make(hostile_packets *s, uint64_t seed, int conversations)
{
    static uint8_t bytes[4096];
    talk talks[8];
    wlmi_rng rng;
    wlmi_rng_seed(&rng, seed);
    hostile_clear(s);
    for (int i = 0; i < conversations; i++)
        begin_talk(&rng, &talks[i]);
    int64_t time = any(&rng, 10) ? 0 : (int64_t)wlmi_rng_next(&rng);
    for (uint32_t n = any(&rng, HOSTILE_PACKETS); n > 0; n--) {
        talk *t = &talks[any(&rng, (uint32_t)conversations)];
        int d = t->sent < 2 ? t->sent : (int)any(&rng, 2);
        wlm_packet p = {.link_type = t->link_type, .data = bytes, .number = s->count + 1};
        if (s->count && any(&rng, 12) == 0) { /* seen before */
            wlm_packet again = s->packet[any(&rng, (uint32_t)s->count)];
            again.time_ns = time;
            hostile_keep(s, &again);
            continue;
        }
        p.captured = put_packet(&rng, t, d, bytes);
        t->sent++;
        if (any(&rng, 3)) { /* checksums made right */
            wlmi_headers headers;
            p.wire = p.captured;
            wlmi_decode(&p, &headers);
            wlmi_mend_checksums(bytes, &headers);
        }
        damage(&rng, bytes, &p);
        if (any(&rng, 30) == 0)
            p.link_type = any(&rng, 2) ? 1 : 195;
        int64_t step = (int64_t)(wlmi_rng_next(&rng) >> (20 + any(&rng, 44)));
        time = (int64_t)((uint64_t)time + (uint64_t)(any(&rng, 3) ? step / 1000 * 1000 : any(&rng, 9) ? step : -step));
        p.time_ns = time;
        hostile_keep(s, &p);
        if (any(&rng, 40) == 0) { /* the same ports again */
            uint16_t port = t->port[0];
            begin_talk(&rng, t);
            t->port[0] = port;
        }
    }
    for (uint32_t n = any(&rng, 4); n > 0 && s->count > 1; n--) { /* one overtakes another */
        wlm_packet *p = &s->packet[any(&rng, (uint32_t)s->count - 1)], first = p[0];
        p[0] = p[1];
        p[1] = first;
    }
}
