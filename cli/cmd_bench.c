/* cmd_bench.c: wirelm bench WHAT: one small command for each thing whose speed can be measured. */
#include <jansson.h>

#include "cli.h"
#include "wirelm_bench.h"

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

/* ---------------------------------------------------------------- models */

typedef wlm_status model_bench(const wlm_bench_model_options *options, char **json, wlm_error *error);

/* After each pass: one line on stderr, then waits for one on standard input, so that two programs can take turns. */
static void wait_for_turn(void *user, const wlm_progress *p)
{
    char line[64];
    (void)user;
    fprintf(stderr, "%llu/%llu\n", (unsigned long long)p->done, (unsigned long long)p->total);
    if (p->done < p->total && !fgets(line, sizeof line, stdin))
        return;
}

enum { COMMON = 9, OWN_MOST = 7 };

/* own: the command's further options, ending in a NULL name. */
static int run_model(const command *self, int argc, char **argv, wlm_bench_model_options *options, const option *own,
                     model_bench *measure)
{
    list in = {NULL, 0};
    uint32_t threads = 0;
    int paced = 0, n = 0, exit_status;
    char *text = NULL;
    wlm_error error;
    wlm_status status;
    const option common[COMMON] = {
        {0, "codec", OPTION_TEXT, "NAME", &options->codec, "whose vocabulary (the default codec's)", 0},
        {'r', "read", OPTION_LIST, "IN", &in, "captures and folders whose tokens to take (drawn from the seed)", 0},
        {0, "tokens-per-batch", OPTION_U32, "N", &options->tokens_per_batch, "as many segments as fit (2048)", 0},
        {0, "runs", OPTION_U32, "N", &options->runs, "timed passes, at least 5 (%default)", 0},
        {0, "threads", OPTION_U32, "N", &threads, "0: one per processor (%default)", 0},
        {0, "backend", OPTION_TEXT, "NAME", &options->backend, "cpu or ref (cpu)", 0},
        {0, "seed", OPTION_U64, "N", &options->seed, "of first values and tokens (%default)", 0},
        {0, "paced", OPTION_FLAG, NULL, &paced, "wait for a line on standard input after each pass", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    option table[COMMON + OWN_MOST];
    for (; own->name; own++)
        table[n++] = *own;
    for (int i = 0; i < COMMON; i++)
        table[n++] = common[i];
    exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    if (threads > 4096)
        return usage_error(self, "option '--threads' cannot be '%u'", threads);
    options->threads = (int)threads;
    options->paths = in.item;
    options->path_count = in.count;
    options->stop = install_stop();
    options->progress = paced ? wait_for_turn : show_progress;
    status = measure(options, &text, &error);
    return print_result(status, text, &error);
}

static int run_train(const command *self, int argc, char **argv)
{
    wlm_bench_model_options options = wlm_bench_model_options_default();
    const option own[] = {
        {0, "preset", OPTION_TEXT, "NAME", &options.preset, "(wire-tiny)", 0},
        {0, "context", OPTION_U32, "N", &options.context, "tokens per segment (the preset's)", 0},
        {0, "recompute", OPTION_FLAG, NULL, &options.recompute, "train as with train --recompute", 0},
        {0, "dump", OPTION_TEXT, "PREFIX", &options.dump, "write first values and tokens, for others to do the same", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    return run_model(self, argc, argv, &options, own, wlm_bench_train);
}

static int run_threads(const command *self, int argc, char **argv)
{
    wlm_bench_model_options options = wlm_bench_model_options_default();
    const option own[] = {
        {0, "preset", OPTION_TEXT, "NAME", &options.preset, "(wire-tiny)", 0},
        {0, "context", OPTION_U32, "N", &options.context, "tokens per segment (the preset's)", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    return run_model(self, argc, argv, &options, own, wlm_bench_threads);
}

static int run_length(const command *self, int argc, char **argv)
{
    wlm_bench_model_options options = wlm_bench_model_options_default();
    const option own[] = {
        {0, "preset", OPTION_TEXT, "NAME", &options.preset, "(wire-tiny)", 0},
        {0, "context", OPTION_U32, "N", &options.context, "the longer sequences (65536)", 0},
        {0, "short", OPTION_U32, "N", &options.short_context, "the shorter ones (2048)", 0},
        {0, "recompute", OPTION_FLAG, NULL, &options.recompute, "train as with train --recompute", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    return run_model(self, argc, argv, &options, own, wlm_bench_length);
}

static int run_stream(const command *self, int argc, char **argv)
{
    wlm_bench_model_options options = wlm_bench_model_options_default();
    const option own[] = {
        {0, "preset", OPTION_TEXT, "NAME", &options.preset, "(wire-tiny)", 0},
        {0, "context", OPTION_U32, "N", &options.context, "tokens that each stream holds at first (256)", 0},
        {0, "streams", OPTION_U32, "N", &options.streams, "stepped together (256)", 0},
        {0, "chunk", OPTION_U32, "N", &options.chunk, "tokens that each takes at once, as a packet's (1)", 0},
        {0, "ask", OPTION_FLAG, NULL, &options.ask, "read labels by a peek behind each chunk, as classify does", 0},
        {0, "dump", OPTION_TEXT, "PREFIX", &options.dump, "write first values and tokens, for others to do the same", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    return run_model(self, argc, argv, &options, own, wlm_bench_stream);
}

static int run_drift(const command *self, int argc, char **argv)
{
    wlm_bench_model_options options = wlm_bench_model_options_default();
    const option own[] = {
        {'m', "model", OPTION_TEXT, "MODEL", &options.model, "checkpoint (a new model)", 0},
        {0, "preset", OPTION_TEXT, "NAME", &options.preset, "of a new model (wire-tiny)", 0},
        {0, "steps", OPTION_U32, "N", &options.steps, "that a new model is trained first (none)", 0},
        {0, "tokens", OPTION_U32, "N", &options.tokens, "that both streams take in (65536)", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    return run_model(self, argc, argv, &options, own, wlm_bench_drift);
}

static int run_quantised(const command *self, int argc, char **argv)
{
    wlm_bench_model_options options = wlm_bench_model_options_default();
    const option own[] = {
        {'m', "model", OPTION_TEXT, "MODEL", &options.model, "checkpoint, with -d (a new model, trained a little)", 0},
        {'d', "data", OPTION_TEXT, "DIR", &options.data, "imported folder: its test part is what -m is measured on", 0},
        {0, "preset", OPTION_TEXT, "NAME", &options.preset, "of a new model (wire-tiny)", 0},
        {0, "context", OPTION_U32, "N", &options.context, "tokens per segment (the preset's)", 0},
        {0, "steps", OPTION_U32, "N", &options.steps, "that a new model is trained (64)", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    return run_model(self, argc, argv, &options, own, wlm_bench_quantised);
}

static int run_classify(const command *self, int argc, char **argv)
{
    wlm_bench_classify_options options = wlm_bench_classify_options_default();
    uint32_t threads = 0;
    char *text = NULL;
    wlm_error error;
    wlm_status status;
    const option table[] = {
        {'m', "model", OPTION_TEXT, "MODEL", &options.model, "checkpoint (a new model, random weights)", 0},
        {0, "preset", OPTION_TEXT, "NAME", &options.preset, "of a new model (wire-tiny)", 0},
        {'r', "read", OPTION_TEXT, "FILE", &options.path, "capture whose flows are used (flows drawn from the seed)", 0},
        {0, "packets", OPTION_U32, "N", &options.packets, "packets of a flow (%default)", 0},
        {0, "payload", OPTION_U32, "N", &options.payload, "bytes of payload of each packet (%default)", 0},
        {0, "open-flows", OPTION_U32, "N", &options.open_flows, "flows whose memory is measured (%default)", 0},
        {0, "seconds", OPTION_REAL, "S", &options.seconds, "of packets in real time (%default)", 0},
        {0, "runs", OPTION_U32, "N", &options.runs, "timed passes, at least 5 (%default)", 0},
        {0, "threads", OPTION_U32, "N", &threads, "0: one per processor (%default)", 0},
        {0, "seed", OPTION_U64, "N", &options.seed, "of what is drawn (%default)", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    int exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    if (threads > 4096)
        return usage_error(self, "option '--threads' cannot be '%u'", threads);
    options.threads = (int)threads;
    options.stop = install_stop();
    options.progress = show_progress;
    status = wlm_bench_classify(&options, &text, &error);
    return print_result(status, text, &error);
}

static const command parts[] = {
    {"bench tokens", "packets and megabytes per second of every codec, encoding and decoding, on one core",
     "-r FILE [--codec NAME] [--runs N]", run_tokens},
    {"bench train", "tokens per second of whole training steps, and how near they come to oneDNN's products",
     "[--preset P] [--context N] [--tokens-per-batch N] [--recompute] [--threads N] [-r IN...]", run_train},
    {"bench threads", "what more threads bring to a training step, against what they bring to oneDNN's products",
     "[--preset P] [--context N] [--tokens-per-batch N] [--threads N]", run_threads},
    {"bench length", "what a token costs in a long sequence against a short one, in training and in use",
     "[--preset P] [--context N] [--short N] [--recompute]", run_length},
    {"bench stream", "tokens per second of many flows stepped together", "[--preset P] [--streams N] [--context N] "
     "[--chunk N] [--ask]", run_stream},
    {"bench drift", "what remembering keys and values in bf16 does to a long stream",
     "[-m MODEL | --preset P] [--tokens N] [-r IN...]", run_drift},
    {"bench quantised", "what matrix products in int8 cost in bits per token and save in time",
     "[-m MODEL -d DIR | --preset P] [--steps N] [--threads N]", run_quantised},
    {"bench ablate", "kinds of heads, codecs and role embeddings compared in bits per captured byte",
     "-d DIR... [-o FILE] [options]", run_bench_ablate},
    {"bench classify", "packets in, labels out: flows per second, time to a label, memory of open flows",
     "[-m MODEL | --preset P] [-r FILE] [--packets N] [--payload N] [--threads N]", run_classify},
    {NULL, NULL, NULL, NULL},
};

static int run(const command *self, int argc, char **argv)
{
    return run_part(self, parts, argc, argv);
}

const command command_bench = {"bench", "measures speed on this machine", "WHAT [options]", run};
