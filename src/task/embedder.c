/* embedder.c: hidden states of packed flows, pooled to a vector for each. */
#include "task/embedder.h"

#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "task/labels.h"

enum { BATCH_ROWS = 8192 };

struct wlmi_embedder {
    wlm_model *model;
    wlmi_embedder_options options;
    wlmi_prefixes *pool;
    wlmi_rows rows;
    uint64_t *name;     /* [segments of rows] */
    size_t name_capacity;
    int32_t *position;  /* rows whose states are asked for */
    size_t position_capacity;
    float *state;       /* [positions, width] */
    size_t state_capacity;
    float *vector;      /* [width] */
};

const char *wlm_pool_name(wlm_pool pool)
{
    static const char *const name[] = {"mean", "last", "ask"};
    return (unsigned)pool < 3 ? name[pool] : "unknown";
}

wlm_status wlm_pool_parse(const char *name, wlm_pool *pool)
{
    for (wlm_pool p = WLM_POOL_MEAN; p <= WLM_POOL_ASK; p++)
        if (!strcmp(name, wlm_pool_name(p))) {
            *pool = p;
            return WLM_OK;
        }
    return WLM_ERR_ARGUMENT;
}

wlm_status wlmi_embedder_new(wlmi_embedder **embedder, wlm_model *model, const wlmi_view *view,
                             const wlmi_embedder_options *options, wlm_error *error)
{
    wlmi_embedder *e = wlmi_alloc_zero(1, sizeof *e);
    wlm_status status;
    *embedder = NULL;
    if (!e)
        return WLMI_NO_MEMORY(error);
    e->model = model;
    e->options = *options;
    if (!e->options.rows)
        e->options.rows = BATCH_ROWS;
    e->vector = wlmi_alloc_array((size_t)model->net->config.width, sizeof *e->vector);
    status = e->vector ? wlmi_prefixes_new(&e->pool, view, error) : WLMI_NO_MEMORY(error);
    if (status == WLM_OK)
        *embedder = e;
    else
        wlmi_embedder_free(e);
    return status;
}

void wlmi_embedder_free(wlmi_embedder *e)
{
    if (!e)
        return;
    wlmi_prefixes_free(e->pool);
    wlmi_rows_free(&e->rows);
    wlmi_free(e->name);
    wlmi_free(e->position);
    wlmi_free(e->state);
    wlmi_free(e->vector);
    wlmi_free(e);
}

/* ---------------------------------------------------------------- flows in */

wlm_status wlmi_embedder_packet(wlmi_embedder *e, wlmi_prefix *prefix, const wlm_flow_key *key,
                                const wlm_packet *packet, wlm_error *error)
{
    if (!prefix->packets)
        prefix->hide_key = wlmi_mix2(wlmi_tuple_hash(key), (uint64_t)packet->time_ns);
    return wlmi_prefix_take(e->pool, prefix, key, packet, error);
}

static wlm_status append(wlmi_embedder *e, const wlmi_prefix *prefix, uint64_t name, wlm_error *error)
{
    const wlmi_codec *codec = e->model->codec;
    if (!wlmi_grow(&e->name, &e->name_capacity, (size_t)e->rows.segments + 1, sizeof *e->name))
        return WLMI_NO_MEMORY(error);
    e->name[e->rows.segments] = name;
    if (e->options.pool == WLM_POOL_ASK)
        return wlmi_prefix_ask(prefix, e->model->net, codec, 0, e->options.task, &e->rows, error);
    return wlmi_prefix_rows(prefix, codec, 0, 1 + prefix->tokens.count, &e->rows, error);
}

wlm_status wlmi_embedder_add(wlmi_embedder *e, wlmi_prefix *prefix, uint64_t name, wlm_error *error)
{
    wlm_status status = append(e, prefix, name, error);
    wlmi_embedder_drop(e, prefix);
    if (status == WLM_OK && (size_t)e->rows.tokens >= e->options.rows)
        status = wlmi_embedder_run(e, error);
    return status;
}

void wlmi_embedder_drop(wlmi_embedder *e, wlmi_prefix *prefix)
{
    wlmi_prefix_free(e->pool, prefix);
}

wlm_status wlmi_embedder_flow(wlmi_embedder *e, const wlmi_dataset *data, uint64_t flow, uint64_t name,
                              uint64_t used[2], wlm_error *error)
{
    wlmi_prefix prefix = {.encoder = NULL};
    wlm_status status = WLM_OK;
    wlmi_shard_flow at;
    wlmi_dataset_flow(data, flow, &at);
    for (uint64_t j = 0; status == WLM_OK && j < at.packets && !prefix.complete; j++) {
        wlm_packet packet;
        status = wlmi_dataset_packet(data, flow, j, &packet, error);
        if (status == WLM_OK)
            status = wlmi_embedder_packet(e, &prefix, &at.key, &packet, error);
    }
    if (status != WLM_OK) {
        wlmi_embedder_drop(e, &prefix);
        return status;
    }
    if (used) {
        used[0] = prefix.packets;
        used[1] = prefix.tokens.count;
    }
    return wlmi_embedder_add(e, &prefix, name, error);
}

/* ---------------------------------------------------------------- vectors out */

/* The rows of segment s whose states count: the first, and how many up to the segment's end. <flow> alone stands for a
 * flow without tokens. */
static int first_state(const wlmi_embedder *e, int s, int *count)
{
    const int from = e->rows.starts[s], end = e->rows.starts[s + 1];
    *count = e->options.pool == WLM_POOL_MEAN && end - from > 1 ? end - from - 1 : 1;
    return end - *count;
}

static wlm_status list_positions(wlmi_embedder *e, int *positions, wlm_error *error)
{
    if (!wlmi_grow(&e->position, &e->position_capacity, (size_t)e->rows.tokens, sizeof *e->position))
        return WLMI_NO_MEMORY(error);
    *positions = 0;
    for (int s = 0, count; s < e->rows.segments; s++) {
        const int first = first_state(e, s, &count);
        for (int i = 0; i < count; i++)
            e->position[(*positions)++] = first + i;
    }
    return WLM_OK;
}

static void pool_states(wlmi_embedder *e, const float *state, int count)
{
    const int width = e->model->net->config.width;
    for (int d = 0; d < width; d++) {
        double sum = 0;
        for (int i = 0; i < count; i++)
            sum += state[(size_t)i * (size_t)width + (size_t)d];
        e->vector[d] = (float)(sum / count);
    }
}

wlm_status wlmi_embedder_run(wlmi_embedder *e, wlm_error *error)
{
    const wlmi_batch batch = wlmi_rows_batch(&e->rows);
    const size_t width = (size_t)e->model->net->config.width;
    const float *state;
    int positions = 0;
    if (!e->rows.segments)
        return WLM_OK;
    WLMI_TRY(list_positions(e, &positions, error));
    if (!wlmi_grow(&e->state, &e->state_capacity, (size_t)positions * width, sizeof *e->state))
        return WLMI_NO_MEMORY(error);
    WLMI_TRY(wlmi_net_hidden(e->model->net, &batch, e->position, positions, e->state, error));
    state = e->state;
    for (int s = 0, count; s < e->rows.segments; s++) {
        first_state(e, s, &count);
        pool_states(e, state, count);
        state += (size_t)count * width;
        e->options.embedded(e->options.owner, e->name[s], e->vector);
    }
    wlmi_rows_clear(&e->rows);
    return WLM_OK;
}
