/* candidates.c: a short queue of flows with weights. */
#include "task/candidates.h"

#include <string.h>

#include "base/alloc.h"

/* Takes flow i out; it lies in `drawn`, whose memory the queue's free end gets. */
static void take(wlmi_candidates *c, size_t i)
{
    const wlmi_sampled_flow old = c->drawn;
    const size_t behind = --c->count - i;
    c->drawn = c->flow[i];
    memmove(&c->flow[i], &c->flow[i + 1], behind * sizeof *c->flow);
    memmove(&c->weight[i], &c->weight[i + 1], behind * sizeof *c->weight);
    memmove(&c->stratum[i], &c->stratum[i + 1], behind * sizeof *c->stratum);
    c->flow[c->count] = old;
}

static wlm_status copy(wlmi_sampled_flow *to, const wlmi_sampled_flow *from, wlm_error *error)
{
    wlmi_sampled_flow own;
    if (!wlmi_grow(&to->of, &to->of_capacity, from->packets.count + 1, sizeof *to->of))
        return WLMI_NO_MEMORY(error);
    own = *to;
    *to = *from;
    to->packets = own.packets;
    to->of = own.of;
    to->of_capacity = own.of_capacity;
    memcpy(to->of, from->of, from->packets.count * sizeof *to->of);
    wlmi_packet_list_cut(&to->packets, 0);
    for (size_t i = 0; i < from->packets.count; i++) {
        const wlm_packet packet = wlmi_packet_list_at(&from->packets, i);
        WLMI_TRY(wlmi_packet_list_add(&to->packets, &packet, error));
    }
    return WLM_OK;
}

wlm_status wlmi_candidates_add(wlmi_candidates *c, const wlmi_sampled_flow *flow, double weight, int stratum,
                               wlm_error *error)
{
    if (c->count == WLMI_CANDIDATES_MOST)
        take(c, 0);
    WLMI_TRY(copy(&c->flow[c->count], flow, error));
    c->stratum[c->count] = stratum;
    c->weight[c->count++] = weight;
    return WLM_OK;
}

/* The stratum, of those with a candidate that has weight, that is most behind its share; -1: there is none. */
static int most_behind(const wlmi_candidates *c, const double *share)
{
    double most = 0;
    int found = -1;
    for (size_t i = 0; i < c->count; i++) {
        const int s = c->stratum[i];
        const double behind = share[s] * (double)(c->draws + 1) - (double)c->drawn_of[s];
        if (c->weight[i] > 0 && (found < 0 || behind > most)) {
            found = s;
            most = behind;
        }
    }
    return found;
}

const wlmi_sampled_flow *wlmi_candidates_draw(wlmi_candidates *c, const double share[WLMI_LIKENESS_STRATA],
                                              wlmi_rng *rng)
{
    const int stratum = most_behind(c, share);
    size_t drawn = c->count - 1;
    double total = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (c->stratum[i] != stratum || c->weight[i] <= 0)
            continue;
        total += c->weight[i];
        if (wlmi_rng_uniform(rng) * total < c->weight[i])
            drawn = i;
    }
    c->draws++;
    c->drawn_of[c->stratum[drawn]]++;
    take(c, drawn);
    return &c->drawn;
}

void wlmi_candidates_free(wlmi_candidates *c)
{
    for (size_t i = 0; i < WLMI_CANDIDATES_MOST; i++)
        wlmi_sampled_flow_free(&c->flow[i]);
    wlmi_sampled_flow_free(&c->drawn);
}
