/* html.h: reports as pages: what a page and its charts are made of. A page is HTML that is well-formed XML too, stands
 * alone (no script, nothing fetched), and is the same for the same report and command line. */
#ifndef WIRELM_HTML_H
#define WIRELM_HTML_H

#include <jansson.h>

#include "cli.h"

typedef struct html {
    FILE *out;
    int no_memory; /* something was left out for want of it: the page is not kept */
} html;

/* One kind of report. */
typedef struct html_kind {
    void (*title)(html *h, const json_t *report); /* text, a few words */
    void (*body)(html *h, const json_t *report);
} html_kind;

extern const html_kind html_classify, html_tokens, html_generate;

/* Keeps the command line for the page: before options are parsed, which cuts words. */
void html_remember_command(const command *self, int argc, char **argv);
/* Whether a page can be written to path (NULL: none is asked for), to be known before hours of work. Else says why on
 * stderr. */
int html_possible(const char *path);

/* Prints the report on stdout as print_json() does, and writes its page to path, NULL: none. Takes the reference. Gives
 * the exit status. */
int print_report(const char *path, const html_kind *kind, json_t *report);

/* ---------------------------------------------------------------- text (html.c) */

/* Markup and numbers, as they are: never a string that comes from data. */
void html_put(html *h, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Any bytes: escaped, and U+FFFD for what is no UTF-8 or may not stand in XML. */
void html_text(html *h, const char *text);
/* The first so many columns of text, with an ellipsis where that is not all. */
void html_cut(html *h, const char *text, int columns);
/* Columns that text takes, about: two for those of East Asia. */
int html_columns(const char *text);
/* <tag>text</tag> */
void html_element(html *h, const char *tag, const char *text);
/* "1,234,567" */
void html_count(html *h, double value);
/* "sha256:0123456789ab", the rest of it in a title. */
void html_model(html *h, const char *id);

/* ---------------------------------------------------------------- what stands in a report (html_report.c) */

/* What stands at "key.key.key"; NULL where something is missing or null. No key of such a path may hold a dot. */
const json_t *html_at(const json_t *object, const char *path);
/* NAN where there is no number. */
double html_real(const json_t *object, const char *path);
/* "" where there is no string. */
const char *html_string(const json_t *object, const char *path);

/* Keys of an object whose values are objects, the one with the largest number at `by` first, then as they stand.
 * [*count], to be freed; NULL where there are none. */
const char **html_keys_by(html *h, const json_t *object, const char *by, size_t *count);

/* ---------------------------------------------------------------- parts of a page (html_parts.c) */

/* A large figure and what it is; interval: [low, high] or NULL; said: a few words of ours, or NULL. Nothing for NAN. */
void html_tile(html *h, const char *name, const char *format, double value, const json_t *interval, const char *said);

/* A chart's frame, with its title; wide: as wide as the page. The end says how to read it. */
void html_figure(html *h, const char *title, int wide);
void html_figure_end(html *h, const char *reading);

/* A table up to its first row; head: its columns as "label|#flows|F1", '#' where numbers stand at the right. */
void html_table(html *h, const char *head);
void html_table_end(html *h);

/* <td> with what fits of a name, and all of it in a title. */
void html_name_cell(html *h, const char *whole, const char *shown);
/* <td> with a number, and a bar of that share of the cell; tick: NAN, or where a mark stands. */
void html_bar_cell(html *h, double share, int tone, double tick);
void html_number_cell(html *h, const char *format, double value); /* empty for NAN */
void html_count_cell(html *h, double value);

/* ---------------------------------------------------------------- charts (html_bars.c, html_plot.c, html_heat.c) */

enum { HTML_PARTS = 5, HTML_TICKS = 2, HTML_TONES = 5, HTML_ROWS = 64 };

/* What a colour or mark means, in a line above the chart. */
void html_legend(html *h, const char *const *part, size_t parts, const char *const *tick, size_t ticks);

/* Distance of marks on an axis of that length: 1, 2 or 5 times a power of ten, so that there are about five. */
double html_step(double length);

typedef struct html_bar {
    const char *label;
    double part[HTML_PARTS]; /* lengths, laid end to end */
    double low, high;        /* an interval; NAN: none */
    double tick[HTML_TICKS]; /* marks across the bar; NAN: none */
    int tone;                /* of the first part; the others have their own */
    char note[48];           /* at the right; "" : the sum of the parts */
} html_bar;

/* One part, no marks. */
html_bar html_bar_of(const char *label, double value);

typedef struct html_bars {
    const char *part[HTML_PARTS]; /* names for the legend; NULL: unnamed */
    const char *tick[HTML_TICKS];
    double limit;                 /* right end of the axis; 0: what the bars need */
} html_bars;

/* Horizontal bars, one below the other. */
void html_bars_draw(html *h, const html_bars *chart, const html_bar *bar, size_t count);

typedef struct html_point {
    double x, y;
    double weight; /* 0 to 1: area of the disc drawn there, where the plot has discs */
    double count;  /* named in the disc's title; NAN: not */
} html_point;

typedef struct html_line {
    const char *name;
    const html_point *point; /* [count], by x */
    size_t count;
} html_line;

typedef struct html_plot {
    const char *x_name, *y_name;
    double x_low, x_high, y_low, y_high;
    int x_log;    /* marks of the x axis stand at the points */
    int diagonal; /* a line from corner to corner */
    int discs;
} html_plot;

enum { HTML_LINES = 4 };
void html_plot_draw(html *h, const html_plot *plot, const html_line *line, size_t count);

/* Matrix of counts [labels, labels], each row coloured by its shares. */
void html_heat_draw(html *h, const json_t *labels, const json_t *matrix);

/* The style sheet (html_style.c). */
extern const char html_style[];

#endif
