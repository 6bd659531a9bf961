/* capture.c: the reader: tells the format, cuts the file into items, hands out packets. */
#include "capture/capture.h"

#include <string.h>

#include "base/alloc.h"
#include "base/io.h"

enum { STEP = 1 << 16 }; /* a record is read in steps that grow as the file proves to be that long */

struct wlm_capture {
    wlmi_input *input;
    wlmi_layout layout;
    uint8_t *buffer; /* the item at hand, or as much of it as there was */
    size_t have, capacity;
    int waiting;     /* the item at hand was not given out yet */
    int rest_given;  /* the broken record was given out */
    uint64_t start;  /* offset of the item at hand */
    uint64_t packets;
    int64_t last_ns;
    wlm_error error; /* status other than WLM_OK: the capture is over for this reason */
};

wlm_status wlmi_layout_literal(wlmi_layout *layout, const uint8_t *bytes, size_t size, wlm_error *error)
{
    if (layout->known ? layout->format == WLM_FORMAT_PCAPNG : size >= 4 && wlmi_pcapng_magic(bytes))
        return wlmi_pcapng_block(layout, bytes, size, error);
    if (layout->known)
        return wlmi_fail(error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "a pcap file has one header");
    return wlmi_pcap_header(layout, bytes, size, error);
}

void wlmi_layout_free(wlmi_layout *layout)
{
    wlmi_free(layout->interfaces);
    *layout = (wlmi_layout){0};
}

int wlmi_layout_wrap(const wlmi_layout *layout, const wlm_packet *packet, uint32_t interface, wlmi_wrap *wrap)
{
    if (!layout->known)
        return 0;
    return layout->format == WLM_FORMAT_PCAP ? wlmi_pcap_wrap(layout, packet, wrap)
                                             : wlmi_pcapng_wrap(layout, packet, interface, wrap);
}

/* Reads on until the item has `size` bytes; WLM_END where the file ends before. */
static wlm_status have(wlm_capture *c, size_t size)
{
    while (c->have < size) {
        size_t step = size - c->have, got;
        if (step > c->have + STEP)
            step = c->have + STEP;
        if (!wlmi_grow(&c->buffer, &c->capacity, c->have + step, 1))
            return WLMI_NO_MEMORY(&c->error);
        WLMI_TRY(wlmi_input_read(c->input, c->buffer + c->have, step, &got, &c->error));
        c->have += got;
        if (got == 0)
            return WLM_END;
    }
    return WLM_OK;
}

/* The same inside an item, where the end is damage. */
static wlm_status have_whole(wlm_capture *c, size_t size)
{
    wlm_status status = have(c, size);
    if (status == WLM_END)
        return wlmi_fail(&c->error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "the file ends %zu bytes into a record",
                         c->have);
    return status;
}

static wlm_status read_header(wlm_capture *c)
{
    size_t size = WLMI_PCAP_HEADER;
    wlm_status status = have(c, 4);
    if (status == WLM_END || (status == WLM_OK && !wlmi_pcap_magic(c->buffer) && !wlmi_pcapng_magic(c->buffer)))
        return wlmi_fail(&c->error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "neither pcap nor pcapng");
    WLMI_TRY(status);
    if (wlmi_pcapng_magic(c->buffer)) {
        WLMI_TRY(have_whole(c, WLMI_PCAPNG_HEAD));
        WLMI_TRY(wlmi_pcapng_measure(&c->layout, c->buffer, &size, &c->error));
    }
    WLMI_TRY(have_whole(c, size));
    c->waiting = 1;
    return wlmi_layout_literal(&c->layout, c->buffer, c->have, &c->error);
}

static wlm_status read_item(wlm_capture *c)
{
    int pcap = c->layout.format == WLM_FORMAT_PCAP;
    size_t head = pcap ? wlmi_pcap_head(&c->layout) : WLMI_PCAPNG_HEAD, size;
    wlm_status status;
    c->start += c->have;
    c->have = 0;
    status = have(c, head);
    if (status == WLM_END && c->have == 0) {
        c->error.status = WLM_END;
        return WLM_END;
    }
    WLMI_TRY(status == WLM_END ? have_whole(c, head) : status);
    WLMI_TRY(pcap ? wlmi_pcap_measure(&c->layout, c->buffer, &size, &c->error)
                  : wlmi_pcapng_measure(&c->layout, c->buffer, &size, &c->error));
    return have_whole(c, size);
}

