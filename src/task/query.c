/* query.c: asking a trained model. */
#include "task/query.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

wlm_status wlmi_query_tokens(const wlm_model *model, const char *codec, wlm_unit unit, wlm_error *error)
{
    const wlmi_record *record = &model->net->record;
    if (codec && strcmp(codec, model->codec->name))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, model->path, WLM_NO_OFFSET, "made with codec '%s', not '%.32s'",
                         model->codec->name, codec);
    if (unit != WLM_UNIT_INHERIT && unit != record->unit)
        return wlmi_fail(error, WLM_ERR_REFUSED, model->path, WLM_NO_OFFSET, "trained with --unit %s, not %s",
                         wlm_unit_name(record->unit), wlm_unit_name(unit));
    return WLM_OK;
}

static const char *limit_text(uint32_t payload, char text[16])
{
    snprintf(text, 16, payload == WLM_PAYLOAD_FULL ? "full" : "%u", payload);
    return text;
}

wlm_status wlmi_query_view(const wlm_model *model, const wlmi_wish *wish, wlmi_view *view, wlm_error *error)
{
    if (wish->unit == WLM_UNIT_CAPTURE || model->net->record.unit == WLM_UNIT_CAPTURE)
        return wlmi_fail(error, WLM_ERR_REFUSED, model->path, WLM_NO_OFFSET,
                         "labels belong to flows: a model of unit capture has none to give");
    return wlmi_query_shown(model, wish, view, error);
}

wlm_status wlmi_query_shown(const wlm_model *model, const wlmi_wish *wish, wlmi_view *view, wlm_error *error)
{
    const wlmi_record *record = &model->net->record;
    uint32_t payload = wish->payload == WLM_PAYLOAD_INHERIT ? record->payload : wish->payload;
    const wlm_hide policy = wish->hide == WLM_HIDE_INHERIT ? record->hide : wish->hide;
    const char *hide = wlm_hide_name(policy);
    char trained[16], asked[16];
    wlmi_mixture mix;
    WLMI_TRY(wlmi_query_tokens(model, wish->codec, wish->unit, error));
    WLMI_TRY(wlmi_in_file(error, wlmi_mix_read(&mix, record, error), model->path));
    if (!wlmi_shares_have(&mix.hides, policy) && !wish->force)
        return wlmi_fail(error, WLM_ERR_REFUSED, model->path, WLM_NO_OFFSET,
                         "trained with --hide %s, not %s; --force reads it with %s all the same",
                         record->hide_shares[0] ? record->hide_shares : wlm_hide_name(record->hide), hide, hide);
    if (policy == WLM_HIDE_SHAPE) /* no payload is seen, and training left the limit alone */
        payload = record->payload;
    if (!wlmi_shares_have(&mix.payloads, payload) && !wish->force)
        return wlmi_fail(error, WLM_ERR_REFUSED, model->path, WLM_NO_OFFSET,
                         "trained with --payload %s, not %s; --force shows it so all the same",
                         record->payload_shares[0] ? record->payload_shares : limit_text(record->payload, trained),
                         limit_text(payload, asked));
    *view = wlmi_view_default(model->codec);
    view->hide = policy;
    view->payload = payload;
    view->max_packets = wish->max_packets ? wish->max_packets : wlmi_mix_packets(&mix, policy);
    view->context = model->net->config.context;
    view->unit = record->unit;
    return WLM_OK;
}

/* Joins names with commas; says how many did not fit. */
static void join(char *text, size_t size, int count, const char *(*name)(const void *from, int i), const void *from)
{
    size_t at = 0;
    text[0] = 0;
    for (int i = 0; i < count; i++) {
        const char *word = name(from, i);
        if (at + strlen(word) + 24 > size) {
            snprintf(text + at, size - at, " and %d more", count - i);
            return;
        }
        at += (size_t)snprintf(text + at, size - at, "%s%s", i ? ", " : "", word);
    }
}

static const char *task_name(const void *net, int i)
{
    return ((const wlmi_net *)net)->task[i].name;
}

static const char *label_name(const void *task, int i)
{
    return ((const wlmi_task *)task)->label[i];
}

