/* cmd_calibrate.c: wirelm calibrate. */
#include <jansson.h>

#include "cli.h"
#include "wirelm_evaluate.h"

/* Values are written in the type that they were read in. */
static wlm_status save_like(const wlm_model *model, const char *in, const char *out, wlm_error *error)
{
    wlm_dtype dtype = WLM_DTYPE_F32;
    char path[MODEL_PATH], *text = NULL;
    json_t *info;
    const char *name;
    wlm_status status = find_model(in, SHIPPED_MODEL, path, error);
    if (status == WLM_OK)
        status = wlm_info_file(path, &text, error);
    if (status != WLM_OK)
        return status;
    info = json_loads(text, 0, NULL);
    wlm_text_free(text);
    name = json_string_value(json_object_get(info, "dtype"));
    if (name)
        wlm_dtype_parse(name, &dtype);
    json_decref(info);
    return wlm_model_save(model, out, dtype, error);
}

static int run(const command *self, int argc, char **argv)
{
    wlm_calibrate_options o = wlm_calibrate_options_default();
    wlm_model *model = NULL;
    wlm_error error;
    wlm_status status;
    const char *in = NULL, *out = NULL;
    char *text = NULL;
    list data = {NULL, 0};
    uint32_t threads = 0;
    const option table[] = {
        {'m', "model", OPTION_TEXT, "MODEL", &in, "checkpoint to read (the one that ships)", 0},
        {'d', "data", OPTION_LIST, "DIR", &data, "imported folders, of one task or several", 1},
        {'o', "output", OPTION_TEXT, "OUT", &out, "checkpoint to write; may be MODEL", 1},
        {0, "split", OPTION_PART, "PART", &o.part, "flows to calibrate on (%default)", 0},
        {0, "give-up", OPTION_REAL, "SHARE", &o.give_up,
         "of the right answers: the threshold for 'unknown' lies above so many (%default)", 0},
        ROW_HIDE(&o.hide),
        ROW_PAYLOAD(&o.payload),
        ROW_MAX_PACKETS(&o.max_packets),
        ROW_FORCE(&o.force),
        ROW_THREADS(&threads),
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    int exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    o.data = data.item;
    o.data_count = data.count;
    o.stop = install_stop();
    o.progress = show_progress;
    status = open_model(&model, in, threads, 0, &error);
    if (status == WLM_OK)
        status = wlm_calibrate(model, &o, &text, &error);
    end_progress();
    if (status == WLM_OK)
        status = save_like(model, in, out, &error);
    wlm_model_free(model);
    if (status == WLM_STOPPED)
        return fprintf(stderr, "wirelm: stopped; nothing was written\n"), EXIT_FAILED;
    exit_status = status == WLM_OK ? print_json(json_loads(text, 0, NULL)) : report_error(&error);
    wlm_text_free(text);
    return exit_status;
}

const command command_calibrate = {"calibrate", "fits a model's confidence, and when it says unknown",
                                   "-m MODEL -d DIR... -o OUT [--split val]", run};
