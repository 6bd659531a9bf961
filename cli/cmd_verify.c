/* cmd_verify.c: wirelm verify. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

typedef struct result { /* of one file */
    wlm_status status;
    wlm_token_report report;
    wlm_error error;
} result;

typedef struct verification {
    wlm_token_options options;
    file_list found;
    uint64_t files, exact, lossy;
    wlm_token_report sum;
    wlm_token_counter *counter; /* with --stats */
} verification;

static void verify(void *user, size_t i, void *of)
{
    const verification *v = user;
    result *r = of;
    r->report.damage_offset = WLM_NO_OFFSET;
    r->status = wlm_verify_file(v->found.item[i].path, &v->options, &r->report, &r->error);
}

static int tell(void *user, size_t i, const void *of)
{
    verification *v = user;
    const result *r = of;
    const wlm_token_report *report = &r->report;
    const char *path = v->found.item[i].path;
    json_t *line;
    wlm_error error;
    v->files++;
    if (r->status != WLM_OK) {
        report_error(&r->error);
        line = json_pack("{s:s*, s:b, s:s}", "file", path, "exact", 0, "error", r->error.cause);
    } else {
        report_damage(path, report);
        if (v->counter && wlm_token_counter_add(v->counter, path, &error) != WLM_OK) {
            report_error(&error);
            return 0;
        }
        *(report->lossy ? &v->lossy : &v->exact) += 1;
        add_token_report(&v->sum, report);
        line = token_report_json(path, report);
        if (line && !report->lossy)
            json_object_set_new(line, "exact", json_true());
    }
    return print_json(line) == EXIT_DONE;
}

static json_t *sum_json(const verification *v)
{
    return token_sum_json(json_pack("{s:I, s:I, s:I}", "files", (json_int_t)v->files, "files_exact",
                                    (json_int_t)v->exact, "files_lossy", (json_int_t)v->lossy), &v->sum);
}

static double ratio(double a, uint64_t b)
{
    return b ? a / (double)b : 0;
}

static json_t *reasons_json(const uint64_t raw[WLM_RAW_REASONS])
{
    json_t *reasons = json_object();
    for (size_t i = 0; i < WLM_RAW_REASONS; i++)
        json_object_set_new(reasons, wlm_raw_reason_name(i), json_integer((json_int_t)raw[i]));
    return reasons;
}

/* Raw packets of each link type, by its number. */
static json_t *links_json(const wlm_token_counter *counter)
{
    json_t *links = json_object();
    wlm_link_stats link;
    for (size_t i = 0; wlm_token_counter_link(counter, i, &link); i++) {
        uint64_t raw = 0;
        char name[16];
        for (size_t r = 0; r < WLM_RAW_REASONS; r++)
            raw += link.raw[r];
        snprintf(name, sizeof name, "%u", link.link_type);
        json_object_set_new(links, name, json_pack("{s:I, s:I, s:f, s:o}", "packets", (json_int_t)link.packets, "raw",
                                                   (json_int_t)raw, "share", ratio((double)raw, link.packets),
                                                   "reasons", reasons_json(link.raw)));
    }
    return links;
}

