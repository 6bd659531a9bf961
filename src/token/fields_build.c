/* fields_build.c: field values to a packet: headers, lengths, checksums; and the rules that stand for lengths and
 * checksums, which encoder and decoder apply through the same functions. */
#include <string.h>

#include "base/cursor.h"
#include "capture/decode.h"
#include "token/fields.h"

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static int has(const wlmi_values *h, uint32_t layers)
{
    return (wlmi_shape_layers(h->shape) & layers) != 0;
}

/* size: of the IP packet. */
static void build_link(const wlmi_values *h, uint32_t size, uint8_t *out)
{
    uint32_t type = has(h, WLMI_LAYER_IP4) ? 0x0800 : 0x86dd;
    switch (h->shape / WLMI_FIELDS_NETS) {
    case WLMI_FL_ETHERNET:
        memcpy(out, h->link, 12);
        wlmi_store_be16(out + 12, (uint16_t)type);
        break;
    case WLMI_FL_VLAN:
        memcpy(out, h->link, 12);
        wlmi_store_be16(out + 12, 0x8100);
        wlmi_store_be16(out + 14, (uint16_t)h->v[WLMI_F_VLAN]);
        wlmi_store_be16(out + 16, (uint16_t)type);
        break;
    case WLMI_FL_VLANS:
        memcpy(out, h->link, 20);
        wlmi_store_be16(out + 20, (uint16_t)type);
        break;
    case WLMI_FL_PPPOE:
        memcpy(out, h->link, 12);
        wlmi_store_be16(out + 12, 0x8864);
        memcpy(out + 14, h->link + 12, 4);
        wlmi_store_be16(out + 18, (uint16_t)(size + 2));
        wlmi_store_be16(out + 20, type == 0x0800 ? 0x0021 : 0x0057);
        break;
    case WLMI_FL_SLL:
        memcpy(out, h->link, 14);
        wlmi_store_be16(out + 14, (uint16_t)type);
        break;
    case WLMI_FL_SLL2:
        wlmi_store_be16(out, (uint16_t)type);
        memcpy(out + 2, h->link, 18);
        break;
    case WLMI_FL_NULL:
    case WLMI_FL_LOOP: memcpy(out, h->link, 4); break;
    }
}

static uint32_t build_options(const wlmi_values *h, uint8_t *out)
{
    const wlmi_tcp_layout *layout = &h->layout;
    uint8_t *o = out;
    if (layout->raw) {
        memcpy(out, layout->item, layout->size);
        return layout->size;
    }
    for (int i = 0; i < layout->count; i++) {
        static const uint8_t kinds[WLMI_OPTIONS] = {0, 1, 4, 3, 2, 8, 5, 5, 5, 5};
        int option = layout->item[i];
        o[0] = kinds[option];
        if (option > WLMI_OPTION_NOP)
            o[1] = wlmi_option_length[option];
        if (option == WLMI_OPTION_MSS) {
            wlmi_store_be16(o + 2, (uint16_t)h->v[WLMI_F_MSS]);
        } else if (option == WLMI_OPTION_SCALE) {
            o[2] = (uint8_t)h->v[WLMI_F_SCALE];
        } else if (option == WLMI_OPTION_TS) {
            wlmi_store_be32(o + 2, h->v[WLMI_F_TSVAL]);
            wlmi_store_be32(o + 6, h->v[WLMI_F_TSECR]);
        } else if (option >= WLMI_OPTION_SACK) {
            for (int edge = 0; edge < 2 * (option - WLMI_OPTION_SACK + 1); edge++)
                wlmi_store_be32(o + 2 + 4 * edge, h->v[WLMI_F_SACK0 + edge]);
        }
        o += wlmi_option_length[option];
    }
    return (uint32_t)(o - out);
}

