/* fields_sound.c: what a sound pair of TCP hosts does not send, taken out of the grammar where flows are generated
 * (RFC 9293; options: RFC 7323, RFC 2018), as far as kinds, tags, timestamps and lengths show it. */
#include <pthread.h>
#include <string.h>

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

/* ---- options */

static int has(const wlmi_tcp_layout *layout, int option)
{
    return !layout->raw && memchr(layout->item, option, layout->count) != NULL;
}

static int has_sack(const wlmi_tcp_layout *layout)
{
    for (int i = 0; !layout->raw && i < layout->count; i++)
        if (layout->item[i] >= WLMI_OPTION_SACK)
            return 1;
    return 0;
}

/* Whether side d may send these options: sizes, scale and permissions in a SYN alone, an answer what was offered, then
 * timestamps in every segment where both have offered them, and else in none. */
static int may_carry(const wlmi_flow_side *d, const wlmi_flow_side *e, unsigned flags, const wlmi_tcp_layout *layout)
{
    static const uint8_t offers[] = {WLMI_OPTION_TS, WLMI_OPTION_SCALE, WLMI_OPTION_SACKP};
    const wlmi_tcp_layout *offered = &e->syn_layout;
    if (flags & WLMI_TCP_SYN) {
        for (size_t i = 0; e->syn_seen && flags & WLMI_TCP_ACK && i < sizeof offers; i++)
            if (has(layout, offers[i]) && !has(offered, offers[i]))
                return 0;
        return !has_sack(layout);
    }
    if (has(layout, WLMI_OPTION_MSS) || has(layout, WLMI_OPTION_SCALE) || has(layout, WLMI_OPTION_SACKP))
        return 0;
    if (!d->syn_seen || !e->syn_seen || flags & WLMI_TCP_RST)
        return 1;
    return has(layout, WLMI_OPTION_TS) == (has(&d->syn_layout, WLMI_OPTION_TS) && has(offered, WLMI_OPTION_TS));
}

/* A list of options tells of who opens; as bytes they could be any. */
static void sound_layouts(wlmi_coder *c, const wlmi_flow_side *d, const wlmi_flow_side *e)
{
    enum { LIST = WLMI_T_LAYOUT + WLMI_KNOWN_LAYOUTS };
    const wlmi_values *p = &c->predicted;
    for (int i = 0; i < WLMI_KNOWN_LAYOUTS; i++) {
        wlmi_tcp_layout layout;
        wlmi_layout_known(i, &layout);
        if (!may_carry(d, e, p->flags, &layout))
            wlmi_row_clear(c->row, (unsigned)(WLMI_T_LAYOUT + i), 1);
    }
    if ((p->flags & (WLMI_TCP_SYN | WLMI_TCP_ACK)) != WLMI_TCP_SYN)
        wlmi_row_clear(c->row, LIST, 1);
    wlmi_row_clear(c->row, LIST + 1, WLMI_T_LAYOUT + wlmi_fields[WLMI_F_LAYOUT].buckets - (LIST + 1u));
}

void wlmi_sound_list(wlmi_coder *c)
{
    if (applies(c, c->predicted.shape))
        wlmi_row_clear(c->options_row, WLMI_T_OPTION + 1 + WLMI_OPTION_SACK, WLMI_OPTIONS - WLMI_OPTION_SACK);
}

/* The small differences of a timestamp (fields_number.c): of rank 0, 1, 2, ... -1, 1, -2, ... */
static void sound_differences(wlmi_coder *c, int field, uint32_t back, int may_rise)
{
    const wlmi_field *f = &wlmi_fields[field];
    enum { LARGE = 4 };
    for (uint32_t x = 0; x < f->fold; x++)
        if (x % 2 ? !may_rise : x / 2 + 1 > back)
            wlmi_row_clear(c->row, f->tag + x, 1);
    wlmi_row_clear(c->row, f->tag + f->buckets - LARGE, LARGE);
}

/* A clock does not run back, nor is heard of before its time; who opens has heard of none. */
void wlmi_sound_options(wlmi_coder *c)
{
    const wlmi_values *p = &c->predicted;
    const wlmi_flow_side *d = &c->flow->side[p->direction], *e = &c->flow->side[!p->direction];
    if (!applies(c, p->shape) || c->raw)
        return;
    if (d->ts_known)
        sound_differences(c, WLMI_F_TSVAL, p->v[WLMI_F_TSVAL] - d->tsval, 1);
    if (e->ts_known)
        sound_differences(c, WLMI_F_TSECR, UINT32_MAX, 0);
    else if ((p->flags & (WLMI_TCP_SYN | WLMI_TCP_ACK)) == WLMI_TCP_SYN)
        wlmi_row_clear(c->row, WLMI_T_TSECR, wlmi_fields[WLMI_F_TSECR].buckets);
}

static uint64_t digit_rows[2][WLMI_T_WORDS]; /* even ones, odd ones */
static pthread_once_t digit_rows_once = PTHREAD_ONCE_INIT;

static void make_digit_rows(void)
{
    for (unsigned i = 0; i < 1u << WLMI_DIGIT_BITS; i++)
        digit_rows[i & 1][(WLMI_T_DIGIT + i) >> 6] |= UINT64_C(1) << ((WLMI_T_DIGIT + i) & 63);
}

const uint64_t *wlmi_sound_digits(const wlmi_coder *c)
{
    const wlmi_values *p = &c->predicted;
    if (!applies(c, p->shape) || c->raw || !wlmi_is_field_digit(c))
        return NULL;
    pthread_once(&digit_rows_once, make_digit_rows);
    if (c->field == WLMI_F_TSVAL && c->flow->side[p->direction].ts_known)
        return digit_rows[1];
    return c->field == WLMI_F_TSECR && c->flow->side[!p->direction].ts_known ? digit_rows[0] : NULL;
}

/* ---- tags */

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
    sound_layouts(c, d, e);
    wlmi_sound_options(c);
    if (p->flags & (WLMI_TCP_SYN | WLMI_TCP_RST) || d->fin_seen) {
        wlmi_row_clear(c->row, WLMI_T_LEN_SAME, 1);
        wlmi_row_clear(c->row, WLMI_T_LEN + 1, WLMI_T_LEN_LONG - WLMI_T_LEN);
    }
}
