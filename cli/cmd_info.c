/* cmd_info.c: wirelm info. */
#include <jansson.h>
#include <stdlib.h>

#include "cli.h"

static int run(const command *self, int argc, char **argv)
{
    int build = 0;
    char *text = NULL;
    wlm_error error;
    wlm_status status;
    list rest = {NULL, 0};
    json_t *value;
    const option table[] = {
        {0, "build", OPTION_FLAG, NULL, &build, "version, libraries, presets, codecs, processor features", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    int exit_status = parse_options(self, table, argc, argv, &rest);
    if (exit_status >= 0)
        return exit_status;
    if (build ? rest.count != 0 : rest.count != 1)
        return usage_error(self, "takes one FILE, or --build");
    status = build ? wlm_info_build(&text, &error) : wlm_info_file(rest.item[0], &text, &error);
    if (status != WLM_OK)
        return report_error(&error);
    value = json_loads(text, JSON_DECODE_ANY, NULL);
    wlm_text_free(text);
    return print_json(value);
}

const command command_info = {
    "info", "what is in a capture, token file, imported folder or model; what this build supports", "FILE | --build", run};
