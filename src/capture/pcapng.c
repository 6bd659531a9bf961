/* pcapng.c: the pcapng format (draft-ietf-opsawg-pcapng): sections, interfaces, packet blocks. */
#include "base/alloc.h"
#include "capture/capture.h"

enum { SECTION = 0x0a0d0d0a, INTERFACE = 1, PACKET = 2, SIMPLE = 3, ENHANCED = 6 };
enum { BYTE_ORDER = 0x1a2b3c4d, OPTION_RESOLUTION = 9, OPTION_OFFSET = 14, MICROSECONDS = 6 };

static wlm_status garbage(wlm_error *error, const char *cause)
{
    return wlmi_fail(error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "%s", cause);
}

int wlmi_pcapng_magic(const uint8_t magic[4])
{
    return wlmi_load_le32(magic) == SECTION; /* the same from both ends */
}

/* A section's header says in its third word which end its numbers begin with. */
static int section_order(const uint8_t *head, int *big_endian)
{
    if (wlmi_load_le32(head + 8) == BYTE_ORDER)
        *big_endian = 0;
    else if (wlmi_load_be32(head + 8) == BYTE_ORDER)
        *big_endian = 1;
    else
        return 0;
    return 1;
}

static size_t shortest(uint32_t type)
{
    switch (type) {
    case SECTION: return 28;
    case INTERFACE: return 20;
    case SIMPLE: return 16;
    case PACKET:
    case ENHANCED: return 32;
    default: return 12;
    }
}

wlm_status wlmi_pcapng_measure(const wlmi_layout *layout, const uint8_t *head, size_t *size, wlm_error *error)
{
    wlmi_layout order = {.big_endian = layout->big_endian};
    uint32_t type, total;
    if (wlmi_pcapng_magic(head) && !section_order(head, &order.big_endian))
        return garbage(error, "a section without a byte-order magic");
    type = wlmi_layout_load32(&order, head);
    total = wlmi_layout_load32(&order, head + 4);
    if (total < shortest(type) || total % 4)
        return wlmi_fail(error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "a block of type %u has a length of %u", type,
                         total);
    if (total > WLMI_RECORD_MAX)
        return wlmi_fail(error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "a block claims %u bytes", total);
    *size = total;
    return WLM_OK;
}

static int closes(const wlmi_layout *layout, const uint8_t *bytes, size_t size)
{
    return wlmi_layout_load32(layout, bytes + size - 4) == size && wlmi_layout_load32(layout, bytes + 4) == size;
}

static wlm_status begin_section(wlmi_layout *layout, const uint8_t *bytes, size_t size, wlm_error *error)
{
    wlmi_layout order = {0};
    if (size < shortest(SECTION) || !section_order(bytes, &order.big_endian) || !closes(&order, bytes, size))
        return garbage(error, "not a pcapng section header");
    layout->known = 1;
    layout->format = WLM_FORMAT_PCAPNG;
    layout->big_endian = order.big_endian;
    layout->interfaces_before += (uint32_t)layout->interface_count;
    layout->interface_count = 0;
    return WLM_OK;
}

/* Options are advice: reading stops where they make no sense. */
static void read_options(const wlmi_layout *layout, const uint8_t *p, size_t size, wlmi_interface *interface)
{
    while (size >= 4) {
        uint16_t code = wlmi_layout_load16(layout, p), length = wlmi_layout_load16(layout, p + 2);
        size_t padded = ((size_t)length + 3) & ~(size_t)3;
        if (code == 0 || padded > size - 4)
            return;
        if (code == OPTION_RESOLUTION && length == 1)
            interface->resolution = p[4];
        if (code == OPTION_OFFSET && length == 8)
            interface->offset_s = (int64_t)(layout->big_endian ? wlmi_load_be64(p + 4) : wlmi_load_le64(p + 4));
        p += 4 + padded;
        size -= 4 + padded;
    }
}

static wlm_status add_interface(wlmi_layout *layout, const uint8_t *bytes, size_t size, wlm_error *error)
{
    wlmi_interface interface = {.link_type = wlmi_layout_load16(layout, bytes + 8),
                                .snap_length = wlmi_layout_load32(layout, bytes + 12),
                                .resolution = MICROSECONDS};
    read_options(layout, bytes + 16, size - 20, &interface);
    if (!wlmi_grow(&layout->interfaces, &layout->interface_capacity, layout->interface_count + 1,
                   sizeof *layout->interfaces))
        return WLMI_NO_MEMORY(error);
    layout->interfaces[layout->interface_count++] = interface;
    return WLM_OK;
}

wlm_status wlmi_pcapng_block(wlmi_layout *layout, const uint8_t *bytes, size_t size, wlm_error *error)
{
    uint32_t type;
    if (size < WLMI_PCAPNG_HEAD)
        return garbage(error, "not a pcapng block");
    if (wlmi_pcapng_magic(bytes))
        return begin_section(layout, bytes, size, error);
    type = wlmi_layout_load32(layout, bytes);
    if (size < shortest(type) || !closes(layout, bytes, size))
        return garbage(error, "a block's two lengths differ");
    return type == INTERFACE ? add_interface(layout, bytes, size, error) : WLM_OK;
}

static uint64_t power_of_ten(int n) /* n <= 19 */
{
    uint64_t v = 1;
    while (n-- > 0)
        v *= 10;
    return v;
}

