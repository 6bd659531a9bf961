/* fields.c: the codec `fields`: its row in the table of codecs, the life of a coder, and what a complete packet does to
 * the state. docs/FIELDS.md has the language. */
#include "token/fields_coder.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

/* The packet's values in the flow, or NULL where it has none; *known: it could be taken apart. */
static const wlmi_values *values_of(wlmi_coder *c, const wlm_packet *p, int direction, wlmi_values *h, int *known)
{
    wlmi_values *predicted = &c->predicted;
    *known = wlmi_fields_parse(p, h) == WLMI_PARSED;
    if (!*known)
        return NULL;
    h->direction = (uint8_t)direction;
    if (predicted->shape != h->shape || predicted->flags != h->flags || predicted->direction != h->direction) {
        predicted->shape = h->shape;
        predicted->flags = h->flags;
        predicted->direction = h->direction;
        predicted->time_ns = h->time_ns;
        wlmi_fields_predict(c->flow, predicted);
    }
    return wlmi_fields_settle(p, predicted, h) ? h : NULL;
}

void wlmi_fields_absorb(wlmi_coder *c, const wlm_packet *p, int direction, const wlmi_values *values)
{
    wlmi_values h;
    int known = 1;
    if (!values)
        values = values_of(c, p, direction, &h, &known);
    if (c->options.capture && c->fresh) {
        wlmi_flow_id id;
        if (c->is_given)
            id = c->given;
        else
            wlmi_flow_id_of(p, !known ? NULL : values ? values : &h, &id);
        wlmi_flows_name(&c->flows, wlmi_flows_slot_of(&c->flows, c->flow), &id);
        c->fresh = 0;
    }
    wlmi_fields_update(c->flow, p, direction, values);
    c->time_ns = p->time_ns;
    c->packets++;
}

void wlmi_fields_absorb_raw(wlmi_coder *c, const wlm_packet *p, int direction)
{
    wlmi_raw_learn(c->history, p);
    wlmi_fields_absorb(c, p, direction, NULL);
}

void wlmi_fields_predict_raw(wlmi_coder *c, uint32_t link_type)
{
    wlmi_values *p = &c->predicted;
    memset(p->v, 0, sizeof p->v);
    p->shape = WLMI_SHAPE_GENERIC;
    p->payload = c->history ? wlmi_raw_length(c->history, link_type) : 0;
    p->v[WLMI_F_CHECK] = c->history && c->history->unchecked && wlmi_check_size(link_type);
}

wlm_status wlmi_fields_history(wlmi_coder *c, wlm_error *error)
{
    if (c->history)
        return WLM_OK;
    c->history = wlmi_alloc_array(1, sizeof *c->history);
    if (!c->history)
        return WLMI_NO_MEMORY(error);
    wlmi_raw_clear(c->history);
    return WLM_OK;
}

wlm_status wlmi_fields_ready(wlmi_coder *c, wlm_error *error)
{
    return c->options.capture && !c->flows.slot ? wlmi_flows_make(&c->flows, error) : WLM_OK;
}

static wlm_status fields_make(wlmi_coder **coder, wlm_error *error)
{
    wlmi_coder *c = *coder = wlmi_alloc_zero(1, sizeof *c);
    if (!c)
        return WLMI_NO_MEMORY(error);
    wlmi_fields_make_rows();
    return WLM_OK;
}

static void fields_start(wlmi_coder *c, const wlmi_coder_options *options)
{
    c->options = *options;
    c->packets = 0;
    c->time_ns = options->start_ns;
    c->why = WLMI_PARSED;
    c->fresh = 0;
    c->measure = 0;
    c->is_given = 0;
    c->asked.count = 0;
    memset(&c->tls, 0, sizeof c->tls);
    if (options->capture) {
        wlmi_flows_clear(&c->flows);
        c->flow = NULL;
    } else {
        memset(&c->one, 0, sizeof c->one);
        c->flow = &c->one;
    }
    if (c->history && c->history->packets)
        wlmi_raw_clear(c->history);
    wlmi_fields_border(c);
}