/* The length of transport header and payload goes in where IP has no other place for it. */
static uint32_t build_transport(const wlmi_values *h, uint8_t *out, uint32_t payload)
{
    uint32_t length;
    switch (h->shape % WLMI_FN_6) {
    case WLMI_FN_TCP:
        length = 20 + build_options(h, out + 20);
        wlmi_store_be16(out, (uint16_t)h->v[WLMI_F_SPORT]);
        wlmi_store_be16(out + 2, (uint16_t)h->v[WLMI_F_DPORT]);
        wlmi_store_be32(out + 4, h->v[WLMI_F_SEQ]);
        wlmi_store_be32(out + 8, h->v[WLMI_F_ACK]);
        wlmi_store_be16(out + 12, (uint16_t)(length / 4 << 12 | h->flags));
        wlmi_store_be16(out + 14, (uint16_t)h->v[WLMI_F_WINDOW]);
        wlmi_store_be16(out + 16, 0);
        wlmi_store_be16(out + 18, (uint16_t)h->v[WLMI_F_URGENT]);
        return length;
    case WLMI_FN_UDP:
        wlmi_store_be16(out, (uint16_t)h->v[WLMI_F_SPORT]);
        wlmi_store_be16(out + 2, (uint16_t)h->v[WLMI_F_DPORT]);
        wlmi_store_be16(out + 4, (uint16_t)(8 + payload + h->v[WLMI_F_UDPLEN]));
        wlmi_store_be16(out + 6, 0);
        return 8;
    case WLMI_FN_ICMP:
        wlmi_store_be16(out, (uint16_t)h->v[WLMI_F_ICMPTYPE]);
        wlmi_store_be16(out + 2, 0);
        wlmi_store_be16(out + 4, (uint16_t)h->v[WLMI_F_ICMPHIGH]);
        wlmi_store_be16(out + 6, (uint16_t)h->v[WLMI_F_ICMPLOW]);
        return 8;
    }
    return 0;
}

void wlmi_fields_build(wlmi_values *h, uint8_t out[WLMI_HEADERS_MAX])
{
    static const uint8_t protocols[3] = {WLMI_PROTO_TCP, WLMI_PROTO_UDP, WLMI_PROTO_ICMP};
    int net = h->shape % WLMI_FN_6, is4 = has(h, WLMI_LAYER_IP4);
    uint32_t options = is4 ? 4 * h->v[WLMI_F_IPOPT] : 0;
    uint8_t protocol = net == WLMI_FN_OTHER           ? (uint8_t)h->v[WLMI_F_PROTO]
                       : net == WLMI_FN_ICMP && !is4 ? WLMI_PROTO_ICMPV6
                                                     : protocols[net];
    h->network = (uint32_t)wlmi_shape_link_size(h->shape);
    h->transport = h->network + (is4 ? 20 + options : 40);
    h->headers = h->transport + build_transport(h, out + h->transport, h->payload);
    uint8_t *ip = out + h->network;
    uint32_t length = h->headers - h->network + h->payload;
    build_link(h, length, out);
    if (is4) {
        ip[0] = (uint8_t)(0x45 + options / 4);
        ip[1] = (uint8_t)h->v[WLMI_F_TOS];
        wlmi_store_be16(ip + 2, (uint16_t)(h->v[WLMI_F_IPLEN] ? 0 : length));
        wlmi_store_be16(ip + 4, (uint16_t)h->v[WLMI_F_ID]);
        wlmi_store_be16(ip + 6, (uint16_t)h->v[WLMI_F_FRAG]);
        ip[8] = (uint8_t)h->v[WLMI_F_TTL];
        ip[9] = protocol;
        wlmi_store_be16(ip + 10, 0);
        memcpy(ip + 12, h->address[0], 4);
        memcpy(ip + 16, h->address[1], 4);
        memcpy(ip + 20, h->ip_options, options);
    } else {
        wlmi_store_be32(ip, 6u << 28 | h->v[WLMI_F_TOS] << 20 | h->v[WLMI_F_LABEL]);
        wlmi_store_be16(ip + 4, (uint16_t)(h->v[WLMI_F_IPLEN] ? 0 : length - 40));
        ip[6] = protocol;
        ip[7] = (uint8_t)h->v[WLMI_F_TTL];
        memcpy(ip + 8, h->address[0], 16);
        memcpy(ip + 24, h->address[1], 16);
    }
}

