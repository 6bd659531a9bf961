/* report_columns.c: header fields of packets and features of flows as numbers. */
#include "task/report_columns.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"

const wlmi_column wlmi_field_column[WLMI_FIELDS] = {
    [WLMI_FIELD_SPORT] = {"sport", WLMI_BINS_PORT},       [WLMI_FIELD_DPORT] = {"dport", WLMI_BINS_PORT},
    [WLMI_FIELD_SRC] = {"src", WLMI_BINS_CATEGORY},       [WLMI_FIELD_DST] = {"dst", WLMI_BINS_CATEGORY},
    [WLMI_FIELD_LENGTH] = {"length", WLMI_BINS_QUANTILE}, [WLMI_FIELD_TTL] = {"ttl", WLMI_BINS_CATEGORY},
    [WLMI_FIELD_FLAGS] = {"flags", WLMI_BINS_CATEGORY},   [WLMI_FIELD_WINDOW] = {"window", WLMI_BINS_QUANTILE},
};

const wlmi_column wlmi_feature_column[WLMI_FEATURES] = {
    [WLMI_FEATURE_PACKETS] = {"packets", WLMI_BINS_QUANTILE},
    [WLMI_FEATURE_BYTES] = {"bytes", WLMI_BINS_QUANTILE},
    [WLMI_FEATURE_DURATION] = {"duration_s", WLMI_BINS_QUANTILE},
    [WLMI_FEATURE_GAP] = {"inter_arrival_s", WLMI_BINS_QUANTILE},
    [WLMI_FEATURE_TURNS] = {"direction_changes", WLMI_BINS_QUANTILE},
    [WLMI_FEATURE_KFP] = {"kfp_forward_share", WLMI_BINS_QUANTILE},
    [WLMI_FEATURE_KFP + 1] = {"kfp_order_mean", WLMI_BINS_QUANTILE},
    [WLMI_FEATURE_KFP + 2] = {"kfp_order_deviation", WLMI_BINS_QUANTILE},
    [WLMI_FEATURE_KFP + 3] = {"kfp_concentration_deviation", WLMI_BINS_QUANTILE},
    [WLMI_FEATURE_KFP + 4] = {"kfp_first_30_forward", WLMI_BINS_QUANTILE},
    [WLMI_FEATURE_KFP + 5] = {"kfp_packets_per_s", WLMI_BINS_QUANTILE},
};

enum { CONCENTRATION_CHUNK = 20, FIRST_PACKETS = 30 }; /* as k-fingerprinting has them */

uint32_t wlmi_ip_length(const wlmi_headers *headers)
{
    return headers->network == WLMI_ABSENT ? 0 : headers->network_wire_end - headers->network;
}

static wlm_status number_address(wlmi_strings *addresses, const uint8_t *bytes, uint32_t size, double *value,
                                 wlm_error *error)
{
    char text[64];
    uint32_t number;
    wlmi_address_text(bytes, (int)size, text);
    number = wlmi_strings_add(addresses, text);
    *value = number;
    return number == WLMI_NO_STRING ? WLMI_NO_MEMORY(error) : WLM_OK;
}

