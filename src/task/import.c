/* import.c: captures, labels and a split become an imported folder. */
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "model/model.h"
#include "task/ahead.h"
#include "task/shard_layout.h"
#include "task/shard_write.h"
#include "task/sources.h"
#include "task/split.h"

typedef struct importer {
    const wlm_import_options *options;
    wlm_import_report report;
    wlm_split_by split;
    double began;
    int has_labels;
    wlmi_labels labels;
    wlmi_sources sources;
    wlmi_strings files, groups, names; /* of what was imported; names: labels, in order of appearance */
    wlmi_shard_flow *flow;
    size_t flows, capacity;
    wlmi_shard_writer *writer;
    wlmi_ahead *ahead;
    uint64_t passed_over; /* files found that are no captures */
    char passed_over_first[256];
    uint32_t fell_back;   /* labels */
    const wlmi_source *source; /* at hand */
    uint32_t file;
    uint64_t *place;      /* [places] of each of its flows: index in flow, or DROPPED */
    size_t places, place_capacity;
} importer;

#define DROPPED UINT64_MAX

static void note(const importer *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(const importer *m, size_t done, const char *text)
{
    wlm_progress p = {"import", done, m->sources.count, "files", wlmi_clock() - m->began, -1, 0, NAN, 0, text, 0};
    if (done)
        p.remaining_s = p.elapsed_s * (double)(p.total - done) / (double)done;
    if (m->options->progress)
        m->options->progress(m->options->user, &p);
}

static void note(const importer *m, const char *format, ...)
{
    char text[1100];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tell(m, 0, text);
}

static int is_task_name(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t n = strlen(name);
    return n >= 1 && n <= 64 && strspn(name, letters) == n;
}

static wlm_status check_options(const wlm_import_options *o, wlm_error *error)
{
    const char *wrong = NULL;
    if (!o->out || !*o->out)
        wrong = "no folder to write";
    else if (!o->path_count && !o->labels)
        wrong = "nothing to import: name captures, folders, or a CSV of labels";
    else if (o->task && !is_task_name(o->task))
        wrong = "a task's name is 1 to 64 of A-Z a-z 0-9 _ -";
    else if (o->split == WLM_SPLIT_GIVEN && !o->labels)
        wrong = "a given split needs a CSV with a column 'split'";
    return wrong ? wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "%s", wrong) : WLM_OK;
}

static wlm_status read_labels(importer *m, wlm_error *error)
{
    const wlm_import_options *o = m->options;
    m->split = o->split;
    if (o->labels) {
        WLMI_TRY(wlmi_labels_open(&m->labels, o->labels, o->task != NULL, error));
        m->has_labels = 1;
        if (m->labels.unknown[0])
            note(m, "%s: columns that mean nothing here: %s", o->labels, m->labels.unknown);
        if (m->split == WLM_SPLIT_GIVEN && !m->labels.has_split)
            return wlmi_fail(error, WLM_ERR_FORMAT, o->labels, WLM_NO_OFFSET, "no column 'split' for a given split");
    }
    if (m->split == WLM_SPLIT_AUTO)
        m->split = m->has_labels && m->labels.has_split ? WLM_SPLIT_GIVEN : WLM_SPLIT_CAPTURE;
    if (m->labels.no_address && m->split == WLM_SPLIT_GIVEN && !o->task)
        /* Left out, such a line's flow could be one to test on, and be trained on. */
        return wlmi_fail(error, WLM_ERR_FORMAT, o->labels, WLM_NO_OFFSET, "%s is no address",
                         m->labels.no_address_first);
    if (m->labels.no_address)
        note(m, "%s: %llu lines match nothing, for want of an address, the first is %s", o->labels,
             (unsigned long long)m->labels.no_address, m->labels.no_address_first);
    WLMI_TRY(wlmi_sources_gather(&m->sources, o->paths, o->path_count, m->has_labels ? &m->labels : NULL, error));
    if (m->sources.missing)
        note(m, "%s: %llu captures that it names are not there, the first is %s", o->labels,
             (unsigned long long)m->sources.missing, m->sources.missing_first);
    return WLM_OK;
}

