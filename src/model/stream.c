/* stream.c: the state of one stream: made, grown, copied, and as bytes. */
#include "model/stream.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/digest.h"
#include "model/mixer.h"
#include "model/params.h"
#include "model/summary.h"

enum { FIRST_ROOM = 16 };

/* ---------------------------------------------------------------- layout */

size_t wlmi_stream_part(const wlmi_net *net, int layer, int part, int room)
{
    const wlmi_config *config = &net->config;
    const wlmi_plan *plan = wlmi_config_layer(config, layer).plan;
    size_t size;
    if (part == 0 || part == plan->groups + 1) {
        size = config->shift ? (size_t)config->width / 2 : 0;
    } else {
        const wlmi_head_group *group = &plan->group[part - 1];
        size = wlmi_mixer_of(group->kind)->state_size(net->backend, group, config->head_width, room);
    }
    return (size + 15) & ~(size_t)15;
}

static int last_part(const wlmi_config *config, int layer)
{
    return wlmi_config_layer(config, layer).plan->groups + 1;
}

static size_t values(const wlmi_net *net, int room)
{
    size_t total = 0;
    for (int l = 0; l < net->config.layers; l++)
        for (int part = 0; part <= last_part(&net->config, l); part++)
            total += wlmi_stream_part(net, l, part, room);
    return total + (net->config.summary_trees ? WLMI_SUMMARY_STATE : 0);
}

/* The most rows that any head remembers one by one. */
static int reach(const wlmi_config *config)
{
    int farthest = 0;
    for (int l = 0; l < config->layers; l++) {
        const wlmi_plan *plan = wlmi_config_layer(config, l).plan;
        for (int g = 0; g < plan->groups; g++) {
            const wlmi_mixer *mixer = wlmi_mixer_of(plan->group[g].kind);
            int here = mixer->reach ? mixer->reach(&plan->group[g]) : 0;
            farthest = here > farthest ? here : farthest;
        }
    }
    return farthest;
}

float *wlmi_stream_summary(const wlmi_stream *s, const wlmi_net *net)
{
    return (float *)wlmi_at(net->backend, s->block, s->size - WLMI_SUMMARY_STATE);
}

/* ---------------------------------------------------------------- life */

static wlm_status make(wlmi_stream *s, const wlmi_net *net, int room, wlm_error *error)
{
    *s = (wlmi_stream){.room = room, .size = values(net, room)};
    s->block = wlmi_alloc_aligned(s->size * net->backend->real_size);
    return s->block ? WLM_OK : WLMI_NO_MEMORY(error);
}

wlm_status wlmi_stream_new(wlmi_stream *stream, const wlmi_net *net, wlm_error *error)
{
    int most = reach(&net->config);
    return make(stream, net, most < FIRST_ROOM ? most : FIRST_ROOM, error);
}

void wlmi_stream_free(wlmi_stream *stream)
{
    wlmi_free(stream->block);
    memset(stream, 0, sizeof *stream);
}

void wlmi_stream_reset(wlmi_stream *s, const wlmi_net *net)
{
    s->position = 0;
    net->backend->zero(s->block, s->size);
}

size_t wlmi_stream_bytes(const wlmi_stream *s, const wlmi_net *net)
{
    return s->size * net->backend->real_size;
}

wlm_status wlmi_stream_fork(wlmi_stream *to, const wlmi_stream *from, const wlmi_net *net, wlm_error *error)
{
    wlmi_stream copy;
    WLMI_TRY(make(&copy, net, from->room, error));
    memcpy(copy.block, from->block, from->size * net->backend->real_size);
    copy.position = from->position;
    wlmi_stream_free(to);
    *to = copy;
    return WLM_OK;
}

/* Every part of the old block is a prefix of its place in the new one. */
static wlm_status grow(wlmi_stream *s, const wlmi_net *net, int room, wlm_error *error)
{
    const wlmi_config *c = &net->config;
    size_t real = net->backend->real_size;
    const char *from = (const char *)s->block;
    wlmi_stream grown;
    char *to;
    WLMI_TRY(make(&grown, net, room, error));
    to = (char *)grown.block;
    for (int l = 0; l < c->layers; l++)
        for (int part = 0; part <= last_part(c, l); part++) {
            size_t size = wlmi_stream_part(net, l, part, s->room) * real;
            memcpy(to, from, size);
            from += size;
            to += wlmi_stream_part(net, l, part, room) * real;
        }
    if (c->summary_trees)
        memcpy(wlmi_stream_summary(&grown, net), wlmi_stream_summary(s, net), WLMI_SUMMARY_STATE * sizeof(float));
    grown.position = s->position;
    wlmi_stream_free(s);
    *s = grown;
    return WLM_OK;
}

