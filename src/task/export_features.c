/* export_features.c: features of imported flows as JSON Lines. */
#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "capture/alter.h"
#include "task/features.h"
#include "task/json.h"

typedef struct run {
    const wlm_features_options *options;
    wlm_features_report report;
    wlmi_feature_reader *reader;
    wlmi_output *out;
    wlmi_features features; /* of the flow at hand */
    double start_s, shown_s;
} run;

wlm_features_options wlm_features_options_default(void)
{
    wlm_features_options options = {.part = WLM_PART_NONE, .hide = WLM_HIDE_IDS, .payload = WLM_PAYLOAD_FULL};
    return options;
}

/* ---------------------------------------------------------------- a flow as JSON */

static void put(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

static json_t *hex_json(const wlmi_bytes_seen *seen)
{
    static const char digit[] = "0123456789abcdef";
    char text[2 * WLM_FEATURE_BYTES + 1];
    for (size_t i = 0; i < seen->count; i++) {
        text[2 * i] = digit[seen->byte[i] >> 4];
        text[2 * i + 1] = digit[seen->byte[i] & 15];
    }
    return json_stringn(text, 2 * seen->count);
}

static json_t *address_json(const uint8_t *address, uint8_t size)
{
    char text[64] = "";
    if (size == 4 || size == 16)
        inet_ntop(size == 4 ? AF_INET : AF_INET6, address, text, sizeof text);
    for (uint8_t i = 0; size != 4 && size < 16 && i < size; i++)
        snprintf(text + 3 * i, sizeof text - 3u * i, i ? ":%02x" : "%02x", address[i]);
    return json_string(text);
}

/* Kinds, in order: "2 4 8 1 3". */
static json_t *options_json(const wlmi_packet_features *p)
{
    char text[4 * WLMI_OPTION_KINDS + 1] = "";
    int at = 0;
    for (int i = 0; i < p->options; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, i ? " %u" : "%u", p->option[i]);
    return json_string(text);
}

static void put_packets(json_t *flow, const wlmi_features *f)
{
    static const char *const names[] = {"time", "backward", "wire", "payload", "ttl",
                                        "tos", "df", "id", "flags", "window"};
    enum { COLUMNS = sizeof names / sizeof *names };
    json_t *column[COLUMNS], *options = json_array();
    for (int c = 0; c < COLUMNS; c++)
        column[c] = json_array();
    for (int i = 0; i < f->packets; i++) {
        const wlmi_packet_features *p = &f->packet[i];
        const json_int_t value[COLUMNS] = {0, p->backward, p->wire, p->payload, p->ttl, p->tos, p->df, p->id,
                                           p->tcp_flags, p->window};
        json_array_append_new(column[0], json_real((double)p->time_ns * 1e-9));
        for (int c = 1; c < COLUMNS; c++)
            json_array_append_new(column[c], json_integer(value[c]));
        json_array_append_new(options, options_json(p));
    }
    for (int c = 0; c < COLUMNS; c++)
        put(flow, names[c], column[c]);
    put(flow, "options", options);
}

/* What no policy but none leaves. */
static void put_shortcuts(json_t *flow, const wlmi_features *f)
{
    put(flow, "clock_ns", json_integer(f->first_ns));
    put(flow, "link_type", json_integer(f->key.link_type));
    put(flow, "src", address_json(f->key.src, f->key.addr_len));
    put(flow, "dst", address_json(f->key.dst, f->key.addr_len));
    put(flow, "src_port", json_integer(f->key.src_port));
    put(flow, "dst_port", json_integer(f->key.dst_port));
}

static json_t *flow_json(const run *r, int folder, const wlmi_dataset *data, const wlmi_shard_flow *flow)
{
    const wlmi_features *f = &r->features;
    const int known = flow->label != WLMI_NO_LABEL;
    json_t *object = json_object();
    char name[20];
    snprintf(name, sizeof name, "%016llx", (unsigned long long)wlmi_mix2(flow->file, flow->first_packet));
    put(object, "data", json_integer(folder));
    put(object, "flow", json_string(name));
    put(object, "group", json_integer(flow->group));
    put(object, "part", json_string(wlm_part_name(flow->part)));
    put(object, "label", known ? json_string(wlmi_dataset_label(data, flow->label)) : json_null());
    put(object, "packets", json_integer((json_int_t)flow->packets));
    put(object, "ip", json_integer(f->ip_version));
    put(object, "proto", json_integer(f->proto));
    put_packets(object, f);
    put(object, "segment_size", json_pack("[i,i]", f->segment_size[0], f->segment_size[1]));
    put(object, "window_scale", json_pack("[i,i]", f->window_scale[0], f->window_scale[1]));
    put(object, "bytes", hex_json(&f->both));
    put(object, "bytes_forward", hex_json(&f->direction[0]));
    put(object, "bytes_backward", hex_json(&f->direction[1]));
    if (r->options->hide == WLM_HIDE_NONE)
        put_shortcuts(object, f);
    return object;
}

/* ---------------------------------------------------------------- all flows */

static wlm_status write_flow(run *r, int folder, const wlmi_dataset *data, const wlmi_shard_flow *flow,
                             wlm_error *error)
{
    WLMI_TRY(wlmi_json_line(r->out, flow_json(r, folder, data, flow), 10, error));
    r->report.flows++;
    r->report.packets += (uint64_t)r->features.packets;
    return WLM_OK;
}

static void show(run *r)
{
    double elapsed = wlmi_clock() - r->start_s;
    wlm_progress progress = {.what = "features", .done = r->report.flows, .unit = "flows",
                             .elapsed_s = elapsed, .remaining_s = -1, .loss = NAN};
    if (!r->options->progress || elapsed < r->shown_s + 0.2)
        return;
    r->shown_s = elapsed;
    r->options->progress(r->options->user, &progress);
}

static wlm_status write_folder(run *r, int folder, const wlmi_dataset *data, wlm_error *error)
{
    const wlm_features_options *o = r->options;
    for (uint64_t i = 0; i < wlmi_dataset_flows(data); i++) {
        wlmi_shard_flow flow;
        wlmi_dataset_flow(data, i, &flow);
        if (o->stop && *o->stop)
            return WLM_STOPPED;
        if ((o->part != WLM_PART_NONE && flow.part != o->part) || (o->labelled && flow.label == WLMI_NO_LABEL))
            continue;
        WLMI_TRY(wlmi_features_read(r->reader, &r->features, data, i, error));
        WLMI_TRY(write_flow(r, folder, data, &flow, error));
        show(r);
    }
    return WLM_OK;
}

static wlm_status write_all(run *r, wlm_error *error)
{
    const wlm_features_options *o = r->options;
    const int alter = o->alter ? wlmi_alter_find(o->alter) : -1;
    if (o->alter && alter < 0)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no alteration '%.32s'", o->alter);
    WLMI_TRY(wlmi_feature_reader_new(&r->reader, o->hide, o->payload, alter, o->max_packets, error));
    WLMI_TRY(wlmi_output_open(&r->out, o->out, error));
    for (size_t d = 0; d < o->data_count; d++) {
        wlmi_dataset *data;
        wlm_status status;
        WLMI_TRY(wlmi_dataset_open(&data, o->data[d], error));
        status = write_folder(r, (int)d, data, error);
        wlmi_dataset_close(data);
        WLMI_TRY(status);
    }
    return WLM_OK;
}

wlm_status wlm_features(const wlm_features_options *options, wlm_features_report *report, wlm_error *error)
{
    run r = {.options = options, .start_s = wlmi_clock()};
    wlm_status status;
    if (!options->data_count || !options->out)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         options->out ? "no imported folder was named" : "no file to write features to was named");
    status = write_all(&r, error);
    if (status == WLM_OK)
        status = wlmi_output_finish(r.out, error);
    else
        wlmi_output_discard(r.out);
    wlmi_feature_reader_free(r.reader);
    if (report)
        *report = r.report;
    return status;
}
