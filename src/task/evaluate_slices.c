/* evaluate_slices.c: scores of some of the flows, or of part of each flow: strata, curves. */
#include "base/alloc.h"
#include "task/evaluate.h"

json_t *wlmi_report_strata(const wlmi_evaluation *e)
{
    const wlmi_sample *s = &e->own[WLMI_KIN_LABELLED];
    json_t *root = json_object();
    wlmi_counts counts;
    if (wlmi_counts_new(&counts, (int)e->cohort.labels, NULL) != WLM_OK) {
        json_decref(root);
        return NULL;
    }
    for (int k = 0; k < WLMI_STRATA; k++) {
        wlmi_score score;
        json_t *row;
        wlmi_counts_clear(&counts);
        for (size_t i = 0; i < s->picks.count; i++)
            if (s->stratum[i] == k)
                wlmi_counts_add(&counts, s->truth[i], s->guess[i], 1);
        score = wlmi_counts_score(&counts);
        row = json_pack("{s:I}", "flows", (json_int_t)score.count);
        if (score.count) {
            json_object_set_new(row, "labels", json_integer(wlmi_counts_present(&counts)));
            json_object_set_new(row, "accuracy", json_real(score.accuracy));
            json_object_set_new(row, "macro_f1", json_real(score.macro_f1));
        }
        json_object_set_new(root, wlmi_stratum_name((wlmi_stratum)k), row);
    }
    wlmi_counts_free(&counts);
    return root;
}

json_t *wlmi_report_curves(const wlmi_evaluation *e)
{
    const wlmi_sample *s = &e->own[WLMI_KIN_LABELLED];
    json_t *packets = json_array(), *tokens = json_array();
    wlmi_counts counts;
    if (wlmi_counts_new(&counts, (int)e->cohort.labels, NULL) != WLM_OK) {
        json_decref(packets);
        json_decref(tokens);
        return NULL;
    }
    for (int p = 0; p < e->points.count; p++) {
        const int by_tokens = e->points.point[p].tokens;
        const uint32_t at = e->points.point[p].at, *shown = by_tokens ? s->scores.tokens : s->scores.packets;
        uint64_t reached = 0;
        wlmi_score score;
        wlmi_counts_clear(&counts);
        for (size_t i = 0; i < s->picks.count; i++) {
            wlmi_counts_add(&counts, s->truth[i], s->scores.at[i * (size_t)e->points.count + (size_t)p], 1);
            reached += shown[i] >= at;
        }
        score = wlmi_counts_score(&counts);
        json_array_append_new(by_tokens ? tokens : packets,
                              json_pack("{s:I,s:I,s:f,s:f}", by_tokens ? "tokens" : "packets", (json_int_t)at,
                                        "reached", (json_int_t)reached, "accuracy", score.accuracy, "macro_f1",
                                        score.macro_f1));
    }
    wlmi_counts_free(&counts);
    return json_pack("{s:o,s:o}", "packets", packets, "tokens", tokens);
}
