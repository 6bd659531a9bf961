/* calibration.c: whether a model's confidence means what it says. */
#include "task/calibration.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static int largest(const float *logit, int labels)
{
    int best = 0;
    for (int i = 1; i < labels; i++)
        best = logit[i] > logit[best] ? i : best;
    return best;
}

/* sum(exp((logit - max) / temperature)) */
static double mass(const float *logit, int labels, double max, double temperature)
{
    double sum = 0;
    for (int i = 0; i < labels; i++)
        sum += exp((logit[i] - max) / temperature);
    return sum;
}

void wlmi_confide(const float *logit, size_t count, int labels, double temperature, int32_t *guess,
                  double *confidence)
{
    for (size_t i = 0; i < count; i++) {
        const float *row = logit + i * (size_t)labels;
        int best = largest(row, labels);
        if (guess)
            guess[i] = best;
        if (confidence)
            confidence[i] = 1 / mass(row, labels, row[best], temperature);
    }
}

void wlmi_free_energy(const float *logit, size_t count, int labels, double temperature, double *energy)
{
    for (size_t i = 0; i < count; i++) {
        const float *row = logit + i * (size_t)labels;
        double max = row[largest(row, labels)];
        energy[i] = max + temperature * log(mass(row, labels, max, temperature));
    }
}

double wlmi_nll(const float *logit, const int32_t *truth, size_t count, int labels, double temperature)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        const float *row = logit + i * (size_t)labels;
        double max;
        if (truth[i] < 0 || truth[i] >= labels)
            continue;
        max = row[largest(row, labels)];
        sum += log(mass(row, labels, max, temperature)) - (row[truth[i]] - max) / temperature;
        n++;
    }
    return n ? sum / (double)n : 0;
}

/* d(loss)/d(1 / temperature), up to a positive factor: the sum of E[logit] under the softmax less that under the
 * targets, which give `rest` to labels other than the truth. */
static double slope(const float *logit, const int32_t *truth, size_t count, int labels, double rest,
                    double temperature)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        const float *row = logit + i * (size_t)labels;
        double max, weight = 0, mean = 0, others = 0;
        if (truth[i] < 0 || truth[i] >= labels)
            continue;
        max = row[largest(row, labels)];
        for (int j = 0; j < labels; j++) {
            double e = exp((row[j] - max) / temperature);
            weight += e;
            mean += e * (row[j] - max);
            others += j == truth[i] ? 0 : row[j] - max;
        }
        sum += mean / weight - (1 - rest) * (row[truth[i]] - max) - rest * others / (labels - 1);
    }
    return sum;
}

double wlmi_fit_temperature(const float *logit, const int32_t *truth, size_t count, int labels)
{
    double low = log(WLMI_TEMPERATURE_MIN), high = log(WLMI_TEMPERATURE_MAX), rest;
    size_t usable = 0;
    for (size_t i = 0; i < count; i++)
        usable += truth[i] >= 0 && truth[i] < labels;
    if (!usable || labels < 2)
        return 1;
    rest = 1 / ((double)usable + 2);
    for (int i = 0; i < 40; i++) {
        double middle = (low + high) / 2;
        /* A positive slope: a smaller inverse, a higher temperature, has less loss. */
        *(slope(logit, truth, count, labels, rest, exp(middle)) > 0 ? &low : &high) = middle;
    }
    return exp((low + high) / 2);
}

/* ---------------------------------------------------------------- what captures can tell */

typedef struct captures {
    const int32_t *truth;
    const uint32_t *group;
    size_t count, usable, there; /* flows, those with one of the labels, captures that these stand in */
    int labels;
    uint32_t groups;
    double *best, *loss; /* [count]: of each usable flow as fits best, and otherwise */
    double *sum;         /* [groups]: what its flows lose otherwise, together */
    uint32_t *flows;     /* [groups]: usable ones */
} captures;

static int is_usable(const captures *c, size_t i)
{
    return c->truth[i] >= 0 && c->truth[i] < c->labels;
}

static wlm_status captures_make(captures *c, wlm_error *error)
{
    c->best = wlmi_alloc_zero(c->count + 1, sizeof *c->best);
    c->loss = wlmi_alloc_zero(c->count + 1, sizeof *c->loss);
    c->sum = wlmi_alloc_zero((size_t)c->groups + 1, sizeof *c->sum);
    c->flows = wlmi_alloc_zero((size_t)c->groups + 1, sizeof *c->flows);
    if (!c->best || !c->loss || !c->sum || !c->flows)
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < c->count; i++)
        if (is_usable(c, i)) {
            c->usable++;
            c->there += c->flows[c->group[i]]++ == 0;
        }
    return WLM_OK;
}

