/* writer.c: packets to pcap or pcapng files, little-endian. A time that the format cannot hold (negative, or in pcap
 * beyond 32 bits of seconds) is an error. */
#include "base/alloc.h"
#include "base/io.h"
#include "capture/capture.h"

enum { SNAP_LENGTH = 262144, NANOSECONDS = 9, OPTION_COMMENT = 1, COMMENT_MAX = 65535 };

struct wlm_writer {
    wlmi_output *output;
    wlmi_layout layout;
    uint32_t snap_length;
    uint64_t packets;
};

static wlm_status put_header(wlm_writer *w, const uint8_t *bytes, size_t size, wlm_error *error)
{
    WLMI_TRY(wlmi_layout_literal(&w->layout, bytes, size, error));
    return wlmi_output_write(w->output, bytes, size, error);
}

static wlm_status begin_pcap(wlm_writer *w, const wlm_writer_options *options, wlm_error *error)
{
    uint8_t header[WLMI_PCAP_HEADER] = {0};
    wlmi_store_le32(header, options->nanosecond ? 0xa1b23c4d : 0xa1b2c3d4);
    wlmi_store_le16(header + 4, 2);
    wlmi_store_le16(header + 6, 4);
    wlmi_store_le32(header + 16, w->snap_length);
    wlmi_store_le32(header + 20, options->link_type);
    return put_header(w, header, sizeof header, error);
}

static wlm_status begin_pcapng(wlm_writer *w, wlm_error *error)
{
    uint8_t block[28];
    wlmi_store_le32(block, 0x0a0d0d0a);
    wlmi_store_le32(block + 4, sizeof block);
    wlmi_store_le32(block + 8, 0x1a2b3c4d);
    wlmi_store_le16(block + 12, 1);
    wlmi_store_le16(block + 14, 0);
    wlmi_store_le64(block + 16, UINT64_MAX); /* section length: not said */
    wlmi_store_le32(block + 24, sizeof block);
    return put_header(w, block, sizeof block, error);
}

/* The interface of that link type, described where it is new. */
static wlm_status interface_for(wlm_writer *w, uint32_t link_type, uint32_t *interface, wlm_error *error)
{
    uint8_t block[32] = {0};
    for (*interface = 0; *interface < w->layout.interface_count; ++*interface)
        if (w->layout.interfaces[*interface].link_type == link_type)
            return WLM_OK;
    wlmi_store_le32(block, 1);
    wlmi_store_le32(block + 4, sizeof block);
    wlmi_store_le16(block + 8, (uint16_t)link_type);
    wlmi_store_le32(block + 12, w->snap_length);
    wlmi_store_le16(block + 16, 9); /* if_tsresol */
    wlmi_store_le16(block + 18, 1);
    block[20] = NANOSECONDS;
    wlmi_store_le32(block + 28, sizeof block);
    return put_header(w, block, sizeof block, error);
}

wlm_status wlm_writer_open(wlm_writer **writer, const char *path, const wlm_writer_options *options, wlm_error *error)
{
    wlm_writer *w;
    wlm_status status;
    *writer = NULL;
    if (options->link_type > UINT16_MAX)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, path, WLM_NO_OFFSET, "link type %u has no place in a capture file",
                         options->link_type);
    w = wlmi_alloc_zero(1, sizeof *w);
    if (!w)
        return WLMI_NO_MEMORY(error);
    w->snap_length = options->snap_length ? options->snap_length : SNAP_LENGTH;
    status = wlmi_output_open(&w->output, path, error);
    if (status == WLM_OK)
        status = options->format == WLM_FORMAT_PCAP ? begin_pcap(w, options, error) : begin_pcapng(w, error);
    if (status == WLM_OK)
        *writer = w;
    else
        wlm_writer_discard(w);
    return status;
}

static wlm_status refuse(wlm_error *error, const wlm_packet *packet, const char *cause)
{
    return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "packet %llu: %s",
                     (unsigned long long)packet->number, cause);
}

static wlm_status put_options(wlm_writer *w, wlmi_wrap *wrap, const char *comment, size_t length, wlm_error *error)
{
    uint8_t head[4], tail[8] = {0};
    size_t padding = -length & 3;
    wlmi_store_le16(head, OPTION_COMMENT);
    wlmi_store_le16(head + 2, (uint16_t)length);
    WLMI_TRY(wlmi_output_write(w->output, wrap->suffix, wrap->suffix_size - 4, error));
    WLMI_TRY(wlmi_output_write(w->output, head, sizeof head, error));
    WLMI_TRY(wlmi_output_write(w->output, comment, length, error));
    WLMI_TRY(wlmi_output_write(w->output, tail, padding + 4, error)); /* padding, opt_endofopt */
    return wlmi_output_write(w->output, wrap->prefix + 4, 4, error);
}

wlm_status wlm_writer_packet(wlm_writer *w, const wlm_packet *packet, wlm_error *error)
{
    int pcap = w->layout.format == WLM_FORMAT_PCAP;
    const char *comment = pcap ? NULL : packet->comment;
    size_t length = comment ? strlen(comment) : 0;
    uint32_t interface = 0;
    wlmi_wrap wrap;
    if (packet->captured > WLMI_RECORD_MAX - 2 * COMMENT_MAX)
        return refuse(error, packet, "too long");
    if (length > COMMENT_MAX)
        return refuse(error, packet, "its comment is too long");
    if (pcap ? packet->link_type != w->layout.link_type : packet->link_type > UINT16_MAX)
        return refuse(error, packet, pcap ? "another link type than the file's; pcapng can mix them"
                                          : "its link type has no place in a capture file");
    if (!pcap)
        WLMI_TRY(interface_for(w, packet->link_type, &interface, error));
    if (!wlmi_layout_wrap(&w->layout, packet, interface, &wrap))
        return refuse(error, packet, "its time has no place in this format");
    if (comment)
        wlmi_store_le32(wrap.prefix + 4, wlmi_load_le32(wrap.prefix + 4) + (uint32_t)(8 + length + (-length & 3)));
    WLMI_TRY(wlmi_output_write(w->output, wrap.prefix, wrap.prefix_size, error));
    WLMI_TRY(wlmi_output_write(w->output, packet->data, packet->captured, error));
    w->packets++;
    return comment ? put_options(w, &wrap, comment, length, error)
                   : wlmi_output_write(w->output, wrap.suffix, wrap.suffix_size, error);
}

wlm_status wlm_writer_finish(wlm_writer *w, wlm_error *error)
{
    wlm_status status = wlmi_output_finish(w->output, error);
    w->output = NULL;
    wlm_writer_discard(w);
    return status;
}

void wlm_writer_discard(wlm_writer *w)
{
    if (!w)
        return;
    wlmi_output_discard(w->output);
    wlmi_layout_free(&w->layout);
    wlmi_free(w);
}
