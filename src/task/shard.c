/* shard.c: an imported folder, memory-mapped. Everything but packet bytes is checked once, when it is opened. */
#include "task/shard.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "task/shard_layout.h"

struct wlmi_dataset {
    char *name;
    wlmi_map index_map, data_map; /* empty over memory */
    json_t *root;            /* strings below belong to it */
    const char *task;
    json_t *labels, *files, *groups;
    const uint8_t *data, *packet, *flow;
    uint64_t data_size, packets, flows;
    int fell_back;
};

static wlm_status damaged(const wlmi_dataset *d, const char *file, uint64_t offset, const char *cause, wlm_error *error)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", d->name, file);
    return wlmi_fail(error, WLM_ERR_FORMAT, path, offset, "%s", cause);
}

/* An array of strings under a key, with at most `most` of them. */
static json_t *strings(const wlmi_dataset *d, const char *key, size_t most)
{
    json_t *array = json_object_get(d->root, key), *value;
    size_t i;
    if (!json_is_array(array) || json_array_size(array) > most)
        return NULL;
    json_array_foreach(array, i, value)
        if (!json_is_string(value))
            return NULL;
    return array;
}

static wlm_status read_json(wlmi_dataset *d, const void *text, size_t size, wlm_error *error)
{
    json_error_t at;
    json_t *version, *task;
    d->root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &at);
    if (!d->root)
        return damaged(d, WLMI_SHARD_JSON, at.position < 0 ? WLM_NO_OFFSET : (uint64_t)at.position, at.text, error);
    version = json_object_get(d->root, "version");
    if (!json_is_integer(version))
        return damaged(d, WLMI_SHARD_JSON, WLM_NO_OFFSET, "not the description of an imported folder", error);
    if (json_integer_value(version) != WLMI_SHARD_VERSION)
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, d->name, WLM_NO_OFFSET,
                         "an imported folder of version %lld; this build reads version %d: import again",
                         (long long)json_integer_value(version), WLMI_SHARD_VERSION);
    task = json_object_get(d->root, "task");
    if (task && !json_is_null(task) && !json_is_string(task))
        return damaged(d, WLMI_SHARD_JSON, WLM_NO_OFFSET, "'task' is no string", error);
    d->task = json_string_value(task);
    d->labels = strings(d, "labels", WLMI_NO_LABEL - 1);
    d->files = strings(d, "files", UINT32_MAX);
    d->groups = strings(d, "groups", UINT32_MAX);
    if (!d->labels || !d->files || !d->groups)
        return damaged(d, WLMI_SHARD_JSON, WLM_NO_OFFSET, "'labels', 'files' or 'groups' is missing or no list of strings",
                       error);
    d->fell_back = json_is_true(json_object_get(d->root, "fell_back"));
    return WLM_OK;
}

/* NULL where the record is right, else what is wrong with it. first: where its packets must begin. */
static const char *check_flow(const wlmi_dataset *d, const uint8_t *r, uint64_t first)
{
    uint32_t label = wlmi_load_le32(r + WLMI_FLOW_LABEL);
    uint64_t packets = wlmi_load_le64(r + WLMI_FLOW_PACKETS);
    if (r[WLMI_FLOW_ADDR_LEN] > 16)
        return "a flow with addresses of more than 16 bytes";
    if (r[WLMI_FLOW_START] > WLM_START_FIRST || r[WLMI_FLOW_END] > WLM_END_BUDGET)
        return "a flow with an unknown start or end";
    if (r[WLMI_FLOW_PART] > WLM_PART_NONE)
        return "a flow in an unknown part";
    if (label != WLMI_NO_LABEL && label >= json_array_size(d->labels))
        return "a flow with a label that is not in the list";
    if (wlmi_load_le32(r + WLMI_FLOW_FILE) >= json_array_size(d->files) ||
        wlmi_load_le32(r + WLMI_FLOW_GROUP) >= json_array_size(d->groups))
        return "a flow of a file or group that is not in the list";
    if (packets == 0 || wlmi_load_le64(r + WLMI_FLOW_FIRST) != first || packets > d->packets - first)
        return "a flow whose packets are not where they should be";
    return NULL;
}

