/* tree.c: growing a decision tree depth first, and walking it. Every feature that a node looks at is sorted, and each
 * border between two different values is tried. */
#include "task/tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"

enum { LEAF = -1 };

typedef struct node {
    int feature;      /* or LEAF */
    float threshold;  /* x <= threshold goes to `first`, else to the one after it */
    uint32_t first;   /* child; leaf: into share */
    uint32_t shares;  /* leaf: how many */
} node;

typedef struct class_share {
    int label;
    float share;
} class_share;

struct wlmi_tree {
    node *node;
    size_t nodes, node_capacity;
    class_share *share;
    size_t shares, share_capacity;
};

typedef struct value {
    float x;
    int label;
} value;

typedef struct job { /* samples begin .. end - 1 of item become a node's subtree */
    uint32_t node;
    size_t begin, end;
    int depth;
} job;

typedef struct split {
    int feature; /* LEAF: none divides */
    float threshold;
    double merit;
} split;

typedef struct grower {
    const wlmi_samples *samples;
    const wlmi_tree_options *options;
    wlmi_tree *tree;
    wlmi_rng rng;
    uint32_t *item;   /* [count]: samples, each node's together */
    value *sorted;    /* [count] */
    int *feature;     /* [features]: an order to draw from */
    double *weight;   /* [classes]: of one sample */
    double *left, *right; /* [classes]: weight on either side of a border */
    job *stack;
    size_t waiting, stack_capacity;
} grower;

/* ---------------------------------------------------------------- one node */

static float feature_of(const grower *g, size_t i, int feature)
{
    float x = g->samples->x[(size_t)g->item[i] * (size_t)g->samples->features + (size_t)feature];
    return isnan(x) ? INFINITY : x;
}

static int by_value(const void *a, const void *b)
{
    const value *l = a, *r = b;
    if (l->x != r->x)
        return l->x < r->x ? -1 : 1;
    return (l->label > r->label) - (l->label < r->label);
}

/* Weight of each class among the job's samples; returns how many classes there are. */
static int weigh(const grower *g, const job *j, double *weight)
{
    int present = 0;
    memset(weight, 0, (size_t)g->samples->classes * sizeof *weight);
    for (size_t i = j->begin; i < j->end; i++) {
        int label = g->samples->y[g->item[i]];
        present += weight[label] == 0;
        weight[label] += g->weight[label];
    }
    return present;
}

/* A threshold that divides low from high, whatever they are. */
static float between(float low, float high)
{
    float middle = low / 2 + high / 2;
    return middle >= low && middle < high ? middle : low;
}

/* Moves one sample across the border; *squares are the sums of squared class weights on either side. */
static void cross(const grower *g, int label, double *left_squares, double *right_squares)
{
    double w = g->weight[label];
    *left_squares += w * (2 * g->left[label] + w);
    *right_squares -= w * (2 * g->right[label] - w);
    g->left[label] += w;
    g->right[label] -= w;
}

/* The best border of one feature, if better than *best. Impurity is least where the sum over both sides of squared
 * class weights over the side's weight is greatest. */
static void try_feature(const grower *g, const job *j, int feature, split *best)
{
    size_t n = j->end - j->begin, least = g->options->min_leaf > 1 ? (size_t)g->options->min_leaf : 1;
    double left = 0, right = 0, left_squares = 0, right_squares = 0;
    for (size_t i = 0; i < n; i++)
        g->sorted[i] = (value){feature_of(g, j->begin + i, feature), g->samples->y[g->item[j->begin + i]]};
    qsort(g->sorted, n, sizeof *g->sorted, by_value);
    if (g->sorted[0].x == g->sorted[n - 1].x)
        return;
    weigh(g, j, g->right);
    memset(g->left, 0, (size_t)g->samples->classes * sizeof *g->left);
    for (int c = 0; c < g->samples->classes; c++) {
        right += g->right[c];
        right_squares += g->right[c] * g->right[c];
    }
    for (size_t i = 0; i + 1 < n; i++) {
        double w = g->weight[g->sorted[i].label], merit;
        cross(g, g->sorted[i].label, &left_squares, &right_squares);
        left += w;
        right -= w;
        if (g->sorted[i].x == g->sorted[i + 1].x || i + 1 < least || n - i - 1 < least)
            continue;
        merit = left_squares / left + right_squares / right;
        if (best->feature == LEAF || merit > best->merit)
            *best = (split){feature, between(g->sorted[i].x, g->sorted[i + 1].x), merit};
    }
}

