/* cmd_classify.c: wirelm classify. */
#include <arpa/inet.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

typedef struct output {
    int text;
    size_t top;
    uint64_t lines;
    int failed;
} output;

static const char *proto_name(int proto, char room[16])
{
    static const struct {
        int number;
        const char *name;
    } known[] = {{1, "ICMP"}, {2, "IGMP"}, {6, "TCP"}, {17, "UDP"}, {47, "GRE"}, {50, "ESP"},
                 {51, "AH"}, {58, "IPv6-ICMP"}, {89, "OSPF"}, {132, "SCTP"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].number == proto)
            return known[i].name;
    snprintf(room, 16, "%d", proto);
    return room;
}

static void address_text(const uint8_t *address, int length, char text[64])
{
    text[0] = 0;
    if (length == 4 || length == 16)
        inet_ntop(length == 4 ? AF_INET : AF_INET6, address, text, 64);
}

/* Paths are bytes: what is no UTF-8 shows as '?'. */
static json_t *path_json(const char *path)
{
    json_t *value = json_string(path);
    char *plain = value ? NULL : strdup(path);
    if (!plain)
        return value;
    for (char *c = plain; *c; c++)
        *c = (unsigned char)*c < 128 ? *c : '?';
    value = json_string(plain);
    free(plain);
    return value;
}

static json_t *result_json(const wlm_flow_result *r, size_t top)
{
    char time[64], src[64], dst[64], proto[16];
    json_t *shares = json_object();
    for (size_t i = 0; i < r->top_count && i < top; i++)
        json_object_set_new(shares, r->top[i].label, json_real(r->top[i].confidence));
    time_text(r->first_ns, 6, time);
    address_text(r->key.src, r->key.addr_len, src);
    address_text(r->key.dst, r->key.addr_len, dst);
    return json_pack(
        "{s:s,s:s,s:o,s:I,s:s,s:s,s:i,s:s,s:i,s:s,"
        "s:{s:s,s:s,s:s,s:f,s:o,s:s,s:s,s:b,s:b,s:I,s:I,s:I,s:s,s:o,s:s}}",
        "timestamp", time, "event_type", "wirelm", "file", path_json(r->file), "flow_id", (json_int_t)r->flow_id, "community_id",
        r->community_id, "src_ip", src, "src_port", r->key.src_port, "dest_ip", dst, "dest_port", r->key.dst_port,
        "proto", proto_name(r->key.proto, proto), "wirelm", "task", r->top[0].task, "label", r->label, "best",
        r->top[0].label, "confidence", r->top[0].confidence, "top", shares, "start", wlm_flow_start_name(r->start),
        "end", wlm_flow_end_name(r->end), "oneway", r->oneway, "truncated", r->truncated, "packets",
        (json_int_t)r->packets, "packets_used", (json_int_t)r->packets_used, "tokens_used",
        (json_int_t)r->tokens_used, "hide", wlm_hide_name(r->hide), "payload",
        r->payload == WLM_PAYLOAD_FULL ? json_string("full") : json_integer(r->payload), "model", r->model);
}

static int print_result_json(const wlm_flow_result *r, size_t top)
{
    json_t *value = result_json(r, top);
    char *line = value ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(value);
    if (!line)
        return 0;
    puts(line);
    free(line);
    return 1;
}

static void endpoint_text(const uint8_t *address, int length, int port, int with_port, char text[80])
{
    char plain[64];
    address_text(address, length, plain);
    if (!with_port)
        snprintf(text, 80, "%s", plain);
    else
        snprintf(text, 80, length == 16 ? "[%s]:%d" : "%s:%d", plain, port);
}

static void print_result_text(const wlm_flow_result *r, int first)
{
    char time[64], src[80], dst[80], proto[16];
    int with_port = r->key.proto == 6 || r->key.proto == 17 || r->key.proto == 132;
    if (first)
        printf("%-24s  %-14s %-18s %5s  %7s  %-5s  %s\n", "time", "task", "label", "conf.", "packets", "proto",
               "source and destination");
    time_text(r->first_ns, 3, time);
    endpoint_text(r->key.src, r->key.addr_len, r->key.src_port, with_port, src);
    endpoint_text(r->key.dst, r->key.addr_len, r->key.dst_port, with_port, dst);
    printf("%-24s  %-14s %-18s %5.2f  %7llu  %-5s  %s -> %s\n", time, r->top[0].task, r->label,
           r->top[0].confidence, (unsigned long long)r->packets, proto_name(r->key.proto, proto), src, dst);
}

/* Each line goes out at once: whoever reads a pipe sees a flow when it is known. */
static void on_result(void *user, const wlm_flow_result *r)
{
    output *out = user;
    if (out->text)
        print_result_text(r, out->lines == 0);
    else if (!print_result_json(r, out->top))
        out->failed = 1;
    out->lines++;
    fflush(stdout);
}

