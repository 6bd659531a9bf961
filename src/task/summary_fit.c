/* summary_fit.c: where the numbers of a model's summary have their quantiles. */
#include "task/summary_fit.h"

#include "base/alloc.h"
#include "model/summary.h"

enum { ENOUGH = 20000, MOST_BATCHES = 400 };

static wlm_status gather(const wlmi_net *net, wlmi_batches *batches, wlmi_rows *rows, float **number, size_t *count,
                         wlm_error *error)
{
    uint64_t cursor = 0;
    size_t room = 0;
    for (int i = 0; i < MOST_BATCHES && *count < ENOUGH; i++) {
        wlmi_batch batch;
        size_t asks;
        WLMI_TRY(wlmi_batches_next(batches, &cursor, rows, error));
        batch = wlmi_rows_batch(rows);
        asks = (size_t)wlmi_summary_asks(net, &batch);
        if (!wlmi_grow(number, &room, (*count + asks) * WLMI_SUMMARY_NUMBERS, sizeof **number))
            return WLMI_NO_MEMORY(error);
        wlmi_summary_collect(net, &batch, *number + *count * WLMI_SUMMARY_NUMBERS);
        *count += asks;
    }
    return WLM_OK;
}

wlm_status wlmi_fit_summary(wlmi_net *net, wlmi_batches *batches, wlm_error *error)
{
    wlmi_rows rows = {0};
    float *number = NULL;
    size_t count = 0;
    wlm_status status;
    if (!net->config.summary_pieces || wlmi_summary_is_fitted(net))
        return WLM_OK;
    status = gather(net, batches, &rows, &number, &count, error);
    if (status == WLM_OK && count)
        status = wlmi_summary_fit(net, number, count, error);
    wlmi_free(number);
    wlmi_rows_free(&rows);
    return status;
}
