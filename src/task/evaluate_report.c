/* evaluate_report.c: what was asked, the scores, and what guessing would score. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "task/evaluate.h"

/* ---------------------------------------------------------------- what was asked */

/* How the folders were split: the one way, or "mixed". */
static json_t *split_json(const wlmi_cohort *c)
{
    char said[32] = "";
    for (size_t d = 0; d < c->folders; d++) {
        char *text = NULL;
        json_t *root = NULL;
        const char *split;
        if (wlmi_dataset_describe(c->data[d], &text, NULL) == WLM_OK)
            root = json_loads(text, 0, NULL);
        split = json_string_value(json_object_get(root, "split"));
        split = split ? split : "unknown";
        snprintf(said, sizeof said, "%.31s", said[0] && strcmp(said, split) ? "mixed" : split);
        json_decref(root);
        wlm_text_free(text);
    }
    return json_string(said);
}

static int fell_back(const wlmi_cohort *c)
{
    int any = 0;
    for (size_t d = 0; d < c->folders; d++)
        any |= wlmi_dataset_fell_back(c->data[d]);
    return any;
}

/* Labels of the part that the model was never taught: each of their flows is an error. */
static json_t *unknown_json(const wlmi_evaluation *e)
{
    json_t *names = json_array();
    for (size_t i = e->cohort.known; i < e->cohort.labels; i++)
        if (e->support[0][i])
            json_array_append_new(names, json_string(e->cohort.label[i]));
    return names;
}

json_t *wlmi_report_head(const wlmi_evaluation *e)
{
    const wlmi_net *net = e->model->net;
    const wlmi_view *v = &e->view;
    json_t *payload = v->payload == WLM_PAYLOAD_FULL ? json_string("full") : json_integer(v->payload);
    return json_pack("{s:s,s:s,s:o,s:b,s:s,s:o,s:i,s:i,s:o,s:s,s:s,s:I}", "task", net->task[e->task].name, "split",
                     wlm_part_name(e->options->part), "split_by", split_json(&e->cohort), "fell_back",
                     fell_back(&e->cohort), "hide", wlm_hide_name(v->hide), "payload", payload, "max_packets",
                     (int)v->max_packets, "context", v->context,
                     "labels_unknown", unknown_json(e), "note", net->record.split_note, "model", e->model->id, "flows",
                     (json_int_t)e->own[WLMI_KIN_LABELLED].picks.count);
}

/* ---------------------------------------------------------------- scores */

/* Labels that occur, as truth or as a guess, one after another; returns how many. */
static size_t occurring(const uint64_t *confusion, size_t labels, size_t *index)
{
    size_t n = 0;
    for (size_t i = 0; i < labels; i++) {
        uint64_t seen = 0;
        for (size_t j = 0; j < labels; j++)
            seen += confusion[i * labels + j] + confusion[j * labels + i];
        if (seen)
            index[n++] = i;
    }
    return n;
}

static json_t *labels_json(const wlmi_cohort *c, const wlmi_label_score *score, const size_t *index, size_t n)
{
    json_t *object = json_object();
    for (size_t i = 0; i < n; i++) {
        const wlmi_label_score *s = &score[index[i]];
        json_object_set_new(object, c->label[index[i]],
                            json_pack("{s:f,s:f,s:f,s:I}", "precision", s->precision, "recall", s->recall, "f1", s->f1,
                                      "support", (json_int_t)s->support));
    }
    return object;
}

static json_t *confusion_json(const wlmi_cohort *c, const uint64_t *confusion, const size_t *index, size_t n)
{
    json_t *names = json_array(), *matrix = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *row = json_array();
        json_array_append_new(names, json_string(c->label[index[i]]));
        for (size_t j = 0; j < n; j++)
            json_array_append_new(row, json_integer((json_int_t)confusion[index[i] * c->labels + index[j]]));
        json_array_append_new(matrix, row);
    }
    return json_pack("{s:o,s:o}", "labels", names, "matrix", matrix);
}

/* The label that was most common in training, or in the part itself where the folders hold no training part. */
static json_t *majority_json(const wlmi_evaluation *e)
{
    int labels = (int)e->cohort.labels, guess = wlmi_majority(e->support[1], labels);
    wlmi_score score;
    if (guess < 0)
        guess = wlmi_majority(e->support[0], labels);
    wlmi_score_guess(e->support[0], labels, guess, &score);
    return json_pack("{s:s,s:f,s:f}", "label", e->cohort.label[guess], "accuracy", score.accuracy, "macro_f1",
                     score.macro_f1);
}

json_t *wlmi_report_scores(const wlmi_evaluation *e)
{
    const wlmi_cohort *c = &e->cohort;
    const wlmi_sample *s = &e->own[WLMI_KIN_LABELLED];
    uint64_t *confusion = wlmi_alloc_zero(c->labels * c->labels, sizeof *confusion);
    wlmi_label_score *score = wlmi_alloc_array(c->labels, sizeof *score);
    size_t *index = wlmi_alloc_array(c->labels, sizeof *index), n;
    json_t *root = NULL;
    wlmi_score all;
    if (confusion && score && index) {
        for (size_t i = 0; i < s->picks.count; i++)
            confusion[(size_t)s->truth[i] * c->labels + (size_t)s->guess[i]]++;
        wlmi_score_confusion(confusion, (int)c->labels, &all, score);
        n = occurring(confusion, c->labels, index);
        root = json_pack("{s:f,s:f,s:o,s:o,s:{s:o}}", "accuracy", all.accuracy, "macro_f1", all.macro_f1, "labels",
                         labels_json(c, score, index, n), "confusion", confusion_json(c, confusion, index, n),
                         "controls", "majority", majority_json(e));
    }
    wlmi_free(confusion);
    wlmi_free(score);
    wlmi_free(index);
    return root;
}
