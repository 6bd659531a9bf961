/* files.c: the same for many files: found, worked on by several threads, told in their order. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static wlm_status no_memory(wlm_error *error)
{
    *error = (wlm_error){.status = WLM_ERR_MEMORY, .offset = WLM_NO_OFFSET, .cause = "out of memory"};
    return WLM_ERR_MEMORY;
}

/* ---------------------------------------------------------------- found */

typedef struct walk {
    file_list *found;
    const char *root;
} walk;

static size_t name_in(const char *path, const char *root)
{
    const size_t length = strlen(root);
    const char *slash = strrchr(path, '/');
    size_t at = !strncmp(path, root, length) && path[length] ? length : slash ? (size_t)(slash - path) : 0;
    while (path[at] == '/')
        at++;
    return at;
}

static wlm_status add_file(void *user, const char *path, wlm_error *error)
{
    const walk *w = user;
    file_list *f = w->found;
    if (f->count == f->capacity) {
        size_t capacity = f->capacity ? 2 * f->capacity : 64;
        found_file *larger = realloc(f->item, capacity * sizeof *larger);
        if (!larger)
            return no_memory(error);
        f->item = larger;
        f->capacity = capacity;
    }
    f->item[f->count] = (found_file){strdup(path), name_in(path, w->root)};
    if (!f->item[f->count].path)
        return no_memory(error);
    f->count++;
    return WLM_OK;
}

int find_files(file_list *found, const list *in)
{
    int failed = 0;
    for (size_t i = 0; i < in->count; i++) {
        walk w = {found, in->item[i]};
        wlm_error error;
        if (wlm_walk(in->item[i], add_file, &w, &error) != WLM_OK) {
            failed = 1;
            report_error(&error);
        }
    }
    return !failed;
}

void free_files(file_list *found)
{
    for (size_t i = 0; i < found->count; i++)
        free(found->item[i].path);
    free(found->item);
    *found = (file_list){NULL, 0, 0};
}

/* ---------------------------------------------------------------- worked on */

typedef struct run {
    const file_work *work;
    void **done;    /* [count] results that are not yet told */
    size_t count, told;
    int ended;
} run;

static void no_room(run *r)
{
    wlm_error error;
    no_memory(&error);
    report_error(&error);
    r->ended = 1;
}

/* Tells what is ready, in order. */
static void tell_ready(run *r)
{
    for (; r->told < r->count && r->done[r->told]; r->told++) {
        if (!r->ended)
            r->ended = !r->work->tell(r->work->user, r->told, r->done[r->told]);
        free(r->done[r->told]);
        r->done[r->told] = NULL;
    }
}

static void one_file(run *r, size_t i)
{
    void *result = calloc(1, r->work->result_size);
    if (result)
        r->work->work(r->work->user, i, result);
#pragma omp critical
    {
        r->done[i] = result;
        if (!result && !r->ended)
            no_room(r);
        tell_ready(r);
    }
}

int each_file(const file_work *work, size_t count, uint32_t threads)
{
    run r = {.work = work, .count = count, .done = calloc(count + 1, sizeof(void *))};
    if (!r.done) {
        no_room(&r);
        return 0;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads ? (int)threads : omp_get_max_threads())
    for (size_t i = 0; i < count; i++) {
        int ended;
#pragma omp critical
        ended = r.ended;
        if (!ended)
            one_file(&r, i);
    }
    for (size_t i = r.told; i < count; i++)
        free(r.done[i]);
    free(r.done);
    return !r.ended;
}
