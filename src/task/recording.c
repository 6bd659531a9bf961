/* recording.c: one capture in memory. */
#include "task/recording.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/rng.h"
#include "capture/flow_key.h"
#include "token/streams.h"
#include "token/transcode.h"

#define LEFT_OUT UINT32_MAX

void wlmi_recording_free(wlmi_recording *r)
{
    wlmi_packet_list_free(&r->packets);
    wlmi_beside_free(&r->beside);
    wlmi_slots_free(r->slots);
    wlmi_free(r->of);
    wlmi_free(r->order);
    wlmi_free(r->flow);
    wlmi_free(r->at);
    *r = (wlmi_recording){0};
}

wlm_status wlmi_recording_begin(wlmi_recording *r, wlm_unit unit, uint64_t flow_limit, wlm_error *error)
{
    wlmi_packet_list_cut(&r->packets, 0);
    r->beside.size = r->beside.run = 0;
    r->flows = 0;
    r->flow_limit = flow_limit;
    r->unit = unit;
    r->slot = 0;
    r->cut = r->nanoseconds = 0;
    wlmi_slots_free(r->slots);
    r->slots = NULL;
    if (!r->at)
        r->at = wlmi_alloc_array(WLMI_STREAMS_MAX, sizeof *r->at);
    return r->at ? wlmi_slots_new(&r->slots, WLMI_STREAMS_MAX, error) : WLMI_NO_MEMORY(error);
}

/* ---------------------------------------------------------------- the file header */

enum { HEADER_IN_BESIDE = 2 }; /* behind the operation and its length, a byte each */

static void file_header(uint8_t header[WLMI_PCAP_FILE_HEADER], int nanoseconds, uint32_t link_type)
{
    memset(header, 0, WLMI_PCAP_FILE_HEADER);
    wlmi_store_le32(header, nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4);
    wlmi_store_le16(header + 4, 2);
    wlmi_store_le16(header + 6, 4);
    wlmi_store_le32(header + 16, 262144);
    wlmi_store_le32(header + 20, link_type);
}

/* ---------------------------------------------------------------- flows */

static wlm_status end_flows(wlmi_recording *r, wlm_error *error)
{
    size_t count;
    const wlmi_ended *ended = wlmi_slots_ended(r->slots, &count);
    for (size_t i = 0; i < count; i++) {
        uint32_t flow = r->at[ended[i].slot];
        if (flow == LEFT_OUT)
            continue;
        r->flow[flow].end = ended[i].end;
        if (r->unit == WLM_UNIT_FLOW)
            WLMI_TRY(wlmi_beside_operation(&r->beside, WLMI_BESIDE_END, ended[i].slot, error));
    }
    return WLM_OK;
}

static wlm_status open_flow(wlmi_recording *r, const wlm_packet *packet, const wlmi_flow *flow, uint32_t slot,
                            wlm_error *error)
{
    const int64_t zero_ns = r->packets.count ? r->packets.packet[0].time_ns : packet->time_ns;
    r->at[slot] = LEFT_OUT;
    if (r->flow_limit && r->flows == r->flow_limit)
        return WLM_OK;
    if (!wlmi_grow(&r->flow, &r->flow_room, r->flows + 1, sizeof *r->flow))
        return WLMI_NO_MEMORY(error);
    r->at[slot] = (uint32_t)r->flows;
    r->flow[r->flows++] = (wlmi_recorded_flow){.key = flow->key, .end = WLMI_END_CUT, .number = packet->number};
    if (r->unit == WLM_UNIT_CAPTURE)
        return WLM_OK;
    WLMI_TRY(wlmi_beside_operation(&r->beside, WLMI_BESIDE_OPEN, slot, error));
    return wlmi_beside_number(&r->beside, (uint64_t)packet->time_ns - (uint64_t)zero_ns, error);
}

/* Whether the packet's source is not the one that opened the flow. */
static int is_backward(const wlm_packet *packet, const wlm_flow_key *flow)
{
    wlmi_headers headers;
    wlm_flow_key key;
    wlmi_decode(packet, &headers);
    wlmi_flow_key_of(packet, &headers, &key);
    return key.src_port != flow->src_port || memcmp(key.src, flow->src, sizeof key.src) != 0;
}

static wlm_status put_header(wlmi_recording *r, uint32_t link_type, wlm_error *error)
{
    uint8_t header[WLMI_PCAP_FILE_HEADER];
    file_header(header, 0, link_type);
    return wlmi_beside_literal(&r->beside, WLMI_BESIDE_HEADER, header, sizeof header, error);
}

wlm_status wlmi_recording_add(wlmi_recording *r, const wlm_packet *packet, wlm_error *error)
{
    const wlmi_flow *flow;
    uint32_t slot;
    int opened;
    WLMI_TRY(wlmi_slots_of(r->slots, packet, packet->captured, &flow, &slot, &opened, error));
    if (!r->packets.count)
        WLMI_TRY(put_header(r, packet->link_type, error));
    WLMI_TRY(end_flows(r, error));
    if (opened)
        WLMI_TRY(open_flow(r, packet, flow, slot, error));
    if (r->at[slot] == LEFT_OUT) {
        r->cut = 1;
        return WLM_OK;
    }
    if (!opened && slot != r->slot && r->unit == WLM_UNIT_FLOW)
        WLMI_TRY(wlmi_beside_operation(&r->beside, WLMI_BESIDE_FLOW, slot, error));
    r->slot = slot;
    r->beside.run++;
    r->nanoseconds |= packet->time_ns % 1000 != 0;
    if (!wlmi_grow(&r->of, &r->of_room, r->packets.count + 1, sizeof *r->of))
        return WLMI_NO_MEMORY(error);
    r->of[r->packets.count] = (wlmi_recorded){r->at[slot], (uint8_t)is_backward(packet, &flow->key)};
    r->flow[r->at[slot]].packets++;
    return wlmi_packet_list_add(&r->packets, packet, error);
}

