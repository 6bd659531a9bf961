/* labeller.c: packets in, answers about their flows out. */
#include "task/labeller.h"

#include "base/alloc.h"

struct wlmi_labeller {
    wlmi_labeller_options options;
    wlmi_prefixes *pool;
    wlmi_queue *queue;
    wlmi_flow_table *table; /* beside each flow a wlmi_watch * */
    uint64_t flows;
    int64_t now_ns, waiting_since_ns;
    wlm_status status;      /* of what the flow table's call-back did */
    wlm_error error;
};

static wlm_status ask(wlmi_labeller *l, const wlmi_flow *flow, wlmi_watch *watch, int last, wlm_error *error)
{
    if (!wlmi_queue_waiting(l->queue))
        l->waiting_since_ns = l->now_ns;
    l->flows += last != 0;
    return wlmi_queue_ask(l->queue, flow, watch, last, error);
}

static void expired(void *owner, wlmi_flow *flow)
{
    wlmi_labeller *l = owner;
    wlmi_watch *watch = *(wlmi_watch **)flow->user;
    if (!watch)
        return;
    if (l->status == WLM_OK && !watch->answered)
        l->status = ask(l, flow, watch, 1, &l->error);
    wlmi_queue_release(l->queue, watch);
}

wlm_status wlmi_labeller_new(wlmi_labeller **labeller, wlm_model *model, const wlmi_view *view,
                             const wlmi_labeller_options *options, wlm_error *error)
{
    const wlmi_flow_options flows = {.user_size = sizeof(wlmi_watch *)};
    wlmi_labeller *l = wlmi_alloc_zero(1, sizeof *l);
    wlm_status status;
    *labeller = NULL;
    if (!l)
        return WLMI_NO_MEMORY(error);
    l->options = *options;
    l->options.queue.keeps_states = options->every || options->ahead;
    l->options.queue.hide = view->hide;
    status = wlmi_prefixes_new(&l->pool, view, error);
    if (status == WLM_OK)
        status = wlmi_queue_new(&l->queue, model, l->pool, &l->options.queue, error);
    if (status == WLM_OK)
        status = wlmi_flow_table_new(&l->table, &flows, expired, l, error);
    if (status == WLM_OK)
        *labeller = l;
    else
        wlmi_labeller_free(l);
    return status;
}

/* What went wrong inside a call-back. */
static wlm_status failure(const wlmi_labeller *l, wlm_error *error)
{
    if (l->status != WLM_OK && error)
        *error = l->error;
    return l->status;
}

wlm_status wlmi_labeller_packet(wlmi_labeller *l, const wlm_packet *packet, int *used, wlm_error *error)
{
    wlmi_headers headers;
    wlmi_flow *flow, seen;
    wlmi_watch *watch, **place;
    uint32_t before;
    int backward;
    wlmi_decode(packet, &headers);
    *used = headers.ip_version != 0;
    if (!*used)
        return WLM_OK;
    l->now_ns = packet->time_ns;
    WLMI_TRY(wlmi_flow_of(l->table, packet, &headers, &flow, &backward, error));
    WLMI_TRY(failure(l, error));
    place = flow->user;
    if (!*place && !(*place = wlmi_alloc_zero(1, sizeof **place)))
        return WLMI_NO_MEMORY(error);
    watch = *place;
    before = watch->prefix.packets;
    if (watch->answered)
        return WLM_OK;
    WLMI_TRY(wlmi_prefix_take(l->pool, &watch->prefix, &flow->key, packet, error));
    if (l->options.early && watch->prefix.complete) {
        seen = *flow;
        seen.end = WLM_END_BUDGET;
        return ask(l, &seen, watch, 1, error);
    }
    if (l->options.every && watch->prefix.packets != before && watch->prefix.packets % l->options.every == 0) {
        seen = *flow;
        seen.end = WLM_END_OPEN;
        return ask(l, &seen, watch, 0, error);
    }
    return l->options.ahead ? wlmi_queue_ahead(l->queue, watch, error) : WLM_OK;
}

wlm_status wlmi_labeller_run(wlmi_labeller *l, wlm_error *error)
{
    return wlmi_queue_run(l->queue, error);
}

wlm_status wlmi_labeller_idle(wlmi_labeller *l, size_t rows, int *idle, wlm_error *error)
{
    *idle = 0;
    if (wlmi_queue_waiting(l->queue))
        return wlmi_queue_run(l->queue, error);
    if (!l->options.ahead)
        rows = 0;
    else
        WLMI_TRY(wlmi_queue_feed(l->queue, &rows, error));
    *idle = rows == 0;
    return WLM_OK;
}

wlm_status wlmi_labeller_finish(wlmi_labeller *l, wlm_error *error)
{
    wlmi_flow_table_flush(l->table);
    WLMI_TRY(failure(l, error));
    return wlmi_queue_run(l->queue, error);
}

int64_t wlmi_labeller_waited(const wlmi_labeller *l)
{
    return wlmi_queue_waiting(l->queue) ? l->now_ns - l->waiting_since_ns : -1;
}

uint64_t wlmi_labeller_flows(const wlmi_labeller *l)
{
    return l->flows;
}

uint64_t wlmi_labeller_evictions(const wlmi_labeller *l)
{
    return wlmi_flow_table_evictions(l->table);
}

wlmi_states_report wlmi_labeller_states(const wlmi_labeller *l)
{
    return wlmi_queue_states(l->queue);
}

void wlmi_labeller_free(wlmi_labeller *l)
{
    if (!l)
        return;
    l->status = WLM_STOPPED; /* what flows hold is released, nothing is asked */
    if (l->table)
        wlmi_flow_table_flush(l->table);
    wlmi_flow_table_free(l->table);
    wlmi_queue_free(l->queue);
    wlmi_prefixes_free(l->pool);
    wlmi_free(l);
}
