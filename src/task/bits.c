/* bits.c: what flows of imported folders cost a model. */
#include "task/bits.h"

#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "task/scorer.h"

enum { RECORD_HEADER = 16 };

typedef struct run {
    wlmi_bits *bits;
    const wlmi_view *view;
    const wlmi_bits_options *options;
    wlmi_hider *hider;
    wlmi_scorer *scorer;
} run;

static wlm_status add_flow(run *r, const wlmi_dataset *data, uint64_t i, wlm_error *error)
{
    const uint64_t most = r->options->flow_bytes ? r->options->flow_bytes : UINT64_MAX, before = r->bits->bytes;
    wlmi_shard_flow flow;
    wlmi_end end;
    uint64_t j;
    wlmi_dataset_flow(data, i, &flow);
    wlmi_scorer_start(r->scorer, NULL);
    for (j = 0; j < flow.packets && r->bits->bytes - before < most; j++) {
        wlm_packet packet, hidden;
        WLMI_TRY(wlmi_dataset_packet(data, i, j, &packet, error));
        if (j == 0)
            wlmi_hider_start(r->hider, &flow.key, wlmi_mix2(flow.file, flow.first_packet), packet.time_ns);
        WLMI_TRY(wlmi_hide_packet(r->hider, &packet, &hidden, error));
        WLMI_TRY(wlmi_scorer_packet(r->scorer, &hidden, 0, 0, error));
        r->bits->packets++;
        r->bits->bytes += packet.captured + RECORD_HEADER;
    }
    end = wlmi_end_of(flow.end);
    r->bits->flows++;
    return wlmi_scorer_end(r->scorer, j == flow.packets ? &end : NULL, error);
}

static wlm_status sweep(run *r, const wlmi_dataset *const *data, size_t count, wlm_error *error)
{
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++)
        all += wlmi_dataset_flows(data[i]);
    for (uint64_t n = 0; n < all && !(r->options->bytes && r->bits->bytes >= r->options->bytes); n++) {
        uint64_t flow = wlmi_permute(r->options->seed, n, all);
        wlmi_shard_flow facts;
        size_t i = 0;
        for (; flow >= wlmi_dataset_flows(data[i]); i++)
            flow -= wlmi_dataset_flows(data[i]);
        wlmi_dataset_flow(data[i], flow, &facts);
        if (facts.part == r->options->part)
            WLMI_TRY(add_flow(r, data[i], flow, error));
    }
    if (!r->bits->flows)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no flows in the %s part",
                         wlm_part_name(r->options->part));
    return wlmi_scorer_flush(r->scorer, error);
}

wlm_status wlmi_bits_measure(wlmi_bits *bits, wlmi_net *net, const wlmi_view *view, const wlmi_dataset *const *data,
                             size_t count, const wlmi_bits_options *options, wlm_error *error)
{
    const wlmi_scorer_options scoring = {.rows = options->tokens, .stop = options->stop};
    run r = {.bits = bits, .view = view, .options = options};
    wlm_status status;
    memset(bits, 0, sizeof *bits);
    status = wlmi_scorer_new(&r.scorer, net, view, &scoring, error);
    if (status == WLM_OK)
        status = wlmi_hider_new(&r.hider, view->hide, wlmi_codec_cut(view->codec, view->payload), error);
    if (status == WLM_OK)
        status = sweep(&r, data, count, error);
    if (status == WLM_OK) {
        for (int g = 0; g < WLMI_GROUPS; g++)
            bits->bits[g] = wlmi_scorer_tally(r.scorer)->group[g].bits;
        bits->tokens = wlmi_scorer_tokens(r.scorer);
        bits->pieces = wlmi_scorer_pieces(r.scorer);
    }
    wlmi_hider_free(r.hider);
    wlmi_scorer_free(r.scorer);
    return status;
}

double wlmi_bits_total(const wlmi_bits *bits)
{
    double total = 0;
    for (int g = 0; g < WLMI_GROUPS; g++)
        total += bits->bits[g];
    return total;
}
