/* html_page.c: a report printed, and written as a page: whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "html.h"

/* ---------------------------------------------------------------- the command line */

static int is_plain(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
    return *word && word[strspn(word, plain)] == 0;
}

static void put_word(FILE *out, const char *word)
{
    if (is_plain(word)) {
        fputs(word, out);
        return;
    }
    fputc('\'', out);
    for (; *word; word++)
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(*word, out);
    fputc('\'', out);
}

static char *command_line; /* lives as long as the program, as its words do */

void html_remember_command(const command *self, int argc, char **argv)
{
    size_t size;
    FILE *out = open_memstream(&command_line, &size);
    if (!out)
        return;
    fprintf(out, "wirelm %s", self->name);
    for (int i = 1; i < argc; i++) {
        fputc(' ', out);
        put_word(out, argv[i]);
    }
    fclose(out);
}

/* ---------------------------------------------------------------- the file */

/* Renaming over a symbolic link would replace it, over a device or pipe too: the first is followed, the others are
 * written in place. */
typedef struct target {
    char path[PATH_MAX + 32];
    char part[PATH_MAX + 64]; /* empty: written in place */
} target;

static int fail(const char *path, const char *what)
{
    end_progress();
    fprintf(stderr, "wirelm: %s: cannot %s: %s\n", path, what, strerror(errno));
    return EXIT_FAILED;
}

static int find_target(target *t, const char *path)
{
    char real[PATH_MAX];
    struct stat st;
    if (strlen(path) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return 0;
    }
    snprintf(t->path, sizeof t->path, "%s", realpath(path, real) ? real : path);
    snprintf(t->part, sizeof t->part, "%s.part-%ld", t->path, (long)getpid());
    if (stat(t->path, &st) == 0) {
        if (S_ISDIR(st.st_mode)) {
            errno = EISDIR;
            return 0;
        }
        if (!S_ISREG(st.st_mode))
            t->part[0] = 0;
    }
    return 1;
}

int html_possible(const char *path)
{
    target t;
    int fd;
    if (!path)
        return 1;
    if (!find_target(&t, path))
        return fail(path, "write"), 0;
    if (!t.part[0])
        return access(t.path, W_OK) == 0 ? 1 : (fail(path, "write"), 0);
    fd = open(t.part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail(path, "create"), 0;
    close(fd);
    unlink(t.part);
    return 1;
}

static int write_text(const char *path, const char *text, size_t size)
{
    target t;
    int fd;
    if (!find_target(&t, path))
        return fail(path, "write");
    fd = t.part[0] ? open(t.part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666) : open(t.path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(path, "create");
    while (size) {
        ssize_t n = write(fd, text, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        text += n;
        size -= (size_t)n;
    }
    if (size == 0 && t.part[0] && (fsync(fd) != 0 || rename(t.part, t.path) != 0))
        size = 1;
    if (size) {
        int cause = errno;
        if (t.part[0])
            unlink(t.part);
        errno = cause;
        fail(path, "write");
    }
    close(fd);
    return size ? EXIT_FAILED : EXIT_DONE;
}

/* ---------------------------------------------------------------- the page */

static void put_page(html *h, const html_kind *kind, const json_t *report)
{
    char *whole = json_dumps(report, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    h->no_memory |= !whole || !command_line;
    html_put(h, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
                "<meta name=\"color-scheme\" content=\"light dark\"/>\n<title>");
    kind->title(h, report);
    html_put(h, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", html_style);
    html_put(h, "<p class=\"over\">wirelm %s</p>\n<h1>", wlm_version());
    kind->title(h, report);
    html_put(h, "</h1>\n<pre class=\"command\">");
    html_text(h, command_line ? command_line : "");
    html_put(h, "</pre>\n");
    kind->body(h, report);
    html_put(h, "<details>\n<summary>The whole report as JSON</summary>\n<pre>");
    html_text(h, whole ? whole : "");
    html_put(h, "</pre>\n</details>\n</body>\n</html>\n");
    free(whole);
}

static int write_page(const char *path, const html_kind *kind, const json_t *report)
{
    char *text = NULL;
    size_t size = 0;
    int exit_status = EXIT_FAILED;
    html h = {open_memstream(&text, &size), 0};
    if (h.out) {
        put_page(&h, kind, report);
        h.no_memory |= ferror(h.out) != 0;
        h.no_memory |= fclose(h.out) != 0;
    }
    if (!h.out || h.no_memory)
        fprintf(stderr, "wirelm: out of memory\n");
    else
        exit_status = write_text(path, text, size);
    free(text);
    return exit_status;
}

int print_report(const char *path, const html_kind *kind, json_t *report)
{
    int exit_status = print_json(json_incref(report));
    if (report && path && write_page(path, kind, report) != EXIT_DONE)
        exit_status = EXIT_FAILED;
    json_decref(report);
    return exit_status;
}