wlm_status wlmi_stream_fit(wlmi_stream *s, const wlmi_net *net, int more, wlm_error *error)
{
    const int most = reach(&net->config);
    const uint64_t longest = most == INT_MAX ? INT_MAX : INT64_MAX;
    int room = s->room;
    if (s->position > longest - (uint64_t)more)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "the stream is too long");
    while (room < most && (uint64_t)room < s->position + (uint64_t)more)
        room = room > most / 2 ? most : 2 * room;
    return room > s->room ? grow(s, net, room, error) : WLM_OK;
}

/* ---------------------------------------------------------------- as bytes */

/* Little-endian: magic, bytes per value u16 and per rounded one u16, room u32, position u64, digest of the identity;
 * then the values as they stand in memory, and the digest of all before it. */
static const char magic[8] = "wlmstrm2";
enum { DIGEST = 64, HEAD = 24 + DIGEST };

static void digest_of(const void *data, size_t size, uint8_t to[DIGEST])
{
    char hex[DIGEST + 1];
    wlmi_sha256_of(data, size, hex);
    memcpy(to, hex, DIGEST);
}

static uint32_t numbers_of(const wlmi_net *net)
{
    return (uint32_t)(net->backend->real_size | net->backend->act_size << 16);
}

wlm_status wlmi_stream_save(const wlmi_stream *s, const wlmi_net *net, const char *identity, void **bytes,
                            size_t *size, wlm_error *error)
{
    const size_t body = s->size * net->backend->real_size;
    uint8_t *out = wlmi_alloc(HEAD + body + DIGEST);
    *bytes = out;
    *size = HEAD + body + DIGEST;
    if (!out)
        return WLMI_NO_MEMORY(error);
    memcpy(out, magic, sizeof magic);
    wlmi_store_le32(out + 8, numbers_of(net));
    wlmi_store_le32(out + 12, (uint32_t)s->room);
    wlmi_store_le64(out + 16, s->position);
    digest_of(identity, strlen(identity), out + 24);
    memcpy(out + HEAD, s->block, body);
    digest_of(out, HEAD + body, out + HEAD + body);
    return WLM_OK;
}

static wlm_status damaged(wlm_error *error, const char *what)
{
    return wlmi_fail(error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "saved session: %s", what);
}

static wlm_status check(const wlmi_net *net, const char *identity, const uint8_t *bytes, size_t size, wlm_error *error)
{
    const int most = reach(&net->config);
    uint8_t digest[DIGEST];
    uint32_t room;
    uint64_t position;
    if (size < HEAD + DIGEST || memcmp(bytes, magic, sizeof magic))
        return damaged(error, "it is none");
    digest_of(bytes, size - DIGEST, digest);
    if (memcmp(digest, bytes + size - DIGEST, DIGEST))
        return damaged(error, "its bytes have changed since");
    digest_of(identity, strlen(identity), digest);
    if (memcmp(digest, bytes + 24, DIGEST))
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, NULL, WLM_NO_OFFSET, "saved session: it belongs to another model");
    if (wlmi_load_le32(bytes + 8) != numbers_of(net))
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, NULL, WLM_NO_OFFSET, "saved session: other numbers than here");
    room = wlmi_load_le32(bytes + 12);
    position = wlmi_load_le64(bytes + 16);
    if (room > (uint32_t)most || position > INT64_MAX || (position > room && room < (uint32_t)most))
        return damaged(error, "its position does not fit its room");
    if ((size - HEAD - DIGEST) % net->backend->real_size ||
        (size - HEAD - DIGEST) / net->backend->real_size != values(net, (int)room))
        return damaged(error, "its length does not fit its room");
    return WLM_OK;
}

wlm_status wlmi_stream_restore(wlmi_stream *stream, const wlmi_net *net, const char *identity, const void *bytes,
                               size_t size, wlm_error *error)
{
    const uint8_t *in = bytes;
    wlmi_stream restored;
    WLMI_TRY(check(net, identity, in, size, error));
    WLMI_TRY(make(&restored, net, (int)wlmi_load_le32(in + 12), error));
    memcpy(restored.block, in + HEAD, restored.size * net->backend->real_size);
    restored.position = wlmi_load_le64(in + 16);
    wlmi_stream_free(stream);
    *stream = restored;
    return WLM_OK;
}
