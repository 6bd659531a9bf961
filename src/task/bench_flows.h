/* bench_flows.h: as many flows as a measurement wants: those of captures, or drawn ones, again and again with other
 * addresses. */
#ifndef WLMI_BENCH_FLOWS_H
#define WLMI_BENCH_FLOWS_H

#include "capture/address.h"
#include "capture/packet_list.h"

typedef struct wlmi_bench_flows { /* zero-initialise */
    uint32_t packets;         /* of each flow */
    wlmi_packet_list list;    /* flow i of `count`: [i * packets, (i + 1) * packets) */
    size_t count;
    wlmi_address_plan plan;
    uint8_t *frame;           /* the packet given last */
    size_t frame_capacity;
} wlmi_bench_flows;

/* The first packets of a capture's IP flows that have so many; WLM_ERR_FORMAT where none has. */
wlm_status wlmi_bench_flows_read(wlmi_bench_flows *flows, const char *path, uint32_t packets, wlm_error *error);
/* TCP connections drawn from the seed: a handshake; then requests, and answers of several segments, each acknowledged.
 * Payload is random, as of encryption. */
wlm_status wlmi_bench_flows_draw(wlmi_bench_flows *flows, uint64_t seed, uint32_t packets, wlm_error *error);
/* Packet j of flow i, any i: flow i % count between endpoints of its own. Its bytes stay until the next call. */
wlm_status wlmi_bench_flows_packet(wlmi_bench_flows *flows, uint64_t i, uint32_t j, wlm_packet *packet,
                                   wlm_error *error);
void wlmi_bench_flows_free(wlmi_bench_flows *flows);

#endif
