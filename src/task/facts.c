/* facts.c: counts flows, cut flows, ports and protocols per label. */
#include "task/facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "task/ports.h"

enum { PROTO_TCP = 6, PROTO_UDP = 17 };

/* A port is named where at least this share of a label's flows has it. */
enum { PORT_SHARE = 5 }; /* one in so many */

typedef struct tally { /* one label */
    uint64_t flows, cut, tcp, udp;
    int named; /* some folder has this label */
} tally;

typedef struct counts { /* one task */
    tally *tally;   /* [labels] */
    uint64_t *port; /* label << 16 | server port, a flow each */
    size_t ports, capacity;
    wlmi_port_counts pairs;
} counts;

static wlm_status count_flow(counts *c, int label, const wlmi_shard_flow *flow, wlm_error *error)
{
    tally *t = &c->tally[label];
    t->flows++;
    t->cut += wlmi_end_of(flow->end) == WLMI_END_CUT;
    t->tcp += flow->key.proto == PROTO_TCP;
    t->udp += flow->key.proto == PROTO_UDP;
    if (!wlmi_grow(&c->port, &c->capacity, c->ports + 1, sizeof *c->port))
        return WLMI_NO_MEMORY(error);
    c->port[c->ports++] = (uint64_t)label << 16 | flow->key.dst_port;
    return WLM_OK;
}

static wlm_status count_folder(const wlmi_task *task, const wlmi_dataset *data, counts *c, wlm_error *error)
{
    wlm_status status = WLM_OK;
    uint32_t labels = wlmi_dataset_labels(data);
    int *index = wlmi_alloc_array(labels, sizeof *index);
    if (!index)
        return WLMI_NO_MEMORY(error);
    for (uint32_t i = 0; i < labels; i++) {
        index[i] = wlmi_task_find_label(task, wlmi_dataset_label(data, i));
        if (index[i] >= 0)
            c->tally[index[i]].named = 1;
    }
    for (uint64_t i = 0; i < wlmi_dataset_flows(data) && status == WLM_OK; i++) {
        wlmi_shard_flow flow;
        wlmi_dataset_flow(data, i, &flow);
        if (flow.part != WLM_PART_TRAIN || flow.label >= labels || index[flow.label] < 0)
            continue;
        status = count_flow(c, index[flow.label], &flow, error);
        if (status == WLM_OK)
            status = wlmi_ports_count(&c->pairs, index[flow.label], data, i, error);
    }
    wlmi_free(index);
    return status;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The longest run of each label in the sorted list; the lower port where two are as long. */
static void name_ports(wlmi_task *task, counts *c)
{
    uint64_t longest = 0;
    if (c->ports)
        qsort(c->port, c->ports, sizeof *c->port, by_value);
    for (size_t i = 0, end; i < c->ports; i = end) {
        int label = (int)(c->port[i] >> 16);
        for (end = i + 1; end < c->ports && c->port[end] == c->port[i]; end++)
            ;
        if (i == 0 || (int)(c->port[i - 1] >> 16) != label)
            longest = 0;
        if (end - i > longest && (end - i) * PORT_SHARE >= c->tally[label].flows) {
            longest = end - i;
            task->port[label] = (uint16_t)c->port[i];
        }
    }
}

static wlm_status gather_task(wlmi_task *task, wlmi_dataset *const *data, size_t count, counts *c, wlm_error *error)
{
    for (size_t d = 0; d < count; d++) {
        const char *name = wlmi_dataset_task(data[d]);
        if (name && !strcmp(name, task->name))
            WLMI_TRY(count_folder(task, data[d], c, error));
    }
    for (int i = 0; i < task->labels; i++) {
        const tally *t = &c->tally[i];
        if (!t->named)
            continue;
        task->flows[i] = t->flows;
        task->flows_cut[i] = t->cut;
        task->port[i] = 0;
        memset(&task->ports[i], 0, sizeof task->ports[i]);
        task->proto[i] = t->udp > t->tcp ? PROTO_UDP : PROTO_TCP;
    }
    name_ports(task, c);
    wlmi_ports_name(&c->pairs, task);
    return WLM_OK;
}

wlm_status wlmi_facts_gather(wlmi_net *net, wlmi_dataset *const *data, size_t count, wlm_error *error)
{
    for (int t = 0; t < net->tasks; t++) {
        counts c = {wlmi_alloc_zero((size_t)net->task[t].labels, sizeof *c.tally), NULL, 0, 0, {NULL, 0, 0}};
        wlm_status status = c.tally ? gather_task(&net->task[t], data, count, &c, error) : WLMI_NO_MEMORY(error);
        wlmi_free(c.tally);
        wlmi_free(c.port);
        wlmi_port_counts_free(&c.pairs);
        WLMI_TRY(status);
    }
    return WLM_OK;
}
