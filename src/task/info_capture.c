/* info_capture.c: what captures and token files hold, as JSON. */
#include "task/info_capture.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/io.h"
#include "capture/capture.h"
#include "capture/flow.h"
#include "token/tokfile.h"

enum { LINKS_SHOWN = 64 };

typedef struct summary {
    uint64_t packets, captured, wire, flows;
    int64_t first_ns, last_ns; /* earliest and latest */
    struct {
        uint32_t type;
        uint64_t packets;
    } link[LINKS_SHOWN];
    size_t links; /* more than LINKS_SHOWN are not told apart */
} summary;

static json_t *number(uint64_t n)
{
    return json_integer((json_int_t)n);
}

/* Takes the reference. */
static wlm_status to_text(json_t *root, char **json, wlm_error *error)
{
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    *json = text ? wlmi_strdup(text) : NULL;
    free(text);
    return *json ? WLM_OK : WLMI_NO_MEMORY(error);
}

static void add_damage(json_t *root, uint64_t offset, const char *cause)
{
    json_object_set_new(root, "damage", json_pack("{s:o, s:s}", "offset", number(offset), "cause", cause));
}

static void forget(void *owner, wlmi_flow *flow)
{
    (void)owner;
    (void)flow;
}

static void count(summary *s, const wlm_packet *packet, uint64_t flow_id)
{
    size_t i = 0;
    if (s->packets == 0 || packet->time_ns < s->first_ns)
        s->first_ns = packet->time_ns;
    if (s->packets == 0 || packet->time_ns > s->last_ns)
        s->last_ns = packet->time_ns;
    s->packets++;
    s->captured += packet->captured;
    s->wire += packet->wire;
    s->flows = flow_id > s->flows ? flow_id : s->flows;
    while (i < s->links && s->link[i].type != packet->link_type)
        i++;
    if (i == LINKS_SHOWN)
        return;
    if (i == s->links) {
        s->link[i].type = packet->link_type;
        s->links++;
    }
    s->link[i].packets++;
}

/* Reads to the end: WLM_END, or what stopped it. */
static wlm_status read_packets(wlm_capture *capture, wlmi_flow_table *flows, summary *s, wlm_error *error)
{
    for (;;) {
        wlm_packet packet;
        wlmi_headers headers;
        wlmi_flow *flow;
        int backward;
        WLMI_TRY(wlm_capture_next(capture, &packet, error));
        wlmi_decode(&packet, &headers);
        WLMI_TRY(wlmi_flow_of(flows, &packet, &headers, &flow, &backward, error));
        count(s, &packet, flow->id);
    }
}

static json_t *capture_json(const wlm_capture *capture, const summary *s)
{
    json_t *links = json_object(), *root;
    for (size_t i = 0; i < s->links; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u", s->link[i].type);
        json_object_set_new(links, name, number(s->link[i].packets));
    }
    root = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "kind", "capture", "format",
                     wlm_capture_format(capture) == WLM_FORMAT_PCAP ? "pcap" : "pcapng", "packets", number(s->packets),
                     "flows", number(s->flows), "captured_bytes", number(s->captured), "wire_bytes", number(s->wire),
                     "packets_by_link_type", links);
    if (root && s->packets) {
        json_object_set_new(root, "first_ns", json_integer(s->first_ns));
        json_object_set_new(root, "last_ns", json_integer(s->last_ns));
    }
    return root;
}

static wlm_status describe_capture(const char *path, char **json, wlm_error *error)
{
    summary s = {0};
    wlm_capture *capture;
    wlmi_flow_table *flows = NULL;
    wlm_error why;
    wlm_status status;
    json_t *root;
    WLMI_TRY(wlm_capture_open(&capture, path, error));
    status = wlmi_flow_table_new(&flows, &(wlmi_flow_options){0}, forget, NULL, &why);
    if (status == WLM_OK)
        status = read_packets(capture, flows, &s, &why);
    if (status == WLM_END || status == WLM_ERR_FORMAT) {
        root = capture_json(capture, &s);
        if (root && status == WLM_ERR_FORMAT)
            add_damage(root, why.offset, why.cause);
        status = to_text(root, json, error);
    } else if (error) {
        *error = why;
    }
    wlmi_flow_table_free(flows);
    wlm_capture_close(capture);
    return status;
}

