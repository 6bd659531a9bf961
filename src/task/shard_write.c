/* shard_write.c: writes an imported folder. Captured bytes go to packets.data as they come; only the records of one
 * capture wait in memory to be grouped by flow. */
#include "task/shard_write.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/digest.h"
#include "task/shard_layout.h"

typedef struct pending { /* a packet that waits for its flow to be complete */
    uint64_t flow, order;
    uint8_t record[WLMI_PACKET_RECORD];
} pending;

typedef struct counts { /* of one flow */
    uint64_t packets, bytes;
} counts;

typedef struct file {
    wlmi_output *output;
    wlmi_sha256 digest;
} file;

struct wlmi_shard_writer {
    char *folder, *temporary;
    file data, index;
    pending *wait;
    size_t waiting, wait_capacity;
    counts *flow;
    size_t flows, flow_capacity, flows_written;
    uint64_t packets;
};

/* A folder's path with something behind it. */
static char *joined(const char *folder, const char *tail)
{
    size_t size = strlen(folder) + strlen(tail) + 1;
    char *path = wlmi_alloc(size);
    if (path)
        snprintf(path, size, "%s%s", folder, tail);
    return path;
}

static int is_part(const char *name)
{
    return !strcmp(name, WLMI_SHARD_DATA) || !strcmp(name, WLMI_SHARD_INDEX) || !strcmp(name, WLMI_SHARD_JSON);
}

/* Only what an import wrote may be replaced. */
static wlm_status check_replaceable(const char *folder, wlm_error *error)
{
    wlm_status status = WLM_OK;
    struct dirent *entry;
    DIR *dir = opendir(folder);
    if (!dir && errno == ENOENT)
        return WLM_OK;
    if (!dir)
        return wlmi_fail(error, errno == ENOTDIR ? WLM_ERR_REFUSED : WLM_ERR_IO, folder, WLM_NO_OFFSET,
                         "cannot become an imported folder: %s", strerror(errno));
    while (status == WLM_OK && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") && !is_part(entry->d_name))
            status = wlmi_fail(error, WLM_ERR_REFUSED, folder, WLM_NO_OFFSET,
                               "holds '%.200s', which no import wrote: not replaced", entry->d_name);
    closedir(dir);
    return status;
}

/* Works without memory, so that nothing stays behind where that is out. */
static void remove_folder(const char *folder)
{
    static const char *const part[] = {WLMI_SHARD_DATA, WLMI_SHARD_INDEX, WLMI_SHARD_JSON};
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; fd >= 0 && i < sizeof part / sizeof *part; i++)
        unlinkat(fd, part[i], 0);
    if (fd >= 0)
        close(fd);
    rmdir(folder);
}

static wlm_status open_file(file *f, const char *folder, const char *tail, wlm_error *error)
{
    wlm_status status;
    char *path = joined(folder, tail);
    if (!path)
        return WLMI_NO_MEMORY(error);
    wlmi_sha256_init(&f->digest);
    status = wlmi_output_open(&f->output, path, error);
    wlmi_free(path);
    return status;
}

static wlm_status write_file(file *f, const void *data, size_t size, wlm_error *error)
{
    wlmi_sha256_update(&f->digest, data, size);
    return wlmi_output_write(f->output, data, size, error);
}

static wlm_status finish_file(file *f, char hex[65], wlm_error *error)
{
    wlmi_output *output = f->output;
    f->output = NULL;
    wlmi_sha256_final(&f->digest, hex);
    return wlmi_output_finish(output, error);
}

/* A folder of our own beside the final one, with the rights that the final one is to have. Its name is a hidden one,
 * so that captures beside it can be walked meanwhile. */
static wlm_status make_temporary(wlmi_shard_writer *w, wlm_error *error)
{
    const char *slash = strrchr(w->folder, '/'), *name = slash ? slash + 1 : w->folder;
    size_t size = strlen(w->folder) + 64;
    w->temporary = wlmi_alloc(size);
    if (!w->temporary)
        return WLMI_NO_MEMORY(error);
    for (int i = 0; i < 100; i++) {
        snprintf(w->temporary, size, "%.*s.%s.import-%ld-%d", (int)(name - w->folder), w->folder, name, (long)getpid(),
                 i);
        if (mkdir(w->temporary, 0777) == 0)
            return WLM_OK;
        if (errno != EEXIST)
            break;
    }
    wlmi_fail(error, WLM_ERR_IO, w->folder, WLM_NO_OFFSET, "cannot make a folder beside it: %s", strerror(errno));
    wlmi_free(w->temporary);
    w->temporary = NULL;
    return WLM_ERR_IO;
}

