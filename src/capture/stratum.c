/* stratum.c: what kind of traffic a flow is. */
#include "capture/stratum.h"

#include "base/cursor.h"

enum { CHANCE_MIN = 128 }; /* payload bytes, below which nothing can be said to look like chance */

const char *wlmi_stratum_name(wlmi_stratum stratum)
{
    static const char *const names[WLMI_STRATA] = {"plain", "tls_sni", "tls_no_sni", "quic", "other"};
    return names[stratum];
}

/* ---------------------------------------------------------------- TLS */

enum { CHANGE_CIPHER = 20, HANDSHAKE = 22, APPLICATION = 23, CLIENT_HELLO = 1, SERVER_NAME = 0 };

/* A record of TLS 1.0 to 1.3, or SSL 3, at the beginning of a segment. */
static int is_record(const uint8_t *p, uint32_t size)
{
    uint32_t length;
    if (size < 5 || p[0] < CHANGE_CIPHER || p[0] > APPLICATION || p[1] != 3 || p[2] > 4)
        return 0;
    length = wlmi_load_be16(p + 3);
    return length > 0 && length <= 16384 + 2048;
}

/* Whether the hello, as far as it is there, names a server. */
static int names_server(const uint8_t *hello, uint32_t size)
{
    wlmi_cursor c = wlmi_cursor_over(hello, size);
    wlmi_take(&c, 5 + 4 + 2 + 32);   /* record, handshake, version, random */
    wlmi_take(&c, wlmi_u8(&c));      /* session */
    wlmi_take(&c, wlmi_be16(&c));    /* cipher suites */
    wlmi_take(&c, wlmi_u8(&c));      /* compression */
    wlmi_be16(&c);                   /* length of all extensions */
    while (!c.overrun && wlmi_left(&c) >= 4) {
        uint32_t type = wlmi_be16(&c), length = wlmi_be16(&c);
        if (type == SERVER_NAME)
            return length > 5 && wlmi_left(&c) > 5;
        wlmi_take(&c, length);
    }
    return 0;
}

static void gather(wlmi_stratum_watch *w, const uint8_t *p, uint32_t size)
{
    for (uint32_t i = 0; i < size && w->size < WLMI_STRATUM_HELLO; i++)
        w->hello[w->size++] = p[i];
    w->named |= names_server(w->hello, w->size);
    w->gathering = !w->named && w->size < WLMI_STRATUM_HELLO && w->size < 5u + wlmi_load_be16(w->hello + 3);
}

static void take_tcp(wlmi_stratum_watch *w, const uint8_t *data, const wlmi_headers *h)
{
    const uint8_t *p = data + h->payload;
    uint32_t seq = wlmi_load_be32(data + h->transport + 4);
    if (w->gathering && h->src_port == w->from_port && seq == w->next) {
        w->next += h->payload_wire_len;
        gather(w, p, h->payload_len);
        w->gathering &= h->payload_len == h->payload_wire_len;
        return;
    }
    if (!is_record(p, h->payload_len))
        return;
    w->tls = 1;
    if (w->size || p[0] != HANDSHAKE || h->payload_len < 6 || p[5] != CLIENT_HELLO)
        return;
    w->from_port = h->src_port;
    w->next = seq + h->payload_wire_len;
    gather(w, p, h->payload_len);
    w->gathering &= h->payload_len == h->payload_wire_len;
}

/* ---------------------------------------------------------------- QUIC */

static int is_quic(const uint8_t *p, uint32_t size)
{
    uint32_t version;
    if (size < 7 || !(p[0] & 0x80) || p[5] > 20 || size < 7u + p[5])
        return 0;
    version = wlmi_load_be32(p + 1);
    if (version == 0) /* version negotiation: a list of versions after both connection names */
        return size >= 11u + p[5] + p[6 + p[5]];
    if (!(p[0] & 0x40))
        return 0;
    return version == 1 || version == 0x6b3343cf || version >> 8 == 0xff0000 || (version & 0x0f0f0f0f) == 0x0a0a0a0a ||
           (version >> 16 == 0x5130 && (version >> 8 & 0xff) >= 0x34);
}

/* ---------------------------------------------------------------- the flow */

int wlmi_stratum_take(wlmi_stratum_watch *w, const wlm_packet *packet)
{
    wlmi_headers h;
    wlmi_decode(packet, &h);
    if (h.transport != WLMI_ABSENT && h.payload_len && (h.proto == WLMI_PROTO_TCP || h.proto == WLMI_PROTO_UDP)) {
        const uint8_t *p = packet->data + h.payload;
        for (uint32_t i = 0; i < h.payload_len && w->payload < WLMI_STRATUM_SAMPLE; i++, w->payload++)
            w->byte[p[i]]++;
        if (h.proto == WLMI_PROTO_TCP)
            take_tcp(w, packet->data, &h);
        else
            w->quic |= is_quic(p, h.payload_len);
    }
    return ++w->packets < WLMI_STRATUM_PACKETS && !w->named;
}

/* How often two of the payload's bytes are the same: 1/256 for chance, several times that for text, numbers and
 * structures. Half as much again is more than two deviations above chance for the fewest bytes that are judged. */
static int looks_like_chance(const wlmi_stratum_watch *w)
{
    double n = w->payload, same = 0;
    if (w->payload < CHANCE_MIN)
        return 0;
    for (int i = 0; i < 256; i++)
        same += w->byte[i] * (w->byte[i] - 1.0);
    return same / (n * (n - 1)) < 1.5 / 256;
}

wlmi_stratum wlmi_stratum_of(const wlmi_stratum_watch *w)
{
    if (w->tls)
        return w->named ? WLMI_STRATUM_TLS_SNI : WLMI_STRATUM_TLS;
    if (w->quic)
        return WLMI_STRATUM_QUIC;
    return !w->payload || looks_like_chance(w) ? WLMI_STRATUM_OTHER : WLMI_STRATUM_PLAIN;
}
