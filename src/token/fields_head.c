/* fields_head.c: the decoder of `fields`: tokens of a packet's head: its flow, shape, kind and time. */
#include "token/fields_coder.h"

void wlmi_take_flow(wlmi_coder *c, int slot)
{
    c->flow = &c->flows.slot[slot].state;
    wlmi_flows_use(&c->flows, slot);
    c->fresh = 0;
}

/* Shape and link type are the flow's unless tokens say other. */
static void take_flow_defaults(wlmi_coder *c)
{
    c->values.shape = c->flow->shape;
    c->link_type = c->flow->link_type;
}

void wlmi_take_link_type(wlmi_coder *c, uint32_t link_type)
{
    c->link_type = link_type;
    c->values.shape = WLMI_SHAPE_GENERIC;
    c->role = WLMI_R_KIND;
    wlmi_row_of_kinds(c, WLMI_SHAPE_GENERIC, 1);
}

static void take_kind(wlmi_coder *c, int kind)
{
    c->values.direction = kind >= WLMI_KINDS;
    kind %= WLMI_KINDS;
    c->raw = kind == WLMI_KIND_RAW;
    c->values.flags = 0;
    if (kind >= WLMI_KIND_TCP && kind < WLMI_KIND_OTHER)
        c->values.flags = wlmi_kind_flags[kind - WLMI_KIND_TCP];
    c->role = WLMI_R_TIME;
    if (kind == WLMI_KIND_OTHER)
        wlmi_expect(c, WLMI_R_FLAGS, 2, 0, 3);
}

/* Tokens that begin a packet: a flow, a shape, a kind; or that end the stream. */
void wlmi_take_head(wlmi_coder *c, wlmi_token token, wlmi_pushed *what)
{
    if (token >= WLMI_T_KIND) {
        if (c->role == WLMI_R_BORDER || c->role == WLMI_R_CHOSEN)
            take_flow_defaults(c);
        take_kind(c, token - WLMI_T_KIND);
    } else if (token >= WLMI_T_LINK_SHORT) {
        int is_long = token == WLMI_T_LINK_LONG;
        wlmi_expect(c, is_long ? WLMI_R_LINK : WLMI_R_LINK + 3, is_long ? 4 : 1, 0, is_long ? 3 : 1023);
        if (c->flow && c->flow->opened) {
            uint32_t link = c->flow->link_type;
            c->may_match = (link >= 1024) == is_long;
            for (int i = 0; i < c->want; i++)
                c->forbidden.digit[i] = (uint16_t)(link >> 10 * (c->want - 1 - i) & 1023);
        }
    } else if (token >= WLMI_T_SHAPE) {
        c->values.shape = (uint8_t)(token - WLMI_T_SHAPE);
        c->link_type = wlmi_shape_link_type(c->values.shape);
        c->role = WLMI_R_KIND;
        wlmi_row_of_kinds(c, c->values.shape, 0);
    } else if (token >= WLMI_T_RECENT) {
        wlmi_take_flow(c, wlmi_flows_recent(&c->flows, token - WLMI_T_RECENT + 1));
        wlmi_row_of_flow(c);
        c->role = WLMI_R_CHOSEN;
    } else if (token == WLMI_T_SLOT) {
        wlmi_expect(c, WLMI_R_SLOT, 2, 0, (c->flows.count - 1) >> WLMI_DIGIT_BITS);
    } else if (token == WLMI_T_NEW) {
        c->flow = &c->flows.slot[wlmi_flows_open(&c->flows)].state;
        c->fresh = 1;
        wlmi_row_of_flow(c);
        c->role = WLMI_R_NEW;
    } else {
        c->end = (wlmi_end)(token - WLMI_T_END);
        c->role = WLMI_R_DONE;
        *what = WLMI_PUSHED_END;
    }
}

void wlmi_end_time(wlmi_coder *c)
{
    c->values.time_ns = wlmi_step_read(c->time_ns, &c->step);
    c->measure = wlmi_measure_of_time(c, c->values.time_ns);
    wlmi_begin_tags(c);
}

void wlmi_take_time(wlmi_coder *c, wlmi_token token)
{
    uint32_t high;
    int digits = wlmi_step_digits(token, &high);
    c->step.token = token;
    c->step.count = (uint8_t)digits;
    if (digits == 0)
        wlmi_end_time(c);
    else
        wlmi_expect(c, WLMI_R_TIME_DIGIT + digits - 1, digits, 0, high);
}
