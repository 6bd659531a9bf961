/* sources.c: which captures an import reads. */
#include "task/sources.h"

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

/* A file of the CSV that must be there. */
static wlm_status check_line(const wlmi_labels *labels, uint32_t file, wlm_error *error)
{
    struct stat st;
    unsigned long long line;
    if (stat(labels->paths.text[file], &st) == 0 && !S_ISDIR(st.st_mode))
        return WLM_OK;
    line = (unsigned long long)wlmi_labels_first_line(labels, file);
    return wlmi_fail(error, WLM_ERR_FORMAT, labels->csv.path, WLM_NO_OFFSET, "line %llu: no such capture: '%.300s'",
                     line, labels->names.text[file]);
}

static int is_under(const char *path, const char *root)
{
    size_t n = strlen(root);
    return !strncmp(path, root, n) && (path[n] == '/' || !path[n] || !strcmp(root, "/"));
}

static wlm_status gather_path(wlmi_sources *sources, const char *path, const wlmi_labels *labels, const char *csv,
                              wlm_error *error)
{
    walk w = {sources, labels, path, csv};
    wlm_status status = WLM_OK;
    char *root = wlmi_resolve(".", path);
    if (!root)
        return WLMI_NO_MEMORY(error);
    for (uint32_t file = 0; labels && file < labels->paths.count && status == WLM_OK; file++)
        if (is_under(labels->paths.text[file], root))
            status = check_line(labels, file, error);
    wlmi_free(root);
    return status == WLM_OK ? wlmi_walk(path, add_found, &w, error) : status;
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
    for (size_t i = 0; i < count && status == WLM_OK; i++)
        status = gather_path(sources, paths[i], labels, csv, error);
    for (uint32_t file = 0; !count && labels && file < labels->paths.count && status == WLM_OK; file++) {
        const char *path = labels->paths.text[file];
        status = check_line(labels, file, error);
        if (status == WLM_OK)
            status = add(sources, path, labels->names.text[file], path, file, 0, error);
    }
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
