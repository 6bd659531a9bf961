/* generate_flows.c: sampled flows, placed in a network and written; where they shall be like others, one of several. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "task/generate_parts.h"

/* No packet waits longer than the flow table would. */
static const int64_t longest_wait_ns = INT64_C(120) * 1000000000;
enum { LONGEST_PACKET = UINT16_MAX };

typedef wlmi_generate_run run;
typedef wlmi_generate_kind kind;

/* ---------------------------------------------------------------- writing */

/* Fills up what a packet lacks of its payload with bytes drawn from the seed. */
static wlm_status fill(run *r, wlm_packet *packet, wlmi_rng *rng, wlm_error *error)
{
    uint32_t whole = packet->wire < LONGEST_PACKET ? packet->wire : LONGEST_PACKET;
    if (packet->captured >= whole)
        return WLM_OK;
    if (!wlmi_grow(&r->filled, &r->filled_capacity, whole, 1))
        return WLMI_NO_MEMORY(error);
    memcpy(r->filled, packet->data, packet->captured);
    for (uint32_t i = packet->captured; i < whole; i++)
        r->filled[i] = (uint8_t)wlmi_rng_next(rng);
    packet->data = r->filled;
    packet->captured = packet->wire = whole;
    return WLM_OK;
}

/* Puts a sampled packet into its flow's place; its checksums are nobody's fault where its payload was filled up. */
static wlm_status place_packet(run *r, size_t i, int64_t time_ns, const char *comment, wlmi_rng *rng,
                               wlmi_mended *mended, wlm_error *error)
{
    wlm_packet sampled = wlmi_packet_list_at(&r->flow->packets, i), packet;
    const uint64_t checksums = mended->checksums;
    const uint32_t captured = sampled.captured;
    if (wlmi_generate_is_lossy(r))
        WLMI_TRY(fill(r, &sampled, rng, error));
    if (!wlmi_grow(&r->frame, &r->frame_capacity, (size_t)sampled.captured + WLMI_ETHERNET_HEADER, 1))
        return WLMI_NO_MEMORY(error);
    wlmi_place_packet(&r->place[r->flow->of[i]], &sampled, r->frame, &packet, mended);
    if (sampled.captured != captured)
        mended->checksums = checksums;
    packet.time_ns = time_ns;
    packet.comment = comment;
    return wlmi_packet_list_add(&r->placed, &packet, error);
}

/* Gives each of the flows from index on a place, with ports that fit what it is. */
static wlm_status make_places(run *r, const wlmi_task *task, int label, uint64_t index, wlm_error *error)
{
    const wlmi_ports *ports = task && task->ports[label].rows ? &task->ports[label] : NULL;
    const wlmi_packet_list *packets = &r->flow->packets;
    if (!wlmi_grow(&r->place, &r->place_capacity, r->flow->flows, sizeof *r->place) ||
        !wlmi_grow(&r->look, &r->look_capacity, r->flow->flows, sizeof *r->look))
        return WLMI_NO_MEMORY(error);
    memset(r->look, 0, r->flow->flows * sizeof *r->look);
    for (size_t i = 0; i < packets->count; i++) {
        wlm_packet packet = wlmi_packet_list_at(packets, i);
        wlmi_look *look = &r->look[r->flow->of[i]];
        if (look->first == WLMI_FIRST_NONE)
            wlmi_look_at(look, &packet);
    }
    for (uint64_t i = 0; i < r->flow->flows; i++) {
        uint16_t client, server;
        wlmi_rng rng;
        wlmi_rng_seed(&rng, wlmi_mix2(wlmi_mix(~r->options->seed), index + i));
        wlmi_ports_draw(ports, &r->look[i], &rng, &client, &server);
        if (task && !ports) /* a checkpoint from before ports were counted by protocol */
            server = task->port[label];
        wlmi_place_make(&r->place[i], &r->plan, index + i, server);
        r->place[i].client_port =
            client ? client : wlmi_ports_client(ports, r->look[i].proto, r->place[i].client_port, &rng);
    }
    return WLM_OK;
}

/* Places the sampled packets: their flows, of this kind, have the numbers from index on, and begin at start_ns. */
static wlm_status place_packets(run *r, const kind *k, uint64_t index, int64_t start_ns, wlmi_mended *mended,
                                wlm_error *error)
{
    const wlmi_task *task = r->task < 0 ? NULL : &r->model->net->task[r->task];
    const wlmi_packet_list *packets = &r->flow->packets;
    int64_t before = 0, now = start_ns;
    wlmi_rng rng;
    *mended = (wlmi_mended){0, 0};
    wlmi_rng_seed(&rng, wlmi_mix2(~r->options->seed, index));
    WLMI_TRY(make_places(r, task, k->label, index, error));
    wlmi_packet_list_cut(&r->placed, 0);
    for (size_t i = 0; i < packets->count; i++) {
        int64_t wait = i && packets->packet[i].time_ns > before ? packets->packet[i].time_ns - before : 0;
        before = packets->packet[i].time_ns;
        now += wait < longest_wait_ns ? wait : longest_wait_ns;
        WLMI_TRY(place_packet(r, i, now, i ? NULL : k->comment, &rng, mended, error));
    }
    return WLM_OK;
}

static void show(const run *r, const char *what, uint64_t flows, uint64_t of)
{
    double elapsed = wlmi_clock() - r->clock_s, done = (double)flows, total = (double)of;
    wlm_progress progress = {
        .what = what, .done = flows, .total = of, .unit = "flows",
        .elapsed_s = elapsed, .remaining_s = elapsed / done * (total - done),
        .tokens_per_s = elapsed > 0 ? (double)r->report->tokens / elapsed : 0, .loss = NAN};
    if (r->options->progress)
        r->options->progress(r->options->user, &progress);
}

