/* html_tokens.c: the page of `evaluate tokens`. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "html.h"

enum { FILES_SHOWN = 50 };

static const char *const section[] = {"opening", "header", "time", "payload"};
enum { SECTIONS = sizeof section / sizeof *section };

static const json_t *first_context(const json_t *report)
{
    return json_array_get(json_object_get(report, "contexts"), 0);
}

static void put_title(html *h, const json_t *report)
{
    html_put(h, "What ");
    html_count(h, html_real(report, "packets"));
    html_put(h, " packets cost the model in bits");
}

static void put_facts(html *h, const json_t *report)
{
    const json_t *payload = html_at(report, "payload");
    html_put(h, "<p class=\"facts\">");
    html_count(h, html_real(report, "bytes"));
    html_put(h, " bytes, ");
    html_count(h, html_real(report, "flows"));
    html_put(h, " flows, %.0f captures; codec ", html_real(report, "files"));
    html_text(h, html_string(report, "codec"));
    html_put(h, ", unit ");
    html_text(h, html_string(report, "unit"));
    html_put(h, ", hidden: ");
    html_text(h, html_string(report, "hide"));
    if (json_is_integer(payload))
        html_put(h, ", payload: %.0f bytes a packet", json_number_value(payload));
    else
        html_put(h, ", payload: full");
    html_put(h, "; trained on %.0f tokens, %.0f packets; model ", html_real(report, "context_trained"),
             html_real(report, "max_packets_trained"));
    html_model(h, html_string(report, "model"));
    html_put(h, "</p>\n");
    if (*html_string(report, "note"))
        html_element(h, "p", html_string(report, "note"));
    if (html_at(report, "damage")) {
        html_put(h, "<p class=\"note\">%.0f captures are damaged and count up to the damage; the first is ",
                 html_real(report, "files_damaged"));
        html_text(h, html_string(report, "damage.file"));
        html_put(h, ".</p>\n");
    }
}

static void put_tiles(html *h, const json_t *report)
{
    const json_t *context = first_context(report);
    html_put(h, "<div class=\"tiles\">\n");
    html_tile(h, "bits per byte", "%.3f", html_real(report, "bits_per_byte"), NULL, "all that is needed");
    html_tile(h, "of xz -9e, by file", "%.3f", html_real(context, "against.by_file.xz_9e.all"), NULL,
              "the model's bits over the compressor's");
    html_tile(h, "of zstd -19, by file", "%.3f", html_real(context, "against.by_file.zstd_19.all"), NULL,
              "the model's bits over the compressor's");
    html_tile(h, "headers and times, of xz", "%.3f", html_real(context, "against.by_file.xz_9e.header_time"), NULL,
              "where payload is zeroed");
    html_tile(h, "bits per token", "%.3f", html_real(context, "bits_per_token"), NULL, "over the codec's tokens");
    html_put(h, "</div>\n");
}

/* ---------------------------------------------------------------- compressors */

static size_t add_compressors(const json_t *sizes, html_bar *bar)
{
    static const char *const names[][2] = {{"xz_9e", "xz -9e"}, {"zstd_19", "zstd -19"}, {"gzip_9", "gzip -9"}};
    size_t n = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bar[n] = html_bar_of(names[i][1], html_real(json_object_get(sizes, names[i][0]), "bits_per_byte"));
        bar[n++].tone = 4;
    }
    return n;
}

/* alone: without recall; not above 0: there was none. */
static void draw_compressors(html *h, const json_t *report, const char *layout, const char *title, double own,
                             double alone, const char *reading)
{
    const json_t *sizes = json_object_get(json_object_get(report, "compressors"), layout);
    const html_bars chart = {.limit = 0};
    html_bar bar[HTML_ROWS];
    size_t n = 0;
    if (!sizes)
        return;
    bar[n++] = html_bar_of(json_is_true(html_at(report, "recall")) ? "with recall" : "this model", own);
    if (alone > 0)
        bar[n++] = html_bar_of("this model", alone);
    html_figure(h, title, 0);
    html_bars_draw(h, &chart, bar, n + add_compressors(sizes, bar + n));
    html_figure_end(h, reading);
}

static void draw_all_compressors(html *h, const json_t *report)
{
    const json_t *context = first_context(report);
    const double own = html_real(report, "bits_per_byte");
    const double headers = own - html_real(context, "payload.bits_per_byte");
    const double alone = html_real(context, "bits_per_byte_model");
    draw_compressors(h, report, "by_file", "Beside compressors, each capture a file", own, alone,
                     "Bits for each byte of the captures: shorter is better.");
    draw_compressors(h, report, "by_flow", "Beside compressors, each flow a file", own, alone,
                     "The same where compressors begin anew with each flow, as the model does.");
    draw_compressors(h, report, "by_file_payload_zeroed", "Headers and times alone, each capture a file", headers, 0,
                     "The model's bits for all but payload, beside compressors of the same packets with every payload "
                     "byte zeroed.");
    draw_compressors(h, report, "by_flow_payload_zeroed", "Headers and times alone, each flow a file", headers, 0,
                     "The same, each flow a file of its own.");
}