static wlm_status read_index(wlmi_dataset *d, const uint8_t *index, size_t size, wlm_error *error)
{
    const uint8_t *footer;
    uint64_t records, first = 0;
    if (size < WLMI_FOOTER_SIZE)
        return damaged(d, WLMI_SHARD_INDEX, size, "truncated: no footer", error);
    records = size - WLMI_FOOTER_SIZE;
    footer = index + records;
    if (memcmp(footer + WLMI_FOOTER_MAGIC, WLMI_SHARD_MAGIC, 8))
        return damaged(d, WLMI_SHARD_INDEX, records, "truncated, or not the index of an imported folder", error);
    if (wlmi_load_le32(footer + WLMI_FOOTER_VERSION) != WLMI_SHARD_VERSION)
        return damaged(d, WLMI_SHARD_INDEX, records, "of another version", error);
    d->packets = wlmi_load_le64(footer + WLMI_FOOTER_PACKETS);
    d->flows = wlmi_load_le64(footer + WLMI_FOOTER_FLOWS);
    if (d->packets > records / WLMI_PACKET_RECORD || d->flows > records / WLMI_FLOW_RECORD ||
        d->packets * WLMI_PACKET_RECORD + d->flows * WLMI_FLOW_RECORD != records)
        return damaged(d, WLMI_SHARD_INDEX, records, "its size does not fit its own counts", error);
    if (wlmi_load_le64(footer + WLMI_FOOTER_DATA) != d->data_size)
        return damaged(d, WLMI_SHARD_DATA, d->data_size, "not the size that the index names", error);
    d->packet = index;
    d->flow = index + d->packets * WLMI_PACKET_RECORD;
    for (uint64_t i = 0; i < d->flows; i++) {
        const uint8_t *r = d->flow + i * WLMI_FLOW_RECORD;
        const char *wrong = check_flow(d, r, first);
        if (wrong)
            return damaged(d, WLMI_SHARD_INDEX, (uint64_t)(r - index), wrong, error);
        first += wlmi_load_le64(r + WLMI_FLOW_PACKETS);
    }
    if (first != d->packets)
        return damaged(d, WLMI_SHARD_INDEX, records, "packets that belong to no flow", error);
    return WLM_OK;
}

static wlm_status make(wlmi_dataset **dataset, const char *name, wlm_error *error)
{
    *dataset = wlmi_alloc_zero(1, sizeof **dataset);
    if (!*dataset)
        return WLMI_NO_MEMORY(error);
    (*dataset)->name = wlmi_strdup(name);
    if (!(*dataset)->name) {
        wlmi_free(*dataset);
        *dataset = NULL;
        return WLMI_NO_MEMORY(error);
    }
    return WLM_OK;
}

wlm_status wlmi_dataset_open_memory(wlmi_dataset **dataset, const char *name, const void *json, size_t json_size,
                                    const void *index, size_t index_size, const void *data, size_t data_size,
                                    wlm_error *error)
{
    wlm_status status;
    WLMI_TRY(make(dataset, name, error));
    (*dataset)->data = data;
    (*dataset)->data_size = data_size;
    status = read_json(*dataset, json, json_size, error);
    if (status == WLM_OK)
        status = read_index(*dataset, index, index_size, error);
    if (status != WLM_OK) {
        wlmi_dataset_close(*dataset);
        *dataset = NULL;
    }
    return status;
}

static wlm_status map_file(wlmi_map *map, const char *folder, const char *file, wlm_error *error)
{
    size_t size = strlen(folder) + strlen(file) + 2;
    char *path = wlmi_alloc(size);
    wlm_status status;
    if (!path)
        return WLMI_NO_MEMORY(error);
    snprintf(path, size, "%s/%s", folder, file);
    status = wlmi_map_open(map, path, error);
    wlmi_free(path);
    return status;
}

