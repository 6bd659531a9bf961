/* ahead.c: captures read ahead of who takes them.
 *
 * Readers take up captures in order, so that the one to be taken next is always being read or was. Packets travel in
 * blocks. A reader waits where too many blocks are about, unless the taker waits for its very capture, and where its
 * capture is too far from the one to be taken. */
#include "task/ahead.h"

#include <pthread.h>
#include <sched.h>

#include "base/alloc.h"

enum { BLOCK_BYTES = 1 << 20, BLOCK_PACKETS = 8192, BLOCKS = 8, CAPTURES = 16 }; /* the last two: per thread */

typedef struct reading { /* of one capture */
    wlm_capture *capture;
    wlmi_flow_table *table;
    uint64_t flows;          /* that have opened */
    wlmi_ahead_flow *flow;   /* [flows], whole at the end */
    size_t capacity;
    wlm_status status;       /* WLM_OK: it goes on */
    wlm_error error;
    int done;                /* nothing more will be queued */
    wlmi_ahead_block *first, *last; /* queue between reader and taker; first NULL: it is empty */
} reading;

struct wlmi_ahead {
    const char *const *path;
    size_t count;
    pthread_t *thread;
    int threads;             /* that run; 0: the taker reads */
    pthread_mutex_t lock;    /* over all below */
    pthread_cond_t ready, room;
    int stop;
    size_t next, taken;      /* captures: the first that no one reads; the one at hand */
    reading *slot;           /* [slots] capture i is slot[i % slots] */
    size_t slots, blocks, most; /* blocks that exist and are not free; how many there may be */
    wlmi_ahead_block *free, *borrowed;
    int told;                /* the end of the capture at hand */
};

static int processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}

/* ---------------------------------------------------------------- reading a capture */

static void flow_ended(void *owner, wlmi_flow *f)
{
    reading *r = owner;
    r->flow[f->id - 1] = (wlmi_ahead_flow){f->key, f->start, f->end, !f->packets[0] || !f->packets[1]};
}

static void begin(reading *r, const char *path)
{
    const wlmi_flow_options options = {0, 0, 0, 0};
    r->status = wlm_capture_open(&r->capture, path, &r->error);
    if (r->status == WLM_OK)
        r->status = wlmi_flow_table_new(&r->table, &options, flow_ended, r, &r->error);
}

/* Lets go of all but the flows. */
static void end(reading *r)
{
    if (r->table && (r->status == WLM_END || r->status == WLM_ERR_FORMAT))
        wlmi_flow_table_flush(r->table);
    wlmi_flow_table_free(r->table);
    wlm_capture_close(r->capture);
    r->table = NULL;
    r->capture = NULL;
}

static wlm_status add_packet(reading *r, wlmi_ahead_block *b, const wlm_packet *packet)
{
    wlmi_headers headers;
    wlmi_flow *flow;
    int backward;
    wlmi_decode(packet, &headers);
    /* Room first: flows may end, and are then noted, before this packet's opens. */
    if (!wlmi_grow(&r->flow, &r->capacity, r->flows + 1, sizeof *r->flow) ||
        !wlmi_grow(&b->flow, &b->flow_capacity, b->packets.count + 1, sizeof *b->flow) ||
        !wlmi_grow(&b->opened, &b->opened_capacity, b->opens + 1, sizeof *b->opened))
        return WLMI_NO_MEMORY(&r->error);
    WLMI_TRY(wlmi_flow_of(r->table, packet, &headers, &flow, &backward, &r->error));
    if (flow->id > r->flows) {
        b->opened[b->opens++] = flow->key;
        r->flows = flow->id;
    }
    b->flow[b->packets.count] = flow->id - 1;
    return wlmi_packet_list_add(&b->packets, packet, &r->error);
}

static void fill(reading *r, wlmi_ahead_block *b)
{
    while (r->status == WLM_OK && b->packets.used < BLOCK_BYTES && b->packets.count < BLOCK_PACKETS) {
        wlm_packet packet;
        r->status = wlm_capture_next(r->capture, &packet, &r->error);
        if (r->status == WLM_OK)
            r->status = add_packet(r, b, &packet);
    }
}

/* ---------------------------------------------------------------- blocks */

static void empty(wlmi_ahead_block *b)
{
    wlmi_packet_list_cut(&b->packets, 0);
    b->opens = 0;
    b->next = NULL;
}

static void free_blocks(wlmi_ahead_block *b)
{
    while (b) {
        wlmi_ahead_block *next = b->next;
        wlmi_packet_list_free(&b->packets);
        wlmi_free(b->flow);
        wlmi_free(b->opened);
        wlmi_free(b);
        b = next;
    }
}

/* A free block or a new one, under the lock; NULL: out of memory. */
static wlmi_ahead_block *take_block(wlmi_ahead *a)
{
    wlmi_ahead_block *b = a->free;
    if (b)
        a->free = b->next;
    else
        b = wlmi_alloc_zero(1, sizeof *b);
    if (b) {
        empty(b);
        a->blocks++;
    }
    return b;
}

static void give_back(wlmi_ahead *a, wlmi_ahead_block *b)
{
    if (!b)
        return;
    b->next = a->free;
    a->free = b;
    a->blocks--;
}

/* ---------------------------------------------------------------- readers */

/* Under the lock: a block for capture i, once there may be one. NULL: it is not to be read on, as its status says. */
static wlmi_ahead_block *wait_for_block(wlmi_ahead *a, size_t i)
{
    reading *r = &a->slot[i % a->slots];
    wlmi_ahead_block *b;
    while (!a->stop && a->blocks >= a->most && (i != a->taken || r->first))
        pthread_cond_wait(&a->room, &a->lock);
    b = a->stop ? NULL : take_block(a);
    if (!b)
        r->status = a->stop ? WLM_STOPPED : WLMI_NO_MEMORY(&r->error);
    return b;
}

