/* report_validity.c: checks flows packet by packet and counts what is wrong. */
#include "task/report_validity.h"

#include <math.h>
#include <string.h>

#include "base/cursor.h"

const char *wlmi_fault_name(wlmi_fault fault)
{
    static const char *const names[WLMI_FAULTS] = {
        "ip_checksum",   "transport_checksum", "ip_length",   "udp_length",     "header",
        "time",          "tcp_handshake",      "tcp_gap",     "tcp_overlap",    "tcp_ack_unseen",
        "tcp_ack_back",  "tcp_no_ack",         "tcp_after_close", "tcp_sequence", "any"};
    return names[fault];
}

typedef struct finding { /* bits by fault */
    uint32_t checked, wrong;
} finding;

static void judge(finding *f, wlmi_fault fault, int wrong)
{
    f->checked |= 1u << fault;
    f->wrong |= wrong ? 1u << fault : 0;
}

/* An IPv4 length of 0 is how offloading leaves it, and an IPv6 one how jumbograms have it. */
static void check_lengths(finding *f, const wlm_packet *packet, const wlmi_headers *h)
{
    const uint8_t *ip = packet->data + h->network;
    uint32_t stated = h->ip_version == 4 ? wlmi_load_be16(ip + 2) : wlmi_load_be16(ip + 4);
    uint32_t header = h->ip_version == 4 ? (uint32_t)(ip[0] & 15) * 4 : 0;
    uint32_t room = packet->wire > h->network ? packet->wire - h->network : 0;
    judge(f, WLMI_FAULT_IP_LENGTH, stated && (stated < header || stated + (h->ip_version == 4 ? 0 : 40) > room));
    judge(f, WLMI_FAULT_HEADER, h->reason == WLMI_MALFORMED);
    if (h->proto == WLMI_PROTO_UDP && h->transport != WLMI_ABSENT && h->transport_len >= 8 && !h->fragment)
        judge(f, WLMI_FAULT_UDP_LENGTH,
              wlmi_load_be16(packet->data + h->transport + 4) != h->network_wire_end - h->transport);
}

static void check_checksums(finding *f, const wlm_packet *packet, const wlmi_headers *h)
{
    wlmi_checksum network = wlmi_check_network(packet->data, h), transport = wlmi_check_transport(packet->data, h);
    if (network == WLMI_SUM_RIGHT || network == WLMI_SUM_WRONG)
        judge(f, WLMI_FAULT_IP_CHECKSUM, network == WLMI_SUM_WRONG);
    if (transport == WLMI_SUM_RIGHT || transport == WLMI_SUM_WRONG || transport == WLMI_SUM_ZERO)
        judge(f, WLMI_FAULT_TRANSPORT_CHECKSUM, transport == WLMI_SUM_WRONG);
}

static void check_tcp(finding *f, unsigned wrong)
{
    for (int i = WLMI_FAULT_TCP_HANDSHAKE; i <= WLMI_FAULT_TCP_AFTER_CLOSE; i++)
        judge(f, (wlmi_fault)i, (wrong >> (i - WLMI_FAULT_TCP_HANDSHAKE) & 1) != 0);
    judge(f, WLMI_FAULT_TCP_SEQUENCE, (wrong & WLMI_TCP_SEQUENCE) != 0);
}

static void check_flow(wlmi_validity *v, const wlmi_flow_set *set, const wlmi_report_flow *flow)
{
    wlmi_tcp_flow tcp = {0};
    finding all = {0, 0};
    int64_t before_ns = INT64_MIN;
    for (size_t p = flow->first; p < flow->first + flow->count; p++) {
        wlm_packet packet = wlmi_flow_set_packet(set, p);
        wlmi_headers headers;
        finding f = {0, 0};
        wlmi_decode(&packet, &headers);
        check_lengths(&f, &packet, &headers);
        check_checksums(&f, &packet, &headers);
        judge(&f, WLMI_FAULT_TIME, packet.time_ns < before_ns);
        before_ns = packet.time_ns;
        if (headers.proto == WLMI_PROTO_TCP)
            check_tcp(&f, wlmi_tcp_follow(&tcp, wlmi_report_backward(flow, &packet, &headers), &packet, &headers));
        judge(&f, WLMI_FAULT_ANY, f.wrong != 0);
        for (int i = 0; i < WLMI_FAULTS; i++) {
            v->checked[i] += f.checked >> i & 1;
            v->wrong[i] += f.wrong >> i & 1;
            if (f.wrong >> i & 1 && !v->first[i])
                v->first[i] = packet.number;
        }
        all.checked |= f.checked;
        all.wrong |= f.wrong;
        v->cut += packet.captured < packet.wire;
    }
    for (int i = 0; i < WLMI_FAULTS; i++) {
        v->checked_flows[i] += all.checked >> i & 1;
        v->wrong_flows[i] += all.wrong >> i & 1;
    }
    v->packets += flow->count;
    v->flows++;
    if (tcp.opening != WLMI_TCP_NOTHING)
        v->opening[tcp.opening - WLMI_TCP_MIDSTREAM]++;
}

void wlmi_validity_check(wlmi_validity *validity, const wlmi_flow_view *view)
{
    memset(validity, 0, sizeof *validity);
    for (size_t i = 0; i < view->flows; i++)
        check_flow(validity, view->set, &view->set->flow[view->flow[i]]);
}

/* ---------------------------------------------------------------- JSON */

static json_t *share(uint64_t part, uint64_t of)
{
    return of ? json_real((double)part / (double)of) : json_null();
}

static json_t *fault_json(const wlmi_validity *v, int i)
{
    return json_pack("{s:I, s:I, s:o, s:I, s:I, s:o, s:o}", "packets", (json_int_t)v->wrong[i], "packets_checked",
                     (json_int_t)v->checked[i], "share", share(v->wrong[i], v->checked[i]), "flows",
                     (json_int_t)v->wrong_flows[i], "flows_checked", (json_int_t)v->checked_flows[i], "flow_share",
                     share(v->wrong_flows[i], v->checked_flows[i]), "first_packet",
                     v->first[i] ? json_integer((json_int_t)v->first[i]) : json_null());
}

static json_t *opening_json(const wlmi_validity *v)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "complete", (json_int_t)v->opening[3], "answered",
                     (json_int_t)v->opening[2], "unanswered", (json_int_t)v->opening[1], "midstream",
                     (json_int_t)v->opening[0]);
}

json_t *wlmi_validity_json(const wlmi_validity *real, const wlmi_validity *fake)
{
    json_t *faults = json_object();
    for (int i = 0; i < WLMI_FAULTS; i++)
        if (real->checked[i] || fake->checked[i])
            json_object_set_new(faults, wlmi_fault_name((wlmi_fault)i),
                                json_pack("{s:o, s:o}", "real", fault_json(real, i), "fake", fault_json(fake, i)));
    return json_pack("{s:{s:I, s:I}, s:{s:I, s:I}, s:{s:o, s:o}, s:o}", "packets", "real", (json_int_t)real->packets,
                     "fake", (json_int_t)fake->packets, "packets_cut", "real", (json_int_t)real->cut, "fake",
                     (json_int_t)fake->cut, "tcp_openings", "real", opening_json(real), "fake", opening_json(fake),
                     "faults", faults);
}