static void captures_free(captures *c)
{
    wlmi_free(c->best);
    wlmi_free(c->loss);
    wlmi_free(c->sum);
    wlmi_free(c->flows);
}

/* Whether the mean loss is at most a standard error above the best. The error is that of a mean over flows of which whole
 * captures are drawn (a ratio estimate: Cochran, 1977, chapter 6). */
static int is_as_good(captures *c)
{
    double mean = 0, squares = 0;
    memset(c->sum, 0, c->groups * sizeof *c->sum);
    for (size_t i = 0; i < c->count; i++)
        if (is_usable(c, i)) {
            const double more = c->loss[i] - c->best[i];
            c->sum[c->group[i]] += more;
            mean += more / (double)c->usable;
        }
    for (uint32_t g = 0; g < c->groups; g++) {
        const double residual = c->sum[g] - mean * (double)c->flows[g];
        squares += residual * residual;
    }
    return mean <= sqrt(squares * (double)c->there / (double)(c->there - 1)) / (double)c->usable;
}

/* Of the truth alone: what wlmi_fit_temperature() gives to other labels is the same in all captures, and says nothing of
 * what others would have told. */
static void fill_losses(const captures *c, const float *logit, double temperature, double *loss)
{
    for (size_t i = 0; i < c->count; i++)
        if (is_usable(c, i))
            loss[i] = wlmi_nll(logit + i * (size_t)c->labels, c->truth + i, 1, c->labels, temperature);
}

static int is_good_temperature(captures *c, const float *logit, double temperature)
{
    fill_losses(c, logit, temperature, c->loss);
    return is_as_good(c);
}

static double nearest_as_good(captures *c, const float *logit, double best)
{
    double worse = 0, good = log(best);
    fill_losses(c, logit, best, c->best);
    if (c->there < 2 || is_good_temperature(c, logit, 1))
        return c->there < 2 ? best : 1;
    for (int i = 0; i < 40; i++) {
        const double middle = (worse + good) / 2;
        *(is_good_temperature(c, logit, exp(middle)) ? &good : &worse) = middle;
    }
    return exp(good);
}

wlm_status wlmi_choose_temperature(const float *logit, const int32_t *truth, const uint32_t *group, size_t count,
                                   int labels, uint32_t groups, double *temperature, wlm_error *error)
{
    const double best = wlmi_fit_temperature(logit, truth, count, labels);
    captures c = {.truth = truth, .group = group, .count = count, .labels = labels, .groups = groups};
    const wlm_status status = captures_make(&c, error);
    if (status == WLM_OK)
        *temperature = labels < 2 ? best : nearest_as_good(&c, logit, best);
    captures_free(&c);
    return status;
}

/* ---------------------------------------------------------------- two opinions */

void wlmi_mix_opinions(const float *own, const float *other, double share, size_t n, float *mixed)
{
    for (size_t i = 0; i < n; i++)
        mixed[i] = (float)((1 - share) * (double)own[i] + share * (double)other[i]);
}

wlm_status wlmi_choose_share(const wlmi_opinions *o, wlmi_share *out, wlm_error *error)
{
    const size_t n = o->count * (size_t)o->labels;
    captures c = {.truth = o->truth, .group = o->group, .count = o->count, .labels = o->labels, .groups = o->groups};
    float *mixed = wlmi_alloc_array(n + 1, sizeof *mixed);
    wlm_status status = mixed ? captures_make(&c, error) : WLMI_NO_MEMORY(error);
    double loss[WLMI_SHARE_STEPS + 1];
    int best = WLMI_USUAL_STEP, chosen = WLMI_USUAL_STEP;
    for (int step = 0; status == WLM_OK && step <= WLMI_SHARE_STEPS; step++) {
        wlmi_mix_opinions(o->own, o->other, (double)step / WLMI_SHARE_STEPS, n, mixed);
        loss[step] = wlmi_nll(mixed, o->truth, o->count, o->labels, 1);
    }
    for (int step = 0; status == WLM_OK && step <= WLMI_SHARE_STEPS; step++)
        best = loss[step] < loss[best] ? step : best;
    if (status == WLM_OK) {
        wlmi_mix_opinions(o->own, o->other, (double)best / WLMI_SHARE_STEPS, n, mixed);
        fill_losses(&c, mixed, 1, c.best);
    }
    for (; status == WLM_OK && chosen != best; chosen += best > chosen ? 1 : -1) {
        wlmi_mix_opinions(o->own, o->other, (double)chosen / WLMI_SHARE_STEPS, n, mixed);
        fill_losses(&c, mixed, 1, c.loss);
        if (c.there > 1 && is_as_good(&c))
            break;
    }
    if (status == WLM_OK)
        *out = (wlmi_share){(double)chosen / WLMI_SHARE_STEPS, loss[chosen], loss[0], loss[WLMI_SHARE_STEPS]};
    captures_free(&c);
    wlmi_free(mixed);
    return status;
}

