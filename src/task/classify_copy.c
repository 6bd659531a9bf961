/* classify_copy.c: a labelled copy of what was classified. */
#include "task/classify_copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "capture/decode.h"

typedef struct note {
    uint64_t packet, order;
    char *text;
} note;

struct wlmi_copy {
    wlm_writer *writer;
    wlm_filter *filter;
    char *spool_path;   /* NULL: nothing is spooled */
    wlm_writer *spool;
    char *out;
    note *notes;        /* of the current file */
    size_t count, capacity;
};

static wlm_status open_pcapng(wlm_writer **writer, const char *path, uint32_t link_type, wlm_error *error)
{
    wlm_writer_options options = {.format = WLM_FORMAT_PCAPNG, .link_type = link_type, .nanosecond = 1};
    return wlm_writer_open(writer, path, &options, error);
}

wlm_status wlmi_copy_new(wlmi_copy **copy, const char *out, wlm_filter *filter, wlm_error *error)
{
    wlmi_copy *c = wlmi_alloc_zero(1, sizeof *c);
    wlm_status status;
    *copy = NULL;
    if (!c)
        return WLMI_NO_MEMORY(error);
    c->filter = filter;
    c->out = wlmi_strdup(out);
    status = c->out ? open_pcapng(&c->writer, out, WLMI_LINK_ETHERNET, error) : WLMI_NO_MEMORY(error);
    if (status != WLM_OK)
        wlmi_copy_discard(c);
    else
        *copy = c;
    return status;
}

static wlm_status open_spool(wlmi_copy *c, uint32_t link_type, wlm_error *error)
{
    size_t size = strlen(c->out) + sizeof ".spool";
    c->spool_path = wlmi_alloc(size);
    if (!c->spool_path)
        return WLMI_NO_MEMORY(error);
    snprintf(c->spool_path, size, "%s.spool", c->out);
    return open_pcapng(&c->spool, c->spool_path, link_type, error);
}

wlm_status wlmi_copy_spool(wlmi_copy *c, const wlm_packet *packet, wlm_error *error)
{
    if (!c->spool)
        WLMI_TRY(open_spool(c, packet->link_type, error));
    return wlm_writer_packet(c->spool, packet, error);
}

wlm_status wlmi_copy_note(wlmi_copy *c, uint64_t first_packet, const char *text, wlm_error *error)
{
    char *own;
    if (!wlmi_grow(&c->notes, &c->capacity, c->count + 1, sizeof *c->notes))
        return WLMI_NO_MEMORY(error);
    own = wlmi_strdup(text);
    if (!own)
        return WLMI_NO_MEMORY(error);
    c->notes[c->count] = (note){first_packet, c->count, own};
    c->count++;
    return WLM_OK;
}

static void forget_notes(wlmi_copy *c)
{
    for (size_t i = 0; i < c->count; i++)
        wlmi_free(c->notes[i].text);
    c->count = 0;
}

static int by_packet(const void *a, const void *b)
{
    const note *x = a, *y = b;
    if (x->packet != y->packet)
        return x->packet < y->packet ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* "wirelm: " and the texts of the packet's notes, from *next on, which moves behind them; NULL where it has none. */
static const char *comment_for(const wlmi_copy *c, size_t *next, uint64_t packet, char *room, size_t size)
{
    size_t at = (size_t)snprintf(room, size, "wirelm:"), before = at;
    for (; *next < c->count && c->notes[*next].packet <= packet; ++*next)
        if (c->notes[*next].packet == packet && at < size)
            at += (size_t)snprintf(room + at, size - at, " %s", c->notes[*next].text);
    return at > before ? room : NULL;
}

static wlm_status copy_packets(wlmi_copy *c, wlm_capture *capture, uint64_t packets, wlm_error *error)
{
    char room[1024];
    wlm_packet packet;
    wlm_status status = WLM_OK;
    size_t next = 0;
    for (uint64_t n = 0; n < packets && status == WLM_OK; n++) {
        status = wlm_capture_next(capture, &packet, error);
        if (status != WLM_OK || (c->filter && !wlm_filter_match(c->filter, &packet)))
            continue;
        packet.comment = comment_for(c, &next, packet.number, room, sizeof room);
        status = wlm_writer_packet(c->writer, &packet, error);
    }
    return status == WLM_END ? WLM_OK : status;
}

wlm_status wlmi_copy_file(wlmi_copy *c, const char *path, uint64_t packets, wlm_error *error)
{
    wlm_capture *capture = NULL;
    wlm_status status = WLM_OK;
    if (packets && !strcmp(path, "-")) {
        status = wlm_writer_finish(c->spool, error);
        c->spool = NULL;
        path = c->spool_path;
    }
    if (packets && status == WLM_OK)
        status = wlm_capture_open(&capture, path, error);
    if (c->count)
        qsort(c->notes, c->count, sizeof *c->notes, by_packet);
    if (packets && status == WLM_OK)
        status = copy_packets(c, capture, packets, error);
    wlm_capture_close(capture);
    forget_notes(c);
    return status;
}

static void drop_spool(wlmi_copy *c)
{
    wlm_writer_discard(c->spool);
    if (c->spool_path)
        unlink(c->spool_path);
    wlmi_free(c->spool_path);
}

wlm_status wlmi_copy_finish(wlmi_copy *c, wlm_error *error)
{
    wlm_status status = wlm_writer_finish(c->writer, error);
    c->writer = NULL;
    wlmi_copy_discard(c);
    return status;
}

void wlmi_copy_discard(wlmi_copy *c)
{
    if (!c)
        return;
    wlm_writer_discard(c->writer);
    drop_spool(c);
    forget_notes(c);
    wlmi_free(c->notes);
    wlmi_free(c->out);
    wlmi_free(c);
}
