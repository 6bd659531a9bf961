/* report_flows.c: reads flows into memory. */
#include "task/report_flows.h"

#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "capture/flow_key.h"
#include "task/shard.h"

/* What the flow table keeps beside a flow: its number in the set + 1; 0: not seen yet. */
typedef struct flow_place {
    size_t number;
} flow_place;

typedef struct reading {
    wlmi_flow_set *set;
    uint32_t label; /* of captures */
} reading;

static wlm_status add_flow(wlmi_flow_set *set, const wlmi_report_flow *flow, wlm_error *error)
{
    if (!wlmi_grow(&set->flow, &set->capacity, set->flows + 1, sizeof *set->flow))
        return WLMI_NO_MEMORY(error);
    set->flow[set->flows++] = *flow;
    return WLM_OK;
}

static wlm_status add_packet(wlmi_flow_set *set, size_t flow, const wlm_packet *packet, wlm_error *error)
{
    if (!wlmi_grow(&set->owner, &set->owner_capacity, set->list.count + 1, sizeof *set->owner))
        return WLMI_NO_MEMORY(error);
    set->owner[set->list.count] = flow;
    set->flow[flow].count++;
    return wlmi_packet_list_add(&set->list, packet, error);
}

static wlm_status name_label(wlmi_flow_set *set, const char *label, uint32_t *number, wlm_error *error)
{
    *number = label ? wlmi_strings_add(set->labels, label) : WLMI_NO_STRING;
    return label && *number == WLMI_NO_STRING ? WLMI_NO_MEMORY(error) : WLM_OK;
}

/* ---------------------------------------------------------------- captures */

static void flow_ended(void *owner, wlmi_flow *f)
{
    reading *r = owner;
    size_t number = ((const flow_place *)f->user)->number;
    if (!number)
        return;
    r->set->flow[number - 1].key = f->key;
    r->set->flow[number - 1].start = f->start;
}

static wlm_status take_packet(reading *r, wlmi_flow_table *table, const wlm_packet *packet, wlm_error *error)
{
    wlmi_headers headers;
    wlmi_flow *flow;
    flow_place *place;
    int backward;
    wlmi_decode(packet, &headers);
    if (!headers.ip_version) {
        r->set->not_ip++;
        return WLM_OK;
    }
    WLMI_TRY(wlmi_flow_of(table, packet, &headers, &flow, &backward, error));
    place = flow->user;
    if (!place->number) {
        const wlmi_report_flow new_flow = {.key = flow->key, .start = flow->start, .label = r->label,
                                           .group = r->set->groups};
        WLMI_TRY(add_flow(r->set, &new_flow, error));
        place->number = r->set->flows;
    }
    return add_packet(r->set, place->number - 1, packet, error);
}

static wlm_status read_capture(void *user, const char *path, wlm_error *error)
{
    reading *r = user;
    const wlmi_flow_options options = {0, 0, 0, sizeof(flow_place)};
    wlm_capture *capture;
    wlmi_flow_table *table = NULL;
    wlm_packet packet;
    wlm_status status;
    WLMI_TRY(wlm_capture_open(&capture, path, error));
    status = wlmi_flow_table_new(&table, &options, flow_ended, r, error);
    while (status == WLM_OK && (status = wlm_capture_next(capture, &packet, error)) == WLM_OK)
        status = take_packet(r, table, &packet, error);
    if (status == WLM_ERR_FORMAT)
        r->set->damaged++;
    if (status == WLM_END || status == WLM_ERR_FORMAT) {
        wlmi_flow_table_flush(table);
        status = WLM_OK;
    }
    r->set->groups++;
    wlmi_flow_table_free(table);
    wlm_capture_close(capture);
    return status;
}

/* Files of a folder that are no captures are passed over. */
static wlm_status read_found(void *user, const char *path, wlm_error *error)
{
    wlm_error why;
    wlm_status status = read_capture(user, path, &why);
    if (status == WLM_ERR_FORMAT)
        return WLM_OK;
    if (status != WLM_OK && error)
        *error = why;
    return status;
}

static int is_file(const char *path)
{
    wlmi_map map;
    if (!strcmp(path, "-"))
        return 1;
    if (wlmi_map_open(&map, path, NULL) != WLM_OK)
        return 0;
    wlmi_map_close(&map);
    return 1;
}

/* ---------------------------------------------------------------- imported folders */