wlm_status wlmi_dataset_open(wlmi_dataset **dataset, const char *folder, wlm_error *error)
{
    wlmi_map json = {NULL, 0}, index = {NULL, 0}, data = {NULL, 0};
    wlm_status status;
    *dataset = NULL;
    status = map_file(&json, folder, WLMI_SHARD_JSON, error);
    if (status == WLM_OK)
        status = map_file(&index, folder, WLMI_SHARD_INDEX, error);
    if (status == WLM_OK)
        status = map_file(&data, folder, WLMI_SHARD_DATA, error);
    if (status == WLM_OK)
        status = wlmi_dataset_open_memory(dataset, folder, json.data, json.size, index.data, index.size, data.data,
                                          data.size, error);
    wlmi_map_close(&json);
    if (status != WLM_OK) {
        wlmi_map_close(&index);
        wlmi_map_close(&data);
        return status;
    }
    (*dataset)->index_map = index;
    (*dataset)->data_map = data;
    return WLM_OK;
}

void wlmi_dataset_close(wlmi_dataset *d)
{
    if (!d)
        return;
    wlmi_map_close(&d->index_map);
    wlmi_map_close(&d->data_map);
    json_decref(d->root);
    wlmi_free(d->name);
    wlmi_free(d);
}

const char *wlmi_dataset_task(const wlmi_dataset *d)
{
    return d->task;
}

uint32_t wlmi_dataset_labels(const wlmi_dataset *d)
{
    return (uint32_t)json_array_size(d->labels);
}

const char *wlmi_dataset_label(const wlmi_dataset *d, uint32_t i)
{
    return json_string_value(json_array_get(d->labels, i));
}

uint32_t wlmi_dataset_files(const wlmi_dataset *d)
{
    return (uint32_t)json_array_size(d->files);
}

const char *wlmi_dataset_file(const wlmi_dataset *d, uint32_t i)
{
    return json_string_value(json_array_get(d->files, i));
}

int wlmi_dataset_fell_back(const wlmi_dataset *d)
{
    return d->fell_back;
}

uint64_t wlmi_dataset_flows(const wlmi_dataset *d)
{
    return d->flows;
}

uint64_t wlmi_dataset_packets(const wlmi_dataset *d)
{
    return d->packets;
}

void wlmi_dataset_flow(const wlmi_dataset *d, uint64_t i, wlmi_shard_flow *flow)
{
    const uint8_t *r = d->flow + i * WLMI_FLOW_RECORD;
    uint64_t first = wlmi_load_le64(r + WLMI_FLOW_FIRST);
    memset(flow, 0, sizeof *flow);
    memcpy(flow->key.src, r + WLMI_FLOW_SRC, 16);
    memcpy(flow->key.dst, r + WLMI_FLOW_DST, 16);
    flow->key.src_port = wlmi_load_le16(r + WLMI_FLOW_SRC_PORT);
    flow->key.dst_port = wlmi_load_le16(r + WLMI_FLOW_DST_PORT);
    flow->key.addr_len = r[WLMI_FLOW_ADDR_LEN];
    flow->key.proto = r[WLMI_FLOW_PROTO];
    flow->key.link_type = wlmi_load_le32(r + WLMI_FLOW_LINK);
    flow->key.interface = wlmi_load_le32(r + WLMI_FLOW_INTERFACE);
    flow->start = (wlm_flow_start)r[WLMI_FLOW_START];
    flow->end = (wlm_flow_end)r[WLMI_FLOW_END];
    flow->part = (wlm_part)r[WLMI_FLOW_PART];
    flow->oneway = r[WLMI_FLOW_ONEWAY] != 0;
    flow->label = wlmi_load_le32(r + WLMI_FLOW_LABEL);
    flow->file = wlmi_load_le32(r + WLMI_FLOW_FILE);
    flow->group = wlmi_load_le32(r + WLMI_FLOW_GROUP);
    flow->packets = wlmi_load_le64(r + WLMI_FLOW_PACKETS);
    flow->data_bytes = wlmi_load_le64(r + WLMI_FLOW_BYTES);
    flow->first_packet = wlmi_load_le64(d->packet + first * WLMI_PACKET_RECORD + WLMI_PACKET_NUMBER);
}

