/* fields_predict.c: what the next packet of a flow is expected to be, from the flow's state and the packet's head
 * (shape, direction, flags, time) alone. */
#include <string.h>

#include "base/cursor.h"
#include "capture/decode.h"
#include "capture/hide.h"
#include "token/fields.h"

static const int64_t second = INT64_C(1000000000);

static int is_6(int shape)
{
    return shape % WLMI_FIELDS_NETS >= WLMI_FN_6;
}

/* The ends of a flow whose first packet is to come: those of hidden flows. */
static void default_ends(int shape, uint8_t address[2][16], uint16_t port[2])
{
    static const uint8_t server[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    static const uint8_t client[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    memset(address, 0, 32);
    if (is_6(shape)) {
        memcpy(address[0], client, 16);
        memcpy(address[1], server, 16);
    } else {
        wlmi_store_be32(address[0], WLMI_HIDDEN_CLIENT4);
        wlmi_store_be32(address[1], WLMI_HIDDEN_SERVER4);
    }
    port[0] = WLMI_HIDDEN_CLIENT_PORT;
    port[1] = WLMI_HIDDEN_SERVER_PORT;
}

static int is_between(const wlmi_values *h, uint8_t address[2][16], const uint16_t port[2], int direction)
{
    return !memcmp(h->address[0], address[direction], 16) && !memcmp(h->address[1], address[!direction], 16) &&
           (!(wlmi_shape_layers(h->shape) & WLMI_LAYER_PORTS) ||
            (h->v[WLMI_F_SPORT] == port[direction] && h->v[WLMI_F_DPORT] == port[!direction]));
}

int wlmi_fields_direction(const wlmi_flow_state *s, const wlmi_values *h)
{
    uint32_t layers = wlmi_shape_layers(h->shape);
    uint8_t address[2][16];
    uint16_t port[2];
    if (s->ends_known) {
        memcpy(address, s->address, sizeof address);
        memcpy(port, s->port, sizeof port);
    } else {
        default_ends(h->shape, address, port);
    }
    if (is_between(h, address, port, 0))
        return 0;
    if (is_between(h, address, port, 1))
        return 1;
    if (s->ends_known)
        return memcmp(h->address[0], address[1], 16) == 0 && memcmp(h->address[0], address[0], 16) != 0;
    if (layers & WLMI_LAYER_TCP && h->flags & WLMI_TCP_SYN)
        return (h->flags & WLMI_TCP_ACK) != 0;
    if (layers & WLMI_LAYER_ICMP)
        return h->v[WLMI_F_ICMPTYPE] == 0 || h->v[WLMI_F_ICMPTYPE] == 129 << 8;
    if (layers & WLMI_LAYER_PORTS) /* a service's port tells the server */
        return h->v[WLMI_F_SPORT] < 1024 && h->v[WLMI_F_DPORT] >= 1024;
    return 0;
}

/* ---- link and network */

static void default_link(int shape, uint8_t *out)
{
    switch (shape / WLMI_FIELDS_NETS) {
    case WLMI_FL_VLANS: out[12] = out[16] = 0x81; break;
    case WLMI_FL_PPPOE: out[12] = 0x11; break;
    case WLMI_FL_NULL: out[0] = is_6(shape) ? 30 : 2; break;
    case WLMI_FL_LOOP: out[3] = is_6(shape) ? 24 : 2; break;
    case WLMI_FL_SLL:
        out[3] = 1;
        out[5] = 6;
        break;
    case WLMI_FL_SLL2:
        out[7] = 1;
        out[9] = 6;
        break;
    }
}

/* The other direction's header, turned round. */
static void turn_link(int link, uint8_t *header)
{
    uint8_t end[6];
    switch (link) {
    case WLMI_FL_ETHERNET:
    case WLMI_FL_VLAN:
    case WLMI_FL_VLANS:
    case WLMI_FL_PPPOE:
        memcpy(end, header, 6);
        memcpy(header, header + 6, 6);
        memcpy(header + 6, end, 6);
        break;
    case WLMI_FL_SLL: header[1] = header[1] == 4 ? 0 : 4; break; /* packet type: to us, from us */
    case WLMI_FL_SLL2: header[8] = header[8] == 4 ? 0 : 4; break;
    }
}

/* Of a header of another kind only the addresses serve, and of Ethernet alone. */
static void predict_link(const wlmi_flow_side *d, const wlmi_flow_side *e, wlmi_values *p)
{
    int link = p->shape / WLMI_FIELDS_NETS;
    const wlmi_flow_side *like = d->seen ? d : e;
    default_link(p->shape, p->link);
    if (like->seen && like->link_kind == link)
        memcpy(p->link, like->link, (size_t)wlmi_shape_link_bytes(p->shape));
    else if (like->seen && link <= WLMI_FL_PPPOE && like->link_kind <= WLMI_FL_PPPOE)
        memcpy(p->link, like->link, 12);
    if (!d->seen && e->seen)
        turn_link(link, p->link);
    p->v[WLMI_F_VLAN] = d->seen ? d->vlan : e->vlan;
}

static uint16_t predict_id(const wlmi_flow_side *d)
{
    if (d->seen < 2) /* counting is the usual; a machine that sends 0 goes on so */
        return (uint16_t)(d->id ? d->id + d->seen : 0);
    int steady = d->id_step <= 1 || d->id_step == 256 || d->id_step == (uint16_t)(d->id - d->id_step - d->id_before);
    return (uint16_t)(d->id + (steady ? d->id_step : 1));
}

static void predict_network(const wlmi_flow_state *s, const wlmi_flow_side *d, const wlmi_flow_side *e,
                            wlmi_values *p)
{
    int tcp = p->shape % WLMI_FN_6 == WLMI_FN_TCP;
    const wlmi_flow_side *like = d->seen ? d : e;
    uint8_t address[2][16];
    uint16_t port[2];
    if (s->ends_known) {
        memcpy(address, s->address, sizeof address);
        memcpy(port, s->port, sizeof port);
    } else {
        default_ends(p->shape, address, port);
    }
    memset(p->address, 0, sizeof p->address);
    memcpy(p->address[0], address[p->direction], is_6(p->shape) ? 16 : 4);
    memcpy(p->address[1], address[!p->direction], is_6(p->shape) ? 16 : 4);
    p->v[WLMI_F_SPORT] = port[p->direction];
    p->v[WLMI_F_DPORT] = port[!p->direction];
    p->v[WLMI_F_TOS] = like->tos;
    p->v[WLMI_F_LABEL] = d->label;
    p->v[WLMI_F_ID] = predict_id(d);
    p->v[WLMI_F_FRAG] = like->seen ? like->fragment & 0x4000u : tcp ? 0x4000u : 0;
    p->v[WLMI_F_TTL] = like->seen ? like->ttl : 64;
    p->v[WLMI_F_PROTO] = like->protocol;
    if (d->seen) {
        p->v[WLMI_F_IPOPT] = d->ip_options_words;
        memcpy(p->ip_options, d->ip_options, sizeof p->ip_options);
    }
    p->v[WLMI_F_IPSUM] = like->ipsum;
    p->v[WLMI_F_SUM] = d->sum;
    p->v[WLMI_F_PAD] = d->pad;
    p->v[WLMI_F_CUT] = like->cut;
}

/* ---- TCP */

static void predict_layout(const wlmi_flow_side *d, const wlmi_flow_side *e, wlmi_values *p)
{
    enum { NONE = 0, TIMESTAMPS = 1, SYN_USUAL = 2 }; /* known layouts */
    if (p->flags & WLMI_TCP_SYN) {
        if (d->syn_seen)
            p->layout = d->syn_layout;
        else if (e->syn_seen)
            p->layout = e->syn_layout;
        else
            wlmi_layout_known(p->flags & WLMI_TCP_ACK ? NONE : SYN_USUAL, &p->layout);
    } else if (d->data_seen) {
        p->layout = d->layout;
    } else if (p->flags & WLMI_TCP_RST) {
        wlmi_layout_known(NONE, &p->layout);
    } else if (d->syn_seen && e->syn_seen) {
        int both = wlmi_layout_has(&d->syn_layout, WLMI_F_TSVAL) && wlmi_layout_has(&e->syn_layout, WLMI_F_TSVAL);
        wlmi_layout_known(both ? TIMESTAMPS : NONE, &p->layout);
    } else {
        p->layout = e->layout;
    }
    if (p->layout.raw) /* what is not typed is told each time */
        wlmi_layout_known(NONE, &p->layout);
}

static uint32_t predict_tsval(const wlmi_flow_side *d, int64_t now)
{
    uint64_t passed = now > d->ts_ns ? (uint64_t)now - (uint64_t)d->ts_ns : 0;
    if (!d->ts_known || passed > (uint64_t)second * 1000000)
        return d->tsval;
    return d->tsval + (uint32_t)(passed / 1000 * d->hz / 1000000);
}

static uint32_t predict_window(const wlmi_flow_side *d, const wlmi_flow_side *e, const wlmi_values *p)
{
    if (p->flags & WLMI_TCP_SYN)
        return d->syn_seen ? d->syn_window : e->syn_seen ? e->syn_window : 64240;
    if (p->flags & WLMI_TCP_RST && !(p->flags & WLMI_TCP_ACK))
        return 0;
    if (d->data_seen)
        return d->window;
    if (d->syn_seen) {
        uint32_t scale = d->scale_known && e->scale_known ? d->scale : 0;
        return (d->syn_window + (1u << scale) - 1) >> scale;
    }
    return p->flags & WLMI_TCP_RST ? 0 : e->data_seen ? e->window : 501;
}

static void predict_tcp(const wlmi_flow_side *d, const wlmi_flow_side *e, wlmi_values *p)
{
    if (d->seq_known)
        p->v[WLMI_F_SEQ] = d->next_seq;
    else if (e->seq_known)
        p->v[WLMI_F_SEQ] = e->ack;
    if (p->flags & WLMI_TCP_ACK)
        p->v[WLMI_F_ACK] = e->seq_known ? e->next_seq : d->ack;
    p->v[WLMI_F_WINDOW] = predict_window(d, e, p);
    predict_layout(d, e, p);
    p->v[WLMI_F_MSS] = d->syn_seen ? d->mss : e->syn_seen && e->mss ? e->mss : 1460;
    p->v[WLMI_F_SCALE] = d->scale_known ? d->scale : e->scale_known ? e->scale : 7;
    p->v[WLMI_F_TSVAL] = predict_tsval(d, p->time_ns);
    p->v[WLMI_F_TSECR] = e->tsval;
    for (int edge = 0; edge < 8; edge++)
        p->v[WLMI_F_SACK0 + edge] = e->next_seq;
}

static void predict_icmp(const wlmi_flow_side *d, const wlmi_flow_side *e, wlmi_values *p)
{
    int echo = e->seen && (e->icmp_type == 8 << 8 || e->icmp_type == 128 << 8);
    if (echo && !d->seen)
        p->v[WLMI_F_ICMPTYPE] = e->icmp_type == 8 << 8 ? 0 : 129 << 8;
    else
        p->v[WLMI_F_ICMPTYPE] = d->seen ? d->icmp_type : is_6(p->shape) ? 128 << 8 : 8 << 8;
    p->v[WLMI_F_ICMPHIGH] = d->seen ? d->icmp_high : e->icmp_high;
    p->v[WLMI_F_ICMPLOW] = echo ? e->icmp_low : d->seen && (d->icmp_type == 8 << 8 || d->icmp_type == 128 << 8)
                                                    ? (d->icmp_low + 1u) & 0xffff : d->icmp_low;
}

void wlmi_fields_predict(const wlmi_flow_state *s, wlmi_values *p)
{
    const wlmi_flow_side *d = &s->side[p->direction], *e = &s->side[!p->direction];
    uint32_t layers = wlmi_shape_layers(p->shape);
    memset(p->v, 0, sizeof p->v);
    memset(p->link, 0, sizeof p->link);
    memset(p->ip_options, 0, sizeof p->ip_options);
    memset(&p->layout, 0, sizeof p->layout);
    p->payload = d->length;
    predict_link(d, e, p);
    predict_network(s, d, e, p);
    if (layers & WLMI_LAYER_TCP)
        predict_tcp(d, e, p);
    else if (layers & WLMI_LAYER_ICMP)
        predict_icmp(d, e, p);
}
