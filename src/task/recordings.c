/* recordings.c: captures one after the other, each in memory. */
#include "task/recordings.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "task/sources.h"

typedef struct place { /* of a flow in the imported folders */
    uint32_t source, file;
    uint64_t flow;
} place;

typedef struct origin { /* of a capture */
    const char *name;
    int found;           /* by walking a folder */
    size_t first, flows; /* in place[] */
} origin;

typedef struct spot { /* of a packet in a folder */
    uint64_t number, flow, j;
} spot;

struct wlmi_recordings {
    const wlmi_recordings_options *options;
    wlmi_sources sources;
    wlmi_dataset **data; /* [options->datas] */
    place *place;
    size_t places, place_room;
    origin *origin;
    size_t origins, origin_room, next;
    spot *spot;
    size_t spot_room;
    wlmi_recordings_report report;
};

/* ---------------------------------------------------------------- what there is */

static wlm_status add_origin(wlmi_recordings *r, origin o, wlm_error *error)
{
    if (!wlmi_grow(&r->origin, &r->origin_room, r->origins + 1, sizeof *r->origin))
        return WLMI_NO_MEMORY(error);
    r->origin[r->origins++] = o;
    return WLM_OK;
}

static wlm_status find_files(wlmi_recordings *r, wlm_error *error)
{
    WLMI_TRY(wlmi_sources_gather(&r->sources, r->options->path, r->options->paths, NULL, error));
    for (size_t i = 0; i < r->sources.count; i++)
        WLMI_TRY(add_origin(r, (origin){r->sources.item[i].path, r->sources.item[i].found, 0, 0}, error));
    return WLM_OK;
}

static int by_file(const void *left, const void *right)
{
    const place *a = left, *b = right;
    if (a->source != b->source)
        return a->source < b->source ? -1 : 1;
    if (a->file != b->file)
        return a->file < b->file ? -1 : 1;
    return a->flow < b->flow ? -1 : a->flow > b->flow;
}

static wlm_status find_flows(wlmi_recordings *r, uint32_t source, wlm_error *error)
{
    const uint64_t flows = wlmi_dataset_flows(r->data[source]);
    for (uint64_t i = 0; i < flows; i++) {
        wlmi_shard_flow flow;
        wlmi_dataset_flow(r->data[source], i, &flow);
        if (flow.part != r->options->part)
            continue;
        if (!wlmi_grow(&r->place, &r->place_room, r->places + 1, sizeof *r->place))
            return WLMI_NO_MEMORY(error);
        r->place[r->places++] = (place){source, flow.file, i};
    }
    return WLM_OK;
}

static wlm_status find_imported(wlmi_recordings *r, wlm_error *error)
{
    r->data = wlmi_alloc_zero(r->options->datas, sizeof(wlmi_dataset *));
    if (!r->data)
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < r->options->datas; i++) {
        WLMI_TRY(wlmi_dataset_open(&r->data[i], r->options->data[i], error));
        WLMI_TRY(find_flows(r, (uint32_t)i, error));
    }
    if (r->places)
        qsort(r->place, r->places, sizeof *r->place, by_file);
    for (size_t i = 0, n; i < r->places; i += n) {
        const place *p = &r->place[i];
        for (n = 1; i + n < r->places && p[n].source == p->source && p[n].file == p->file;)
            n++;
        WLMI_TRY(add_origin(r, (origin){wlmi_dataset_file(r->data[p->source], p->file), 0, i, n}, error));
    }
    return WLM_OK;
}

wlm_status wlmi_recordings_new(wlmi_recordings **recordings, const wlmi_recordings_options *options, wlm_error *error)
{
    wlmi_recordings *r = wlmi_alloc_zero(1, sizeof *r);
    wlm_status status;
    *recordings = NULL;
    if (!r)
        return WLMI_NO_MEMORY(error);
    r->options = options;
    if (!options->paths == !options->datas)
        status = wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                           "either captures or imported folders are needed");
    else
        status = options->paths ? find_files(r, error) : find_imported(r, error);
    if (status == WLM_OK && !r->origins)
        status = options->paths ? wlmi_fail(error, WLM_ERR_ARGUMENT, options->path[0], WLM_NO_OFFSET, "no captures")
                                : wlmi_fail(error, WLM_ERR_ARGUMENT, options->data[0], WLM_NO_OFFSET,
                                            "no flows in the %s part", wlm_part_name(options->part));
    if (status == WLM_OK)
        *recordings = r;
    else
        wlmi_recordings_free(r);
    return status;
}

void wlmi_recordings_free(wlmi_recordings *r)
{
    if (!r)
        return;
    for (size_t i = 0; r->data && i < r->options->datas; i++)
        wlmi_dataset_close(r->data[i]);
    wlmi_sources_free(&r->sources);
    wlmi_free(r->data);
    wlmi_free(r->place);
    wlmi_free(r->origin);
    wlmi_free(r->spot);
    wlmi_free(r);
}

