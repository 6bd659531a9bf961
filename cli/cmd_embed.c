/* cmd_embed.c: wirelm embed. */
#include "cli.h"
#include "wirelm_export.h"

static void explain(const wlm_embed_report *r)
{
    if (r->files_damaged)
        fprintf(stderr, "wirelm: %llu damaged files, the first %s: %s\n", (unsigned long long)r->files_damaged,
                r->damage.file, r->damage.cause);
    if (r->packets_unusable)
        fprintf(stderr, "wirelm: %llu of %llu packets belong to no IP flow and were not used\n",
                (unsigned long long)r->packets_unusable, (unsigned long long)r->packets);
    fprintf(stderr, "wirelm: %llu flows, %d values each\n", (unsigned long long)r->flows, r->width);
}

static int run(const command *self, int argc, char **argv)
{
    wlm_embed_options options = wlm_embed_options_default();
    wlm_embed_report report;
    wlm_model *model = NULL;
    wlm_error error;
    wlm_status status;
    const char *model_path = NULL, *pool = wlm_pool_name(options.pool);
    list reads = {NULL, 0}, data = {NULL, 0};
    uint32_t threads = 0;
    int int8 = 0, exit_status;
    const option table[] = {
        ROW_MODEL(&model_path),
        {'r', "read", OPTION_LIST, "IN|DIR", &reads, "captures and folders of captures; - is standard input", 0},
        {'d', "data", OPTION_LIST, "DIR", &data, "or imported folders", 0},
        {'o', "out", OPTION_TEXT, "OUT", &options.out,
         "file for the vectors: .npy, float32 [flows, width], else JSON Lines", 1},
        {0, "index", OPTION_TEXT, "FILE", &options.index, "with .npy: what each row is (OUT.jsonl)", 0},
        {0, "pool", OPTION_TEXT, "HOW", &pool,
         "mean of the flow's tokens, last token, or ask: at the question for a task (%default)", 0},
        {0, "task", OPTION_TEXT, "T", &options.task, "with --pool ask: the task (the model's first)", 0},
        {0, "split", OPTION_PARTS, "PART", &options.part, "of imported folders: train, val, test or all (%default)", 0},
        ROW_MAX_PACKETS(&options.max_packets),
        ROW_CODEC(&options.codec),
        {0, "unit", OPTION_UNIT, "UNIT", &options.unit, "flow: vectors are of flows (the only one)", 0},
        ROW_HIDE(&options.hide),
        ROW_PAYLOAD(&options.payload),
        ROW_FORCE(&options.force),
        ROW_INT8(&int8),
        ROW_THREADS(&threads),
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    exit_status = parse_options_filter(self, table, argc, argv, &options.filter);
    if (exit_status >= 0)
        return exit_status;
    if (wlm_pool_parse(pool, &options.pool) != WLM_OK)
        return usage_error(self, "no pool '%s': mean, last or ask", pool);
    if (!reads.count == !data.count)
        return usage_error(self, "either captures (-r) or imported folders (-d)");
    options.paths = reads.item;
    options.path_count = reads.count;
    options.data = data.item;
    options.data_count = data.count;
    options.stop = install_stop();
    options.progress = show_progress;
    status = open_model(&model, model_path, threads, int8, &error);
    if (status == WLM_OK)
        status = wlm_embed(model, &options, &report, &error);
    wlm_model_free(model);
    end_progress();
    if (status == WLM_STOPPED) {
        fprintf(stderr, "wirelm: stopped; nothing was written\n");
        return EXIT_FAILED;
    }
    if (status != WLM_OK)
        return report_error(&error);
    explain(&report);
    return EXIT_DONE;
}

const command command_embed = {"embed", "gives each flow a vector",
                               "[-m MODEL] (-r IN|DIR... | -d DIR...) -o OUT [options] [filter]", run};