static wlm_status prepare(wlmi_shard_writer *w, const char *folder, wlm_error *error)
{
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    w->folder = wlmi_strdup(folder);
    if (!w->folder)
        return WLMI_NO_MEMORY(error);
    w->folder[length] = 0;
    WLMI_TRY(check_replaceable(w->folder, error));
    WLMI_TRY(make_temporary(w, error));
    WLMI_TRY(open_file(&w->data, w->temporary, "/" WLMI_SHARD_DATA, error));
    return open_file(&w->index, w->temporary, "/" WLMI_SHARD_INDEX, error);
}

wlm_status wlmi_shard_writer_new(wlmi_shard_writer **writer, const char *folder, wlm_error *error)
{
    wlm_status status;
    *writer = wlmi_alloc_zero(1, sizeof **writer);
    if (!*writer)
        return WLMI_NO_MEMORY(error);
    status = prepare(*writer, folder, error);
    if (status != WLM_OK) {
        wlmi_shard_writer_discard(*writer);
        *writer = NULL;
    }
    return status;
}

wlm_status wlmi_shard_write_packet(wlmi_shard_writer *w, uint64_t flow, const wlm_packet *packet, wlm_error *error)
{
    pending *p;
    if (!wlmi_grow(&w->wait, &w->wait_capacity, w->waiting + 1, sizeof *w->wait) ||
        !wlmi_grow(&w->flow, &w->flow_capacity, (size_t)flow + 1, sizeof *w->flow))
        return WLMI_NO_MEMORY(error);
    for (; w->flows <= flow; w->flows++)
        memset(&w->flow[w->flows], 0, sizeof *w->flow);
    p = &w->wait[w->waiting];
    p->flow = flow;
    p->order = w->waiting;
    wlmi_store_le64(p->record + WLMI_PACKET_AT, wlmi_output_offset(w->data.output));
    wlmi_store_le64(p->record + WLMI_PACKET_TIME, (uint64_t)packet->time_ns);
    wlmi_store_le64(p->record + WLMI_PACKET_NUMBER, packet->number);
    wlmi_store_le32(p->record + WLMI_PACKET_CAPTURED, packet->captured);
    wlmi_store_le32(p->record + WLMI_PACKET_WIRE, packet->wire);
    WLMI_TRY(write_file(&w->data, packet->data, packet->captured, error));
    w->waiting++;
    w->flow[flow].packets++;
    w->flow[flow].bytes += packet->captured;
    return WLM_OK;
}

