/* evaluate_stress.c: the same flows as they look elsewhere: scores of altered flows beside the unaltered. */
#include <string.h>

#include "base/alloc.h"
#include "task/evaluate.h"

/* What changes nothing that a network would is for training alone. */
static int is_stress(int kind)
{
    return kind >= 0 && kind != WLMI_ALTER_RANDOMISE;
}

wlm_status wlmi_stress_choose(wlmi_evaluation *e, wlm_error *error)
{
    const char *word = e->options->stress;
    const int all = word && !strcmp(word, "all");
    for (int k = 0; all && k < WLMI_ALTERATIONS; k++)
        e->stressed[k] = is_stress(k);
    while (word && !all && *word) {
        char name[32] = "";
        size_t length = strcspn(word, ",");
        int kind;
        memcpy(name, word, length < sizeof name ? length : sizeof name - 1);
        kind = wlmi_alter_find(name);
        if (!is_stress(kind))
            return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no alteration for stress is called '%s'",
                             name);
        e->stressed[kind] = 1;
        word += length + (word[length] == ',');
    }
    for (int k = 0; k < WLMI_ALTERATIONS; k++)
        e->total += e->stressed[k] ? e->own[WLMI_KIN_LABELLED].picks.count : 0;
    return WLM_OK;
}

static wlm_status run_one(wlmi_evaluation *e, int kind, const wlmi_score_watch *watch, wlm_error *error)
{
    const wlmi_sample *s = &e->own[WLMI_KIN_LABELLED];
    wlmi_view view = e->view;
    wlmi_scores scores = {0};
    wlmi_counts counts = {0};
    int32_t *guess = wlmi_alloc_array(s->picks.count, sizeof *guess);
    wlm_status status = guess ? wlmi_counts_new(&counts, (int)e->cohort.labels, error) : WLMI_NO_MEMORY(error);
    view.alter = kind;
    if (status == WLM_OK)
        status = wlmi_score_flows(e->model, &view, e->task, &e->cohort, &s->picks, NULL, watch, &scores, error);
    if (status == WLM_OK) {
        wlmi_confide(scores.logit, scores.count, scores.labels, 1, guess, NULL);
        for (size_t i = 0; i < scores.count; i++)
            wlmi_counts_add(&counts, s->truth[i], guess[i], 1);
        e->stress[kind] = wlmi_counts_score(&counts);
    }
    wlmi_counts_free(&counts);
    wlmi_scores_free(&scores);
    wlmi_free(guess);
    return status;
}

wlm_status wlmi_stress_run(wlmi_evaluation *e, const wlmi_score_watch *watch, wlm_error *error)
{
    for (int k = 0; k < WLMI_ALTERATIONS; k++)
        if (e->stressed[k])
            WLMI_TRY(run_one(e, k, watch, error));
    return WLM_OK;
}

json_t *wlmi_report_stress(const wlmi_evaluation *e)
{
    const wlmi_sample *s = &e->own[WLMI_KIN_LABELLED];
    json_t *root = json_object();
    wlmi_counts counts;
    double unaltered;
    if (wlmi_counts_new(&counts, (int)e->cohort.labels, NULL) != WLM_OK) {
        json_decref(root);
        return NULL;
    }
    for (size_t i = 0; i < s->picks.count; i++)
        wlmi_counts_add(&counts, s->truth[i], s->guess[i], 1);
    unaltered = wlmi_counts_score(&counts).macro_f1;
    wlmi_counts_free(&counts);
    for (int k = 0; k < WLMI_ALTERATIONS; k++)
        if (e->stressed[k])
            json_object_set_new(root, wlmi_alter_name((size_t)k),
                                json_pack("{s:f,s:f,s:f}", "accuracy", e->stress[k].accuracy, "macro_f1",
                                          e->stress[k].macro_f1, "macro_f1_lost",
                                          unaltered - e->stress[k].macro_f1));
    return root;
}