/* ---- padding and cutting */

static uint32_t padding(uint32_t rule, uint32_t size)
{
    switch (rule >> 24) {
    case WLMI_PAD_60: return size < 60 ? 60 - size : 0;
    case WLMI_PAD_FIXED: return rule & 0xffff;
    }
    return 0;
}

static uint32_t cut(uint32_t rule, uint32_t wire, uint32_t headers)
{
    switch (rule >> 24) {
    case WLMI_CUT_PAYLOAD: return least(wire, headers + (rule & 0xffffff));
    case WLMI_CUT_FRAME: return least(wire, rule & 0xffffff);
    }
    return wire;
}

void wlmi_fields_measure(wlmi_values *h)
{
    uint32_t size = h->headers + h->payload;
    h->wire = size + padding(h->v[WLMI_F_PAD], size);
    h->captured = cut(h->v[WLMI_F_CUT], h->wire, h->headers);
}

/* 0: no rule gives the packet's lengths. */
static int settle_lengths(const wlmi_values *predicted, wlmi_values *h)
{
    uint32_t size = h->headers + h->payload, pad = h->wire - size;
    if (padding(predicted->v[WLMI_F_PAD], size) == pad)
        h->v[WLMI_F_PAD] = predicted->v[WLMI_F_PAD];
    else if (pad == 0)
        h->v[WLMI_F_PAD] = WLMI_RULE(WLMI_PAD_NONE, 0);
    else if (size < 60 && size + pad == 60)
        h->v[WLMI_F_PAD] = WLMI_RULE(WLMI_PAD_60, 0);
    else if (pad <= UINT16_MAX)
        h->v[WLMI_F_PAD] = WLMI_RULE(WLMI_PAD_FIXED, pad);
    else
        return 0;
    if (cut(predicted->v[WLMI_F_CUT], h->wire, h->headers) == h->captured)
        h->v[WLMI_F_CUT] = predicted->v[WLMI_F_CUT];
    else if (h->wire == h->captured)
        h->v[WLMI_F_CUT] = WLMI_RULE(WLMI_CUT_NONE, 0);
    else if (h->captured >= 1 << 20)
        return 0;
    else if (h->captured >= h->headers && (h->captured - h->headers) % 8 == 0) /* a limit that people choose */
        h->v[WLMI_F_CUT] = WLMI_RULE(WLMI_CUT_PAYLOAD, h->captured - h->headers);
    else
        h->v[WLMI_F_CUT] = WLMI_RULE(WLMI_CUT_FRAME, h->captured);
    return 1;
}

/* ---- checksums */

typedef struct sums { /* what a checksum field would hold */
    uint32_t right, partial;
    int whole; /* all the bytes are there */
} sums;

static uint32_t sum_field(const wlmi_values *h)
{
    static const uint8_t at[3] = {16, 6, 2};
    return h->transport + at[h->shape % WLMI_FN_6];
}

static uint32_t network_sum(const wlmi_values *h, const uint8_t *data, uint32_t there)
{
    uint32_t size = least(h->transport - h->network, there > h->network ? there - h->network : 0);
    uint32_t sum = wlmi_sum(0, data + h->network, least(size, 10));
    if (size > 12)
        sum = wlmi_sum(sum, data + h->network + 12, size - 12);
    return wlmi_sum_fold(sum);
}

