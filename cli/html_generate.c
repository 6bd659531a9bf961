/* html_generate.c: the page of `evaluate generate`: all labels side by side, then each for itself. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "html.h"

static void put_title(html *h, const json_t *report)
{
    const json_t *labels = json_object_get(report, "labels");
    const char *first = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)labels));
    html_put(h, "Generated flows beside real ones");
    if (json_object_size(labels) == 1 && first && strcmp(first, "all") != 0) {
        html_put(h, ": ");
        html_text(h, first);
    }
}

/* ---------------------------------------------------------------- one label */

static void put_tiles(html *h, const json_t *one)
{
    html_put(h, "<div class=\"tiles\">\n");
    html_tile(h, "distance of fields", "%.3f", html_real(one, "fields.mean"), NULL, "mean JSD; 0 is the same");
    html_tile(h, "distance of features", "%.3f", html_real(one, "features.mean"), NULL, "mean JSD; 0 is the same");
    html_tile(h, "discriminator AUC", "%.3f", html_real(one, "discriminator.auc"), NULL,
              json_is_true(html_at(one, "discriminator.too_few")) ? ".5: not told apart; few flows"
                                                                   : ".5: not told apart");
    html_tile(h, "by a neural one", "%.3f", html_real(one, "neural_discriminator.auc"), NULL, ".5: not told apart");
    html_tile(h, "flows with a fault", "%.3f", html_real(one, "validity.faults.any.fake.flow_share"), NULL,
              "of the generated ones");
    html_tile(h, "flows copied", "%.3f", html_real(one, "copies.fake.flows_share"), NULL,
              "from training, whole payloads");
    html_put(h, "</div>\n");
}

static void draw_distances(html *h, const json_t *one, const char *of, const char *title)
{
    const json_t *columns = json_object_get(json_object_get(one, of), "columns"), *column;
    const html_bars chart = {.tick = {"floor: real against real", "a copy of training"}, .limit = 1};
    html_bar bar[HTML_ROWS];
    const char *name;
    size_t n = 0;
    json_object_foreach((json_t *)(uintptr_t)columns, name, column) {
        if (n == HTML_ROWS)
            break;
        bar[n] = html_bar_of(name, html_real(column, "jsd"));
        bar[n].tick[0] = html_real(column, "floor");
        bar[n++].tick[1] = html_real(column, "copy_of_training");
    }
    if (!n)
        return;
    html_figure(h, title, 0);
    html_bars_draw(h, &chart, bar, n);
    html_figure_end(h, "Jensen-Shannon divergence of the histograms, 0 to 1. At the floor nothing is left to gain; a "
                       "copy of the training set would get the other mark.");
}

static void draw_rhythm(html *h, const json_t *one)
{
    const json_t *measures = html_at(one, "rhythm.measures"), *measure;
    const html_bars chart = {.tick = {"floor: real against real"}};
    html_bar bar[HTML_ROWS];
    const char *name;
    size_t n = 0;
    json_object_foreach((json_t *)(uintptr_t)measures, name, measure)
        if (!isnan(html_real(measure, "difference")) && n < HTML_ROWS) {
            bar[n] = html_bar_of(name, html_real(measure, "difference"));
            bar[n].tone = 2;
            bar[n].tick[0] = html_real(measure, "floor");
            snprintf(bar[n].note, sizeof bar[n].note, "%.2f, real %.2f", html_real(measure, "fake"),
                     html_real(measure, "real"));
            n++;
        }
    if (!n)
        return;
    html_figure(h, "Rhythm", 0);
    html_bars_draw(h, &chart, bar, n);
    html_figure_end(h, "How far correlations in time, of packet lengths and of gaps, differ from real flows: at the "
                       "mark, no more than halves of the real ones do. At the right: generated and real.");
}

static void draw_discriminator(html *h, const json_t *one)
{
    const html_bars chart = {.tick = {"chance"}, .limit = 1};
    html_bar bar[3];
    size_t n = 0;
    const double forest = html_real(one, "discriminator.auc"), neural = html_real(one, "neural_discriminator.auc");
    const double copy = html_real(one, "discriminator.copy_of_training");
    int few;
    if (!isnan(forest))
        bar[n++] = html_bar_of("forest", forest);
    if (!isnan(neural))
        bar[n++] = html_bar_of("small model", neural);
    if (!isnan(copy)) {
        bar[n] = html_bar_of("forest on training", copy);
        bar[n++].tone = 4;
    }
    if (!n)
        return;
    for (size_t i = 0; i < n; i++)
        bar[i].tick[0] = .5;
    html_figure(h, "Told from real flows", 0);
    html_bars_draw(h, &chart, bar, n);
    few = json_is_true(html_at(one, "discriminator.too_few"));
    html_put(h, "<figcaption>Area under the ROC curve of a classifier that is to tell generated from real flows (%.0f "
                "of each): 1 always tells, .5 cannot, less says that generated flows are near copies. In grey: "
                "training flows in their place.%s</figcaption>\n</figure>\n",
             html_real(one, "discriminator.flows_each"),
             few ? " Fewer than 1,000 flows of each: take it lightly." : "");
}