static wlm_status next_item(wlm_capture *c, wlmi_item *item)
{
    int fresh = c->waiting;
    memset(item, 0, sizeof *item);
    c->waiting = 0;
    if (!fresh)
        WLMI_TRY(read_item(c));
    item->bytes = c->buffer;
    item->size = c->have;
    if (fresh)
        return WLM_OK;
    if (c->layout.format == WLM_FORMAT_PCAP) {
        wlmi_pcap_parse(&c->layout, item);
    } else {
        item->packet.time_ns = c->last_ns;
        WLMI_TRY(wlmi_pcapng_parse(&c->layout, item, &c->error));
        if (!item->is_packet)
            return wlmi_layout_literal(&c->layout, item->bytes, item->size, &c->error);
    }
    c->last_ns = item->packet.time_ns;
    item->packet.number = ++c->packets;
    item->packet.data = item->bytes + item->data_at;
    return WLM_OK;
}

/* Says where the failure was, once. */
static wlm_status blame(wlm_capture *c, wlm_status status)
{
    if (status != WLM_OK && status != WLM_END) {
        if (c->error.offset == WLM_NO_OFFSET && status == WLM_ERR_FORMAT)
            c->error.offset = c->start;
        wlmi_in_file(&c->error, status, wlmi_input_name(c->input));
    }
    return status;
}

wlm_status wlmi_capture_item(wlm_capture *c, wlmi_item *item, wlm_error *error)
{
    if (c->error.status == WLM_OK && blame(c, next_item(c, item)) == WLM_OK)
        return WLM_OK;
    if (error)
        *error = c->error;
    return c->error.status;
}

wlm_status wlmi_capture_rest(wlm_capture *c, const uint8_t **bytes, size_t *size, wlm_error *error)
{
    wlm_status status;
    if (c->rest_given || c->have == 0) {
        c->have = 0;
        if (!wlmi_grow(&c->buffer, &c->capacity, STEP, 1))
            return WLMI_NO_MEMORY(error);
        status = wlmi_input_read(c->input, c->buffer, STEP, &c->have, error);
        if (status != WLM_OK && status != WLM_ERR_FORMAT) /* FORMAT: a compressed stream ends in damage, too */
            return status;
    }
    c->rest_given = 1;
    *bytes = c->buffer;
    *size = c->have;
    return c->have ? WLM_OK : WLM_END;
}

const wlmi_layout *wlmi_capture_layout(const wlm_capture *c)
{
    return &c->layout;
}

static wlm_status open_over(wlm_capture **out, wlm_capture *c, wlm_status status, wlm_error *error)
{
    if (status == WLM_OK)
        status = blame(c, read_header(c));
    if (status == WLM_OK) {
        *out = c;
        return WLM_OK;
    }
    if (error)
        *error = c->error;
    wlm_capture_close(c);
    return status;
}

wlm_status wlm_capture_open(wlm_capture **capture, const char *path, wlm_error *error)
{
    wlm_capture *c = wlmi_alloc_zero(1, sizeof *c);
    *capture = NULL;
    if (!c)
        return WLMI_NO_MEMORY(error);
    return open_over(capture, c, wlmi_input_open(&c->input, path, &c->error), error);
}

wlm_status wlm_capture_open_memory(wlm_capture **capture, const void *data, size_t size, const char *name,
                                   wlm_error *error)
{
    wlm_capture *c = wlmi_alloc_zero(1, sizeof *c);
    *capture = NULL;
    if (!c)
        return WLMI_NO_MEMORY(error);
    return open_over(capture, c, wlmi_input_open_memory(&c->input, data, size, name, &c->error), error);
}

wlm_status wlm_capture_next(wlm_capture *capture, wlm_packet *packet, wlm_error *error)
{
    wlmi_item item;
    do
        WLMI_TRY(wlmi_capture_item(capture, &item, error));
    while (!item.is_packet);
    *packet = item.packet;
    return WLM_OK;
}

wlm_format wlm_capture_format(const wlm_capture *capture)
{
    return capture->layout.format;
}

void wlm_capture_close(wlm_capture *capture)
{
    if (!capture)
        return;
    wlmi_input_close(capture->input);
    wlmi_layout_free(&capture->layout);
    wlmi_free(capture->buffer);
    wlmi_free(capture);
}
