/* bench_flows.c: flows to measure with. */
#include "task/bench_flows.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/rng.h"
#include "capture/flow.h"

enum { FLOWS_MOST = 1024, DRAWN = 64, RAW_IP = 101, SEGMENT = 1400 };

/* ---------------------------------------------------------------- from a capture */

typedef struct first_packets { /* of one flow, beside it in the table */
    uint32_t count;
    size_t *at; /* [packets] in the list of all */
} first_packets;

typedef struct reader {
    wlmi_bench_flows *flows;
    wlmi_packet_list all;
    wlm_status status;
    wlm_error *error;
} reader;

static void expired(void *owner, wlmi_flow *flow)
{
    reader *r = owner;
    first_packets *first = flow->user;
    wlmi_bench_flows *f = r->flows;
    for (uint32_t j = 0; first->count == f->packets && f->count < FLOWS_MOST && r->status == WLM_OK && j < f->packets; j++) {
        const wlm_packet packet = wlmi_packet_list_at(&r->all, first->at[j]);
        r->status = wlmi_packet_list_add(&f->list, &packet, r->error);
    }
    f->count += first->count == f->packets && f->count < FLOWS_MOST;
    wlmi_free(first->at);
}

static wlm_status take(reader *r, wlmi_flow_table *table, const wlm_packet *packet, wlm_error *error)
{
    wlmi_headers headers;
    wlmi_flow *flow;
    first_packets *first;
    int backward;
    wlmi_decode(packet, &headers);
    if (!headers.ip_version)
        return WLM_OK;
    WLMI_TRY(wlmi_flow_of(table, packet, &headers, &flow, &backward, error));
    first = flow->user;
    if (first->count == r->flows->packets)
        return WLM_OK;
    if (!first->at && !(first->at = wlmi_alloc_array(r->flows->packets, sizeof *first->at)))
        return WLMI_NO_MEMORY(error);
    first->at[first->count++] = r->all.count;
    return wlmi_packet_list_add(&r->all, packet, error);
}

wlm_status wlmi_bench_flows_read(wlmi_bench_flows *flows, const char *path, uint32_t packets, wlm_error *error)
{
    const wlmi_flow_options options = {.user_size = sizeof(first_packets)};
    reader r = {.flows = flows, .error = error};
    wlm_capture *capture;
    wlmi_flow_table *table;
    wlm_packet packet;
    wlm_status status;
    flows->packets = packets;
    WLMI_TRY(wlmi_address_plan_make(&flows->plan, NULL, 1, error));
    WLMI_TRY(wlm_capture_open(&capture, path, error));
    status = wlmi_flow_table_new(&table, &options, expired, &r, error);
    while (status == WLM_OK && (status = wlm_capture_next(capture, &packet, error)) == WLM_OK)
        status = take(&r, table, &packet, error);
    if (table) {
        wlmi_flow_table_flush(table);
        wlmi_flow_table_free(table);
    }
    wlm_capture_close(capture);
    wlmi_packet_list_free(&r.all);
    if (status != WLM_END || r.status != WLM_OK)
        return r.status != WLM_OK ? r.status : status;
    if (!flows->count)
        return wlmi_fail(error, WLM_ERR_FORMAT, path, WLM_NO_OFFSET, "no IP flow of %u packets to measure with", packets);
    return WLM_OK;
}

/* ---------------------------------------------------------------- drawn */

typedef struct connection {
    wlmi_rng rng;
    uint32_t seq[2];     /* client's, server's */
    uint32_t told[2];    /* what each has acknowledged of the other's */
    uint16_t port, id[2];
    int64_t now_ns;
} connection;

enum { SYN = 2, PUSH = 8, ACK = 16 };