/* ---------------------------------------------------------------- reliability */

void wlmi_reliability_of(const double *confidence, const uint8_t *right, size_t count, wlmi_reliability *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < count; i++) {
        int bin = (int)ceil(confidence[i] * WLMI_BINS) - 1;
        bin = bin < 0 ? 0 : bin >= WLMI_BINS ? WLMI_BINS - 1 : bin;
        out->count[bin]++;
        out->confidence[bin] += confidence[i];
        out->accuracy[bin] += right[i];
    }
    for (int b = 0; b < WLMI_BINS; b++) {
        double n = (double)out->count[b];
        if (!out->count[b])
            continue;
        out->error += fabs(out->accuracy[b] - out->confidence[b]) / (double)count;
        out->confidence[b] /= n;
        out->accuracy[b] /= n;
    }
}

/* ---------------------------------------------------------------- by rank */

typedef struct ranked {
    double score;
    int mark;
} ranked;

static int descending(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

/* Where the run of equal scores that begins at i ends. */
static size_t run_end(const ranked *r, size_t count, size_t i)
{
    size_t end = i + 1;
    while (end < count && !(r[end].score < r[i].score))
        end++;
    return end;
}

wlm_status wlmi_risk(const double *confidence, const uint8_t *right, size_t count, const double *coverage,
                     size_t coverages, double *risk, double *area, wlm_error *error)
{
    ranked *r = wlmi_alloc_array(count, sizeof *r);
    double *wrong = wlmi_alloc_array(count + 1, sizeof *wrong); /* expected errors among the first k */
    *area = 0;
    if (!r || !wrong) {
        wlmi_free(r);
        wlmi_free(wrong);
        return WLMI_NO_MEMORY(error);
    }
    for (size_t i = 0; i < count; i++)
        r[i] = (ranked){confidence[i], !right[i]};
    qsort(r, count, sizeof *r, descending);
    wrong[0] = 0;
    for (size_t i = 0, end; i < count; i = end) {
        double errors = 0;
        end = run_end(r, count, i);
        for (size_t j = i; j < end; j++)
            errors += r[j].mark;
        for (size_t j = i; j < end; j++)
            wrong[j + 1] = wrong[i] + errors * (double)(j + 1 - i) / (double)(end - i);
    }
    for (size_t k = 1; k <= count; k++)
        *area += wrong[k] / (double)k / (double)count;
    for (size_t i = 0; i < coverages; i++) {
        size_t k = (size_t)ceil(coverage[i] * (double)count - 1e-9);
        k = k < 1 ? 1 : k > count ? count : k;
        risk[i] = count ? wrong[k] / (double)k : 0;
    }
    wlmi_free(r);
    wlmi_free(wrong);
    return WLM_OK;
}

wlm_status wlmi_threshold_of(const double *confidence, const uint8_t *right, size_t count, double share,
                             double *threshold, wlm_error *error)
{
    ranked *r = wlmi_alloc_array(count, sizeof *r);
    size_t n = 0, below;
    if (!r)
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < count; i++)
        if (right[i])
            r[n++] = (ranked){confidence[i], 0};
    qsort(r, n, sizeof *r, descending);
    below = (size_t)(share * (double)n + 1e-9);
    below = below < n ? below : n - 1;
    *threshold = n ? r[n - 1 - below].score : 0;
    wlmi_free(r);
    return WLM_OK;
}

wlm_status wlmi_detect(const double *known, size_t knowns, const double *stranger, size_t strangers, double recall,
                       wlmi_detection *out, wlm_error *error)
{
    size_t count = knowns + strangers, seen_known = 0, seen_stranger = 0;
    double ordered = 0; /* pairs, in order of falling score */
    ranked *r;
    out->auroc = out->fpr = NAN;
    if (!knowns || !strangers)
        return WLM_OK;
    r = wlmi_alloc_array(count, sizeof *r);
    if (!r)
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < count; i++)
        r[i] = i < knowns ? (ranked){known[i], 1} : (ranked){stranger[i - knowns], 0};
    qsort(r, count, sizeof *r, descending);
    for (size_t i = 0, end; i < count; i = end) {
        size_t here = 0, others;
        end = run_end(r, count, i);
        for (size_t j = i; j < end; j++)
            here += r[j].mark != 0;
        others = end - i - here;
        ordered += (double)others * ((double)seen_known + (double)here / 2);
        seen_known += here;
        seen_stranger += others;
        if (isnan(out->fpr) && (double)seen_known >= recall * (double)knowns - 1e-9)
            out->fpr = (double)seen_stranger / (double)strangers;
    }
    out->auroc = ordered / (double)knowns / (double)strangers;
    wlmi_free(r);
    return WLM_OK;
}
