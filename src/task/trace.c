/* trace.c: generated flows into captures. */
#include "task/trace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "capture/decode.h"
#include "task/background.h"
#include "task/timeline.h"
#include "task/truth.h"

struct wlmi_trace {
    wlmi_trace_options options;
    wlm_writer_options writing; /* of every capture */
    wlm_writer *writer;         /* NULL: only files per flow */
    wlmi_timeline timeline;
    wlmi_background background;
    wlmi_truth *truth;
};

/* The format that a name asks for: .pcapng, else pcap; a compressor's suffix does not count. */
static wlm_format format_of(const char *path)
{
    static const char *const packed[] = {".gz", ".zst"};
    static const char wanted[] = ".pcapng";
    size_t length = strlen(path), n = sizeof wanted - 1;
    for (size_t i = 0; i < 2; i++)
        if (length > strlen(packed[i]) && !strcmp(path + length - strlen(packed[i]), packed[i])) {
            length -= strlen(packed[i]);
            break;
        }
    return length >= n && !strncmp(path + length - n, wanted, n) ? WLM_FORMAT_PCAPNG : WLM_FORMAT_PCAP;
}

static wlm_status check(const wlmi_trace_options *o, wlm_error *error)
{
    if (!o->out && !o->per_flow)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no file to write was named");
    if (o->truth && o->out && !strcmp(o->out, "-"))
        return wlmi_fail(error, WLM_ERR_ARGUMENT, o->truth, WLM_NO_OFFSET,
                         "a CSV names the capture it tells of: standard output has no name");
    if (o->merge && !o->out)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, o->merge, WLM_NO_OFFSET,
                         "flows are mixed into one capture: a file for it is needed");
    return WLM_OK;
}

static wlm_status make_folder(const char *path, wlm_error *error)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return WLM_OK;
    return wlmi_fail(error, WLM_ERR_IO, path, WLM_NO_OFFSET, "cannot make a folder: %s", strerror(errno));
}

static wlm_status prepare(wlmi_trace *t, wlmi_address_plan *plan, wlm_error *error)
{
    const wlmi_trace_options *o = &t->options;
    WLMI_TRY(check(o, error));
    t->writing = (wlm_writer_options){.format = o->out ? format_of(o->out) : WLM_FORMAT_PCAP,
                                      .link_type = WLMI_LINK_ETHERNET, .nanosecond = 1};
    if (o->merge)
        WLMI_TRY(wlmi_background_open(&t->background, o->merge, t->writing.format == WLM_FORMAT_PCAPNG, plan, error));
    if (o->truth)
        WLMI_TRY(wlmi_truth_open(&t->truth, o->truth, error));
    if (o->per_flow)
        WLMI_TRY(make_folder(o->per_flow, error));
    return o->out ? wlm_writer_open(&t->writer, o->out, &t->writing, error) : WLM_OK;
}

wlm_status wlmi_trace_open(wlmi_trace **trace, const wlmi_trace_options *options, wlmi_address_plan *plan,
                           wlm_error *error)
{
    wlmi_trace *t = wlmi_alloc_zero(1, sizeof *t);
    wlm_status status;
    *trace = NULL;
    if (!t)
        return WLMI_NO_MEMORY(error);
    t->options = *options;
    status = prepare(t, plan, error);
    if (status == WLM_OK)
        *trace = t;
    else
        wlmi_trace_discard(t);
    return status;
}

int wlmi_trace_span(const wlmi_trace *t, int64_t *first_ns, int64_t *last_ns)
{
    *first_ns = t->background.first_ns;
    *last_ns = t->background.last_ns;
    return t->options.merge != NULL;
}

/* ---------------------------------------------------------------- a file per flow */

/* FOLDER/LABEL/NUMBER.pcap, the label as a name that is no path and no hidden one; *path for wlmi_free. */
static wlm_status name_file(const wlmi_trace *t, const char *label, uint64_t number, char **path, wlm_error *error)
{
    size_t at, size = strlen(t->options.per_flow) + (label ? strlen(label) : 0) + 40;
    char *text = *path = wlmi_alloc(size);
    if (!text)
        return WLMI_NO_MEMORY(error);
    at = (size_t)snprintf(text, size, "%s/", t->options.per_flow);
    if (label) {
        snprintf(text + at, size - at, "%s", label);
        for (char *c = text + at; *c; c++)
            if (*c == '/' || (*c == '.' && c == text + at))
                *c = '_';
        at += strlen(text + at);
        WLMI_TRY(make_folder(text, error));
        text[at++] = '/';
    }
    snprintf(text + at, size - at, "%06llu.%s", (unsigned long long)number,
             t->writing.format == WLM_FORMAT_PCAPNG ? "pcapng" : "pcap");
    return WLM_OK;
}