wlm_status wlmi_query_task(const wlm_model *model, const char *name, int *task, wlm_error *error)
{
    const wlmi_net *net = model->net;
    char known[320];
    *task = 0;
    if (!net->tasks)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, model->path, WLM_NO_OFFSET,
                         "the model knows no task; train it on labelled flows first");
    if (!name)
        return WLM_OK;
    *task = wlmi_net_find_task(net, name);
    if (*task >= 0)
        return WLM_OK;
    join(known, sizeof known, net->tasks, task_name, net);
    return wlmi_fail(error, WLM_ERR_ARGUMENT, model->path, WLM_NO_OFFSET, "no task '%.64s'; the model knows: %s", name,
                     known);
}

wlm_status wlm_model_threshold(const wlm_model *model, const char *task, double *threshold, wlm_error *error)
{
    int which;
    WLMI_TRY(wlmi_query_task(model, task, &which, error));
    *threshold = wlmi_task_calibration(&model->net->task[which], model->net->record.hide)->threshold;
    return WLM_OK;
}

wlm_status wlmi_query_label(const wlm_model *model, int task, const char *name, int *label, wlm_error *error)
{
    const wlmi_task *t = &model->net->task[task];
    char known[320];
    *label = wlmi_task_find_label(t, name);
    if (*label >= 0)
        return WLM_OK;
    join(known, sizeof known, t->labels, label_name, t);
    return wlmi_fail(error, WLM_ERR_ARGUMENT, model->path, WLM_NO_OFFSET,
                     "no label '%.64s' in task '%.64s'; there are: %s", name, t->name, known);
}

static void softmax(float *x, int n, float temperature)
{
    float max = -INFINITY;
    double sum = 0;
    for (int i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (int i = 0; i < n; i++)
        sum += x[i] = expf((x[i] - max) / temperature);
    for (int i = 0; i < n; i++)
        x[i] = (float)(x[i] / sum);
}

wlm_status wlmi_query_rows(const wlm_model *model, int task, int32_t packets, wlmi_rows *rows, wlm_error *error)
{
    const int32_t none = (int32_t)model->codec->roles;
    WLMI_TRY(wlmi_rows_reserve(rows, 2, error));
    wlmi_rows_put(rows, (int32_t)model->codec->vocabulary + WLMI_ASK_ROW, packets, none);
    wlmi_rows_put(rows, model->net->task[task].row, packets, none);
    wlmi_rows_close(rows);
    return WLM_OK;
}

wlm_status wlmi_query_logits(wlm_model *model, const wlmi_batch *batch, wlmi_stream *const *streams, int task,
                             wlm_hide hide, float *out, wlm_error *error)
{
    wlmi_task *t = &model->net->task[task];
    const int n = batch->segments.count;
    const wlmi_logits labels = {n, t->row + 1, t->row + 1 + t->labels, out,
                                wlmi_task_calibration(t, hide)->summary_share};
    int32_t *last = wlmi_alloc_array((size_t)n, sizeof *last);
    wlm_status status;
    if (!last)
        return WLMI_NO_MEMORY(error);
    for (int s = 0; s < n; s++)
        last[s] = batch->segments.starts[s + 1] - 1;
    status = wlmi_net_logits_parts(model->net, batch, streams, 0, last, &labels, 1, error);
    wlmi_free(last);
    return status;
}

wlm_status wlmi_query_run(wlm_model *model, const wlmi_batch *batch, wlmi_stream *const *streams, int task,
                          wlm_hide hide, float *out, wlm_error *error)
{
    wlmi_task *t = &model->net->task[task];
    const float temperature = (float)wlmi_task_calibration(t, hide)->temperature;
    WLMI_TRY(wlmi_query_logits(model, batch, streams, task, hide, out, error));
    for (int s = 0; s < batch->segments.count; s++)
        softmax(out + (size_t)s * (size_t)t->labels, t->labels, temperature);
    return WLM_OK;
}

void wlmi_query_rank(const wlmi_task *task, const float *share, wlm_label *top, size_t *count)
{
    size_t n = 0;
    for (int i = 0; i < task->labels; i++) {
        size_t at = n;
        while (at > 0 && share[i] > top[at - 1].confidence)
            at--;
        if (at >= *count)
            continue;
        n += n < *count;
        memmove(&top[at + 1], &top[at], (n - 1 - at) * sizeof *top);
        top[at] = (wlm_label){task->name, task->label[i], share[i]};
    }
    *count = n;
}
