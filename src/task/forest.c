/* forest.c: many trees, each on samples drawn with replacement by a seed of its own. */
#include "task/forest.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"

struct wlmi_forest {
    wlmi_tree **tree; /* [trees] */
    int trees, classes;
};

wlmi_forest_options wlmi_forest_options_default(void)
{
    wlmi_forest_options options = {.trees = 100, .seed = 1};
    return options;
}

static wlm_status grow_tree(wlmi_forest *f, const wlmi_samples *samples, const wlmi_forest_options *o, int i,
                            uint32_t *index, wlm_error *error)
{
    const uint64_t seed = wlmi_mix2(o->seed, (uint64_t)i);
    const wlmi_tree_options options = {
        .depth = o->depth, .min_leaf = o->min_leaf, .balance = o->balance, .seed = wlmi_mix(seed),
        .features_per_split = o->features_per_split > 0 ? o->features_per_split : (int)sqrt((double)samples->features)};
    wlmi_rng rng;
    wlmi_rng_seed(&rng, seed);
    for (size_t s = 0; s < samples->n; s++)
        index[s] = (uint32_t)wlmi_rng_below(&rng, samples->n);
    return wlmi_tree_train(&f->tree[i], samples, index, samples->n, &options, error);
}

static wlm_status grow(wlmi_forest *f, const wlmi_samples *samples, const wlmi_forest_options *o, wlm_error *error)
{
    uint32_t *index = wlmi_alloc_array(samples->n, sizeof *index);
    wlm_status status = WLM_OK;
    f->tree = wlmi_alloc_zero((size_t)o->trees, sizeof *f->tree);
    if (!index || !f->tree)
        status = WLMI_NO_MEMORY(error);
    for (int i = 0; status == WLM_OK && i < o->trees; i++) {
        f->trees = i + 1;
        status = grow_tree(f, samples, o, i, index, error);
    }
    wlmi_free(index);
    return status;
}

wlm_status wlmi_forest_train(wlmi_forest **forest, const wlmi_samples *samples, const wlmi_forest_options *options,
                             wlm_error *error)
{
    wlmi_forest *f;
    wlm_status status;
    *forest = NULL;
    if (options->trees < 1 || !samples->n || samples->n > UINT32_MAX)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "a forest needs trees, and samples");
    f = wlmi_alloc_zero(1, sizeof *f);
    if (!f)
        return WLMI_NO_MEMORY(error);
    f->classes = samples->classes;
    status = grow(f, samples, options, error);
    if (status == WLM_OK)
        *forest = f;
    else
        wlmi_forest_free(f);
    return status;
}

void wlmi_forest_predict(const wlmi_forest *forest, const float *x, float *p)
{
    memset(p, 0, (size_t)forest->classes * sizeof *p);
    for (int i = 0; i < forest->trees; i++)
        wlmi_tree_add(forest->tree[i], x, p);
    for (int c = 0; c < forest->classes; c++)
        p[c] /= (float)forest->trees;
}

void wlmi_forest_free(wlmi_forest *forest)
{
    if (!forest)
        return;
    for (int i = 0; forest->tree && i < forest->trees; i++)
        wlmi_tree_free(forest->tree[i]);
    wlmi_free(forest->tree);
    wlmi_free(forest);
}
