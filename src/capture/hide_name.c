/* hide_name.c: what stands for a name: letters for letters and digits for digits, by a keyed hash of each label, so
 * that a name is the same wherever the flow repeats it. */
#include "capture/hide_parts.h"

#include <string.h>

#include "base/cursor.h"
#include "base/rng.h"

static int is_letter(uint8_t c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static int is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static uint8_t lower(uint8_t c)
{
    return is_letter(c) ? c | 32 : c;
}

/* letters: how many of the alphabet may stand in (6 in names made of hexadecimal digits). */
static void hide_label(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size, uint32_t letters)
{
    uint64_t hash = wlmi_mix2(hider->key, ~(uint64_t)size);
    for (size_t i = 0; i < size; i++)
        hash = wlmi_mix2(hash, lower(in[i]));
    for (size_t i = 0; i < size; i++, hash = wlmi_mix(hash)) {
        if (is_letter(in[i]))
            out[i] = (uint8_t)((in[i] & 32) + 'A' + hash % letters);
        else if (is_digit(in[i]))
            out[i] = (uint8_t)('0' + hash % 10);
    }
}

/* NetBIOS writes each of a name's 16 characters as two letters from A to P (RFC 1001). */
static int is_netbios(const uint8_t *in, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (in[i] < 'A' || in[i] > 'P')
            return 0;
    return size == 32;
}

static void hide_netbios(const wlmi_hider *hider, const uint8_t *in, uint8_t *out)
{
    uint8_t name[16], hidden[16];
    for (int i = 0; i < 16; i++)
        hidden[i] = name[i] = (uint8_t)((in[2 * i] - 'A') << 4 | (in[2 * i + 1] - 'A'));
    hide_label(hider, name, hidden, 15, 26); /* the last says what kind of name it is */
    for (int i = 0; i < 16; i++) {
        out[2 * i] = (uint8_t)('A' + (hidden[i] >> 4));
        out[2 * i + 1] = (uint8_t)('A' + (hidden[i] & 15));
    }
}

static int label_is(const uint8_t *in, const wlmi_labels *l, int i, const char *text)
{
    size_t n = strlen(text);
    if (i < 0 || l->size[i] != n)
        return 0;
    for (size_t j = 0; j < n; j++)
        if (lower(in[l->at[i] + j]) != (uint8_t)text[j])
            return 0;
    return 1;
}

void wlmi_hide_labels(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, const wlmi_labels *l)
{
    static const char *const public_second[] = {"co", "com", "org", "net", "gov", "edu", "ac"};
    int last = l->count - 1, wanted = 2, reverse = label_is(in, l, last, "arpa");
    if (reverse) {
        wanted = l->count; /* an address, backwards: all of it names someone */
        last -= label_is(in, l, last - 1, "in-addr") || label_is(in, l, last - 1, "ip6") ? 2 : 1;
    } else if (label_is(in, l, last, "local") || label_is(in, l, last, "localhost")) {
        last--;
        wanted = 1;
    } else if (last >= 2 && l->size[last] == 2) {
        for (size_t i = 0; i < sizeof public_second / sizeof *public_second; i++)
            wanted += label_is(in, l, last - 1, public_second[i]); /* names are given out below example co.uk */
    }
    if (hider->names_only)
        wanted = l->count;
    for (int i = last; i >= 0 && wanted > 0; i--) {
        const uint8_t *from = in + l->at[i];
        if (l->size[i] > 0 && from[0] == '_') /* a service, not a name */
            continue;
        if (is_netbios(from, l->size[i]))
            hide_netbios(hider, from, out + l->at[i]);
        else
            hide_label(hider, from, out + l->at[i], l->size[i], reverse ? 6 : 26);
        wanted--;
    }
}

void wlmi_hide_name(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size)
{
    wlmi_labels l = {.count = 0};
    uint32_t start = 0;
    while (size > 0 && in[size - 1] == '.')
        size--;
    for (uint32_t i = 0; i <= size && l.count < WLMI_LABELS_MAX; i++)
        if (i == size || in[i] == '.') {
            l.at[l.count] = start;
            l.size[l.count++] = i - start;
            start = i + 1;
        }
    wlmi_hide_labels(hider, in, out, &l);
}

void wlmi_hide_word(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size)
{
    hide_label(hider, in, out, size, 26);
}

void wlmi_hide_client_hello(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size)
{
    enum { HANDSHAKE = 22, CLIENT_HELLO = 1, SERVER_NAME = 0 };
    wlmi_cursor c = wlmi_cursor_over(in, size);
    if (size < 43 || in[0] != HANDSHAKE || in[1] != 3 || in[5] != CLIENT_HELLO)
        return;
    wlmi_take(&c, 5 + 4 + 2 + 32);   /* record, handshake, version, random */
    wlmi_take(&c, wlmi_u8(&c));      /* session */
    wlmi_take(&c, wlmi_be16(&c));    /* cipher suites */
    wlmi_take(&c, wlmi_u8(&c));      /* compression */
    wlmi_be16(&c);                   /* length of all extensions */
    while (!c.overrun && wlmi_left(&c) >= 4) {
        uint32_t type = wlmi_be16(&c), length = wlmi_be16(&c);
        if (type != SERVER_NAME) {
            wlmi_take(&c, length);
            continue;
        }
        wlmi_take(&c, 3); /* length of the list, kind of name */
        uint32_t name = wlmi_be16(&c);
        if (c.overrun)
            return;
        name = name < wlmi_left(&c) ? name : (uint32_t)wlmi_left(&c); /* also where the capture cut it */
        wlmi_hide_name(hider, in + c.at, out + c.at, name);
        return;
    }
}
