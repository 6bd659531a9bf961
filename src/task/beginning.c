/* beginning.c: what every generated flow begins with: a capture's first IP flow. */
#include "task/beginning.h"

#include "capture/flow.h"
#include "capture/hide.h"
#include "task/mix.h"

/* Keeps the packets of a capture's first IP flow, hidden as in training. */
static wlm_status keep_first_flow(wlmi_packet_list *packets, wlm_capture *capture, wlmi_flow_table *table,
                                  wlmi_hider *hider, wlm_error *error)
{
    wlm_packet packet, hidden;
    wlm_status status;
    while ((status = wlm_capture_next(capture, &packet, error)) == WLM_OK) {
        wlmi_headers headers;
        wlmi_flow *flow;
        int backward;
        wlmi_decode(&packet, &headers);
        if (!headers.ip_version)
            continue;
        WLMI_TRY(wlmi_flow_of(table, &packet, &headers, &flow, &backward, error));
        if (flow->id != 1)
            continue;
        if (!packets->count)
            wlmi_hider_start(hider, &flow->key, 0, packet.time_ns);
        WLMI_TRY(wlmi_hide_packet(hider, &packet, &hidden, error));
        WLMI_TRY(wlmi_packet_list_add(packets, &hidden, error));
    }
    return status == WLM_END ? WLM_OK : status;
}

static void ignore(void *owner, wlmi_flow *flow)
{
    (void)owner;
    (void)flow;
}

wlm_status wlmi_beginning_read(wlmi_packet_list *packets, const wlm_model *model, const char *path, wlm_error *error)
{
    const wlmi_record *record = &model->net->record;
    const wlmi_flow_options options = {0};
    wlm_capture *capture = NULL;
    wlmi_flow_table *table = NULL;
    wlmi_hider *hider = NULL;
    wlm_status status = wlm_capture_open(&capture, path, error);
    if (status == WLM_OK)
        status = wlmi_flow_table_new(&table, &options, ignore, NULL, error);
    if (status == WLM_OK)
        status = wlmi_hider_new(&hider, record->hide, wlmi_codec_cut(model->codec, wlmi_mix_longest(record)), error);
    if (status == WLM_OK)
        status = keep_first_flow(packets, capture, table, hider, error);
    wlmi_hider_free(hider);
    wlmi_flow_table_free(table);
    wlm_capture_close(capture);
    if (status == WLM_OK && !packets->count)
        status = wlmi_fail(error, WLM_ERR_FORMAT, path, WLM_NO_OFFSET, "no IP flow to begin with");
    return status;
}
