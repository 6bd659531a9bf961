/* flow.c: the flow table: a hash table of flows, least recently used lists for timeouts and eviction, and what TCP
 * flags tell about a flow's start and end. */
#include "capture/flow.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/rng.h"

enum { SLAB_FLOWS = 256, BUCKETS_FIRST = 1024, FRAGMENTS = 256 };

static const int64_t CLOSED_NS = INT64_C(5000000000), FRAGMENT_NS = INT64_C(30000000000);

/* A fixed key: the order of flows in buckets never shows outside, and the same capture costs the same every time.
 * What an adversary could do by colliding keys is bounded by max_flows. */
static const uint64_t HASH_KEY = UINT64_C(0x776972656c6d2e66);

/* What must be equal for packets to be of one flow: endpoints in the order of their bytes, so that both directions
 * give the same. Without padding: it is hashed and compared as bytes. */
typedef struct identity {
    uint8_t low[16], high[16];
    uint16_t low_port, high_port;
    uint8_t proto, addr_len;
    uint16_t zero;
    uint32_t link_type, interface;
} identity;

typedef struct entry entry;

typedef struct links {
    entry *before, *after;
} links;

typedef struct list {
    entry *first, *last;
} list;

struct entry {
    wlmi_flow flow; /* first: a wlmi_flow pointer is its entry's */
    identity id;
    uint64_t hash;
    entry *next;         /* in its bucket, or in the free list */
    links use, opening;  /* by last use, in `open` or `closed`; by order of opening */
    uint32_t isn[2];     /* initial sequence numbers, by direction */
    uint8_t isn_known[2], fin[2];
    uint8_t spoke;       /* more than SYNs was seen */
    uint8_t closed;
};

typedef struct slab {
    struct slab *next;
} slab;

typedef struct fragment { /* ports of a datagram whose first fragment was seen */
    uint8_t src[16], dst[16];
    uint32_t id;
    uint16_t src_port, dst_port;
    uint8_t proto, used;
    int64_t time_ns;
} fragment;

struct wlmi_flow_table {
    wlmi_flow_options options;
    void (*expired)(void *owner, wlmi_flow *flow);
    void *owner;
    entry **bucket;
    size_t buckets, size, entry_size;
    list open, closed, opening;
    entry *free;
    slab *slabs;
    uint64_t opened, evictions;
    int64_t newest_ns;
    fragment fragment[FRAGMENTS]; /* direct-mapped: the last of each slot */
};

/* ---------------------------------------------------------------- lists and memory */

#define LIST_APPEND(list_, entry_, links_)                                                      \
    do {                                                                                        \
        (entry_)->links_.before = (list_)->last;                                                \
        (entry_)->links_.after = NULL;                                                          \
        *((list_)->last ? &(list_)->last->links_.after : &(list_)->first) = (entry_);           \
        (list_)->last = (entry_);                                                               \
    } while (0)

#define LIST_REMOVE(list_, entry_, links_)                                                      \
    do {                                                                                        \
        links gone_ = (entry_)->links_;                                                         \
        *(gone_.before ? &gone_.before->links_.after : &(list_)->first) = gone_.after;          \
        *(gone_.after ? &gone_.after->links_.before : &(list_)->last) = gone_.before;           \
    } while (0)

static list *use_list(wlmi_flow_table *table, const entry *e)
{
    return e->closed ? &table->closed : &table->open;
}

static uint64_t since(int64_t now, int64_t then)
{
    return now > then ? (uint64_t)now - (uint64_t)then : 0;
}

/* Idle, or the clock ran back by so much that the packet cannot belong to the flow any more. */
static int is_idle(const wlmi_flow_table *table, const entry *e, int64_t now)
{
    uint64_t limit = (uint64_t)(e->closed ? CLOSED_NS : table->options.idle_ns);
    return since(now, e->flow.last_ns) > limit || since(e->flow.last_ns, now) > (uint64_t)table->options.idle_ns;
}

static int add_slab(wlmi_flow_table *table)
{
    size_t head = (sizeof(slab) + 15) / 16 * 16;
    uint64_t room = table->options.max_flows - table->size;
    size_t count = room < SLAB_FLOWS ? (size_t)room : SLAB_FLOWS;
    if (table->entry_size > (SIZE_MAX - head) / SLAB_FLOWS)
        return 0;
    slab *s = wlmi_alloc(head + count * table->entry_size);
    if (!s)
        return 0;
    s->next = table->slabs;
    table->slabs = s;
    for (size_t i = count; i-- > 0;) {
        entry *e = (entry *)((char *)s + head + i * table->entry_size);
        e->next = table->free;
        table->free = e;
    }
    return 1;
}

