/* nearest.c: classes of the nearest vectors. */
#include "task/nearest.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

typedef struct neighbour {
    float likeness;
    int label;
} neighbour;

/* The same way, of length 1. */
static void direction(const float *x, int width, float *out)
{
    double squares = 0;
    float scale;
    for (int d = 0; d < width; d++)
        squares += (double)x[d] * x[d];
    scale = squares > 0 ? (float)(1 / sqrt(squares)) : 0;
    for (int d = 0; d < width; d++)
        out[d] = x[d] * scale;
}

/* In eight sums, which the compiler may do at a time. */
static float product(const float *a, const float *b, int width)
{
    float sum[8] = {0};
    int d = 0;
    for (; d + 8 <= width; d += 8)
        for (int i = 0; i < 8; i++)
            sum[i] += a[d + i] * b[d + i];
    for (; d < width; d++)
        sum[0] += a[d] * b[d];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/* best [*count], the nearest first; of equals the one that came first. */
static void keep(neighbour *best, int *count, int k, neighbour n)
{
    int at = *count;
    while (at > 0 && n.likeness > best[at - 1].likeness)
        at--;
    if (at >= k)
        return;
    *count += *count < k;
    memmove(&best[at + 1], &best[at], (size_t)(*count - 1 - at) * sizeof *best);
    best[at] = n;
}

static int vote(const neighbour *best, int count)
{
    int most = 0, label = best[0].label;
    for (int i = 0; i < count; i++) {
        int votes = 0;
        for (int j = 0; j < count; j++)
            votes += best[j].label == best[i].label;
        if (votes > most) {
            most = votes;
            label = best[i].label;
        }
    }
    return label;
}

wlm_status wlmi_nearest(const wlmi_vectors *v, int k, const float *x, size_t m, int *guess, wlm_error *error)
{
    const size_t width = (size_t)v->width;
    float *known, *asked;
    neighbour *best;
    int room;
    if (!v->n || k < 1)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no vectors to be near to");
    known = wlmi_alloc_array(v->n * width, sizeof *known);
    asked = wlmi_alloc_array(width, sizeof *asked);
    best = wlmi_alloc_array((size_t)k, sizeof *best);
    room = known && asked && best;
    for (size_t i = 0; room && i < v->n; i++)
        direction(v->x + i * width, v->width, known + i * width);
    for (size_t j = 0; room && j < m; j++) {
        int count = 0;
        direction(x + j * width, v->width, asked);
        for (size_t i = 0; i < v->n; i++)
            keep(best, &count, k, (neighbour){product(asked, known + i * width, v->width), v->y[i]});
        guess[j] = vote(best, count);
    }
    wlmi_free(known);
    wlmi_free(asked);
    wlmi_free(best);
    return room ? WLM_OK : WLMI_NO_MEMORY(error);
}
