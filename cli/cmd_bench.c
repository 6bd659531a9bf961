/* cmd_bench.c: wirelm bench WHAT: one small command for each thing whose speed can be measured. */
#include <jansson.h>
#include <string.h>

#include "cli.h"

static int run_tokens(const command *self, int argc, char **argv)
{
    wlm_bench_options options = wlm_bench_options_default();
    const char *in = NULL;
    char *text = NULL;
    wlm_error error;
    wlm_status status;
    json_t *value;
    const option table[] = {
        {'r', "read", OPTION_TEXT, "FILE", &in, "capture; its packets are in memory before a clock runs", 1},
        {0, "codec", OPTION_TEXT, "NAME", &options.codec, "this codec only (all)", 0},
        {0, "runs", OPTION_U32, "N", &options.runs, "timed passes, at least 5 (%default)", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    int exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    options.stop = install_stop();
    options.progress = show_progress;
    status = wlm_bench_tokens(in, &options, &text, &error);
    end_progress();
    if (status == WLM_STOPPED) {
        fprintf(stderr, "wirelm: stopped; too few passes for a figure\n");
        return EXIT_FAILED;
    }
    if (status != WLM_OK)
        return report_error(&error);
    value = json_loads(text, 0, NULL);
    wlm_text_free(text);
    return print_json(value);
}

static const command parts[] = {
    {"bench tokens", "packets and megabytes per second of every codec, encoding and decoding, on one core",
     "-r FILE [--codec NAME] [--runs N]", run_tokens},
};
enum { PARTS = sizeof parts / sizeof *parts };

/* "tokens" of "bench tokens". */
static const char *short_name(const command *part)
{
    return strchr(part->name, ' ') + 1;
}

static void help(const command *self)
{
    printf("wirelm %s: %s\n\nusage: wirelm %s %s\n\n", self->name, self->summary, self->name, self->synopsis);
    for (int i = 0; i < PARTS; i++)
        printf("  %-10s %s\n", short_name(&parts[i]), parts[i].summary);
    printf("\n'wirelm bench WHAT --help' tells more.\n");
}

static int run(const command *self, int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "--help") || !strcmp(what, "-h"))
        return help(self), EXIT_DONE;
    if (!strcmp(what, "--man") || !strcmp(what, "--words")) {
        for (int i = 0; i < PARTS; i++) {
            if (!strcmp(what, "--words"))
                printf("%s ", short_name(&parts[i]));
            parts[i].run(&parts[i], argc, argv);
        }
        return EXIT_DONE;
    }
    for (int i = 0; i < PARTS; i++)
        if (!strcmp(what, short_name(&parts[i])))
            return parts[i].run(&parts[i], argc - 1, argv + 1);
    return *what ? usage_error(self, "cannot measure '%s'", what) : usage_error(self, "measure what?");
}

const command command_bench = {"bench", "measures speed on this machine", "tokens [options]", run};
