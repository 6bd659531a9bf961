/* hide_address.c: what stands for an address: constants for the flow's two ends, keyed hashes for all others. */
#include "capture/hide_parts.h"

#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "base/rng.h"

static uint64_t hash_of(const wlmi_hider *hider, const uint8_t *data, uint32_t size)
{
    uint64_t hash = wlmi_mix2(hider->key, size);
    for (uint32_t i = 0; i < size; i++)
        hash = wlmi_mix2(hash, data[i]);
    return hash;
}

static int end_of(const wlmi_hider *hider, const uint8_t *address, uint32_t size)
{
    if (hider->flow.addr_len != size)
        return -1;
    return !memcmp(address, hider->flow.src, size) ? 0 : !memcmp(address, hider->flow.dst, size) ? 1 : -1;
}

static void hide_ipv4(const wlmi_hider *hider, const uint8_t *in, uint8_t *out)
{
    uint64_t hash = hash_of(hider, in, 4);
    memcpy(out, in, 4);
    if (in[0] == 0 || in[0] == 127 || in[0] == 255)
        return;
    if (in[0] >= 224 && in[0] < 240)
        wlmi_store_be32(out, 0xe9fc0000u | (hash & 0xff)); /* 233.252.0.0/24 (RFC 5771) */
    else if (in[0] == 169 && in[1] == 254)
        wlmi_store_be16(out + 2, (uint16_t)hash);
    else
        wlmi_store_be32(out, 0xc6120000u | (hash & 0x1ffff)); /* 198.18.0.0/15 (RFC 2544) */
}

static void hide_ipv6(const wlmi_hider *hider, const uint8_t *in, uint8_t *out)
{
    static const uint8_t zero[15], group[12] = {0xff, 0x0e, [6] = 0x0d, 0xb8}, others[6] = {0x20, 1, 0x0d, 0xb8, 0, 2};
    uint64_t hash = hash_of(hider, in, 16);
    memcpy(out, in, 16);
    if (!memcmp(in, zero, 15) && in[15] <= 1)
        return;
    if (in[0] == 0xff) {
        memcpy(out, group, sizeof group); /* ff0e::db8:0:0/96 (RFC 6676) */
        wlmi_store_be32(out + 12, (uint32_t)hash);
    } else {
        if (in[0] != 0xfe || (in[1] & 0xc0) != 0x80) {
            memset(out, 0, 16);
            memcpy(out, others, sizeof others); /* 2001:db8:2::/48 (RFC 3849) */
        }
        wlmi_store_be32(out + 8, (uint32_t)(hash >> 32));
        wlmi_store_be32(out + 12, (uint32_t)hash);
    }
}

void wlmi_hide_address(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, uint32_t size)
{
    int end = end_of(hider, in, size);
    if (hider->names_only)
        memcpy(out, in, size);
    else if (end >= 0)
        memcpy(out, hider->end[end], size);
    else if (size == 4)
        hide_ipv4(hider, in, out);
    else if (size == 16)
        hide_ipv6(hider, in, out);
}

void wlmi_hide_link_address(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, uint32_t size)
{
    static const uint8_t zero[16];
    if (size == 0 || size > 16 || in[0] & 1 || !memcmp(in, zero, size) || hider->names_only)
        return;
    int end = end_of(hider, in, size);
    uint64_t hash = end >= 0 ? (uint64_t)end + 1 : hash_of(hider, in, size);
    for (uint32_t i = size; i-- > 1; hash >>= 8)
        out[i] = (uint8_t)hash;
    out[0] = 2; /* locally administered */
}

