/* report_identifiers_find.c: finds addresses, names and credentials in one packet. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "capture/flow.h"
#include "task/report_identifiers.h"

enum { NAME_MAX_LENGTH = 255, CREDENTIAL_MIN = 4 };

typedef struct finder {
    wlmi_identifier_fn *found;
    void *user;
} finder;

/* ---------------------------------------------------------------- addresses */

/* Documentation (RFC 5737, RFC 3849), unspecified, loopback and multicast addresses. */
static int is_nobodys(const uint8_t *a, uint32_t size)
{
    static const uint8_t documentation[][3] = {{192, 0, 2}, {198, 51, 100}, {203, 0, 113}};
    static const uint8_t zeros[15] = {0};
    if (size == 16)
        return a[0] == 0xff || !memcmp(a, "\x20\x01\x0d\xb8", 4) || (!memcmp(a, zeros, 15) && a[15] <= 1);
    for (size_t i = 0; i < 3; i++)
        if (!memcmp(a, documentation[i], 3))
            return 1;
    return a[0] == 0 || a[0] == 127 || a[0] >= 224;
}

static wlm_status give_address(const finder *f, const uint8_t *address, uint32_t size, wlm_error *error)
{
    char text[64];
    if (is_nobodys(address, size))
        return WLM_OK;
    wlmi_address_text(address, (int)size, text);
    return f->found(f->user, WLMI_ID_ADDRESS, text, strlen(text), error);
}

static wlm_status give_mac(const finder *f, const uint8_t *mac, wlm_error *error)
{
    char text[64];
    static const uint8_t none[6] = {0};
    if (mac[0] & 3 || !memcmp(mac, none, sizeof none)) /* a group's, or made up locally */
        return WLM_OK;
    wlmi_address_text(mac, 6, text);
    return f->found(f->user, WLMI_ID_MAC, text, strlen(text), error);
}

/* "192.168.1.7" at p: its length, else 0. */
static size_t dotted_quad(const uint8_t *p, size_t size, uint8_t address[4])
{
    size_t at = 0;
    for (int part = 0; part < 4; part++) {
        unsigned value = 0;
        size_t digits = 0;
        if (part && (at >= size || p[at++] != '.'))
            return 0;
        for (; at < size && isdigit(p[at]) && digits < 4; at++, digits++)
            value = value * 10 + (unsigned)(p[at] - '0');
        if (!digits || digits > 3 || value > 255)
            return 0;
        address[part] = (uint8_t)value;
    }
    return at < size && (p[at] == '.' || isdigit(p[at])) ? 0 : at;
}

static wlm_status find_addresses_in_text(const finder *f, const uint8_t *p, size_t size, wlm_error *error)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t address[4];
        size_t length;
        if (!isdigit(p[i]) || (i && (isdigit(p[i - 1]) || p[i - 1] == '.')))
            continue;
        length = dotted_quad(p + i, size - i, address);
        if (!length)
            continue;
        WLMI_TRY(give_address(f, address, 4, error));
        i += length - 1;
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- names */

/* In small letters, without a closing dot; names with other bytes than names have are none. */
static wlm_status give_name(const finder *f, const char *name, size_t length, wlm_error *error)
{
    char text[NAME_MAX_LENGTH + 1];
    uint8_t address[4];
    int dots = 0;
    while (length && name[length - 1] == '.')
        length--;
    if (length < 3 || length > NAME_MAX_LENGTH || dotted_quad((const uint8_t *)name, length, address))
        return WLM_OK;
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)name[i]) && !strchr("-._", name[i]))
            return WLM_OK;
        text[i] = (char)tolower((unsigned char)name[i]);
        dots += name[i] == '.';
    }
    return dots ? f->found(f->user, WLMI_ID_NAME, text, length, error) : WLM_OK;
}

/* The first question of a DNS message. */
static wlm_status find_question(const finder *f, const uint8_t *p, size_t size, wlm_error *error)
{
    char name[NAME_MAX_LENGTH + 1];
    size_t at = 12, length = 0;
    if (size < 12 || wlmi_load_be16(p + 4) == 0)
        return WLM_OK;
    while (at < size && p[at]) {
        size_t label = p[at++];
        if (label > 63 || label > size - at || length + label + 1 > NAME_MAX_LENGTH)
            return WLM_OK;
        memcpy(name + length, p + at, label);
        length += label;
        name[length++] = '.';
        at += label;
    }
    return at < size ? give_name(f, name, length, error) : WLM_OK;
}