/* Places the sampled flow or stream, and puts it into the trace. */
static wlm_status write_flow(run *r, const kind *k, uint64_t index, int64_t start_ns, wlm_error *error)
{
    const char *label = r->task < 0 ? NULL : r->model->net->task[r->task].label[k->label];
    const wlmi_sampled_flow *flow = r->flow;
    wlmi_mended mended;
    WLMI_TRY(place_packets(r, k, index, start_ns, &mended, error));
    r->report->packets += r->placed.count;
    r->report->lengths_mended += mended.lengths;
    r->report->checksums_mended += mended.checksums;
    r->report->flows += flow->flows;
    r->unsound += flow->unsound;
    r->report->flows_cut += (uint64_t)flow->out_of_tokens;
    r->report->reencoded_differently += (uint64_t)flow->reencoded_differently;
    r->report->flows_resampled += flow->given_up;
    r->flawed += (uint64_t)flow->flawed;
    return wlmi_trace_add(r->trace, &(wlmi_traced){&r->placed, flow->of, flow->flows, index, label}, error);
}

/* ---------------------------------------------------------------- candidates */

/* Samples flows of a kind for the forest to learn from. */
static wlm_status learn_likeness(run *r, kind *k, wlm_error *error)
{
    const wlm_generate_options *o = r->options;
    const uint64_t seed = wlmi_mix2(wlmi_mix(~o->seed), (uint64_t)(k - r->kind));
    wlmi_flow_sampler_options sampling = wlmi_generate_sampling(r);
    wlmi_flow_lanes *lanes = NULL;
    wlm_status status;
    sampling.label_of = NULL;
    sampling.label = k->label;
    WLMI_TRY(wlmi_likeness_new(&k->likeness, o->like, o->like_count,
                               k->label < 0 ? NULL : r->model->net->task[r->task].label[k->label], seed, error));
    status = wlmi_flow_lanes_new(&lanes, r->model, &sampling, seed, WLMI_LIKENESS_PILOT, error);
    for (uint64_t i = 0; status == WLM_OK && i < WLMI_LIKENESS_PILOT; i++) {
        wlmi_mended unused;
        status = wlmi_flow_lanes_next(lanes, &r->flow, error);
        if (status == WLM_OK)
            status = place_packets(r, k, i, r->start_ns, &unused, error);
        if (status == WLM_OK)
            status = wlmi_likeness_show(k->likeness, &r->placed, error);
        if (status == WLM_OK) {
            r->report->tokens += r->flow->tokens;
            r->report->candidates++;
            show(r, "learn what is like", i + 1, WLMI_LIKENESS_PILOT);
        }
    }
    wlmi_flow_lanes_free(lanes);
    return status == WLM_OK ? wlmi_likeness_learn(k->likeness, error) : status;
}

/* Samples so many more flows that wait to be written, judged as they would be next. */
static wlm_status sample_candidates(run *r, kind *k, uint64_t index, int64_t start_ns, wlm_error *error)
{
    for (uint32_t i = 0; i < r->candidates; i++) {
        wlmi_mended unused;
        double weight;
        int stratum;
        WLMI_TRY(wlmi_flow_lanes_next(r->lanes, &r->flow, error));
        WLMI_TRY(place_packets(r, k, index, start_ns, &unused, error));
        WLMI_TRY(wlmi_likeness_weigh(k->likeness, &r->placed, &weight, &stratum, error));
        WLMI_TRY(wlmi_candidates_add(&k->candidates, r->flow, weight, stratum, error));
        r->report->tokens += r->flow->tokens;
    }
    r->report->candidates += r->candidates - 1;
    return WLM_OK;
}

/* ---------------------------------------------------------------- all flows */

/* The next flow, sampled or drawn from candidates. */
static wlm_status next_flow(run *r, kind *k, uint64_t index, int64_t start_ns, wlm_error *error)
{
    wlmi_rng rng;
    if (k->likeness) {
        WLMI_TRY(sample_candidates(r, k, index, start_ns, error));
        wlmi_rng_seed(&rng, wlmi_mix2(wlmi_mix(r->options->seed), index));
        r->flow = wlmi_candidates_draw(&k->candidates, wlmi_likeness_shares(k->likeness), &rng);
        return WLM_OK;
    }
    WLMI_TRY(wlmi_flow_lanes_next(r->lanes, &r->flow, error));
    r->report->tokens += r->flow->tokens;
    return WLM_OK;
}

wlm_status wlmi_generate_flows(run *r, wlm_error *error)
{
    const uint64_t streams = wlmi_generate_is_capture(r) ? 1 : r->schedule.flows;
    for (size_t i = 0; r->options->like_count && i < r->kinds; i++)
        WLMI_TRY(learn_likeness(r, &r->kind[i], error));
    for (uint64_t i = 0; i < streams; i++) {
        kind *k = &r->kind[wlmi_schedule_label(&r->schedule, i)];
        int64_t start_ns = r->start_ns + (wlmi_generate_is_capture(r) ? 0 : wlmi_schedule_next(&r->schedule));
        WLMI_TRY(wlmi_trace_write(r->trace, start_ns, error));
        WLMI_TRY(next_flow(r, k, i, start_ns, error));
        WLMI_TRY(write_flow(r, k, i, start_ns, error));
        show(r, "generate", r->report->flows, r->schedule.flows);
    }
    return WLM_OK;
}

