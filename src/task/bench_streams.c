/* bench_streams.c: streams fed in step. */
#include "task/bench_streams.h"

#include <string.h>

#include "base/alloc.h"
#include "base/io.h"

wlm_status wlmi_bench_streams_new(wlmi_bench_streams *s, wlmi_bench_model *model, int count, wlm_error *error)
{
    memset(s, 0, sizeof *s);
    s->model = model;
    s->stream = wlmi_alloc_zero((size_t)count, sizeof *s->stream);
    s->each = wlmi_alloc_zero((size_t)count, sizeof *s->each);
    s->position = wlmi_alloc_zero((size_t)count, sizeof *s->position);
    s->logits = wlmi_alloc_zero((size_t)count * WLMI_BENCH_LABELS, sizeof *s->logits);
    if (!s->stream || !s->each || !s->position || !s->logits)
        return WLMI_NO_MEMORY(error);
    for (s->count = 0; s->count < count; s->count++) {
        s->each[s->count] = &s->stream[s->count];
        WLMI_TRY(wlmi_stream_new(&s->stream[s->count], model->net, error));
    }
    return WLM_OK;
}

/* Model->rows go on the streams. read: labels' logits behind each stream's last row. */
static wlm_status go_on(wlmi_bench_streams *s, int keep, int read, double *seconds, wlm_error *error)
{
    const wlmi_batch batch = wlmi_rows_batch(&s->model->rows);
    double start_s;
    for (int i = 0; i < s->count; i++)
        s->position[i] = batch.segments.starts[i + 1] - 1;
    start_s = wlmi_clock();
    WLMI_TRY(wlmi_net_logits(s->model->net, &batch, s->each, keep, s->position, read ? s->count : 0, 0,
                             WLMI_BENCH_LABELS, s->logits, error));
    *seconds += wlmi_clock() - start_s;
    return WLM_OK;
}

wlm_status wlmi_bench_streams_feed(wlmi_bench_streams *s, int n, double *seconds, wlm_error *error)
{
    WLMI_TRY(wlmi_bench_model_batch(s->model, n, s->count, s->fed++, error));
    return go_on(s, 1, 1, seconds, error);
}

wlm_status wlmi_bench_streams_ask(wlmi_bench_streams *s, int n, double *seconds, wlm_error *error)
{
    wlmi_rows *rows = &s->model->rows;
    WLMI_TRY(wlmi_bench_model_batch(s->model, n, s->count, s->fed++, error));
    WLMI_TRY(go_on(s, 1, 0, seconds, error));
    wlmi_rows_clear(rows);
    for (int i = 0; i < s->count; i++) {
        WLMI_TRY(wlmi_rows_reserve(rows, 2, error));
        for (int32_t id = 0; id < 2; id++)
            wlmi_rows_put(rows, id, 0, 0);
        wlmi_rows_close(rows);
    }
    return go_on(s, 0, 1, seconds, error);
}

void wlmi_bench_streams_free(wlmi_bench_streams *s)
{
    for (int i = 0; i < s->count; i++)
        wlmi_stream_free(&s->stream[i]);
    wlmi_free(s->stream);
    wlmi_free(s->each);
    wlmi_free(s->position);
    wlmi_free(s->logits);
}
