/* html_classify.c: the page of `evaluate classify`: a section for each run, of several a summary on top. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "html.h"
#include "html_classify.h"

enum { FEW_LABELS = 6 };

static const json_t *runs_of(const json_t *report)
{
    return json_object_get(report, "runs");
}

static const json_t *first_run(const json_t *report)
{
    return runs_of(report) ? json_array_get(runs_of(report), 0) : report;
}

static void put_title(html *h, const json_t *report)
{
    const json_t *run = first_run(report);
    html_text(h, html_string(run, "task"));
    html_put(h, ": classification of the ");
    html_text(h, html_string(run, "split"));
    html_put(h, " part");
}

/* ---------------------------------------------------------------- what was asked, and the main figures */

static void put_facts(html *h, const json_t *run)
{
    const json_t *payload = html_at(run, "payload");
    html_put(h, "<p class=\"facts\">");
    html_count(h, html_real(run, "flows"));
    html_put(h, " flows");
    if (html_at(run, "intervals.groups")) {
        html_put(h, " of ");
        html_count(h, html_real(run, "intervals.groups"));
        html_put(h, " groups of captures");
    }
    html_put(h, ", %zu labels; split: ", json_object_size(html_at(run, "labels")));
    html_text(h, html_string(run, "split_by"));
    html_put(h, "; hidden: ");
    html_text(h, html_string(run, "hide"));
    if (json_is_integer(payload))
        html_put(h, "; payload: %.0f bytes a packet", json_number_value(payload));
    else
        html_put(h, "; payload: full");
    html_put(h, "; at most %.0f packets, %.0f tokens; model ", html_real(run, "max_packets"),
             html_real(run, "context"));
    html_model(h, html_string(run, "model"));
    html_put(h, "</p>\n");
    if (*html_string(run, "note"))
        html_element(h, "p", html_string(run, "note"));
    if (json_array_size(html_at(run, "labels_unknown")))
        html_put(h, "<p class=\"note\">%zu labels of this part are unknown to the model: each of their flows is an "
                    "error.</p>\n", json_array_size(html_at(run, "labels_unknown")));
}

static void put_tiles(html *h, const json_t *run)
{
    const int calibrated = html_at(run, "calibration.calibrated") != NULL;
    char said[64];
    html_put(h, "<div class=\"tiles\">\n");
    html_tile(h, "macro-F1", "%.3f", html_real(run, "macro_f1"), html_at(run, "intervals.macro_f1"),
              "mean over labels");
    html_tile(h, "accuracy", "%.3f", html_real(run, "accuracy"), html_at(run, "intervals.accuracy"), "share of flows");
    html_tile(h, "calibration error", "%.3f",
              html_real(run, calibrated ? "calibration.calibrated.error" : "calibration.as_found.error"), NULL,
              !calibrated                                                ? "as found"
              : json_is_true(html_at(run, "calibration.in_sample")) ? "at the temperature fitted on this part"
                                                                    : "at the temperature fitted on another part");
    html_tile(h, "area under risk", "%.3f", html_real(run, "risk_coverage.area"), NULL, "mean risk over all coverages");
    html_tile(h, "AUROC, strangers", "%.3f", html_real(run, "open_set.auroc"), NULL, "known flows above strangers");
    snprintf(said, sizeof said, "not called unknown; %.3f of them right", html_real(run, "accepted.accuracy"));
    html_tile(h, "accepted", "%.3f", html_real(run, "accepted.coverage"), NULL, said);
    html_put(h, "</div>\n");
}

static void draw_controls(html *h, const json_t *run)
{
    static const char *const names[] = {"probe", "nearest", "shortcut", "majority"};
    const json_t *interval = html_at(run, "intervals.macro_f1");
    const html_bars chart = {.tick = {"accuracy"}, .limit = 1};
    html_bar bar[HTML_ROWS];
    size_t n = 0;
    bar[n] = html_bar_of("this model", html_real(run, "macro_f1"));
    bar[n].tick[0] = html_real(run, "accuracy");
    if (json_is_number(json_array_get(interval, 0))) {
        bar[n].low = json_number_value(json_array_get(interval, 0));
        bar[n].high = json_number_value(json_array_get(interval, 1));
    }
    n++;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *control = json_object_get(json_object_get(run, "controls"), names[i]);
        if (!json_is_object(control))
            continue;
        bar[n] = html_bar_of(names[i], html_real(control, "macro_f1"));
        bar[n].tick[0] = html_real(control, "accuracy");
        bar[n++].tone = 4;
    }
    html_figure(h, "Macro-F1 beside what could be had without the model", 0);
    html_bars_draw(h, &chart, bar, n);
    html_figure_end(h, "Bars: macro-F1, the whisker the 95 % interval over captures drawn anew. A shortcut (clock, "
                       "addresses, ports alone) near the model says that the data give their labels away.");
}

