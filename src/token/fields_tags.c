/* fields_tags.c: the decoder of `fields`: tokens of a packet's fields. */
#include <string.h>

#include "token/fields_coder.h"

void wlmi_begin_tags(wlmi_coder *c)
{
    wlmi_values *p = &c->predicted;
    p->shape = c->values.shape;
    p->direction = c->values.direction;
    p->flags = c->values.flags;
    p->time_ns = c->values.time_ns;
    if (c->raw)
        wlmi_fields_predict_raw(c, c->link_type);
    else
        wlmi_fields_predict(c->flow, p);
    c->values = *p;
    c->low = WLMI_T_TAG;
    c->role = (uint8_t)wlmi_tags_role(p);
    wlmi_row_of_tags(c);
}

void wlmi_end_field(wlmi_coder *c)
{
    const wlmi_field *f = &wlmi_fields[c->field];
    wlmi_row_clear(c->row, f->tag, f->buckets);
    if (!c->options.shuffle)
        c->low = (wlmi_token)(f->tag + f->buckets);
    if (c->field == WLMI_F_LAYOUT)
        wlmi_row_of_options(c);
    c->role = (uint8_t)wlmi_tags_role(&c->predicted);
}

static void expect_bytes(wlmi_coder *c, uint32_t count)
{
    c->role = WLMI_R_LITERAL;
    c->bytes_want = count;
    c->bytes_have = 0;
}

static void take_layout(wlmi_coder *c, int bucket)
{
    wlmi_tcp_layout *layout = &c->values.layout;
    if (bucket < WLMI_KNOWN_LAYOUTS) {
        wlmi_layout_known(bucket, layout);
        wlmi_end_field(c);
        return;
    }
    memset(layout, 0, sizeof *layout);
    if (bucket == WLMI_KNOWN_LAYOUTS) {
        memcpy(c->options_row, wlmi_fields_rows[WLMI_R_OPTION], sizeof c->options_row);
        wlmi_sound_list(c);
        c->role = WLMI_R_OPTION;
        return;
    }
    layout->raw = 1;
    layout->size = (uint8_t)(4 * (bucket - WLMI_KNOWN_LAYOUTS));
    c->may_match = 0;
    expect_bytes(c, layout->size);
}

void wlmi_take_option(wlmi_coder *c, int option)
{
    wlmi_tcp_layout *layout = &c->values.layout;
    if (option < 0) {
        wlmi_end_field(c);
        return;
    }
    layout->item[layout->count++] = (uint8_t)option;
    layout->size = (uint8_t)(layout->size + wlmi_option_length[option]);
    if (option >= WLMI_OPTION_SACK)
        wlmi_row_clear(c->options_row, WLMI_T_OPTION + 1 + WLMI_OPTION_SACK, 4);
    else if (option > WLMI_OPTION_NOP)
        wlmi_row_clear(c->options_row, (unsigned)(WLMI_T_OPTION + 1 + option), 1);
}

void wlmi_take_tag(wlmi_coder *c, wlmi_token token)
{
    int f = c->field = wlmi_field_of(token), bucket = token - wlmi_fields[f].tag;
    if (wlmi_fields[f].code == WLMI_CODE_LAYOUT) {
        take_layout(c, bucket);
        return;
    }
    if (wlmi_fields[f].code == WLMI_CODE_BYTES) {
        c->values.v[f] = (uint32_t)bucket;
        memset(c->values.ip_options, 0, sizeof c->values.ip_options);
        c->may_match = (uint32_t)bucket == c->predicted.v[f];
        expect_bytes(c, 4 * (uint32_t)bucket);
        if (bucket == 0)
            wlmi_end_field(c);
        return;
    }
    wlmi_expect(c, wlmi_digit_role(f, 0), wlmi_fields_digits(f, c->predicted.shape, bucket),
           wlmi_fields_first_low(f, bucket), wlmi_fields_first_high(f, c->predicted.shape, bucket));
    c->number.bucket = (uint16_t)bucket;
    c->may_match = wlmi_fields_forbidden(f, &c->predicted, &c->forbidden) && c->forbidden.bucket == bucket &&
                   c->forbidden.count == c->want;
    if (f == WLMI_F_ACK && bucket == 0) {
        c->values.v[f] = c->flow->side[c->values.direction].ack;
        wlmi_end_field(c);
    } else if (c->want == 0) {
        wlmi_fields_read(f, &c->predicted, &c->number, &c->values);
        wlmi_end_field(c);
    }
}

void wlmi_take_literal(wlmi_coder *c, wlmi_token token)
{
    if (c->field == WLMI_F_LAYOUT) {
        c->values.layout.item[c->bytes_have] = (uint8_t)token;
    } else {
        c->values.ip_options[c->bytes_have] = (uint8_t)token;
        c->may_match = c->may_match && c->predicted.ip_options[c->bytes_have] == token;
    }
    if (++c->bytes_have == c->bytes_want)
        wlmi_end_field(c);
}
