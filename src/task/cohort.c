/* cohort.c: which flows a model is judged by. */
#include "task/cohort.h"

#include <string.h>

#include "base/alloc.h"

static uint32_t groups_of(const wlmi_dataset *data)
{
    uint32_t groups = 0;
    for (uint64_t i = 0; i < wlmi_dataset_flows(data); i++) {
        wlmi_shard_flow flow;
        wlmi_dataset_flow(data, i, &flow);
        groups = flow.group >= groups ? flow.group + 1 : groups;
    }
    return groups;
}

wlm_status wlmi_cohort_open(wlmi_cohort *c, const char *const *path, size_t count, wlm_error *error)
{
    c->data = wlmi_alloc_zero(count, sizeof *c->data);
    c->map = wlmi_alloc_zero(count, sizeof *c->map);
    c->first_group = wlmi_alloc_zero(count + 1, sizeof *c->first_group);
    if (!c->data || !c->map || !c->first_group)
        return WLMI_NO_MEMORY(error);
    c->path = path;
    c->folders = count;
    for (size_t i = 0; i < count; i++) {
        WLMI_TRY(wlmi_dataset_open(&c->data[i], path[i], error));
        c->first_group[i + 1] = c->first_group[i] + groups_of(c->data[i]);
    }
    return WLM_OK;
}

wlm_status wlmi_cohort_task(const wlmi_cohort *c, const char *wanted, const char **task, wlm_error *error)
{
    if (!c->folders)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no imported folder was named");
    *task = wanted;
    for (size_t i = 0; i < c->folders; i++) {
        const char *own = wlmi_dataset_task(c->data[i]);
        if (!own)
            return wlmi_fail(error, WLM_ERR_ARGUMENT, c->path[i], WLM_NO_OFFSET, "imported without labels");
        *task = *task ? *task : own;
        if (strcmp(own, *task))
            return wlmi_fail(error, WLM_ERR_ARGUMENT, c->path[i], WLM_NO_OFFSET,
                             "labelled for task '%.64s', not '%.64s'", own, *task);
    }
    return WLM_OK;
}

static int find_label(const wlmi_cohort *c, const char *name)
{
    for (size_t i = 0; i < c->labels; i++)
        if (!strcmp(c->label[i], name))
            return (int)i;
    return -1;
}

wlm_status wlmi_cohort_join(wlmi_cohort *c, const wlmi_task *task, wlm_error *error)
{
    size_t most = (size_t)task->labels;
    for (size_t d = 0; d < c->folders; d++)
        most += wlmi_dataset_labels(c->data[d]);
    c->label = wlmi_alloc_array(most, sizeof *c->label);
    c->stranger = wlmi_alloc_zero(most, 1);
    if (!c->label || !c->stranger)
        return WLMI_NO_MEMORY(error);
    for (int i = 0; i < task->labels; i++)
        c->label[c->labels++] = task->label[i];
    c->known = c->labels;
    for (size_t d = 0; d < c->folders; d++) {
        uint32_t count = wlmi_dataset_labels(c->data[d]);
        c->map[d] = wlmi_alloc_array(count, sizeof **c->map);
        if (!c->map[d])
            return WLMI_NO_MEMORY(error);
        for (uint32_t i = 0; i < count; i++) {
            const char *name = wlmi_dataset_label(c->data[d], i);
            int at = find_label(c, name);
            if (at < 0) {
                at = (int)c->labels;
                c->label[c->labels++] = name;
            }
            c->map[d][i] = at;
        }
    }
    return WLM_OK;
}

static wlm_status leave_out(wlmi_cohort *c, const char *word, size_t length, wlm_error *error)
{
    for (size_t i = 0; i < c->labels; i++) {
        if (strlen(c->label[i]) != length || strncmp(c->label[i], word, length))
            continue;
        if (i < c->known)
            return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                             "the model knows the label '%.64s': it is no stranger", c->label[i]);
        c->stranger[i] = 1;
        return WLM_OK;
    }
    return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no folder has the label '%.*s'",
                     (int)(length < 64 ? length : 64), word);
}

wlm_status wlmi_cohort_leave_out(wlmi_cohort *c, const char *labels, wlm_error *error)
{
    if (!labels) {
        memset(c->stranger + c->known, 1, c->labels - c->known);
        return WLM_OK;
    }
    for (const char *word = labels;; word++) {
        size_t length = strcspn(word, ",");
        WLMI_TRY(leave_out(c, word, length, error));
        word += length;
        if (!*word)
            return WLM_OK;
    }
}

static int is_asked(const wlmi_cohort *c, int truth, wlmi_who who)
{
    if (who == WLMI_ALL)
        return 1;
    return truth >= 0 && c->stranger[truth] == (who == WLMI_STRANGERS);
}

wlm_status wlmi_cohort_pick(const wlmi_cohort *c, wlm_part part, wlmi_who who, wlmi_picks *picks, wlm_error *error)
{
    for (size_t d = 0; d < c->folders; d++)
        for (uint64_t i = 0; i < wlmi_dataset_flows(c->data[d]); i++) {
            wlmi_shard_flow flow;
            int truth;
            wlmi_dataset_flow(c->data[d], i, &flow);
            truth = flow.label == WLMI_NO_LABEL || !c->map[d] ? -1 : c->map[d][flow.label];
            if (flow.part != part || !is_asked(c, truth, who))
                continue;
            if (!wlmi_grow(&picks->item, &picks->capacity, picks->count + 1, sizeof *picks->item))
                return WLMI_NO_MEMORY(error);
            picks->item[picks->count++] = (wlmi_pick){(uint32_t)d, c->first_group[d] + flow.group, i, truth};
        }
    return WLM_OK;
}

void wlmi_cohort_close(wlmi_cohort *c)
{
    for (size_t i = 0; i < c->folders; i++) {
        wlmi_dataset_close(c->data[i]);
        wlmi_free(c->map[i]);
    }
    wlmi_free(c->data);
    wlmi_free(c->map);
    wlmi_free(c->first_group);
    wlmi_free(c->label);
    wlmi_free(c->stranger);
    memset(c, 0, sizeof *c);
}
