/* cmd_generate.c: wirelm generate. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

typedef struct mix {
    char *text; /* cut into labels */
    wlm_label_count *label;
    size_t count;
} mix;

/* "redis=5,http=2" into labels with counts; 0 where it is something else. Labels may hold '=', but no commas. */
static int parse_labels(const char *text, mix *m)
{
    char *at, *piece;
    m->text = at = strdup(text);
    m->label = calloc(strlen(text) + 1, sizeof *m->label);
    for (m->count = 0; at && m->label && (piece = strsep(&at, ",")); m->count++) {
        char *sign = strrchr(piece, '='), *end = NULL;
        if (!sign || sign == piece || sign[1] < '0' || sign[1] > '9')
            return 0;
        *sign = 0;
        m->label[m->count] = (wlm_label_count){piece, strtoull(sign + 1, &end, 10)};
        if (*end || !m->label[m->count].flows)
            return 0;
    }
    return m->count > 0;
}

static void free_labels(mix *m)
{
    free(m->text);
    free(m->label);
}

static int run(const command *self, int argc, char **argv)
{
    wlm_generate_options options = wlm_generate_options_default();
    wlm_generate_report report;
    wlm_model *model = NULL;
    wlm_error error;
    wlm_status status;
    const char *model_path = NULL, *labels = NULL;
    mix mixed = {NULL, NULL, 0};
    list like = {NULL, 0};
    uint32_t threads = 0;
    int int8 = 0, complete = 0, exit_status;
    const option table[] = {
        ROW_MODEL(&model_path),
        {'w', "write", OPTION_TEXT, "OUT", &options.out, "capture to write: .pcap or .pcapng, also .gz and .zst", 0},
        {0, "per-flow", OPTION_TEXT, "DIR", &options.per_flow, "folder for one file per flow, below its label", 0},
        {0, "truth", OPTION_TEXT, "CSV", &options.truth, "write what each flow is, as import --labels reads it", 0},
        {0, "merge", OPTION_TEXT, "FILE", &options.merge, "capture to mix the flows into, all over its time", 0},
        {0, "task", OPTION_TEXT, "T", &options.task, "task of the labels (the model's first)", 0},
        {0, "label", OPTION_TEXT, "L", &options.label, "what the flows should be (anything)", 0},
        {0, "labels", OPTION_TEXT, "L=N,L=N", &labels, "or so many flows of each label, mixed", 0},
        ROW_CODEC(&options.codec),
        {0, "unit", OPTION_UNIT, "UNIT", &options.unit, "flow or capture: unit that the model must have (the model's)", 0},
        {0, "payload", OPTION_PAYLOAD, "N", &options.payload, "limit that the model must have (the model's)", 0},
        {0, "flows", OPTION_U64, "N", &options.flows, "how many (10, or as the labels, or rate and duration say)", 0},
        {0, "rate", OPTION_REAL, "N", &options.rate, "flows per second, on average (20)", 0},
        {0, "duration", OPTION_SECONDS, "TIME", &options.duration_s, "in which flows begin (as long as they take)", 0},
        {0, "seed", OPTION_U64, "S", &options.seed, "the same seed gives the same file (%default)", 0},
        {0, "temperature", OPTION_REAL, "X", &options.temperature, "0: always the most likely token (%default)", 0},
        {0, "top-k", OPTION_U32, "N", &options.top_k, "only the N most likely tokens (0: off)", 0},
        {0, "top-p", OPTION_REAL, "X", &options.top_p, "only the tokens that together reach X (%default)", 0},
        {0, "max-tokens", OPTION_U32, "N", &options.max_tokens, "per flow (0: the model's context)", 0},
        {0, "complete", OPTION_FLAG, NULL, &complete, "no flows that begin or break off in the middle (so it is)", 0},
        {0, "allow-cut", OPTION_FLAG, NULL, &options.allow_cut, "also flows that begin or break off in the middle", 0},
        {0, "random-payload", OPTION_FLAG, NULL, &options.random_payload, "chance for payload that the model never saw", 0},
        {0, "like", OPTION_LIST, "PATH...", &like,
         "what the model was trained on, imported folders or captures: write what comes closest to it", 0},
        {0, "candidates", OPTION_U32, "N", &options.candidates, "with --like: flows to choose each from (4)", 0},
        {0, "prefix", OPTION_TEXT, "FILE", &options.prefix, "capture whose first flow begins every flow", 0},
        {0, "net", OPTION_TEXT, "CIDR", &options.net, "network of all addresses (documentation ranges)", 0},
        {0, "start", OPTION_TIME, "TIME", &options.start_ns, "time of the beginning (%default; with --merge its own)", 0},
        ROW_INT8(&int8),
        ROW_THREADS(&threads),
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    if (complete && options.allow_cut)
        return usage_error(self, "--complete and --allow-cut exclude each other");
    if (labels && !parse_labels(labels, &mixed)) {
        free_labels(&mixed);
        return usage_error(self, "option '--labels' cannot be '%s': it takes LABEL=N,LABEL=N", labels);
    }
    options.labels = mixed.label;
    options.label_count = mixed.count;
    options.like = like.item;
    options.like_count = like.count;
    options.stop = install_stop();
    options.progress = show_progress;
    status = open_writer(&model, model_path, threads, int8, &error);
    if (status == WLM_OK)
        status = wlm_generate(model, &options, &report, &error);
    wlm_model_free(model);
    free_labels(&mixed);
    if (status != WLM_OK && status != WLM_STOPPED)
        return report_error(&error);
    end_progress();
    if (report.note[0])
        fprintf(stderr, "wirelm: %s\n", report.note);
    if (status == WLM_STOPPED)
        fprintf(stderr, "wirelm: stopped after %llu flows\n", (unsigned long long)report.flows);
    exit_status = print_json(json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:s}", "flows", (json_int_t)report.flows, "packets",
        (json_int_t)report.packets, "tokens", (json_int_t)report.tokens, "candidates",
        (json_int_t)report.candidates, "flows_cut", (json_int_t)report.flows_cut,
        "flows_resampled", (json_int_t)report.flows_resampled, "checksums_mended",
        (json_int_t)report.checksums_mended, "lengths_mended", (json_int_t)report.lengths_mended,
        "reencoded_differently", (json_int_t)report.reencoded_differently, "seconds", report.seconds, "tokens_per_s",
        report.seconds > 0 ? (double)report.tokens / report.seconds : 0, "note", report.note));
    return status == WLM_STOPPED ? EXIT_FAILED : exit_status;
}

const command command_generate = {"generate", "writes a capture of new flows",
                                  "[-m MODEL] [--label L | --labels L=N,...] [--flows N] [-w OUT | --per-flow DIR] [options]", run};
