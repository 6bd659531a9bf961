/* metrics.c: scores from counts. */
#include "task/metrics.h"

#include <stddef.h>
#include <string.h>

#include "base/alloc.h"

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

/* F1 = 2 TP / (2 TP + FP + FN), which is defined wherever the label occurs at all. */
static wlmi_label_score score_label(uint64_t right, uint64_t said, uint64_t support)
{
    wlmi_label_score s = {share(right, said), share(right, support), share(2 * right, said + support), support};
    return s;
}

void wlmi_score_confusion(const uint64_t *confusion, int n, wlmi_score *score, wlmi_label_score *labels)
{
    uint64_t right = 0;
    int present = 0;
    double f1 = 0;
    *score = (wlmi_score){0, 0, 0};
    for (int i = 0; i < n; i++) {
        uint64_t support = 0, said = 0, hits = confusion[(size_t)i * (size_t)n + (size_t)i];
        wlmi_label_score s;
        for (int j = 0; j < n; j++) {
            support += confusion[(size_t)i * (size_t)n + (size_t)j];
            said += confusion[(size_t)j * (size_t)n + (size_t)i];
        }
        s = score_label(hits, said, support);
        if (labels)
            labels[i] = s;
        right += hits;
        score->count += support;
        if (support) {
            present++;
            f1 += s.f1;
        }
    }
    score->accuracy = share(right, score->count);
    score->macro_f1 = present ? f1 / present : 0;
}

void wlmi_score_guess(const uint64_t *support, int n, int guess, wlmi_score *score)
{
    int present = 0;
    *score = (wlmi_score){0, 0, 0};
    for (int i = 0; i < n; i++) {
        score->count += support[i];
        present += support[i] != 0;
    }
    if (guess < 0 || guess >= n || !present)
        return;
    score->accuracy = share(support[guess], score->count);
    score->macro_f1 = score_label(support[guess], score->count, support[guess]).f1 / present;
}

wlm_status wlmi_counts_new(wlmi_counts *counts, int labels, wlm_error *error)
{
    counts->labels = labels;
    counts->count = wlmi_alloc_zero(3 * (size_t)labels, sizeof *counts->count);
    return counts->count ? WLM_OK : WLMI_NO_MEMORY(error);
}

void wlmi_counts_clear(wlmi_counts *counts)
{
    memset(counts->count, 0, 3 * (size_t)counts->labels * sizeof *counts->count);
}

void wlmi_counts_add(wlmi_counts *counts, int truth, int guess, uint64_t times)
{
    counts->count[truth] += truth == guess ? times : 0;
    counts->count[counts->labels + guess] += times;
    counts->count[2 * counts->labels + truth] += times;
}

wlmi_score wlmi_counts_score(const wlmi_counts *counts)
{
    const uint64_t *right = counts->count, *said = right + counts->labels, *support = said + counts->labels;
    wlmi_score score = {0, 0, 0};
    uint64_t rights = 0;
    double f1 = 0;
    for (int i = 0; i < counts->labels; i++) {
        rights += right[i];
        score.count += support[i];
        f1 += support[i] ? score_label(right[i], said[i], support[i]).f1 : 0;
    }
    score.accuracy = share(rights, score.count);
    score.macro_f1 = score.count ? f1 / wlmi_counts_present(counts) : 0;
    return score;
}

int wlmi_counts_present(const wlmi_counts *counts)
{
    int present = 0;
    for (int i = 0; i < counts->labels; i++)
        present += counts->count[2 * counts->labels + i] != 0;
    return present;
}

void wlmi_counts_free(wlmi_counts *counts)
{
    wlmi_free(counts->count);
    counts->count = NULL;
}

int wlmi_majority(const uint64_t *support, int n)
{
    int best = -1;
    for (int i = 0; i < n; i++)
        if (support[i] && (best < 0 || support[i] > support[best]))
            best = i;
    return best;
}
