/* hide.c: the hide policies: what each does with a packet as a whole. */
#include "capture/hide_parts.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/measure.h"
#include "capture/flow.h"
#include "capture/flow_key.h"

enum { SHAPE_TTL = 64 };

wlm_status wlmi_hider_new(wlmi_hider **hider, wlm_hide policy, uint32_t payload, wlm_error *error)
{
    *hider = NULL;
    if (policy != WLM_HIDE_NONE && policy != WLM_HIDE_IDS && policy != WLM_HIDE_IMPLICIT && policy != WLM_HIDE_SHAPE)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "hide policy %d is unknown", (int)policy);
    wlmi_hider *h = wlmi_alloc_zero(1, sizeof *h);
    if (!h)
        return WLMI_NO_MEMORY(error);
    h->policy = policy;
    h->payload = payload;
    *hider = h;
    return WLM_OK;
}

void wlmi_hider_free(wlmi_hider *hider)
{
    if (!hider)
        return;
    wlmi_free(hider->buffer);
    wlmi_free(hider);
}

/* The constant of an end; group addresses, broadcast and unspecified say what kind of flow it is: their kind stays. */
static void set_end(wlmi_hider *hider, int end, const uint8_t *real)
{
    static const uint8_t zero[16], ones[4] = {255, 255, 255, 255};
    static const uint8_t end6[2][16] = {{0x20, 1, 0x0d, 0xb8, [15] = 1}, {0x20, 1, 0x0d, 0xb8, 0, 1, [15] = 1}};
    uint8_t *out = hider->end[end];
    memset(out, 0, 16);
    if (hider->flow.addr_len == 4) {
        wlmi_store_be32(out, end ? WLMI_HIDDEN_SERVER4 : WLMI_HIDDEN_CLIENT4);
        if (real[0] >= 224 && real[0] < 240)
            wlmi_store_be32(out, 0xe9fc0001u); /* 233.252.0.1 */
        else if (!memcmp(real, zero, 4) || !memcmp(real, ones, 4))
            memcpy(out, real, 4);
    } else if (hider->flow.addr_len == 16) {
        if (real[0] == 0xff)
            memcpy(out, (uint8_t[16]){0xff, 0x0e, [6] = 0x0d, 0xb8, [15] = 1}, 16);
        else if (memcmp(real, zero, 16) != 0)
            memcpy(out, end6[end], 16);
    }
}

void wlmi_hider_start(wlmi_hider *hider, const wlm_flow_key *flow, uint64_t key, int64_t base_ns)
{
    hider->flow = *flow;
    hider->key = key;
    hider->base_ns = base_ns;
    memset(hider->bases, 0, sizeof hider->bases);
    for (int end = 0; end < 2; end++) {
        const uint8_t *real = end ? flow->dst : flow->src;
        set_end(hider, end, real);
        hider->end_text[end][0] = 0;
        if (flow->addr_len == 4 || flow->addr_len == 16)
            wlmi_address_text(real, flow->addr_len, hider->end_text[end]);
    }
}

/* A copy of `size` bytes of the packet to write on. NULL: no memory. */
static uint8_t *copy_of(wlmi_hider *hider, const uint8_t *data, size_t size)
{
    if (!wlmi_grow(&hider->buffer, &hider->capacity, size + 64, 1))
        return NULL;
    if (size)
        memcpy(hider->buffer, data, size);
    return hider->buffer;
}

/* ---------------------------------------------------------------- policies */

/* What is neither IP nor ARP: its bytes, with the link-layer addresses of its ends replaced. */
static void hide_other(wlmi_hider *hider, const wlm_packet *in, const wlmi_headers *h, uint8_t *copy)
{
    wlmi_hide_link_endpoints(hider, in->data, copy, in->captured);
    if (h->link_src != WLMI_ABSENT)
        wlmi_hide_link_address(hider, in->data + h->link_src, copy + h->link_src, h->link_addr_len);
    if (h->link_dst != WLMI_ABSENT)
        wlmi_hide_link_address(hider, in->data + h->link_dst, copy + h->link_dst, h->link_addr_len);
}

