/* html_plot.c: lines over one axis, with discs where points count differently much. */
#include <math.h>

#include "html.h"

/* In units of the drawing. */
enum { WIDTH = 540, HEIGHT = 280, LEFT = 48, RIGHT = 16, TOP = 10, BOTTOM = 44, APART = 38 };

static double across(const html_plot *plot, double x)
{
    const double low = plot->x_log ? log(plot->x_low) : plot->x_low;
    const double high = plot->x_log ? log(plot->x_high) : plot->x_high;
    const double share = high > low ? ((plot->x_log ? log(x) : x) - low) / (high - low) : .5;
    return LEFT + (WIDTH - LEFT - RIGHT) * share;
}

static double down(const html_plot *plot, double y)
{
    const double share = plot->y_high > plot->y_low ? (y - plot->y_low) / (plot->y_high - plot->y_low) : .5;
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share;
}

/* Marks stand at whole multiples of the step. */
static long first_mark(double low, double step)
{
    return (long)ceil(low / step - 1e-9);
}

static void x_mark(html *h, const html_plot *plot, double x, double *last)
{
    const double at = across(plot, x);
    if (at - *last < APART)
        return;
    *last = at;
    html_put(h, "<path class=\"axis\" d=\"M%.1f %dv4\"/><text class=\"dim m\" x=\"%.1f\" y=\"%d\">%.6g</text>\n", at,
             HEIGHT - BOTTOM, at, HEIGHT - BOTTOM + 17, x);
}

static void draw_axes(html *h, const html_plot *plot, const html_line *line, size_t count)
{
    const double y_step = html_step(plot->y_high - plot->y_low), x_step = html_step(plot->x_high - plot->x_low);
    double last = -APART;
    for (long i = first_mark(plot->y_low, y_step); i * y_step <= plot->y_high + 1e-9 * y_step; i++)
        html_put(h, "<path class=\"rule\" d=\"M%d %.1fH%d\"/><text class=\"dim e\" x=\"%d\" y=\"%.1f\">%.4g</text>\n",
                 LEFT, down(plot, i * y_step), WIDTH - RIGHT, LEFT - 6, down(plot, i * y_step) + 4, i * y_step);
    if (plot->x_log)
        for (size_t i = 0; count && i < line[0].count; i++)
            x_mark(h, plot, line[0].point[i].x, &last);
    else
        for (long i = first_mark(plot->x_low, x_step); i * x_step <= plot->x_high + 1e-9 * x_step; i++)
            x_mark(h, plot, i * x_step, &last);
    html_put(h, "<path class=\"axis\" d=\"M%d %dH%d\"/>\n", LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT);
    html_put(h, "<text class=\"dim m\" x=\"%d\" y=\"%d\">%s</text>\n", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6,
             plot->x_name);
    html_put(h, "<text class=\"dim m\" transform=\"translate(11 %d) rotate(-90)\">%s</text>\n",
             (TOP + HEIGHT - BOTTOM) / 2, plot->y_name);
}

static void draw_line(html *h, const html_plot *plot, const html_line *line, size_t tone)
{
    html_put(h, "<path class=\"s%zu\" d=\"", tone);
    for (size_t i = 0; i < line->count; i++)
        html_put(h, "%c%.1f %.1f", i ? 'L' : 'M', across(plot, line->point[i].x), down(plot, line->point[i].y));
    html_put(h, "\"/>\n");
    for (size_t i = 0; i < line->count; i++) {
        const html_point *p = &line->point[i];
        html_put(h, "<circle class=\"f%zu%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"><title>%s: %.4g at %.6g", tone,
                 plot->discs ? " disc" : "", across(plot, p->x), down(plot, p->y),
                 plot->discs ? 2.5 + 15 * sqrt(p->weight) : 3.2, line->name, p->y, p->x);
        if (!isnan(p->count)) {
            html_put(h, ", ");
            html_count(h, p->count);
            html_put(h, " flows");
        }
        html_put(h, "</title></circle>\n");
    }
}

static void put_legend(html *h, const html_line *line, size_t count)
{
    html_put(h, "<p class=\"legend\">");
    for (size_t i = 0; i < count; i++)
        html_put(h, "<span><svg width=\"26\" height=\"12\"><path class=\"s%zu\" d=\"M0 6H26\"/></svg> %s</span>\n", i,
                 line[i].name);
    html_put(h, "</p>\n");
}

void html_plot_draw(html *h, const html_plot *plot, const html_line *line, size_t count)
{
    if (count > 1)
        put_legend(h, line, count);
    html_put(h, "<svg viewBox=\"0 0 %d %d\" role=\"img\" style=\"max-width:%dpx\">\n", WIDTH, HEIGHT, WIDTH * 5 / 4);
    draw_axes(h, plot, line, count);
    if (plot->diagonal)
        html_put(h, "<path class=\"dash\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", across(plot, plot->x_low),
                 down(plot, plot->y_low), across(plot, plot->x_high), down(plot, plot->y_high));
    for (size_t i = 0; i < count; i++)
        draw_line(h, plot, &line[i], i);
    html_put(h, "</svg>\n");
}