static json_t *stats_json(const wlm_token_counter *counter)
{
    wlm_token_stats s;
    wlm_token_counter_read(counter, &s);
    uint64_t packets = s.packets[WLM_TOKENS_TCP] + s.packets[WLM_TOKENS_UDP] + s.packets[WLM_TOKENS_OTHER];
    return json_pack("{s:{s:f, s:f, s:f, s:f, s:f}, s:{s:f, s:f, s:f, s:f, s:f}, s:{s:I, s:I, s:I}, s:I, s:I, s:o, s:o,"
                     " s:f, s:{s:I, s:I, s:I}}",
                     "tokens_per_packet", "tcp", ratio((double)s.tokens[0], s.packets[0]), "udp",
                     ratio((double)s.tokens[1], s.packets[1]), "other", ratio((double)s.tokens[2], s.packets[2]),
                     "continuing", ratio((double)s.continuing_tokens, s.continuing_packets), "opening",
                     ratio((double)s.opening_tokens, s.opening_packets), "tokens_per_packet_by_layer", "time",
                     ratio((double)s.time_tokens, packets), "link", ratio((double)s.link_tokens, packets), "ip",
                     ratio((double)s.network_tokens, packets), "transport",
                     ratio((double)s.transport_tokens, packets), "raw", ratio((double)s.raw_tokens, packets),
                     "packets_by_class", "tcp", (json_int_t)s.packets[0], "udp", (json_int_t)s.packets[1], "other",
                     (json_int_t)s.packets[2], "flows", (json_int_t)s.flows, "payload_tokens",
                     (json_int_t)s.payload_tokens, "raw_packets", reasons_json(s.raw), "raw_packets_by_link_type",
                     links_json(counter), "header_bits_per_packet", ratio(s.header_bits, packets), "bytes", "capture",
                     (json_int_t)s.capture_bytes, "gzip_9", (json_int_t)s.gzip_bytes, "zstd_19",
                     (json_int_t)s.zstd_bytes);
}

static int run(const command *self, int argc, char **argv)
{
    list in = {NULL, 0}, rest = {NULL, 0};
    verification v = {.options = wlm_token_options_default()};
    const file_work work = {sizeof(result), verify, tell, &v};
    wlm_error error;
    uint32_t threads = 0;
    int failed = 0, stats = 0;
    const option table[] = {
        {'r', "read", OPTION_LIST, "PATH", &in, "captures and folders of captures; - is standard input", 1},
        {0, "codec", OPTION_TEXT, "NAME", &v.options.codec, "fields or bytes (%default)", 0},
        {0, "unit", OPTION_UNIT, "UNIT", &v.options.unit,
         "flow: each flow a stream of its own; capture: one stream of all (%default)", 0},
        {0, "payload", OPTION_PAYLOAD, "N", &v.options.payload,
         "payload bytes per packet that are told: full, none or a number (%default)", 0},
        {0, "seed", OPTION_U64, "N", &v.options.seed, "of the payload that is put for the rest (%default)", 0},
        {0, "stats", OPTION_FLAG, NULL, &stats, "what packets cost in tokens, flow by flow, over all captures", 0},
        {0, "threads", OPTION_U32, "N", &threads, "files at a time, 0: one per processor (default %default)", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    int exit_status = parse_options(self, table, argc, argv, &rest);
    if (exit_status < 0 && rest.count)
        exit_status = usage_error(self, "'%s' is not expected here", rest.item[0]);
    for (size_t i = 0; i < in.count && exit_status < 0 && stats; i++)
        if (!strcmp(in.item[i], "-"))
            exit_status = usage_error(self, "--stats reads a capture more than once, which standard input cannot be");
    if (exit_status < 0 && wlm_token_options_check(&v.options, &error) != WLM_OK)
        exit_status = report_error(&error);
    if (exit_status < 0 && stats && wlm_token_counter_new(&v.counter, &v.options, &error) != WLM_OK)
        exit_status = report_error(&error);
    if (exit_status < 0 && threads > 4096)
        exit_status = usage_error(self, "option '--threads' cannot be '%u'", threads);
    if (exit_status < 0) {
        failed = !find_files(&v.found, &in);
        failed |= !each_file(&work, v.found.count, threads);
    }
    if (exit_status < 0 && v.files > 1)
        failed |= print_json(sum_json(&v)) != EXIT_DONE;
    if (exit_status < 0 && v.counter)
        failed |= print_json(stats_json(v.counter)) != EXIT_DONE;
    free_files(&v.found);
    wlm_token_counter_free(v.counter);
    if (exit_status >= 0)
        return exit_status;
    if (v.files == 0)
        fprintf(stderr, "wirelm: no file to verify\n");
    return failed || v.files == 0 || v.exact + v.lossy != v.files ? EXIT_FAILED : EXIT_DONE;
}

const command command_verify = {"verify", "encodes and decodes captures and compares every byte",
                                "-r PATH... [--codec NAME] [--unit UNIT] [--payload N] [--threads N] [--stats]", run};
