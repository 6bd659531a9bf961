/* slices.c: see slices.h. */
#include "model/slices.h"

#include <string.h>

#include "base/alloc.h"

enum {
    ROWS = 512,      /* of a slice where there are many: its activations fit a processor's second cache */
    ROWS_LEAST = 16, /* under which a thread by itself gains nothing */
};

int wlmi_slices_for(const wlmi_batch *batch, int threads)
{
    const wlmi_segments *s = &batch->segments;
    int longest = 0, count = (batch->tokens + ROWS - 1) / ROWS;
    for (int i = 0; i < s->count; i++)
        longest = s->starts[i + 1] - s->starts[i] > longest ? s->starts[i + 1] - s->starts[i] : longest;
    count = (count + threads - 1) / threads * threads; /* each thread as many */
    if (batch->tokens < count * ROWS_LEAST || (threads > 1 && longest > batch->tokens / threads))
        return 1;
    return count < s->count ? count : s->count;
}

/* The middle of a segment decides: slices are whole segments, side by side. */
static int slice_of(const wlmi_batch *batch, int segment, int count)
{
    const int32_t *starts = batch->segments.starts;
    return (int)(((int64_t)starts[segment] + starts[segment + 1]) * count / 2 / batch->tokens);
}

static wlm_status reserve(wlmi_slices *s, const wlmi_batch *batch, int count, int n, int parts, wlm_error *error)
{
    const size_t numbers = (size_t)batch->segments.count + (size_t)count * (size_t)(1 + parts) + 2 * (size_t)n;
    if (!wlmi_grow(&s->slice, &s->capacity, (size_t)count, sizeof *s->slice) ||
        !wlmi_grow(&s->numbers, &s->numbers_capacity, numbers, sizeof *s->numbers))
        return WLMI_NO_MEMORY(error);
    memset(s->slice, 0, (size_t)count * sizeof *s->slice);
    memset(s->numbers, 0, numbers * sizeof *s->numbers);
    return WLM_OK;
}

/* Rows and segments of every slice; returns what of numbers is free. */
static int32_t *cut_segments(wlmi_slices *s, const wlmi_batch *batch, int count)
{
    const int32_t *starts = batch->segments.starts;
    int32_t *free_numbers = s->numbers;
    s->count = 0;
    for (int i = 0, now = -1; i < batch->segments.count; i++) {
        wlmi_slice *slice;
        if (slice_of(batch, i, count) != now) {
            const int first = starts[i];
            now = slice_of(batch, i, count);
            slice = &s->slice[s->count++];
            slice->segment = i;
            slice->batch = (wlmi_batch){
                .id = batch->id + first, .packet = batch->packet ? batch->packet + first : NULL,
                .role = batch->role ? batch->role + first : NULL, .measure = batch->measure ? batch->measure + first : NULL,
                .segments = {0, free_numbers++},
            };
        }
        slice = &s->slice[s->count - 1];
        slice->batch.tokens = starts[i + 1] - starts[slice->segment];
        slice->batch.segments.count++;
        *free_numbers++ = slice->batch.tokens;
    }
    return free_numbers;
}

static wlmi_slice *slice_with(const wlmi_slices *s, const wlmi_batch *batch, int32_t row)
{
    int low = 0, high = s->count - 1;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (batch->segments.starts[s->slice[middle].segment] <= row)
            low = middle;
        else
            high = middle - 1;
    }
    return &s->slice[low];
}

wlm_status wlmi_slices_cut(wlmi_slices *s, const wlmi_batch *batch, int count, const int32_t *positions,
                           const wlmi_logits *part, int parts, wlm_error *error)
{
    int32_t *free_numbers;
    int n = 0, at = 0;
    for (int p = 0; p < parts; p++)
        n += part[p].n;
    WLMI_TRY(reserve(s, batch, count, n, parts, error));
    free_numbers = cut_segments(s, batch, count);
    for (int i = 0; i < n; i++)
        slice_with(s, batch, positions[i])->n++;
    for (int i = 0; i < s->count; i++) {
        wlmi_slice *slice = &s->slice[i];
        slice->of_part = free_numbers;
        slice->position = slice->of_part + parts;
        slice->place = slice->position + slice->n;
        free_numbers = slice->place + slice->n;
        slice->n = 0;
    }
    for (int p = 0; p < parts; p++)
        for (int i = 0; i < part[p].n; i++, at++) {
            wlmi_slice *slice = slice_with(s, batch, positions[at]);
            slice->position[slice->n] = positions[at] - batch->segments.starts[slice->segment];
            slice->place[slice->n++] = i;
            slice->of_part[p]++;
        }
    return WLM_OK;
}

void wlmi_slices_free(wlmi_slices *s)
{
    wlmi_free(s->slice);
    wlmi_free(s->numbers);
    memset(s, 0, sizeof *s);
}