static void fields_drop(wlmi_coder *c)
{
    if (!c)
        return;
    wlmi_flows_free(&c->flows);
    wlmi_free(c->history);
    wlmi_free(c->data);
    wlmi_free(c);
}

static const wlm_packet *fields_packet(const wlmi_coder *c)
{
    return &c->packet;
}

static wlmi_end fields_end(const wlmi_coder *c)
{
    return c->end;
}

static uint8_t fields_role(const wlmi_coder *c)
{
    return c->role;
}

static int64_t fields_measure(const wlmi_coder *c)
{
    const wlmi_byte_place place = {c->have - c->body, c->body_end - c->have, c->string};
    const int in_body = c->role == WLMI_R_PAYLOAD || c->role == WLMI_R_GENERIC;
    return c->measure || !in_body ? c->measure : wlmi_measure_place(&place);
}

static uint32_t fields_segment(const wlmi_coder *c)
{
    return wlmi_fields_segment(c);
}

static int fields_at_border(const wlmi_coder *c)
{
    return c->role == WLMI_R_BORDER;
}

static wlmi_group fields_group(uint8_t role, wlmi_token token)
{
    int field = -1;
    if (role >= WLMI_R_TIME && role < WLMI_R_TAGS)
        return WLMI_GROUP_TIME;
    if (role == WLMI_R_PAYLOAD)
        return WLMI_GROUP_PAYLOAD;
    if (role == WLMI_R_GENERIC)
        return WLMI_GROUP_RAW;
    if (role >= WLMI_R_FIELD && role < WLMI_R_LEN)
        field = (role - WLMI_R_FIELD) / 4;
    else if (role >= WLMI_R_TAGS && role < WLMI_R_FIELD && token < WLMI_T_LEN_SAME)
        field = wlmi_field_of(token);
    if (field >= WLMI_F_PAD || field == WLMI_F_LINK || field == WLMI_F_VLAN || role == WLMI_R_TRAILER ||
        role < WLMI_R_KIND)
        return WLMI_GROUP_LINK;
    return field >= 0 && wlmi_fields[field].layers & WLMI_LAYER_IP ? WLMI_GROUP_NETWORK : WLMI_GROUP_TRANSPORT;
}

static int fields_passes(uint8_t role)
{
    return role >= WLMI_R_TAGS && role < WLMI_R_FIELD;
}

static void fields_set_flow(wlmi_coder *c, uint64_t number)
{
    memset(&c->given, 0, sizeof c->given);
    memcpy(c->given.low, &number, sizeof number);
    c->is_given = 1;
}

static uint64_t fields_flow(const wlmi_coder *c)
{
    return c->flow && c->options.capture ? c->flows.slot[wlmi_flows_slot_of(&c->flows, c->flow)].number : 0;
}

static int fields_raw(const wlmi_coder *c)
{
    return c->why;
}

const wlmi_codec wlmi_codec_fields = {
    .name = "fields",
    .version = 1,
    .vocabulary = WLMI_T_COUNT,
    .roles = WLMI_R_COUNT,
    .flows = WLMI_SLOTS,
    .limits_payload = 1,
    .shuffles = 1,
    .role_names = wlmi_fields_role_names,
    .rows = &wlmi_fields_rows[0][0],
    .make = fields_make,
    .start = fields_start,
    .drop = fields_drop,
    .encode = wlmi_fields_encode,
    .encode_end = wlmi_fields_encode_end,
    .push = wlmi_fields_push,
    .packet = fields_packet,
    .end = fields_end,
    .allowed = wlmi_fields_allowed,
    .role = fields_role,
    .measure = fields_measure,
    .segment = fields_segment,
    .at_border = fields_at_border,
    .token_name = wlmi_fields_token_name,
    .text = wlmi_fields_text,
    .group = fields_group,
    .set_flow = fields_set_flow,
    .flow = fields_flow,
    .field_names = wlmi_fields_field_names,
    .field = wlmi_fields_field,
    .passes = fields_passes,
    .raw = fields_raw,
};
