/* pcap.c: the pcap format: file header and records. */
#include "capture/capture.h"

enum { RECORD = 16, RECORD_MODIFIED = 24 };

static const uint32_t magic_us = 0xa1b2c3d4, magic_ns = 0xa1b23c4d, magic_modified = 0xa1b2cd34;

static int is_magic(uint32_t v)
{
    return v == magic_us || v == magic_ns || v == magic_modified;
}

int wlmi_pcap_magic(const uint8_t magic[4])
{
    return is_magic(wlmi_load_le32(magic)) || is_magic(wlmi_load_be32(magic));
}

/* Which length comes first was not settled before version 2.4; the rules are those of libpcap. */
static int length_order(unsigned major, unsigned minor)
{
    if ((major == 2 && minor < 3) || major == 543)
        return WLMI_LENGTHS_SWAPPED;
    return major == 2 && minor == 3 ? WLMI_LENGTHS_MAYBE : WLMI_LENGTHS_STRAIGHT;
}

wlm_status wlmi_pcap_header(wlmi_layout *layout, const uint8_t *bytes, size_t size, wlm_error *error)
{
    uint32_t magic;
    if (size != WLMI_PCAP_HEADER || !wlmi_pcap_magic(bytes))
        return wlmi_fail(error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "not a pcap header");
    *layout = (wlmi_layout){.known = 1, .format = WLM_FORMAT_PCAP};
    layout->big_endian = is_magic(wlmi_load_be32(bytes));
    magic = wlmi_layout_load32(layout, bytes);
    layout->nanosecond = magic == magic_ns;
    layout->modified = magic == magic_modified;
    layout->lengths = length_order(wlmi_layout_load16(layout, bytes + 4), wlmi_layout_load16(layout, bytes + 6));
    layout->link_type = wlmi_layout_load32(layout, bytes + 20) & 0xffff; /* above it: FCS length and reserved bits */
    return WLM_OK;
}

size_t wlmi_pcap_head(const wlmi_layout *layout)
{
    return layout->modified ? RECORD_MODIFIED : RECORD;
}

static void lengths(const wlmi_layout *layout, const uint8_t *head, uint32_t *captured, uint32_t *wire)
{
    uint32_t first = wlmi_layout_load32(layout, head + 8), second = wlmi_layout_load32(layout, head + 12);
    int swapped = layout->lengths == WLMI_LENGTHS_SWAPPED || (layout->lengths == WLMI_LENGTHS_MAYBE && first > second);
    *captured = swapped ? second : first;
    *wire = swapped ? first : second;
}

wlm_status wlmi_pcap_measure(const wlmi_layout *layout, const uint8_t *head, size_t *size, wlm_error *error)
{
    uint32_t captured, wire;
    lengths(layout, head, &captured, &wire);
    if (captured > WLMI_RECORD_MAX)
        return wlmi_fail(error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "a record claims %u bytes", captured);
    *size = wlmi_pcap_head(layout) + captured;
    return WLM_OK;
}

void wlmi_pcap_parse(const wlmi_layout *layout, wlmi_item *item)
{
    uint32_t seconds = wlmi_layout_load32(layout, item->bytes), fraction = wlmi_layout_load32(layout, item->bytes + 4);
    item->is_packet = 1;
    item->data_at = wlmi_pcap_head(layout);
    item->packet.time_ns = (int64_t)seconds * 1000000000 + (int64_t)fraction * (layout->nanosecond ? 1 : 1000);
    lengths(layout, item->bytes, &item->packet.captured, &item->packet.wire);
    item->packet.link_type = layout->link_type;
}

int wlmi_pcap_wrap(const wlmi_layout *layout, const wlm_packet *packet, wlmi_wrap *wrap)
{
    int64_t seconds = packet->time_ns / 1000000000, fraction = packet->time_ns % 1000000000;
    int swapped = layout->lengths == WLMI_LENGTHS_SWAPPED;
    if (packet->time_ns < 0 || seconds > UINT32_MAX)
        return 0;
    memset(wrap, 0, sizeof *wrap);
    wrap->prefix_size = wlmi_pcap_head(layout);
    wlmi_layout_store32(layout, wrap->prefix, (uint32_t)seconds);
    wlmi_layout_store32(layout, wrap->prefix + 4, (uint32_t)(layout->nanosecond ? fraction : fraction / 1000));
    wlmi_layout_store32(layout, wrap->prefix + (swapped ? 12 : 8), packet->captured);
    wlmi_layout_store32(layout, wrap->prefix + (swapped ? 8 : 12), packet->wire);
    return 1;
}