/* value [WLMI_FIELDS] */
static wlm_status read_fields(const wlm_packet *packet, const wlmi_headers *h, wlmi_strings *addresses, double *value,
                              wlm_error *error)
{
    const uint8_t *transport = h->transport == WLMI_ABSENT ? NULL : packet->data + h->transport;
    int ports = h->proto == WLMI_PROTO_TCP || h->proto == WLMI_PROTO_UDP;
    for (int i = 0; i < WLMI_FIELDS; i++)
        value[i] = NAN;
    if (h->addr_len) {
        WLMI_TRY(number_address(addresses, packet->data + h->src_addr, h->addr_len, &value[WLMI_FIELD_SRC], error));
        WLMI_TRY(number_address(addresses, packet->data + h->dst_addr, h->addr_len, &value[WLMI_FIELD_DST], error));
    }
    value[WLMI_FIELD_LENGTH] = wlmi_ip_length(h);
    value[WLMI_FIELD_TTL] = packet->data[h->network + (h->ip_version == 4 ? 8 : 7)];
    if (transport && ports) {
        value[WLMI_FIELD_SPORT] = h->src_port;
        value[WLMI_FIELD_DPORT] = h->dst_port;
    }
    if (transport && h->proto == WLMI_PROTO_TCP && h->transport_len >= 16) {
        value[WLMI_FIELD_FLAGS] = transport[13];
        value[WLMI_FIELD_WINDOW] = wlmi_load_be16(transport + 14);
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- flows */

typedef struct tally { /* over the packets of a flow */
    size_t packets, forward, first_forward, turns;
    double bytes, order, order_squares, chunk_sum, chunk_squares;
    size_t chunks, chunk_forward;
    int64_t first_ns, last_ns;
    int backward;
} tally;

static void end_chunk(tally *t)
{
    t->chunks++;
    t->chunk_sum += (double)t->chunk_forward;
    t->chunk_squares += (double)t->chunk_forward * (double)t->chunk_forward;
    t->chunk_forward = 0;
}

static void count_packet(tally *t, const wlm_packet *packet, const wlmi_headers *headers, int backward)
{
    if (!t->packets)
        t->first_ns = t->last_ns = packet->time_ns;
    t->last_ns = packet->time_ns > t->last_ns ? packet->time_ns : t->last_ns;
    t->turns += t->packets && backward != t->backward;
    t->backward = backward;
    t->bytes += wlmi_ip_length(headers);
    if (!backward) {
        t->forward++;
        t->first_forward += t->packets < FIRST_PACKETS;
        t->order += (double)t->packets;
        t->order_squares += (double)t->packets * (double)t->packets;
        t->chunk_forward++;
    }
    t->packets++;
    if (t->packets % CONCENTRATION_CHUNK == 0)
        end_chunk(t);
}

static double deviation(double sum, double squares, size_t n)
{
    double mean = n ? sum / (double)n : 0, variance = n ? squares / (double)n - mean * mean : 0;
    return variance > 0 ? sqrt(variance) : 0;
}

static void write_features(tally *t, size_t flow, wlmi_columns *c)
{
    double seconds = (double)(t->last_ns - t->first_ns) / 1e9, packets = (double)t->packets;
    double **kfp = c->feature + WLMI_FEATURE_KFP;
    if (t->packets % CONCENTRATION_CHUNK)
        end_chunk(t);
    c->feature[WLMI_FEATURE_PACKETS][flow] = packets;
    c->feature[WLMI_FEATURE_BYTES][flow] = t->bytes;
    c->feature[WLMI_FEATURE_DURATION][flow] = seconds;
    c->feature[WLMI_FEATURE_GAP][flow] = t->packets > 1 ? seconds / (packets - 1) : NAN;
    c->feature[WLMI_FEATURE_TURNS][flow] = (double)t->turns;
    kfp[0][flow] = (double)t->forward / packets;
    kfp[1][flow] = t->forward ? t->order / (double)t->forward : NAN;
    kfp[2][flow] = t->forward ? deviation(t->order, t->order_squares, t->forward) : NAN;
    kfp[3][flow] = deviation(t->chunk_sum, t->chunk_squares, t->chunks);
    kfp[4][flow] = (double)t->first_forward;
    kfp[5][flow] = seconds > 0 ? packets / seconds : NAN;
}

static wlm_status read_flow(wlmi_columns *c, const wlmi_flow_set *set, size_t i, wlmi_strings *addresses,
                            wlm_error *error)
{
    const wlmi_report_flow *flow = &set->flow[i];
    tally t = {0};
    for (size_t p = flow->first; p < flow->first + flow->count; p++) {
        wlm_packet packet = wlmi_flow_set_packet(set, p);
        wlmi_headers headers;
        double value[WLMI_FIELDS];
        wlmi_decode(&packet, &headers);
        WLMI_TRY(read_fields(&packet, &headers, addresses, value, error));
        for (int f = 0; f < WLMI_FIELDS; f++)
            c->field[f][p] = value[f];
        count_packet(&t, &packet, &headers, wlmi_report_backward(flow, &packet, &headers));
    }
    write_features(&t, i, c);
    return WLM_OK;
}

wlm_status wlmi_columns_read(wlmi_columns *columns, const wlmi_flow_set *set, wlmi_strings *addresses,
                             wlm_error *error)
{
    for (int f = 0; f < WLMI_FIELDS; f++)
        if (!(columns->field[f] = wlmi_alloc_array(set->list.count, sizeof **columns->field)))
            return WLMI_NO_MEMORY(error);
    for (int f = 0; f < WLMI_FEATURES; f++)
        if (!(columns->feature[f] = wlmi_alloc_array(set->flows, sizeof **columns->feature)))
            return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < set->flows; i++)
        WLMI_TRY(read_flow(columns, set, i, addresses, error));
    return WLM_OK;
}

void wlmi_columns_free(wlmi_columns *columns)
{
    for (int f = 0; f < WLMI_FIELDS; f++)
        wlmi_free(columns->field[f]);
    for (int f = 0; f < WLMI_FEATURES; f++)
        wlmi_free(columns->feature[f]);
}
