/* model.c: tiny models and random packed batches for tests. */
#include "support/model.h"

#include <string.h>

#include "base/rng.h"
#include "model/params.h"
#include "model/summary.h"
#include "support/support.h"

static void shrink(wlmi_plan *plan)
{
    for (int g = 0; g < plan->groups; g++) {
        plan->group[g].heads = g ? 1 : 2;
        if (plan->group[g].window)
            plan->group[g].window = 5;
    }
}

wlmi_config test_config(const char *preset)
{
    const wlmi_plan full = {1, {{WLMI_MIXER_FULL, 2, 0}}};
    int mixed = !strcmp(preset, "mixed"), reversible = !strcmp(preset, "reversible");
    wlmi_config c;
    wlm_error error;
    assert_ok(wlmi_config_preset(&c, mixed ? "trafficgpt-nano" : reversible ? "wire-nano" : preset, &error), &error);
    if (mixed) {
        c.every = 2;
        c.other = full;
    }
    if (reversible)
        c.shift = c.reversible = 1;
    c.vocabulary = 11;
    c.width = 8;
    c.layers = 2;
    c.head_width = 4;
    c.hidden = 6;
    c.context = 64;
    c.role_rows = 3;
    if (c.packet_rows) {
        c.packet_rows = 4;
        c.place_rows = WLMI_PLACE_ROWS;
    }
    shrink(&c.plan);
    shrink(&c.other);
    return c;
}

void test_fill_summary(wlmi_net *net)
{
    const wlmi_backend *b = net->backend;
    wlmi_rng rng;
    wlmi_rng_seed(&rng, 7);
    for (int slot = 0; slot < WLMI_SUMMARY_SLOTS; slot++) {
        const wlmi_param *p = wlmi_summary_param(net, (wlmi_summary_slot)slot);
        for (size_t i = 0; i < p->count; i++) {
            const float x = slot == WLMI_SUMMARY_INDEX    ? (float)wlmi_rng_below(&rng, WLMI_SUMMARY_NUMBERS)
                            : slot == WLMI_SUMMARY_BORDER ? (float)(wlmi_rng_uniform(&rng) * 20 - 10)
                                                          : (float)wlmi_rng_normal(&rng);
            b->from_float(wlmi_at(b, wlmi_value(net, p), i), &x, 1);
        }
    }
}

wlmi_net *test_net(const char *preset, const wlmi_backend *backend)
{
    static const char *const app[] = {"dns", "ssh", "web / TLS 1.3"}, *const vpn[] = {"yes", "no"};
    wlmi_config config = test_config(preset);
    wlmi_net *net;
    wlm_error error;
    assert_ok(wlmi_net_new(&net, &config, backend, 1, &error), &error);
    assert_ok(wlmi_net_add_task(net, "app", app, 3, 1, &error), &error);
    assert_ok(wlmi_net_add_task(net, "vpn-use", vpn, 2, 1, &error), &error);
    assert_ok(wlmi_net_extend(net, 0, 0, 0, 3, &error), &error);
    test_fill_summary(net);
    net->task[0].calibration[WLMI_SHOWN_HEADERS].summary_share = 0.25;
    return net;
}

void test_batch_fill(test_batch *b, const wlmi_net *net, const int *lengths, uint64_t seed)
{
    wlmi_rng rng;
    int t = 0, s = 0, V = net->config.vocabulary;
    wlmi_rng_seed(&rng, seed);
    for (; lengths[s]; s++) {
        b->starts[s] = t;
        for (int i = 0; i < lengths[s]; i++, t++) {
            const wlmi_task *task = &net->task[s % net->tasks];
            int ends = i + 1 == lengths[s];
            b->id[t] = (int32_t)wlmi_rng_below(&rng, (uint64_t)net->rows);
            b->packet[t] = i / 3;
            b->role[t] = (int32_t)wlmi_rng_below(&rng, 3);
            b->measure[t] = (int64_t)wlmi_rng_below(&rng, 4000);
            b->first[t] = ends ? task->row + 1 : 0;
            b->last[t] = ends ? task->row + 1 + task->labels : V;
            b->target[t] = b->first[t] + (int32_t)wlmi_rng_below(&rng, (uint64_t)(b->last[t] - b->first[t]));
            if (!ends && i % 4 == 3)
                b->target[t] = -1;
            b->weight[t] = ends ? 3.0f : 0.5f + (float)wlmi_rng_uniform(&rng);
        }
    }
    b->starts[s] = t;
    b->batch = (wlmi_batch){t, b->id, b->packet, b->role, b->target, b->first, b->last, b->weight, {s, b->starts}, b->measure};
}

void test_batch_ask(test_batch *b, const wlmi_net *net)
{
    for (int s = 0; s < b->batch.segments.count; s++)
        if (b->starts[s + 1] - b->starts[s] > 1) {
            b->id[b->starts[s + 1] - 2] = net->config.vocabulary + WLMI_ASK_ROW;
            b->id[b->starts[s + 1] - 1] = net->task[s % net->tasks].row;
        }
}

wlmi_batch test_batch_segment(const test_batch *b, int s, int32_t one_start[2])
{
    int at = b->starts[s];
    one_start[0] = 0;
    one_start[1] = b->starts[s + 1] - at;
    return (wlmi_batch){one_start[1], b->id + at, b->packet + at, b->role + at, b->target + at, b->first + at,
                        b->last + at, b->weight + at, {1, one_start}, b->measure + at};
}
