/* report_write.c: flows one after another into a capture. */
#include "task/report_write.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"

enum { ETHERNET_HEADER = 14 };

static const int64_t pause_ns = INT64_C(200) * 1000000000;        /* more than any idle timeout in use */
static const int64_t start_ns = INT64_C(1767225600) * 1000000000; /* 2026-01-01T00:00:00Z */

typedef struct scribe {
    wlm_writer *writer;
    uint8_t *frame;
    size_t capacity;
    int64_t now_ns, latest_ns;
} scribe;

static wlm_status write_packet(scribe *s, wlm_packet packet, int64_t shift_ns, wlm_error *error)
{
    wlmi_headers h;
    wlmi_decode(&packet, &h);
    packet.time_ns += shift_ns;
    packet.interface = 0;
    packet.comment = NULL;
    if (packet.link_type != WLMI_LINK_ETHERNET) {
        size_t kept = packet.captured - h.network;
        if (!wlmi_grow(&s->frame, &s->capacity, kept + ETHERNET_HEADER, 1))
            return WLMI_NO_MEMORY(error);
        memcpy(s->frame, "\x02\0\0\0\0\2\x02\0\0\0\0\1", 12);
        wlmi_store_be16(s->frame + 12, h.ip_version == 4 ? 0x0800 : 0x86dd);
        memcpy(s->frame + ETHERNET_HEADER, packet.data + h.network, kept);
        packet.wire = packet.wire - h.network + ETHERNET_HEADER;
        packet.captured = (uint32_t)kept + ETHERNET_HEADER;
        packet.data = s->frame;
        packet.link_type = WLMI_LINK_ETHERNET;
    }
    if (packet.time_ns > s->latest_ns)
        s->latest_ns = packet.time_ns;
    return wlm_writer_packet(s->writer, &packet, error);
}

static wlm_status write_flow(scribe *s, const wlmi_flow_set *set, const wlmi_report_flow *flow, wlm_error *error)
{
    int64_t shift_ns = s->now_ns - wlmi_flow_set_packet(set, flow->first).time_ns;
    for (size_t p = flow->first; p < flow->first + flow->count; p++)
        WLMI_TRY(write_packet(s, wlmi_flow_set_packet(set, p), shift_ns, error));
    s->now_ns = s->latest_ns + pause_ns;
    return WLM_OK;
}

wlm_status wlmi_report_write(const wlmi_flow_view *view, const char *path, wlm_error *error)
{
    const wlm_writer_options options = {.link_type = WLMI_LINK_ETHERNET};
    scribe s = {.now_ns = start_ns, .latest_ns = start_ns};
    wlm_status status;
    WLMI_TRY(wlm_writer_open(&s.writer, path, &options, error));
    status = WLM_OK;
    for (size_t i = 0; status == WLM_OK && i < view->flows; i++)
        status = write_flow(&s, view->set, &view->set->flow[view->flow[i]], error);
    wlmi_free(s.frame);
    if (status == WLM_OK)
        return wlm_writer_finish(s.writer, error);
    wlm_writer_discard(s.writer);
    return status;
}