void wlmi_hide_address_text(const wlmi_hider *hider, const uint8_t address[4], const char *in, char *out, size_t size)
{
    uint8_t stand_in[4];
    char text[64];
    if (address[0] == 0 || address[0] == 127 || address[0] == 255 || hider->names_only)
        return;
    char mark = memchr(in, ',', size) ? ',' : '.';
    wlmi_hide_address(hider, address, stand_in, 4);
    int n = snprintf(text, sizeof text, "%u%c%u%c%u%c%u", stand_in[0], mark, stand_in[1], mark, stand_in[2], mark,
                     stand_in[3]);
    if ((size_t)n == size) {
        memcpy(out, text, size);
        return;
    }
    /* No equal length: each number keeps its count of digits and stays a number that an address may have. */
    uint64_t hash = hash_of(hider, address, 4);
    for (size_t i = 0, start = 0; i < size; i++) {
        if (in[i] == mark) {
            start = i + 1;
            continue;
        }
        size_t digits = 1;
        while (start + digits < size && in[start + digits] != mark)
            digits++;
        if (i > start)
            out[i] = (char)('0' + hash % 10);
        else
            out[i] = digits == 3 ? '1' : (char)('1' + hash % 9);
        hash = wlmi_mix(hash);
    }
    if (address[0] >= 224 && address[0] < 240)
        memcpy(out, "233", 3);
}

static const uint8_t *find(const uint8_t *from, const uint8_t *end, const void *what, size_t size)
{
    return (size_t)(end - from) < size ? NULL : memmem(from, (size_t)(end - from), what, size);
}

/* Whether a number goes on at a character beside an address, which then is another one. */
static int goes_on(uint8_t c, int ipv6)
{
    return (c >= '0' && c <= '9') || (ipv6 ? c == ':' || ((c | 32) >= 'a' && (c | 32) <= 'f') : 0);
}

/* Whether the 4 bytes of an address are seldom met by another cause: not small numbers, not text. In random payload
 * they meet once in 2^32 places, and what stands there then is random still. */
static int is_telling(const uint8_t a[4])
{
    int distinct = 0, printable = 1;
    for (int i = 0; i < 4; i++) {
        distinct += a[i] != 0 && !memchr(a, a[i], (size_t)i);
        printable &= a[i] >= ' ' && a[i] < 127;
    }
    return distinct >= 3 && !printable;
}

void wlmi_hide_endpoints(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size)
{
    const uint8_t *stop = in + size;
    int ipv6 = hider->flow.addr_len == 16;
    for (int end = 0; end < 2 && (ipv6 || hider->flow.addr_len == 4); end++) {
        const uint8_t *real = end ? hider->flow.dst : hider->flow.src;
        const char *text = hider->end_text[end];
        size_t n = strlen(text);
        uint32_t raw = ipv6 ? 16 : is_telling(real) ? 4 : 0;
        for (const uint8_t *p = in; raw && (p = find(p, stop, real, raw)); p += raw)
            memcpy(out + (p - in), hider->end[end], raw);
        if (n < 7) /* "::1" and the like: nobody's own, and too short to be no accident */
            continue;
        for (const uint8_t *p = in; (p = find(p, stop, text, n)); p += n) {
            if ((p > in && goes_on(p[-1], ipv6)) || (p + n < stop && goes_on(p[n], ipv6)))
                continue;
            char *to = (char *)out + (p - in);
            if (!ipv6) {
                wlmi_hide_address_text(hider, real, text, to, n);
                continue;
            }
            uint64_t hash = hash_of(hider, real, 16);
            for (size_t i = 0; i < n; i++, hash = wlmi_mix(hash))
                if (text[i] != ':' && text[i] != '.')
                    to[i] = (char)('1' + hash % 9);
        }
    }
}

void wlmi_hide_link_endpoints(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size)
{
    uint32_t n = hider->flow.addr_len;
    for (int end = 0; n >= 6 && hider->flow.proto == 0 && end < 2; end++) {
        const uint8_t *real = end ? hider->flow.dst : hider->flow.src;
        for (const uint8_t *p = in; (p = find(p, in + size, real, n)); p += n)
            wlmi_hide_link_address(hider, p, out + (p - in), n);
    }
}