/* ---------------------------------------------------------------- sections */

static html_bar sections_of(const char *label, const json_t *costs)
{
    html_bar bar = html_bar_of(label, 0);
    for (int s = 0; s < SECTIONS; s++) {
        const double bits = html_real(json_object_get(costs, section[s]), "bits_per_byte");
        bar.part[s] = bits > 0 ? bits : 0;
    }
    return bar;
}

static void draw_sections(html *h, const json_t *report)
{
    const html_bars chart = {.part = {"opening", "header", "time", "payload", "beside the tokens"}};
    const json_t *contexts = json_object_get(report, "contexts");
    html_bar bar[HTML_ROWS];
    char name[HTML_ROWS][32];
    size_t n = 0;
    for (; n < json_array_size(contexts) && n < HTML_ROWS; n++) {
        const json_t *context = json_array_get(contexts, n);
        snprintf(name[n], sizeof name[n], "%.0f tokens", html_real(context, "context"));
        bar[n] = sections_of(name[n], context);
        bar[n].part[SECTIONS] = html_real(context, "bits_per_byte_beside");
    }
    html_figure(h, "What the bits are spent on, by context", 0);
    html_bars_draw(h, &chart, bar, n);
    html_figure_end(h, "Bits per byte. Opening: the first packet of each direction of a flow; beside the tokens "
                       "travels what brings capture order and exact times back. A shorter context pays more for "
                       "openings.");
}

static void draw_protocols(html *h, const json_t *report)
{
    static const char *const names[][2] = {
        {"tcp", "TCP"}, {"udp", "UDP"}, {"icmp", "ICMP"}, {"other_ip", "other IP"}, {"non_ip", "not IP"}};
    const html_bars chart = {.part = {"opening", "header", "time", "payload"}};
    const json_t *context = first_context(report);
    const double all = html_real(context, "bits_per_byte_tokens") * html_real(report, "bytes");
    html_bar bar[HTML_ROWS];
    size_t n = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *one = json_object_get(json_object_get(context, "protocols"), names[i][0]);
        if (!one)
            continue;
        bar[n] = sections_of(names[i][1], one);
        snprintf(bar[n].note, sizeof bar[n].note, "%.3f, %.0f %% of all", html_real(one, "bits_per_byte"),
                 all > 0 ? 100 * html_real(one, "bits") / all : 0);
        n++;
    }
    if (!n)
        return;
    html_figure(h, "By protocol", 0);
    html_bars_draw(h, &chart, bar, n);
    html_figure_end(h, "Bits for each byte of the packets of that protocol; at the right also its share of all bits of "
                       "tokens.");
}

static void draw_layers(html *h, const json_t *report)
{
    const json_t *layers = json_object_get(first_context(report), "layers"), *one;
    const html_bars chart = {.limit = 0};
    html_bar bar[HTML_ROWS];
    const char *name;
    size_t n = 0;
    json_object_foreach((json_t *)(uintptr_t)layers, name, one)
        if (html_real(one, "tokens") > 0 && n < HTML_ROWS) {
            bar[n] = html_bar_of(name, html_real(one, "bits_per_byte"));
            bar[n++].tone = 2;
        }
    if (!n)
        return;
    html_figure(h, "By layer", 0);
    html_bars_draw(h, &chart, bar, n);
    html_figure_end(h, "The same tokens cut by the layer that they tell of, in bits for each byte of the captures.");
}

/* ---------------------------------------------------------------- contexts */

static void draw_contexts(html *h, const json_t *report)
{
    const json_t *contexts = json_object_get(report, "contexts");
    html_plot plot = {"context in tokens", "bits per byte", 1, 1, 0, 0, 1, 0, 0};
    html_point point[HTML_ROWS];
    html_line line = {"bits per byte", point, 0};
    for (size_t i = 0; i < json_array_size(contexts) && i < HTML_ROWS; i++) {
        const json_t *context = json_array_get(contexts, i);
        html_point new = {html_real(context, "context"), html_real(context, "bits_per_byte"), 0, NAN};
        size_t at = line.count++;
        for (; at > 0 && point[at - 1].x > new.x; at--)
            point[at] = point[at - 1];
        point[at] = new;
        plot.y_high = fmax(plot.y_high, 1.1 * new.y);
    }
    if (line.count < 2)
        return;
    plot.x_low = point[0].x;
    plot.x_high = point[line.count - 1].x;
    html_figure(h, "By context", 0);
    html_plot_draw(h, &plot, &line, 1);
    html_figure_end(h, json_is_true(html_at(report, "same_tokens"))
                           ? "The same tokens at each context: where the line falls, the model uses what it remembers."
                           : "Where the line falls, longer memory helps, or fewer flows have to be told again.");
}

