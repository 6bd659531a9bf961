/* probe.c: multinomial logistic regression by L-BFGS. Weights stand as [width + 1, classes], the biases last, so that
 * the inner loops run over classes. */
#include "task/probe.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "task/metrics.h"

enum { MEMORY = 8, STEPS = 100, TRIES = 12, CHOICES = 4 };

static const double penalty[CHOICES] = {1e-4, 1e-3, 1e-2, 1e-1};

struct wlmi_probe {
    wlmi_standard standard;
    int width, classes;
    double l2;
    float *weight; /* [width + 1, classes] */
    float *row;    /* [width]: working room */
    float *score;  /* [classes] */
};

typedef struct solver {
    wlmi_probe *probe;
    const float *x;      /* [n, width], standardised */
    const int *y;
    const uint8_t *skip; /* [n]; NULL: none is left out */
    size_t n, count;     /* rows; those that are not left out */
    double l2;
    size_t size;         /* of the weights */
    float *gradient, *next, *next_gradient, *way; /* [size] */
    float *step[MEMORY], *change[MEMORY]; /* [size]: of weights, of gradients; the latest at (taken - 1) % MEMORY */
    double curvature[MEMORY];
    int taken;
} solver;

/* ---------------------------------------------------------------- the loss */

static void scores_of(const wlmi_probe *p, const float *weight, const float *x, float *score)
{
    const size_t classes = (size_t)p->classes;
    memcpy(score, weight + (size_t)p->width * classes, classes * sizeof *score);
    for (size_t d = 0; d < (size_t)p->width; d++)
        for (size_t c = 0; c < classes; c++)
            score[c] += x[d] * weight[d * classes + c];
}

/* Turns scores into probabilities; returns -log of that of class y. */
static double softmax(float *score, int classes, int y)
{
    float most = score[0], of_y = score[y];
    double sum = 0;
    for (int c = 1; c < classes; c++)
        most = score[c] > most ? score[c] : most;
    for (int c = 0; c < classes; c++)
        sum += score[c] = expf(score[c] - most);
    for (int c = 0; c < classes; c++)
        score[c] = (float)(score[c] / sum);
    return log(sum) - (double)(of_y - most);
}

static double loss_at(const solver *s, const float *weight, float *gradient)
{
    wlmi_probe *p = s->probe;
    const size_t classes = (size_t)p->classes, width = (size_t)p->width;
    const float share = (float)(1 / (double)s->count);
    double loss = 0, squares = 0;
    memset(gradient, 0, s->size * sizeof *gradient);
    for (size_t i = 0; i < s->n; i++) {
        const float *x = s->x + i * width;
        if (s->skip && s->skip[i])
            continue;
        scores_of(p, weight, x, p->score);
        loss += softmax(p->score, p->classes, s->y[i]) / (double)s->count;
        p->score[s->y[i]] -= 1;
        for (size_t c = 0; c < classes; c++)
            p->score[c] *= share;
        for (size_t d = 0; d < width; d++)
            for (size_t c = 0; c < classes; c++)
                gradient[d * classes + c] += x[d] * p->score[c];
        for (size_t c = 0; c < classes; c++)
            gradient[width * classes + c] += p->score[c];
    }
    for (size_t i = 0; i < width * classes; i++) {
        squares += (double)weight[i] * weight[i];
        gradient[i] += (float)s->l2 * weight[i];
    }
    return loss + s->l2 / 2 * squares;
}

/* ---------------------------------------------------------------- the solver */

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static void add(float *y, double factor, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += (float)(factor * x[i]);
}

/* way = -H gradient, by the two loops. */
static void find_way(solver *s)
{
    const int kept = s->taken < MEMORY ? s->taken : MEMORY;
    double part[MEMORY];
    memcpy(s->way, s->gradient, s->size * sizeof *s->way);
    for (int k = 1; k <= kept; k++) {
        const int i = (s->taken - k) % MEMORY;
        part[i] = dot(s->step[i], s->way, s->size) / s->curvature[i];
        add(s->way, -part[i], s->change[i], s->size);
    }
    if (kept) {
        const int i = (s->taken - 1) % MEMORY;
        const double scale = s->curvature[i] / dot(s->change[i], s->change[i], s->size);
        for (size_t j = 0; j < s->size; j++)
            s->way[j] = (float)(s->way[j] * scale);
    }
    for (int k = kept; k >= 1; k--) {
        const int i = (s->taken - k) % MEMORY;
        add(s->way, part[i] - dot(s->change[i], s->way, s->size) / s->curvature[i], s->step[i], s->size);
    }
    for (size_t j = 0; j < s->size; j++)
        s->way[j] = -s->way[j];
}

/* Remembers how far weights and gradient moved, where the loss is curved along that. */
static void remember(solver *s, const float *weight)
{
    const int i = s->taken % MEMORY;
    for (size_t j = 0; j < s->size; j++) {
        s->step[i][j] = s->next[j] - weight[j];
        s->change[i][j] = s->next_gradient[j] - s->gradient[j];
    }
    s->curvature[i] = dot(s->step[i], s->change[i], s->size);
    s->taken += s->curvature[i] > 1e-12;
}

