/* cmd_encode.c: wirelm encode. */
#include <string.h>

#include "cli.h"

static int print_line(void *user, const char *text)
{
    (void)user;
    return puts(text) == EOF;
}

static int run(const command *self, int argc, char **argv)
{
    const char *in = NULL, *out = NULL;
    wlm_token_options options = wlm_token_options_default();
    wlm_token_report report;
    wlm_error error;
    int text = 0;
    const option table[] = {
        {'r', "read", OPTION_TEXT, "FILE", &in, "pcap or pcapng, plain or compressed; - is standard input", 1},
        {'w', "write", OPTION_TEXT, "FILE", &out, "token file to write; - is standard output", 0},
        {0, "codec", OPTION_TEXT, "NAME", &options.codec, "fields or bytes (%default)", 0},
        {0, "unit", OPTION_UNIT, "UNIT", &options.unit,
         "flow: each flow a stream of its own; capture: one stream of all (%default)", 0},
        {0, "payload", OPTION_PAYLOAD, "N", &options.payload,
         "payload bytes per packet that are told: full, none or a number (%default)", 0},
        {0, "seed", OPTION_U64, "N", &options.seed, "of the payload that decode puts for the rest (%default)", 0},
        {0, "text", OPTION_FLAG, NULL, &text, "print tokens for people instead, one packet a line", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    int exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    if (!out == !text)
        return usage_error(self, "either -w FILE or --text");
    if (text) {
        wlm_status status = wlm_token_text(in, &options, print_line, NULL, &error);
        return status == WLM_OK ? EXIT_DONE : status == WLM_STOPPED ? EXIT_FAILED : report_error(&error);
    }
    if (wlm_encode_file(in, out, &options, &report, &error) != WLM_OK)
        return report_error(&error);
    report_damage(in, &report);
    return strcmp(out, "-") ? print_json(token_report_json(in, &report)) : EXIT_DONE;
}

const command command_encode = {"encode", "a capture to a token file, from which decode gives the same capture",
                                "-r IN (-w OUT.tok | --text) [--codec NAME] [--unit UNIT] [--payload N]", run};
