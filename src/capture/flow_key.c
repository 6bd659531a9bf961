/* flow_key.c: which flow a packet belongs to. */
#include "capture/flow_key.h"

#include <string.h>

#include "base/rng.h"

static const int64_t FRAGMENT_NS = INT64_C(30000000000);

/* A fixed key: the order of flows in buckets never shows outside, and the same capture costs the same every time.
 * What an adversary could do by colliding keys is bounded by max_flows. */
static const uint64_t HASH_KEY = UINT64_C(0x776972656c6d2e66);

uint64_t wlmi_identity_hash(const wlmi_identity *id)
{
    uint64_t hash = HASH_KEY, word;
    for (size_t i = 0; i < sizeof *id; i += sizeof word) {
        memcpy(&word, (const char *)id + i, sizeof word);
        hash = wlmi_mix2(hash, word);
    }
    return hash;
}

void wlmi_flow_key_of(const wlm_packet *p, const wlmi_headers *h, wlm_flow_key *key)
{
    memset(key, 0, sizeof *key);
    key->link_type = p->link_type;
    key->interface = p->interface;
    if (h->ip_version) {
        key->addr_len = (uint8_t)h->addr_len;
        key->proto = h->proto;
        key->src_port = h->src_port;
        key->dst_port = h->dst_port;
        memcpy(key->src, p->data + h->src_addr, h->addr_len);
        memcpy(key->dst, p->data + h->dst_addr, h->addr_len);
    } else if (h->link_addr_len) {
        key->addr_len = (uint8_t)h->link_addr_len;
        if (h->link_src != WLMI_ABSENT)
            memcpy(key->src, p->data + h->link_src, h->link_addr_len);
        if (h->link_dst != WLMI_ABSENT)
            memcpy(key->dst, p->data + h->link_dst, h->link_addr_len);
    }
}

void wlmi_flow_key_turn(wlm_flow_key *key)
{
    uint8_t address[16];
    uint16_t port = key->src_port;
    memcpy(address, key->src, sizeof address);
    memcpy(key->src, key->dst, sizeof address);
    memcpy(key->dst, address, sizeof address);
    key->src_port = key->dst_port;
    key->dst_port = port;
}

int wlmi_flow_key_is_ordered(const wlm_flow_key *key)
{
    int order = memcmp(key->src, key->dst, sizeof key->src);
    return order < 0 || (order == 0 && key->src_port <= key->dst_port);
}

int wlmi_flow_key_is_backward(const wlm_flow_key *f, const uint8_t *data, const wlmi_headers *h)
{
    if (h->ip_version == 0 || h->addr_len != f->addr_len)
        return 0;
    const uint8_t *src = data + h->src_addr, *dst = data + h->dst_addr;
    int forward = !memcmp(src, f->src, h->addr_len) && !memcmp(dst, f->dst, h->addr_len);
    int backward = !memcmp(src, f->dst, h->addr_len) && !memcmp(dst, f->src, h->addr_len);
    if (forward && backward) /* a host that talks to itself */
        return h->src_port != f->src_port && h->src_port == f->dst_port;
    return backward;
}

void wlmi_identity_of(const wlm_flow_key *key, wlmi_identity *id)
{
    wlm_flow_key k = *key;
    if (!wlmi_flow_key_is_ordered(&k))
        wlmi_flow_key_turn(&k);
    memset(id, 0, sizeof *id);
    memcpy(id->low, k.src, sizeof id->low);
    memcpy(id->high, k.dst, sizeof id->high);
    id->low_port = k.src_port;
    id->high_port = k.dst_port;
    id->proto = k.proto;
    id->addr_len = k.addr_len;
    id->link_type = k.link_type;
    id->interface = k.interface;
}

static int is_recent(int64_t a, int64_t b)
{
    return (a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a) <= (uint64_t)FRAGMENT_NS;
}

void wlmi_fragment_ports(wlmi_fragment *recent, const wlm_packet *p, const wlmi_headers *h, wlm_flow_key *key)
{
    uint64_t word[4], hash = wlmi_mix2(HASH_KEY, h->fragment_id);
    memcpy(word, key->src, 16);
    memcpy(word + 2, key->dst, 16);
    for (int i = 0; i < 4; i++)
        hash = wlmi_mix2(hash, word[i]);
    wlmi_fragment *f = &recent[hash % WLMI_FRAGMENTS];
    if (h->fragment == 1) {
        memcpy(f->src, key->src, 16);
        memcpy(f->dst, key->dst, 16);
        f->id = h->fragment_id;
        f->src_port = key->src_port;
        f->dst_port = key->dst_port;
        f->proto = key->proto;
        f->time_ns = p->time_ns;
        f->used = 1;
    } else if (f->used && f->id == h->fragment_id && f->proto == key->proto && !memcmp(f->src, key->src, 16) &&
               !memcmp(f->dst, key->dst, 16) && is_recent(p->time_ns, f->time_ns)) {
        key->src_port = f->src_port;
        key->dst_port = f->dst_port;
    }
}
