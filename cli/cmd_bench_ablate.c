/* cmd_bench_ablate.c: wirelm bench ablate: kinds of heads, codecs and role embeddings compared. */
#include "cli.h"
#include "wirelm_bench.h"

static void print_row(void *user, const char *json)
{
    (void)user;
    end_progress();
    puts(json);
    fflush(stdout);
}

int run_bench_ablate(const command *self, int argc, char **argv)
{
    wlm_ablate_options options = wlm_ablate_options_default();
    list data = {NULL, 0};
    wlm_error error;
    wlm_status status;
    uint32_t threads = 0;
    const option table[] = {
        {'d', "data", OPTION_LIST, "DIR", &data, "imported folders", 1},
        {'o', "out", OPTION_TEXT, "FILE", &options.out, "JSON Lines, appended; rows that stand there are not run again", 0},
        {0, "heads", OPTION_TEXT, "KIND", &options.heads,
         "only full, window, linear, linear+window, delta or delta+window (all)", 0},
        {0, "codec", OPTION_TEXT, "NAME", &options.codec, "only this codec (all)", 0},
        {0, "seeds", OPTION_U64, "N", &options.seeds, "seeds per row (%default)", 0},
        {0, "tokens", OPTION_U64, "N", &options.tokens, "tokens to train on, per row (%default)", 0},
        {0, "bytes", OPTION_U64, "N", &options.bytes, "captured bytes to measure on, 0: all (%default)", 0},
        {0, "context", OPTION_U32, "N", &options.context, "longest sequence (%default)", 0},
        {0, "window", OPTION_U32, "N", &options.window, "tokens that window heads see (%default)", 0},
        {0, "learning-rate", OPTION_REAL, "X", &options.learning_rate, "peak (%default)", 0},
        {0, "hide", OPTION_HIDE, "POLICY", &options.hide, "none, ids, implicit or shape (%default)", 0},
        {0, "split", OPTION_PART, "PART", &options.part, "part to measure on (%default)", 0},
        ROW_THREADS(&threads),
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    int exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    options.data = data.item;
    options.data_count = data.count;
    options.threads = (int)(threads < 4096 ? threads : 4096);
    options.row = print_row;
    options.stop = install_stop();
    options.progress = show_progress;
    status = wlm_bench_ablate(&options, &error);
    end_progress();
    if (status == WLM_STOPPED) {
        fprintf(stderr, "wirelm: stopped; %s\n",
                options.out ? "the same command goes on with the next row" : "rows that were done are printed");
        return EXIT_FAILED;
    }
    return status == WLM_OK ? 0 : report_error(&error);
}
