/* cmd_encode.c: wirelm encode. */
#include <string.h>

#include "cli.h"

static int run(const command *self, int argc, char **argv)
{
    const char *in = NULL, *out = NULL, *codec = "bytes";
    wlm_token_report report;
    wlm_error error;
    const option table[] = {
        {'r', "read", OPTION_TEXT, "FILE", &in, "pcap or pcapng, plain or compressed; - is standard input", 1},
        {'w', "write", OPTION_TEXT, "FILE", &out, "token file to write; - is standard output", 1},
        {0, "codec", OPTION_TEXT, "NAME", &codec, "codec (%default)", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    int exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    if (wlm_encode_file(in, out, codec, &report, &error) != WLM_OK)
        return report_error(&error);
    report_damage(in, &report);
    return strcmp(out, "-") ? print_json(token_report_json(in, &report)) : EXIT_DONE;
}

const command command_encode = {"encode", "a capture to a token file, from which decode gives the same capture",
                                "-r IN -w OUT.tok [--codec NAME]", run};
