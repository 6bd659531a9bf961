/* boost.c: growing boosted trees from histograms: for each feature, the sum of the gradients of a node's samples in each
 * bin says how well each border divides them. */
#include "task/boost.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"

enum { BINS = 64, BORDERS = BINS - 1, MOST_DEPTH = 8, LANES = 8, SKETCH = LANES - 1, CHUNK = 4096 };

typedef struct split {
    double gain; /* 0: none divides */
    int feature, bin; /* bins above it go to the second child */
} split;

typedef struct grower {
    const wlmi_samples *samples;
    const wlmi_boost_options *options;
    const wlmi_backend *backend;
    size_t n;
    int F, K;         /* features, classes */
    float *border;    /* [F, BORDERS], rising */
    int *borders;     /* [F] */
    uint8_t *bin;     /* [F, n] */
    float *score;     /* [n, K]: logits so far */
    float *gradient;  /* [n, K]: of each class, by the weight */
    float *onto;      /* [K, SKETCH]: what the tree at hand projects them by */
    float *sketch;    /* [n, LANES]: gradients projected, and the weight last */
    float *loss;      /* [chunks] */
    uint32_t *node;   /* [n]: where a sample is in the tree at hand */
    uint32_t *item;   /* [n]: samples that grow it, `items` of them */
    size_t items;
    int *feature;     /* [F]: an order to draw from, `looked` of them at this level */
    int looked, level;
    split *found;     /* [looked, nodes of a level] */
    float (**sums)[LANES]; /* [threads]: [nodes of a level, BINS, LANES] */
    wlmi_rng rng;
} grower;

/* ---------------------------------------------------------------- bins */

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Half of the borders are quantiles of x [n], which is put in order, half stand evenly among its different values, for
 * the rare ones. Returns how many there are. */
static int find_borders(float *x, size_t n, float *border)
{
    const int quantiles = BORDERS / 2 + 1;
    size_t different = 1;
    int used = 0;
    float both[BORDERS];
    qsort(x, n, sizeof *x, by_size);
    for (int k = 0; k < quantiles; k++)
        both[k] = x[(n - 1) * (size_t)(k + 1) / (size_t)(quantiles + 1)];
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[different - 1])
            x[different++] = x[i];
    for (int k = 0; k < BORDERS - quantiles; k++)
        both[quantiles + k] = x[(different - 1) * (size_t)k / (size_t)(BORDERS - quantiles)];
    qsort(both, BORDERS, sizeof *both, by_size);
    for (int k = 0; k < BORDERS; k++)
        if (both[k] < x[different - 1] && (!used || both[k] > border[used - 1]))
            border[used++] = both[k];
    return used;
}

static uint8_t bin_of(const float *border, int borders, float x)
{
    int low = 0, high = borders;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (x > border[middle])
            low = middle + 1;
        else
            high = middle;
    }
    return (uint8_t)low;
}

static void fill_bins(void *user, int f, int worker)
{
    grower *g = user;
    const float *x = g->samples->x + f;
    float *border = g->border + (size_t)f * BORDERS, *sorted = wlmi_alloc_array(g->n, sizeof *sorted);
    (void)worker;
    g->borders[f] = -1;
    if (!sorted)
        return;
    for (size_t i = 0; i < g->n; i++)
        sorted[i] = x[i * (size_t)g->F];
    g->borders[f] = find_borders(sorted, g->n, border);
    for (size_t i = 0; i < g->n; i++)
        g->bin[(size_t)f * g->n + i] = bin_of(border, g->borders[f], x[i * (size_t)g->F]);
    wlmi_free(sorted);
}

/* ---------------------------------------------------------------- gradients */

/* Of as many classes as a sketch has room for, each stays as it is; of more, random signs mix them, which keeps sums of
 * squares as they are on the average (Iosipoi and Vakhrushev, SketchBoost, 2022). */
static void draw_projection(grower *g)
{
    memset(g->onto, 0, (size_t)g->K * SKETCH * sizeof *g->onto);
    for (int k = 0; k < g->K; k++)
        for (int j = 0; j < SKETCH; j++)
            g->onto[k * SKETCH + j] = g->K <= SKETCH ? (float)(j == k)
                                                     : (wlmi_rng_below(&g->rng, 2) ? 1.0f : -1.0f) / sqrtf(SKETCH);
}

