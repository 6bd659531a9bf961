/* cmd_convert.c: wirelm convert. */
#include <jansson.h>
#include <stdlib.h>

#include "cli.h"

/* The first model, made the mean of them all. */
static wlm_status open_mean(wlm_model **model, const list *paths, wlm_error *error)
{
    wlm_status status = open_model(model, paths->item[0], 0, 0, error);
    for (size_t i = 1; i < paths->count && status == WLM_OK; i++) {
        wlm_model *other = NULL;
        status = open_model(&other, paths->item[i], 0, 0, error);
        if (status == WLM_OK)
            status = wlm_model_average(*model, other, 1 / (double)(i + 1), error);
        wlm_model_free(other);
    }
    return status;
}

static int run(const command *self, int argc, char **argv)
{
    wlm_model *model = NULL;
    wlm_error error;
    wlm_status status;
    wlm_dtype dtype = WLM_DTYPE_BF16;
    const char *out = NULL;
    list in = {NULL, 0};
    char *text = NULL;
    const option table[] = {
        {'m', "model", OPTION_LIST, "MODEL", &in, "checkpoint to read; of several, all of one shape, the mean of their values", 1},
        {'o', "output", OPTION_TEXT, "OUT", &out, "checkpoint to write", 1},
        {0, "dtype", OPTION_DTYPE, "TYPE", &dtype, "of matrices and embeddings: f32 or bf16 (%default)", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    int exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    status = open_mean(&model, &in, &error);
    if (status == WLM_OK)
        status = wlm_model_save(model, out, dtype, &error);
    wlm_model_free(model);
    if (status == WLM_OK)
        status = wlm_info_file(out, &text, &error);
    if (status != WLM_OK)
        return report_error(&error);
    exit_status = print_json(json_loads(text, 0, NULL));
    wlm_text_free(text);
    return exit_status;
}

const command command_convert = {"convert", "writes a model with its values in another type, or the mean of several",
                                 "-m MODEL... -o OUT [--dtype f32|bf16]", run};
