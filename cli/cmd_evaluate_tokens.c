/* cmd_evaluate_tokens.c: wirelm evaluate tokens: what captures cost a model in bits. */
#include <jansson.h>
#include <stdlib.h>

#include "html.h"
#include "wirelm_evaluate.h"

enum { CONTEXTS = 64 };

/* "2048,12032"; how many, or 0 where text is no such list. */
static size_t parse_contexts(const char *text, uint32_t contexts[CONTEXTS])
{
    size_t count = 0;
    for (;;) {
        char *end;
        unsigned long value = strtoul(text, &end, 10);
        if (*text < '0' || *text > '9' || value > UINT32_MAX || count == CONTEXTS)
            return 0;
        contexts[count++] = (uint32_t)value;
        if (!*end)
            return count;
        if (*end != ',')
            return 0;
        text = end + 1;
    }
}

int run_evaluate_tokens(const command *self, int argc, char **argv)
{
    wlm_evaluate_tokens_options options = wlm_evaluate_tokens_options_default();
    wlm_model *model = NULL;
    wlm_error error;
    wlm_status status;
    const char *model_path = NULL, *contexts = NULL, *page = NULL;
    list in = {NULL, 0}, data = {NULL, 0};
    uint32_t threads = 0, context[CONTEXTS];
    char *text = NULL;
    int int8 = 0, exit_status;
    const option table[] = {
        ROW_MODEL(&model_path),
        {'r', "read", OPTION_LIST, "PATH", &in, "captures and folders of captures; or", 0},
        {'d', "data", OPTION_LIST, "DIR", &data, "imported folders", 0},
        {0, "split", OPTION_PART, "PART", &options.part, "of imported folders: train, val or test (%default)", 0},
        {0, "context", OPTION_TEXT, "N,...", &contexts,
         "tokens that the model remembers, one or several measurements (as trained)", 0},
        {0, "same-tokens", OPTION_FLAG, NULL, &options.same_tokens,
         "where the model forgets the codec goes on, so that all contexts see the same tokens", 0},
        {0, "recall", OPTION_FLAG, NULL, &options.recall,
         "mix what each flow or capture has shown already into what the model says", 0},
        {0, "bytes", OPTION_U64, "N", &options.bytes, "a sample of so many bytes, capture by capture (0: all)", 0},
        {0, "flows", OPTION_U64, "N", &options.flows, "a sample of so many flows, capture by capture (0: all)", 0},
        {0, "seed", OPTION_U64, "N", &options.seed, "of the sample (%default)", 0},
        {0, "by-file", OPTION_FLAG, NULL, &options.by_file, "also a row for each capture", 0},
        {0, "model-only", OPTION_FLAG, NULL, &options.models_only, "without gzip, zstd and xz", 0},
        ROW_CODEC(&options.codec),
        {0, "unit", OPTION_UNIT, "UNIT", &options.unit, "unit that the model must have (the model's)", 0},
        {0, "hide", OPTION_HIDE, "POLICY", &options.hide,
         "what to hide from the model: none, ids, implicit, shape (as trained)", 0},
        ROW_PAYLOAD(&options.payload),
        ROW_FORCE(&options.force),
        ROW_INT8(&int8),
        ROW_HTML(&page),
        ROW_THREADS(&threads),
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    html_remember_command(self, argc, argv);
    exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    if (!in.count == !data.count)
        return usage_error(self, "either -r or -d");
    if (contexts && !(options.context_count = parse_contexts(contexts, context)))
        return usage_error(self, "option '--context' cannot be '%s'", contexts);
    if (!html_possible(page))
        return EXIT_FAILED;
    options.contexts = context;
    options.paths = in.item;
    options.path_count = in.count;
    options.data = data.item;
    options.data_count = data.count;
    options.stop = install_stop();
    options.progress = show_progress;
    status = open_model(&model, model_path, threads, int8, &error);
    if (status == WLM_OK)
        status = wlm_evaluate_tokens(model, &options, &text, &error);
    wlm_model_free(model);
    end_progress();
    if (status == WLM_STOPPED) {
        fprintf(stderr, "wirelm: stopped; a part of the captures gives no figures (--bytes takes a sample)\n");
        return EXIT_FAILED;
    }
    if (status != WLM_OK)
        return report_error(&error);
    exit_status = print_report(page, &html_tokens, json_loads(text, 0, NULL));
    wlm_text_free(text);
    return exit_status;
}