/* ---------------------------------------------------------------- validity, copies, verdicts */

static void put_validity(html *h, const json_t *one)
{
    const json_t *faults = html_at(one, "validity.faults"), *fault;
    const char *name;
    if (!faults)
        return;
    html_figure(h, "Validity", 0);
    html_table(h, "fault|generated flows|real flows");
    json_object_foreach((json_t *)(uintptr_t)faults, name, fault) {
        html_put(h, "<tr>");
        html_element(h, "td", name);
        html_bar_cell(h, html_real(fault, "fake.flow_share"), 1, NAN);
        html_bar_cell(h, html_real(fault, "real.flow_share"), 4, NAN);
        html_put(h, "</tr>\n");
    }
    html_table_end(h);
    html_figure_end(h, "Share of the flows that could have a fault and do. Real captures have faults too: only what "
                       "exceeds them is the model's.");
}

static void put_copies(html *h, const json_t *one)
{
    static const char *const kinds[][2] = {{"addresses", "IP addresses"}, {"macs", "Ethernet addresses"},
                                           {"names", "names"}, {"credentials", "credentials"}};
    const json_t *identifiers = json_object_get(one, "identifiers");
    if (!html_at(one, "copies"))
        return;
    html_figure(h, "Copies of the training set", 0);
    html_table(h, "what|generated|real");
    html_put(h, "<tr><td>runs of %.0f payload bytes</td>", html_real(one, "copies.gram_bytes"));
    html_bar_cell(h, html_real(one, "copies.fake.grams_share"), 1, NAN);
    html_bar_cell(h, html_real(one, "copies.real.grams_share"), 4, NAN);
    html_put(h, "</tr>\n<tr><td>whole flows</td>");
    html_bar_cell(h, html_real(one, "copies.fake.flows_share"), 1, NAN);
    html_bar_cell(h, html_real(one, "copies.real.flows_share"), 4, NAN);
    html_put(h, "</tr>\n");
    for (size_t i = 0; identifiers && i < sizeof kinds / sizeof *kinds; i++) {
        const json_t *kind = json_object_get(identifiers, kinds[i][0]);
        html_put(h, "<tr><td>%s</td><td>%.0f of %.0f</td><td>%.0f of %.0f</td></tr>\n", kinds[i][1],
                 html_real(kind, "fake.from_training"), html_real(kind, "fake.distinct"),
                 html_real(kind, "real.from_training"), html_real(kind, "real.distinct"));
    }
    html_table_end(h);
    html_figure_end(h, "What also stands in the training flows. Fixed parts of a protocol do so in real flows as "
                       "well: it is the excess over real that would be memorised.");
}

/* Verdicts of one program, those of real flows first. */
static void put_verdicts(html *h, const char *program, const json_t *real, const json_t *fake)
{
    const json_t *sides[2] = {real, fake};
    double total[2] = {0, 0};
    const char *verdict;
    const json_t *count;
    for (int s = 0; s < 2; s++)
        json_object_foreach((json_t *)(uintptr_t)sides[s], verdict, count)
            total[s] += json_number_value(count);
    for (int s = 0; s < 2; s++)
        json_object_foreach((json_t *)(uintptr_t)sides[s], verdict, count) {
            if (s == 1 && json_object_get(real, verdict))
                continue;
            html_put(h, "<tr><td>%s</td>", program);
            html_element(h, "td", verdict);
            for (int side = 1; side >= 0; side--) {
                const double of_side = json_number_value(json_object_get(sides[side], verdict));
                html_bar_cell(h, total[side] > 0 ? of_side / total[side] : NAN, side ? 1 : 4, NAN);
            }
            html_put(h, "</tr>\n");
        }
}

static void put_programs(html *h, const json_t *one)
{
    static const char *const tshark[][2] = {
        {"malformed_share", "malformed packets"}, {"error_share", "packets with errors"},
        {"warning_share", "packets with warnings"}, {"dns.same_id_share", "DNS: same id"},
        {"dns.same_name_share", "DNS: same name"}, {"http.answered_share", "HTTP answered"},
        {"tls.answered_share", "TLS answered"}};
    const json_t *programs = json_object_get(one, "programs");
    const json_t *shark = json_object_get(programs, "tshark"), *dpi = json_object_get(programs, "ndpiReader");
    const json_t *trace = json_object_get(programs, "tcptrace"), *ids = json_object_get(programs, "suricata");
    if (!html_at(shark, "real") && !html_at(dpi, "real") && !html_at(trace, "real") && !html_at(ids, "real"))
        return;
    html_figure(h, "What other programs say", 1);
    html_table(h, "program|verdict|generated|real");
    put_verdicts(h, "ndpiReader", html_at(dpi, "real.protocols"), html_at(dpi, "fake.protocols"));
    put_verdicts(h, "tcptrace", html_at(trace, "real.connections"), html_at(trace, "fake.connections"));
    put_verdicts(h, "Suricata", html_at(ids, "real.protocols"), html_at(ids, "fake.protocols"));
    for (size_t i = 0; i < sizeof tshark / sizeof *tshark; i++) {
        const double fake = html_real(html_at(shark, "fake"), tshark[i][0]);
        const double real = html_real(html_at(shark, "real"), tshark[i][0]);
        if (isnan(fake) && isnan(real))
            continue;
        html_put(h, "<tr><td>tshark</td><td>%s</td>", tshark[i][1]);
        html_bar_cell(h, fake, 1, NAN);
        html_bar_cell(h, real, 4, NAN);
        html_put(h, "</tr>\n");
    }
    html_table_end(h);
    html_figure_end(h, "Shares of flows (ndpiReader, Suricata), connections (tcptrace), packets and exchanges (tshark): the "
                       "nearer generated is to real, the better.");
}