/* Where the packet was cut, of what is there. */
static sums transport_sums(const wlmi_values *h, const uint8_t *data, uint32_t there)
{
    uint32_t length = h->headers - h->transport + h->payload, field = sum_field(h), sum = 0;
    uint32_t end = least(h->transport + length, there);
    int is4 = has(h, WLMI_LAYER_IP4);
    sums s = {0, 0, end == h->transport + length && !(is4 && h->v[WLMI_F_FRAG] & 0x3fff)};
    if (!(is4 && h->shape % WLMI_FN_6 == WLMI_FN_ICMP)) {
        uint8_t protocol = is4 ? data[h->network + 9] : data[h->network + 6];
        sum = wlmi_sum((length >> 16) + (length & 0xffff) + protocol, h->address[0], is4 ? 4 : 16);
        sum = wlmi_sum(sum, h->address[1], is4 ? 4 : 16);
    }
    s.partial = (uint16_t)~wlmi_sum_fold(sum);
    if (end > h->transport)
        sum = wlmi_sum(sum, data + h->transport, least(end, field) - h->transport);
    if (end > field + 2)
        sum = wlmi_sum(sum, data + field + 2, end - field - 2);
    s.right = wlmi_sum_fold(sum);
    if (s.right == 0 && h->shape % WLMI_FN_6 == WLMI_FN_UDP)
        s.right = 0xffff;
    return s;
}

static uint16_t sum_value(uint32_t rule, const sums *s)
{
    switch (rule >> 24) {
    case WLMI_SUM_CLASS_PARTIAL: return (uint16_t)s->partial;
    case WLMI_SUM_CLASS_ZERO: return 0;
    case WLMI_SUM_CLASS_DIFF: return (uint16_t)(s->right + (rule & 0xffff));
    case WLMI_SUM_CLASS_CARRIED: return (uint16_t)(rule & 0xffff);
    }
    return (uint16_t)s->right;
}

/* The class of a checksum that holds `value`. */
static uint32_t sum_class(uint32_t predicted, uint32_t value, const sums *s)
{
    if (sum_value(predicted, s) == value)
        return predicted;
    if (s->whole && value == s->right)
        return WLMI_RULE(WLMI_SUM_CLASS_RIGHT, 0);
    if (value == 0)
        return WLMI_RULE(WLMI_SUM_CLASS_ZERO, 0);
    if (value == s->partial)
        return WLMI_RULE(WLMI_SUM_CLASS_PARTIAL, 0);
    if (s->whole)
        return WLMI_RULE(WLMI_SUM_CLASS_DIFF, (value - s->right) & 0xffff);
    return WLMI_RULE(WLMI_SUM_CLASS_CARRIED, value);
}

void wlmi_fields_fill_sums(const wlmi_values *h, uint8_t *data)
{
    if (has(h, WLMI_LAYER_SUMMED)) {
        sums s = transport_sums(h, data, h->captured);
        wlmi_store_be16(data + sum_field(h), sum_value(h->v[WLMI_F_SUM], &s));
    }
    if (has(h, WLMI_LAYER_IP4)) {
        sums s = {network_sum(h, data, h->transport), 0, 1};
        wlmi_store_be16(data + h->network + 10, sum_value(h->v[WLMI_F_IPSUM], &s));
    }
}

int wlmi_fields_settle(const wlm_packet *packet, const wlmi_values *predicted, wlmi_values *h)
{
    if (has(h, WLMI_LAYER_IP4)) {
        sums s = {network_sum(h, packet->data, h->transport), 0, 1};
        h->v[WLMI_F_IPSUM] = sum_class(predicted->v[WLMI_F_IPSUM], h->v[WLMI_F_IPSUM], &s);
    }
    if (has(h, WLMI_LAYER_SUMMED)) {
        sums s = transport_sums(h, packet->data, packet->captured);
        h->v[WLMI_F_SUM] = sum_class(predicted->v[WLMI_F_SUM], h->v[WLMI_F_SUM], &s);
    }
    return settle_lengths(predicted, h);
}