static int64_t to_ns(const wlmi_interface *interface, uint64_t units)
{
    int n = interface->resolution & 0x7f;
    __int128 ns;
    if (interface->resolution & 0x80)
        ns = (__int128)(((unsigned __int128)units * 1000000000) >> n);
    else if (n <= 9)
        ns = (__int128)units * (__int128)power_of_ten(9 - n);
    else
        ns = n - 9 <= 19 ? (__int128)(units / power_of_ten(n - 9)) : 0;
    ns += (__int128)interface->offset_s * 1000000000;
    return ns > INT64_MAX ? INT64_MAX : ns < INT64_MIN ? INT64_MIN : (int64_t)ns;
}

/* The smallest count of units that to_ns() takes to `time`: the right one wherever units are not finer than 1 ns. */
static int from_ns(const wlmi_interface *interface, int64_t time, uint64_t *units)
{
    int n = interface->resolution & 0x7f;
    __int128 ns = time - (__int128)interface->offset_s * 1000000000;
    unsigned __int128 v;
    if (ns < 0 || ns > UINT64_MAX)
        return 0;
    if (interface->resolution & 0x80)
        v = n <= 63 ? (((unsigned __int128)ns << n) + 999999999) / 1000000000 : (unsigned __int128)UINT64_MAX + 1;
    else if (n <= 9)
        v = ((unsigned __int128)ns + power_of_ten(9 - n) - 1) / power_of_ten(9 - n);
    else
        v = n - 9 <= 19 ? (unsigned __int128)ns * power_of_ten(n - 9) : (unsigned __int128)UINT64_MAX + 1;
    *units = (uint64_t)v;
    return v <= UINT64_MAX;
}

static wlm_status parse_timed(const wlmi_layout *layout, wlmi_item *item, uint32_t interface, wlm_error *error)
{
    const uint8_t *b = item->bytes;
    uint64_t units = (uint64_t)wlmi_layout_load32(layout, b + 12) << 32 | wlmi_layout_load32(layout, b + 16);
    wlm_packet *packet = &item->packet;
    if (interface >= layout->interface_count)
        return wlmi_fail(error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET,
                         "a packet on interface %u where the section has %zu", interface, layout->interface_count);
    packet->captured = wlmi_layout_load32(layout, b + 20);
    packet->wire = wlmi_layout_load32(layout, b + 24);
    if (packet->captured > item->size - 32)
        return garbage(error, "a packet is longer than its block");
    packet->time_ns = to_ns(&layout->interfaces[interface], units);
    packet->link_type = layout->interfaces[interface].link_type;
    packet->interface = layout->interfaces_before + interface;
    item->data_at = 28;
    return WLM_OK;
}

static wlm_status parse_simple(const wlmi_layout *layout, wlmi_item *item, wlm_error *error)
{
    wlm_packet *packet = &item->packet;
    size_t room = item->size - 16;
    uint32_t snap;
    if (layout->interface_count == 0)
        return garbage(error, "a packet before the section's first interface");
    snap = layout->interfaces[0].snap_length;
    packet->wire = wlmi_layout_load32(layout, item->bytes + 8);
    packet->captured = snap && packet->wire > snap ? snap : packet->wire;
    if (packet->captured > room)
        packet->captured = (uint32_t)room;
    packet->link_type = layout->interfaces[0].link_type;
    packet->interface = layout->interfaces_before;
    item->data_at = 12;
    return WLM_OK;
}

wlm_status wlmi_pcapng_parse(const wlmi_layout *layout, wlmi_item *item, wlm_error *error)
{
    uint32_t type = wlmi_layout_load32(layout, item->bytes);
    item->is_packet = type == ENHANCED || type == PACKET || type == SIMPLE;
    if (!item->is_packet)
        return WLM_OK;
    if (!closes(layout, item->bytes, item->size))
        return garbage(error, "a block's two lengths differ");
    if (type == SIMPLE)
        return parse_simple(layout, item, error);
    return parse_timed(layout, item,
                       type == ENHANCED ? wlmi_layout_load32(layout, item->bytes + 8)
                                        : wlmi_layout_load16(layout, item->bytes + 8), error);
}

int wlmi_pcapng_wrap(const wlmi_layout *layout, const wlm_packet *packet, uint32_t interface, wlmi_wrap *wrap)
{
    uint32_t padding = -packet->captured & 3, total = 32 + packet->captured + padding;
    uint64_t units;
    if (interface >= layout->interface_count || packet->captured > WLMI_RECORD_MAX - 32 ||
        !from_ns(&layout->interfaces[interface], packet->time_ns, &units))
        return 0;
    memset(wrap, 0, sizeof *wrap);
    wrap->prefix_size = 28;
    wlmi_layout_store32(layout, wrap->prefix, ENHANCED);
    wlmi_layout_store32(layout, wrap->prefix + 4, total);
    wlmi_layout_store32(layout, wrap->prefix + 8, interface);
    wlmi_layout_store32(layout, wrap->prefix + 12, (uint32_t)(units >> 32));
    wlmi_layout_store32(layout, wrap->prefix + 16, (uint32_t)units);
    wlmi_layout_store32(layout, wrap->prefix + 20, packet->captured);
    wlmi_layout_store32(layout, wrap->prefix + 24, packet->wire);
    wrap->suffix_size = padding + 4;
    wlmi_layout_store32(layout, wrap->suffix + padding, total);
    return 1;
}
