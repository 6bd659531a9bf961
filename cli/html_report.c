/* html_report.c: looks up what stands in a report. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "html.h"

const json_t *html_at(const json_t *object, const char *path)
{
    while (object) {
        char key[64];
        const size_t length = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        object = json_object_get(object, key);
        if (!path[length])
            break;
        path += length + 1;
    }
    return json_is_null(object) ? NULL : object;
}

double html_real(const json_t *object, const char *path)
{
    const json_t *value = html_at(object, path);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

const char *html_string(const json_t *object, const char *path)
{
    const char *text = json_string_value(html_at(object, path));
    return text ? text : "";
}

typedef struct entry {
    const char *key;
    double value;
    size_t at;
} entry;

static int larger_first(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? 1 : -1;
    return x->at < y->at ? -1 : 1;
}

const char **html_keys_by(html *h, const json_t *object, const char *by, size_t *count)
{
    const size_t size = json_object_size(object);
    entry *entries = calloc(size + 1, sizeof *entries);
    const char **keys = calloc(size + 1, sizeof *keys), *key;
    json_t *value;
    *count = 0;
    if (entries && keys) {
        json_object_foreach((json_t *)(uintptr_t)object, key, value) {
            const double number = html_real(value, by);
            entries[*count] = (entry){key, isnan(number) ? -HUGE_VAL : number, *count};
            ++*count;
        }
        qsort(entries, *count, sizeof *entries, larger_first);
        for (size_t i = 0; i < *count; i++)
            keys[i] = entries[i].key;
    } else {
        h->no_memory = 1;
        free(keys);
        keys = NULL;
    }
    free(entries);
    return keys;
}
