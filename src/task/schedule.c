/* schedule.c: Poisson arrivals, and labels dealt out in a seeded order. */
#include "task/schedule.h"

#include <math.h>
#include <string.h>

static const double default_gap_ns = 50e6, ns = 1e9, longest_s = 4e9;
enum { MOST_ARRIVALS = 1000000000, DEFAULT_FLOWS = 10 };

static wlm_status no_sense(wlm_error *error, const char *why)
{
    return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "%s", why);
}

static double gap(wlmi_schedule *s)
{
    return -s->gap_ns * log(1 - wlmi_rng_uniform(&s->rng));
}

/* How many flows begin within the duration. Leaves the schedule at its beginning. */
static wlm_status count_arrivals(wlmi_schedule *s, wlm_error *error)
{
    const wlmi_rng beginning = s->rng;
    if (s->wish.rate * s->wish.duration_s > MOST_ARRIVALS)
        return no_sense(error, "rate and duration make more than a billion flows");
    for (double at = gap(s); at < s->wish.duration_s * ns; at += gap(s))
        s->flows++;
    s->rng = beginning;
    return s->flows ? WLM_OK : no_sense(error, "no flow begins within the duration at this rate");
}

wlm_status wlmi_schedule_make(wlmi_schedule *s, const wlmi_schedule_wish *wish, wlm_error *error)
{
    int timed = wish->rate > 0 && wish->duration_s > 0;
    memset(s, 0, sizeof *s);
    s->wish = *wish;
    if (!(wish->rate >= 0) || !(wish->duration_s >= 0) || wish->duration_s > longest_s || wish->rate > ns)
        return no_sense(error, "rate and duration cannot be negative, nor beyond reason");
    if (wish->flows && wish->label_count)
        return no_sense(error, "the labels' counts say how many flows there are");
    if (wish->flows && timed)
        return no_sense(error, "flows, rate and duration: two of them give the third");
    for (size_t i = 0; i < wish->label_count; i++) {
        if (!wish->labels[i].flows || wish->labels[i].flows > INT64_MAX / 2 - s->total)
            return no_sense(error, "each label needs a count of at least 1, within reason");
        s->total += wish->labels[i].flows;
    }
    s->gap_ns = wish->rate > 0 ? ns / wish->rate : wish->duration_s > 0 ? 0 : default_gap_ns;
    wlmi_rng_seed(&s->rng, wlmi_mix2(wish->seed, UINT64_MAX));
    if (timed)
        return count_arrivals(s, error);
    s->flows = wish->flows ? wish->flows : s->total ? s->total : DEFAULT_FLOWS;
    return WLM_OK;
}

int64_t wlmi_schedule_next(wlmi_schedule *s)
{
    const double end = s->wish.duration_s * ns;
    uint64_t left = s->flows - s->given;
    if (!left)
        return INT64_MAX;
    if (s->gap_ns == 0) /* the least of `left` moments drawn from what is left of the duration */
        s->at_ns += (end - s->at_ns) * (1 - pow(1 - wlmi_rng_uniform(&s->rng), 1 / (double)left));
    else if (s->given || end > 0)
        s->at_ns += gap(s);
    s->given++;
    return (int64_t)s->at_ns;
}

size_t wlmi_schedule_label(const wlmi_schedule *s, uint64_t flow)
{
    const int shares = s->gap_ns > 0 && s->wish.duration_s > 0;
    uint64_t place;
    wlmi_rng rng;
    size_t i = 0;
    if (!s->total)
        return 0;
    wlmi_rng_seed(&rng, wlmi_mix2(s->wish.seed ^ UINT64_C(0x6c6162656c), flow));
    place = shares ? wlmi_rng_below(&rng, s->total) : wlmi_permute(s->wish.seed, flow, s->total);
    while (place >= s->wish.labels[i].flows)
        place -= s->wish.labels[i++].flows;
    return i;
}
