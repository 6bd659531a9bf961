/* sources.c: which captures an import reads. */
#include "task/sources.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/io.h"

typedef struct walk {
    wlmi_sources *sources;
    const wlmi_labels *labels;
    const char *root, *csv; /* the path being walked; the CSV, resolved */
} walk;

static char *folder_name(const char *resolved)
{
    const char *end = strrchr(resolved, '/'), *from = end;
    char *name;
    if (!end || end == resolved)
        return wlmi_strdup("/");
    while (from > resolved && from[-1] != '/')
        from--;
    name = wlmi_strdup(from);
    if (name)
        name[end - from] = 0;
    return name;
}

static wlm_status add(wlmi_sources *s, const char *path, const char *name, const char *resolved, uint32_t label_file,
                      int found, wlm_error *error)
{
    wlmi_source *item;
    if (wlmi_strings_find(&s->seen, resolved) != WLMI_NO_STRING)
        return WLM_OK;
    if (wlmi_strings_add(&s->seen, resolved) == WLMI_NO_STRING ||
        !wlmi_grow(&s->item, &s->capacity, s->count + 1, sizeof *s->item))
        return WLMI_NO_MEMORY(error);
    item = &s->item[s->count++];
    item->path = wlmi_strdup(path);
    item->name = wlmi_strdup(name);
    item->folder = folder_name(resolved);
    item->label_file = label_file;
    item->found = found;
    return item->path && item->name && item->folder ? WLM_OK : WLMI_NO_MEMORY(error);
}

static wlm_status add_found(void *user, const char *path, wlm_error *error)
{
    walk *w = user;
    size_t root = strlen(w->root);
    int inside = !strncmp(path, w->root, root) && path[root];
    const char *name = inside ? path + root : strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    char *resolved = wlmi_resolve(".", path);
    uint32_t label_file = WLMI_NO_STRING;
    wlm_status status = WLM_OK;
    if (!resolved)
        return WLMI_NO_MEMORY(error);
    while (*name == '/')
        name++;
    if (w->labels)
        label_file = wlmi_strings_find(&w->labels->paths, resolved);
    if (label_file != WLMI_NO_STRING)
        name = w->labels->names.text[label_file];
    if (!w->csv || strcmp(resolved, w->csv))
        status = add(w->sources, path, name, resolved, label_file, inside, error);
    wlmi_free(resolved);
    return status;
}

/* Whether a file of the CSV is there. */
static int is_there(const wlmi_labels *labels, uint32_t file)
{
    struct stat st;
    return stat(labels->paths.text[file], &st) == 0 && !S_ISDIR(st.st_mode);
}

static wlm_status add_file_of_csv(wlmi_sources *s, const wlmi_labels *labels, uint32_t file, wlm_error *error)
{
    const char *path = labels->paths.text[file], *name = labels->names.text[file];
    if (!is_there(labels, file))
        return wlmi_fail(error, WLM_ERR_FORMAT, labels->csv.path, WLM_NO_OFFSET, "line %llu: no such capture: '%.300s'",
                         (unsigned long long)wlmi_labels_first_line(labels, file), name);
    return add(s, path, name, path, file, 0, error);
}

static void count_missing(wlmi_sources *s, const wlmi_labels *labels)
{
    for (uint32_t file = 0; file < labels->paths.count; file++)
        if (!is_there(labels, file) && s->missing++ == 0)
            snprintf(s->missing_first, sizeof s->missing_first, "line %llu: '%.200s'",
                     (unsigned long long)wlmi_labels_first_line(labels, file), labels->names.text[file]);
}

wlm_status wlmi_sources_gather(wlmi_sources *sources, const char *const *paths, size_t count,
                               const wlmi_labels *labels, wlm_error *error)
{
    wlm_status status = WLM_OK;
    char *csv = NULL;
    if (labels) {
        csv = wlmi_resolve(".", labels->csv.path);
        if (!csv)
            return WLMI_NO_MEMORY(error);
    }
    for (size_t i = 0; i < count && status == WLM_OK; i++) {
        walk w = {sources, labels, paths[i], csv};
        status = wlmi_walk(paths[i], add_found, &w, error);
    }
    if (count && labels)
        count_missing(sources, labels);
    for (uint32_t file = 0; !count && labels && file < labels->paths.count && status == WLM_OK; file++)
        status = add_file_of_csv(sources, labels, file, error);
    wlmi_free(csv);
    return status;
}

void wlmi_sources_free(wlmi_sources *s)
{
    for (size_t i = 0; i < s->count; i++) {
        wlmi_free(s->item[i].path);
        wlmi_free(s->item[i].name);
        wlmi_free(s->item[i].folder);
    }
    wlmi_free(s->item);
    wlmi_strings_free(&s->seen);
    memset(s, 0, sizeof *s);
}