static void put_label(html *h, const json_t *one)
{
    html_put(h, "<p class=\"facts\">");
    html_count(h, html_real(one, "fake.flows"));
    html_put(h, " generated flows, ");
    html_count(h, html_real(one, "real.flows"));
    html_put(h, " real ones");
    if (html_at(one, "training")) {
        html_put(h, ", ");
        html_count(h, html_real(one, "training.flows"));
        html_put(h, " of training");
    }
    html_put(h, "</p>\n");
    put_tiles(h, one);
    html_put(h, "<div class=\"grid\">\n");
    draw_distances(h, one, "fields", "Fields of packets");
    draw_discriminator(h, one);
    draw_distances(h, one, "features", "Features of flows");
    draw_rhythm(h, one);
    put_validity(h, one);
    put_copies(h, one);
    put_programs(h, one);
    html_put(h, "</div>\n");
}

/* ---------------------------------------------------------------- all labels */

static void put_overview(html *h, const json_t *labels)
{
    const json_t *one;
    const char *label;
    size_t i = 0;
    html_figure(h, "Labels", 1);
    html_table(h, "label|#generated|#real|fields|features|discriminator|flows with faults|flows copied");
    json_object_foreach((json_t *)(uintptr_t)labels, label, one) {
        html_put(h, "<tr><td class=\"name\"><a href=\"#label-%zu\">", ++i);
        html_text(h, label);
        html_put(h, "</a></td>");
        html_count_cell(h, html_real(one, "fake.flows"));
        html_count_cell(h, html_real(one, "real.flows"));
        html_bar_cell(h, html_real(one, "fields.mean"), 0, html_real(one, "fields.floor"));
        html_bar_cell(h, html_real(one, "features.mean"), 0, html_real(one, "features.floor"));
        html_bar_cell(h, html_real(one, "discriminator.auc"), 3, .5);
        html_bar_cell(h, html_real(one, "validity.faults.any.fake.flow_share"), 1,
                      html_real(one, "validity.faults.any.real.flow_share"));
        html_bar_cell(h, html_real(one, "copies.fake.flows_share"), 2, html_real(one, "copies.real.flows_share"));
        html_put(h, "</tr>\n");
    }
    html_table_end(h);
    html_figure_end(h, "Distances are mean Jensen-Shannon divergences, marked with the floor of real against real; the "
                       "discriminator's mark is chance; faults and copies are marked with those of real flows.");
}

static void draw_train_on_synthetic(html *h, const json_t *report)
{
    static const char *const names[][2] = {{"macro_f1_real", "training flows"},
                                           {"macro_f1_synthetic", "generated flows"},
                                           {"few.macro_f1_real", "few training flows"},
                                           {"few.macro_f1_real_and_synthetic", "few, and generated"}};
    const json_t *tstr = json_object_get(report, "train_on_synthetic");
    const html_bars chart = {.limit = 1};
    html_bar bar[4];
    size_t n = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (isnan(html_real(tstr, names[i][0])))
            continue;
        bar[n] = html_bar_of(names[i][1], html_real(tstr, names[i][0]));
        bar[n++].tone = i % 2 ? 1 : 4;
    }
    if (!n)
        return;
    html_figure(h, "Trained on generated flows", 1);
    html_bars_draw(h, &chart, bar, n);
    html_figure_end(h, "Macro-F1 on the real flows of a forest that learned the labels from so many training flows, "
                       "or from generated ones: alike, where generated flows teach what training flows do.");
}

static void put_body(html *h, const json_t *report)
{
    const json_t *labels = json_object_get(report, "labels"), *one;
    const char *label;
    size_t i = 0;
    if (json_object_size(labels) == 1) {
        put_label(h, json_object_iter_value(json_object_iter((json_t *)(uintptr_t)labels)));
        return;
    }
    html_put(h, "<div class=\"grid\">\n");
    put_overview(h, labels);
    draw_train_on_synthetic(h, report);
    html_put(h, "</div>\n");
    json_object_foreach((json_t *)(uintptr_t)labels, label, one) {
        html_put(h, "<h2 id=\"label-%zu\">", ++i);
        html_text(h, label);
        html_put(h, "</h2>\n");
        put_label(h, one);
    }
}

const html_kind html_generate = {put_title, put_body};