/* Twice as many buckets; where there is no memory for them the table goes on with longer chains. */
static void grow_buckets(wlmi_flow_table *table)
{
    size_t buckets = 2 * table->buckets;
    entry **bucket = wlmi_alloc_zero(buckets, sizeof *bucket);
    if (!bucket)
        return;
    for (entry *e = table->opening.first; e; e = e->opening.after) {
        entry **at = &bucket[e->hash & (buckets - 1)];
        e->next = *at;
        *at = e;
    }
    wlmi_free(table->bucket);
    table->bucket = bucket;
    table->buckets = buckets;
}

/* ---------------------------------------------------------------- identity */

static uint64_t hash_of(const identity *id)
{
    uint64_t hash = HASH_KEY, word;
    for (size_t i = 0; i < sizeof *id; i += sizeof word) {
        memcpy(&word, (const char *)id + i, sizeof word);
        hash = wlmi_mix2(hash, word);
    }
    return hash;
}

/* Key with the packet's sender as source; unknown parts stay 0. */
static void key_of(const wlm_packet *p, const wlmi_headers *h, wlm_flow_key *key)
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

static void turn(wlm_flow_key *key)
{
    uint8_t address[16];
    uint16_t port = key->src_port;
    memcpy(address, key->src, sizeof address);
    memcpy(key->src, key->dst, sizeof address);
    memcpy(key->dst, address, sizeof address);
    key->src_port = key->dst_port;
    key->dst_port = port;
}

/* Whether the source comes first in the order of bytes. */
static int is_ordered(const wlm_flow_key *key)
{
    int order = memcmp(key->src, key->dst, sizeof key->src);
    return order < 0 || (order == 0 && key->src_port <= key->dst_port);
}

static void identity_of(const wlm_flow_key *key, identity *id)
{
    wlm_flow_key k = *key;
    if (!is_ordered(&k))
        turn(&k);
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

static entry *find(const wlmi_flow_table *table, const identity *id, uint64_t hash)
{
    entry *e = table->bucket[hash & (table->buckets - 1)];
    while (e && (e->hash != hash || memcmp(&e->id, id, sizeof *id) != 0))
        e = e->next;
    return e;
}

/* Remembers the ports of first fragments and gives them to later ones. */
static void ports_of_fragment(wlmi_flow_table *table, const wlm_packet *p, const wlmi_headers *h, wlm_flow_key *key)
{
    uint64_t word[4], hash = wlmi_mix2(HASH_KEY, h->fragment_id);
    memcpy(word, key->src, 16);
    memcpy(word + 2, key->dst, 16);
    for (int i = 0; i < 4; i++)
        hash = wlmi_mix2(hash, word[i]);
    fragment *f = &table->fragment[hash % FRAGMENTS];
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
               !memcmp(f->dst, key->dst, 16) && since(p->time_ns, f->time_ns) <= (uint64_t)FRAGMENT_NS &&
               since(f->time_ns, p->time_ns) <= (uint64_t)FRAGMENT_NS) {
        key->src_port = f->src_port;
        key->dst_port = f->dst_port;
    }
}

/* ---------------------------------------------------------------- ending flows */

static void end_flow(wlmi_flow_table *table, entry *e, wlm_flow_end end)
{
    entry **at = &table->bucket[e->hash & (table->buckets - 1)];
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    LIST_REMOVE(use_list(table, e), e, use);
    LIST_REMOVE(&table->opening, e, opening);
    table->size--;
    e->flow.end = end;
    if (table->expired)
        table->expired(table->owner, &e->flow);
    e->next = table->free;
    table->free = e;
}

static void expire(wlmi_flow_table *table, int64_t now)
{
    while (table->closed.first && is_idle(table, table->closed.first, now))
        end_flow(table, table->closed.first, WLM_END_CLOSED);
    while (table->open.first && is_idle(table, table->open.first, now))
        end_flow(table, table->open.first, WLM_END_TIMEOUT);
}