static int by_flow(const void *pa, const void *pb)
{
    const pending *a = pa, *b = pb;
    if (a->flow != b->flow)
        return a->flow < b->flow ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

wlm_status wlmi_shard_write_flush(wlmi_shard_writer *w, wlm_error *error)
{
    if (w->waiting)
        qsort(w->wait, w->waiting, sizeof *w->wait, by_flow);
    for (size_t i = 0; i < w->waiting; i++)
        WLMI_TRY(write_file(&w->index, w->wait[i].record, WLMI_PACKET_RECORD, error));
    w->packets += w->waiting;
    w->waiting = 0;
    return WLM_OK;
}

wlm_status wlmi_shard_write_flow(wlmi_shard_writer *w, const wlmi_shard_flow *flow, wlm_error *error)
{
    uint8_t r[WLMI_FLOW_RECORD] = {0};
    const counts *own = &w->flow[w->flows_written];
    uint64_t first = w->flows_written ? own[-1].packets : 0;
    memcpy(r + WLMI_FLOW_SRC, flow->key.src, 16);
    memcpy(r + WLMI_FLOW_DST, flow->key.dst, 16);
    wlmi_store_le16(r + WLMI_FLOW_SRC_PORT, flow->key.src_port);
    wlmi_store_le16(r + WLMI_FLOW_DST_PORT, flow->key.dst_port);
    r[WLMI_FLOW_ADDR_LEN] = flow->key.addr_len;
    r[WLMI_FLOW_PROTO] = flow->key.proto;
    r[WLMI_FLOW_START] = (uint8_t)flow->start;
    r[WLMI_FLOW_END] = (uint8_t)flow->end;
    r[WLMI_FLOW_PART] = (uint8_t)flow->part;
    r[WLMI_FLOW_ONEWAY] = flow->oneway != 0;
    wlmi_store_le32(r + WLMI_FLOW_LINK, flow->key.link_type);
    wlmi_store_le32(r + WLMI_FLOW_INTERFACE, flow->key.interface);
    wlmi_store_le32(r + WLMI_FLOW_LABEL, flow->label);
    wlmi_store_le32(r + WLMI_FLOW_FILE, flow->file);
    wlmi_store_le32(r + WLMI_FLOW_GROUP, flow->group);
    wlmi_store_le64(r + WLMI_FLOW_FIRST, first);
    wlmi_store_le64(r + WLMI_FLOW_PACKETS, own->packets);
    wlmi_store_le64(r + WLMI_FLOW_BYTES, own->bytes);
    WLMI_TRY(write_file(&w->index, r, sizeof r, error));
    w->flow[w->flows_written++].packets += first; /* from here on the sum so far */
    return WLM_OK;
}

wlm_status wlmi_shard_write_footer(wlmi_shard_writer *w, char data[65], char index[65], wlm_error *error)
{
    uint8_t footer[WLMI_FOOTER_SIZE] = {0};
    wlmi_store_le64(footer + WLMI_FOOTER_PACKETS, w->packets);
    wlmi_store_le64(footer + WLMI_FOOTER_FLOWS, w->flows_written);
    wlmi_store_le64(footer + WLMI_FOOTER_DATA, wlmi_output_offset(w->data.output));
    wlmi_store_le32(footer + WLMI_FOOTER_VERSION, WLMI_SHARD_VERSION);
    memcpy(footer + WLMI_FOOTER_MAGIC, WLMI_SHARD_MAGIC, 8);
    WLMI_TRY(write_file(&w->index, footer, sizeof footer, error));
    WLMI_TRY(finish_file(&w->data, data, error));
    return finish_file(&w->index, index, error);
}

/* Renames the temporary folder into place; what stood there steps aside first and is removed last. */
static wlm_status put_in_place(wlmi_shard_writer *w, wlm_error *error)
{
    wlm_status status = WLM_OK;
    char *aside;
    struct stat st;
    if (lstat(w->folder, &st) != 0) {
        if (rename(w->temporary, w->folder) != 0)
            return wlmi_fail(error, WLM_ERR_IO, w->folder, WLM_NO_OFFSET, "cannot rename into place: %s",
                             strerror(errno));
        return WLM_OK;
    }
    WLMI_TRY(check_replaceable(w->folder, error));
    aside = joined(w->temporary, ".old");
    if (!aside)
        return WLMI_NO_MEMORY(error);
    if (rename(w->folder, aside) != 0) {
        status = wlmi_fail(error, WLM_ERR_IO, w->folder, WLM_NO_OFFSET, "cannot be replaced: %s", strerror(errno));
    } else if (rename(w->temporary, w->folder) != 0) {
        status = wlmi_fail(error, WLM_ERR_IO, w->folder, WLM_NO_OFFSET, "cannot rename into place: %s",
                           strerror(errno));
        if (rename(aside, w->folder) != 0)
            status = wlmi_fail(error, WLM_ERR_IO, w->folder, WLM_NO_OFFSET,
                               "cannot be put back: what it held is in %.200s", aside);
    } else {
        remove_folder(aside);
    }
    wlmi_free(aside);
    return status;
}

static wlm_status write_json(wlmi_shard_writer *w, const char *json, wlm_error *error)
{
    char hex[65];
    file f = {0};
    wlm_status status;
    WLMI_TRY(open_file(&f, w->temporary, "/" WLMI_SHARD_JSON, error));
    status = write_file(&f, json, strlen(json), error);
    if (status == WLM_OK)
        return finish_file(&f, hex, error);
    wlmi_output_discard(f.output);
    return status;
}

wlm_status wlmi_shard_writer_finish(wlmi_shard_writer *w, const char *json, wlm_error *error)
{
    wlm_status status = write_json(w, json, error);
    if (status == WLM_OK)
        status = put_in_place(w, error);
    if (status == WLM_OK) {
        wlmi_free(w->temporary);
        w->temporary = NULL;
    }
    wlmi_shard_writer_discard(w);
    return status;
}

void wlmi_shard_writer_discard(wlmi_shard_writer *w)
{
    if (!w)
        return;
    if (w->data.output)
        wlmi_output_discard(w->data.output);
    if (w->index.output)
        wlmi_output_discard(w->index.output);
    if (w->temporary)
        remove_folder(w->temporary);
    wlmi_free(w->folder);
    wlmi_free(w->temporary);
    wlmi_free(w->wait);
    wlmi_free(w->flow);
    wlmi_free(w);
}
