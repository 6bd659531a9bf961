/* cmd_bench.c: wirelm bench WHAT: one small command for each thing whose speed can be measured. */
#include <jansson.h>

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
    {NULL, NULL, NULL, NULL},
};

static int run(const command *self, int argc, char **argv)
{
    return run_part(self, parts, argc, argv);
}

const command command_bench = {"bench", "measures speed on this machine", "tokens [options]", run};
