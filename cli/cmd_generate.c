/* cmd_generate.c: wirelm generate. */
#include <jansson.h>

#include "cli.h"

static int run(const command *self, int argc, char **argv)
{
    wlm_generate_options options = wlm_generate_options_default();
    wlm_generate_report report;
    wlm_model *model = NULL;
    wlm_error error;
    wlm_status status;
    const char *model_path = NULL;
    uint32_t threads = 0;
    int int8 = 0, exit_status;
    const option table[] = {
        {'m', "model", OPTION_TEXT, "MODEL", &model_path, "checkpoint to use (the one that ships)", 0},
        {'w', "write", OPTION_TEXT, "OUT", &options.out, "capture to write: .pcap or .pcapng, also .gz and .zst", 1},
        {0, "task", OPTION_TEXT, "T", &options.task, "task of the label", 0},
        {0, "label", OPTION_TEXT, "L", &options.label, "what the flows should be", 0},
        {0, "codec", OPTION_TEXT, "NAME", &options.codec, "codec that the model must have (the model's)", 0},
        {0, "unit", OPTION_UNIT, "UNIT", &options.unit, "flow or capture: unit that the model must have (the model's)", 0},
        {0, "payload", OPTION_PAYLOAD, "N", &options.payload, "limit that the model must have (the model's)", 0},
        {0, "flows", OPTION_U64, "N", &options.flows, "how many (%default)", 0},
        {0, "seed", OPTION_U64, "S", &options.seed, "the same seed gives the same file (%default)", 0},
        {0, "temperature", OPTION_REAL, "X", &options.temperature, "0: always the most likely token (%default)", 0},
        {0, "top-k", OPTION_U32, "N", &options.top_k, "only the N most likely tokens (0: off)", 0},
        {0, "top-p", OPTION_REAL, "X", &options.top_p, "only the tokens that together reach X (%default)", 0},
        {0, "max-tokens", OPTION_U32, "N", &options.max_tokens, "per flow (0: the model's context)", 0},
        {0, "allow-cut", OPTION_FLAG, NULL, &options.allow_cut, "also flows that begin or break off in the middle", 0},
        {0, "prefix", OPTION_TEXT, "FILE", &options.prefix, "capture whose first flow begins every flow", 0},
        {0, "net", OPTION_TEXT, "CIDR", &options.net, "network of all addresses (documentation ranges)", 0},
        {0, "start", OPTION_TIME, "TIME", &options.start_ns, "time of the first packet (%default)", 0},
        {0, "int8", OPTION_FLAG, NULL, &int8, "matrix products in int8: faster, a little less exact", 0},
        {0, "threads", OPTION_U32, "N", &threads, "processor threads (0: all)", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    options.stop = install_stop();
    options.progress = show_progress;
    status = open_model(&model, model_path, threads, int8, &error);
    if (status == WLM_OK)
        status = wlm_generate(model, &options, &report, &error);
    wlm_model_free(model);
    if (status != WLM_OK && status != WLM_STOPPED)
        return report_error(&error);
    end_progress();
    if (report.note[0])
        fprintf(stderr, "wirelm: %s\n", report.note);
    if (status == WLM_STOPPED)
        fprintf(stderr, "wirelm: stopped: %llu of %llu flows were written\n", (unsigned long long)report.flows,
                (unsigned long long)options.flows);
    exit_status = print_json(json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:s}", "flows", (json_int_t)report.flows, "packets",
        (json_int_t)report.packets, "tokens", (json_int_t)report.tokens, "flows_cut", (json_int_t)report.flows_cut,
        "flows_resampled", (json_int_t)report.flows_resampled, "checksums_mended",
        (json_int_t)report.checksums_mended, "lengths_mended", (json_int_t)report.lengths_mended,
        "reencoded_differently", (json_int_t)report.reencoded_differently, "seconds", report.seconds, "tokens_per_s",
        report.seconds > 0 ? (double)report.tokens / report.seconds : 0, "note", report.note));
    return status == WLM_STOPPED ? EXIT_FAILED : exit_status;
}

const command command_generate = {"generate", "writes a capture of new flows",
                                  "[-m MODEL] [--task T --label L] --flows N -w OUT [options]", run};