/* Part, label and group of a new flow. *keep: it is to be imported. */
static wlm_status place_flow(importer *m, wlmi_shard_flow *flow, int *keep, wlm_error *error)
{
    const wlmi_source *source = m->source;
    wlmi_label_line *line = NULL, said = {.part = WLM_PART_NONE};
    const char *label;
    if (m->has_labels && source->label_file != WLMI_NO_STRING) {
        line = wlmi_labels_match(&m->labels, source->label_file, &flow->key);
        said = line ? *line : m->labels.agreed[source->label_file];
    }
    label = m->has_labels ? said.label : source->folder;
    *keep = !m->options->task || label || m->options->keep_unlabelled;
    if (!*keep)
        return WLM_OK;
    flow->label = WLMI_NO_LABEL;
    if (m->options->task && label) {
        flow->label = wlmi_strings_add(&m->names, label);
        if (flow->label == WLMI_NO_STRING)
            return WLMI_NO_MEMORY(error);
        if (m->names.count > WLMI_MAX_LABELS)
            return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "more than %d labels", WLMI_MAX_LABELS);
    }
    flow->group = wlmi_strings_add(&m->groups, said.capture ? said.capture : source->name);
    if (flow->group == WLMI_NO_STRING)
        return WLMI_NO_MEMORY(error);
    flow->part = m->options->part;
    if (flow->part != WLM_PART_NONE || m->split != WLM_SPLIT_GIVEN)
        return WLM_OK;
    if (line && said.part == WLM_PART_NONE)
        return wlmi_fail(error, WLM_ERR_FORMAT, m->labels.csv.path, WLM_NO_OFFSET, "line %llu: no split",
                         (unsigned long long)said.line);
    /* A flow that no line names follows its file where the lines agree; else it is no one's test flow. */
    flow->part = said.part == WLM_PART_NONE ? WLM_PART_TRAIN : said.part;
    return WLM_OK;
}

static wlm_status new_flow(importer *m, const wlm_flow_key *key, wlm_error *error)
{
    wlmi_shard_flow *flow;
    int keep;
    if (!wlmi_grow(&m->flow, &m->capacity, m->flows + 1, sizeof *m->flow) ||
        !wlmi_grow(&m->place, &m->place_capacity, m->places + 1, sizeof *m->place))
        return WLMI_NO_MEMORY(error);
    flow = &m->flow[m->flows];
    memset(flow, 0, sizeof *flow);
    flow->key = *key;
    flow->file = m->file;
    WLMI_TRY(place_flow(m, flow, &keep, error));
    m->place[m->places++] = keep ? m->flows++ : DROPPED;
    m->report.unlabelled_dropped += !keep;
    return WLM_OK;
}

static wlm_status store_packets(importer *m, const wlmi_ahead_block *block, wlm_error *error)
{
    for (size_t i = 0; i < block->opens; i++)
        WLMI_TRY(new_flow(m, &block->opened[i], error));
    for (size_t i = 0; i < block->packets.count; i++) {
        const wlm_packet packet = wlmi_packet_list_at(&block->packets, i);
        const uint64_t place = m->place[block->flow[i]];
        if (place == DROPPED)
            continue;
        m->report.packets++;
        m->report.bytes += packet.captured;
        WLMI_TRY(wlmi_shard_write_packet(m->writer, place, &packet, error));
    }
    return WLM_OK;
}

/* What is known of the capture's flows now that it is at its end. */
static void end_flows(importer *m)
{
    size_t count;
    const wlmi_ahead_flow *flow = wlmi_ahead_flows(m->ahead, &count);
    for (size_t i = 0; i < count; i++) {
        wlmi_shard_flow *kept = m->place[i] == DROPPED ? NULL : &m->flow[m->place[i]];
        if (!kept)
            continue;
        kept->key = flow[i].key;
        kept->start = flow[i].start;
        kept->end = flow[i].end;
        kept->oneway = flow[i].oneway;
    }
}

static void damaged(importer *m, const wlm_error *why, const char *but)
{
    char offset[40] = "";
    m->report.files_damaged++;
    if (why->offset != WLM_NO_OFFSET)
        snprintf(offset, sizeof offset, "offset %llu: ", (unsigned long long)why->offset);
    note(m, "%s: %s%s%s", m->source->path, offset, why->cause, but);
}

static wlm_status check_stop(const importer *m, wlm_error *error)
{
    if (m->options->stop && *m->options->stop)
        return wlmi_fail(error, WLM_STOPPED, NULL, WLM_NO_OFFSET, "stopped: nothing was imported");
    return WLM_OK;
}

static wlm_status begin_file(importer *m, wlm_error *error)
{
    m->file = wlmi_strings_add(&m->files, m->source->path);
    m->places = 0;
    return m->file == WLMI_NO_STRING ? WLMI_NO_MEMORY(error) : WLM_OK;
}

