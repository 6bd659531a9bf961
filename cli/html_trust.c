/* html_trust.c: how far a run's answers can be trusted: reliability, risk, curves, strangers. */
#include <math.h>

#include "html_classify.h"

enum { POINTS = 64 };

/* ---------------------------------------------------------------- reliability */

/* Bins that hold flows, by their mean confidence. */
static size_t bin_points(const json_t *bins, html_point point[POINTS])
{
    double most = 1;
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(bins); i++)
        most = fmax(most, html_real(json_array_get(bins, i), "flows"));
    for (size_t i = 0; i < json_array_size(bins) && n < POINTS; i++) {
        const json_t *bin = json_array_get(bins, i);
        const double flows = html_real(bin, "flows");
        if (flows > 0)
            point[n++] = (html_point){html_real(bin, "confidence"), html_real(bin, "accuracy"), flows / most, flows};
    }
    return n;
}

static void draw_bins(html *h, const json_t *measured, const char *title)
{
    const html_plot plot = {"confidence", "accuracy", 0, 1, 0, 1, 0, 1, 1};
    html_point point[POINTS];
    html_line line = {"accuracy", point, 0};
    line.count = bin_points(html_at(measured, "bins"), point);
    if (!line.count)
        return;
    html_figure(h, title, 0);
    html_plot_draw(h, &plot, &line, 1);
    html_put(h, "<figcaption>Temperature %.3f: expected calibration error %.3f, %.3f nats a flow. On the broken line "
                "confidence is what it says; below it the model is too sure. Discs: flows of a bin.</figcaption>\n"
                "</figure>\n",
             html_real(measured, "temperature"), html_real(measured, "error"), html_real(measured, "nll"));
}

void html_draw_reliability(html *h, const json_t *run)
{
    draw_bins(h, html_at(run, "calibration.as_found"), "Reliability as found");
    draw_bins(h, html_at(run, "calibration.calibrated"),
              json_is_true(html_at(run, "calibration.in_sample")) ? "Reliability, calibrated on this very part"
                                                                  : "Reliability, calibrated on another part");
}

/* ---------------------------------------------------------------- risk against coverage */

/* An end for the axis that has a mark of its own. */
static double above(double largest)
{
    double end = fmax(largest, .1), step;
    do {
        step = html_step(end);
        end = ceil(end / step - 1e-9) * step;
    } while (step != html_step(end));
    return end;
}

void html_draw_risk(html *h, const json_t *run)
{
    const json_t *points = html_at(run, "risk_coverage.points");
    html_plot plot = {"coverage: share of flows answered, the most confident first", "risk", 1, 0, 0, 0, 0, 0, 0};
    html_point point[POINTS];
    html_line line = {"risk", point, 0};
    double most = 0;
    for (size_t i = json_array_size(points); i-- > 0 && line.count < POINTS;) {
        const json_t *one = json_array_get(points, i);
        point[line.count++] = (html_point){html_real(one, "coverage"), html_real(one, "risk"), 0, NAN};
        most = fmax(most, html_real(one, "risk"));
        plot.x_low = fmin(plot.x_low, html_real(one, "coverage"));
        plot.x_high = fmax(plot.x_high, html_real(one, "coverage"));
    }
    if (!line.count)
        return;
    plot.y_high = above(most);
    html_figure(h, "Risk against coverage", 0);
    html_plot_draw(h, &plot, &line, 1);
    html_figure_end(h, "Share of wrong answers where only the most confident flows are answered: it should fall to the "
                       "left.");
}

/* ---------------------------------------------------------------- curves */

static void draw_curve(html *h, const json_t *run, const json_t *curve, const char *unit, const char *title)
{
    html_plot plot = {unit, "", 1, 1, 0, 1, 1, 0, 0};
    html_point accuracy[POINTS], f1[POINTS], reached[POINTS];
    html_line line[] = {{"macro-F1", f1, 0}, {"accuracy", accuracy, 0}, {"flows that long", reached, 0}};
    const double flows = html_real(run, "flows");
    size_t n = 0;
    for (; n < json_array_size(curve) && n < POINTS; n++) {
        const json_t *one = json_array_get(curve, n);
        const double x = html_real(one, unit);
        f1[n] = (html_point){x, html_real(one, "macro_f1"), 0, NAN};
        accuracy[n] = (html_point){x, html_real(one, "accuracy"), 0, NAN};
        reached[n] = (html_point){x, html_real(one, "reached") / flows, 0, html_real(one, "reached")};
    }
    if (n < 2)
        return;
    line[0].count = line[1].count = line[2].count = n;
    plot.x_low = f1[0].x;
    plot.x_high = f1[n - 1].x;
    html_figure(h, title, 0);
    html_plot_draw(h, &plot, line, 3);
    html_figure_end(h, "Scores had each flow been asked about after so much of it; flows that end earlier count with "
                       "their last answer, and the dotted line is the share of flows that go so far.");
}

void html_draw_curves(html *h, const json_t *run)
{
    draw_curve(h, run, html_at(run, "curves.packets"), "packets", "After so many packets");
    draw_curve(h, run, html_at(run, "curves.tokens"), "tokens", "After so many tokens");
}

/* ---------------------------------------------------------------- strangers */

void html_draw_open_set(html *h, const json_t *run)
{
    static const char *const names[][2] = {{"confidence", "all, by confidence"}, {"energy", "all, by energy"},
                                           {"left_out", "labels left out"}, {"other_folders", "other folders"}};
    const json_t *open_set = html_at(run, "open_set");
    const html_bars chart = {.tick = {"strangers passing", NULL}, .limit = 1};
    html_bar bar[HTML_ROWS];
    size_t n = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *one = json_object_get(open_set, names[i][0]);
        if (isnan(html_real(one, "auroc")))
            continue;
        bar[n] = html_bar_of(names[i][1], html_real(one, "auroc"));
        bar[n].tone = i < 2 ? 0 : 2;
        bar[n++].tick[0] = html_real(one, "fpr_at_95");
    }
    if (!n)
        return;
    html_figure(h, "Strangers told from known flows", 0);
    html_bars_draw(h, &chart, bar, n);
    html_put(h, "<figcaption>AUROC over ");
    html_count(h, html_real(open_set, "known"));
    html_put(h, " known flows and ");
    html_count(h, html_real(open_set, "strangers"));
    html_put(h, " strangers: .5 is chance, 1 tells all. The mark: share of strangers that pass a threshold which 95 "
                "%% of the known flows pass; the further left the better.</figcaption>\n</figure>\n");
}
