/* truth.c: one line per flow, as import --labels reads it. */
#include "task/truth.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/io.h"
#include "capture/decode.h"
#include "task/labels.h"

struct wlmi_truth {
    wlmi_output *output;
    char *folder;   /* of the CSV, resolved */
    char *path;     /* the capture named last, and how it is written */
    char *written;
};

/* The folder that a path stands in, resolved; NULL: out of memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *given = wlmi_strdup(path), *folder;
    if (!given)
        return NULL;
    given[slash ? slash - path : 0] = 0;
    folder = wlmi_resolve(".", !slash ? "." : slash == path ? "/" : given);
    wlmi_free(given);
    return folder;
}

wlm_status wlmi_truth_open(wlmi_truth **truth, const char *path, wlm_error *error)
{
    static const char head[] = "path,label,src_ip,src_port,dst_ip,dst_port,proto,start,packets\n";
    wlmi_truth *t = wlmi_alloc_zero(1, sizeof *t);
    wlm_status status = WLM_OK;
    *truth = NULL;
    if (t)
        t->folder = folder_of(path);
    if (!t || !t->folder)
        status = WLMI_NO_MEMORY(error);
    if (status == WLM_OK)
        status = wlmi_output_open(&t->output, path, error);
    if (status == WLM_OK)
        status = wlmi_output_write(t->output, head, sizeof head - 1, error);
    if (status == WLM_OK)
        *truth = t;
    else
        wlmi_truth_discard(t);
    return status;
}

/* Keeps the path and what stands for it in the CSV. */
static wlm_status name_capture(wlmi_truth *t, const char *path, wlm_error *error)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *below;
    size_t length = strlen(t->folder), size;
    char *folder;
    if (t->path && !strcmp(t->path, path))
        return WLM_OK;
    wlmi_free(t->path);
    wlmi_free(t->written);
    t->written = NULL;
    t->path = wlmi_strdup(path);
    below = folder = folder_of(path);
    if (!t->path || !folder)
        return wlmi_free(folder), WLMI_NO_MEMORY(error);
    if (!strncmp(folder, t->folder, length) && (!folder[length] || folder[length] == '/'))
        below = folder + length + (folder[length] == '/');
    size = strlen(below) + strlen(name) + 2;
    t->written = wlmi_alloc(size);
    if (t->written)
        snprintf(t->written, size, "%s%s%s", below, *below ? "/" : "", name);
    wlmi_free(folder);
    return t->written ? WLM_OK : WLMI_NO_MEMORY(error);
}

/* RFC 4180: quotes where they are needed, doubled inside. */
static wlm_status put_field(wlmi_truth *t, const char *text, wlm_error *error)
{
    int quoted = strpbrk(text, ",\"\r\n") != NULL;
    if (quoted)
        WLMI_TRY(wlmi_output_write(t->output, "\"", 1, error));
    for (const char *c = text; *c; c++)
        WLMI_TRY(wlmi_output_write(t->output, *c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1, error));
    return wlmi_output_write(t->output, quoted ? "\"," : ",", quoted ? 2 : 1, error);
}

static const char *proto_text(uint8_t proto, char room[8])
{
    snprintf(room, 8, "%u", proto);
    return proto == WLMI_PROTO_TCP ? "tcp" : proto == WLMI_PROTO_UDP ? "udp" : proto == WLMI_PROTO_SCTP ? "sctp" : room;
}

static void start_text(int64_t time_ns, char text[64])
{
    time_t seconds = (time_t)(time_ns / 1000000000);
    struct tm tm;
    size_t at;
    gmtime_r(&seconds, &tm);
    at = strftime(text, 64, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + at, 64 - at, ".%09dZ", (int)(time_ns % 1000000000));
}

wlm_status wlmi_truth_add(wlmi_truth *t, const wlmi_truth_line *line, wlm_error *error)
{
    const wlm_packet *p = line->first;
    char src[64] = "", dst[64] = "", start[64], proto[8], rest[320];
    wlmi_headers h;
    int n;
    wlmi_decode(p, &h);
    if (!h.addr_len)
        return WLM_OK;
    inet_ntop(h.addr_len == 4 ? AF_INET : AF_INET6, p->data + h.src_addr, src, sizeof src);
    inet_ntop(h.addr_len == 4 ? AF_INET : AF_INET6, p->data + h.dst_addr, dst, sizeof dst);
    start_text(p->time_ns, start);
    WLMI_TRY(name_capture(t, line->path, error));
    WLMI_TRY(put_field(t, t->written, error));
    WLMI_TRY(put_field(t, line->label ? line->label : "", error));
    n = snprintf(rest, sizeof rest, "%s,%u,%s,%u,%s,%s,%llu\n", src, h.src_port, dst, h.dst_port,
                 proto_text(h.proto, proto), start, (unsigned long long)line->packets);
    return wlmi_output_write(t->output, rest, (size_t)n, error);
}

wlm_status wlmi_truth_finish(wlmi_truth *t, wlm_error *error)
{
    wlm_status status = wlmi_output_finish(t->output, error);
    t->output = NULL;
    wlmi_truth_discard(t);
    return status;
}

void wlmi_truth_discard(wlmi_truth *t)
{
    if (!t)
        return;
    wlmi_output_discard(t->output);
    wlmi_free(t->folder);
    wlmi_free(t->path);
    wlmi_free(t->written);
    wlmi_free(t);
}