/* The server name of a TLS Client Hello (RFC 6066) that begins the payload. */
static wlm_status find_server_name(const finder *f, const uint8_t *p, size_t size, wlm_error *error)
{
    wlmi_cursor c = wlmi_cursor_over(p, size);
    if (size < 6 || p[0] != 22 || p[1] != 3 || p[5] != 1)
        return WLM_OK;
    wlmi_take(&c, 9 + 2 + 32);     /* record and handshake headers, version, random */
    wlmi_take(&c, wlmi_u8(&c));    /* session */
    wlmi_take(&c, wlmi_be16(&c));  /* cipher suites */
    wlmi_take(&c, wlmi_u8(&c));    /* compression */
    wlmi_be16(&c);
    while (!c.overrun && wlmi_left(&c) >= 4) {
        uint16_t type = wlmi_be16(&c), length = wlmi_be16(&c);
        const uint8_t *body = wlmi_take(&c, length);
        if (!body || type != 0)
            continue;
        if (length < 5 || wlmi_load_be16(body + 3) > length - 5)
            return WLM_OK;
        return give_name(f, (const char *)body + 5, wlmi_load_be16(body + 3), error);
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- lines of text */

static const struct {
    const char *start;
    wlmi_identifier kind;
} line_kinds[] = {{"host:", WLMI_ID_NAME},
                  {"authorization:", WLMI_ID_CREDENTIAL},
                  {"proxy-authorization:", WLMI_ID_CREDENTIAL},
                  {"cookie:", WLMI_ID_CREDENTIAL},
                  {"set-cookie:", WLMI_ID_CREDENTIAL},
                  {"user ", WLMI_ID_CREDENTIAL},
                  {"pass ", WLMI_ID_CREDENTIAL}};

static wlm_status read_line(const finder *f, const char *line, size_t length, wlm_error *error)
{
    for (size_t i = 0; i < sizeof line_kinds / sizeof *line_kinds; i++) {
        size_t n = strlen(line_kinds[i].start);
        if (length < n || strncasecmp(line, line_kinds[i].start, n))
            continue;
        for (; n < length && line[n] == ' '; n++)
            ;
        if (line_kinds[i].kind == WLMI_ID_NAME) {
            const char *port = memchr(line + n, ':', length - n);
            return give_name(f, line + n, port ? (size_t)(port - line) - n : length - n, error);
        }
        return length - n < CREDENTIAL_MIN ? WLM_OK
                                           : f->found(f->user, WLMI_ID_CREDENTIAL, line + n, length - n, error);
    }
    return WLM_OK;
}

static wlm_status find_lines(const finder *f, const uint8_t *p, size_t size, wlm_error *error)
{
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(p + at, '\n', size - at);
        size_t next = end ? (size_t)(end - p) : size, length = next - at;
        while (length && (p[at + length - 1] == '\r'))
            length--;
        WLMI_TRY(read_line(f, (const char *)p + at, length, error));
        at = next + 1;
    }
    return WLM_OK;
}

static int is_name_port(uint16_t port)
{
    return port == 53 || port == 5353 || port == 5355;
}

wlm_status wlmi_identifiers_of(const wlm_packet *packet, wlmi_identifier_fn *found, void *user, wlm_error *error)
{
    const finder f = {found, user};
    wlmi_headers h;
    const uint8_t *payload;
    wlmi_decode(packet, &h);
    if (h.link_addr_len == 6) {
        WLMI_TRY(give_mac(&f, packet->data + h.link_src, error));
        if (h.link_dst != WLMI_ABSENT)
            WLMI_TRY(give_mac(&f, packet->data + h.link_dst, error));
    }
    if (h.addr_len) {
        WLMI_TRY(give_address(&f, packet->data + h.src_addr, h.addr_len, error));
        WLMI_TRY(give_address(&f, packet->data + h.dst_addr, h.addr_len, error));
    }
    if (h.transport == WLMI_ABSENT || !h.payload_len)
        return WLM_OK;
    payload = packet->data + h.payload;
    if (is_name_port(h.src_port) || is_name_port(h.dst_port)) {
        size_t head = h.proto == WLMI_PROTO_TCP ? 2 : 0;
        return h.payload_len > head ? find_question(&f, payload + head, h.payload_len - head, error) : WLM_OK;
    }
    WLMI_TRY(find_server_name(&f, payload, h.payload_len, error));
    WLMI_TRY(find_lines(&f, payload, h.payload_len, error));
    return find_addresses_in_text(&f, payload, h.payload_len, error);
}
