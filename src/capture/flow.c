/* flow.c: the flow table: a hash table of flows, least recently used lists for timeouts and eviction, and what TCP
 * flags tell about a flow's start and end. */
#include "capture/flow.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "capture/flow_key.h"

enum { SLAB_FLOWS = 256, BUCKETS_FIRST = 1024 };

static const int64_t CLOSED_NS = INT64_C(5000000000), SILENT_NS = INT64_C(5000000000);

typedef struct entry entry;

typedef struct links {
    entry *before, *after;
} links;

typedef struct list {
    entry *first, *last;
} list;

struct entry {
    wlmi_flow flow; /* first: a wlmi_flow pointer is its entry's */
    wlmi_identity id;
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
    wlmi_fragment fragment[WLMI_FRAGMENTS];
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

/* Without a connection nothing tells that a conversation is over but its silence; where that began well before the
 * capture's end, it was not the end that cut it. */
static int fell_silent(const wlmi_flow_table *table, const entry *e)
{
    return e->flow.key.proto != WLMI_PROTO_TCP && since(table->newest_ns, e->flow.last_ns) > (uint64_t)SILENT_NS;
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

/* ---------------------------------------------------------------- finding and ending flows */

static entry *find(const wlmi_flow_table *table, const wlmi_identity *id, uint64_t hash)
{
    entry *e = table->bucket[hash & (table->buckets - 1)];
    while (e && (e->hash != hash || memcmp(&e->id, id, sizeof *id) != 0))
        e = e->next;
    return e;
}

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

/* ---------------------------------------------------------------- what TCP and ICMP tell */

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

static int is_echo_reply(const wlm_packet *p, const wlmi_headers *h)
{
    if (h->transport == WLMI_ABSENT || h->transport_len < 8)
        return 0;
    uint8_t type = p->data[h->transport];
    return (h->proto == WLMI_PROTO_ICMP && type == 0) || (h->proto == WLMI_PROTO_ICMPV6 && type == 129);
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

static entry *open_flow(wlmi_flow_table *table, const wlm_packet *p, const wlm_flow_key *key, const wlmi_identity *id,
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
    wlmi_identity id;
    segment s = segment_of(packet, headers);
    int64_t now = packet->time_ns;

    if (table->opened == 0 || now > table->newest_ns)
        table->newest_ns = now;
    expire(table, now);
    wlmi_flow_key_of(packet, headers, &key);
    if (headers->fragment)
        wlmi_fragment_ports(table->fragment, packet, headers, &key);
    wlmi_identity_of(&key, &id);
    uint64_t hash = wlmi_identity_hash(&id);
    int sender_is_low = wlmi_flow_key_is_ordered(&key), source_is_low = sender_is_low;
    if (is_syn_ack(&s) || is_echo_reply(packet, headers))
        source_is_low = !sender_is_low;

    entry *e = find(table, &id, hash);
    if (e) {
        int d = wlmi_flow_key_is_ordered(&e->flow.key) != sender_is_low;
        int old = table->options.active_ns > 0 && since(now, e->flow.first_ns) > (uint64_t)table->options.active_ns;
        if (is_idle(table, e, now) || begins_anew(e, &s, d)) {
            end_flow(table, e, e->closed ? WLM_END_CLOSED : WLM_END_TIMEOUT);
            e = NULL;
        } else if (old) { /* the same conversation goes on: who opened it stays */
            source_is_low = wlmi_flow_key_is_ordered(&e->flow.key);
            end_flow(table, e, e->closed ? WLM_END_CLOSED : WLM_END_TIMEOUT);
            e = NULL;
        }
    }
    if (!e) {
        if (source_is_low != sender_is_low)
            wlmi_flow_key_turn(&key);
        e = open_flow(table, packet, &key, &id, hash, start_of(headers, &s));
        if (!e)
            return WLMI_NO_MEMORY(error);
    }
    int d = wlmi_flow_key_is_ordered(&e->flow.key) != sender_is_low;
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
        int idle = is_idle(table, e, table->newest_ns) || fell_silent(table, e);
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
