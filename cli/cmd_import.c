/* cmd_import.c: wirelm import. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static int parse_split(const char *name, wlm_split_by *split)
{
    static const char *const names[] = {"capture", "flow", "given"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, names[i])) {
            *split = (wlm_split_by)i;
            return 1;
        }
    return 0;
}

static json_t *report_json(const wlm_import_options *options, const wlm_import_report *r)
{
    return json_pack("{s:s, s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I}, s:b}", "out",
                     options->out, "task", options->task, "files", (json_int_t)r->files, "files_damaged",
                     (json_int_t)r->files_damaged, "packets", (json_int_t)r->packets, "bytes", (json_int_t)r->bytes,
                     "flows", (json_int_t)r->flows, "labelled", (json_int_t)r->labelled, "labels",
                     (json_int_t)r->labels, "unlabelled_dropped", (json_int_t)r->unlabelled_dropped, "csv_unmatched",
                     (json_int_t)r->csv_unmatched, "flows_by_part", "train", (json_int_t)r->part_flows[WLM_PART_TRAIN],
                     "val", (json_int_t)r->part_flows[WLM_PART_VAL], "test", (json_int_t)r->part_flows[WLM_PART_TEST],
                     "fell_back", r->fell_back);
}

static int run(const command *self, int argc, char **argv)
{
    wlm_import_options options = wlm_import_options_default();
    wlm_import_report report;
    wlm_error error;
    wlm_status status;
    const char *split = NULL;
    uint32_t threads = 0;
    list paths = {NULL, 0};
    const option table[] = {
        {'o', "out", OPTION_TEXT, "DIR", &options.out, "folder to write; replaced only on success", 1},
        {0, "task", OPTION_TEXT, "NAME", &options.task, "what the labels answer; without it flows stay unlabelled", 0},
        {0, "labels", OPTION_TEXT, "CSV", &options.labels,
         "columns path, label[, src_ip, src_port, dst_ip, dst_port, proto][, split][, capture]; without it folder "
         "names are labels", 0},
        {0, "keep-unlabelled", OPTION_FLAG, NULL, &options.keep_unlabelled,
         "with --task: flows without a label too, to pre-train on", 0},
        {0, "split", OPTION_TEXT, "capture|flow|given", &split,
         "80/10/10 by capture or flow, or as the CSV says (default: as it says where it does, else capture)", 0},
        {0, "part", OPTION_PART, "train|val|test", &options.part, "everything into one part", 0},
        {0, "seed", OPTION_U64, "N", &options.seed, "of the split (%default)", 0},
        {0, "threads", OPTION_U32, "N", &threads, "that read captures, 0: one per processor (default %default)", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    int exit_status = parse_options(self, table, argc, argv, &paths);
    if (exit_status < 0 && split && !parse_split(split, &options.split))
        exit_status = usage_error(self, "option '--split' cannot be '%s'", split);
    if (exit_status < 0 && threads > 4096)
        exit_status = usage_error(self, "option '--threads' cannot be '%u'", threads);
    if (exit_status < 0 && !paths.count && !options.labels)
        exit_status = usage_error(self, "names nothing to import: give captures, folders, or --labels");
    if (exit_status < 0) {
        options.paths = paths.item;
        options.path_count = paths.count;
        options.threads = (int)threads;
        options.progress = show_progress;
        options.stop = install_stop();
        status = wlm_import(&options, &report, &error);
        end_progress();
        exit_status = status == WLM_OK ? print_json(report_json(&options, &report)) : report_error(&error);
    }
    return exit_status;
}

const command command_import = {
    "import", "captures, labels and a split become a folder that train and evaluate read",
    "-o DIR [--task NAME] [--labels CSV] [--split capture|flow|given] [--part train|val|test] [--threads N] PATH...", run};
