/* html_bars.c: horizontal bars, one below the other, of one part or of several laid end to end. */
#include <math.h>

#include "html.h"

/* In units of the drawing, which are CSS pixels where there is room. */
enum { WIDTH = 540, RIGHT = 116, ROW = 25, BAR = 15, COLUMN = 7, LABEL_COLUMNS = 21 };

/* The axis: from where to where it goes, and what its right end stands for. */
typedef struct scale {
    int left, right;
    double limit;
} scale;

html_bar html_bar_of(const char *label, double value)
{
    html_bar bar = {.label = label, .part = {value}, .low = NAN, .high = NAN, .tick = {NAN, NAN}};
    return bar;
}

void html_legend(html *h, const char *const *part, size_t parts, const char *const *tick, size_t ticks)
{
    html_put(h, "<p class=\"legend\">");
    for (size_t i = 0; i < parts && part[i]; i++)
        html_put(h, "<span><svg width=\"12\" height=\"12\"><rect class=\"f%zu\" width=\"12\" height=\"12\"/></svg> %s"
                    "</span>\n", i, part[i]);
    for (size_t i = 0; i < ticks && tick[i]; i++)
        html_put(h, "<span><svg width=\"8\" height=\"14\"><path class=\"t%zu\" d=\"M4 0V14\"/></svg> %s</span>\n", i,
                 tick[i]);
    html_put(h, "</p>\n");
}

double html_step(double length)
{
    const double decade = pow(10, floor(log10(length / 4)));
    const double wanted = length / 4 / decade;
    return decade * (wanted < 1.5 ? 1 : wanted < 3.5 ? 2 : wanted < 7.5 ? 5 : 10);
}

static double length_of(const html_bar *bar)
{
    double sum = 0;
    for (int p = 0; p < HTML_PARTS; p++)
        sum += bar->part[p] > 0 ? bar->part[p] : 0;
    return sum;
}

static double longest(const html_bar *bar, size_t count)
{
    double end = 0;
    for (size_t i = 0; i < count; i++) {
        end = fmax(end, length_of(&bar[i]));
        end = fmax(end, bar[i].high);
        for (int t = 0; t < HTML_TICKS; t++)
            end = fmax(end, bar[i].tick[t]);
    }
    return end > 0 ? 1.03 * end : 1;
}

static scale scale_of(const html_bars *chart, const html_bar *bar, size_t count)
{
    int columns = 0;
    for (size_t i = 0; i < count; i++) {
        const int own = html_columns(bar[i].label);
        columns = own > columns ? own : columns;
    }
    columns = columns > LABEL_COLUMNS ? LABEL_COLUMNS : columns;
    return (scale){12 + COLUMN * columns, WIDTH - RIGHT, chart->limit > 0 ? chart->limit : longest(bar, count)};
}

static double at(const scale *s, double value)
{
    const double share = value / s->limit;
    return s->left + (s->right - s->left) * (share < 0 ? 0 : share > 1 ? 1 : share);
}

static void draw_axis(html *h, const scale *s, size_t count)
{
    const double step = html_step(s->limit);
    const int bottom = (int)count * ROW + 4;
    for (int i = 0; i * step <= s->limit * 1.0001; i++) {
        const double x = at(s, i * step);
        html_put(h, "<path class=\"rule\" d=\"M%.1f 0V%d\"/><text class=\"dim m\" x=\"%.1f\" y=\"%d\">%g</text>\n", x,
                 bottom, x, bottom + 15, i * step);
    }
    html_put(h, "<path class=\"axis\" d=\"M%d 0V%d\"/>\n", s->left, bottom);
}

/* "label: 0.812 (0.74 to 0.86)" */
static void put_title(html *h, const html_bars *chart, const html_bar *bar)
{
    html_put(h, "<title>");
    html_text(h, bar->label);
    if (chart->part[0] && chart->part[1]) {
        for (int p = 0; p < HTML_PARTS && chart->part[p]; p++)
            html_put(h, "%s %s %.4g", p ? "," : ":", chart->part[p], bar->part[p]);
    } else {
        html_put(h, ": %.4g", bar->part[0]);
    }
    if (!isnan(bar->low))
        html_put(h, " (%.4g to %.4g)", bar->low, bar->high);
    for (int t = 0; t < HTML_TICKS && chart->tick[t]; t++)
        if (!isnan(bar->tick[t]))
            html_put(h, "; %s %.4g", chart->tick[t], bar->tick[t]);
    html_put(h, "</title>");
}

static void draw_bar(html *h, const html_bars *chart, const html_bar *bar, const scale *s, int top)
{
    const double middle = top + BAR / 2.;
    double end = 0;
    html_put(h, "<g>");
    put_title(h, chart, bar);
    html_put(h, "<text class=\"e\" x=\"%d\" y=\"%d\">", s->left - 8, top + 12);
    html_cut(h, bar->label, LABEL_COLUMNS);
    html_put(h, "</text>");
    for (int p = 0; p < HTML_PARTS; p++) {
        const double from = at(s, end);
        if (!(bar->part[p] > 0))
            continue;
        end += bar->part[p];
        html_put(h, "<rect class=\"f%d\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>", p ? p : bar->tone, from,
                 top, at(s, end) - from, BAR);
    }
    if (!isnan(bar->low)) {
        const double low = at(s, bar->low), high = at(s, bar->high);
        html_put(h, "<path class=\"whisker\" d=\"M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8\"/>", low, middle, high, low,
                 middle - 4, high, middle - 4);
    }
    for (int t = 0; t < HTML_TICKS; t++)
        if (!isnan(bar->tick[t]))
            html_put(h, "<path class=\"t%d\" d=\"M%.1f %dv%d\"/>", t, at(s, bar->tick[t]), top - 3, BAR + 6);
    html_put(h, "<text x=\"%d\" y=\"%d\">", s->right + 10, top + 12);
    if (bar->note[0])
        html_text(h, bar->note);
    else
        html_put(h, "%.3f", end);
    html_put(h, "</text></g>\n");
}

void html_bars_draw(html *h, const html_bars *chart, const html_bar *bar, size_t count)
{
    const scale s = scale_of(chart, bar, count);
    if ((chart->part[0] && chart->part[1]) || chart->tick[0])
        html_legend(h, chart->part, HTML_PARTS, chart->tick, HTML_TICKS);
    html_put(h, "<svg viewBox=\"0 0 %d %d\" role=\"img\" style=\"max-width:%dpx\">\n", WIDTH, (int)count * ROW + 24,
             WIDTH * 5 / 4);
    draw_axis(h, &s, count);
    for (size_t i = 0; i < count; i++)
        draw_bar(h, chart, &bar[i], &s, (int)i * ROW + 5);
    html_put(h, "</svg>\n");
}
