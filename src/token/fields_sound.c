/* fields_sound.c: what a sound pair of TCP hosts does not send, taken out of the grammar where flows are generated
 * (RFC 9293), as far as kinds, tags and lengths show it. */
#include "capture/decode.h"
#include "token/fields_coder.h"

/* In unit capture a flow is named before its kind, and one that is over would leave no kind to follow. */
static int applies(const wlmi_coder *c, int shape)
{
    return c->options.generating && !c->options.capture && shape != WLMI_SHAPE_GENERIC &&
           shape % WLMI_FN_6 == WLMI_FN_TCP;
}

/* Whether a segment with these flags may come from side d, of a flow that has begun. */
static int may_follow(const wlmi_flow_side *d, const wlmi_flow_side *e, unsigned flags)
{
    const int syn = (flags & WLMI_TCP_SYN) != 0, ack = (flags & WLMI_TCP_ACK) != 0;
    if (d->rst_seen || e->rst_seen)
        return 0;
    if (flags & WLMI_TCP_RST)
        return 1;
    if (!ack)
        return 0;
    if (e->syn_seen && !d->seq_known) /* d is to answer */
        return syn;
    if (syn || (d->syn_seen && !e->seq_known))
        return 0;
    return !d->fin_seen || !(flags & (WLMI_TCP_FIN | WLMI_TCP_PSH));
}

static int may_begin(unsigned flags)
{
    return (flags & (WLMI_TCP_SYN | WLMI_TCP_ACK)) == WLMI_TCP_SYN || (flags && !(flags & WLMI_TCP_SYN));
}

void wlmi_sound_kinds(const wlmi_coder *c, const wlmi_flow_state *flow, int shape, uint64_t *row)
{
    if (!applies(c, shape))
        return;
    for (int direction = 0; direction < 2; direction++) {
        const unsigned kind = WLMI_T_KIND + (unsigned)direction * WLMI_KINDS;
        const wlmi_flow_side *d = &flow->side[direction], *e = &flow->side[!direction];
        for (unsigned i = WLMI_KIND_TCP; i < WLMI_KIND_OTHER; i++) {
            unsigned flags = wlmi_kind_flags[i - WLMI_KIND_TCP];
            if (flow->opened ? !may_follow(d, e, flags) : !may_begin(flags))
                wlmi_row_clear(row, kind + i, 1);
        }
        wlmi_row_clear(row, kind + WLMI_KIND_OTHER, 1); /* its flags are not known in time */
    }
}

void wlmi_sound_tags(wlmi_coder *c)
{
    const wlmi_values *p = &c->predicted;
    const wlmi_flow_side *d = &c->flow->side[p->direction], *e = &c->flow->side[!p->direction];
    const int opening = e->syn_seen && !e->data_seen; /* e has acknowledged nothing of d's */
    if (!applies(c, p->shape) || c->raw)
        return;
    if (d->seq_known || (e->seq_known && !opening))
        wlmi_row_clear(c->row, WLMI_T_SEQ, wlmi_fields[WLMI_F_SEQ].buckets);
    if (!(p->flags & WLMI_TCP_ACK))
        wlmi_row_clear(c->row, WLMI_T_ACK, wlmi_fields[WLMI_F_ACK].buckets);
    else if (d->data_seen || e->seq_known) /* all that e sent, or as before */
        wlmi_row_clear(c->row, WLMI_T_ACK + (d->data_seen ? 1u : 0u),
                       wlmi_fields[WLMI_F_ACK].buckets - (d->data_seen ? 1u : 0u));
    wlmi_row_clear(c->row, WLMI_T_FRAG + 1, 1); /* a fragment */
    if (p->flags & (WLMI_TCP_SYN | WLMI_TCP_RST) || d->fin_seen) {
        wlmi_row_clear(c->row, WLMI_T_LEN_SAME, 1);
        wlmi_row_clear(c->row, WLMI_T_LEN + 1, WLMI_T_LEN_LONG - WLMI_T_LEN);
    }
}