/* The capture that comes next, which is m->source. */
static wlm_status take_capture(importer *m, wlm_error *error)
{
    const wlmi_ahead_block *block;
    wlm_error why;
    wlm_status status;
    int opened = 0;
    while ((status = wlmi_ahead_next(m->ahead, &block, &why)) == WLM_OK) {
        if (!opened++)
            WLMI_TRY(begin_file(m, error));
        WLMI_TRY(check_stop(m, error));
        WLMI_TRY(store_packets(m, block, error));
    }
    if (status == WLM_ERR_FORMAT && !opened && m->source->found) {
        if (m->passed_over++ == 0)
            snprintf(m->passed_over_first, sizeof m->passed_over_first, "%s", m->source->path);
        return WLM_OK;
    }
    m->report.files++;
    if (status == WLM_ERR_FORMAT) {
        damaged(m, &why, opened ? " (packets before that are imported)" : "");
    } else if (status != WLM_END) {
        if (error)
            *error = why;
        return status;
    }
    if (!opened)
        return WLM_OK;
    end_flows(m);
    return wlmi_shard_write_flush(m->writer, error);
}

static wlm_status take_captures(importer *m, wlm_error *error)
{
    const char **path = wlmi_alloc_array(m->sources.count, sizeof *path);
    wlm_status status = path ? WLM_OK : WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < m->sources.count && path; i++)
        path[i] = m->sources.item[i].path;
    if (status == WLM_OK)
        status = wlmi_ahead_new(&m->ahead, path, m->sources.count, m->options->threads, error);
    for (size_t i = 0; i < m->sources.count && status == WLM_OK; i++) {
        m->source = &m->sources.item[i];
        status = check_stop(m, error);
        if (status == WLM_OK)
            status = take_capture(m, error);
        if (status == WLM_OK)
            tell(m, i + 1, NULL);
    }
    wlmi_ahead_free(m->ahead);
    wlmi_free(path);
    return status;
}

static wlm_status read_captures(importer *m, wlm_error *error)
{
    WLMI_TRY(take_captures(m, error));
    if (m->passed_over)
        note(m, "%llu files that are neither pcap nor pcapng were passed over, the first is %s",
             (unsigned long long)m->passed_over, m->passed_over_first);
    if (m->flows)
        return WLM_OK;
    return wlmi_fail(error, WLM_ERR_FORMAT, m->options->path_count ? m->options->paths[0] : m->options->labels,
                     WLM_NO_OFFSET, "no flows to import: %llu captures, %llu of them damaged, %llu flows without a label",
                     (unsigned long long)m->report.files, (unsigned long long)m->report.files_damaged,
                     (unsigned long long)m->report.unlabelled_dropped);
}

/* ---- labels in order of their names, and the split */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* *sorted: the label names in bytewise order; the flows' labels become indices in it. */
static wlm_status sort_labels(importer *m, char ***sorted, wlm_error *error)
{
    size_t n = m->names.count;
    *sorted = wlmi_alloc_array(n, sizeof **sorted);
    if (!*sorted)
        return WLMI_NO_MEMORY(error);
    if (n) {
        memcpy(*sorted, m->names.text, n * sizeof **sorted);
        qsort(*sorted, n, sizeof **sorted, by_text);
    }
    for (size_t i = 0; i < m->flows; i++)
        if (m->flow[i].label != WLMI_NO_LABEL) {
            char **at = bsearch(&m->names.text[m->flow[i].label], *sorted, n, sizeof **sorted, by_text);
            m->flow[i].label = (uint32_t)(at - *sorted);
        }
    m->report.labels = n;
    return WLM_OK;
}

static wlm_status split_flows(importer *m, wlm_error *error)
{
    uint32_t none = (uint32_t)m->names.count, labels = none; /* flows without a label stand behind all labels */
    wlmi_split_item *item;
    wlm_status status;
    if (m->options->part != WLM_PART_NONE || m->split == WLM_SPLIT_GIVEN)
        return WLM_OK;
    item = wlmi_alloc_array(m->flows, sizeof *item);
    if (!item)
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < m->flows; i++) {
        const char *group = m->groups.text[m->flow[i].group];
        item[i].group = wlmi_hash(group, strlen(group));
        item[i].flow = wlmi_mix2(item[i].group, wlmi_tuple_hash(&m->flow[i].key));
        item[i].label = m->flow[i].label == WLMI_NO_LABEL ? none : m->flow[i].label;
        labels = item[i].label == none ? none + 1 : labels;
    }
    status = wlmi_split(item, m->flows, labels, m->split, m->options->seed, &m->fell_back, error);
    for (size_t i = 0; i < m->flows && status == WLM_OK; i++)
        m->flow[i].part = item[i].part;
    wlmi_free(item);
    m->report.fell_back = m->fell_back > 0;
    if (m->fell_back && m->options->task)
        note(m, "split by flow, not by capture, for %u of %u labels: each of them stands in one capture only",
             m->fell_back, labels);
    else if (m->fell_back)
        note(m, "split by flow, not by capture: there is only one capture");
    return status;
}