/* Also policy implicit, which differs inside IP alone. */
static wlm_status hide_ids(wlmi_hider *hider, const wlm_packet *in, const wlmi_headers *h, wlm_packet *out,
                           wlm_error *error)
{
    uint8_t *copy = copy_of(hider, in->data, in->captured);
    if (!copy)
        return WLMI_NO_MEMORY(error);
    if (h->network == WLMI_ABSENT && h->reason != WLMI_CUT) {
        hide_other(hider, in, h, copy);
        out->link_type &= 0xffff;
        out->data = copy;
        return WLM_OK;
    }
    out->link_type = WLMI_HIDDEN_LINK;
    if (h->network == WLMI_ABSENT) { /* cut before the addresses: what there is would only tell the link layer */
        out->captured = 0;
        out->data = copy;
        return WLM_OK;
    }
    const uint8_t *network = in->data + h->network;
    out->captured = h->network_end - h->network;
    out->wire = h->network_wire_end - h->network;
    out->data = copy + h->network;
    if (h->arp)
        wlmi_hide_arp(hider, network, copy + h->network, out->captured);
    else
        wlmi_hide_ip(hider, network, copy + h->network, out->captured, out->wire, 0);
    return WLM_OK;
}

/* A header that says how long the packet was and which way it went. Without IP: nothing but the length. */
static wlm_status hide_shape(wlmi_hider *hider, const wlm_packet *in, const wlmi_headers *h, wlm_packet *out,
                             wlm_error *error)
{
    uint8_t *ip = copy_of(hider, NULL, 0);
    if (!ip)
        return WLMI_NO_MEMORY(error);
    out->link_type = WLMI_HIDDEN_LINK;
    out->data = ip;
    out->captured = 0;
    if (h->ip_version == 0)
        return WLM_OK;
    int backward = wlmi_flow_key_is_backward(&hider->flow, in->data, h);
    uint32_t size = h->network_wire_end - h->network;
    wlmi_headers made = {.ip_version = h->ip_version, .network_len = h->ip_version == 4 ? 20 : 40,
                         .transport = WLMI_ABSENT};
    out->wire = size;
    out->captured = made.network_len;
    memset(ip, 0, 40);
    if (h->ip_version == 4) {
        ip[0] = 0x45;
        wlmi_store_be16(ip + 2, (uint16_t)(size > 65535 ? 0 : size));
        ip[8] = SHAPE_TTL;
        ip[9] = WLMI_SHAPE_PROTOCOL;
        wlmi_store_be32(ip + 12, backward ? WLMI_HIDDEN_SERVER4 : WLMI_HIDDEN_CLIENT4);
        wlmi_store_be32(ip + 16, backward ? WLMI_HIDDEN_CLIENT4 : WLMI_HIDDEN_SERVER4);
        wlmi_mend_checksums(ip, &made);
    } else {
        ip[0] = 0x60;
        wlmi_store_be16(ip + 4, (uint16_t)(size - 40 > 65535 ? 0 : size - 40));
        ip[6] = WLMI_SHAPE_PROTOCOL;
        ip[7] = SHAPE_TTL;
        memcpy(ip + 8, (uint8_t[16]){0x20, 1, 0x0d, 0xb8, 0, backward ? 1 : 0, [15] = 1}, 16);
        memcpy(ip + 24, (uint8_t[16]){0x20, 1, 0x0d, 0xb8, 0, backward ? 0 : 1, [15] = 1}, 16);
    }
    return WLM_OK;
}

/* Keeps the first bytes of the payload; `wire` stays true. */
static void cut_payload(const wlmi_hider *hider, wlm_packet *packet)
{
    wlmi_headers h;
    if (hider->payload == WLM_PAYLOAD_FULL)
        return;
    wlmi_decode(packet, &h);
    if (h.network_end - h.payload > hider->payload)
        packet->captured = h.payload + hider->payload;
}

wlm_status wlmi_hide_packet(wlmi_hider *hider, const wlm_packet *in, wlm_packet *out, wlm_error *error)
{
    wlmi_headers h;
    *out = *in;
    if (hider->policy != WLM_HIDE_NONE) {
        wlmi_decode(in, &h);
        out->interface = 0;
        out->comment = NULL;
        out->time_ns = (int64_t)((uint64_t)in->time_ns - (uint64_t)hider->base_ns);
        WLMI_TRY(hider->policy == WLM_HIDE_SHAPE ? hide_shape(hider, in, &h, out, error)
                                                 : hide_ids(hider, in, &h, out, error));
    }
    cut_payload(hider, out);
    return WLM_OK;
}
