/* report_copies.c: pieces of payload and whole flows, by hash. */
#include "task/report_copies.h"

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/rng.h"
#include "task/hash_set.h"

/* Pieces of training that are remembered at most; of more, those whose hash falls into a share of all hashes. */
static const uint64_t most_grams = UINT64_C(1) << 23;

typedef struct memory {
    wlmi_hash_set grams, flows;
    uint64_t one_in; /* of all grams, so many are looked at */
} memory;

typedef struct count {
    uint64_t grams, grams_known, flows, flows_known;
} count;

static uint64_t gram_hash(const uint8_t *p)
{
    return wlmi_mix2(wlmi_load_le64(p), wlmi_load_le64(p + 8));
}

static uint32_t payload_of(const wlm_packet *packet, const wlmi_report_flow *flow, const uint8_t **data, int *backward)
{
    wlmi_headers h;
    wlmi_decode(packet, &h);
    *data = packet->data + h.payload;
    *backward = wlmi_report_backward(flow, packet, &h);
    return h.transport == WLMI_ABSENT ? 0 : h.payload_len;
}

uint64_t wlmi_flow_said(const wlmi_flow_set *set, const wlmi_report_flow *flow)
{
    uint64_t hash = 0, bytes = 0;
    for (size_t p = flow->first; p < flow->first + flow->count; p++) {
        wlm_packet packet = wlmi_flow_set_packet(set, p);
        const uint8_t *data;
        int backward;
        uint32_t size = payload_of(&packet, flow, &data, &backward);
        if (!size)
            continue;
        hash = wlmi_mix2(wlmi_mix2(hash, (uint64_t)size << 1 | (uint64_t)backward), wlmi_hash(data, size));
        bytes += size;
    }
    return bytes < WLMI_GRAM ? 0 : hash ? hash : 1;
}

static uint64_t count_grams(const wlmi_flow_view *view)
{
    uint64_t grams = 0;
    for (size_t i = 0; i < view->flows; i++) {
        const wlmi_report_flow *flow = &view->set->flow[view->flow[i]];
        for (size_t p = flow->first; p < flow->first + flow->count; p++) {
            wlm_packet packet = wlmi_flow_set_packet(view->set, p);
            grams += packet.captured;
        }
    }
    return grams;
}

/* learning: they become known; else they are counted. */
static wlm_status walk_flow(memory *m, const wlmi_flow_set *set, const wlmi_report_flow *flow, int learning, count *c,
                            wlm_error *error)
{
    for (size_t p = flow->first; p < flow->first + flow->count; p++) {
        wlm_packet packet = wlmi_flow_set_packet(set, p);
        const uint8_t *data;
        int backward;
        uint32_t size = payload_of(&packet, flow, &data, &backward);
        for (uint32_t at = 0; at + WLMI_GRAM <= size; at++) {
            uint64_t hash = gram_hash(data + at);
            if ((hash >> 40) % m->one_in)
                continue;
            c->grams++;
            if (learning)
                WLMI_TRY(wlmi_hash_set_add(&m->grams, hash, NULL, error));
            else
                c->grams_known += (uint64_t)wlmi_hash_set_has(&m->grams, hash);
        }
    }
    return WLM_OK;
}

static wlm_status learn(memory *m, const wlmi_flow_view *train, wlm_error *error)
{
    count unused = {0};
    m->one_in = count_grams(train) / most_grams + 1;
    for (size_t i = 0; i < train->flows; i++) {
        const wlmi_report_flow *flow = &train->set->flow[train->flow[i]];
        uint64_t hash = wlmi_flow_said(train->set, flow);
        if (hash)
            WLMI_TRY(wlmi_hash_set_add(&m->flows, hash, NULL, error));
        WLMI_TRY(walk_flow(m, train->set, flow, 1, &unused, error));
    }
    return WLM_OK;
}

/* once: flows that occur again do not count. */
static wlm_status look_up(memory *m, const wlmi_flow_view *view, int once, count *c, wlm_error *error)
{
    wlmi_hash_set seen = {0};
    wlm_status status = WLM_OK;
    for (size_t i = 0; status == WLM_OK && i < view->flows; i++) {
        const wlmi_report_flow *flow = &view->set->flow[view->flow[i]];
        uint64_t hash = wlmi_flow_said(view->set, flow);
        int is_new = 1;
        if (!hash)
            continue;
        if (once)
            status = wlmi_hash_set_add(&seen, hash, &is_new, error);
        if (status != WLM_OK || !is_new)
            continue;
        c->flows++;
        c->flows_known += (uint64_t)wlmi_hash_set_has(&m->flows, hash);
        status = walk_flow(m, view->set, flow, 0, c, error);
    }
    wlmi_hash_set_free(&seen);
    return status;
}

static json_t *share(uint64_t part, uint64_t of)
{
    return of ? json_real((double)part / (double)of) : json_null();
}

static json_t *count_json(const count *c)
{
    return json_pack("{s:I, s:o, s:I, s:I, s:o}", "grams", (json_int_t)c->grams, "grams_share",
                     share(c->grams_known, c->grams), "flows", (json_int_t)c->flows, "flows_copied",
                     (json_int_t)c->flows_known, "flows_share", share(c->flows_known, c->flows));
}

wlm_status wlmi_report_copies(const wlmi_flow_view *real, const wlmi_flow_view *fake, const wlmi_flow_view *train,
                              json_t **report, wlm_error *error)
{
    memory m = {.one_in = 1};
    count of_real = {0}, of_fake = {0};
    wlm_status status = learn(&m, train, error);
    if (status == WLM_OK)
        status = look_up(&m, real, 1, &of_real, error);
    if (status == WLM_OK)
        status = look_up(&m, fake, 0, &of_fake, error);
    if (status == WLM_OK) {
        *report = json_pack("{s:i, s:I, s:o, s:o}", "gram_bytes", WLMI_GRAM, "grams_one_in", (json_int_t)m.one_in,
                            "fake", count_json(&of_fake), "real", count_json(&of_real));
        status = *report ? WLM_OK : WLMI_NO_MEMORY(error);
    }
    wlmi_hash_set_free(&m.grams);
    wlmi_hash_set_free(&m.flows);
    return status;
}
