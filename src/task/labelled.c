/* labelled.c: the training flows that have a label, and which of them a draw gives. */
#include "task/labelled.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"

/* A number for each label of each task of the net. */
static size_t class_of(const wlmi_net *net, int task, int label)
{
    size_t n = 0;
    for (int i = 0; i < task; i++)
        n += (size_t)net->task[i].labels;
    return n + (size_t)label;
}

wlm_status wlmi_labelled_begin(wlmi_labelled *l, const wlmi_net *net, wlm_error *error)
{
    size_t c = 0;
    l->net = net;
    l->classes = class_of(net, net->tasks, 0);
    l->class = wlmi_alloc_zero(l->classes + 1, sizeof *l->class);
    if (!l->class)
        return WLMI_NO_MEMORY(error);
    for (int t = 0; t < net->tasks; t++)
        for (int i = 0; i < net->task[t].labels; i++, c++) {
            l->class[c].task = t;
            l->class[c].label = i;
        }
    return WLM_OK;
}

void wlmi_labelled_clear(wlmi_labelled *l)
{
    wlmi_free(l->place);
    wlmi_free(l->class);
    memset(l, 0, sizeof *l);
}

void wlmi_labelled_count(wlmi_labelled *l, int task, int label)
{
    l->class[class_of(l->net, task, label)].flows++;
    l->places++;
}

wlm_status wlmi_labelled_room(wlmi_labelled *l, wlm_error *error)
{
    for (size_t c = 0; c < l->classes; c++) {
        l->class[c + 1].first = l->class[c].first + l->class[c].flows;
        l->class[c].flows = 0;
    }
    l->place = wlmi_alloc_array(l->places, sizeof *l->place);
    return l->place ? WLM_OK : WLMI_NO_MEMORY(error);
}

void wlmi_labelled_add(wlmi_labelled *l, int task, int label, wlmi_place place)
{
    wlmi_class *c = &l->class[class_of(l->net, task, label)];
    l->place[c->first + c->flows++] = place;
}

/* ---------------------------------------------------------------- few */

uint64_t wlmi_few(uint64_t draw, const char *label, uint64_t i, uint64_t n)
{
    uint64_t seed = wlmi_mix2(draw, 0);
    for (; *label; label++)
        seed = wlmi_mix2(seed, (uint8_t)*label);
    return wlmi_permute(seed, i, n);
}

/* Leaves each class its chosen flows, in their order. */
static wlm_status keep_few(wlmi_labelled *l, uint64_t per_label, uint64_t draw, wlm_error *error)
{
    uint8_t *kept = wlmi_alloc_zero(l->places, 1);
    if (!kept)
        return WLMI_NO_MEMORY(error);
    l->places = 0;
    for (size_t c = 0; c < l->classes; c++) {
        wlmi_class *k = &l->class[c];
        uint64_t n = k->flows, count = per_label < n ? per_label : n, at = k->first;
        for (uint64_t i = 0; i < count; i++)
            kept[k->first + wlmi_few(draw, l->net->task[k->task].label[k->label], i, n)] = 1;
        for (uint64_t i = k->first; i < k->first + n; i++)
            if (kept[i])
                l->place[at++] = l->place[i];
        k->flows = count;
        l->places += count;
    }
    wlmi_free(kept);
    return WLM_OK;
}

/* ---------------------------------------------------------------- shares */

static int task_of(const void *net, const char *name, uint32_t *value)
{
    int task = wlmi_net_find_task(net, name);
    *value = (uint32_t)task;
    return task >= 0;
}

static void count_task(const wlmi_labelled *l, int task, double balance, uint64_t *flows, double *sum)
{
    *flows = 0;
    *sum = 0;
    for (size_t c = 0; c < l->classes; c++)
        if (l->class[c].task == task && l->class[c].flows) {
            *flows += l->class[c].flows;
            *sum += pow((double)l->class[c].flows, 1 - balance);
        }
}

