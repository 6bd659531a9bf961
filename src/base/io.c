/* io.c: whole files: maps, folders walked; and the clock. */
#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"

wlm_status wlmi_map_open(wlmi_map *map, const char *path, wlm_error *error)
{
    static const uint8_t nothing[1];
    struct stat st;
    void *data = MAP_FAILED;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *map = (wlmi_map){nothing, 0};
    if (fd < 0)
        return wlmi_fail(error, WLM_ERR_IO, path, WLM_NO_OFFSET, "cannot open: %s", strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return wlmi_fail(error, WLM_ERR_IO, path, WLM_NO_OFFSET, "not a regular file");
    }
    if (st.st_size > 0)
        data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (st.st_size == 0)
        return WLM_OK;
    if (data == MAP_FAILED)
        return wlmi_fail(error, WLM_ERR_IO, path, WLM_NO_OFFSET, "cannot map: %s", strerror(errno));
    *map = (wlmi_map){data, (size_t)st.st_size};
    return WLM_OK;
}

void wlmi_map_close(wlmi_map *map)
{
    if (map->size)
        munmap((void *)(uintptr_t)map->data, map->size);
    *map = (wlmi_map){NULL, 0};
}

typedef struct names {
    char **name;
    size_t count, capacity;
} names;

static void drop_names(names *n)
{
    for (size_t i = 0; i < n->count; i++)
        wlmi_free(n->name[i]);
    wlmi_free(n->name);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static wlm_status list_folder(const char *path, names *n, wlm_error *error)
{
    size_t base = strlen(path);
    struct dirent *entry;
    DIR *folder = opendir(path);
    if (!folder)
        return wlmi_fail(error, WLM_ERR_IO, path, WLM_NO_OFFSET, "cannot open: %s", strerror(errno));
    while (base > 1 && path[base - 1] == '/')
        base--;
    while ((entry = readdir(folder))) {
        size_t size = base + strlen(entry->d_name) + 2;
        char *inner;
        if (entry->d_name[0] == '.')
            continue;
        inner = wlmi_alloc(size);
        if (!inner || !wlmi_grow(&n->name, &n->capacity, n->count + 1, sizeof *n->name)) {
            wlmi_free(inner);
            closedir(folder);
            return WLMI_NO_MEMORY(error);
        }
        snprintf(inner, size, "%.*s/%s", (int)base, path, entry->d_name);
        n->name[n->count++] = inner;
    }
    closedir(folder);
    if (n->count)
        qsort(n->name, n->count, sizeof *n->name, by_bytes);
    return WLM_OK;
}

typedef wlm_status each_fn(void *user, const char *path, wlm_error *error);

static wlm_status walk_folder(const char *path, each_fn *each, void *user, wlm_error *error)
{
    names n = {NULL, 0, 0};
    wlm_status status = list_folder(path, &n, error);
    for (size_t i = 0; i < n.count && status == WLM_OK; i++) {
        struct stat st, target;
        if (lstat(n.name[i], &st) != 0)
            status = wlmi_fail(error, WLM_ERR_IO, n.name[i], WLM_NO_OFFSET, "cannot stat: %s", strerror(errno));
        else if (S_ISDIR(st.st_mode))
            status = walk_folder(n.name[i], each, user, error);
        else if (S_ISREG(st.st_mode) || /* a link to a folder could lead round in circles */
                 (S_ISLNK(st.st_mode) && stat(n.name[i], &target) == 0 && S_ISREG(target.st_mode)))
            status = each(user, n.name[i], error);
    }
    drop_names(&n);
    return status;
}

wlm_status wlmi_walk(const char *path, each_fn *each, void *user, wlm_error *error)
{
    struct stat st;
    if (strcmp(path, "-") && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return walk_folder(path, each, user, error);
    return each(user, path, error);
}

wlm_status wlm_walk(const char *path, each_fn *each, void *user, wlm_error *error)
{
    return wlmi_walk(path, each, user, error);
}

double wlmi_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double wlmi_processor_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

uint64_t wlmi_peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}
