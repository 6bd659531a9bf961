/* cmd_features.c: wirelm features. */
#include "cli.h"
#include "wirelm_export.h"

static int run(const command *self, int argc, char **argv)
{
    wlm_features_options options = wlm_features_options_default();
    wlm_features_report report;
    wlm_error error;
    wlm_status status;
    list data = {NULL, 0};
    int exit_status;
    const option table[] = {
        {'d', "data", OPTION_LIST, "DIR", &data, "imported folders", 1},
        {'o', "out", OPTION_TEXT, "FILE", &options.out, "JSON Lines to write; - is standard output", 1},
        {0, "split", OPTION_PARTS, "PART", &options.part, "train, val, test or all (%default)", 0},
        {0, "labelled", OPTION_FLAG, NULL, &options.labelled, "only flows that have a label", 0},
        {0, "hide", OPTION_HIDE, "POLICY", &options.hide, "what to hide: none, ids, implicit, shape (%default)", 0},
        {0, "payload", OPTION_PAYLOAD, "N", &options.payload,
         "payload bytes per packet to show: full, none or a number (%default)", 0},
        {0, "max-packets", OPTION_U32, "N", &options.max_packets, "packets of a flow to look at (0: 32, the most)", 0},
        {0, "alter", OPTION_TEXT, "NAME", &options.alter, "alter each flow first: nat, oneway, snap96 ... (not)", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    options.data = data.item;
    options.data_count = data.count;
    options.stop = install_stop();
    options.progress = show_progress;
    status = wlm_features(&options, &report, &error);
    end_progress();
    if (status == WLM_STOPPED) {
        fprintf(stderr, "wirelm: stopped; nothing was written\n");
        return EXIT_FAILED;
    }
    if (status != WLM_OK)
        return report_error(&error);
    fprintf(stderr, "wirelm: %llu flows, %llu packets\n", (unsigned long long)report.flows,
            (unsigned long long)report.packets);
    return EXIT_DONE;
}

const command command_features = {"features", "writes what a shallow model may read of imported flows",
                                  "-d DIR... -o FILE [options]", run};
