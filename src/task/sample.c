/* sample.c: temperature, top-k and top-p inside the grammar. */
#include "task/sample.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

wlm_status wlmi_sampling_check(const wlmi_sampling *s, wlm_error *error)
{
    if (!(s->temperature >= 0 && s->temperature <= 100))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "temperature must lie between 0 and 100");
    if (!(s->top_p > 0 && s->top_p <= 1))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "top-p must lie above 0 and at most at 1");
    return WLM_OK;
}

static int by_score(const void *a, const void *b)
{
    const wlmi_candidate *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->token < y->token ? -1 : x->token > y->token;
}

/* The allowed tokens in order of id, with finite scores: NaN and -inf become -FLT_MAX, which no finite logit
 * undercuts, so that where nothing is possible all are equal. */
static uint32_t collect(const float *logits, uint32_t vocabulary, const wlmi_allowed *allowed,
                        const uint64_t *banned, wlmi_candidate *out)
{
    uint32_t n = 0;
    for (uint32_t t = allowed->low; t <= allowed->high && t < vocabulary; t++) {
        float x = logits[t];
        if (!wlmi_is_allowed(allowed, (wlmi_token)t) || (banned && (banned[t >> 6] >> (t & 63) & 1)))
            continue;
        if (!(x >= -FLT_MAX))
            x = -FLT_MAX;
        out[n].score = x > FLT_MAX ? (double)FLT_MAX : (double)x;
        out[n++].token = (int32_t)t;
    }
    return n;
}

/* How many of the sorted candidates reach top_p together; their scores are weights by now. */
static uint32_t nucleus(const wlmi_candidate *c, uint32_t n, double total, double top_p)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += c[i].score;
        if (sum >= top_p * total)
            return i + 1;
    }
    return n;
}

static double weigh(wlmi_candidate *c, uint32_t n, double temperature)
{
    double max = -DBL_MAX, total = 0;
    for (uint32_t i = 0; i < n; i++)
        max = c[i].score > max ? c[i].score : max;
    for (uint32_t i = 0; i < n; i++) {
        c[i].score = exp((c[i].score - max) / temperature);
        total += c[i].score;
    }
    return total;
}

int32_t wlmi_sample(const wlmi_sampling *s, const float *logits, uint32_t vocabulary, const wlmi_allowed *allowed,
                    const uint64_t *banned, wlmi_candidate *c, wlmi_rng *rng)
{
    uint32_t n = collect(logits, vocabulary, allowed, banned, c);
    double total, point;
    if (n == 0)
        return -1;
    if (s->temperature == 0) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < n; i++)
            if (c[i].score > c[best].score)
                best = i;
        return c[best].token;
    }
    if ((s->top_k && s->top_k < n) || s->top_p < 1)
        qsort(c, n, sizeof *c, by_score);
    if (s->top_k && s->top_k < n)
        n = s->top_k;
    total = weigh(c, n, s->temperature);
    if (s->top_p < 1) {
        n = nucleus(c, n, total, s->top_p);
        total = 0;
        for (uint32_t i = 0; i < n; i++)
            total += c[i].score;
    }
    point = wlmi_rng_uniform(rng) * total;
    for (uint32_t i = 0; i < n; i++) {
        point -= c[i].score;
        if (point < 0)
            return c[i].token;
    }
    /* Rounding can leave the point on the far edge: the last token that has any weight. */
    while (n > 1 && c[n - 1].score == 0)
        n--;
    return c[n - 1].token;
}