static wlm_status read_flow(wlmi_flow_set *set, const wlmi_dataset *data, uint64_t i, const wlmi_shard_flow *from,
                            uint32_t label, wlm_error *error)
{
    const wlmi_report_flow flow = {.key = from->key, .start = from->start, .label = label,
                                   .group = set->groups + from->group};
    int known = 0;
    for (uint64_t j = 0; j < from->packets; j++) {
        wlm_packet packet;
        wlmi_headers headers;
        WLMI_TRY(wlmi_dataset_packet(data, i, j, &packet, error));
        wlmi_decode(&packet, &headers);
        if (!headers.ip_version) {
            set->not_ip++;
            continue;
        }
        if (!known)
            WLMI_TRY(add_flow(set, &flow, error));
        known = 1;
        WLMI_TRY(add_packet(set, set->flows - 1, &packet, error));
    }
    return WLM_OK;
}

static wlm_status read_dataset(wlmi_flow_set *set, const wlmi_dataset *data, const char *label, wlm_part part,
                               wlm_error *error)
{
    uint32_t most = 0;
    for (uint64_t i = 0; i < wlmi_dataset_flows(data); i++) {
        wlmi_shard_flow flow;
        uint32_t number;
        wlmi_dataset_flow(data, i, &flow);
        if (part != WLM_PART_NONE && flow.part != part)
            continue;
        if (!label && flow.label == WLMI_NO_LABEL && wlmi_dataset_labels(data)) {
            set->unlabelled++; /* an importer has looked: it is none that has a name here */
            continue;
        }
        most = flow.group > most ? flow.group : most;
        WLMI_TRY(name_label(set, label || flow.label == WLMI_NO_LABEL ? label : wlmi_dataset_label(data, flow.label),
                            &number, error));
        WLMI_TRY(read_flow(set, data, i, &flow, number, error));
    }
    set->groups += most + 1;
    return WLM_OK;
}

/* ---------------------------------------------------------------- the set */

wlm_status wlmi_flow_set_add(wlmi_flow_set *set, const char *path, const char *label, wlm_part part, wlm_error *error)
{
    reading r = {set, WLMI_NO_STRING};
    if (wlmi_dataset_is(path)) {
        wlmi_dataset *data;
        wlm_status status;
        WLMI_TRY(wlmi_dataset_open(&data, path, error));
        status = read_dataset(set, data, label, part, error);
        wlmi_dataset_close(data);
        return status;
    }
    WLMI_TRY(name_label(set, label, &r.label, error));
    return is_file(path) ? read_capture(&r, path, error) : wlmi_walk(path, read_found, &r, error);
}

wlm_status wlmi_flow_set_add_flow(wlmi_flow_set *set, const wlmi_packet_list *packets, wlm_error *error)
{
    wlmi_report_flow flow = {.label = WLMI_NO_STRING, .group = set->groups};
    int known = 0;
    for (size_t i = 0; i < packets->count; i++) {
        const wlm_packet packet = wlmi_packet_list_at(packets, i);
        wlmi_headers headers;
        wlmi_decode(&packet, &headers);
        if (!headers.ip_version) {
            set->not_ip++;
            continue;
        }
        wlmi_flow_key_of(&packet, &headers, &flow.key);
        if (!known)
            WLMI_TRY(add_flow(set, &flow, error));
        known = 1;
        WLMI_TRY(add_packet(set, set->flows - 1, &packet, error));
    }
    set->groups++;
    return WLM_OK;
}

wlm_status wlmi_flow_set_close(wlmi_flow_set *set, wlm_error *error)
{
    size_t at = 0;
    set->place = wlmi_alloc_array(set->list.count, sizeof *set->place);
    if (!set->place)
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < set->flows; i++) {
        set->flow[i].first = at;
        at += set->flow[i].count;
        set->flow[i].count = 0;
    }
    for (size_t p = 0; p < set->list.count; p++) {
        wlmi_report_flow *flow = &set->flow[set->owner[p]];
        set->place[flow->first + flow->count++] = p;
    }
    wlmi_free(set->owner);
    set->owner = NULL;
    return WLM_OK;
}

void wlmi_flow_set_free(wlmi_flow_set *set)
{
    wlmi_packet_list_free(&set->list);
    wlmi_free(set->owner);
    wlmi_free(set->place);
    wlmi_free(set->flow);
}

wlm_packet wlmi_flow_set_packet(const wlmi_flow_set *set, size_t place)
{
    return wlmi_packet_list_at(&set->list, set->place[place]);
}

int wlmi_report_backward(const wlmi_report_flow *flow, const wlm_packet *packet, const wlmi_headers *headers)
{
    wlm_flow_key key;
    int addresses;
    wlmi_flow_key_of(packet, headers, &key);
    addresses = memcmp(key.src, flow->key.src, sizeof key.src);
    return addresses ? 1 : !memcmp(flow->key.src, flow->key.dst, sizeof key.src) && key.src_port != flow->key.src_port;
}
