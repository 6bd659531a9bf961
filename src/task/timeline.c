/* timeline.c: a binary heap of packets by time. */
#include "task/timeline.h"

#include <string.h>

#include "base/alloc.h"

typedef struct wlmi_moment {
    wlm_packet packet;
    uint64_t order;
    uint8_t *data;
} moment;

static int comes_before(const moment *a, const moment *b)
{
    if (a->packet.time_ns != b->packet.time_ns)
        return a->packet.time_ns < b->packet.time_ns;
    return a->order < b->order;
}

static void swap(moment *a, moment *b)
{
    moment kept = *a;
    *a = *b;
    *b = kept;
}

wlm_status wlmi_timeline_add(wlmi_timeline *t, const wlm_packet *packet, wlm_error *error)
{
    uint8_t *data = wlmi_alloc(packet->captured);
    size_t i = t->count;
    if (!data || !wlmi_grow(&t->heap, &t->capacity, t->count + 1, sizeof *t->heap)) {
        wlmi_free(data);
        return WLMI_NO_MEMORY(error);
    }
    memcpy(data, packet->data, packet->captured);
    t->heap[i] = (moment){*packet, t->pushed++, data};
    t->heap[i].packet.data = data;
    t->count++;
    for (; i > 0 && comes_before(&t->heap[i], &t->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&t->heap[i], &t->heap[(i - 1) / 2]);
    return WLM_OK;
}

static void sink(wlmi_timeline *t, size_t i)
{
    for (;;) {
        size_t least = i, child = 2 * i + 1;
        for (size_t c = child; c < child + 2 && c < t->count; c++)
            if (comes_before(&t->heap[c], &t->heap[least]))
                least = c;
        if (least == i)
            return;
        swap(&t->heap[i], &t->heap[least]);
        i = least;
    }
}

wlm_status wlmi_timeline_write(wlmi_timeline *t, int64_t before_ns, wlm_writer *writer, wlm_error *error)
{
    while (t->count && t->heap[0].packet.time_ns < before_ns) {
        WLMI_TRY(wlm_writer_packet(writer, &t->heap[0].packet, error));
        wlmi_free(t->heap[0].data);
        t->heap[0] = t->heap[--t->count];
        sink(t, 0);
    }
    return WLM_OK;
}

int wlmi_timeline_first(const wlmi_timeline *t, int64_t *time_ns)
{
    if (t->count)
        *time_ns = t->heap[0].packet.time_ns;
    return t->count > 0;
}

void wlmi_timeline_free(wlmi_timeline *t)
{
    for (size_t i = 0; i < t->count; i++)
        wlmi_free(t->heap[i].data);
    wlmi_free(t->heap);
    memset(t, 0, sizeof *t);
}
