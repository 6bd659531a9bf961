/* fields_update.c: the one function that changes a flow's state, by a packet that is complete. */
#include <string.h>

#include "capture/decode.h"
#include "token/fields.h"

/* The clock behind TCP timestamps: the usual rate that fits best what was seen, per direction (RFC 7323 leaves it
 * between 1 Hz and 1 kHz). */
static void update_clock(wlmi_flow_side *d, const wlmi_values *h)
{
    static const uint32_t rates[] = {1000, 250, 100, 10, 2, 1, 200, 500};
    uint32_t ticks = h->v[WLMI_F_TSVAL] - d->ts_first;
    uint64_t passed = h->time_ns > d->ts_first_ns ? (uint64_t)h->time_ns - (uint64_t)d->ts_first_ns : 0;
    if (!d->ts_known) {
        d->ts_known = 1;
        d->ts_first = h->v[WLMI_F_TSVAL];
        d->ts_first_ns = h->time_ns;
        d->hz = 1000;
    } else if (passed > 20000000 && passed < UINT64_C(1) << 50 && ticks < 1u << 24) {
        uint64_t milli = (uint64_t)ticks * 1000000 / (passed / 1000000 + 1), best = UINT64_MAX; /* mHz */
        for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
            uint64_t rate = rates[i] * UINT64_C(1000), off = rate > milli ? rate - milli : milli - rate;
            if (off * 1000 / rate < best) {
                best = off * 1000 / rate;
                d->hz = rates[i];
            }
        }
    }
    d->tsval = h->v[WLMI_F_TSVAL];
    d->ts_ns = h->time_ns;
}

static void update_tcp(wlmi_flow_side *d, const wlmi_values *h)
{
    int syn = h->flags & WLMI_TCP_SYN;
    uint32_t end = h->v[WLMI_F_SEQ] + h->payload + (syn ? 1 : 0) + (h->flags & WLMI_TCP_FIN ? 1 : 0);
    if (!d->seq_known || syn || (int32_t)(end - d->next_seq) > 0 || h->flags & WLMI_TCP_RST)
        d->next_seq = end;
    d->seq_known = 1;
    d->fin_seen |= (h->flags & WLMI_TCP_FIN) != 0;
    d->rst_seen |= (h->flags & WLMI_TCP_RST) != 0;
    if (h->flags & WLMI_TCP_ACK)
        d->ack = h->v[WLMI_F_ACK];
    if (syn) {
        d->syn_seen = 1;
        d->syn_window = (uint16_t)h->v[WLMI_F_WINDOW];
        d->syn_layout = h->layout;
        if (wlmi_layout_has(&h->layout, WLMI_F_MSS))
            d->mss = (uint16_t)h->v[WLMI_F_MSS];
        d->scale_known = (uint8_t)wlmi_layout_has(&h->layout, WLMI_F_SCALE);
        d->scale = (uint8_t)h->v[WLMI_F_SCALE];
    } else if (!(h->flags & WLMI_TCP_RST)) {
        d->data_seen = 1;
        d->window = (uint16_t)h->v[WLMI_F_WINDOW];
        d->layout = h->layout;
    }
    if (wlmi_layout_has(&h->layout, WLMI_F_TSVAL))
        update_clock(d, h);
}

static void update_fields(wlmi_flow_state *s, const wlmi_values *h, int direction)
{
    wlmi_flow_side *d = &s->side[direction];
    uint32_t layers = wlmi_shape_layers(h->shape);
    if (!s->ends_known) {
        s->ends_known = 1;
        memcpy(s->address[direction], h->address[0], 16);
        memcpy(s->address[!direction], h->address[1], 16);
        if (layers & WLMI_LAYER_PORTS) {
            s->port[direction] = (uint16_t)h->v[WLMI_F_SPORT];
            s->port[!direction] = (uint16_t)h->v[WLMI_F_DPORT];
        }
    }
    s->shape = h->shape;
    d->link_kind = (uint8_t)(h->shape / WLMI_FIELDS_NETS);
    memcpy(d->link, h->link, sizeof d->link);
    d->vlan = (uint16_t)h->v[WLMI_F_VLAN];
    d->tos = (uint8_t)h->v[WLMI_F_TOS];
    d->ttl = (uint8_t)h->v[WLMI_F_TTL];
    d->label = h->v[WLMI_F_LABEL];
    d->fragment = (uint16_t)h->v[WLMI_F_FRAG];
    d->id_before = d->id;
    d->id_step = (uint16_t)(h->v[WLMI_F_ID] - d->id);
    d->id = (uint16_t)h->v[WLMI_F_ID];
    d->ip_options_words = (uint16_t)h->v[WLMI_F_IPOPT];
    memcpy(d->ip_options, h->ip_options, sizeof d->ip_options);
    d->protocol = (uint8_t)h->v[WLMI_F_PROTO];
    d->ipsum = h->v[WLMI_F_IPSUM];
    if (h->v[WLMI_F_SUM] >> 24 != WLMI_SUM_CLASS_CARRIED) /* nothing is to be expected of one that was carried */
        d->sum = h->v[WLMI_F_SUM];
    d->pad = h->v[WLMI_F_PAD];
    d->cut = h->v[WLMI_F_CUT];
    if (h->payload)
        d->length = h->payload;
    d->total += h->payload;
    if (layers & WLMI_LAYER_TCP) {
        update_tcp(d, h);
    } else if (layers & WLMI_LAYER_ICMP) {
        d->icmp_type = (uint16_t)h->v[WLMI_F_ICMPTYPE];
        d->icmp_high = (uint16_t)h->v[WLMI_F_ICMPHIGH];
        d->icmp_low = (uint16_t)h->v[WLMI_F_ICMPLOW];
    }
    if (d->seen < UINT8_MAX)
        d->seen++;
}

/* The packet's addresses in its link layer, as far as a flow keeps them; zeros: there are none. */
static void link_ends(const wlm_packet *p, uint8_t end[2][16])
{
    wlmi_headers headers;
    wlmi_decode(p, &headers);
    uint32_t at[2] = {headers.link_src, headers.link_dst}, size = headers.link_addr_len < 16 ? headers.link_addr_len : 16;
    memset(end, 0, 32);
    for (int i = 0; i < 2; i++)
        if (at[i] != WLMI_ABSENT)
            memcpy(end[i], p->data + at[i], size);
}

int wlmi_fields_raw_direction(const wlmi_flow_state *s, const wlm_packet *p)
{
    uint8_t end[2][16];
    if (!s->raw_seen)
        return 0;
    link_ends(p, end);
    return memcmp(end[0], s->raw_end, sizeof s->raw_end) != 0;
}

static void update_raw(wlmi_flow_state *s, const wlm_packet *p, int direction)
{
    uint8_t end[2][16];
    if (s->raw_seen)
        return;
    link_ends(p, end);
    s->raw_seen = 1;
    memcpy(s->raw_end, end[direction], sizeof s->raw_end);
}

void wlmi_fields_update(wlmi_flow_state *s, const wlm_packet *p, int direction, const wlmi_values *h)
{
    if (h) {
        update_fields(s, h, direction);
    } else {
        if (!s->opened || s->shape == WLMI_SHAPE_GENERIC || wlmi_shape_link_type(s->shape) != p->link_type)
            s->shape = WLMI_SHAPE_GENERIC;
        update_raw(s, p, direction);
        s->side[direction].total += p->captured;
    }
    if (!s->opened)
        s->first_ns = p->time_ns;
    s->opened = 1;
    s->link_type = p->link_type;
    s->packets++;
}
