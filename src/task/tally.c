/* tally.c: what bits were spent on. */
#include "task/tally.h"

#include "base/alloc.h"
#include "capture/decode.h"
#include "capture/header_field.h"

enum { RECORD_HEADER = 16 };

const char *const wlmi_section_names[WLMI_SECTIONS] = {"opening", "header", "time", "payload"};
const char *const wlmi_on_names[WLMI_ONS] = {"tcp", "udp", "icmp", "other_ip", "non_ip"};

static int names(const char *const *name)
{
    int count = 0;
    while (name && name[count])
        count++;
    return count;
}

wlm_status wlmi_tally_init(wlmi_tally *t, const wlmi_codec *codec, wlm_error *error)
{
    *t = (wlmi_tally){.codec = codec, .open = WLMI_NO_FIELD, .last_on = WLMI_ON_LINK};
    t->codec_fields = t->fields = names(codec->field_names);
    while (wlmi_header_field_name(t->fields - t->codec_fields))
        t->fields++;
    t->field = wlmi_alloc_zero((size_t)t->fields, sizeof *t->field);
    return t->field ? WLM_OK : WLMI_NO_MEMORY(error);
}

void wlmi_tally_free(wlmi_tally *t)
{
    wlmi_free(t->link);
    wlmi_free(t->field);
}

const char *wlmi_tally_field_name(const wlmi_tally *t, int field)
{
    return field < t->codec_fields ? t->codec->field_names[field] : wlmi_header_field_name(field - t->codec_fields);
}

/* ---------------------------------------------------------------- marks */

static uint8_t on_of(const wlmi_headers *h)
{
    if (!h->ip_version)
        return WLMI_ON_LINK;
    switch (h->proto) {
    case WLMI_PROTO_TCP: return WLMI_ON_TCP;
    case WLMI_PROTO_UDP: return WLMI_ON_UDP;
    case WLMI_PROTO_ICMP:
    case WLMI_PROTO_ICMPV6: return WLMI_ON_ICMP;
    default: return WLMI_ON_IP;
    }
}

static void count(wlmi_on_cost *on, const wlm_packet *packet)
{
    on->packets++;
    on->bytes += (uint64_t)packet->captured + RECORD_HEADER;
}

wlm_status wlmi_tally_packet(wlmi_tally *t, const wlm_packet *packet, wlm_error *error)
{
    wlmi_headers headers;
    size_t link = 0;
    wlmi_decode(packet, &headers);
    while (link < t->links && t->link[link].link_type != packet->link_type)
        link++;
    if (link == t->links) {
        if (!wlmi_grow(&t->link, &t->link_room, t->links + 1, sizeof *t->link))
            return WLMI_NO_MEMORY(error);
        t->link[t->links++] = (wlmi_link_cost){.link_type = packet->link_type};
    }
    t->last_on = on_of(&headers);
    t->last_link = (uint32_t)link;
    count(&t->on[t->last_on], packet);
    count(&t->link[link].on, packet);
    return WLM_OK;
}

/* Of which layer a byte of the packet is. */
static wlmi_group group_at(const wlmi_headers *h, uint32_t offset)
{
    if (!h->ip_version)
        return WLMI_GROUP_RAW;
    return offset >= h->payload + h->payload_len                       ? WLMI_GROUP_LINK
           : offset >= h->payload                                      ? WLMI_GROUP_PAYLOAD
           : h->transport != WLMI_ABSENT && offset >= h->transport     ? WLMI_GROUP_TRANSPORT
           : offset >= h->network                                      ? WLMI_GROUP_NETWORK
                                                                       : WLMI_GROUP_LINK;
}

static uint8_t section_of(wlmi_group group, int opening)
{
    return group == WLMI_GROUP_TIME      ? WLMI_TIME
           : group == WLMI_GROUP_PAYLOAD ? WLMI_PAYLOAD
           : opening                     ? WLMI_OPENING
                                         : WLMI_HEADER;
}

void wlmi_tally_mark(const wlmi_tally *t, const wlm_packet *packet, int opening, const wlmi_token *token,
                     const uint8_t *role, size_t count, wlmi_mark *mark)
{
    wlmi_headers headers;
    int before = WLMI_NO_FIELD;
    uint32_t offset = 0;
    if (packet)
        wlmi_decode(packet, &headers);
    for (size_t i = 0; i < count; i++) {
        wlmi_group group = t->codec->group(role[i], token[i]);
        int field = t->codec->field ? t->codec->field(role[i], token[i]) : WLMI_NO_FIELD;
        if (group == WLMI_GROUP_DATA) {
            int place = packet ? wlmi_header_field(packet, &headers, offset) : WLMI_NO_FIELD;
            field = place < 0 ? WLMI_NO_FIELD : t->codec_fields + place;
            group = packet ? group_at(&headers, offset) : WLMI_GROUP_RAW;
            offset++;
        }
        field = field == WLMI_SAME_FIELD ? before : field;
        before = field;
        mark[i] = (wlmi_mark){t->last_on, section_of(group, opening), (uint8_t)group, (int16_t)field, t->last_link};
    }
}

/* ---------------------------------------------------------------- costs */

static void pay(wlmi_cost *cost, double bits)
{
    cost->tokens++;
    cost->bits += bits;
}

void wlmi_tally_close(wlmi_tally *t)
{
    if (t->open >= 0) {
        t->field[t->open].told_right += (uint64_t)t->open_right;
        t->field[t->open].right += (uint64_t)t->open_right;
    }
    t->open = WLMI_NO_FIELD;
}

/* Fields whose tokens could have stood here and come before the one that does: they are as predicted, and the model is
 * right about each unless the most likely token tells it. */
static void pass(wlmi_tally *t, const wlmi_allowed *allowed, uint8_t role, int field, wlmi_token token,
                 wlmi_token best)
{
    const wlmi_codec *codec = t->codec;
    const int likely = codec->field(role, best);
    int last = WLMI_NO_FIELD;
    for (uint32_t other = allowed->low; other < token; other++) {
        int f;
        if (!wlmi_is_allowed(allowed, (wlmi_token)other))
            continue;
        f = codec->field(role, (wlmi_token)other);
        if (f == field)
            break;
        if (f != last) {
            t->field[f].there++;
            t->field[f].right += f != likely;
        }
        last = f;
    }
}

void wlmi_tally_add(wlmi_tally *t, const wlmi_mark *mark, uint8_t role, wlmi_token token, const wlmi_allowed *allowed,
                    wlmi_token best, double bits)
{
    const int passes = t->codec->passes && t->codec->passes(role);
    pay(&t->on[mark->on].cost[mark->section], bits);
    pay(&t->link[mark->link].on.cost[mark->section], bits);
    pay(&t->group[mark->group], bits);
    if (passes)
        pass(t, allowed, role, mark->field, token, best);
    if (mark->field != t->open || passes) {
        wlmi_tally_close(t);
        t->open = mark->field;
        t->open_right = 1;
        if (mark->field >= 0) {
            t->field[mark->field].there++;
            t->field[mark->field].told++;
        }
    }
    t->open_right &= token == best;
    if (mark->field >= 0)
        t->field[mark->field].bits += bits;
}