/* A raw IPv4 packet from side 0 or 1; checksums are made right where it gets its addresses. */
static wlm_status segment(wlmi_bench_flows *f, connection *c, int side, int flags, uint32_t payload, wlm_error *error)
{
    static const uint8_t mss[4] = {2, 4, 5, 0xb4};
    uint8_t bytes[40 + sizeof mss + SEGMENT] = {0};
    const uint32_t options = flags & SYN ? sizeof mss : 0, length = 40 + options + payload;
    wlm_packet packet = {.captured = length, .wire = length, .link_type = RAW_IP, .data = bytes};
    bytes[0] = 0x45;
    wlmi_store_be16(bytes + 2, (uint16_t)length);
    wlmi_store_be16(bytes + 4, c->id[side]++);
    bytes[6] = 0x40;
    bytes[8] = side ? 57 : 64;
    bytes[9] = 6;
    wlmi_store_be32(bytes + 12, side ? 0xc6336401 : 0xc0000201);
    wlmi_store_be32(bytes + 16, side ? 0xc0000201 : 0xc6336401);
    wlmi_store_be16(bytes + 20, side ? 443 : c->port);
    wlmi_store_be16(bytes + 22, side ? c->port : 443);
    wlmi_store_be32(bytes + 24, c->seq[side]);
    if (flags & ACK)
        wlmi_store_be32(bytes + 28, c->told[side] = c->seq[!side]);
    bytes[32] = (uint8_t)((20 + options) / 4 << 4);
    bytes[33] = (uint8_t)flags;
    wlmi_store_be16(bytes + 34, side ? 65160 : 502);
    memcpy(bytes + 40, mss, options);
    for (uint32_t i = 0; i < payload; i++)
        bytes[40 + options + i] = (uint8_t)wlmi_rng_next(&c->rng);
    c->seq[side] += payload + ((flags & SYN) != 0);
    c->now_ns += (int64_t)(1000 + wlmi_rng_below(&c->rng, 20000000));
    packet.time_ns = c->now_ns;
    return wlmi_packet_list_add(&f->list, &packet, error);
}

static wlm_status draw_connection(wlmi_bench_flows *f, uint64_t seed, wlm_error *error)
{
    const size_t end = f->list.count + f->packets;
    connection c = {.now_ns = 0};
    wlmi_rng_seed(&c.rng, seed);
    for (int side = 0; side < 2; side++) {
        c.seq[side] = (uint32_t)wlmi_rng_next(&c.rng);
        c.id[side] = (uint16_t)wlmi_rng_next(&c.rng);
    }
    c.port = (uint16_t)(32768 + wlmi_rng_below(&c.rng, 16384));
    WLMI_TRY(segment(f, &c, 0, SYN, 0, error));
    WLMI_TRY(segment(f, &c, 1, SYN | ACK, 0, error));
    WLMI_TRY(segment(f, &c, 0, ACK, 0, error));
    while (f->list.count < end) {
        const uint64_t answers = 1 + wlmi_rng_below(&c.rng, 3);
        WLMI_TRY(segment(f, &c, 0, PUSH | ACK, (uint32_t)(64 + wlmi_rng_below(&c.rng, 600)), error));
        WLMI_TRY(segment(f, &c, 1, ACK, 0, error));
        for (uint64_t i = 0; i < answers; i++) {
            WLMI_TRY(segment(f, &c, 1, PUSH | ACK, (uint32_t)(64 + wlmi_rng_below(&c.rng, SEGMENT - 64)), error));
            WLMI_TRY(segment(f, &c, 0, ACK, 0, error));
        }
    }
    wlmi_packet_list_cut(&f->list, end);
    return WLM_OK;
}

wlm_status wlmi_bench_flows_draw(wlmi_bench_flows *flows, uint64_t seed, uint32_t packets, wlm_error *error)
{
    flows->packets = packets;
    WLMI_TRY(wlmi_address_plan_make(&flows->plan, NULL, seed, error));
    for (; flows->count < DRAWN; flows->count++)
        WLMI_TRY(draw_connection(flows, wlmi_mix2(seed, flows->count), error));
    return WLM_OK;
}

/* ---------------------------------------------------------------- copies */

wlm_status wlmi_bench_flows_packet(wlmi_bench_flows *f, uint64_t i, uint32_t j, wlm_packet *packet, wlm_error *error)
{
    const size_t first = (size_t)(i % f->count) * f->packets;
    const wlm_packet opener = wlmi_packet_list_at(&f->list, first), in = wlmi_packet_list_at(&f->list, first + j);
    const size_t longest = opener.captured > in.captured ? opener.captured : in.captured;
    wlmi_mended mended = {0, 0};
    wlmi_place place;
    if (!wlmi_grow(&f->frame, &f->frame_capacity, longest + WLMI_ETHERNET_HEADER, 1))
        return WLMI_NO_MEMORY(error);
    wlmi_place_make(&place, &f->plan, i, 443);
    wlmi_place_packet(&place, &opener, f->frame, packet, &mended); /* settles who the client is */
    wlmi_place_packet(&place, &in, f->frame, packet, &mended);
    return WLM_OK;
}

void wlmi_bench_flows_free(wlmi_bench_flows *f)
{
    wlmi_packet_list_free(&f->list);
    wlmi_free(f->frame);
    memset(f, 0, sizeof *f);
}
