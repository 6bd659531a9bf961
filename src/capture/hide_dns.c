/* hide_dns.c: names and addresses in DNS messages (RFC 1035; multicast DNS, LLMNR and NetBIOS use the same form). */
#include "capture/hide_parts.h"

#include <string.h>

#include "base/cursor.h"

enum { /* resource record types */
    TYPE_A = 1,
    TYPE_NS = 2,
    TYPE_CNAME = 5,
    TYPE_SOA = 6,
    TYPE_PTR = 12,
    TYPE_MX = 15,
    TYPE_AAAA = 28,
    TYPE_NETBIOS = 32,
    TYPE_SRV = 33, /* in NetBIOS: a list of names and a link-layer address */
    TYPE_DNAME = 39,
    TYPE_OPT = 41,
    TYPE_SVCB = 64,
    TYPE_HTTPS = 65
};

typedef struct message {
    const wlmi_hider *hider; /* NULL: only look whether it is a message */
    const uint8_t *in;
    uint8_t *out;
    size_t size;
    wlmi_cursor c;
} message;

/* Reads the name at the cursor, follows its pointers (each points further back, so they end), and hides it. */
static int name(message *m)
{
    wlmi_labels l = {.count = 0};
    wlmi_cursor c = m->c;
    size_t lowest = m->c.at;
    int jumped = 0;
    for (;;) {
        uint32_t length = wlmi_u8(&c);
        if (c.overrun)
            return 0;
        if (length == 0)
            break;
        if (length >= 0xc0) {
            size_t target = (length & 0x3f) << 8 | wlmi_u8(&c);
            if (c.overrun || target >= lowest || target < 12)
                return 0;
            if (!jumped)
                m->c.at = c.at;
            jumped = 1;
            lowest = c.at = target;
            continue;
        }
        if (length > 63 || l.count == WLMI_LABELS_MAX)
            return 0;
        l.at[l.count] = (uint32_t)c.at;
        l.size[l.count++] = length;
        wlmi_take(&c, length);
    }
    if (!jumped)
        m->c.at = c.at;
    if (m->hider)
        wlmi_hide_labels(m->hider, m->in, m->out, &l);
    return !c.overrun;
}

static void address(message *m, uint32_t size)
{
    size_t at = m->c.at;
    if (wlmi_take(&m->c, size) && m->hider)
        wlmi_hide_address(m->hider, m->in + at, m->out + at, size);
}

static void addresses(message *m, uint32_t size, size_t end)
{
    while (m->c.at + size <= end)
        address(m, size);
}

/* Client subnet (RFC 7871): the leading bytes of an address. */
static void client_subnet(message *m, uint32_t length)
{
    uint8_t full[16] = {0}, hidden[16];
    uint32_t family = wlmi_be16(&m->c), size = length > 4 ? length - 4 : 0;
    wlmi_take(&m->c, 2);
    size_t at = m->c.at;
    if (m->c.overrun || !m->hider || size > 16 || size > wlmi_left(&m->c))
        return;
    memcpy(full, m->in + at, size);
    wlmi_hide_address(m->hider, full, hidden, family == 1 ? 4 : 16);
    memcpy(m->out + at, hidden, size < (family == 1 ? 4u : 16u) ? size : (family == 1 ? 4u : 16u));
}

/* Parameters of an SVCB or HTTPS record, or options of an OPT record: both are (code, length, value). */
static void parameters(message *m, uint32_t type, size_t end)
{
    enum { SUBNET = 8, HINT4 = 4, HINT6 = 6 };
    while (!m->c.overrun && m->c.at + 4 <= end) {
        uint32_t code = wlmi_be16(&m->c), length = wlmi_be16(&m->c);
        size_t next = m->c.at + length;
        if (next > end)
            return;
        if (type == TYPE_OPT && code == SUBNET)
            client_subnet(m, length);
        else if (type != TYPE_OPT && (code == HINT4 || code == HINT6))
            addresses(m, code == HINT4 ? 4 : 16, next);
        m->c.at = next;
    }
}

