/* labels.c: a CSV of labels, matched to flows. */
#include "task/labels.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "capture/decode.h"

enum { SRC_IP = 1, DST_IP = 2, SRC_PORT = 4, DST_PORT = 8, PROTO = 16, TUPLE = 31 };

enum { PATH, LABEL, SRC_IP_AT, SRC_PORT_AT, DST_IP_AT, DST_PORT_AT, PROTO_AT, SPLIT, CAPTURE, COLUMNS };
static const char *const column_name[COLUMNS] = {"path",     "label", "src_ip", "src_port", "dst_ip",
                                                 "dst_port", "proto", "split",  "capture"};

static int has_ports(uint8_t proto)
{
    return proto == WLMI_PROTO_TCP || proto == WLMI_PROTO_UDP || proto == WLMI_PROTO_SCTP;
}

uint64_t wlmi_tuple_hash(const wlm_flow_key *key)
{
    uint8_t end[2][18], both[38];
    int swap;
    memcpy(end[0], key->src, 16);
    memcpy(end[1], key->dst, 16);
    wlmi_store_be16(end[0] + 16, has_ports(key->proto) ? key->src_port : 0);
    wlmi_store_be16(end[1] + 16, has_ports(key->proto) ? key->dst_port : 0);
    swap = memcmp(end[0], end[1], 18) > 0;
    memcpy(both, end[swap], 18);
    memcpy(both + 18, end[!swap], 18);
    both[36] = key->addr_len;
    both[37] = key->proto;
    return wlmi_hash(both, sizeof both) | 1;
}

char *wlmi_resolve(const char *folder, const char *path)
{
    size_t size = strlen(folder) + strlen(path) + 2;
    char *joined = wlmi_alloc(size), *real, *copy;
    if (!joined)
        return NULL;
    snprintf(joined, size, "%s%s%s", *path == '/' ? "" : folder, *path == '/' ? "" : "/", path);
    real = realpath(joined, NULL);
    if (!real)
        return joined;
    copy = wlmi_strdup(real);
    free(real);
    wlmi_free(joined);
    return copy;
}

static wlm_status bad(const wlmi_csv *csv, const char *what, const char *value, wlm_error *error)
{
    return wlmi_fail(error, WLM_ERR_FORMAT, csv->path, WLM_NO_OFFSET, "line %llu: %s '%.200s'",
                     (unsigned long long)csv->line, what, value);
}

/* A decimal number up to `most`; the text is not empty. */
static int parse_number(const char *text, long most, long *value)
{
    char *end;
    if (*text < '0' || *text > '9')
        return 0;
    *value = strtol(text, &end, 10);
    return !*end && *value <= most;
}

static int parse_proto(const char *text, uint8_t *proto)
{
    static const struct {
        const char *name;
        uint8_t proto;
    } known[] = {{"tcp", WLMI_PROTO_TCP},   {"udp", WLMI_PROTO_UDP},       {"icmp", WLMI_PROTO_ICMP},
                 {"sctp", WLMI_PROTO_SCTP}, {"icmpv6", WLMI_PROTO_ICMPV6}, {"ipv6-icmp", WLMI_PROTO_ICMPV6}};
    long number;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcasecmp(text, known[i].name)) {
            *proto = known[i].proto;
            return 1;
        }
    if (!parse_number(text, 255, &number))
        return 0;
    *proto = (uint8_t)number;
    return 1;
}

static int parse_address(const char *text, uint8_t address[16], uint8_t *addr_len)
{
    *addr_len = strchr(text, ':') ? 16 : 4;
    return inet_pton(*addr_len == 16 ? AF_INET6 : AF_INET, text, address) == 1;
}

/* *no_address: text that should be an address, or as it was. */
static wlm_status parse_tuple(const wlmi_csv *csv, const char *const value[COLUMNS], wlmi_label_line *l,
                              const char **no_address, wlm_error *error)
{
    uint8_t dst_len = 0;
    long port;
    if (value[SRC_IP_AT]) {
        if (!parse_address(value[SRC_IP_AT], l->key.src, &l->key.addr_len))
            *no_address = value[SRC_IP_AT];
        l->given |= SRC_IP;
    }
    if (value[DST_IP_AT]) {
        if (!parse_address(value[DST_IP_AT], l->key.dst, &dst_len))
            *no_address = value[DST_IP_AT];
        if ((l->given & SRC_IP) && dst_len != l->key.addr_len)
            return bad(csv, "an IPv4 and an IPv6 address in one line:", value[DST_IP_AT], error);
        l->key.addr_len = dst_len;
        l->given |= DST_IP;
    }
    if (value[SRC_PORT_AT]) {
        if (!parse_number(value[SRC_PORT_AT], 65535, &port))
            return bad(csv, "bad port", value[SRC_PORT_AT], error);
        l->key.src_port = (uint16_t)port;
        l->given |= SRC_PORT;
    }
    if (value[DST_PORT_AT]) {
        if (!parse_number(value[DST_PORT_AT], 65535, &port))
            return bad(csv, "bad port", value[DST_PORT_AT], error);
        l->key.dst_port = (uint16_t)port;
        l->given |= DST_PORT;
    }
    if (value[PROTO_AT]) {
        if (!parse_proto(value[PROTO_AT], &l->key.proto))
            return bad(csv, "bad proto", value[PROTO_AT], error);
        l->given |= PROTO;
    }
    l->hash = l->given == TUPLE ? wlmi_tuple_hash(&l->key) : 0;
    return WLM_OK;
}

