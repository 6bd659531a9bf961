/* capture.h: a capture file item by item, so that every byte of it is accounted for, and its layout: what the file's
 * own headers say about the records that follow, enough to foretell the bytes around a packet. */
#ifndef WLMI_CAPTURE_H
#define WLMI_CAPTURE_H

#include "base/cursor.h"
#include "base/status.h"

/* Longest record or block that is read as such. Longer ones count as damage: lengths come from outside. */
#define WLMI_RECORD_MAX ((size_t)64 << 20)

typedef struct wlmi_interface { /* of a pcapng section */
    uint32_t link_type, snap_length;
    uint8_t resolution; /* if_tsresol: 10^-n s, or 2^-n with the top bit set */
    int64_t offset_s;   /* if_tsoffset */
} wlmi_interface;

/* Zero-initialise. Changes only through wlmi_layout_literal(). */
typedef struct wlmi_layout {
    int known; /* the first header was seen */
    wlm_format format;
    int big_endian;
    /* pcap */
    uint32_t link_type;
    int nanosecond;
    int modified; /* records with 8 more header bytes (Kuznetzov) */
    enum { WLMI_LENGTHS_STRAIGHT, WLMI_LENGTHS_SWAPPED, WLMI_LENGTHS_MAYBE } lengths; /* order, by old versions */
    /* pcapng: the current section */
    wlmi_interface *interfaces;
    size_t interface_count, interface_capacity;
    uint32_t interfaces_before; /* in earlier sections */
} wlmi_layout;

/* Takes a file header or any block that holds no packet. */
wlm_status wlmi_layout_literal(wlmi_layout *layout, const uint8_t *bytes, size_t size, wlm_error *error);
void wlmi_layout_free(wlmi_layout *layout);

typedef struct wlmi_wrap { /* the bytes of a record before and after the packet's */
    uint8_t prefix[28], suffix[8];
    size_t prefix_size, suffix_size;
} wlmi_wrap;

/* The plainest record for this packet on the section's interface of that index: 1, or 0 where there is none. */
int wlmi_layout_wrap(const wlmi_layout *layout, const wlm_packet *packet, uint32_t interface, wlmi_wrap *wrap);

typedef struct wlmi_item {
    int is_packet;       /* else a header or a block without a packet */
    const uint8_t *bytes; /* all of it as it stands in the file; borrowed until the next call */
    size_t size;
    wlm_packet packet;
    size_t data_at;      /* where the packet's data begins in bytes */
} wlmi_item;

/* The next item; statuses as wlm_capture_next(). Items joined are the file, up to the end or the damage. */
wlm_status wlmi_capture_item(wlm_capture *capture, wlmi_item *item, wlm_error *error);
/* After WLM_ERR_FORMAT: what is left, from the broken record on, piece by piece; then WLM_END. */
wlm_status wlmi_capture_rest(wlm_capture *capture, const uint8_t **bytes, size_t *size, wlm_error *error);
const wlmi_layout *wlmi_capture_layout(const wlm_capture *capture);

/* ---- the two formats. A record is measured by its first `head` bytes, then read whole, then parsed.
 * Errors name neither file nor offset: the caller adds both. */

enum { WLMI_PCAP_HEADER = 24, WLMI_PCAPNG_HEAD = 12 };

int wlmi_pcap_magic(const uint8_t magic[4]);
int wlmi_pcapng_magic(const uint8_t magic[4]);

wlm_status wlmi_pcap_header(wlmi_layout *layout, const uint8_t *bytes, size_t size, wlm_error *error);
size_t wlmi_pcap_head(const wlmi_layout *layout);
wlm_status wlmi_pcap_measure(const wlmi_layout *layout, const uint8_t *head, size_t *size, wlm_error *error);
void wlmi_pcap_parse(const wlmi_layout *layout, wlmi_item *item);
int wlmi_pcap_wrap(const wlmi_layout *layout, const wlm_packet *packet, wlmi_wrap *wrap);

wlm_status wlmi_pcapng_block(wlmi_layout *layout, const uint8_t *bytes, size_t size, wlm_error *error);
wlm_status wlmi_pcapng_measure(const wlmi_layout *layout, const uint8_t *head, size_t *size, wlm_error *error);
/* Sets is_packet, and the packet; time_ns goes in as the time of the packet before, for blocks without one. */
wlm_status wlmi_pcapng_parse(const wlmi_layout *layout, wlmi_item *item, wlm_error *error);
int wlmi_pcapng_wrap(const wlmi_layout *layout, const wlm_packet *packet, uint32_t interface, wlmi_wrap *wrap);

static inline uint32_t wlmi_layout_load32(const wlmi_layout *layout, const uint8_t *p)
{
    return layout->big_endian ? wlmi_load_be32(p) : wlmi_load_le32(p);
}
static inline uint16_t wlmi_layout_load16(const wlmi_layout *layout, const uint8_t *p)
{
    return layout->big_endian ? wlmi_load_be16(p) : wlmi_load_le16(p);
}
static inline void wlmi_layout_store32(const wlmi_layout *layout, uint8_t *p, uint32_t v)
{
    if (layout->big_endian)
        wlmi_store_be32(p, v);
    else
        wlmi_store_le32(p, v);
}

#endif