static wlm_status from_input(void *owner, void *out, size_t size, size_t *got, wlm_error *error)
{
    return wlmi_input_read(owner, out, size, got, error);
}

static wlm_status read_tokens(wlmi_tokfile_reader *reader, char **json, wlm_error *error)
{
    wlmi_tokfile_head head;
    wlm_token_report trailer;
    wlmi_frame frame;
    uint64_t frames = 0;
    wlm_status status;
    json_t *root;
    WLMI_TRY(wlmi_tokfile_get_head(reader, &head, error));
    while ((status = wlmi_tokfile_next(reader, &frame, &trailer, error)) == WLM_OK)
        frames++;
    if (status != WLM_END)
        return status;
    root = json_pack("{s:s, s:s, s:i, s:s, s:s, s:I}", "kind", "tokens", "codec", head.codec, "codec_version",
                     (int)head.codec_version, "codec_hash", head.codec_hash, "format",
                     head.format == WLM_FORMAT_PCAP ? "pcap" : "pcapng", "start_ns", (json_int_t)head.start_ns);
    if (root) {
        json_object_set_new(root, "unit", json_string(wlm_unit_name((wlm_unit)head.unit)));
        json_object_set_new(root, "flows_held", number(head.flows));
        json_object_set_new(root, "payload",
                            head.payload == WLM_PAYLOAD_FULL ? json_string("full") : number(head.payload));
        if (head.payload != WLM_PAYLOAD_FULL)
            json_object_set_new(root, "seed", number(head.seed));
        json_object_set_new(root, "frames", number(frames));
        json_object_set_new(root, "packets", number(trailer.packets));
        json_object_set_new(root, "flows", number(trailer.flows));
        json_object_set_new(root, "tokens", number(trailer.tokens));
        json_object_set_new(root, "capture_bytes", number(trailer.capture_bytes));
        json_object_set_new(root, "sha256", json_string(trailer.sha256));
        if (trailer.damage[0])
            add_damage(root, trailer.damage_offset, trailer.damage);
    }
    return to_text(root, json, error);
}

static wlm_status describe_tokens(wlmi_input *input, char **json, wlm_error *error)
{
    wlmi_tokfile_reader *reader;
    wlm_status status;
    WLMI_TRY(wlmi_tokfile_reader_new(&reader, (wlmi_source){from_input, input, wlmi_input_name(input)}, error));
    status = read_tokens(reader, json, error);
    wlmi_tokfile_reader_free(reader);
    return status;
}

static wlm_status tell(const char *path, int *is_tokens, wlm_error *error)
{
    uint8_t magic[WLMI_TOKFILE_MAGIC] = {0};
    wlmi_input *input;
    size_t got;
    wlm_status status;
    WLMI_TRY(wlmi_input_open(&input, path, error));
    status = wlmi_input_read(input, magic, sizeof magic, &got, error);
    *is_tokens = wlmi_tokfile_magic(magic);
    if (status == WLM_OK && !*is_tokens && !wlmi_pcap_magic(magic) && !wlmi_pcapng_magic(magic))
        status = wlmi_fail(error, WLM_ERR_UNSUPPORTED, path, WLM_NO_OFFSET, "not a file that wirelm knows");
    wlmi_input_close(input);
    return status;
}

wlm_status wlmi_describe_packets(const char *path, char **json, wlm_error *error)
{
    wlmi_input *input;
    wlm_status status;
    int is_tokens;
    *json = NULL;
    WLMI_TRY(tell(path, &is_tokens, error));
    if (!is_tokens)
        return describe_capture(path, json, error);
    WLMI_TRY(wlmi_input_open(&input, path, error));
    status = describe_tokens(input, json, error);
    wlmi_input_close(input);
    return status;
}