/* ---------------------------------------------------------------- labels */

/* The label that flows of this one are most often wrongly given; NULL where none is. */
static const char *most_taken_for(const json_t *run, const char *label)
{
    const json_t *names = html_at(run, "confusion.labels"), *row = NULL;
    const char *most = NULL;
    double largest = 0;
    size_t own = 0;
    for (; own < json_array_size(names); own++)
        if (!strcmp(json_string_value(json_array_get(names, own)), label)) {
            row = json_array_get(html_at(run, "confusion.matrix"), own);
            break;
        }
    for (size_t i = 0; i < json_array_size(row); i++)
        if (i != own && json_number_value(json_array_get(row, i)) > largest) {
            largest = json_number_value(json_array_get(row, i));
            most = json_string_value(json_array_get(names, i));
        }
    return most;
}

static void put_labels(html *h, const json_t *run)
{
    const json_t *labels = html_at(run, "labels");
    size_t count = 0;
    const char **label = html_keys_by(h, labels, "support", &count);
    html_figure(h, "Labels", 1);
    html_table(h, "label|#flows|F1|precision|recall|most often taken for");
    for (size_t i = 0; label && i < count; i++) {
        const json_t *one = json_object_get(labels, label[i]);
        const char *other = most_taken_for(run, label[i]);
        html_put(h, "<tr>");
        html_name_cell(h, label[i], label[i]);
        html_count_cell(h, html_real(one, "support"));
        html_bar_cell(h, html_real(one, "f1"), 0, NAN);
        html_bar_cell(h, html_real(one, "precision"), 2, NAN);
        html_bar_cell(h, html_real(one, "recall"), 3, NAN);
        html_name_cell(h, other ? other : "", other ? other : "");
        html_put(h, "</tr>\n");
    }
    html_table_end(h);
    html_figure_end(h, "Precision: of the flows called so, the share that are; recall: of those that are, the share "
                       "called so; F1: their harmonic mean. The label with the most flows stands first.");
    free(label);
}

static void draw_confusion(html *h, const json_t *run)
{
    html_figure(h, "Confusion", json_array_size(html_at(run, "confusion.labels")) > FEW_LABELS);
    html_heat_draw(h, html_at(run, "confusion.labels"), html_at(run, "confusion.matrix"));
    html_figure_end(h, "Rows: what flows are; columns: what they are called. The deeper a cell, the larger its share "
                       "of the row: right answers on the diagonal, errors in the other colour. Counts are in the "
                       "cells or show under the pointer.");
}

/* ---------------------------------------------------------------- cuts of the flows */

static void draw_strata(html *h, const json_t *run)
{
    static const char *const names[][2] = {{"plain", "plain"}, {"tls_sni", "TLS, with SNI"},
                                           {"tls_no_sni", "TLS, without SNI"}, {"quic", "QUIC"}, {"other", "other"}};
    const html_bars chart = {.tick = {"accuracy"}, .limit = 1};
    html_bar bar[HTML_ROWS];
    size_t n = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *stratum = json_object_get(html_at(run, "strata"), names[i][0]);
        if (isnan(html_real(stratum, "macro_f1")))
            continue;
        bar[n] = html_bar_of(names[i][1], html_real(stratum, "macro_f1"));
        bar[n].tick[0] = html_real(stratum, "accuracy");
        snprintf(bar[n].note, sizeof bar[n].note, "%.3f, %.0f flows", bar[n].part[0], html_real(stratum, "flows"));
        n++;
    }
    if (!n)
        return;
    html_figure(h, "By what can be read in a flow", 0);
    html_bars_draw(h, &chart, bar, n);
    html_figure_end(h, "Macro-F1 of the flows of each kind alone. Kinds differ in labels, so bars are no contest "
                       "between them.");
}

static void draw_stress(html *h, const json_t *run)
{
    const json_t *stress = html_at(run, "stress");
    const html_bars chart = {.part = {"macro-F1 left", "lost"}, .limit = 1};
    html_bar bar[HTML_ROWS];
    size_t count = 0, n = 0;
    const char **name = html_keys_by(h, stress, "macro_f1_lost", &count);
    for (size_t i = 0; name && i < count && n < HTML_ROWS; i++) {
        const json_t *one = json_object_get(stress, name[i]);
        const double lost = html_real(one, "macro_f1_lost");
        bar[n] = html_bar_of(name[i], html_real(one, "macro_f1"));
        bar[n].part[1] = lost > 0 ? lost : 0;
        snprintf(bar[n].note, sizeof bar[n].note, "%.3f (%+.3f)", bar[n].part[0], -lost);
        n++;
    }
    free(name);
    if (!n)
        return;
    html_figure(h, "Flows altered on the way", 0);
    html_bars_draw(h, &chart, bar, n);
    html_figure_end(h, "Macro-F1 over the same flows, each altered so, and what it loses against flows as they are; "
                       "the alteration that costs most stands first.");
}

