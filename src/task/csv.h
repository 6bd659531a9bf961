/* csv.h: comma-separated values (RFC 4180): quoted fields, doubled quotes, line ends inside quotes, LF or CRLF. */
#ifndef WLMI_CSV_H
#define WLMI_CSV_H

#include "base/status.h"

typedef struct wlmi_csv {
    char *text; /* the whole file; fields point into it until wlmi_csv_close */
    size_t size, at;
    uint64_t line;     /* of the row at hand, from 1 */
    uint64_t next_line;
    char **field;
    size_t fields, capacity;
    char *path;
} wlmi_csv;

wlm_status wlmi_csv_open(wlmi_csv *csv, const char *path, wlm_error *error);
/* The next row that is not blank, or WLM_END. */
wlm_status wlmi_csv_row(wlmi_csv *csv, wlm_error *error);
/* Index of a column in the row at hand (the header), or -1. */
int wlmi_csv_column(const wlmi_csv *csv, const char *name);
void wlmi_csv_close(wlmi_csv *csv);

#endif
