/* html.c: text of pages: markup, and escaping of whatever comes from data. */
#include "html.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

enum { REPLACEMENT = 0xFFFD };

void html_put(html *h, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(h->out, format, args);
    va_end(args);
}

/* The character at *text, and *text behind it; a byte that begins none is one replacement. */
static uint32_t next_character(const unsigned char **text)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *at = *text;
    const size_t length = *at < 0x80 ? 1 : *at < 0xC0 ? 0 : *at < 0xE0 ? 2 : *at < 0xF0 ? 3 : *at < 0xF8 ? 4 : 0;
    uint32_t c = length < 2 ? *at : *at & (0xFFu >> (length + 1));
    *text = at + 1;
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return REPLACEMENT;
        c = c << 6 | (at[i] & 0x3F);
    }
    if (length == 0 || c < least[length] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000) || c == 0xFFFE || c == 0xFFFF)
        return REPLACEMENT;
    *text = at + length;
    return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7F ? REPLACEMENT : c;
}

static void put_character(html *h, uint32_t c)
{
    switch (c) {
    case '&': fputs("&amp;", h->out); return;
    case '<': fputs("&lt;", h->out); return;
    case '>': fputs("&gt;", h->out); return;
    case '"': fputs("&quot;", h->out); return;
    case '\'': fputs("&#39;", h->out); return;
    default: break;
    }
    if (c < 0x80) {
        fputc((int)c, h->out);
        return;
    }
    if (c < 0x800) {
        fputc((int)(0xC0 | c >> 6), h->out);
    } else if (c < 0x10000) {
        fputc((int)(0xE0 | c >> 12), h->out);
        fputc((int)(0x80 | (c >> 6 & 0x3F)), h->out);
    } else {
        fputc((int)(0xF0 | c >> 18), h->out);
        fputc((int)(0x80 | (c >> 12 & 0x3F)), h->out);
        fputc((int)(0x80 | (c >> 6 & 0x3F)), h->out);
    }
    fputc((int)(0x80 | (c & 0x3F)), h->out);
}

void html_text(html *h, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at)
        put_character(h, next_character(&at));
}

/* Combining marks take none; what stands from Hangul on takes about two. */
static int columns_of(uint32_t c)
{
    return c >= 0x300 && c < 0x370 ? 0 : c >= 0x1100 && c != REPLACEMENT ? 2 : 1;
}

int html_columns(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    int columns = 0;
    while (*at)
        columns += columns_of(next_character(&at));
    return columns;
}

void html_cut(html *h, const char *text, int columns)
{
    const unsigned char *at = (const unsigned char *)text;
    int used = 0;
    if (html_columns(text) <= columns) {
        html_text(h, text);
        return;
    }
    while (*at) {
        const uint32_t c = next_character(&at);
        used += columns_of(c);
        if (used >= columns)
            break;
        put_character(h, c);
    }
    fputs("…", h->out);
}

void html_element(html *h, const char *tag, const char *text)
{
    html_put(h, "<%s>", tag);
    html_text(h, text);
    html_put(h, "</%s>", tag);
}

void html_count(html *h, double value)
{
    char digits[32];
    int n;
    if (isnan(value))
        return;
    n = snprintf(digits, sizeof digits, "%.0f", value);
    for (int i = 0; i < n; i++)
        html_put(h, "%s%c", i && (n - i) % 3 == 0 && digits[i - 1] != '-' ? "," : "", digits[i]);
}

void html_model(html *h, const char *id)
{
    html_put(h, "<span title=\"");
    html_text(h, id);
    html_put(h, "\">");
    html_cut(h, id, 20);
    html_put(h, "</span>");
}