static void make_room(wlmi_flow_table *table)
{
    if (table->size < table->options.max_flows)
        return;
    if (table->closed.first) {
        end_flow(table, table->closed.first, WLM_END_CLOSED);
        return;
    }
    table->evictions++;
    end_flow(table, table->open.first, WLM_END_EVICTED);
}

/* ---------------------------------------------------------------- TCP */

typedef struct segment {
    int flags;         /* -1: no TCP header, or too little of it */
    uint32_t seq, ack; /* with flags */
} segment;

static segment segment_of(const wlm_packet *p, const wlmi_headers *h)
{
    segment s = {-1, 0, 0};
    if (h->proto == WLMI_PROTO_TCP && h->transport != WLMI_ABSENT && h->transport_len >= 14) {
        s.flags = h->tcp_flags;
        s.seq = wlmi_load_be32(p->data + h->transport + 4);
        s.ack = wlmi_load_be32(p->data + h->transport + 8);
    }
    return s;
}

static int is_syn(const segment *s)
{
    return s->flags >= 0 && s->flags & WLMI_TCP_SYN && !(s->flags & WLMI_TCP_RST);
}

static int is_syn_ack(const segment *s)
{
    return is_syn(s) && s->flags & WLMI_TCP_ACK;
}

static wlm_flow_start start_of(const wlmi_headers *h, const segment *s)
{
    if (h->proto != WLMI_PROTO_TCP || h->transport == WLMI_ABSENT)
        return WLM_START_FIRST;
    return is_syn_ack(s) ? WLM_START_SYNACK : is_syn(s) ? WLM_START_SYN : WLM_START_MID;
}

/* Whether a segment of direction d cannot belong to the connection that the entry holds. */
static int begins_anew(const entry *e, const segment *s, int d)
{
    if (!is_syn(s))
        return 0;
    if (!is_syn_ack(s) && e->closed)
        return 1;
    if (!e->closed && !e->spoke)
        return 0;
    if (is_syn_ack(s) && e->isn_known[!d]) /* it may acknowledge data that came with the SYN (RFC 7413) */
        return s->ack - 1 - e->isn[!d] > 0xffff;
    return !e->isn_known[d] || e->isn[d] != s->seq;
}

static void track(wlmi_flow_table *table, entry *e, const segment *s, int d)
{
    if (s->flags < 0)
        return;
    if (is_syn(s)) {
        e->isn[d] = s->seq;
        e->isn_known[d] = 1;
        if (is_syn_ack(s) && !e->isn_known[!d]) {
            e->isn[!d] = s->ack - 1;
            e->isn_known[!d] = 1;
        }
    }
    e->spoke |= !is_syn(s);
    e->fin[d] |= (s->flags & WLMI_TCP_FIN) != 0;
    if (!e->closed && ((e->fin[0] && e->fin[1]) || s->flags & WLMI_TCP_RST)) {
        LIST_REMOVE(&table->open, e, use);
        e->closed = 1;
        LIST_APPEND(&table->closed, e, use);
    }
}

/* ---------------------------------------------------------------- the table */

static int is_echo_reply(const wlm_packet *p, const wlmi_headers *h)
{
    if (h->transport == WLMI_ABSENT || h->transport_len < 8)
        return 0;
    uint8_t type = p->data[h->transport];
    return (h->proto == WLMI_PROTO_ICMP && type == 0) || (h->proto == WLMI_PROTO_ICMPV6 && type == 129);
}

static entry *open_flow(wlmi_flow_table *table, const wlm_packet *p, const wlm_flow_key *key, const identity *id,
                        uint64_t hash, wlm_flow_start start)
{
    make_room(table);
    if (!table->free && !add_slab(table))
        return NULL;
    entry *e = table->free;
    table->free = e->next;
    memset(e, 0, table->entry_size);
    e->flow.id = ++table->opened;
    e->flow.key = *key;
    e->flow.start = start;
    e->flow.first_ns = e->flow.last_ns = p->time_ns;
    e->flow.first_packet = p->number;
    e->flow.user = e + 1;
    e->id = *id;
    e->hash = hash;
    LIST_APPEND(&table->open, e, use);
    LIST_APPEND(&table->opening, e, opening);
    entry **at = &table->bucket[hash & (table->buckets - 1)];
    e->next = *at;
    *at = e;
    if (++table->size > table->buckets)
        grow_buckets(table);
    return e;
}

