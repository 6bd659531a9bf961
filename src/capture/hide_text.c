/* hide_text.c: names, addresses and ports where text protocols write them: Host lines, URIs, SIP and RTSP headers,
 * SDP, FTP's PORT, EPRT and PASV. */
#include "capture/hide_parts.h"

#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "base/rng.h"

typedef struct text {
    const wlmi_hider *hider;
    const uint8_t *in;
    uint8_t *out;
    size_t size;
} text;

static int is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static int is_letter(uint8_t c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static int is_word(uint8_t c)
{
    return is_digit(c) || is_letter(c) || c == '_' || c == '-';
}

/* Text ends at the first control character that no text protocol sends: a body of another kind. */
static size_t text_length(const uint8_t *in, size_t size)
{
    size_t n = 0;
    while (n < size && (in[n] >= ' ' || in[n] == '\t' || in[n] == '\r' || in[n] == '\n'))
        n++;
    for (size_t i = 0; i < n && i < 8; i++)
        if (in[i] >= 127)
            return 0;
    return n < 8 ? 0 : n;
}

/* A host name at `at`. Addresses are left to the rule for them. Returns what is behind it. */
static size_t host(const text *t, size_t at)
{
    size_t end = at;
    int letters = 0;
    while (end < t->size && (is_word(t->in[end]) || t->in[end] == '.'))
        letters |= is_letter(t->in[end++]);
    if (letters)
        wlmi_hide_name(t->hider, t->in + at, t->out + at, end - at);
    return end;
}

/* `count` numbers from 0 to 255 divided by `mark` at `at`: their values and the length, or 0. */
static size_t numbers(const text *t, size_t at, uint8_t mark, int count, uint8_t *value)
{
    size_t i = at;
    for (int k = 0; k < count; k++) {
        uint32_t v = 0, digits = 0;
        if (k > 0 && (i >= t->size || t->in[i++] != mark))
            return 0;
        for (; i < t->size && is_digit(t->in[i]) && digits < 4; digits++)
            v = v * 10 + (t->in[i++] - '0');
        if (digits == 0 || digits > 3 || v > 255)
            return 0;
        value[k] = (uint8_t)v;
    }
    return i - at;
}

static size_t first_numbers(const text *t, size_t at, uint8_t mark, int count)
{
    uint8_t value[6];
    return numbers(t, at, mark, count, value);
}

/* Which end's port a number is, or -1. */
static int port_end(const wlmi_hider *hider, uint32_t port)
{
    if (port == 0 || hider->flow.addr_len == 0)
        return -1;
    return port == hider->flow.src_port ? 0 : port == hider->flow.dst_port ? 1 : -1;
}

/* A port that is one of the flow's: the constant where it fits, else as many other digits. */
static void port(const text *t, size_t at, size_t size, int end)
{
    char digits[8];
    int constant = end ? WLMI_HIDDEN_SERVER_PORT : WLMI_HIDDEN_CLIENT_PORT;
    if (size == 5) {
        snprintf(digits, sizeof digits, "%d", constant);
        memcpy(t->out + at, digits, 5);
        return;
    }
    uint64_t hash = wlmi_mix2(t->hider->key, (uint64_t)constant);
    for (size_t i = 0; i < size; i++, hash = wlmi_mix(hash))
        t->out[at + i] = (uint8_t)(i ? '0' + hash % 10 : '1' + hash % 9);
}

/* Digits at `at`, behind a mark that ports stand behind. Short numbers are seldom ports, unless `sure`. */
static void maybe_port(const text *t, size_t at, int sure)
{
    uint32_t value = 0;
    size_t n = 0;
    while (at + n < t->size && n < 6 && is_digit(t->in[at + n]))
        value = value * 10 + (t->in[at + n++] - '0');
    int end = n > 5 ? -1 : port_end(t->hider, value);
    if (end >= 0 && n >= (sure ? 1 : 3) && !(at + n < t->size && (is_word(t->in[at + n]) || t->in[at + n] == '.')))
        port(t, at, n, end);
}

/* FTP's h1,h2,h3,h4,p1,p2. */
static size_t six_numbers(const text *t, size_t at)
{
    uint8_t value[6];
    size_t size = numbers(t, at, ',', 6, value), address = first_numbers(t, at, ',', 4);
    if (size == 0)
        return 0;
    wlmi_hide_address_text(t->hider, value, (const char *)t->in + at, (char *)t->out + at, address);
    if (port_end(t->hider, wlmi_load_be16(value + 4)) >= 0) {
        uint64_t hash = wlmi_mix2(t->hider->key, wlmi_load_be16(value + 4));
        for (size_t i = at + address + 1; i < at + size; i++, hash = wlmi_mix(hash))
            if (t->in[i] != ',')
                t->out[i] = (uint8_t)(is_digit(t->in[i - 1]) ? '0' + hash % 5 : '1');
    }
    return size;
}

/* A dotted address at `at`, where no number or name goes on. Versions of programs look alike: "Name/120.0.0.0". */
static size_t dotted(const text *t, size_t at)
{
    uint8_t value[4];
    size_t size = numbers(t, at, '.', 4, value);
    uint8_t before = at > 0 ? t->in[at - 1] : ' ', behind = at + size < t->size ? t->in[at + size] : ' ';
    if (size == 0 || is_word(before) || before == '.' || is_word(behind))
        return 0;
    if (behind == '.' && at + size + 1 < t->size && is_digit(t->in[at + size + 1]))
        return 0;
    if (before == '/' && !(at > 1 && t->in[at - 2] == '/'))
        return 0;
    wlmi_hide_address_text(t->hider, value, (const char *)t->in + at, (char *)t->out + at, size);
    if (behind == ':')
        maybe_port(t, at + size + 1, 1);
    return size;
}

static int begins(const text *t, size_t at, const char *word)
{
    size_t n = strlen(word);
    return t->size - at >= n && strncasecmp((const char *)t->in + at, word, n) == 0;
}

/* A line whose beginning says that a host follows. Returns where it begins, or 0. */
static size_t host_line(const text *t, size_t at)
{
    static const char *const word[] = {"Host:", "EHLO ", "HELO ", "CONNECT "};
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        if (begins(t, at, word[i])) {
            at += strlen(word[i]);
            while (at < t->size && t->in[at] == ' ')
                at++;
            return at;
        }
    return 0;
}

void wlmi_hide_text(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size)
{
    text t = {hider, in, out, text_length(in, size)};
    for (size_t at = 0, named; at < t.size;) {
        uint8_t c = in[at], before = at > 0 ? in[at - 1] : '\n';
        size_t past = 0;
        if (before == '\n' && (named = host_line(&t, at)) > 0) {
            past = host(&t, named);
            if (past < t.size && in[past] == ':')
                maybe_port(&t, past + 1, 1);
            past = past > named ? past : 0; /* no name: an address, which the rule below finds */
        } else if (c == '@' || begins(&t, at, "://")) {
            past = host(&t, at + (c == '@' ? 1 : 3));
        } else if (is_digit(c) && !is_digit(before)) {
            past = six_numbers(&t, at);
            past = past ? at + past : 0;
            if (!past && (past = dotted(&t, at)) > 0)
                past += at;
            if (!past && (before == ':' || before == '|' || before == '='))
                maybe_port(&t, at, 0);
        }
        at = past > at ? past : at + 1;
    }
}
