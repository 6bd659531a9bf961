/* background.c: a capture read twice: for its addresses and times, then for its packets. */
#include "task/background.h"

#include <string.h>

#include "capture/decode.h"

static wlm_status learn(wlmi_background *b, const wlm_packet *packet, int mixes, wlmi_address_plan *plan,
                        wlm_error *error)
{
    wlmi_headers h;
    if (packet->link_type != WLMI_LINK_ETHERNET && !mixes)
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, NULL, WLM_NO_OFFSET,
                         "link type %u is not Ethernet: only pcapng can hold it beside generated packets",
                         packet->link_type);
    if (!b->packets || packet->time_ns < b->first_ns)
        b->first_ns = packet->time_ns;
    if (!b->packets || packet->time_ns > b->last_ns)
        b->last_ns = packet->time_ns;
    b->packets++;
    wlmi_decode(packet, &h);
    if (!h.addr_len)
        return WLM_OK;
    WLMI_TRY(wlmi_address_plan_avoid(plan, packet->data + h.src_addr, (int)h.addr_len, error));
    return wlmi_address_plan_avoid(plan, packet->data + h.dst_addr, (int)h.addr_len, error);
}

static wlm_status read_through(wlmi_background *b, int mixes, wlmi_address_plan *plan, wlm_error *error)
{
    wlm_packet packet;
    wlm_status status;
    while ((status = wlm_capture_next(b->capture, &packet, error)) == WLM_OK)
        WLMI_TRY(learn(b, &packet, mixes, plan, error));
    if (status != WLM_END)
        return status;
    if (!b->packets)
        return wlmi_fail(error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "no packets to mix flows into");
    return wlmi_address_plan_check(plan, error);
}

static wlm_status next(wlmi_background *b, wlm_error *error)
{
    wlm_status status = wlm_capture_next(b->capture, &b->packet, error);
    b->there = status == WLM_OK;
    return status == WLM_END ? WLM_OK : status;
}

wlm_status wlmi_background_open(wlmi_background *b, const char *path, int mixes, wlmi_address_plan *plan,
                                wlm_error *error)
{
    wlm_status status;
    memset(b, 0, sizeof *b);
    if (!strcmp(path, "-"))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, path, WLM_NO_OFFSET,
                         "a capture to mix flows into is read twice: standard input cannot be");
    WLMI_TRY(wlm_capture_open(&b->capture, path, error));
    status = wlmi_in_file(error, read_through(b, mixes, plan, error), path);
    wlm_capture_close(b->capture);
    b->capture = NULL;
    WLMI_TRY(status);
    WLMI_TRY(wlm_capture_open(&b->capture, path, error));
    return next(b, error);
}

wlm_status wlmi_background_write(wlmi_background *b, int64_t until_ns, wlm_writer *writer, wlm_error *error)
{
    while (b->there && b->packet.time_ns <= until_ns) {
        WLMI_TRY(wlm_writer_packet(writer, &b->packet, error));
        WLMI_TRY(next(b, error));
    }
    return WLM_OK;
}

void wlmi_background_close(wlmi_background *b)
{
    wlm_capture_close(b->capture);
    memset(b, 0, sizeof *b);
}
