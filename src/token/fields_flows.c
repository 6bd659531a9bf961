/* fields_flows.c: slots of flows, found by who talks, ordered by use. */
#include "token/fields_flows.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/rng.h"
#include "capture/decode.h"

enum { BUCKETS = 2 * WLMI_SLOTS };

wlm_status wlmi_flows_make(wlmi_flows *f, wlm_error *error)
{
    wlmi_slot *slot = wlmi_alloc_array(WLMI_SLOTS, sizeof *slot);
    uint16_t *bucket = wlmi_alloc_array(BUCKETS, sizeof *bucket);
    if (!slot || !bucket) {
        wlmi_free(slot);
        wlmi_free(bucket);
        return WLMI_NO_MEMORY(error);
    }
    f->slot = slot;
    f->bucket = bucket;
    wlmi_flows_clear(f);
    return WLM_OK;
}

void wlmi_flows_clear(wlmi_flows *f)
{
    f->count = 0;
    f->opened = 0;
    f->newest = f->oldest = WLMI_NO_SLOT;
    if (f->bucket)
        memset(f->bucket, 0xff, BUCKETS * sizeof *f->bucket);
}

void wlmi_flows_free(wlmi_flows *f)
{
    wlmi_free(f->slot);
    wlmi_free(f->bucket);
}

static void set_end(uint8_t end[18], const uint8_t *address, size_t size, uint32_t port)
{
    memcpy(end, address, size);
    wlmi_store_be16(end + 16, (uint16_t)port);
}

void wlmi_flow_id_of(const wlm_packet *p, const wlmi_values *h, wlmi_flow_id *id)
{
    uint8_t turned[18];
    memset(id, 0, sizeof *id);
    id->link_type = p->link_type;
    if (h) {
        int ports = (wlmi_shape_layers(h->shape) & WLMI_LAYER_PORTS) != 0;
        set_end(id->low, h->address[0], 16, ports ? h->v[WLMI_F_SPORT] : 0);
        set_end(id->high, h->address[1], 16, ports ? h->v[WLMI_F_DPORT] : 0);
        id->protocol = (uint8_t)(1 + h->shape % WLMI_FIELDS_NETS);
    } else {
        wlmi_headers headers;
        wlmi_decode(p, &headers);
        uint32_t size = headers.link_addr_len < 16 ? headers.link_addr_len : 16;
        if (headers.link_src != WLMI_ABSENT)
            set_end(id->low, p->data + headers.link_src, size, 0);
        if (headers.link_dst != WLMI_ABSENT)
            set_end(id->high, p->data + headers.link_dst, size, 0);
    }
    if (memcmp(id->low, id->high, sizeof id->low) > 0) {
        memcpy(turned, id->low, sizeof turned);
        memcpy(id->low, id->high, sizeof turned);
        memcpy(id->high, turned, sizeof turned);
    }
}

static uint16_t *bucket_of(const wlmi_flows *f, const wlmi_flow_id *id)
{
    uint64_t hash = 0, word;
    for (size_t at = 0; at + 8 <= sizeof *id; at += 8) {
        memcpy(&word, (const uint8_t *)id + at, 8);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    memcpy(&word, (const uint8_t *)id + sizeof *id - 8, 8);
    return &f->bucket[wlmi_mix2(hash, word) % BUCKETS];
}

int wlmi_flows_find(const wlmi_flows *f, const wlmi_flow_id *id)
{
    for (uint16_t s = *bucket_of(f, id); s != WLMI_NO_SLOT; s = f->slot[s].next)
        if (!memcmp(&f->slot[s].id, id, sizeof *id))
            return s;
    return -1;
}

static void unlink_use(wlmi_flows *f, int slot)
{
    wlmi_slot *s = &f->slot[slot];
    *(s->newer == WLMI_NO_SLOT ? &f->newest : &f->slot[s->newer].older) = s->older;
    *(s->older == WLMI_NO_SLOT ? &f->oldest : &f->slot[s->older].newer) = s->newer;
}

static void link_newest(wlmi_flows *f, int slot)
{
    wlmi_slot *s = &f->slot[slot];
    s->newer = WLMI_NO_SLOT;
    s->older = f->newest;
    *(f->newest == WLMI_NO_SLOT ? &f->oldest : &f->slot[f->newest].newer) = (uint16_t)slot;
    f->newest = (uint16_t)slot;
}

static void forget_name(wlmi_flows *f, int slot)
{
    wlmi_slot *s = &f->slot[slot];
    if (!s->named)
        return;
    uint16_t *at = bucket_of(f, &s->id);
    while (*at != slot)
        at = &f->slot[*at].next;
    *at = s->next;
    s->named = 0;
}

int wlmi_flows_open(wlmi_flows *f)
{
    int slot = (int)f->count;
    if (f->count < WLMI_SLOTS) {
        f->count++;
    } else {
        slot = f->oldest;
        unlink_use(f, slot);
        forget_name(f, slot);
    }
    f->slot[slot].named = 0;
    f->slot[slot].number = f->opened++;
    memset(&f->slot[slot].state, 0, sizeof f->slot[slot].state);
    link_newest(f, slot);
    return slot;
}

void wlmi_flows_name(wlmi_flows *f, int slot, const wlmi_flow_id *id)
{
    int other = wlmi_flows_find(f, id);
    if (other >= 0)
        forget_name(f, other);
    wlmi_slot *s = &f->slot[slot];
    uint16_t *at = bucket_of(f, id);
    s->id = *id;
    s->next = *at;
    s->named = 1;
    *at = (uint16_t)slot;
}

void wlmi_flows_use(wlmi_flows *f, int slot)
{
    if (f->newest == slot)
        return;
    unlink_use(f, slot);
    link_newest(f, slot);
}

int wlmi_flows_recent(const wlmi_flows *f, int index)
{
    uint16_t slot = f->newest;
    while (index-- > 0 && slot != WLMI_NO_SLOT)
        slot = f->slot[slot].older;
    return slot == WLMI_NO_SLOT ? -1 : slot;
}

int wlmi_flows_index(const wlmi_flows *f, int slot, int limit)
{
    uint16_t at = f->newest;
    for (int i = 0; i < limit && at != WLMI_NO_SLOT; i++, at = f->slot[at].older)
        if (at == slot)
            return i;
    return -1;
}

int wlmi_flows_slot_of(const wlmi_flows *f, const wlmi_flow_state *state)
{
    return (int)((const wlmi_slot *)(const void *)state - f->slot);
}