static wlm_status add_path(wlmi_labels *labels, const char *folder, const char *name, uint32_t *file, wlm_error *error)
{
    char *path;
    *file = wlmi_strings_find(&labels->names, name);
    if (*file != WLMI_NO_STRING)
        return WLM_OK;
    path = wlmi_resolve(folder, name);
    if (!path)
        return WLMI_NO_MEMORY(error);
    *file = wlmi_strings_add(&labels->paths, path);
    wlmi_free(path);
    /* Two spellings of one file: the first one stands for it, the second is looked up anew each time. */
    if (*file == WLMI_NO_STRING ||
        (*file == labels->names.count && wlmi_strings_add(&labels->names, name) == WLMI_NO_STRING))
        return WLMI_NO_MEMORY(error);
    return WLM_OK;
}

static wlm_status parse_line(wlmi_labels *labels, const char *folder, const int at[COLUMNS], wlm_error *error)
{
    const wlmi_csv *csv = &labels->csv;
    const char *value[COLUMNS], *no_address = NULL;
    wlmi_label_line l;
    memset(&l, 0, sizeof l);
    for (int i = 0; i < COLUMNS; i++)
        value[i] = at[i] >= 0 && csv->field[at[i]][0] ? csv->field[at[i]] : NULL;
    if (!value[PATH])
        return bad(csv, "no path", "", error);
    l.line = csv->line;
    l.label = value[LABEL];
    l.capture = value[CAPTURE];
    l.part = WLM_PART_NONE;
    for (int part = WLM_PART_TRAIN; value[SPLIT] && part <= WLM_PART_TEST; part++)
        if (!strcmp(value[SPLIT], wlm_part_name((wlm_part)part)))
            l.part = (wlm_part)part;
    if (value[SPLIT] && l.part == WLM_PART_NONE)
        return bad(csv, "split is none of train, val, test:", value[SPLIT], error);
    WLMI_TRY(parse_tuple(csv, value, &l, &no_address, error));
    if (no_address) { /* as some tools write IPv6: such a line can match nothing */
        if (labels->no_address++ == 0)
            snprintf(labels->no_address_first, sizeof labels->no_address_first, "line %llu: '%.100s'",
                     (unsigned long long)csv->line, no_address);
        return WLM_OK;
    }
    WLMI_TRY(add_path(labels, folder, value[PATH], &l.file, error));
    if (!wlmi_grow(&labels->item, &labels->capacity, labels->count + 1, sizeof *labels->item))
        return WLMI_NO_MEMORY(error);
    labels->item[labels->count++] = l;
    return WLM_OK;
}

static wlm_status parse_header(wlmi_labels *labels, int at[COLUMNS], int need_label, wlm_error *error)
{
    wlmi_csv *csv = &labels->csv;
    wlm_status status = wlmi_csv_row(csv, error);
    if (status == WLM_END)
        return wlmi_fail(error, WLM_ERR_FORMAT, csv->path, WLM_NO_OFFSET, "empty: a header line is needed");
    WLMI_TRY(status);
    for (int i = 0; i < COLUMNS; i++)
        at[i] = wlmi_csv_column(csv, column_name[i]);
    if (at[PATH] < 0 || (need_label && at[LABEL] < 0))
        return wlmi_fail(error, WLM_ERR_FORMAT, csv->path, WLM_NO_OFFSET, "line %llu: no column '%s' in the header",
                         (unsigned long long)csv->line, at[PATH] < 0 ? "path" : "label");
    for (size_t i = 0; i < csv->fields; i++) {
        int known = 0;
        for (int j = 0; j < COLUMNS; j++)
            known |= !strcmp(csv->field[i], column_name[j]);
        if (!known) {
            size_t used = strlen(labels->unknown);
            snprintf(labels->unknown + used, sizeof labels->unknown - used, "%s'%s'", used ? ", " : "", csv->field[i]);
        }
    }
    labels->has_split = at[SPLIT] >= 0;
    labels->has_capture = at[CAPTURE] >= 0;
    return WLM_OK;
}