static void take_sketch(const grower *g, const float *gradient, float weight, float *sketch)
{
    memset(sketch, 0, LANES * sizeof *sketch);
    for (int k = 0; k < g->K; k++)
        for (int j = 0; j < SKETCH; j++)
            sketch[j] += gradient[k] * g->onto[k * SKETCH + j];
    sketch[SKETCH] = weight;
}

static void take_gradients(void *user, int chunk, int worker)
{
    grower *g = user;
    const size_t begin = (size_t)chunk * CHUNK, end = begin + CHUNK < g->items ? begin + CHUNK : g->items;
    double loss = 0;
    (void)worker;
    for (size_t j = begin; j < end; j++) {
        const size_t i = g->item[j];
        const float *score = g->score + i * (size_t)g->K;
        const float weight = g->options->weight ? g->options->weight[i] : 1;
        float *gradient = g->gradient + i * (size_t)g->K, most = score[0], sum = 0;
        for (int k = 1; k < g->K; k++)
            most = score[k] > most ? score[k] : most;
        for (int k = 0; k < g->K; k++)
            sum += gradient[k] = expf(score[k] - most);
        for (int k = 0; k < g->K; k++)
            gradient[k] = weight * ((float)(k == g->samples->y[i]) - gradient[k] / sum);
        take_sketch(g, gradient, weight, g->sketch + i * LANES);
        loss += (double)(weight * (logf(sum) + most - score[g->samples->y[i]]));
    }
    g->loss[chunk] = (float)loss;
}

/* Returns the mean loss. */
static double gradients(grower *g)
{
    const size_t chunks = (g->items + CHUNK - 1) / CHUNK;
    double loss = 0;
    g->backend->each(take_gradients, g, (int)chunks);
    for (size_t c = 0; c < chunks; c++)
        loss += (double)g->loss[c];
    return loss / (double)g->items;
}

/* ---------------------------------------------------------------- splits */

/* Sum of the squared gradients over their number. */
static double merit(const grower *g, const float *sum)
{
    double squares = 0;
    for (int j = 0; j < SKETCH; j++)
        squares += (double)sum[j] * (double)sum[j];
    return squares / ((double)sum[SKETCH] + g->options->ridge);
}

/* The best border between the bins of one node. */
static split best_border(const grower *g, int feature, const float (*sums)[LANES])
{
    const int bins = g->borders[feature] + 1;
    const float least = (float)g->options->min_leaf;
    split best = {0, feature, 0};
    float left[LANES] = {0}, right[LANES] = {0};
    double whole;
    for (int b = 0; b < bins; b++)
        for (int j = 0; j < LANES; j++)
            right[j] += sums[b][j];
    whole = merit(g, right);
    for (int b = 0; b + 1 < bins; b++) {
        double gain;
        if (sums[b][SKETCH] == 0) /* as good as the border before */
            continue;
        for (int j = 0; j < LANES; j++) {
            left[j] += sums[b][j];
            right[j] -= sums[b][j];
        }
        if (left[SKETCH] < least || right[SKETCH] < least)
            continue;
        gain = merit(g, left) + merit(g, right) - whole;
        if (gain > best.gain)
            best = (split){gain, feature, b};
    }
    return best;
}

static void look_at(void *user, int i, int worker)
{
    grower *g = user;
    const int feature = g->feature[i], nodes = 1 << g->level;
    const uint8_t *bin = g->bin + (size_t)feature * g->n;
    const uint32_t first = (uint32_t)nodes - 1;
    float(*sums)[LANES] = g->sums[worker];
    memset(sums, 0, (size_t)nodes * BINS * sizeof *sums);
    for (size_t at = 0; at < g->items; at++) {
        const size_t s = g->item[at];
        const float *sketch = g->sketch + s * LANES;
        float *sum = sums[(size_t)(g->node[s] - first) * BINS + bin[s]];
        for (int j = 0; j < LANES; j++)
            sum[j] += sketch[j];
    }
    for (int node = 0; node < nodes; node++)
        g->found[(size_t)i * (size_t)nodes + (size_t)node] = best_border(g, feature, sums + (size_t)node * BINS);
}

