/* controls.c: a tree on shortcuts, and what a frozen model's vectors tell. */
#include "task/controls.h"

#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "task/embedder.h"
#include "task/metrics.h"
#include "task/nearest.h"
#include "task/probe.h"
#include "task/tree.h"

enum { NEIGHBOURS = 5 };
enum { HELD = 5 }; /* one capture in so many is held from the probe while its penalty is chosen */
enum { SHORTCUTS = 3 + 16 + 16 + 2, LEAF_FLOWS = 2 };
static const int64_t DAY_NS = INT64_C(86400000000000);

typedef struct run {
    wlm_model *model;
    const wlmi_controls_options *options;
    const wlmi_cohort *cohort;
    wlmi_picks train; /* of the train part */
    int *guess;       /* [picks] */
} run;

/* ---------------------------------------------------------------- scores */

static wlm_status add_score(const run *r, json_t *controls, const char *name, json_t *more, wlm_error *error)
{
    const wlmi_picks *picks = r->options->picks;
    const size_t labels = r->cohort->labels;
    uint64_t *confusion = wlmi_alloc_zero(labels * labels, sizeof *confusion);
    json_t *value;
    wlmi_score score;
    if (!confusion || !more) {
        wlmi_free(confusion);
        json_decref(more);
        return WLMI_NO_MEMORY(error);
    }
    for (size_t i = 0; i < picks->count; i++)
        confusion[(size_t)picks->item[i].truth * labels + (size_t)r->guess[i]]++;
    wlmi_score_confusion(confusion, (int)labels, &score, NULL);
    wlmi_free(confusion);
    value = json_pack("{s:f,s:f}", "accuracy", score.accuracy, "macro_f1", score.macro_f1);
    json_object_update(value, more);
    json_decref(more);
    return json_object_set_new(controls, name, value) == 0 ? WLM_OK : WLMI_NO_MEMORY(error);
}

/* ---------------------------------------------------------------- the shortcut */

/* Link type, the clock twice (days since 1970, so that a float holds it, and the time of day), addresses byte by byte,
 * ports. */
static wlm_status shortcuts_of(const run *r, const wlmi_pick *pick, float x[SHORTCUTS], wlm_error *error)
{
    const wlmi_dataset *data = r->cohort->data[pick->folder];
    wlmi_shard_flow f;
    wlm_packet packet;
    int at = 3;
    wlmi_dataset_flow(data, pick->flow, &f);
    WLMI_TRY(wlmi_dataset_packet(data, pick->flow, 0, &packet, error));
    x[0] = (float)packet.link_type;
    x[1] = (float)((double)packet.time_ns / (double)DAY_NS);
    x[2] = (float)((double)(packet.time_ns % DAY_NS) * 1e-9);
    for (int i = 0; i < 16; i++)
        x[at++] = f.key.src[i];
    for (int i = 0; i < 16; i++)
        x[at++] = f.key.dst[i];
    x[at++] = f.key.src_port;
    x[at] = f.key.dst_port;
    return WLM_OK;
}

static wlm_status guess_by_tree(run *r, const wlmi_tree *tree, float *share, wlm_error *error)
{
    const wlmi_picks *picks = r->options->picks;
    for (size_t i = 0; i < picks->count; i++) {
        float x[SHORTCUTS];
        WLMI_TRY(shortcuts_of(r, &picks->item[i], x, error));
        memset(share, 0, r->cohort->labels * sizeof *share);
        wlmi_tree_add(tree, x, share);
        r->guess[i] = 0;
        for (int c = 1; c < (int)r->cohort->labels; c++)
            r->guess[i] = share[c] > share[r->guess[i]] ? c : r->guess[i];
    }
    return WLM_OK;
}

static wlm_status add_shortcut(run *r, json_t *controls, wlm_error *error)
{
    const wlmi_tree_options options = {.min_leaf = LEAF_FLOWS, .seed = 1};
    const size_t n = r->train.count;
    float *x = wlmi_alloc_array(n * SHORTCUTS, sizeof *x);
    float *share = wlmi_alloc_array(r->cohort->labels, sizeof *share);
    int *y = wlmi_alloc_array(n, sizeof *y);
    const wlmi_samples samples = {x, y, n, SHORTCUTS, (int)r->cohort->labels};
    wlmi_tree *tree = NULL;
    wlm_status status = x && y && share ? WLM_OK : WLMI_NO_MEMORY(error);
    for (size_t i = 0; status == WLM_OK && i < n; i++) {
        y[i] = r->train.item[i].truth;
        status = shortcuts_of(r, &r->train.item[i], x + i * SHORTCUTS, error);
    }
    if (status == WLM_OK)
        status = wlmi_tree_train(&tree, &samples, NULL, 0, &options, error);
    if (status == WLM_OK)
        status = guess_by_tree(r, tree, share, error);
    if (status == WLM_OK)
        status = add_score(r, controls, "shortcut", json_pack("{s:I}", "train_flows", (json_int_t)n), error);
    wlmi_tree_free(tree);
    wlmi_free(x);
    wlmi_free(y);
    wlmi_free(share);
    return status;
}

/* ---------------------------------------------------------------- the frozen model */

typedef struct vectors { /* of some flows */
    float *x; /* [count, width] */
    int *y;   /* [count] */
    uint8_t *held;
    size_t count;
    size_t width;
} vectors;

static void embedded(void *owner, uint64_t name, const float *vector)
{
    vectors *v = owner;
    memcpy(v->x + name * v->width, vector, v->width * sizeof *vector);
}

