/* rows.c: sequences packed one behind the other. */
#include "task/rows.h"

#include <limits.h>
#include <string.h>

#include "base/alloc.h"

static int widen(int32_t **array, size_t room)
{
    int32_t *grown = wlmi_realloc(*array, room * sizeof **array);
    if (grown)
        *array = grown;
    return grown != NULL;
}

wlm_status wlmi_rows_reserve(wlmi_rows *r, size_t tokens, wlm_error *error)
{
    size_t need = (size_t)r->tokens + tokens, room = r->capacity ? (size_t)r->capacity : 1024;
    if (need > INT_MAX / 2)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "a batch of more than %d rows", INT_MAX / 2);
    while (room < need)
        room *= 2;
    if (room > (size_t)r->capacity) {
        float *weight;
        int64_t *measure;
        if (!widen(&r->id, room) || !widen(&r->packet, room) || !widen(&r->role, room) ||
            !widen(&r->target, room) || !widen(&r->first, room) || !widen(&r->last, room))
            return WLMI_NO_MEMORY(error);
        weight = wlmi_realloc(r->weight, room * sizeof *weight);
        if (!weight)
            return WLMI_NO_MEMORY(error);
        r->weight = weight;
        measure = wlmi_realloc(r->measure, room * sizeof *measure);
        if (!measure)
            return WLMI_NO_MEMORY(error);
        r->measure = measure;
        r->capacity = (int)room;
    }
    if (r->segments + 2 > r->segment_capacity) {
        int segments = r->segment_capacity ? 2 * r->segment_capacity : 64;
        if (!widen(&r->starts, (size_t)segments))
            return WLMI_NO_MEMORY(error);
        r->segment_capacity = segments;
    }
    return WLM_OK;
}

void wlmi_rows_put(wlmi_rows *r, int32_t id, int32_t packet, int32_t role)
{
    int i = r->tokens++;
    r->id[i] = id;
    r->packet[i] = packet;
    r->role[i] = role;
    r->measure[i] = 0;
    r->target[i] = -1;
    r->first[i] = r->last[i] = 0;
    r->weight[i] = 0;
}

void wlmi_rows_put_token(wlmi_rows *r, const wlmi_tokens *t, size_t i)
{
    wlmi_rows_put(r, t->token[i], (int32_t)t->packet[i], t->role[i]);
    wlmi_rows_measure(r, t->measure[i]);
}

void wlmi_rows_put_again(wlmi_rows *r, const wlmi_rows *others, int i)
{
    wlmi_rows_put(r, others->id[i], others->packet[i], others->role[i]);
    wlmi_rows_measure(r, others->measure[i]);
}

void wlmi_rows_measure(wlmi_rows *r, int64_t measure)
{
    r->measure[r->tokens - 1] = measure;
}

void wlmi_rows_aim(wlmi_rows *r, int32_t target, int32_t first, int32_t last, float weight)
{
    int i = r->tokens - 1;
    r->target[i] = target;
    r->first[i] = first;
    r->last[i] = last;
    r->weight[i] = weight;
}

void wlmi_rows_close(wlmi_rows *r)
{
    if (r->segments == 0)
        r->starts[0] = 0;
    r->starts[++r->segments] = r->tokens;
}

void wlmi_rows_clear(wlmi_rows *r)
{
    r->tokens = r->segments = 0;
}

void wlmi_rows_cut(wlmi_rows *r, int segments)
{
    r->segments = segments;
    r->tokens = segments ? r->starts[segments] : 0;
}

void wlmi_rows_free(wlmi_rows *r)
{
    wlmi_free(r->id);
    wlmi_free(r->packet);
    wlmi_free(r->role);
    wlmi_free(r->measure);
    wlmi_free(r->target);
    wlmi_free(r->first);
    wlmi_free(r->last);
    wlmi_free(r->weight);
    wlmi_free(r->starts);
    memset(r, 0, sizeof *r);
}

wlmi_batch wlmi_rows_batch(const wlmi_rows *r)
{
    wlmi_batch batch = {r->tokens, r->id,   r->packet, r->role,   r->target,
                        r->first,  r->last, r->weight, {r->segments, r->starts}, r->measure};
    return batch;
}