static void draw_features(grower *g)
{
    for (int f = 0; f < g->looked; f++) {
        const int at = f + (int)wlmi_rng_below(&g->rng, (uint64_t)(g->F - f)), drawn = g->feature[at];
        g->feature[at] = g->feature[f];
        g->feature[f] = drawn;
    }
}

static void grow_level(grower *g, float *index, float *border)
{
    const int nodes = 1 << g->level, first = nodes - 1;
    split chosen[1 << (MOST_DEPTH - 1)];
    draw_features(g);
    g->backend->each(look_at, g, g->looked);
    for (int node = 0; node < nodes; node++) {
        chosen[node] = (split){0, 0, BINS};
        for (int i = 0; i < g->looked; i++)
            if (g->found[i * nodes + node].gain > chosen[node].gain)
                chosen[node] = g->found[i * nodes + node];
        index[first + node] = (float)chosen[node].feature;
        border[first + node] = chosen[node].gain > 0
                                   ? g->border[(size_t)chosen[node].feature * BORDERS + (size_t)chosen[node].bin]
                                   : FLT_MAX;
    }
    for (size_t i = 0; i < g->n; i++) {
        const split *s = &chosen[g->node[i] - (uint32_t)first];
        g->node[i] = 2 * g->node[i] + 1 + (g->bin[(size_t)s->feature * g->n + i] > s->bin);
    }
}

/* ---------------------------------------------------------------- leaves */

/* A step of Newton's for each class, by the diagonal of the second derivative, doubled as the classes share one sum. */
static wlm_status fill_leaves(grower *g, float *value, wlm_error *error)
{
    const int leaves = 1 << g->options->depth, K = g->K;
    const size_t size = (size_t)leaves * (size_t)K;
    double *sum = wlmi_alloc_zero(2 * size, sizeof *sum), *curve = sum + size;
    if (!sum)
        return WLMI_NO_MEMORY(error);
    for (size_t j = 0; j < g->items; j++) {
        const size_t i = g->item[j], leaf = g->node[i] - (uint32_t)(leaves - 1);
        const float *gradient = g->gradient + i * (size_t)K;
        const double weight = (double)g->sketch[i * LANES + SKETCH];
        for (int k = 0; k < K; k++) {
            const double p = fabs((double)gradient[k]) / weight; /* or 1 - p */
            sum[leaf * (size_t)K + (size_t)k] += (double)gradient[k];
            curve[leaf * (size_t)K + (size_t)k] += 2 * weight * p * (1 - p);
        }
    }
    for (size_t i = 0; i < size; i++)
        value[i] = (float)(g->options->rate * sum[i] / (curve[i] + g->options->ridge));
    for (size_t i = 0; i < g->n; i++) {
        const float *own = value + (size_t)(g->node[i] - (uint32_t)(leaves - 1)) * (size_t)K;
        for (int k = 0; k < K; k++)
            g->score[i * (size_t)K + (size_t)k] += own[k];
    }
    wlmi_free(sum);
    return WLM_OK;
}

static void draw_rows(grower *g)
{
    g->items = 0;
    for (size_t i = 0; i < g->n; i++)
        if (wlmi_rng_uniform(&g->rng) < g->options->rows)
            g->item[g->items++] = (uint32_t)i;
    if (!g->items)
        g->item[g->items++] = (uint32_t)wlmi_rng_below(&g->rng, g->n);
}

