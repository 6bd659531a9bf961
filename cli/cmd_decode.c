/* cmd_decode.c: wirelm decode. */
#include <string.h>

#include "cli.h"

static int run(const command *self, int argc, char **argv)
{
    const char *in = NULL, *out = NULL;
    wlm_token_options expected = {.unit = WLM_UNIT_INHERIT, .payload = WLM_PAYLOAD_INHERIT};
    wlm_token_report report;
    wlm_error error;
    const option table[] = {
        {'r', "read", OPTION_TEXT, "FILE", &in, "token file to decode; - is standard input", 1},
        {'w', "write", OPTION_TEXT, "FILE", &out, "capture to write (.gz, .zst: compressed); - is standard output", 1},
        {0, "codec", OPTION_TEXT, "NAME", &expected.codec, "codec that the file must have (default: as it has)", 0},
        {0, "unit", OPTION_UNIT, "UNIT", &expected.unit, "flow or capture: unit that it must have (default: as it has)", 0},
        {0, "payload", OPTION_PAYLOAD, "N", &expected.payload,
         "full, none or a number: limit that it must have (default: as it has)", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    int exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    if (wlm_decode_file(in, out, &expected, &report, &error) != WLM_OK)
        return report_error(&error);
    report_damage(in, &report);
    return strcmp(out, "-") ? print_json(token_report_json(in, &report)) : EXIT_DONE;
}

const command command_decode = {"decode", "a token file to the capture that it was made from, byte for byte",
                                "-r IN.tok -w OUT [--codec NAME] [--unit UNIT] [--payload N]", run};
