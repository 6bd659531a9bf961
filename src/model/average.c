/* average.c: the mean of models: what one run reached at different points lies around a better one (Izmailov et al.,
 * "Averaging weights leads to wider optima and better generalization", 2018). */
#include <string.h>

#include "model/params.h"

static int same_task(const wlmi_task *a, const wlmi_task *b)
{
    if (strcmp(a->name, b->name) || a->labels != b->labels || a->row != b->row)
        return 0;
    for (int i = 0; i < a->labels; i++)
        if (strcmp(a->label[i], b->label[i]))
            return 0;
    return 1;
}

/* Parameters of the same names and sizes can belong to other heads, or to a window of another length. */
static int same_plan(const wlmi_plan *a, const wlmi_plan *b)
{
    if (a->groups != b->groups)
        return 0;
    for (int g = 0; g < a->groups; g++)
        if (a->group[g].kind != b->group[g].kind || a->group[g].heads != b->group[g].heads ||
            a->group[g].window != b->group[g].window)
            return 0;
    return 1;
}

static int same_config(const wlmi_config *a, const wlmi_config *b)
{
    if (a->layers != b->layers || a->head_width != b->head_width || a->shift != b->shift ||
        a->reversible != b->reversible)
        return 0;
    for (int l = 0; l < a->layers; l++)
        if (!same_plan(wlmi_config_layer(a, l).plan, wlmi_config_layer(b, l).plan))
            return 0;
    return 1;
}

static int same_shape(const wlmi_net *a, const wlmi_net *b)
{
    if (strcmp(a->record.codec_hash, b->record.codec_hash) || a->params != b->params || a->count != b->count ||
        a->tasks != b->tasks || !same_config(&a->config, &b->config))
        return 0;
    for (int i = 0; i < a->params; i++) {
        const wlmi_param *p = &a->param[i], *q = &b->param[i];
        if (strcmp(p->name, q->name) || p->dims != q->dims || p->count != q->count || p->shape[0] != q->shape[0])
            return 0;
    }
    for (int i = 0; i < a->tasks; i++)
        if (!same_task(&a->task[i], &b->task[i]))
            return 0;
    return 1;
}

wlm_status wlmi_net_average(wlmi_net *net, const wlmi_net *other, double share, wlm_error *error)
{
    enum { PIECE = 1024 };
    float mine[PIECE], theirs[PIECE];
    if (!same_shape(net, other))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "models of different shapes, codecs or tasks have no mean");
    for (size_t at = 0; at < net->count; at += PIECE) {
        const size_t n = net->count - at < PIECE ? net->count - at : PIECE;
        wlmi_real *value = wlmi_at(net->backend, net->value, at);
        net->backend->to_float(mine, value, n);
        other->backend->to_float(theirs, wlmi_at(other->backend, other->value, at), n);
        for (size_t i = 0; i < n; i++)
            mine[i] = (float)((double)mine[i] + share * ((double)theirs[i] - (double)mine[i]));
        net->backend->from_float(value, mine, n);
    }
    for (int i = 0; i < net->tasks; i++)
        wlmi_task_uncalibrate(&net->task[i], net->config.summary_trees > 0);
    wlmi_net_refresh(net);
    return WLM_OK;
}