/* ---------------------------------------------------------------- runs */

static void put_run(html *h, const json_t *run)
{
    put_facts(h, run);
    put_tiles(h, run);
    html_put(h, "<div class=\"grid\">\n");
    draw_controls(h, run);
    draw_strata(h, run);
    draw_stress(h, run);
    html_draw_open_set(h, run);
    html_draw_reliability(h, run);
    html_draw_risk(h, run);
    html_draw_curves(h, run);
    draw_confusion(h, run);
    put_labels(h, run);
    html_put(h, "</div>\n");
}

static void put_mean_cell(html *h, const json_t *figure)
{
    if (isnan(html_real(figure, "deviation")))
        html_number_cell(h, "%.3f", html_real(figure, "mean"));
    else
        html_put(h, "<td class=\"n\">%.3f ± %.3f</td>", html_real(figure, "mean"), html_real(figure, "deviation"));
}

static void put_means(html *h, const json_t *summary)
{
    static const char *const column[][2] = {
        {"macro_f1", "macro-F1"}, {"accuracy", "accuracy"}, {"calibration_error", "calibration error"},
        {"risk_area", "area under risk"}, {"auroc", "AUROC"}, {"fpr_at_95", "strangers at 95 %"}};
    const size_t columns = sizeof column / sizeof *column;
    html_put(h, "<div class=\"scroll\"><table>\n<thead><tr><th>hidden</th><th class=\"n\">models</th>");
    for (size_t c = 0; c < columns; c++)
        if (json_object_get(json_array_get(summary, 0), column[c][0]))
            html_put(h, "<th class=\"n\">%s</th>", column[c][1]);
    html_put(h, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < json_array_size(summary); i++) {
        const json_t *one = json_array_get(summary, i);
        html_put(h, "<tr>");
        html_element(h, "td", html_string(one, "hide"));
        html_count_cell(h, html_real(one, "models"));
        for (size_t c = 0; c < columns; c++)
            if (json_object_get(json_array_get(summary, 0), column[c][0]))
                put_mean_cell(h, json_object_get(one, column[c][0]));
        html_put(h, "</tr>\n");
    }
    html_table_end(h);
}

/* "2: shape" */
static void name_run(char name[64], const json_t *run, size_t i)
{
    snprintf(name, 64, "%zu: %.40s", i + 1, html_string(run, "hide"));
}

static void draw_runs(html *h, const json_t *runs)
{
    const html_bars chart = {.tick = {"accuracy"}, .limit = 1};
    html_bar bar[HTML_ROWS];
    char name[HTML_ROWS][64];
    size_t n = 0;
    for (; n < json_array_size(runs) && n < HTML_ROWS; n++) {
        const json_t *run = json_array_get(runs, n), *interval = html_at(run, "intervals.macro_f1");
        name_run(name[n], run, n);
        bar[n] = html_bar_of(name[n], html_real(run, "macro_f1"));
        bar[n].tick[0] = html_real(run, "accuracy");
        if (json_is_number(json_array_get(interval, 0))) {
            bar[n].low = json_number_value(json_array_get(interval, 0));
            bar[n].high = json_number_value(json_array_get(interval, 1));
        }
    }
    html_bars_draw(h, &chart, bar, n);
}

static void put_summary(html *h, const json_t *report)
{
    const json_t *runs = runs_of(report);
    html_put(h, "<nav>");
    for (size_t i = 0; i < json_array_size(runs); i++) {
        char name[64];
        name_run(name, json_array_get(runs, i), i);
        html_put(h, "<a href=\"#run-%zu\">run ", i + 1);
        html_text(h, name);
        html_put(h, "</a>");
    }
    html_put(h, "</nav>\n<div class=\"grid\">\n");
    html_figure(h, "All runs", 1);
    put_means(h, json_object_get(report, "summary"));
    html_figure_end(h, "Means over the models under each policy, ± the standard deviation between them.");
    html_figure(h, "Macro-F1 of each run", 1);
    draw_runs(h, runs);
    html_figure_end(h, "A run is a model under a policy of what is hidden from it; the whisker is the 95 % interval "
                       "over captures drawn anew.");
    html_put(h, "</div>\n");
}

static void put_body(html *h, const json_t *report)
{
    const json_t *runs = runs_of(report);
    if (!runs) {
        put_run(h, report);
        return;
    }
    put_summary(h, report);
    for (size_t i = 0; i < json_array_size(runs); i++) {
        char name[64];
        name_run(name, json_array_get(runs, i), i);
        html_put(h, "<h2 id=\"run-%zu\">Run ", i + 1);
        html_text(h, name);
        html_put(h, "</h2>\n");
        put_run(h, json_array_get(runs, i));
    }
}

const html_kind html_classify = {put_title, put_body};
