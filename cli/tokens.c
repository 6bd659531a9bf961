/* tokens.c: what encode, decode and verify say about a capture. */
#include <jansson.h>

#include "cli.h"

json_t *token_report_json(const char *file, const wlm_token_report *report)
{
    json_t *name = json_string(file), *object;
    if (!name)
        name = json_string("(a name that is not UTF-8)");
    object = json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:s}", "file", name, "unit",
                       wlm_unit_name(report->unit), "packets", (json_int_t)report->packets,
                       "flows", (json_int_t)report->flows, "tokens", (json_int_t)report->tokens, "capture_bytes",
                       (json_int_t)report->capture_bytes, "token_file_bytes", (json_int_t)report->token_file_bytes,
                       "sha256", report->sha256);
    if (object && report->payload != WLM_PAYLOAD_FULL)
        json_object_set_new(object, "payload", json_integer(report->payload));
    if (object && report->lossy)
        json_object_set_new(object, "lossy", json_true());
    if (object && report->damage[0])
        json_object_set_new(object, "damage_offset", json_integer((json_int_t)report->damage_offset));
    return object;
}

void report_damage(const char *file, const wlm_token_report *report)
{
    if (report->damage[0])
        fprintf(stderr, "wirelm: %s: offset %llu: %s; carried as it is from there on\n", file,
                (unsigned long long)report->damage_offset, report->damage);
}

void add_token_report(wlm_token_report *sum, const wlm_token_report *report)
{
    sum->packets += report->packets;
    sum->flows += report->flows;
    sum->tokens += report->tokens;
    sum->capture_bytes += report->capture_bytes;
    sum->token_file_bytes += report->token_file_bytes;
}

json_t *token_sum_json(json_t *object, const wlm_token_report *sum)
{
    json_t *counts = json_pack("{s:I, s:I, s:I, s:I, s:I}", "packets", (json_int_t)sum->packets, "flows",
                               (json_int_t)sum->flows, "tokens", (json_int_t)sum->tokens, "capture_bytes",
                               (json_int_t)sum->capture_bytes, "token_file_bytes", (json_int_t)sum->token_file_bytes);
    if (object && json_object_update(object, counts) != 0) {
        json_decref(object);
        object = NULL;
    }
    json_decref(counts);
    return object;
}