static split find_split(grower *g, const job *j)
{
    int features = g->samples->features, wanted = g->options->features_per_split;
    split best = {LEAF, 0, 0};
    wanted = wanted > 0 && wanted < features ? wanted : features;
    for (int f = 0; f < features && (f < wanted || best.feature == LEAF); f++) {
        int at = f + (int)wlmi_rng_below(&g->rng, (uint64_t)(features - f)), drawn = g->feature[at];
        g->feature[at] = g->feature[f];
        g->feature[f] = drawn;
        try_feature(g, j, drawn, &best);
    }
    return best;
}

/* Samples that go to the first child come to the front; returns where the others begin. */
static size_t divide(grower *g, const job *j, const split *s)
{
    size_t border = j->begin;
    for (size_t i = j->begin; i < j->end; i++)
        if (feature_of(g, i, s->feature) <= s->threshold) {
            uint32_t item = g->item[i];
            g->item[i] = g->item[border];
            g->item[border++] = item;
        }
    return border;
}

static wlm_status make_leaf(grower *g, const job *j, int present, wlm_error *error)
{
    wlmi_tree *t = g->tree;
    double total = 0;
    if (!wlmi_grow(&t->share, &t->share_capacity, t->shares + (size_t)present, sizeof *t->share))
        return WLMI_NO_MEMORY(error);
    weigh(g, j, g->left);
    for (int c = 0; c < g->samples->classes; c++)
        total += g->left[c];
    t->node[j->node] = (node){LEAF, 0, (uint32_t)t->shares, (uint32_t)present};
    for (int c = 0; c < g->samples->classes; c++)
        if (g->left[c] > 0)
            t->share[t->shares++] = (class_share){c, (float)(g->left[c] / total)};
    return WLM_OK;
}

static wlm_status push(grower *g, job j, wlm_error *error)
{
    if (!wlmi_grow(&g->stack, &g->stack_capacity, g->waiting + 1, sizeof *g->stack))
        return WLMI_NO_MEMORY(error);
    g->stack[g->waiting++] = j;
    return WLM_OK;
}

static wlm_status grow_node(grower *g, const job *j, wlm_error *error)
{
    wlmi_tree *t = g->tree;
    int present = weigh(g, j, g->left), deep = g->options->depth > 0 && j->depth >= g->options->depth;
    uint32_t child = (uint32_t)t->nodes;
    split best = {LEAF, 0, 0};
    size_t border;
    if (present > 1 && !deep)
        best = find_split(g, j);
    if (best.feature == LEAF)
        return make_leaf(g, j, present, error);
    if (!wlmi_grow(&t->node, &t->node_capacity, t->nodes + 2, sizeof *t->node))
        return WLMI_NO_MEMORY(error);
    t->nodes += 2;
    t->node[j->node] = (node){best.feature, best.threshold, child, 0};
    border = divide(g, j, &best);
    WLMI_TRY(push(g, (job){child + 1, border, j->end, j->depth + 1}, error));
    return push(g, (job){child, j->begin, border, j->depth + 1}, error);
}

/* ---------------------------------------------------------------- a tree */

