/* html_parts.c: what pages have beside charts: large figures, frames, cells of tables. */
#include <math.h>
#include <string.h>

#include "html.h"

void html_tile(html *h, const char *name, const char *format, double value, const json_t *interval, const char *said)
{
    const double low = json_number_value(json_array_get(interval, 0));
    const double high = json_number_value(json_array_get(interval, 1));
    char text[64];
    if (isnan(value))
        return;
    snprintf(text, sizeof text, format, value);
    html_put(h, "<div class=\"tile\"><p>%s</p><p class=\"large\">%s</p>", name, text);
    if (json_is_number(json_array_get(interval, 0)))
        html_put(h, "<p>%.3f to %.3f</p>", low, high);
    if (said)
        html_put(h, "<p>%s</p>", said);
    html_put(h, "</div>\n");
}

void html_figure(html *h, const char *title, int wide)
{
    html_put(h, "<figure%s>\n<h3>%s</h3>\n", wide ? " class=\"wide\"" : "", title);
}

void html_figure_end(html *h, const char *reading)
{
    html_put(h, "<figcaption>%s</figcaption>\n</figure>\n", reading);
}

void html_table(html *h, const char *head)
{
    html_put(h, "<div class=\"scroll\"><table>\n<thead><tr>");
    while (*head) {
        const int number = *head == '#', length = (int)strcspn(head, "|");
        html_put(h, "<th%s>%.*s</th>", number ? " class=\"n\"" : "", length - number, head + number);
        head += length + (head[length] != 0);
    }
    html_put(h, "</tr></thead>\n<tbody>\n");
}

void html_table_end(html *h)
{
    html_put(h, "</tbody></table></div>\n");
}

void html_name_cell(html *h, const char *whole, const char *shown)
{
    html_put(h, "<td class=\"name\" title=\"");
    html_text(h, whole);
    html_put(h, "\">");
    html_text(h, shown);
    html_put(h, "</td>");
}

void html_bar_cell(html *h, double share, int tone, double tick)
{
    enum { WIDTH = 90 };
    const double shown = share < 0 ? 0 : share > 1 ? 1 : share;
    if (isnan(share)) {
        html_put(h, "<td></td>");
        return;
    }
    html_put(h, "<td><svg width=\"%d\" height=\"12\" viewBox=\"0 0 %d 12\"><path class=\"rule\" d=\"M0 11.5H%d\"/>"
                "<rect class=\"f%d\" width=\"%.1f\" height=\"11\"/>",
             WIDTH, WIDTH, WIDTH, tone, WIDTH * shown);
    if (!isnan(tick))
        html_put(h, "<path class=\"t1\" d=\"M%.1f 0V12\"/>", WIDTH * tick);
    html_put(h, "</svg> %.3f</td>", share);
}

void html_number_cell(html *h, const char *format, double value)
{
    char text[64] = "";
    if (!isnan(value))
        snprintf(text, sizeof text, format, value);
    html_put(h, "<td class=\"n\">%s</td>", text);
}

void html_count_cell(html *h, double value)
{
    html_put(h, "<td class=\"n\">");
    html_count(h, value);
    html_put(h, "</td>");
}
