/* support.c: what tests share. */
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[256];

static void remove_folder(void)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "could not remove %s\n", folder);
}

const char *test_folder(void)
{
    if (!folder[0]) {
        const char *base = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%s/wirelm-test-XXXXXX", base ? base : "/tmp");
        if (!mkdtemp(folder))
            abort();
        atexit(remove_folder);
    }
    return folder;
}

const char *test_path(const char *name)
{
    static char ring[8][512];
    static int next;
    char *path = ring[next++ % 8];
    snprintf(path, sizeof ring[0], "%s/%s", test_folder(), name);
    return path;
}

const char *test_root(void)
{
    const char *root = getenv("WIRELM_ROOT");
    return root ? root : ".";
}

const char *test_data(void)
{
    static char path[512];
    const char *given = getenv("WIRELM_DATA");
    struct stat st;
    if (given)
        snprintf(path, sizeof path, "%s", given);
    else
        snprintf(path, sizeof path, "%s/../shared/data", test_root());
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? path : NULL;
}

void test_write(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

uint8_t *test_read(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t capacity = 0, n;
    *size = 0;
    if (!file)
        fail_msg("cannot open %s", path);
    do {
        capacity = capacity ? 2 * capacity : 65536;
        data = realloc(data, capacity);
        assert_non_null(data);
        n = fread(data + *size, 1, capacity - *size, file);
        *size += n;
    } while (*size == capacity);
    fclose(file);
    return data;
}