static wlm_status grow_trees(grower *g, wlmi_boosted *out, wlm_error *error)
{
    const wlmi_boost_options *o = g->options;
    const size_t splits = ((size_t)1 << o->depth) - 1, leaves = splits + 1;
    for (int t = 0; t < o->trees; t++) {
        double loss;
        draw_rows(g);
        draw_projection(g);
        loss = gradients(g);
        memset(g->node, 0, g->n * sizeof *g->node);
        for (g->level = 0; g->level < o->depth; g->level++)
            grow_level(g, out->index + (size_t)t * splits, out->border + (size_t)t * splits);
        WLMI_TRY(fill_leaves(g, out->value + (size_t)t * leaves * (size_t)g->K, error));
        if (o->grown && o->grown(o->user, t + 1, loss))
            return wlmi_fail(error, WLM_STOPPED, NULL, WLM_NO_OFFSET, "stopped after %d trees", t + 1);
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- the whole */

wlmi_boost_options wlmi_boost_options_default(void)
{
    wlmi_boost_options options = {.trees = 250, .depth = 6, .rate = .2, .ridge = 1, .rows = .8, .features = .3,
                                  .min_leaf = 2, .seed = 1};
    return options;
}

static wlm_status check(const wlmi_samples *s, const wlmi_boost_options *o, wlm_error *error)
{
    if (!s->n || s->n > UINT32_MAX || s->features < 1 || s->classes < 1 || o->trees < 1 || o->depth < 1 ||
        o->depth > MOST_DEPTH)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no samples to boost trees on, or too many");
    for (size_t i = 0; i < s->n; i++)
        if (s->y[i] < 0 || s->y[i] >= s->classes)
            return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "a sample for trees has no such class");
    return WLM_OK;
}

static wlm_status make_room(grower *g, wlm_error *error)
{
    const size_t n = g->n, F = (size_t)g->F, K = (size_t)g->K, threads = (size_t)g->backend->threads();
    const size_t nodes = (size_t)1 << (g->options->depth - 1);
    int there;
    g->border = wlmi_alloc_array(F * BORDERS, sizeof *g->border);
    g->borders = wlmi_alloc_array(F, sizeof *g->borders);
    g->bin = wlmi_alloc_array(F * n, 1);
    g->score = wlmi_alloc_zero(n * K, sizeof *g->score);
    g->gradient = wlmi_alloc_array(n * K, sizeof *g->gradient);
    g->onto = wlmi_alloc_array(K * SKETCH, sizeof *g->onto);
    g->sketch = wlmi_alloc_array(n * LANES, sizeof *g->sketch);
    g->loss = wlmi_alloc_array(n / CHUNK + 1, sizeof *g->loss);
    g->node = wlmi_alloc_array(n, sizeof *g->node);
    g->item = wlmi_alloc_array(n, sizeof *g->item);
    g->feature = wlmi_alloc_array(F, sizeof *g->feature);
    g->found = wlmi_alloc_array((size_t)g->looked * nodes, sizeof *g->found);
    g->sums = wlmi_alloc_zero(threads, sizeof *g->sums);
    there = g->border && g->borders && g->bin && g->score && g->gradient && g->onto && g->sketch && g->loss &&
            g->node && g->item && g->feature && g->found && g->sums;
    for (size_t t = 0; there && t < threads; t++) {
        g->sums[t] = wlmi_alloc_array(nodes * BINS, sizeof **g->sums);
        there = g->sums[t] != NULL;
    }
    for (int f = 0; there && f < g->F; f++)
        g->feature[f] = f;
    return there ? WLM_OK : WLMI_NO_MEMORY(error);
}

static void release(grower *g)
{
    const size_t threads = (size_t)g->backend->threads();
    wlmi_free(g->border);
    wlmi_free(g->borders);
    wlmi_free(g->bin);
    wlmi_free(g->score);
    wlmi_free(g->gradient);
    wlmi_free(g->onto);
    wlmi_free(g->sketch);
    wlmi_free(g->loss);
    wlmi_free(g->node);
    wlmi_free(g->item);
    wlmi_free(g->feature);
    wlmi_free(g->found);
    for (size_t t = 0; g->sums && t < threads; t++)
        wlmi_free(g->sums[t]);
    wlmi_free(g->sums);
}

static wlm_status bin_all(grower *g, wlm_error *error)
{
    g->backend->each(fill_bins, g, g->F);
    for (int f = 0; f < g->F; f++)
        if (g->borders[f] < 0)
            return WLMI_NO_MEMORY(error);
    return WLM_OK;
}

wlm_status wlmi_boost(const wlmi_samples *samples, const wlmi_boost_options *options, const wlmi_backend *backend,
                      wlmi_boosted *out, wlm_error *error)
{
    const int looked = (int)(options->features * samples->features);
    grower g = {.samples = samples, .options = options, .backend = backend, .n = samples->n, .F = samples->features,
                .K = samples->classes, .looked = looked < 1 ? 1 : looked > samples->features ? samples->features : looked};
    wlm_status status;
    WLMI_TRY(check(samples, options, error));
    wlmi_rng_seed(&g.rng, options->seed);
    status = make_room(&g, error);
    if (status == WLM_OK)
        status = bin_all(&g, error);
    if (status == WLM_OK)
        status = grow_trees(&g, out, error);
    release(&g);
    return status;
}