/* ---- the folder */

/* A list of texts; what is not UTF-8 in a path is written as '?'. */
static json_t *text_list(char *const *text, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *value = json_string(text[i]);
        if (!value) {
            char *copy = wlmi_strdup(text[i]);
            for (char *c = copy; c && *c; c++)
                *c = (signed char)*c < 0 ? '?' : *c;
            value = copy ? json_string(copy) : NULL;
            wlmi_free(copy);
        }
        if (json_array_append_new(list, value) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static char *description(const importer *m, char *const *labels, const char *data, const char *index)
{
    static const char *const split_name[] = {"capture", "flow", "given"};
    const wlm_import_report *r = &m->report;
    const char *split = m->options->part != WLM_PART_NONE ? "one part" : split_name[m->split];
    json_t *root = json_pack(
        "{s:i, s:s?, s:s, s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:{s:s, s:s}}", "version",
        WLMI_SHARD_VERSION, "task", m->options->task, "split", split, "seed", (json_int_t)m->options->seed, "fell_back",
        r->fell_back, "labels_fell_back", (json_int_t)m->fell_back, "files_damaged", (json_int_t)r->files_damaged,
        "flows", (json_int_t)r->flows, "packets", (json_int_t)r->packets, "bytes", (json_int_t)r->bytes,
        "unlabelled_dropped", (json_int_t)r->unlabelled_dropped, "csv_unmatched", (json_int_t)r->csv_unmatched,
        "labels", text_list(labels, m->names.count), "files", text_list(m->files.text, m->files.count), "groups",
        text_list(m->groups.text, m->groups.count), "sha256", WLMI_SHARD_DATA, data, WLMI_SHARD_INDEX, index);
    char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    json_decref(root);
    return text;
}

static wlm_status write_folder(importer *m, wlm_error *error)
{
    char data[65], index[65], **labels = NULL, *json = NULL;
    wlm_status status = sort_labels(m, &labels, error);
    if (status == WLM_OK)
        status = split_flows(m, error);
    for (size_t i = 0; i < m->flows && status == WLM_OK; i++) {
        status = wlmi_shard_write_flow(m->writer, &m->flow[i], error);
        m->report.flows++;
        m->report.labelled += m->flow[i].label != WLMI_NO_LABEL;
        m->report.part_flows[m->flow[i].part]++;
    }
    m->report.csv_unmatched = m->labels.no_address;
    for (size_t i = 0; m->has_labels && i < m->labels.count; i++)
        m->report.csv_unmatched += !m->labels.item[i].matched &&
            wlmi_strings_find(&m->sources.seen, m->labels.paths.text[m->labels.item[i].file]) != WLMI_NO_STRING;
    if (status == WLM_OK)
        status = wlmi_shard_write_footer(m->writer, data, index, error);
    if (status == WLM_OK) {
        json = description(m, labels, data, index);
        if (!json)
            status = WLMI_NO_MEMORY(error);
    }
    if (status == WLM_OK) {
        status = wlmi_shard_writer_finish(m->writer, json, error);
        m->writer = NULL;
    }
    free(json);
    wlmi_free(labels);
    return status;
}

wlm_import_options wlm_import_options_default(void)
{
    wlm_import_options o;
    memset(&o, 0, sizeof o);
    o.split = WLM_SPLIT_AUTO;
    o.part = WLM_PART_NONE;
    o.seed = 1;
    return o;
}

wlm_status wlm_import(const wlm_import_options *options, wlm_import_report *report, wlm_error *error)
{
    importer m;
    wlm_status status;
    memset(&m, 0, sizeof m);
    m.options = options;
    m.began = wlmi_clock();
    status = check_options(options, error);
    if (status == WLM_OK)
        status = wlmi_shard_writer_new(&m.writer, options->out, error);
    if (status == WLM_OK)
        status = read_labels(&m, error);
    if (status == WLM_OK)
        status = read_captures(&m, error);
    if (status == WLM_OK)
        status = write_folder(&m, error);
    wlmi_shard_writer_discard(m.writer);
    if (report)
        *report = m.report;
    wlmi_labels_close(&m.labels);
    wlmi_sources_free(&m.sources);
    wlmi_strings_free(&m.files);
    wlmi_strings_free(&m.groups);
    wlmi_strings_free(&m.names);
    wlmi_free(m.flow);
    wlmi_free(m.place);
    return status;
}