wlm_status wlmi_flow_of(wlmi_flow_table *table, const wlm_packet *packet, const wlmi_headers *headers,
                        wlmi_flow **flow, int *backward, wlm_error *error)
{
    wlm_flow_key key;
    identity id;
    segment s = segment_of(packet, headers);
    int64_t now = packet->time_ns;

    if (table->opened == 0 || now > table->newest_ns)
        table->newest_ns = now;
    expire(table, now);
    key_of(packet, headers, &key);
    if (headers->fragment)
        ports_of_fragment(table, packet, headers, &key);
    identity_of(&key, &id);
    uint64_t hash = hash_of(&id);
    int sender_is_low = is_ordered(&key), source_is_low = sender_is_low;
    if (is_syn_ack(&s) || is_echo_reply(packet, headers))
        source_is_low = !sender_is_low;

    entry *e = find(table, &id, hash);
    if (e) {
        int d = is_ordered(&e->flow.key) != sender_is_low;
        int old = table->options.active_ns > 0 && since(now, e->flow.first_ns) > (uint64_t)table->options.active_ns;
        if (is_idle(table, e, now) || begins_anew(e, &s, d)) {
            end_flow(table, e, e->closed ? WLM_END_CLOSED : WLM_END_TIMEOUT);
            e = NULL;
        } else if (old) { /* the same conversation goes on: who opened it stays */
            source_is_low = is_ordered(&e->flow.key);
            end_flow(table, e, e->closed ? WLM_END_CLOSED : WLM_END_TIMEOUT);
            e = NULL;
        }
    }
    if (!e) {
        if (source_is_low != sender_is_low)
            turn(&key);
        e = open_flow(table, packet, &key, &id, hash, start_of(headers, &s));
        if (!e)
            return WLMI_NO_MEMORY(error);
    }
    int d = is_ordered(&e->flow.key) != sender_is_low;
    LIST_REMOVE(use_list(table, e), e, use);
    LIST_APPEND(use_list(table, e), e, use);
    track(table, e, &s, d);
    e->flow.last_ns = now > e->flow.last_ns ? now : e->flow.last_ns;
    e->flow.packets[d]++;
    e->flow.bytes[d] += packet->wire;
    *flow = &e->flow;
    *backward = d;
    return WLM_OK;
}

wlm_status wlmi_flow_table_new(wlmi_flow_table **table, const wlmi_flow_options *options,
                               void (*expired)(void *owner, wlmi_flow *flow), void *owner, wlm_error *error)
{
    wlmi_flow_table *t = wlmi_alloc_zero(1, sizeof *t);
    *table = NULL;
    if (!t)
        return WLMI_NO_MEMORY(error);
    if (options)
        t->options = *options;
    if (t->options.max_flows == 0)
        t->options.max_flows = 131072;
    if (t->options.idle_ns <= 0)
        t->options.idle_ns = INT64_C(120000000000);
    t->expired = expired;
    t->owner = owner;
    t->entry_size = (sizeof(entry) + t->options.user_size + 15) / 16 * 16;
    t->buckets = BUCKETS_FIRST;
    t->bucket = wlmi_alloc_zero(t->buckets, sizeof *t->bucket);
    if (!t->bucket) {
        wlmi_free(t);
        return WLMI_NO_MEMORY(error);
    }
    *table = t;
    return WLM_OK;
}

void wlmi_flow_table_flush(wlmi_flow_table *table)
{
    while (table->opening.first) {
        entry *e = table->opening.first;
        int idle = is_idle(table, e, table->newest_ns);
        end_flow(table, e, e->closed ? WLM_END_CLOSED : idle ? WLM_END_TIMEOUT : WLM_END_EOF);
    }
}

void wlmi_flow_let_go(wlmi_flow_table *table, wlmi_flow *flow, wlm_flow_end end)
{
    end_flow(table, (entry *)flow, end);
}

uint64_t wlmi_flow_table_evictions(const wlmi_flow_table *table)
{
    return table->evictions;
}

size_t wlmi_flow_table_size(const wlmi_flow_table *table)
{
    return table->size;
}

void wlmi_flow_table_free(wlmi_flow_table *table)
{
    if (!table)
        return;
    for (slab *s = table->slabs; s;) {
        slab *next = s->next;
        wlmi_free(s);
        s = next;
    }
    wlmi_free(table->bucket);
    wlmi_free(table);
}