static void explain(const wlm_classify_report *r)
{
    end_progress();
    if (r->damage.status != WLM_OK) {
        report_error(&r->damage);
        if (r->files_damaged > 1)
            fprintf(stderr, "wirelm: %llu more files are damaged or no captures\n",
                    (unsigned long long)r->files_damaged - 1);
    }
    if (r->packets_unusable)
        fprintf(stderr, "wirelm: %llu of %llu packets belong to no IP flow and were not used\n",
                (unsigned long long)r->packets_unusable, (unsigned long long)r->packets);
    if (r->flows_evicted)
        fprintf(stderr, "wirelm: %llu flows were labelled early because too many were open at once\n",
                (unsigned long long)r->flows_evicted);
    if (r->states_dropped)
        fprintf(stderr, "wirelm: %llu states were dropped for want of room, %llu of them computed again\n",
                (unsigned long long)r->states_dropped, (unsigned long long)r->states_recomputed);
    if (r->flows == 0)
        fprintf(stderr, "wirelm: no flows: %s\n",
                r->files == 0     ? "no files there"
                : r->packets == 0 ? "no packets in the input"
                : r->packets_filtered == r->packets ? "the filter lets no packet pass"
                                                    : "no packet belongs to an IP flow");
}

static int run(const command *self, int argc, char **argv)
{
    wlm_classify_options options = wlm_classify_options_default();
    wlm_classify_report report;
    wlm_model *model = NULL;
    wlm_error error;
    wlm_status status;
    output out = {0, 0, 0, 0};
    const char *model_path = NULL;
    list reads = {NULL, 0};
    uint32_t top = (uint32_t)options.top, threads = 0;
    const char *threshold = NULL;
    char *end;
    uint64_t state_bytes = options.state_bytes;
    int json = 0, int8 = 0, exit_status;
    const option table[] = {
        ROW_MODEL(&model_path),
        {'r', "read", OPTION_LIST, "IN|DIR", &reads, "captures and folders of captures; - is standard input", 1},
        {'w', "write", OPTION_TEXT, "OUT", &options.write, "the same packets as pcapng, labels as packet comments", 0},
        {0, "task", OPTION_TEXT, "T[,T]|all", &options.tasks, "what to ask (the model's first task)", 0},
        {0, "top", OPTION_U32, "N", &top, "most likely labels to list (%default)", 0},
        {0, "threshold", OPTION_TEXT, "P", &threshold, "say 'unknown' below this confidence (as calibrated)", 0},
        {0, "every", OPTION_U32, "N", &options.every, "also label after each N packets of a flow, marked open (0: never)", 0},
        {0, "early", OPTION_FLAG, NULL, &options.early, "label once the model has seen all packets it looks at", 0},
        {0, "state-bytes", OPTION_U64, "N", &state_bytes, "with --every: memory for what flows left in the model (%default)", 0},
        ROW_MAX_PACKETS(&options.max_packets),
        ROW_CODEC(&options.codec),
        {0, "unit", OPTION_UNIT, "UNIT", &options.unit, "flow: labels belong to flows (the only one)", 0},
        ROW_HIDE(&options.hide),
        ROW_PAYLOAD(&options.payload),
        ROW_FORCE(&options.force),
        ROW_INT8(&int8),
        ROW_THREADS(&threads),
        {0, "text", OPTION_FLAG, NULL, &out.text, "a table for people (the default on a terminal)", 0},
        {0, "json", OPTION_FLAG, NULL, &json, "one JSON object per line (the default elsewhere)", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    exit_status = parse_options_filter(self, table, argc, argv, &options.filter);
    if (exit_status >= 0)
        return exit_status;
    if (json && out.text)
        return usage_error(self, "--json and --text exclude each other");
    if (threshold) {
        options.threshold = strtod(threshold, &end);
        if (end == threshold || *end || !(options.threshold >= 0 && options.threshold <= 1))
            return usage_error(self, "the threshold must lie between 0 and 1");
    }
    if (!json && isatty(1))
        out.text = 1;
    options.top = out.top = top;
    options.state_bytes = (size_t)state_bytes;
    options.result = on_result;
    options.user = &out;
    options.stop = install_stop();
    if (isatty(2) && !isatty(1))
        options.progress = show_progress;
    status = open_model(&model, model_path, threads, int8, &error);
    if (status == WLM_OK)
        status = wlm_classify(model, reads.item, reads.count, &options, &report, &error);
    wlm_model_free(model);
    if (status != WLM_OK && status != WLM_STOPPED)
        return report_error(&error);
    explain(&report);
    if (out.failed)
        return fprintf(stderr, "wirelm: out of memory\n"), EXIT_FAILED;
    return EXIT_DONE;
}

const command command_classify = {"classify", "labels the flows of captures",
                                  "[-m MODEL] -r IN|DIR... [-w OUT.pcapng] [options] [filter]", run};