static wlm_status check(const wlmi_samples *s, size_t count, wlm_error *error)
{
    int known = 1;
    if (!count || !s->n || s->n > UINT32_MAX || count > UINT32_MAX / 2 || s->features < 1 || s->classes < 1)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no samples for a tree, or too many");
    for (size_t i = 0; i < s->n; i++)
        known &= s->y[i] >= 0 && s->y[i] < s->classes;
    return known ? WLM_OK
                 : wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "a sample for a tree has no such class");
}

static wlm_status make_room(grower *g, const uint32_t *index, size_t count, wlm_error *error)
{
    size_t classes = (size_t)g->samples->classes, features = (size_t)g->samples->features;
    wlmi_tree *t = g->tree;
    g->item = wlmi_alloc_array(count, sizeof *g->item);
    g->sorted = wlmi_alloc_array(count, sizeof *g->sorted);
    g->feature = wlmi_alloc_array(features, sizeof *g->feature);
    g->weight = wlmi_alloc_zero(classes, sizeof *g->weight);
    g->left = wlmi_alloc_array(classes, sizeof *g->left);
    g->right = wlmi_alloc_array(classes, sizeof *g->right);
    if (!g->item || !g->sorted || !g->feature || !g->weight || !g->left || !g->right ||
        !wlmi_grow(&t->node, &t->node_capacity, 1, sizeof *t->node))
        return WLMI_NO_MEMORY(error);
    t->nodes = 1;
    for (size_t i = 0; i < count; i++)
        g->item[i] = index ? index[i] : (uint32_t)i;
    for (int f = 0; f < g->samples->features; f++)
        g->feature[f] = f;
    return WLM_OK;
}

/* One sample's weight, by class: 1, or one over how many there are. */
static void set_weights(grower *g, size_t count)
{
    for (size_t i = 0; i < count; i++)
        g->weight[g->samples->y[g->item[i]]]++;
    for (int c = 0; c < g->samples->classes; c++)
        g->weight[c] = g->options->balance && g->weight[c] > 0 ? 1 / g->weight[c] : 1;
}

static void release(grower *g)
{
    wlmi_free(g->item);
    wlmi_free(g->sorted);
    wlmi_free(g->feature);
    wlmi_free(g->weight);
    wlmi_free(g->left);
    wlmi_free(g->right);
    wlmi_free(g->stack);
}

static wlm_status grow(grower *g, const uint32_t *index, size_t count, wlm_error *error)
{
    WLMI_TRY(make_room(g, index, count, error));
    set_weights(g, count);
    WLMI_TRY(push(g, (job){0, 0, count, 0}, error));
    while (g->waiting) {
        const job j = g->stack[--g->waiting];
        WLMI_TRY(grow_node(g, &j, error));
    }
    return WLM_OK;
}

wlm_status wlmi_tree_train(wlmi_tree **tree, const wlmi_samples *samples, const uint32_t *index, size_t count,
                           const wlmi_tree_options *options, wlm_error *error)
{
    grower g = {.samples = samples, .options = options};
    wlm_status status;
    *tree = NULL;
    count = index ? count : samples->n;
    WLMI_TRY(check(samples, count, error));
    g.tree = wlmi_alloc_zero(1, sizeof *g.tree);
    if (!g.tree)
        return WLMI_NO_MEMORY(error);
    wlmi_rng_seed(&g.rng, options->seed);
    status = grow(&g, index, count, error);
    release(&g);
    if (status == WLM_OK)
        *tree = g.tree;
    else
        wlmi_tree_free(g.tree);
    return status;
}

void wlmi_tree_add(const wlmi_tree *tree, const float *x, float *p)
{
    const node *n = tree->node;
    while (n->feature != LEAF)
        n = &tree->node[n->first + !(x[n->feature] <= n->threshold)];
    for (uint32_t i = 0; i < n->shares; i++)
        p[tree->share[n->first + i].label] += tree->share[n->first + i].share;
}

void wlmi_tree_free(wlmi_tree *tree)
{
    if (!tree)
        return;
    wlmi_free(tree->node);
    wlmi_free(tree->share);
    wlmi_free(tree);
}