static void netbios_status(message *m, size_t end)
{
    for (uint32_t names = wlmi_u8(&m->c); names > 0 && m->c.at + 18 <= end; names--) {
        if (m->hider)
            wlmi_hide_word(m->hider, m->in + m->c.at, m->out + m->c.at, 15);
        wlmi_take(&m->c, 18);
    }
    if (m->c.at + 6 <= end && m->hider)
        wlmi_hide_link_address(m->hider, m->in + m->c.at, m->out + m->c.at, 6);
}

/* What a record holds, up to `end`, which is inside the message. 0: it contradicts itself. */
static int record_data(message *m, uint32_t type, size_t end, int netbios)
{
    int ok = 1;
    switch (type) {
    case TYPE_A: addresses(m, 4, end); break;
    case TYPE_AAAA: addresses(m, 16, end); break;
    case TYPE_NS:
    case TYPE_CNAME:
    case TYPE_PTR:
    case TYPE_DNAME: ok = name(m); break;
    case TYPE_SOA: ok = name(m) && name(m); break;
    case TYPE_MX:
        wlmi_take(&m->c, 2);
        ok = name(m);
        break;
    case TYPE_SRV:
        if (netbios) {
            netbios_status(m, end);
        } else {
            wlmi_take(&m->c, 6);
            ok = name(m);
        }
        break;
    case TYPE_NETBIOS:
        while (m->c.at + 6 <= end) {
            wlmi_take(&m->c, 2);
            address(m, 4);
        }
        break;
    case TYPE_SVCB:
    case TYPE_HTTPS:
        wlmi_take(&m->c, 2);
        ok = name(m);
        if (ok)
            parameters(m, type, end);
        break;
    case TYPE_OPT: parameters(m, type, end); break;
    }
    return ok && !m->c.overrun && m->c.at <= end;
}

/* 1: all of it was read, and nothing is left behind. */
static int walk(message *m)
{
    m->c = wlmi_cursor_over(m->in, m->size);
    wlmi_take(&m->c, 2);
    uint32_t flags = wlmi_be16(&m->c), questions = wlmi_be16(&m->c), records = wlmi_be16(&m->c), netbios = 0;
    records += wlmi_be16(&m->c);
    records += wlmi_be16(&m->c);
    if (m->c.overrun || (flags >> 11 & 15) > 8 || questions + records == 0)
        return 0;
    for (; questions > 0; questions--) {
        if (!name(m))
            return 0;
        uint32_t type = wlmi_be16(&m->c);
        netbios |= type == TYPE_NETBIOS;
        wlmi_take(&m->c, 2);
    }
    for (; records > 0 && !m->c.overrun; records--) {
        size_t at = m->c.at;
        if (!name(m))
            return 0;
        uint32_t type = wlmi_be16(&m->c);
        wlmi_take(&m->c, 6);
        uint32_t length = wlmi_be16(&m->c);
        if (m->c.overrun)
            return 0;
        /* A status answer of NetBIOS names its owner in 32 letters; SRV's owner begins with an underscore. */
        if (type == TYPE_SRV && m->in[at] == 32 && m->c.at > at + 1 && m->in[at + 1] != '_')
            netbios = 1;
        if (length > wlmi_left(&m->c) && !m->hider)
            return 0;
        size_t end = length < wlmi_left(&m->c) ? m->c.at + length : m->size;
        if (!record_data(m, type, end, (int)netbios))
            return 0;
        m->c.at = end;
    }
    return !m->c.overrun && m->c.at == m->size;
}

int wlmi_hide_dns(const wlmi_hider *hider, const uint8_t *in, uint8_t *out, size_t size, int sure)
{
    message m = {NULL, in, out, size, wlmi_cursor_over(in, size)};
    if (!sure && !walk(&m))
        return 0;
    m.hider = hider;
    return walk(&m) || sure;
}