wlm_status wlmi_dataset_packet(const wlmi_dataset *d, uint64_t i, uint64_t j, wlm_packet *packet, wlm_error *error)
{
    const uint8_t *f = d->flow + i * WLMI_FLOW_RECORD;
    const uint8_t *r = d->packet + (wlmi_load_le64(f + WLMI_FLOW_FIRST) + j) * WLMI_PACKET_RECORD;
    uint64_t at = wlmi_load_le64(r + WLMI_PACKET_AT);
    memset(packet, 0, sizeof *packet);
    packet->time_ns = (int64_t)wlmi_load_le64(r + WLMI_PACKET_TIME);
    packet->number = wlmi_load_le64(r + WLMI_PACKET_NUMBER);
    packet->captured = wlmi_load_le32(r + WLMI_PACKET_CAPTURED);
    packet->wire = wlmi_load_le32(r + WLMI_PACKET_WIRE);
    packet->link_type = wlmi_load_le32(f + WLMI_FLOW_LINK);
    packet->interface = wlmi_load_le32(f + WLMI_FLOW_INTERFACE);
    if (at > d->data_size || packet->captured > d->data_size - at)
        return damaged(d, WLMI_SHARD_INDEX, (uint64_t)(r - d->packet), "a packet that is not in packets.data", error);
    packet->data = d->data + at;
    return WLM_OK;
}

int wlmi_dataset_is(const char *path)
{
    char file[4096];
    int n = snprintf(file, sizeof file, "%s/%s", path, WLMI_SHARD_JSON);
    return n > 0 && (size_t)n < sizeof file && access(file, F_OK) == 0;
}

/* Flows of each label (row labels: those without) in each part. */
static json_t *count_parts(const wlmi_dataset *d, uint32_t label)
{
    uint64_t n[4] = {0};
    for (uint64_t i = 0; i < d->flows; i++) {
        const uint8_t *r = d->flow + i * WLMI_FLOW_RECORD;
        n[r[WLMI_FLOW_PART]] += label == WLMI_NO_LABEL || wlmi_load_le32(r + WLMI_FLOW_LABEL) == label;
    }
    return json_pack("{s:I, s:I, s:I}", "train", (json_int_t)n[WLM_PART_TRAIN], "val", (json_int_t)n[WLM_PART_VAL],
                     "test", (json_int_t)n[WLM_PART_TEST]);
}

wlm_status wlmi_dataset_describe(const wlmi_dataset *d, char **json, wlm_error *error)
{
    json_t *root = json_object(), *labels = json_object();
    char *text = NULL;
    int bad = json_object_set_new(root, "kind", json_string("imported folder"));
    bad |= json_object_update_missing(root, d->root);
    for (uint32_t i = 0; i < wlmi_dataset_labels(d); i++)
        bad |= json_object_set_new(labels, wlmi_dataset_label(d, i), count_parts(d, i));
    bad |= json_object_set_new(root, "flows_by_part", count_parts(d, WLMI_NO_LABEL));
    bad |= json_object_set(root, "labels", labels);
    bad |= json_object_set_new(root, "files", json_integer((json_int_t)json_array_size(d->files)));
    bad |= json_object_set_new(root, "groups", json_integer((json_int_t)json_array_size(d->groups)));
    if (!bad)
        text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    json_decref(labels);
    *json = text ? wlmi_strdup(text) : NULL;
    free(text);
    return *json ? WLM_OK : WLMI_NO_MEMORY(error);
}