static int by_file(const void *pa, const void *pb)
{
    const wlmi_label_line *a = pa, *b = pb;
    if (a->file != b->file)
        return a->file < b->file ? -1 : 1;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

static int same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

/* Finds the lines of each file among the sorted ones, and what they agree on. */
static wlm_status index_files(wlmi_labels *labels, wlm_error *error)
{
    size_t files = labels->paths.count, i = 0;
    labels->first = wlmi_alloc_zero(files + 1, sizeof *labels->first);
    labels->agreed = wlmi_alloc_zero(files, sizeof *labels->agreed);
    if (!labels->first || !labels->agreed)
        return WLMI_NO_MEMORY(error);
    for (size_t file = 0; file < files; file++) {
        wlmi_label_line *agreed = &labels->agreed[file];
        labels->first[file] = i;
        agreed->part = i < labels->count ? labels->item[i].part : WLM_PART_NONE;
        agreed->capture = i < labels->count ? labels->item[i].capture : NULL;
        for (; i < labels->count && labels->item[i].file == file; i++) {
            if (labels->item[i].part != agreed->part)
                agreed->part = WLM_PART_NONE;
            if (!same_text(labels->item[i].capture, agreed->capture))
                agreed->capture = NULL;
        }
    }
    labels->first[files] = i;
    return WLM_OK;
}

static wlm_status read_lines(wlmi_labels *labels, const char *folder, int need_label, wlm_error *error)
{
    wlmi_csv *csv = &labels->csv;
    int at[COLUMNS];
    size_t columns;
    wlm_status status;
    WLMI_TRY(parse_header(labels, at, need_label, error));
    columns = csv->fields;
    while ((status = wlmi_csv_row(csv, error)) == WLM_OK) {
        if (csv->fields != columns)
            return wlmi_fail(error, WLM_ERR_FORMAT, csv->path, WLM_NO_OFFSET,
                             "line %llu: %zu fields, but the header has %zu", (unsigned long long)csv->line,
                             csv->fields, columns);
        WLMI_TRY(parse_line(labels, folder, at, error));
    }
    if (status != WLM_END)
        return status;
    if (labels->count)
        qsort(labels->item, labels->count, sizeof *labels->item, by_file);
    return index_files(labels, error);
}

wlm_status wlmi_labels_open(wlmi_labels *labels, const char *path, int need_label, wlm_error *error)
{
    wlm_status status;
    const char *slash = strrchr(path, '/');
    char *given, *folder;
    memset(labels, 0, sizeof *labels);
    given = wlmi_strdup(path);
    if (!given)
        return WLMI_NO_MEMORY(error);
    given[slash ? slash - path : 0] = 0;
    folder = wlmi_resolve(".", slash == path ? "/" : given);
    wlmi_free(given);
    if (!folder)
        return WLMI_NO_MEMORY(error);
    status = wlmi_csv_open(&labels->csv, path, error);
    if (status == WLM_OK)
        status = read_lines(labels, folder, need_label, error);
    wlmi_free(folder);
    if (status != WLM_OK)
        wlmi_labels_close(labels);
    return status;
}

/* Whether what a line names of source and destination is a flow's in this direction. */
static int matches(const wlmi_label_line *l, const wlm_flow_key *key, int backward)
{
    const uint8_t *src = backward ? key->dst : key->src, *dst = backward ? key->src : key->dst;
    uint16_t src_port = backward ? key->dst_port : key->src_port, dst_port = backward ? key->src_port : key->dst_port;
    size_t len = l->key.addr_len;
    if ((l->given & PROTO) && l->key.proto != key->proto)
        return 0;
    if ((l->given & (SRC_IP | DST_IP)) && (len != key->addr_len || !key->proto))
        return 0;
    if (((l->given & SRC_IP) && memcmp(l->key.src, src, len)) || ((l->given & DST_IP) && memcmp(l->key.dst, dst, len)))
        return 0;
    if (!has_ports(key->proto)) /* ports that such flows show are no ports: tools write 0 there */
        return !(l->given & (SRC_PORT | DST_PORT)) || (l->given & PROTO);
    return !(((l->given & SRC_PORT) && l->key.src_port != src_port) ||
             ((l->given & DST_PORT) && l->key.dst_port != dst_port));
}

wlmi_label_line *wlmi_labels_match(wlmi_labels *labels, uint32_t file, const wlm_flow_key *key)
{
    wlmi_label_line *best = NULL;
    size_t low = labels->first[file], high = labels->first[file + 1], end = high;
    uint64_t hash = wlmi_tuple_hash(key);
    /* Lines with a complete 5-tuple stand sorted by hash behind those without (hash 0). */
    for (size_t i = low; i < high && !labels->item[i].hash; i++) {
        wlmi_label_line *l = &labels->item[i];
        if ((!best || __builtin_popcount(l->given) > __builtin_popcount(best->given)) &&
            (matches(l, key, 0) || matches(l, key, 1)))
            best = l;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (labels->item[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < end && labels->item[low].hash == hash; low++)
        if (matches(&labels->item[low], key, 0) || matches(&labels->item[low], key, 1)) {
            best = &labels->item[low];
            break;
        }
    if (best)
        best->matched = 1;
    return best;
}

uint64_t wlmi_labels_first_line(const wlmi_labels *labels, uint32_t file)
{
    uint64_t line = UINT64_MAX;
    for (size_t i = labels->first[file]; i < labels->first[file + 1]; i++)
        line = labels->item[i].line < line ? labels->item[i].line : line;
    return line;
}

void wlmi_labels_close(wlmi_labels *labels)
{
    wlmi_csv_close(&labels->csv);
    wlmi_strings_free(&labels->paths);
    wlmi_strings_free(&labels->names);
    wlmi_free(labels->item);
    wlmi_free(labels->first);
    wlmi_free(labels->agreed);
    memset(labels, 0, sizeof *labels);
}