wlm_status wlmi_recording_end(wlmi_recording *r, wlm_error *error)
{
    size_t first = 0;
    wlmi_slots_flush(r->slots);
    WLMI_TRY(end_flows(r, error));
    WLMI_TRY(wlmi_beside_run(&r->beside, error));
    if (r->packets.count)
        file_header(r->beside.bytes + HEADER_IN_BESIDE, r->nanoseconds, r->packets.packet[0].link_type);
    if (!wlmi_grow(&r->order, &r->order_room, r->packets.count, sizeof *r->order))
        return WLMI_NO_MEMORY(error);
    for (size_t f = 0; f < r->flows; f++) {
        r->flow[f].first = first;
        first += r->flow[f].packets;
        r->flow[f].packets = 0;
    }
    for (size_t i = 0; i < r->packets.count; i++) {
        wlmi_recorded_flow *flow = &r->flow[r->of[i].flow];
        r->order[flow->first + flow->packets++] = i;
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- hiding */

wlm_status wlmi_recording_hide(wlmi_recording *r, wlmi_hider *hider, uint64_t file, wlm_error *error)
{
    const int64_t base_ns = r->packets.count ? r->packets.packet[0].time_ns : 0;
    wlmi_packet_list hidden = {0};
    wlm_status status = WLM_OK;
    for (size_t f = 0; f < r->flows && status == WLM_OK; f++) {
        wlmi_hider_start(hider, &r->flow[f].key, wlmi_mix2(file, r->flow[f].number), base_ns);
        for (size_t j = 0; j < r->flow[f].packets && status == WLM_OK; j++) {
            wlm_packet shown, packet = wlmi_packet_list_at(&r->packets, r->order[r->flow[f].first + j]);
            status = wlmi_hide_packet(hider, &packet, &shown, error);
            if (status == WLM_OK)
                status = wlmi_packet_list_add(&hidden, &shown, error);
        }
    }
    for (size_t k = 0; k < r->packets.count && status == WLM_OK; k++) { /* back in capture order */
        r->packets.packet[r->order[k]] = hidden.packet[k];
        r->packets.offset[r->order[k]] = hidden.offset[k];
    }
    if (status == WLM_OK) {
        uint8_t *bytes = r->packets.bytes;
        size_t room = r->packets.room;
        r->packets.bytes = hidden.bytes;
        r->packets.room = hidden.room;
        r->packets.used = hidden.used;
        hidden.bytes = bytes;
        hidden.room = room;
    }
    wlmi_packet_list_free(&hidden);
    return status;
}

/* ---------------------------------------------------------------- files */

uint64_t wlmi_recording_bytes(const wlmi_recording *r)
{
    return WLMI_PCAP_FILE_HEADER + (uint64_t)r->packets.count * WLMI_PCAP_RECORD_HEADER + r->packets.used;
}

static wlm_status put_record(const wlm_packet *packet, int nanoseconds, uint32_t payload, wlmi_file_image *image,
                             wlm_error *error)
{
    const int64_t second = INT64_C(1000000000), rest = packet->time_ns % second;
    const uint32_t part = (uint32_t)(rest < 0 ? rest + second : rest);
    const size_t size = WLMI_PCAP_RECORD_HEADER + (size_t)packet->captured;
    uint8_t *at;
    if (!wlmi_grow(&image->bytes, &image->capacity, image->size + size, 1))
        return WLMI_NO_MEMORY(error);
    at = image->bytes + image->size;
    image->size += size;
    wlmi_store_le32(at, (uint32_t)(packet->time_ns / second - (rest < 0)));
    wlmi_store_le32(at + 4, nanoseconds ? part : part / 1000);
    wlmi_store_le32(at + 8, packet->captured);
    wlmi_store_le32(at + 12, packet->wire);
    at += WLMI_PCAP_RECORD_HEADER;
    if (packet->captured)
        memcpy(at, packet->data, packet->captured);
    if (payload != WLM_PAYLOAD_FULL) {
        wlmi_headers headers;
        wlmi_decode(packet, &headers);
        if (headers.payload_len > payload)
            memset(at + headers.payload + payload, 0, headers.payload_len - payload);
    }
    return WLM_OK;
}

wlm_status wlmi_recording_image(const wlmi_recording *r, const wlmi_recorded_flow *flow, uint32_t payload,
                                wlmi_file_image *image, wlm_error *error)
{
    const size_t count = flow ? flow->packets : r->packets.count;
    image->size = 0;
    if (!wlmi_grow(&image->bytes, &image->capacity, WLMI_PCAP_FILE_HEADER, 1))
        return WLMI_NO_MEMORY(error);
    for (size_t j = 0; j < count; j++) {
        const wlm_packet packet = wlmi_packet_list_at(&r->packets, flow ? r->order[flow->first + j] : j);
        if (j == 0) {
            file_header(image->bytes, r->nanoseconds, packet.link_type);
            image->size = WLMI_PCAP_FILE_HEADER;
        }
        WLMI_TRY(put_record(&packet, r->nanoseconds, payload, image, error));
    }
    return WLM_OK;
}
