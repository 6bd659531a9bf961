/* shard_layout.h: bytes of an imported folder, shared by its writer and its reader. docs/DATA.md draws them.
 *   packets.data   the captured bytes of all packets, one after the other, in order of reading
 *   packets.index  packet records, grouped by flow; flow records; footer
 *   dataset.json   task, labels, files, groups, how it was split, digests of the other two
 * Numbers are little-endian. */
#ifndef WLMI_SHARD_LAYOUT_H
#define WLMI_SHARD_LAYOUT_H

#define WLMI_SHARD_DATA "packets.data"
#define WLMI_SHARD_INDEX "packets.index"
#define WLMI_SHARD_JSON "dataset.json"
#define WLMI_SHARD_MAGIC "WLMINDEX"

enum { WLMI_SHARD_VERSION = 1 };

enum { /* packet record */
    WLMI_PACKET_AT = 0,       /* u64 offset in packets.data */
    WLMI_PACKET_TIME = 8,     /* i64 nanoseconds since 1970 */
    WLMI_PACKET_NUMBER = 16,  /* u64 in its capture, from 1 */
    WLMI_PACKET_CAPTURED = 24,/* u32 */
    WLMI_PACKET_WIRE = 28,    /* u32 */
    WLMI_PACKET_RECORD = 32
};

enum { /* flow record */
    WLMI_FLOW_SRC = 0,        /* 16 bytes */
    WLMI_FLOW_DST = 16,       /* 16 bytes */
    WLMI_FLOW_SRC_PORT = 32,  /* u16 */
    WLMI_FLOW_DST_PORT = 34,  /* u16 */
    WLMI_FLOW_ADDR_LEN = 36,  /* u8 */
    WLMI_FLOW_PROTO = 37,     /* u8 */
    WLMI_FLOW_START = 38,     /* u8 wlm_flow_start */
    WLMI_FLOW_END = 39,       /* u8 wlm_flow_end */
    WLMI_FLOW_PART = 40,      /* u8 wlm_part */
    WLMI_FLOW_ONEWAY = 41,    /* u8 0 or 1; two bytes of 0 follow */
    WLMI_FLOW_LINK = 44,      /* u32 link type of all its packets */
    WLMI_FLOW_INTERFACE = 48, /* u32 */
    WLMI_FLOW_LABEL = 52,     /* u32 or 0xffffffff */
    WLMI_FLOW_FILE = 56,      /* u32 */
    WLMI_FLOW_GROUP = 60,     /* u32 */
    WLMI_FLOW_FIRST = 64,     /* u64 index of its first packet record */
    WLMI_FLOW_PACKETS = 72,   /* u64, at least 1 */
    WLMI_FLOW_BYTES = 80,     /* u64 captured bytes */
    WLMI_FLOW_RECORD = 88
};

enum { /* footer: the last bytes of packets.index */
    WLMI_FOOTER_PACKETS = 0,  /* u64 packet records */
    WLMI_FOOTER_FLOWS = 8,    /* u64 flow records */
    WLMI_FOOTER_DATA = 16,    /* u64 bytes of packets.data */
    WLMI_FOOTER_VERSION = 24, /* u32; four bytes of 0 follow */
    WLMI_FOOTER_MAGIC = 32,   /* 8 bytes */
    WLMI_FOOTER_SIZE = 40
};

#endif
