/* report.c: errors, stopping, progress and JSON for all subcommands. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

int report_error(const wlm_error *error)
{
    end_progress();
    fprintf(stderr, "wirelm: ");
    if (error->file[0])
        fprintf(stderr, "%s: ", error->file);
    if (error->offset != WLM_NO_OFFSET)
        fprintf(stderr, "offset %llu: ", (unsigned long long)error->offset);
    fprintf(stderr, "%s\n", error->cause);
    return error->status == WLM_ERR_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
}

int usage_error(const command *self, const char *message, ...)
{
    va_list args;
    fprintf(stderr, "wirelm %s: ", self->name);
    va_start(args, message);
    vfprintf(stderr, message, args);
    va_end(args);
    fprintf(stderr, "\n'wirelm %s --help' tells what it takes\n", self->name);
    return EXIT_USAGE;
}

static wlm_stop stop;

/* Standard input counts as ended from here on, so that a read that waits for a quiet pipe comes back. */
static void on_signal(int signal_number)
{
    int kept = errno, nothing;
    if (stop)
        _exit(128 + signal_number);
    stop = 1;
    nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0) {
        dup2(nothing, STDIN_FILENO);
        close(nothing);
    }
    errno = kept;
}

wlm_stop *install_stop(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return &stop;
}

static int bar_open;

static void print_time(double seconds)
{
    int s = (int)(seconds + 0.5);
    if (s >= 3600)
        fprintf(stderr, "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
    else
        fprintf(stderr, "%d:%02d", s / 60, s % 60);
}

static void print_fields(const wlm_progress *p)
{
    if (p->total)
        fprintf(stderr, " %llu/%llu %s", (unsigned long long)p->done, (unsigned long long)p->total, p->unit);
    else
        fprintf(stderr, " %llu %s", (unsigned long long)p->done, p->unit);
    if (!isnan(p->loss))
        fprintf(stderr, "  loss %.3f", p->loss);
    if (p->loss_val > 0)
        fprintf(stderr, "  val %.3f", p->loss_val);
    if (p->tokens_per_s > 0)
        fprintf(stderr, "  %.0f tok/s", p->tokens_per_s);
    fprintf(stderr, "  ");
    print_time(p->elapsed_s);
    if (p->remaining_s >= 0) {
        fprintf(stderr, ", ");
        print_time(p->remaining_s);
        fprintf(stderr, " left");
    }
}

void show_progress(void *user, const wlm_progress *p)
{
    static double last_line;
    int terminal = isatty(2);
    double share = p->total ? (double)p->done / (double)p->total : 0;
    (void)user;
    if (p->note) {
        end_progress();
        fprintf(stderr, "%s\n", p->note);
        return;
    }
    if (!terminal) {
        int last = p->total && p->done >= p->total;
        if (last_line != 0 && p->elapsed_s >= last_line && p->elapsed_s < last_line + 5 && !last)
            return;
        last_line = p->elapsed_s > 0 ? p->elapsed_s : 1e-9;
        fprintf(stderr, "%s", p->what);
        print_fields(p);
        fprintf(stderr, "\n");
        return;
    }
    fprintf(stderr, "\r\033[K%s ", p->what);
    if (p->total) {
        int width = 24, full = (int)(share * width + 0.5);
        fprintf(stderr, "[");
        for (int i = 0; i < width; i++)
            fputc(i < full ? '#' : '.', stderr);
        fprintf(stderr, "]");
    }
    print_fields(p);
    fflush(stderr);
    bar_open = 1;
}

void end_progress(void)
{
    if (bar_open)
        fputc('\n', stderr);
    bar_open = 0;
}

int print_json(struct json_t *value)
{
    size_t flags = JSON_REAL_PRECISION(6) | (isatty(1) ? JSON_INDENT(2) : JSON_COMPACT);
    char *text = value ? json_dumps(value, flags | JSON_ENCODE_ANY) : NULL;
    json_decref(value);
    if (!text) {
        fprintf(stderr, "wirelm: out of memory\n");
        return EXIT_FAILED;
    }
    puts(text);
    free(text);
    return EXIT_DONE;
}
