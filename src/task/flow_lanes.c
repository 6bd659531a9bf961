/* flow_lanes.c: flows sampled side by side. */
#include "task/flow_lanes.h"

#include "base/alloc.h"

enum {
    LANES = 32,
    AHEAD = 8,      /* flows that a lane may have made before they are asked for */
    IDLE_ROWS = 64  /* an idle lane's stream begins anew after so many rows, so that it does not grow */
};

typedef struct lane {
    wlmi_flow_sampler *sampler;
    wlmi_stream stream;
    wlmi_sampled_flow flow[AHEAD]; /* its i-th flow in flow[i % AHEAD] */
    uint64_t made, taken;          /* flows complete; flows handed out and given back */
    int busy;
} lane;

struct wlmi_flow_lanes {
    wlm_model *model;
    const wlm_stop *stop;
    uint64_t seed, count, next;
    int lanes;
    lane lane[LANES];
    wlmi_stream *stream[LANES];
    float *logits;               /* [lanes, vocabulary] */
    int64_t measure[LANES];
    int32_t id[LANES], packet[LANES], role[LANES], starts[LANES + 1], position[LANES];
};

static wlm_status prepare(wlmi_flow_lanes *l, const wlmi_flow_sampler_options *options, wlm_error *error)
{
    l->logits = wlmi_alloc_array((size_t)l->lanes * l->model->codec->vocabulary, sizeof *l->logits);
    if (!l->logits)
        return WLMI_NO_MEMORY(error);
    for (int k = 0; k < l->lanes; k++) {
        WLMI_TRY(wlmi_flow_sampler_new(&l->lane[k].sampler, l->model, options, error));
        WLMI_TRY(wlmi_stream_new(&l->lane[k].stream, l->model->net, error));
        l->stream[k] = &l->lane[k].stream;
        l->position[k] = l->starts[k] = k;
    }
    l->starts[l->lanes] = l->lanes;
    return WLM_OK;
}

wlm_status wlmi_flow_lanes_new(wlmi_flow_lanes **lanes, wlm_model *model, const wlmi_flow_sampler_options *options,
                               uint64_t seed, uint64_t count, wlm_error *error)
{
    wlmi_flow_lanes *l = wlmi_alloc_zero(1, sizeof *l);
    wlm_status status;
    *lanes = NULL;
    if (!l)
        return WLMI_NO_MEMORY(error);
    l->model = model;
    l->stop = options->stop;
    l->seed = seed;
    l->count = count;
    l->lanes = model->net->record.unit == WLM_UNIT_CAPTURE ? 1 : LANES;
    status = prepare(l, options, error);
    if (status == WLM_OK)
        *lanes = l;
    else
        wlmi_flow_lanes_free(l);
    return status;
}

void wlmi_flow_lanes_free(wlmi_flow_lanes *l)
{
    if (!l)
        return;
    for (int k = 0; k < l->lanes; k++) {
        wlmi_flow_sampler_free(l->lane[k].sampler);
        wlmi_stream_free(&l->lane[k].stream);
        for (int i = 0; i < AHEAD; i++)
            wlmi_sampled_flow_free(&l->lane[k].flow[i]);
    }
    wlmi_free(l->logits);
    wlmi_free(l);
}

/* What lane k feeds next: a row of its flow, or of the next one, or, where it has none, one that nobody reads. */
static wlm_status choose_row(wlmi_flow_lanes *l, int k, wlm_error *error)
{
    lane *a = &l->lane[k];
    const float *logits = l->logits + (size_t)k * l->model->codec->vocabulary;
    wlmi_sampler_row row;
    for (int over = 1; over;) {
        const uint64_t flow = (uint64_t)k + a->made * (uint64_t)l->lanes;
        if (!a->busy && (flow >= l->count || a->made - a->taken == AHEAD)) {
            row = (wlmi_sampler_row){(int32_t)l->model->codec->vocabulary + WLMI_FLOW_ROW, 0, 0, 0,
                                     a->stream.position >= IDLE_ROWS};
            break;
        }
        if (!a->busy)
            WLMI_TRY(wlmi_flow_sampler_begin(a->sampler, flow, wlmi_mix2(l->seed, flow), &a->flow[a->made % AHEAD],
                                             error));
        a->busy = 1;
        WLMI_TRY(wlmi_flow_sampler_next(a->sampler, logits, &row, &over, error));
        if (over) {
            a->busy = 0;
            a->made++;
        }
    }
    if (row.afresh)
        wlmi_stream_reset(&a->stream, l->model->net);
    l->id[k] = row.id;
    l->packet[k] = row.packet;
    l->role[k] = row.role;
    l->measure[k] = row.measure;
    return WLM_OK;
}

static wlm_status step(wlmi_flow_lanes *l, wlm_error *error)
{
    const wlmi_batch batch = {.tokens = l->lanes, .id = l->id, .packet = l->packet, .role = l->role, .measure = l->measure,
                              .segments = {l->lanes, l->starts}};
    for (int k = 0; k < l->lanes; k++)
        WLMI_TRY(choose_row(l, k, error));
    return wlmi_net_logits(l->model->net, &batch, l->stream, 1, l->position, l->lanes, 0,
                           (int)l->model->codec->vocabulary, l->logits, error);
}

wlm_status wlmi_flow_lanes_next(wlmi_flow_lanes *l, const wlmi_sampled_flow **flow, wlm_error *error)
{
    lane *a = &l->lane[l->next % (uint64_t)l->lanes];
    const uint64_t wanted = l->next / (uint64_t)l->lanes;
    if (l->next >= l->count)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no flow is left");
    if (l->stop && *l->stop)
        return WLM_STOPPED;
    a->taken = wanted; /* the one before is done with */
    while (a->made <= wanted)
        WLMI_TRY(step(l, error));
    *flow = &a->flow[wanted % AHEAD];
    l->next++;
    return WLM_OK;
}