/* share [tasks]: of each task, to sum 1 over those that have flows. */
static wlm_status share_tasks(const wlmi_labelled *l, const wlmi_labelled_options *o, double *share, wlm_error *error)
{
    wlmi_shares given;
    double whole = 0, sum;
    uint64_t flows;
    if (o->task_shares)
        WLMI_TRY(wlmi_shares_parse(&given, "task-shares", o->task_shares, task_of, l->net, error));
    for (int t = 0; t < l->net->tasks; t++) {
        count_task(l, t, o->balance, &flows, &sum);
        share[t] = flows ? pow((double)flows, 1 - o->task_balance) : 0;
        if (o->task_shares && flows && !wlmi_shares_have(&given, (uint32_t)t))
            return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "option '--task-shares' lacks task '%.64s'",
                             l->net->task[t].name);
        for (int i = 0; o->task_shares && flows && i < given.count; i++)
            if (given.value[i] == (uint32_t)t)
                share[t] = given.share[i];
        whole += share[t];
    }
    if (l->places && !(whole > 0))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         "option '--task-shares' leaves nothing to the tasks that have flows");
    for (int t = 0; t < l->net->tasks; t++)
        share[t] = whole > 0 ? share[t] / whole : 0;
    return WLM_OK;
}

/* Gives each class its slots: as many in all as there are flows, roughly. Classes without any are left out. */
static void make_slots(wlmi_labelled *l, const double *share, double balance)
{
    size_t kept = 0;
    for (size_t c = 0; c < l->classes; c++) {
        wlmi_class k = l->class[c];
        uint64_t flows;
        double sum, slots;
        count_task(l, k.task, balance, &flows, &sum);
        if (!k.flows || !(share[k.task] > 0))
            continue;
        slots = share[k.task] * (pow((double)k.flows, 1 - balance) / sum) * (double)l->places;
        k.first_slot = l->slots;
        l->slots += slots < 1 ? 1 : (uint64_t)(slots + 0.5);
        l->class[kept++] = k;
    }
    l->class[kept].first_slot = l->slots;
    l->classes = kept;
}

wlm_status wlmi_labelled_share(wlmi_labelled *l, const wlmi_labelled_options *o, wlm_error *error)
{
    double *share;
    wlm_status status;
    if (o->per_label)
        WLMI_TRY(keep_few(l, o->per_label, o->draw, error));
    share = wlmi_alloc_zero((size_t)l->net->tasks, sizeof *share);
    if (!share)
        return WLMI_NO_MEMORY(error);
    status = share_tasks(l, o, share, error);
    if (status == WLM_OK)
        make_slots(l, share, o->balance);
    wlmi_free(share);
    return status;
}

/* ---------------------------------------------------------------- draws */

static const wlmi_class *class_at(const wlmi_labelled *l, uint64_t slot)
{
    size_t low = 0, high = l->classes - 1;
    while (low < high) {
        size_t middle = low + (high - low + 1) / 2;
        if (l->class[middle].first_slot <= slot)
            low = middle;
        else
            high = middle - 1;
    }
    return &l->class[low];
}

wlmi_place wlmi_labelled_draw(const wlmi_labelled *l, uint64_t seed, uint64_t rank, int *task, int *label)
{
    uint64_t slot = wlmi_permute(wlmi_mix2(seed, rank / l->slots), rank % l->slots, l->slots);
    const wlmi_class *c = class_at(l, slot);
    /* The label's own count of draws so far, up to this slot; it goes round its flows by another permutation. */
    uint64_t turn = rank / l->slots * (c[1].first_slot - c->first_slot) + (slot - c->first_slot);
    uint64_t round = wlmi_mix2(wlmi_mix2(seed, ~c->first), turn / c->flows);
    *task = c->task;
    *label = c->label;
    return l->place[c->first + wlmi_permute(round, turn % c->flows, c->flows)];
}
