/* html_heat.c: a confusion matrix in colours: rows are the truth, each coloured by its shares. */
#include <math.h>

#include "html.h"

enum { SIDE = 760, CELL_MOST = 44, CELL_LEAST = 4, LABEL_COLUMNS = 24, RULE_EVERY = 5 };
enum { COUNTS_FROM = 26, LABELS_FROM = 7 }; /* cells of that size have so much in them, or beside them */

/* In units of the drawing. */
typedef struct layout {
    int n, cell, font;
    int left, top; /* of the matrix */
    int right;     /* for what leans over it */
    int upright;   /* labels of columns: where they lean they would touch */
} layout;

static layout lay_out(const json_t *labels)
{
    layout l = {.n = (int)json_array_size(labels)};
    int longest = 0;
    l.cell = SIDE / l.n;
    l.cell = l.cell > CELL_MOST ? CELL_MOST : l.cell < CELL_LEAST ? CELL_LEAST : l.cell;
    l.font = l.cell >= 14 ? 12 : l.cell >= LABELS_FROM ? l.cell - 1 : 0;
    for (int i = 0; i < l.n; i++) {
        const int columns = html_columns(json_string_value(json_array_get(labels, (size_t)i)));
        longest = columns > longest ? columns : longest;
    }
    longest = longest > LABEL_COLUMNS ? LABEL_COLUMNS : longest;
    l.left = l.font ? longest * l.font * 6 / 10 + 26 : 20;
    l.upright = l.cell * 7 < l.font * 10;
    l.top = l.font ? longest * l.font * (l.upright ? 60 : 45) / 100 + 22 : 20;
    l.right = l.font && !l.upright ? longest * l.font * 45 / 100 + 10 : 4;
    return l;
}

static double number_at(const json_t *row, int i)
{
    return json_number_value(json_array_get(row, (size_t)i));
}

static void draw_cell(html *h, const layout *l, const json_t *labels, int row, int column, double count, double share)
{
    const int x = l->left + column * l->cell, y = l->top + row * l->cell;
    html_put(h, "<g><title>");
    html_text(h, json_string_value(json_array_get(labels, (size_t)row)));
    html_put(h, " called ");
    html_text(h, json_string_value(json_array_get(labels, (size_t)column)));
    html_put(h, ": %.0f (%.1f %%)</title>", count, 100 * share);
    html_put(h, "<rect class=\"f%d\" fill-opacity=\"%.3f\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>",
             row != column, .1 + .9 * share, x, y, l->cell - (l->cell > 8), l->cell - (l->cell > 8));
    if (l->cell >= COUNTS_FROM)
        html_put(h, "<text class=\"m%s\" x=\"%d\" y=\"%d\">%.0f</text>", share > .55 ? " on" : "", x + l->cell / 2,
                 y + l->cell / 2 + 4, count);
    html_put(h, "</g>\n");
}

static void draw_labels(html *h, const layout *l, const json_t *labels)
{
    for (int i = 0; i < l->n; i++) {
        const char *label = json_string_value(json_array_get(labels, (size_t)i));
        const int middle = i * l->cell + l->cell / 2;
        html_put(h, "<text class=\"e\" style=\"font-size:%dpx\" x=\"%d\" y=\"%d\">", l->font, l->left - 6,
                 l->top + middle + l->font * 35 / 100);
        html_cut(h, label, LABEL_COLUMNS);
        html_put(h, "</text><text style=\"font-size:%dpx\" transform=\"translate(%d %d) rotate(%d)\">", l->font,
                 l->left + middle + l->font * 35 / 100, l->top - 5, l->upright ? -90 : -45);
        html_cut(h, label, LABEL_COLUMNS);
        html_put(h, "</text>\n");
    }
}

void html_heat_draw(html *h, const json_t *labels, const json_t *matrix)
{
    const int n = (int)json_array_size(labels);
    layout l;
    if (!n)
        return;
    l = lay_out(labels);
    html_put(h, "<div class=\"scroll\"><svg viewBox=\"0 0 %d %d\" role=\"img\" style=\"width:%dpx;max-width:none\">\n",
             l.left + n * l.cell + l.right, l.top + n * l.cell + 4, l.left + n * l.cell + l.right);
    html_put(h, "<rect class=\"rule\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n", l.left, l.top, n * l.cell,
             n * l.cell);
    for (int i = RULE_EVERY; i < n; i += RULE_EVERY)
        html_put(h, "<path class=\"rule\" d=\"M%d %dh%dM%d %dv%d\"/>\n", l.left, l.top + i * l.cell, n * l.cell,
                 l.left + i * l.cell, l.top, n * l.cell);
    html_put(h, "<text class=\"dim m\" transform=\"translate(11 %d) rotate(-90)\">truth</text>\n",
             l.top + n * l.cell / 2);
    if (l.font)
        draw_labels(h, &l, labels);
    for (int row = 0; row < n; row++) {
        const json_t *counts = json_array_get(matrix, (size_t)row);
        double all = 0;
        for (int column = 0; column < n; column++)
            all += number_at(counts, column);
        for (int column = 0; column < n; column++)
            if (number_at(counts, column) > 0)
                draw_cell(h, &l, labels, row, column, number_at(counts, column), number_at(counts, column) / all);
    }
    html_put(h, "</svg></div>\n");
}
