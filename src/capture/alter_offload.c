/* alter_offload.c: TCP segments merged into large ones, as a network card or the kernel does before the capture sees
 * them (generic receive offload of Linux: the same headers but for what counts, no segment longer than the first, and none
 * behind a shorter one or a push). */
#include "capture/alter_parts.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "capture/flow_key.h"

enum { IP_MOST = 65535, TCP_PORTS = 4, TCP_FLAGS_AT = 13, TCP_SUM_AT = 16 };
enum { ENDS_RUN = WLMI_TCP_PSH | WLMI_TCP_FIN, PLAIN = WLMI_TCP_ACK | ENDS_RUN };

typedef struct run { /* segments that are one so far, in the alterer's buffer */
    wlm_packet packet; /* of the first, with the last's time */
    wlmi_headers h;    /* of the first */
    uint32_t size;     /* bytes in the buffer; 0: no run */
    uint32_t segment;  /* payload of the first */
    wlmi_checksum network, transport; /* of all of them */
    int merged, closed;
} run;

/* Whole, with payload, and without flags that say more than "go on". */
static int can_merge(const wlm_packet *p, const wlmi_headers *h)
{
    /* The link layer's own length, of IEEE 802.3, would have to grow, and cannot. */
    int counted = p->link_type == WLMI_LINK_ETHERNET && h->network >= 14 && wlmi_load_be16(p->data + 12) < 0x600;
    return h->reason == WLMI_DECODED && h->proto == WLMI_PROTO_TCP && !h->fragment && h->payload_len > 0 &&
           h->payload_len == h->payload_wire_len && h->network_end == h->network_wire_end && !counted &&
           (h->tcp_flags & WLMI_TCP_ACK) && !(h->tcp_flags & ~PLAIN);
}

/* Whether two headers are equal up to what counts from segment to segment. */
static int same_headers(const uint8_t *a, const uint8_t *b, const wlmi_headers *h)
{
    uint32_t network = h->network, transport = h->transport;
    const uint32_t plain = h->ip_version == 4 ? 2 : 4, after = h->ip_version == 4 ? 12 : 6; /* before and behind lengths */
    int ip = !memcmp(a + network, b + network, plain) && !memcmp(a + network + 6, b + network + 6, 4) &&
             !memcmp(a + network + after, b + network + after, transport - network - after);
    return ip && !memcmp(a, b, network) && !memcmp(a + transport, b + transport, TCP_PORTS) &&
           !memcmp(a + transport + 8, b + transport + 8, 5) && /* acknowledgement, header length */
           !memcmp(a + transport + 14, b + transport + 14, 2) && /* window */
           !memcmp(a + transport + 18, b + transport + 18, h->transport_len - 18);
}

static int continues(const run *r, const uint8_t *buffer, const wlm_packet *p, const wlmi_headers *h)
{
    uint32_t payload = r->size - r->h.payload;
    return r->size && !r->closed && p->link_type == r->packet.link_type && p->interface == r->packet.interface &&
           h->network == r->h.network && h->transport == r->h.transport && h->payload == r->h.payload &&
           h->ip_version == r->h.ip_version && h->payload_len <= r->segment &&
           r->size - r->h.network + h->payload_len <= IP_MOST &&
           wlmi_load_be32(p->data + h->transport + 4) == wlmi_load_be32(buffer + h->transport + 4) + payload &&
           wlmi_check_network(p->data, h) == r->network && wlmi_check_transport(p->data, h) == r->transport &&
           same_headers(buffer, p->data, h);
}

/* Lengths and checksums of what was merged. */
static void finish_headers(run *r, uint8_t *data)
{
    uint8_t *ip = data + r->h.network, *sum = data + r->h.transport + TCP_SUM_AT;
    uint16_t network_sum = wlmi_load_be16(ip + 10), transport_sum = wlmi_load_be16(sum);
    wlmi_headers h;
    if (r->h.ip_version == 4)
        wlmi_store_be16(ip + 2, (uint16_t)(r->size - r->h.network));
    else
        wlmi_store_be16(ip + 4, (uint16_t)(r->size - r->h.network - 40));
    r->packet.captured = r->packet.wire = r->size;
    r->packet.data = data;
    wlmi_decode(&r->packet, &h);
    wlmi_mend_checksums(data, &h);
    if (r->h.ip_version == 4 && r->network != WLMI_SUM_RIGHT) /* wrong stays wrong */
        wlmi_store_be16(ip + 10, network_sum);
    if (r->transport != WLMI_SUM_RIGHT)
        wlmi_store_be16(sum, transport_sum);
}

/* Hands the run on, if there is one. One of a single segment goes as it came, with what stood behind IP. */
static wlm_status flush(wlmi_altering *a, run *r, size_t first, wlm_error *error)
{
    wlm_packet packet;
    if (!r->size)
        return WLM_OK;
    if (r->merged) {
        finish_headers(r, a->alterer->buffer);
        packet = r->packet;
    } else {
        packet = wlmi_packet_list_at(a->in, first);
    }
    r->size = 0;
    return wlmi_packet_list_add(a->out, &packet, error);
}

static wlm_status begin(wlmi_altering *a, run *r, const wlm_packet *p, const wlmi_headers *h, wlm_error *error)
{
    wlmi_alterer *alterer = a->alterer;
    *r = (run){.packet = *p, .h = *h, .size = h->network_end, .segment = h->payload_len,
               .network = wlmi_check_network(p->data, h), .transport = wlmi_check_transport(p->data, h),
               .closed = h->tcp_flags & ENDS_RUN};
    if (!wlmi_grow(&alterer->buffer, &alterer->capacity, h->network_end, 1))
        return WLMI_NO_MEMORY(error);
    memcpy(alterer->buffer, p->data, h->network_end);
    return WLM_OK;
}

static wlm_status merge(wlmi_altering *a, run *r, const wlm_packet *p, const wlmi_headers *h, wlm_error *error)
{
    wlmi_alterer *alterer = a->alterer;
    if (!wlmi_grow(&alterer->buffer, &alterer->capacity, r->size + h->payload_len, 1))
        return WLMI_NO_MEMORY(error);
    memcpy(alterer->buffer + r->size, p->data + h->payload, h->payload_len);
    alterer->buffer[h->transport + TCP_FLAGS_AT] |= h->tcp_flags & ENDS_RUN;
    r->size += h->payload_len;
    r->packet.time_ns = p->time_ns;
    r->merged = 1;
    r->closed = h->tcp_flags & ENDS_RUN || h->payload_len < r->segment;
    return WLM_OK;
}

wlm_status wlmi_alter_offload(wlmi_altering *a, wlm_error *error)
{
    run r = {.size = 0};
    size_t first = 0;
    for (size_t i = 0; i < a->in->count; i++) {
        wlm_packet packet = wlmi_packet_list_at(a->in, i);
        wlmi_headers h;
        wlmi_decode(&packet, &h);
        if (!can_merge(&packet, &h)) {
            WLMI_TRY(flush(a, &r, first, error));
            WLMI_TRY(wlmi_packet_list_add(a->out, &packet, error));
        } else if (continues(&r, a->alterer->buffer, &packet, &h)) {
            WLMI_TRY(merge(a, &r, &packet, &h, error));
        } else {
            WLMI_TRY(flush(a, &r, first, error));
            WLMI_TRY(begin(a, &r, &packet, &h, error));
            first = i;
        }
    }
    return flush(a, &r, first, error);
}
