/* csv.c: comma-separated values, unquoted in place. */
#include "task/csv.h"

#include <string.h>

#include "base/alloc.h"
#include "base/io.h"

static wlm_status read_all(wlmi_csv *csv, wlmi_input *input, wlm_error *error)
{
    size_t capacity = 0, got;
    do {
        if (!wlmi_grow(&csv->text, &capacity, csv->size + 65537, 1)) /* one more for the NUL */
            return WLMI_NO_MEMORY(error);
        WLMI_TRY(wlmi_input_read(input, csv->text + csv->size, capacity - csv->size - 1, &got, error));
        csv->size += got;
    } while (got);
    csv->text[csv->size] = 0;
    if (strlen(csv->text) != csv->size)
        return wlmi_fail(error, WLM_ERR_FORMAT, csv->path, strlen(csv->text), "a NUL byte: not a CSV file");
    return WLM_OK;
}

wlm_status wlmi_csv_open(wlmi_csv *csv, const char *path, wlm_error *error)
{
    wlmi_input *input = NULL;
    wlm_status status;
    memset(csv, 0, sizeof *csv);
    csv->next_line = 1;
    csv->path = wlmi_strdup(path);
    if (!csv->path)
        return WLMI_NO_MEMORY(error);
    status = wlmi_input_open(&input, path, error);
    if (status == WLM_OK)
        status = read_all(csv, input, error);
    wlmi_input_close(input);
    if (status != WLM_OK)
        wlmi_csv_close(csv);
    else if (!strncmp(csv->text, "\xef\xbb\xbf", 3)) /* a byte order mark, as spreadsheets write it */
        csv->at = 3;
    return status;
}

/* Takes one field. *more: a comma follows it. */
static wlm_status take_field(wlmi_csv *csv, int *more, wlm_error *error)
{
    char *from = csv->text + csv->at, *to = from, *field = from;
    if (*from == '"') {
        for (from++; *from != '"' || from[1] == '"'; *to++ = *from++) {
            if (!*from)
                return wlmi_fail(error, WLM_ERR_FORMAT, csv->path, WLM_NO_OFFSET,
                                 "line %llu: a quote is never closed", (unsigned long long)csv->line);
            if (*from == '"')
                from++;
            csv->next_line += *from == '\n';
        }
        from++;
        if (*from && *from != ',' && *from != '\n' && *from != '\r')
            return wlmi_fail(error, WLM_ERR_FORMAT, csv->path, WLM_NO_OFFSET,
                             "line %llu: text behind a closing quote", (unsigned long long)csv->line);
    } else {
        from += strcspn(from, ",\r\n");
        to = from;
    }
    *more = *from == ',';
    if (*from == '\r')
        from++;
    if (*from == '\n')
        csv->next_line++;
    csv->at = (size_t)(from - csv->text) + (*from == ',' || *from == '\n');
    *to = 0;
    if (!wlmi_grow(&csv->field, &csv->capacity, csv->fields + 1, sizeof *csv->field))
        return WLMI_NO_MEMORY(error);
    csv->field[csv->fields++] = field;
    return WLM_OK;
}

wlm_status wlmi_csv_row(wlmi_csv *csv, wlm_error *error)
{
    int more;
    do {
        if (csv->at >= csv->size)
            return WLM_END;
        csv->fields = 0;
        csv->line = csv->next_line;
        do
            WLMI_TRY(take_field(csv, &more, error));
        while (more);
    } while (csv->fields == 1 && !csv->field[0][0]);
    return WLM_OK;
}

int wlmi_csv_column(const wlmi_csv *csv, const char *name)
{
    for (size_t i = 0; i < csv->fields; i++)
        if (!strcmp(csv->field[i], name))
            return (int)i;
    return -1;
}

void wlmi_csv_close(wlmi_csv *csv)
{
    wlmi_free(csv->text);
    wlmi_free(csv->field);
    wlmi_free(csv->path);
    memset(csv, 0, sizeof *csv);
}
