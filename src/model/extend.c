/* extend.c: a net is given embeddings that it was made without. Their rows are zero, so that it answers as before until
 * it is taught. */
#include <string.h>

#include "model/params.h"
#include "model/summary.h"

static wlm_status rows_wanted(int *rows, int wanted, const char *of, wlm_error *error)
{
    if (wanted && *rows && *rows != wanted)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "the model has %d rows of %s, not %d", *rows, of,
                         wanted);
    if (wanted)
        *rows = wanted;
    return WLM_OK;
}

/* Both have their parameters in the same order; `grown` has some more. */
static void copy_values(wlmi_net *grown, const wlmi_net *net)
{
    const wlmi_backend *b = net->backend;
    for (int i = 0, j = 0; j < net->params; i++)
        if (!strcmp(grown->param[i].name, net->param[j].name)) {
            b->zero(wlmi_value(grown, &grown->param[i]), grown->param[i].count);
            b->add(wlmi_value(grown, &grown->param[i]), wlmi_value(net, &net->param[j]), net->param[j].count);
            j++;
        }
}

/* It says nothing while its tasks' shares are 0; of zeros it could not learn. */
static wlm_status begin_summary(const wlmi_net *grown, const wlmi_net *net, uint64_t seed, wlm_error *error)
{
    for (int i = 0; grown->config.summary_pieces > net->config.summary_pieces && i < WLMI_SUMMARY_SLOTS; i++) {
        const wlmi_param *p = wlmi_summary_param(grown, (wlmi_summary_slot)i);
        if (!p->fixed)
            WLMI_TRY(wlmi_init_normal(grown, wlmi_value(grown, p), p->count, p->deviation, seed, p->name, error));
    }
    return WLM_OK;
}

wlm_status wlmi_net_extend(wlmi_net *net, int packet_rows, int role_rows, int summary_pieces, uint64_t seed, wlm_error *error)
{
    wlmi_config config = net->config;
    wlmi_net *grown, old;
    wlm_status status;
    WLMI_TRY(rows_wanted(&config.packet_rows, packet_rows, "segments", error));
    WLMI_TRY(rows_wanted(&config.role_rows, role_rows, "roles", error));
    WLMI_TRY(rows_wanted(&config.summary_pieces, summary_pieces, "a summary", error));
    WLMI_TRY(rows_wanted(&config.summary_labels, summary_pieces ? wlmi_summary_labels(net) : 0, "tasks and labels", error));
    WLMI_TRY(wlmi_net_make(&grown, &config, net->backend, error));
    status = wlmi_net_add_rows(grown, grown->rows, net->rows - grown->rows, error);
    if (status == WLM_OK) {
        copy_values(grown, net);
        status = begin_summary(grown, net, seed, error);
    }
    if (status == WLM_OK) {
        wlmi_net_refresh(grown);
        status = net->backend->status(error);
    }
    if (status == WLM_OK) {
        old = *net;
        *net = *grown;
        net->record = old.record;
        net->task = old.task;
        net->tasks = old.tasks;
        *grown = old;
        grown->task = NULL;
        grown->tasks = 0;
    }
    wlmi_net_free(grown);
    return status;
}
