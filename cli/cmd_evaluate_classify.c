/* cmd_evaluate_classify.c: wirelm evaluate classify: labels of imported flows. */
#include <jansson.h>

#include "cli.h"

int run_evaluate_classify(const command *self, int argc, char **argv)
{
    wlm_evaluate_options options = wlm_evaluate_options_default();
    wlm_model *model = NULL;
    wlm_error error;
    wlm_status status;
    const char *model_path = NULL;
    list data = {NULL, 0};
    uint32_t threads = 0;
    char *text = NULL;
    json_t *value;
    int int8 = 0, exit_status;
    const option table[] = {
        {'m', "model", OPTION_TEXT, "MODEL", &model_path, "checkpoint to use (the one that ships)", 0},
        {'d', "data", OPTION_LIST, "DIR", &data, "imported folders", 1},
        {0, "split", OPTION_PART, "PART", &options.part, "train, val or test (%default)", 0},
        {0, "task", OPTION_TEXT, "T", &options.task, "task to score (the model's first)", 0},
        {0, "max-packets", OPTION_U32, "N", &options.max_packets, "packets of a flow to look at (0: as trained)", 0},
        {0, "codec", OPTION_TEXT, "NAME", &options.codec, "codec that the model must have (the model's)", 0},
        {0, "unit", OPTION_UNIT, "UNIT", &options.unit, "flow: labels belong to flows (the only one)", 0},
        {0, "hide", OPTION_HIDE, "POLICY", &options.hide,
         "what to hide from the model: none, ids, implicit, shape (%default)", 0},
        {0, "payload", OPTION_PAYLOAD, "N", &options.payload,
         "payload bytes per packet to show: full, none or a number (as trained)", 0},
        {0, "force", OPTION_FLAG, NULL, &options.force, "allow what to hide or show to differ from training", 0},
        {0, "int8", OPTION_FLAG, NULL, &int8, "matrix products in int8: faster, a little less exact", 0},
        {0, "threads", OPTION_U32, "N", &threads, "processor threads (0: all)", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    options.data = data.item;
    options.data_count = data.count;
    options.stop = install_stop();
    options.progress = show_progress;
    status = open_model(&model, model_path, threads, int8, &error);
    if (status == WLM_OK)
        status = wlm_evaluate_classify(model, &options, &text, &error);
    wlm_model_free(model);
    if (status == WLM_STOPPED) {
        end_progress();
        fprintf(stderr, "wirelm: stopped; a part of the flows gives no score\n");
        return EXIT_FAILED;
    }
    if (status != WLM_OK)
        return report_error(&error);
    end_progress();
    value = json_loads(text, 0, NULL);
    wlm_text_free(text);
    return print_json(value);
}
