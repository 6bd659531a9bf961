/* slots.c: the flows of a capture in numbered slots. */
#include "token/slots.h"

#include "base/alloc.h"

struct wlmi_slots {
    wlmi_flow_table *table;
    uint32_t *idle;    /* [count]: slots that were given back, the last one first to be used again */
    uint32_t idles;
    uint32_t fresh;    /* slots from here on were never used */
    wlmi_ended *ended; /* [count] */
    size_t endings;
};

typedef struct mark { /* beside each flow */
    uint32_t number; /* slot + 1; 0: none yet */
} mark;

static void expired(void *owner, wlmi_flow *flow)
{
    wlmi_slots *s = owner;
    const mark *m = flow->user;
    if (!m->number)
        return;
    s->ended[s->endings++] = (wlmi_ended){m->number - 1, wlmi_end_of(flow->end)};
    s->idle[s->idles++] = m->number - 1;
}

wlm_status wlmi_slots_new(wlmi_slots **slots, uint32_t count, wlm_error *error)
{
    const wlmi_flow_options options = {.max_flows = count, .user_size = sizeof(mark)};
    wlmi_slots *s = wlmi_alloc_zero(1, sizeof *s);
    wlm_status status;
    *slots = NULL;
    if (!s)
        return WLMI_NO_MEMORY(error);
    s->idle = wlmi_alloc_array(count, sizeof *s->idle);
    s->ended = wlmi_alloc_array(count, sizeof *s->ended);
    status = s->idle && s->ended ? wlmi_flow_table_new(&s->table, &options, expired, s, error) : WLMI_NO_MEMORY(error);
    if (status == WLM_OK)
        *slots = s;
    else
        wlmi_slots_free(s);
    return status;
}

void wlmi_slots_free(wlmi_slots *s)
{
    if (!s)
        return;
    wlmi_flow_table_free(s->table);
    wlmi_free(s->idle);
    wlmi_free(s->ended);
    wlmi_free(s);
}

wlm_status wlmi_slots_of(wlmi_slots *s, const wlm_packet *packet, uint32_t told, const wlmi_flow **flow,
                         uint32_t *slot, int *opened, wlm_error *error)
{
    wlm_packet seen = *packet;
    wlmi_headers headers;
    wlmi_flow *found;
    int backward;
    s->endings = 0;
    seen.captured = told < packet->captured ? told : packet->captured;
    wlmi_decode(&seen, &headers);
    WLMI_TRY(wlmi_flow_of(s->table, &seen, &headers, &found, &backward, error));
    mark *m = found->user;
    *opened = !m->number;
    if (!m->number)
        m->number = 1 + (s->idles ? s->idle[--s->idles] : s->fresh++);
    *slot = m->number - 1;
    *flow = found;
    return WLM_OK;
}

void wlmi_slots_flush(wlmi_slots *s)
{
    s->endings = 0;
    wlmi_flow_table_flush(s->table);
}

const wlmi_ended *wlmi_slots_ended(const wlmi_slots *s, size_t *count)
{
    *count = s->endings;
    return s->ended;
}
