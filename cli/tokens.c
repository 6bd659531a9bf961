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