/* ---------------------------------------------------------------- tables */

static void put_fields(html *h, const json_t *report)
{
    const json_t *fields = json_object_get(first_context(report), "fields");
    const double all = html_real(first_context(report), "bits");
    size_t count = 0;
    const char **field = html_keys_by(h, fields, "bits", &count);
    html_figure(h, "Header fields", 1);
    html_table(h, "field|#packets|#told|accuracy|where told|#bits a value|share of all bits");
    for (size_t i = 0; field && i < count; i++) {
        const json_t *one = json_object_get(fields, field[i]);
        const double there = html_real(one, "there"), told = html_real(one, "told");
        html_put(h, "<tr>");
        html_element(h, "td", field[i]);
        html_count_cell(h, there);
        html_count_cell(h, told);
        html_bar_cell(h, html_real(one, "accuracy"), 0, there > 0 ? 1 - told / there : NAN);
        html_bar_cell(h, told > 0 ? html_real(one, "accuracy_told") : NAN, 2, NAN);
        html_number_cell(h, "%.3f", html_real(one, "bits_per_value"));
        html_bar_cell(h, all > 0 ? html_real(one, "bits") / all : NAN, 1, NAN);
        html_put(h, "</tr>\n");
    }
    html_table_end(h);
    html_figure_end(h, "Accuracy: the most likely tokens give the right value; the mark is what the codec's "
                       "prediction alone reaches, and told are the packets where that is wrong. The field with the "
                       "most bits stands first.");
    free(field);
}

/* The last folder and name of a path: what differs between captures. */
static const char *end_of(const char *path)
{
    int slashes = 0;
    for (const char *at = path + strlen(path); at > path; at--)
        if (at[-1] == '/' && ++slashes == 2)
            return at;
    return path;
}

/* For each byte, at the first context. */
static double bits_of(const json_t *row)
{
    return json_number_value(json_array_get(json_object_get(row, "bits_per_byte"), 0));
}

static void put_files(html *h, const json_t *report)
{
    const json_t *rows = json_object_get(report, "by_file");
    const size_t count = json_array_size(rows);
    double most = 0;
    if (!count)
        return;
    for (size_t i = 0; i < count && i < FILES_SHOWN; i++)
        most = fmax(most, bits_of(json_array_get(rows, i)));
    html_figure(h, "Captures", 1);
    html_table(h, "file|#bytes|#packets|#flows|#bits per byte|beside the others|#xz -9e");
    for (size_t i = 0; i < count && i < FILES_SHOWN; i++) {
        const json_t *row = json_array_get(rows, i);
        const double bits = bits_of(row);
        html_put(h, "<tr>");
        html_name_cell(h, html_string(row, "file"), end_of(html_string(row, "file")));
        html_count_cell(h, html_real(row, "bytes"));
        html_count_cell(h, html_real(row, "packets"));
        html_count_cell(h, html_real(row, "flows"));
        html_number_cell(h, "%.3f", bits);
        html_put(h, "<td><svg width=\"120\" height=\"11\"><rect class=\"f0\" width=\"%.1f\" height=\"11\"/></svg></td>",
                 most > 0 ? 120 * bits / most : 0);
        html_number_cell(h, "%.3f", html_real(row, "compressors.by_file.xz_9e.bits_per_byte"));
        html_put(h, "</tr>\n");
    }
    html_table_end(h);
    if (count > FILES_SHOWN)
        html_put(h, "<p class=\"facts\">%zu more are in the JSON below.</p>\n", count - FILES_SHOWN);
    html_figure_end(h, "Bits for each byte of each capture, at the first context.");
}

static void put_body(html *h, const json_t *report)
{
    put_facts(h, report);
    put_tiles(h, report);
    html_put(h, "<div class=\"grid\">\n");
    draw_all_compressors(h, report);
    draw_sections(h, report);
    draw_contexts(h, report);
    draw_protocols(h, report);
    draw_layers(h, report);
    put_fields(h, report);
    put_files(h, report);
    html_put(h, "</div>\n");
}

const html_kind html_tokens = {put_title, put_body};
