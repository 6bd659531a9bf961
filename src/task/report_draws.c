/* report_draws.c: draws the samples. */
#include "task/report_draws.h"

#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"

/* `count` of the view's flows, without repetition, into room for all of them. */
static size_t *draw_flows(const wlmi_flow_view *view, size_t count, wlmi_rng *rng)
{
    size_t *index = wlmi_alloc_array(view->flows, sizeof *index);
    if (!index)
        return NULL;
    memcpy(index, view->flow, view->flows * sizeof *index);
    for (size_t i = 0; i < count; i++) {
        size_t j = i + (size_t)wlmi_rng_below(rng, view->flows - i), kept = index[i];
        index[i] = index[j];
        index[j] = kept;
    }
    return index;
}

wlm_status wlmi_draws_make(wlmi_draws *draws, const wlmi_side *real, const wlmi_side *fake, const wlmi_side *train,
                           uint64_t seed, wlm_error *error)
{
    size_t half = real->view.flows / 2;
    draws->real = real;
    draws->fake = fake;
    draws->train = train && train->view.flows ? train : NULL;
    draws->halves = half > 0;
    draws->flows = half > 1 ? half : 1;
    draws->flows = fake->view.flows < draws->flows ? fake->view.flows : draws->flows;
    if (draws->train)
        draws->train_flows = train->view.flows < draws->flows ? train->view.flows : draws->flows;
    for (int i = 0; i < WLMI_DRAWS; i++) {
        wlmi_draw *d = &draws->draw[i];
        wlmi_rng rng;
        wlmi_rng_seed(&rng, wlmi_mix2(seed, (uint64_t)i));
        d->real = draw_flows(&real->view, draws->halves ? 2 * draws->flows : draws->flows, &rng);
        d->other = d->real ? d->real + draws->flows : NULL;
        d->fake = draw_flows(&fake->view, draws->flows, &rng);
        d->train = draws->train ? draw_flows(&train->view, draws->train_flows, &rng) : NULL;
        if (!d->real || !d->fake || (draws->train && !d->train))
            return WLMI_NO_MEMORY(error);
    }
    return WLM_OK;
}

void wlmi_draws_free(wlmi_draws *draws)
{
    for (int i = 0; i < WLMI_DRAWS; i++) {
        wlmi_free(draws->draw[i].real);
        wlmi_free(draws->draw[i].fake);
        wlmi_free(draws->draw[i].train);
    }
}