/* A step along the way that lowers the loss enough (Armijo); 0: there is none. */
static int advance(solver *s, float *weight, double *loss)
{
    double slope, length = 1;
    find_way(s);
    slope = dot(s->way, s->gradient, s->size);
    if (!(slope < 0))
        return 0;
    if (!s->taken)
        length = 1 / fmax(1, sqrt(-slope));
    for (int t = 0; t < TRIES; t++, length /= 2) {
        double reached;
        memcpy(s->next, weight, s->size * sizeof *weight);
        add(s->next, length, s->way, s->size);
        reached = loss_at(s, s->next, s->next_gradient);
        if (reached <= *loss + 1e-4 * length * slope) {
            const int close = *loss - reached < 1e-6 * fabs(*loss);
            remember(s, weight);
            memcpy(weight, s->next, s->size * sizeof *weight);
            memcpy(s->gradient, s->next_gradient, s->size * sizeof *weight);
            *loss = reached;
            return !close;
        }
    }
    return 0;
}

static void solve(solver *s, double l2, const uint8_t *skip)
{
    double loss;
    s->l2 = l2;
    s->skip = skip;
    s->count = 0;
    s->taken = 0;
    for (size_t i = 0; i < s->n; i++)
        s->count += !skip || !skip[i];
    memset(s->probe->weight, 0, s->size * sizeof *s->probe->weight);
    loss = loss_at(s, s->probe->weight, s->gradient);
    for (int i = 0; i < STEPS && advance(s, s->probe->weight, &loss); i++)
        ;
}

/* ---------------------------------------------------------------- the penalty */

static int class_of(const wlmi_probe *p, const float *x)
{
    int best = 0;
    scores_of(p, p->weight, x, p->score);
    for (int c = 1; c < p->classes; c++)
        best = p->score[c] > p->score[best] ? c : best;
    return best;
}

static wlm_status choose(solver *s, const wlmi_vectors *v, double *l2, wlm_error *error)
{
    const size_t classes = (size_t)v->classes;
    uint64_t *confusion = wlmi_alloc_array(classes * classes, sizeof *confusion);
    double best = -1;
    if (!confusion)
        return WLMI_NO_MEMORY(error);
    for (int k = 0; k < CHOICES; k++) {
        wlmi_score score;
        memset(confusion, 0, classes * classes * sizeof *confusion);
        solve(s, penalty[k], v->held);
        for (size_t i = 0; i < v->n; i++)
            if (v->held[i])
                confusion[(size_t)v->y[i] * classes + (size_t)class_of(s->probe, s->x + i * (size_t)v->width)]++;
        wlmi_score_confusion(confusion, v->classes, &score, NULL);
        if (score.macro_f1 > best) {
            best = score.macro_f1;
            *l2 = penalty[k];
        }
    }
    wlmi_free(confusion);
    return WLM_OK;
}

/* ---------------------------------------------------------------- a probe */

static wlm_status make_solver(solver *s, wlmi_probe *p, const wlmi_vectors *v, float **room, wlm_error *error)
{
    const size_t width = (size_t)v->width;
    float *at;
    s->probe = p;
    s->y = v->y;
    s->n = v->n;
    s->size = (width + 1) * (size_t)v->classes;
    p->weight = wlmi_alloc_zero(s->size, sizeof *p->weight);
    p->row = wlmi_alloc_zero(width, sizeof *p->row);
    p->score = wlmi_alloc_zero((size_t)v->classes, sizeof *p->score);
    *room = at = wlmi_alloc_array(v->n * width + s->size * (4 + 2 * MEMORY), sizeof *at);
    if (!p->weight || !p->row || !p->score || !at)
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < v->n; i++)
        wlmi_standard_apply(&p->standard, v->x + i * width, at + i * width);
    s->x = at;
    at += v->n * width;
    s->gradient = at;
    s->next = at + s->size;
    s->next_gradient = at + 2 * s->size;
    s->way = at + 3 * s->size;
    for (int i = 0; i < MEMORY; i++) {
        s->step[i] = at + (size_t)(4 + 2 * i) * s->size;
        s->change[i] = s->step[i] + s->size;
    }
    return WLM_OK;
}

static wlm_status train(wlmi_probe *p, const wlmi_vectors *v, wlm_error *error)
{
    solver s = {.probe = p};
    float *room = NULL;
    wlm_status status;
    size_t held = 0;
    for (size_t i = 0; v->held && i < v->n; i++)
        held += v->held[i] != 0;
    WLMI_TRY(wlmi_standard_fit(&p->standard, v->x, v->n, v->width, error));
    status = make_solver(&s, p, v, &room, error);
    p->l2 = penalty[1];
    if (status == WLM_OK && held && held < v->n)
        status = choose(&s, v, &p->l2, error);
    if (status == WLM_OK)
        solve(&s, p->l2, NULL);
    wlmi_free(room);
    return status;
}

wlm_status wlmi_probe_train(wlmi_probe **probe, const wlmi_vectors *vectors, wlm_error *error)
{
    wlmi_probe *p;
    wlm_status status;
    *probe = NULL;
    if (!vectors->n || vectors->classes < 1 || vectors->width < 1)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no vectors for a probe");
    p = wlmi_alloc_zero(1, sizeof *p);
    if (!p)
        return WLMI_NO_MEMORY(error);
    p->width = vectors->width;
    p->classes = vectors->classes;
    status = train(p, vectors, error);
    if (status == WLM_OK)
        *probe = p;
    else
        wlmi_probe_free(p);
    return status;
}

double wlmi_probe_l2(const wlmi_probe *probe)
{
    return probe->l2;
}

int wlmi_probe_class(const wlmi_probe *probe, const float *x)
{
    wlmi_standard_apply(&probe->standard, x, probe->row);
    return class_of(probe, probe->row);
}

void wlmi_probe_free(wlmi_probe *probe)
{
    if (!probe)
        return;
    wlmi_standard_free(&probe->standard);
    wlmi_free(probe->weight);
    wlmi_free(probe->row);
    wlmi_free(probe->score);
    wlmi_free(probe);
}