const wlmi_recordings_report *wlmi_recordings_reported(const wlmi_recordings *r)
{
    return &r->report;
}

/* ---------------------------------------------------------------- reading one */

static int is_enough(const wlmi_recordings *r, const wlmi_recording *recording)
{
    return r->options->bytes && r->report.bytes + wlmi_recording_bytes(recording) >= r->options->bytes;
}

static void damaged(wlmi_recordings *r, const wlm_error *why)
{
    if (r->report.damaged++ == 0)
        r->report.damage = *why;
}

static wlm_status stopped(const wlmi_recordings *r, wlm_error *error)
{
    return r->options->stop && *r->options->stop ? wlmi_fail(error, WLM_STOPPED, NULL, WLM_NO_OFFSET, "stopped")
                                                 : WLM_OK;
}

static wlm_status read_packets(wlmi_recordings *r, wlm_capture *capture, wlmi_recording *recording, wlm_error *error)
{
    wlm_error why;
    while (!is_enough(r, recording)) {
        wlm_packet packet;
        wlm_status status = wlm_capture_next(capture, &packet, &why);
        if (status == WLM_ERR_FORMAT)
            damaged(r, &why);
        if (status == WLM_ERR_FORMAT || status == WLM_END)
            return WLM_OK;
        if (status != WLM_OK) {
            if (error)
                *error = why;
            return status;
        }
        if ((packet.number & 4095) == 0)
            WLMI_TRY(stopped(r, error));
        WLMI_TRY(wlmi_recording_add(recording, &packet, error));
    }
    return WLM_OK;
}

static wlm_status read_file(wlmi_recordings *r, const origin *o, wlmi_recording *recording, wlm_error *error)
{
    wlm_capture *capture;
    wlm_error why;
    wlm_status status = wlm_capture_open(&capture, o->name, &why);
    if (status == WLM_ERR_FORMAT && o->found) {
        r->report.skipped++;
        return WLM_OK;
    }
    if (status != WLM_OK) {
        if (error)
            *error = why;
        return status;
    }
    r->report.files++;
    status = read_packets(r, capture, recording, error);
    wlm_capture_close(capture);
    return status;
}

static int by_number(const void *left, const void *right)
{
    const spot *a = left, *b = right;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return a->flow != b->flow ? (a->flow < b->flow ? -1 : 1) : a->j < b->j ? -1 : a->j > b->j;
}

static wlm_status read_imported(wlmi_recordings *r, const origin *o, wlmi_recording *recording, wlm_error *error)
{
    const place *p = &r->place[o->first];
    const wlmi_dataset *data = r->data[p->source];
    wlm_packet packet;
    size_t count = 0;
    r->report.files++;
    for (size_t i = 0; i < o->flows; i++) {
        wlmi_shard_flow flow;
        wlmi_dataset_flow(data, p[i].flow, &flow);
        if (!wlmi_grow(&r->spot, &r->spot_room, count + (size_t)flow.packets, sizeof *r->spot))
            return WLMI_NO_MEMORY(error);
        for (uint64_t j = 0; j < flow.packets; j++) {
            WLMI_TRY(wlmi_dataset_packet(data, p[i].flow, j, &packet, error));
            r->spot[count++] = (spot){packet.number, p[i].flow, j};
        }
    }
    if (count)
        qsort(r->spot, count, sizeof *r->spot, by_number);
    for (size_t i = 0; i < count && !is_enough(r, recording); i++) {
        WLMI_TRY(wlmi_dataset_packet(data, r->spot[i].flow, r->spot[i].j, &packet, error));
        WLMI_TRY(wlmi_recording_add(recording, &packet, error));
    }
    return WLM_OK;
}

wlm_status wlmi_recordings_next(wlmi_recordings *r, wlmi_recording *recording, uint64_t *file, const char **name,
                                wlm_error *error)
{
    const wlmi_recordings_options *o = r->options;
    while (r->next < r->origins && !(o->bytes && r->report.bytes >= o->bytes) &&
           !(o->flows && r->report.flows >= o->flows)) {
        const uint64_t i = o->bytes || o->flows ? wlmi_permute(o->seed, r->next, r->origins) : r->next;
        const origin *at = &r->origin[i];
        r->next++;
        WLMI_TRY(stopped(r, error));
        WLMI_TRY(wlmi_recording_begin(recording, o->unit, o->flows ? o->flows - r->report.flows : 0, error));
        WLMI_TRY(wlmi_in_file(error, o->datas ? read_imported(r, at, recording, error)
                                              : read_file(r, at, recording, error), at->name));
        if (!recording->packets.count)
            continue;
        WLMI_TRY(wlmi_recording_end(recording, error));
        r->report.bytes += wlmi_recording_bytes(recording);
        r->report.flows += recording->flows;
        r->report.packets += recording->packets.count;
        *file = at->flows ? r->place[at->first].file : i;
        *name = at->name;
        return WLM_OK;
    }
    return WLM_END;
}
