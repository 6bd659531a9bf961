/* features.c: reads numbers and bytes off hidden packets. */
#include "task/features.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/rng.h"
#include "capture/alter.h"
#include "capture/flow_key.h"
#include "task/prompt.h"

enum { OPTION_END = 0, OPTION_NOTHING = 1, OPTION_SEGMENT_SIZE = 2, OPTION_WINDOW_SCALE = 3 };
enum { TCP_FIXED = 20 };

struct wlmi_feature_reader {
    wlmi_hider *hider;
    wlmi_alterer *alterer;
    int alter;
    uint32_t packets;
    wlmi_packet_list before, after; /* of the altered flow at hand */
};

/* Told by the packet as it was recorded: hidden ones may look the same in both directions. */
static int is_backward(const wlm_flow_key *flow, const wlm_packet *packet)
{
    wlmi_headers headers;
    wlm_flow_key key;
    wlmi_decode(packet, &headers);
    wlmi_flow_key_of(packet, &headers, &key);
    if (memcmp(flow->src, flow->dst, sizeof flow->src))
        return memcmp(key.src, flow->src, sizeof key.src) != 0;
    return key.src_port != flow->src_port;
}

static void read_network(wlmi_packet_features *p, const uint8_t *ip, int version)
{
    if (version == 4) {
        p->tos = ip[1];
        p->id = wlmi_load_be16(ip + 4);
        p->df = (ip[6] & 0x40) != 0;
        p->ttl = ip[8];
    } else {
        p->tos = (uint8_t)((ip[0] & 15) << 4 | ip[1] >> 4);
        p->id = wlmi_load_be32(ip) & 0xfffff;
        p->ttl = ip[7];
    }
}

static void read_option(wlmi_features *f, int backward, uint8_t kind, const uint8_t *body, size_t size)
{
    if (kind == OPTION_SEGMENT_SIZE && size == 2 && !f->segment_size[backward])
        f->segment_size[backward] = wlmi_load_be16(body);
    if (kind == OPTION_WINDOW_SCALE && size == 1 && f->window_scale[backward] < 0)
        f->window_scale[backward] = body[0];
}

/* Up to the first option that contradicts the header's length. */
static void read_options(wlmi_features *f, wlmi_packet_features *p, const uint8_t *options, size_t size)
{
    wlmi_cursor c = wlmi_cursor_over(options, size);
    while (wlmi_left(&c) && p->options < WLMI_OPTION_KINDS) {
        uint8_t kind = *wlmi_take(&c, 1);
        const uint8_t *length = NULL, *body = NULL;
        if (kind > OPTION_NOTHING) {
            length = wlmi_take(&c, 1);
            if (!length || *length < 2 || !(body = wlmi_take(&c, *length - 2u)))
                return;
            read_option(f, p->backward, kind, body, *length - 2u);
        }
        p->option[p->options++] = kind;
        if (kind == OPTION_END)
            return;
    }
}

static void read_tcp(wlmi_features *f, wlmi_packet_features *p, const uint8_t *tcp, const wlmi_headers *h)
{
    p->tcp_flags = h->tcp_flags;
    if (h->transport_len < TCP_FIXED)
        return;
    p->window = wlmi_load_be16(tcp + 14);
    read_options(f, p, tcp + TCP_FIXED, h->transport_len - TCP_FIXED);
}

static void add_bytes(wlmi_bytes_seen *seen, const uint8_t *data, size_t size)
{
    size_t room = sizeof seen->byte - seen->count;
    size = size < room ? size : room;
    memcpy(seen->byte + seen->count, data, size);
    seen->count += size;
}

static void read_packet(wlmi_features *f, const wlm_packet *packet, int backward)
{
    wlmi_packet_features *p = &f->packet[f->packets];
    wlmi_headers h;
    wlmi_decode(packet, &h);
    if (f->packets == 0) {
        f->first_ns = packet->time_ns;
        wlmi_flow_key_of(packet, &h, &f->key);
        if (backward)
            wlmi_flow_key_turn(&f->key);
        f->ip_version = h.ip_version;
        f->proto = h.proto;
    }
    *p = (wlmi_packet_features){.time_ns = packet->time_ns - f->first_ns, .backward = backward, .wire = packet->wire,
                                .payload = h.payload_wire_len};
    f->packets++;
    if (h.ip_version)
        read_network(p, packet->data + h.network, h.ip_version);
    if (h.proto == WLMI_PROTO_TCP && h.transport != WLMI_ABSENT)
        read_tcp(f, p, packet->data + h.transport, &h);
    if (h.payload_len) {
        add_bytes(&f->both, packet->data + h.payload, h.payload_len);
        add_bytes(&f->direction[backward], packet->data + h.payload, h.payload_len);
    }
}

