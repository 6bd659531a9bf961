/* intervals.c: intervals by resampling capture groups. */
#include "task/intervals.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"

typedef struct item {
    uint32_t group;
    int32_t truth, guess;
    uint64_t times;
} item;

typedef struct room {
    item *item;         /* [count]: equal ones become one, groups numbered from 0 */
    uint64_t *drawn;    /* [groups] */
    double *score[2];   /* [draws] */
    wlmi_counts counts;
} room;

static int by_group(const void *a, const void *b)
{
    const item *x = a, *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    if (x->truth != y->truth)
        return x->truth < y->truth ? -1 : 1;
    return (x->guess > y->guess) - (x->guess < y->guess);
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Returns how many are left; *groups of them. */
static size_t gather(item *items, size_t count, size_t *groups)
{
    size_t kept = 0;
    uint32_t before = 0;
    qsort(items, count, sizeof *items, by_group);
    *groups = 0;
    for (size_t i = 0; i < count; i++) {
        item *last = &items[kept - (kept > 0)];
        int fresh = !kept || items[i].group != before;
        before = items[i].group;
        *groups += fresh != 0;
        if (!fresh && last->truth == items[i].truth && last->guess == items[i].guess) {
            last->times += items[i].times;
            continue;
        }
        items[kept] = items[i];
        items[kept++].group = (uint32_t)(*groups - 1);
    }
    return kept;
}

static void draw(room *r, size_t items, size_t groups, size_t draws, uint64_t seed)
{
    for (size_t d = 0; d < draws; d++) {
        wlmi_rng rng;
        wlmi_score score;
        wlmi_rng_seed(&rng, wlmi_mix2(seed, d));
        for (size_t g = 0; g < groups; g++)
            r->drawn[g] = 0;
        for (size_t g = 0; g < groups; g++)
            r->drawn[wlmi_rng_below(&rng, groups)]++;
        wlmi_counts_clear(&r->counts);
        for (size_t i = 0; i < items; i++) {
            const item *at = &r->item[i];
            wlmi_counts_add(&r->counts, at->truth, at->guess, at->times * r->drawn[at->group]);
        }
        score = wlmi_counts_score(&r->counts);
        r->score[0][d] = score.accuracy;
        r->score[1][d] = score.macro_f1;
    }
}

static void quantiles(double *score, size_t draws, double out[2])
{
    qsort(score, draws, sizeof *score, ascending);
    for (int i = 0; i < 2; i++) {
        double at = (i ? .975 : .025) * (double)(draws - 1);
        size_t low = (size_t)at, high = low + 1 < draws ? low + 1 : low;
        out[i] = score[low] + (at - (double)low) * (score[high] - score[low]);
    }
}

wlm_status wlmi_intervals_of(const int32_t *truth, const int32_t *guess, const uint32_t *group, size_t count,
                             int labels, size_t draws, uint64_t seed, wlmi_intervals *out, wlm_error *error)
{
    room r = {.item = wlmi_alloc_array(count, sizeof *r.item), .drawn = wlmi_alloc_array(count, sizeof *r.drawn),
              .score = {wlmi_alloc_array(draws, sizeof **r.score), wlmi_alloc_array(draws, sizeof **r.score)}};
    wlm_status status = wlmi_counts_new(&r.counts, labels, error);
    if (status == WLM_OK && (!r.item || !r.drawn || !r.score[0] || !r.score[1]))
        status = WLMI_NO_MEMORY(error);
    *out = (wlmi_intervals){{NAN, NAN}, {NAN, NAN}, 0};
    if (status == WLM_OK) {
        size_t items;
        for (size_t i = 0; i < count; i++)
            r.item[i] = (item){group[i], truth[i], guess[i], 1};
        items = gather(r.item, count, &out->groups);
        if (out->groups > 1 && draws) {
            draw(&r, items, out->groups, draws, seed);
            quantiles(r.score[0], draws, out->accuracy);
            quantiles(r.score[1], draws, out->macro_f1);
        }
    }
    wlmi_counts_free(&r.counts);
    wlmi_free(r.item);
    wlmi_free(r.drawn);
    wlmi_free(r.score[0]);
    wlmi_free(r.score[1]);
    return status;
}