static void queue(wlmi_ahead *a, reading *r, wlmi_ahead_block *b)
{
    if (r->first)
        r->last->next = b;
    else
        r->first = b;
    r->last = b;
    pthread_cond_signal(&a->ready);
}

/* Under the lock, but while it reads. */
static void read_capture(wlmi_ahead *a, size_t i)
{
    reading *r = &a->slot[i % a->slots];
    pthread_mutex_unlock(&a->lock);
    begin(r, a->path[i]);
    pthread_mutex_lock(&a->lock);
    while (r->status == WLM_OK) {
        wlmi_ahead_block *b = wait_for_block(a, i);
        if (!b)
            break;
        pthread_mutex_unlock(&a->lock);
        fill(r, b);
        pthread_mutex_lock(&a->lock);
        queue(a, r, b);
    }
    pthread_mutex_unlock(&a->lock);
    end(r);
    pthread_mutex_lock(&a->lock);
    r->done = 1;
    pthread_cond_signal(&a->ready);
}

static void *read_captures(void *ahead)
{
    wlmi_ahead *a = ahead;
    pthread_mutex_lock(&a->lock);
    for (;;) {
        while (!a->stop && a->next < a->count && a->next - a->taken >= a->slots)
            pthread_cond_wait(&a->room, &a->lock);
        if (a->stop || a->next == a->count)
            break;
        read_capture(a, a->next++);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* ---------------------------------------------------------------- the taker */

wlm_status wlmi_ahead_new(wlmi_ahead **ahead, const char *const *path, size_t count, int threads, wlm_error *error)
{
    wlmi_ahead *a = wlmi_alloc_zero(1, sizeof *a);
    int readers;
    *ahead = a;
    if (!a)
        return WLMI_NO_MEMORY(error);
    readers = threads > 0 ? threads : processors();
    readers = readers == 1 ? 0 : (size_t)readers > count ? (int)count : readers;
    a->path = path;
    a->count = count;
    a->slots = readers ? (size_t)readers * CAPTURES : 1;
    a->most = readers ? (size_t)readers * BLOCKS : 1;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->ready, NULL);
    pthread_cond_init(&a->room, NULL);
    a->slot = wlmi_alloc_zero(a->slots, sizeof *a->slot);
    a->thread = wlmi_alloc_zero((size_t)readers, sizeof *a->thread);
    if (!a->slot || !a->thread) {
        wlmi_ahead_free(a);
        *ahead = NULL;
        return WLMI_NO_MEMORY(error);
    }
    /* Where the system gives no more threads, those that there are do. */
    while (a->threads < readers && !pthread_create(&a->thread[a->threads], NULL, read_captures, a))
        a->threads++;
    return WLM_OK;
}

/* Without readers: the taker reads the next block itself. */
static void read_one(wlmi_ahead *a, reading *r)
{
    wlmi_ahead_block *b;
    if (a->next == a->taken) {
        a->next++;
        begin(r, a->path[a->taken]);
    }
    b = r->status == WLM_OK ? take_block(a) : NULL;
    if (b) {
        fill(r, b);
        queue(a, r, b);
    } else if (r->status == WLM_OK) {
        r->status = WLMI_NO_MEMORY(&r->error);
    }
    if (r->status != WLM_OK) {
        end(r);
        r->done = 1;
    }
}

wlm_status wlmi_ahead_next(wlmi_ahead *a, const wlmi_ahead_block **block, wlm_error *error)
{
    reading *r;
    pthread_mutex_lock(&a->lock);
    give_back(a, a->borrowed);
    a->borrowed = NULL;
    if (a->told) {
        wlmi_free(a->slot[a->taken % a->slots].flow);
        a->slot[a->taken++ % a->slots] = (reading){0};
        a->told = 0;
    }
    r = &a->slot[a->taken % a->slots];
    pthread_cond_broadcast(&a->room);
    while (!r->first && !r->done && a->threads)
        pthread_cond_wait(&a->ready, &a->lock);
    while (!r->first && !r->done)
        read_one(a, r);
    if (r->first) {
        a->borrowed = r->first;
        r->first = r->first->next;
    }
    a->told = !a->borrowed;
    pthread_mutex_unlock(&a->lock);
    *block = a->borrowed;
    if (!a->told)
        return WLM_OK;
    if (error)
        *error = r->error;
    return r->status;
}

const wlmi_ahead_flow *wlmi_ahead_flows(const wlmi_ahead *a, size_t *count)
{
    const reading *r = &a->slot[a->taken % a->slots];
    *count = (size_t)r->flows;
    return r->flow;
}

void wlmi_ahead_free(wlmi_ahead *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->lock);
    a->stop = 1;
    pthread_cond_broadcast(&a->room);
    pthread_mutex_unlock(&a->lock);
    for (int i = 0; i < a->threads; i++)
        pthread_join(a->thread[i], NULL);
    for (size_t i = 0; a->slot && i < a->slots; i++) {
        end(&a->slot[i]);
        free_blocks(a->slot[i].first);
        wlmi_free(a->slot[i].flow);
    }
    free_blocks(a->free);
    free_blocks(a->borrowed);
    pthread_cond_destroy(&a->ready);
    pthread_cond_destroy(&a->room);
    pthread_mutex_destroy(&a->lock);
    wlmi_free(a->slot);
    wlmi_free(a->thread);
    wlmi_free(a);
}
