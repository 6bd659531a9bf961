/* hide_implicit.c: numbers that name a host, a boot or a connection without meaning to: each counts from the first that
 * its direction of the flow shows, so that what remains is how it moves. */
#include "capture/hide_parts.h"

#include <string.h>

#include "base/cursor.h"
#include "capture/flow_key.h"

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_SACK = 5, OPTION_TIMESTAMPS = 8, NEXT_FRAGMENT = 44, NEXT_AH = 51 };

/* The value, counted so that the base's first one is `first`: 1 where 0 says that there is none. */
static uint32_t moved(wlmi_base *base, uint32_t value, uint32_t first)
{
    if (!base->known) {
        base->value = value - first;
        base->known = 1;
    }
    return value - base->value;
}

/* Rewrites the 4 bytes at `at`. Where the header's captured part ends inside, what there is of them becomes 0, as it
 * does without a base. */
static void rebase(wlmi_base *base, uint32_t first, const uint8_t *in, uint8_t *out, uint32_t at, uint32_t end)
{
    if (base && at + 4 <= end)
        wlmi_store_be32(out + at, moved(base, wlmi_load_be32(in + at), first));
    else if (at < end)
        memset(out + at, 0, end - at < 4 ? end - at : 4);
}

/* Options up to the first that contradicts the header's length. One that the capture cut still is one. */
static void rebase_options(wlmi_bases *own, wlmi_bases *other, const uint8_t *in, uint8_t *out, const wlmi_headers *h)
{
    uint32_t end = h->transport + h->transport_len, length;
    for (uint32_t at = h->transport + 20; at < end && in[at] != OPTION_END; at += length) {
        length = 1;
        if (in[at] == OPTION_NOP)
            continue;
        length = at + 1 < end ? in[at + 1] : 0;
        if (length < 2 || (at + length > end && h->reason != WLMI_CUT))
            return;
        if (in[at] == OPTION_TIMESTAMPS && length == 10) {
            int echo = at + 10 <= end && h->tcp_flags & WLMI_TCP_ACK && wlmi_load_be32(in + at + 6) != 0;
            rebase(&own->time, 1, in, out, at + 2, end);
            rebase(echo ? &other->time : NULL, 1, in, out, at + 6, end);
        }
        for (uint32_t edge = 2; in[at] == OPTION_SACK && edge + 4 <= length; edge += 4)
            rebase(&other->sequence, 0, in, out, at + edge, end);
    }
}

static void rebase_tcp(wlmi_bases *own, wlmi_bases *other, const uint8_t *in, uint8_t *out, const wlmi_headers *h)
{
    uint32_t at = h->transport, end = at + h->transport_len;
    rebase(&own->sequence, 0, in, out, at + 4, end);
    rebase(h->tcp_flags & WLMI_TCP_ACK ? &other->sequence : NULL, 0, in, out, at + 8, end);
    rebase_options(own, other, in, out, h);
}

static void rebase_ipv4(wlmi_bases *own, const uint8_t *in, uint8_t *out)
{
    uint16_t id = wlmi_load_be16(in + 4);
    if (id || !(in[6] & 0x40)) /* 0 in what must not be fragmented is no number (RFC 6864); SYN-ACKs often have it */
        wlmi_store_be16(out + 4, (uint16_t)moved(&own->id, id, 1));
}

static void rebase_ipv6(wlmi_bases *own, const uint8_t *in, uint8_t *out, uint32_t size)
{
    uint32_t word = wlmi_load_be32(in), label = word & 0xfffff;
    if (label) /* 0: none (RFC 6437) */
        wlmi_store_be32(out, (word & 0xfff00000u) | (moved(&own->label, label, 1) & 0xfffff));
    uint8_t type = in[6];
    for (uint32_t at = 40; at + 8 <= size;) { /* decode has walked these headers: their lengths fit */
        if (type == NEXT_FRAGMENT)
            rebase(&own->fragment, 0, in, out, at + 4, size);
        uint32_t length = type == NEXT_FRAGMENT ? 8 : type == NEXT_AH ? (in[at + 1] + 2u) * 4 : (in[at + 1] + 1u) * 8;
        type = in[at];
        at += length;
    }
}

void wlmi_hide_implicit(wlmi_hider *hider, const uint8_t *in, uint8_t *out, const wlmi_headers *h, int depth)
{
    wlmi_bases fresh[2] = {0}, *bases = depth == 0 ? hider->bases : fresh;
    int backward = depth == 0 && wlmi_flow_key_is_backward(&hider->flow, in, h);
    if (h->ip_version == 4)
        rebase_ipv4(&bases[backward], in + h->network, out + h->network);
    else
        rebase_ipv6(&bases[backward], in + h->network, out + h->network, h->network_len);
    if (h->proto == WLMI_PROTO_TCP && h->transport != WLMI_ABSENT)
        rebase_tcp(&bases[backward], &bases[!backward], in, out, h);
}