static wlm_status take(wlmi_feature_reader *r, wlmi_features *f, const wlm_flow_key *key, const wlm_packet *packet,
                       uint64_t hide_key, wlm_error *error)
{
    const int backward = is_backward(key, packet);
    wlm_packet hidden;
    if (f->packets == 0)
        wlmi_hider_start(r->hider, key, hide_key, packet->time_ns);
    WLMI_TRY(wlmi_hide_packet(r->hider, packet, &hidden, error));
    read_packet(f, &hidden, backward);
    return WLM_OK;
}

/* Puts the flow's packets, altered, into `after`; the key becomes theirs. */
static wlm_status alter(wlmi_feature_reader *r, const wlmi_dataset *data, uint64_t flow, uint64_t packets,
                        uint64_t hide_key, wlm_flow_key *key, wlm_error *error)
{
    const wlmi_alteration kind = (wlmi_alteration)r->alter;
    const uint64_t reach = wlmi_alter_reach(kind, r->packets);
    wlmi_packet_list_cut(&r->before, 0);
    for (uint64_t j = 0; j < packets && j < reach; j++) {
        wlm_packet packet;
        WLMI_TRY(wlmi_dataset_packet(data, flow, j, &packet, error));
        WLMI_TRY(wlmi_packet_list_add(&r->before, &packet, error));
    }
    return wlmi_alter_flow(r->alterer, kind, wlmi_prompt_alter_seed(hide_key), key, &r->before, &r->after, error);
}

wlm_status wlmi_features_read(wlmi_feature_reader *r, wlmi_features *f, const wlmi_dataset *data, uint64_t flow,
                              wlm_error *error)
{
    wlmi_shard_flow at;
    uint64_t hide_key, packets;
    wlmi_dataset_flow(data, flow, &at);
    hide_key = wlmi_mix2(at.file, at.first_packet);
    memset(f, 0, sizeof *f);
    f->window_scale[0] = f->window_scale[1] = -1;
    if (r->alter >= 0)
        WLMI_TRY(alter(r, data, flow, at.packets, hide_key, &at.key, error));
    packets = r->alter >= 0 ? r->after.count : at.packets;
    for (uint64_t j = 0; j < packets && j < r->packets; j++) {
        wlm_packet packet;
        if (r->alter >= 0)
            packet = wlmi_packet_list_at(&r->after, (size_t)j);
        else
            WLMI_TRY(wlmi_dataset_packet(data, flow, j, &packet, error));
        WLMI_TRY(take(r, f, &at.key, &packet, hide_key, error));
    }
    return WLM_OK;
}

wlm_status wlmi_feature_reader_new(wlmi_feature_reader **reader, wlm_hide hide, uint32_t payload, int alteration,
                                   uint32_t packets, wlm_error *error)
{
    wlmi_feature_reader *r = wlmi_alloc_zero(1, sizeof *r);
    wlm_status status;
    *reader = NULL;
    if (!r)
        return WLMI_NO_MEMORY(error);
    r->alter = alteration;
    r->packets = packets && packets < WLM_FEATURE_PACKETS ? packets : WLM_FEATURE_PACKETS;
    status = wlmi_hider_new(&r->hider, hide, payload, error);
    if (status == WLM_OK && alteration >= 0)
        status = wlmi_alterer_new(&r->alterer, error);
    if (status == WLM_OK)
        *reader = r;
    else
        wlmi_feature_reader_free(r);
    return status;
}

void wlmi_feature_reader_free(wlmi_feature_reader *r)
{
    if (!r)
        return;
    wlmi_hider_free(r->hider);
    wlmi_alterer_free(r->alterer);
    wlmi_packet_list_free(&r->before);
    wlmi_packet_list_free(&r->after);
    wlmi_free(r);
}
