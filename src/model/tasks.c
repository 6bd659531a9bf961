/* tasks.c: tasks and their labels, as rows of the embedding. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "model/params.h"

int wlmi_net_find_task(const wlmi_net *net, const char *name)
{
    for (int t = 0; t < net->tasks; t++)
        if (!strcmp(net->task[t].name, name))
            return t;
    return -1;
}

void wlmi_task_uncalibrate(wlmi_task *task, int has_summary)
{
    for (int i = 0; i < WLMI_SHOWN; i++)
        task->calibration[i] = (wlmi_calibration){1, 0, has_summary ? .5 : 0};
}

int wlmi_task_find_label(const wlmi_task *task, const char *label)
{
    for (int i = 0; i < task->labels; i++)
        if (!strcmp(task->label[i], label))
            return i;
    return -1;
}

void wlmi_task_clear(wlmi_task *task)
{
    for (int i = 0; i < task->labels; i++)
        wlmi_free(task->label[i]);
    wlmi_free(task->name);
    wlmi_free(task->label);
    wlmi_free(task->flows);
    wlmi_free(task->flows_cut);
    wlmi_free(task->port);
    wlmi_free(task->proto);
    wlmi_free(task->ports);
    memset(task, 0, sizeof *task);
}

static int name_is_valid(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t n = strlen(name);
    return n >= 1 && n <= 64 && strspn(name, allowed) == n;
}

static wlm_status check(const char *name, const char *const *labels, int count, wlm_error *error)
{
    if (!name_is_valid(name))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "a task's name is 1 to 64 of A-Z a-z 0-9 _ -, which '%.80s' is not", name);
    if (count < 0 || count > WLMI_MAX_LABELS)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "task '%s' has %d labels, more than %d", name,
                         count, WLMI_MAX_LABELS);
    for (int i = 0; i < count; i++)
        if (!labels[i][0])
            return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "task '%s' has an empty label", name);
    return WLM_OK;
}

wlm_status wlmi_net_add_rows(wlmi_net *net, int at, int n, wlm_error *error)
{
    const wlmi_backend *b = net->backend;
    wlmi_param *embed = &net->param[net->params - 1];
    size_t width = (size_t)net->config.width, head = embed->offset + (size_t)at * width, gap = (size_t)n * width;
    wlmi_real *value = wlmi_alloc_aligned((net->count + gap) * b->real_size);
    wlmi_weight *weight = b->weight_new(net->rows + n, net->config.width);
    if (!value || !weight) {
        wlmi_free(value);
        b->weight_free(weight);
        b->status(error);
        return WLMI_NO_MEMORY(error);
    }
    b->add(value, net->value, head); /* onto zeros: a copy */
    b->add(wlmi_at(b, value, head + gap), wlmi_at(b, net->value, head), net->count - head);
    wlmi_free(net->value);
    wlmi_free(net->grad);
    net->value = value;
    net->grad = NULL;
    net->rows += n;
    net->count += gap;
    embed->shape[0] = net->rows;
    embed->count += gap;
    b->weight_free(embed->weight);
    embed->weight = weight;
    for (int t = 0; t < net->tasks; t++)
        if (net->task[t].row >= at)
            net->task[t].row += n;
    wlmi_net_refresh(net);
    return net->backend->status(error);
}

static wlm_status init_row(wlmi_net *net, int row, uint64_t seed, const char *task, const char *label,
                           wlm_error *error)
{
    char name[512];
    size_t width = (size_t)net->config.width;
    snprintf(name, sizeof name, "tasks.%s/%s", task, label);
    return wlmi_init_normal(net, wlmi_at(net->backend, wlmi_value(net, wlmi_embed_param(net)), (size_t)row * width),
                            width, WLMI_EMBED_DEVIATION, seed, name, error);
}

static int grow(void *array_pointer, size_t old, size_t n, size_t size)
{
    void *before, *grown = wlmi_alloc_zero(n, size);
    if (!grown)
        return 0;
    memcpy(&before, array_pointer, sizeof before);
    if (old)
        memcpy(grown, before, old * size);
    memcpy(array_pointer, &grown, sizeof grown);
    wlmi_free(before);
    return 1;
}

/* Room for n labels in the task's arrays; the new elements are zero. */
static int reserve_labels(wlmi_task *task, size_t n)
{
    size_t old = (size_t)task->labels;
    return grow(&task->label, old, n, sizeof *task->label) && grow(&task->flows, old, n, sizeof *task->flows) &&
           grow(&task->flows_cut, old, n, sizeof *task->flows_cut) && grow(&task->port, old, n, sizeof *task->port) &&
           grow(&task->proto, old, n, sizeof *task->proto) && grow(&task->ports, old, n, sizeof *task->ports);
}

/* Copies the labels that the task lacks behind its own, without counting them yet. */
static wlm_status copy_new_labels(wlmi_task *task, const char *const *labels, int count, int *added, wlm_error *error)
{
    wlmi_task seen = *task;
    *added = 0;
    for (int i = 0; i < count; i++) {
        if (wlmi_task_find_label(&seen, labels[i]) >= 0)
            continue;
        task->label[seen.labels] = wlmi_strdup(labels[i]);
        if (!task->label[seen.labels])
            return WLMI_NO_MEMORY(error);
        seen.labels++;
        ++*added;
    }
    return WLM_OK;
}

static wlm_status append_task(wlmi_net *net, const char *name, uint64_t seed, wlm_error *error)
{
    wlmi_task *grown, made = {0};
    int row = net->rows;
    if (net->tasks == WLMI_MAX_TASKS)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "a model has at most %d tasks", WLMI_MAX_TASKS);
    grown = wlmi_realloc(net->task, (size_t)(net->tasks + 1) * sizeof *grown);
    if (!grown)
        return WLMI_NO_MEMORY(error);
    net->task = grown;
    WLMI_TRY(wlmi_net_add_rows(net, row, 1, error));
    made.name = wlmi_strdup(name);
    made.row = row;
    if (!made.name)
        return WLMI_NO_MEMORY(error);
    wlmi_task_uncalibrate(&made, 0);
    net->task[net->tasks++] = made;
    return init_row(net, row, seed, name, "", error);
}

wlm_status wlmi_net_add_task(wlmi_net *net, const char *name, const char *const *labels, int count, uint64_t seed,
                             wlm_error *error)
{
    wlm_status status;
    wlmi_task *task;
    int t, added, had;
    WLMI_TRY(check(name, labels, count, error));
    t = wlmi_net_find_task(net, name);
    if (t < 0) {
        WLMI_TRY(append_task(net, name, seed, error));
        t = net->tasks - 1;
    }
    task = &net->task[t];
    had = task->labels;
    if (!reserve_labels(task, (size_t)had + (size_t)count))
        return WLMI_NO_MEMORY(error);
    status = copy_new_labels(task, labels, count, &added, error);
    if (status == WLM_OK && had + added > WLMI_MAX_LABELS)
        status = wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "task '%s' would have more than %d labels",
                           name, WLMI_MAX_LABELS);
    if (status == WLM_OK && added)
        status = wlmi_net_add_rows(net, task->row + 1 + had, added, error);
    if (status != WLM_OK) {
        for (int i = had; i < had + added; i++)
            wlmi_free(task->label[i]);
        return status;
    }
    task->labels += added;
    for (int i = had; i < task->labels; i++)
        WLMI_TRY(init_row(net, task->row + 1 + i, seed, name, task->label[i], error));
    wlmi_net_refresh(net);
    return net->backend->status(error);
}