static wlm_status embed_picks(const run *r, wlmi_embedder *embedder, const wlmi_picks *picks, wlm_error *error)
{
    for (size_t i = 0; i < picks->count; i++) {
        const wlmi_pick *p = &picks->item[i];
        if (r->options->stop && *r->options->stop)
            return WLM_STOPPED;
        WLMI_TRY(wlmi_embedder_flow(embedder, r->cohort->data[p->folder], p->flow, i, NULL, error));
    }
    return wlmi_embedder_run(embedder, error);
}

static wlm_status embed(const run *r, const wlmi_picks *picks, vectors *v, wlm_error *error)
{
    const wlmi_embedder_options options = {.pool = WLM_POOL_MEAN, .embedded = embedded, .owner = v};
    wlmi_embedder *embedder;
    wlm_status status;
    v->count = picks->count;
    v->width = (size_t)r->model->net->config.width;
    v->x = wlmi_alloc_array(v->count * v->width, sizeof *v->x);
    v->y = wlmi_alloc_array(v->count, sizeof *v->y);
    v->held = wlmi_alloc_array(v->count, 1);
    if (!v->x || !v->y || !v->held)
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < v->count; i++) {
        v->y[i] = picks->item[i].truth;
        v->held[i] = wlmi_mix(picks->item[i].group) % HELD == 0;
    }
    WLMI_TRY(wlmi_embedder_new(&embedder, r->model, r->options->view, &options, error));
    status = embed_picks(r, embedder, picks, error);
    wlmi_embedder_free(embedder);
    return status;
}

static void free_vectors(vectors *v)
{
    wlmi_free(v->x);
    wlmi_free(v->y);
    wlmi_free(v->held);
}

/* Takes every so-manieth flow of each label, so that captures keep their shares; at most per_label remain. */
static wlm_status thin(run *r, wlm_error *error)
{
    const size_t most = r->options->per_label, labels = r->cohort->labels;
    size_t *there = wlmi_alloc_zero(2 * labels, sizeof *there), *seen = there ? there + labels : NULL, kept = 0;
    if (!there)
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < r->train.count; i++)
        there[r->train.item[i].truth]++;
    for (size_t i = 0; i < r->train.count; i++) {
        const wlmi_pick p = r->train.item[i];
        const size_t n = there[p.truth], at = seen[p.truth]++;
        if (n <= most || (at + 1) * most / n != at * most / n)
            r->train.item[kept++] = p;
    }
    r->train.count = kept;
    wlmi_free(there);
    return WLM_OK;
}

static wlm_status add_nearest(run *r, const wlmi_vectors *known, const vectors *asked, json_t *controls,
                              wlm_error *error)
{
    WLMI_TRY(wlmi_nearest(known, NEIGHBOURS, asked->x, asked->count, r->guess, error));
    return add_score(r, controls, "nearest", json_pack("{s:i,s:I}", "neighbours", (int)NEIGHBOURS, "train_flows",
                                                       (json_int_t)known->n), error);
}

static wlm_status add_probe(run *r, const wlmi_vectors *known, const vectors *asked, json_t *controls,
                            wlm_error *error)
{
    wlmi_probe *probe;
    double l2;
    WLMI_TRY(wlmi_probe_train(&probe, known, error));
    for (size_t i = 0; i < asked->count; i++)
        r->guess[i] = wlmi_probe_class(probe, asked->x + i * asked->width);
    l2 = wlmi_probe_l2(probe);
    wlmi_probe_free(probe);
    return add_score(r, controls, "probe", json_pack("{s:f,s:I}", "l2", l2, "train_flows", (json_int_t)known->n),
                     error);
}

static wlm_status add_frozen(run *r, json_t *controls, wlm_error *error)
{
    vectors train = {0}, asked = {0};
    wlm_status status = thin(r, error);
    if (status == WLM_OK)
        status = embed(r, &r->train, &train, error);
    if (status == WLM_OK)
        status = embed(r, r->options->picks, &asked, error);
    if (status == WLM_OK) {
        const wlmi_vectors known = {train.x, train.y, train.held, train.count, (int)train.width,
                                    (int)r->cohort->labels};
        status = add_nearest(r, &known, &asked, controls, error);
        if (status == WLM_OK)
            status = add_probe(r, &known, &asked, controls, error);
    }
    free_vectors(&train);
    free_vectors(&asked);
    return status;
}

static wlm_status add_all(run *r, json_t *controls, wlm_error *error)
{
    WLMI_TRY(wlmi_cohort_pick(r->cohort, WLM_PART_TRAIN, WLMI_LABELLED, &r->train, error));
    if (!r->train.count) {
        json_object_set_new(controls, "shortcut", json_null());
        json_object_set_new(controls, "nearest", json_null());
        json_object_set_new(controls, "probe", json_null());
        return WLM_OK;
    }
    r->guess = wlmi_alloc_array(r->options->picks->count, sizeof *r->guess);
    if (!r->guess)
        return WLMI_NO_MEMORY(error);
    WLMI_TRY(add_shortcut(r, controls, error));
    return add_frozen(r, controls, error);
}

wlm_status wlmi_controls_add(json_t *controls, wlm_model *model, const wlmi_controls_options *options,
                             wlm_error *error)
{
    run r = {.model = model, .options = options, .cohort = options->cohort};
    wlm_status status = add_all(&r, controls, error);
    wlmi_free(r.train.item);
    wlmi_free(r.guess);
    return status;
}
