/* cmd_bench.c: wirelm bench WHAT: one small command for each thing whose speed can be measured. */
#include <jansson.h>

#include "cli.h"

static int print_result(wlm_status status, char *text, const wlm_error *error)
{
    json_t *value;
    end_progress();
    if (status == WLM_STOPPED) {
        fprintf(stderr, "wirelm: stopped; too few passes for a figure\n");
        return EXIT_FAILED;
    }
    if (status != WLM_OK)
        return report_error(error);
    value = json_loads(text, 0, NULL);
    wlm_text_free(text);
    return print_json(value);
}

static int run_tokens(const command *self, int argc, char **argv)
{
    wlm_bench_options options = wlm_bench_options_default();
    const char *in = NULL;
    char *text = NULL;
    wlm_error error;
    wlm_status status;
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
    return print_result(status, text, &error);
}

static int run_train(const command *self, int argc, char **argv)
{
    wlm_bench_model_options options = wlm_bench_model_options_default();
    list in = {NULL, 0};
    uint32_t threads = 0;
    char *text = NULL;
    wlm_error error;
    wlm_status status;
    const option table[] = {
        {0, "preset", OPTION_TEXT, "NAME", &options.preset, "(trafficgpt-tiny)", 0},
        {0, "codec", OPTION_TEXT, "NAME", &options.codec, "whose vocabulary (the default codec's)", 0},
        {'r', "read", OPTION_LIST, "IN", &in, "captures and folders to train on (tokens drawn from the seed)", 0},
        {0, "context", OPTION_U32, "N", &options.context, "tokens per segment (the preset's)", 0},
        {0, "tokens-per-batch", OPTION_U32, "N", &options.tokens_per_batch, "a step has as many segments as fit (2048)", 0},
        {0, "runs", OPTION_U32, "N", &options.runs, "timed steps, at least 5 (%default)", 0},
        {0, "threads", OPTION_U32, "N", &threads, "0: one per processor (%default)", 0},
        {0, "backend", OPTION_TEXT, "NAME", &options.backend, "cpu or ref (cpu)", 0},
        {0, "seed", OPTION_U64, "N", &options.seed, "of first values and tokens (%default)", 0},
        {0, "dump", OPTION_TEXT, "PREFIX", &options.dump, "write first values and tokens, for others to do the same", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    int exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    if (threads > 4096)
        return usage_error(self, "option '--threads' cannot be '%u'", threads);
    options.threads = (int)threads;
    options.paths = in.item;
    options.path_count = in.count;
    options.stop = install_stop();
    options.progress = show_progress;
    status = wlm_bench_train(&options, &text, &error);
    return print_result(status, text, &error);
}

static const command parts[] = {
    {"bench tokens", "packets and megabytes per second of every codec, encoding and decoding, on one core",
     "-r FILE [--codec NAME] [--runs N]", run_tokens},
    {"bench train", "tokens per second of whole training steps, and how near they come to oneDNN's products",
     "[--preset P] [--context N] [--tokens-per-batch N] [--threads N] [-r IN...]", run_train},
    {NULL, NULL, NULL, NULL},
};

static int run(const command *self, int argc, char **argv)
{
    return run_part(self, parts, argc, argv);
}

const command command_bench = {"bench", "measures speed on this machine", "WHAT [options]", run};