static wlm_status write_flow(const wlmi_trace *t, const wlmi_traced *flows, uint64_t flow, const char *path,
                             wlm_error *error)
{
    wlm_writer *writer;
    wlm_status status;
    WLMI_TRY(wlm_writer_open(&writer, path, &t->writing, error));
    status = WLM_OK;
    for (size_t i = 0; i < flows->packets->count && status == WLM_OK; i++) {
        wlm_packet packet = wlmi_packet_list_at(flows->packets, i);
        if (flows->of[i] == flow)
            status = wlm_writer_packet(writer, &packet, error);
    }
    if (status == WLM_OK)
        return wlm_writer_finish(writer, error);
    wlm_writer_discard(writer);
    return status;
}

/* ---------------------------------------------------------------- all flows */

/* The flow's own file, and its line of truth. */
static wlm_status add_flow(wlmi_trace *t, const wlmi_traced *flows, uint64_t flow, wlm_error *error)
{
    wlmi_truth_line line = {t->options.out, flows->label, NULL, 0};
    wlm_packet first, packet;
    char *path = NULL;
    wlm_status status = WLM_OK;
    for (size_t i = 0; i < flows->packets->count; i++) {
        packet = wlmi_packet_list_at(flows->packets, i);
        if (flows->of[i] == flow && !line.packets++)
            first = packet;
    }
    if (!line.packets)
        return WLM_OK;
    line.first = &first;
    if (t->options.per_flow)
        status = name_file(t, flows->label, flows->first + flow + 1, &path, error);
    if (status == WLM_OK && path)
        status = write_flow(t, flows, flow, path, error);
    if (!line.path)
        line.path = path;
    if (status == WLM_OK && t->truth)
        status = wlmi_truth_add(t->truth, &line, error);
    wlmi_free(path);
    return status;
}

wlm_status wlmi_trace_add(wlmi_trace *t, const wlmi_traced *flows, wlm_error *error)
{
    for (size_t i = 0; t->writer && i < flows->packets->count; i++) {
        wlm_packet packet = wlmi_packet_list_at(flows->packets, i);
        WLMI_TRY(wlmi_timeline_add(&t->timeline, &packet, error));
    }
    for (uint64_t flow = 0; (t->truth || t->options.per_flow) && flow < flows->flows; flow++)
        WLMI_TRY(add_flow(t, flows, flow, error));
    return WLM_OK;
}

wlm_status wlmi_trace_write(wlmi_trace *t, int64_t before_ns, wlm_error *error)
{
    int64_t time_ns;
    while (t->writer && wlmi_timeline_first(&t->timeline, &time_ns) && time_ns < before_ns) {
        WLMI_TRY(wlmi_background_write(&t->background, time_ns, t->writer, error));
        WLMI_TRY(wlmi_timeline_write(&t->timeline, time_ns + 1, t->writer, error));
    }
    return WLM_OK;
}

static wlm_status finish(wlmi_trace *t, wlm_error *error)
{
    wlm_writer *writer = t->writer;
    wlmi_truth *truth = t->truth;
    WLMI_TRY(wlmi_trace_write(t, INT64_MAX, error));
    WLMI_TRY(wlmi_background_write(&t->background, INT64_MAX, writer, error));
    t->writer = NULL;
    if (writer)
        WLMI_TRY(wlm_writer_finish(writer, error));
    t->truth = NULL;
    return truth ? wlmi_truth_finish(truth, error) : WLM_OK;
}

wlm_status wlmi_trace_finish(wlmi_trace *t, wlm_error *error)
{
    wlm_status status = finish(t, error);
    wlmi_trace_discard(t);
    return status;
}

void wlmi_trace_discard(wlmi_trace *t)
{
    if (!t)
        return;
    wlm_writer_discard(t->writer);
    wlmi_truth_discard(t->truth);
    wlmi_timeline_free(&t->timeline);
    wlmi_background_close(&t->background);
    wlmi_free(t);
}
