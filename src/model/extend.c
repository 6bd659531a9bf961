/* extend.c: a net is given embeddings that it was made without, of zeros, so that it answers as before until it is
 * taught; and a summary, or loses it. */
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

/* Of parameters that both have. */
static void copy_values(wlmi_net *to, const wlmi_net *from)
{
    const wlmi_backend *b = from->backend;
    for (int i = 0; i < to->params; i++)
        for (int j = 0; j < from->params; j++)
            if (!strcmp(to->param[i].name, from->param[j].name)) {
                b->zero(wlmi_value(to, &to->param[i]), to->param[i].count);
                b->add(wlmi_value(to, &to->param[i]), wlmi_value(from, &from->param[j]), from->param[j].count);
            }
}

/* The net becomes one of this configuration, with its tasks and all values that it can keep. */
static wlm_status become(wlmi_net *net, const wlmi_config *config, wlm_error *error)
{
    wlmi_net *made, old;
    wlm_status status;
    WLMI_TRY(wlmi_net_make(&made, config, net->backend, error));
    status = wlmi_net_add_rows(made, made->rows, net->rows - made->rows, error);
    if (status == WLM_OK) {
        copy_values(made, net);
        wlmi_net_refresh(made);
        status = net->backend->status(error);
    }
    if (status == WLM_OK) {
        old = *net;
        *net = *made;
        net->record = old.record;
        net->task = old.task;
        net->tasks = old.tasks;
        *made = old;
        made->task = NULL;
        made->tasks = 0;
    }
    wlmi_net_free(made);
    return status;
}

wlm_status wlmi_net_extend(wlmi_net *net, int packet_rows, int role_rows, int place_rows, int summary_trees,
                           wlm_error *error)
{
    wlmi_config config = net->config;
    WLMI_TRY(rows_wanted(&config.packet_rows, packet_rows, "segments", error));
    WLMI_TRY(rows_wanted(&config.role_rows, role_rows, "roles", error));
    WLMI_TRY(rows_wanted(&config.place_rows, place_rows, "places", error));
    WLMI_TRY(rows_wanted(&config.summary_trees, summary_trees, "a summary's trees", error));
    WLMI_TRY(rows_wanted(&config.summary_tasks, summary_trees ? net->tasks : 0, "tasks", error));
    WLMI_TRY(rows_wanted(&config.summary_labels, summary_trees ? wlmi_summary_labels(net) : 0, "tasks and labels",
                         error));
    return become(net, &config, error);
}

wlm_status wlmi_net_forget_summary(wlmi_net *net, wlm_error *error)
{
    wlmi_config config = net->config;
    if (!config.summary_trees)
        return WLM_OK;
    config.summary_trees = config.summary_tasks = config.summary_labels = 0;
    for (int t = 0; t < net->tasks; t++)
        wlmi_task_uncalibrate(&net->task[t], 0);
    return become(net, &config, error);
}
