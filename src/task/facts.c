/* facts.c: counts flows, cut flows, server ports and protocols per label. */
#include "task/facts.h"

#include <string.h>

#include "base/alloc.h"

enum { PROTO_TCP = 6, PROTO_UDP = 17 };

typedef struct tally { /* one label */
    uint64_t flows, cut, tcp, udp;
    uint16_t port;  /* majority candidate */
    uint64_t lead;  /* Boyer and Moore's counter (1991) */
    uint64_t exact; /* flows with the candidate, from a second pass */
    int named;      /* some folder has this label */
} tally;

static void count_flow(tally *label, const wlmi_shard_flow *flow, int second)
{
    uint16_t port = flow->key.dst_port;
    if (second) {
        label->exact += port == label->port;
        return;
    }
    label->flows++;
    label->cut += wlmi_end_of(flow->end) == WLMI_END_CUT;
    label->tcp += flow->key.proto == PROTO_TCP;
    label->udp += flow->key.proto == PROTO_UDP;
    if (label->lead == 0)
        label->port = port;
    label->lead = port == label->port ? label->lead + 1 : label->lead - 1;
}

static wlm_status count_folder(const wlmi_task *task, const wlmi_dataset *data, tally *tallies, int second,
                               wlm_error *error)
{
    uint32_t labels = wlmi_dataset_labels(data);
    int *index = wlmi_alloc_array(labels, sizeof *index);
    if (!index)
        return WLMI_NO_MEMORY(error);
    for (uint32_t i = 0; i < labels; i++) {
        index[i] = wlmi_task_find_label(task, wlmi_dataset_label(data, i));
        if (index[i] >= 0)
            tallies[index[i]].named = 1;
    }
    for (uint64_t i = 0; i < wlmi_dataset_flows(data); i++) {
        wlmi_shard_flow flow;
        wlmi_dataset_flow(data, i, &flow);
        if (flow.part == WLM_PART_TRAIN && flow.label < labels && index[flow.label] >= 0)
            count_flow(&tallies[index[flow.label]], &flow, second);
    }
    wlmi_free(index);
    return WLM_OK;
}

static wlm_status gather_task(wlmi_task *task, wlmi_dataset *const *data, size_t count, tally *tallies,
                              wlm_error *error)
{
    for (int second = 0; second < 2; second++)
        for (size_t d = 0; d < count; d++) {
            const char *name = wlmi_dataset_task(data[d]);
            if (name && !strcmp(name, task->name))
                WLMI_TRY(count_folder(task, data[d], tallies, second, error));
        }
    for (int i = 0; i < task->labels; i++) {
        const tally *t = &tallies[i];
        if (!t->named)
            continue;
        task->flows[i] = t->flows;
        task->flows_cut[i] = t->cut;
        task->port[i] = t->flows && 2 * t->exact >= t->flows ? t->port : 0;
        task->proto[i] = t->udp > t->tcp ? PROTO_UDP : PROTO_TCP;
    }
    return WLM_OK;
}

wlm_status wlmi_facts_gather(wlmi_net *net, wlmi_dataset *const *data, size_t count, wlm_error *error)
{
    for (int t = 0; t < net->tasks; t++) {
        tally *tallies = wlmi_alloc_zero((size_t)net->task[t].labels, sizeof *tallies);
        wlm_status status = tallies ? gather_task(&net->task[t], data, count, tallies, error) : WLMI_NO_MEMORY(error);
        wlmi_free(tallies);
        WLMI_TRY(status);
    }
    return WLM_OK;
}
