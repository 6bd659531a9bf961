/* replay.c: runs a fuzz target over files and folders, without libFuzzer. Exit 1 where a path cannot be read. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path, long size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc((size_t)size + 1);
    int ok = file && data && fread(data, 1, (size_t)size, file) == (size_t)size;
    if (ok)
        LLVMFuzzerTestOneInput(data, (size_t)size);
    else
        fprintf(stderr, "cannot read %s\n", path);
    free(data);
    if (file)
        fclose(file);
    return ok;
}

static int replay(const char *path, int *count)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        fprintf(stderr, "cannot read %s\n", path);
        return 0;
    }
    if (!S_ISDIR(st.st_mode)) {
        ++*count;
        return replay_file(path, (long)st.st_size);
    }
    struct dirent **entry;
    int n = scandir(path, &entry, NULL, alphasort), ok = n >= 0;
    for (int i = 0; i < n; i++) {
        char inner[4096];
        snprintf(inner, sizeof inner, "%s/%s", path, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.')
            ok &= replay(inner, count);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    return ok;
}

int main(int argc, char **argv)
{
    int ok = argc > 1, count = 0;
    for (int i = 1; i < argc; i++)
        ok &= replay(argv[i], &count);
    printf("%d inputs replayed\n", count);
    return ok && count > 0 ? 0 : 1;
}
