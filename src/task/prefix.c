/* prefix.c: what a model sees of one flow, packet by packet. */
#include "task/prefix.h"

#include <string.h>

#include "base/alloc.h"

typedef struct wlmi_encoder encoder;
struct wlmi_encoder {
    wlmi_hider *hider;
    wlmi_coder *coder;
    encoder *next; /* in the pool */
};

struct wlmi_prefixes {
    wlmi_view view;
    size_t room; /* tokens in a query */
    encoder *idle;
    wlmi_tokens packet; /* of the packet at hand: codecs ask for far more room than most packets take */
};

wlm_status wlmi_prefixes_new(wlmi_prefixes **pool, const wlmi_view *view, wlm_error *error)
{
    *pool = NULL;
    if (view->context < WLMI_MIN_CONTEXT)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "a context of %d rows is too short",
                         view->context);
    *pool = wlmi_alloc_zero(1, sizeof **pool);
    if (!*pool)
        return WLMI_NO_MEMORY(error);
    (*pool)->view = *view;
    (*pool)->room = (size_t)view->context - WLMI_QUERY_ROWS;
    return WLM_OK;
}

static void free_encoder(const wlmi_prefixes *pool, encoder *e)
{
    if (e->coder)
        pool->view.codec->drop(e->coder);
    wlmi_hider_free(e->hider);
    wlmi_free(e);
}

static wlm_status make_encoder(wlmi_prefixes *pool, encoder **out, wlm_error *error)
{
    wlm_status status;
    encoder *e = pool->idle;
    *out = e;
    if (e) {
        pool->idle = e->next;
        return WLM_OK;
    }
    e = wlmi_alloc_zero(1, sizeof *e);
    if (!e)
        return WLMI_NO_MEMORY(error);
    status = wlmi_hider_new(&e->hider, pool->view.hide, wlmi_codec_cut(pool->view.codec, pool->view.payload), error);
    if (status == WLM_OK)
        status = pool->view.codec->make(&e->coder, error);
    if (status != WLM_OK)
        free_encoder(pool, e);
    else
        *out = e;
    return status;
}

void wlmi_prefixes_free(wlmi_prefixes *pool)
{
    if (!pool)
        return;
    for (encoder *e = pool->idle, *next; e; e = next) {
        next = e->next;
        free_encoder(pool, e);
    }
    wlmi_tokens_free(&pool->packet);
    wlmi_free(pool);
}

static wlm_status begin(wlmi_prefixes *pool, wlmi_prefix *prefix, const wlm_flow_key *key, int64_t base_ns,
                        wlm_error *error)
{
    WLMI_TRY(make_encoder(pool, &prefix->encoder, error));
    wlmi_hider_start(prefix->encoder->hider, key, prefix->hide_key, base_ns);
    return WLM_OK;
}

/* Whether the codec leaves out payload of the packet. */
static int is_limited(const wlmi_prefixes *pool, const wlm_packet *packet)
{
    wlmi_headers headers;
    if (!pool->view.codec->limits_payload || packet->captured <= pool->view.payload)
        return 0;
    wlmi_decode(packet, &headers);
    return headers.payload_len > pool->view.payload;
}

/* Room for exactly n tokens, those there are included; 0 on failure, which loses none. */
static int resize(wlmi_tokens *t, size_t n)
{
    void *token, *role, *packet, *measure;
    if (n == 0 || n == t->capacity)
        return 1;
    token = wlmi_realloc(t->token, n * sizeof *t->token);
    t->token = token ? token : t->token;
    role = wlmi_realloc(t->role, n * sizeof *t->role);
    t->role = role ? role : t->role;
    packet = wlmi_realloc(t->packet, n * sizeof *t->packet);
    t->packet = packet ? packet : t->packet;
    measure = wlmi_realloc(t->measure, n * sizeof *t->measure);
    t->measure = measure ? measure : t->measure;
    if (token && role && packet && measure)
        t->capacity = n;
    return t->capacity == n;
}

/* With little room to spare: many flows are open at a time. */
static int append(wlmi_tokens *t, const wlmi_tokens *more)
{
    const size_t need = t->count + more->count;
    if (need > t->capacity && !resize(t, need + need / 8))
        return 0;
    if (more->count) {
        memcpy(t->token + t->count, more->token, more->count * sizeof *t->token);
        memcpy(t->role + t->count, more->role, more->count * sizeof *t->role);
        memcpy(t->packet + t->count, more->packet, more->count * sizeof *t->packet);
        memcpy(t->measure + t->count, more->measure, more->count * sizeof *t->measure);
    }
    t->count = need;
    return 1;
}

wlm_status wlmi_prefix_take(wlmi_prefixes *pool, wlmi_prefix *prefix, const wlm_flow_key *key,
                            const wlm_packet *packet, wlm_error *error)
{
    wlm_packet hidden;
    size_t before = prefix->tokens.count;
    if (prefix->complete)
        return WLM_OK;
    if (!prefix->encoder)
        WLMI_TRY(begin(pool, prefix, key, packet->time_ns, error));
    WLMI_TRY(wlmi_hide_packet(prefix->encoder->hider, packet, &hidden, error));
    if (prefix->packets == 0) {
        wlmi_coder_options options = {.start_ns = hidden.time_ns};
        wlmi_codec_limit(pool->view.codec, pool->view.payload, &options);
        pool->view.codec->start(prefix->encoder->coder, &options);
        prefix->first_role = pool->view.codec->role(prefix->encoder->coder);
    }
    pool->packet.count = 0;
    WLMI_TRY(pool->view.codec->encode(prefix->encoder->coder, &hidden, &pool->packet, error));
    wlmi_tokens_look_ahead(pool->view.codec, prefix->encoder->coder, &pool->packet, 0);
    if (!append(&prefix->tokens, &pool->packet)) {
        wlmi_prefix_end(pool, prefix); /* the coder is ahead of the tokens */
        return WLMI_NO_MEMORY(error);
    }
    if (prefix->tokens.count > pool->room) {
        prefix->tokens.count = prefix->packets ? before : pool->room;
        prefix->packets += prefix->packets == 0;
        prefix->clipped = 1;
        wlmi_prefix_end(pool, prefix);
        return WLM_OK;
    }
    prefix->clipped |= hidden.captured < hidden.wire || is_limited(pool, &hidden);
    prefix->packets++;
    if ((pool->view.max_packets && prefix->packets >= pool->view.max_packets) || prefix->tokens.count == pool->room)
        wlmi_prefix_end(pool, prefix);
    return WLM_OK;
}

void wlmi_prefix_end(wlmi_prefixes *pool, wlmi_prefix *prefix)
{
    prefix->complete = 1;
    if (!prefix->encoder)
        return;
    prefix->encoder->next = pool->idle;
    pool->idle = prefix->encoder;
    prefix->encoder = NULL;
    resize(&prefix->tokens, prefix->tokens.count); /* keeping the room is no failure */
}

void wlmi_prefix_free(wlmi_prefixes *pool, wlmi_prefix *prefix)
{
    wlmi_prefix_end(pool, prefix);
    wlmi_tokens_free(&prefix->tokens);
}

static void put(const wlmi_prefix *prefix, const wlmi_codec *codec, size_t from, size_t to, wlmi_rows *rows)
{
    const wlmi_tokens *t = &prefix->tokens;
    if (from == 0)
        wlmi_rows_put(rows, (int32_t)codec->vocabulary + WLMI_FLOW_ROW, 0, prefix->first_role);
    for (size_t i = from ? from - 1 : 0; i + 1 < to; i++)
        wlmi_rows_put_token(rows, t, i);
}

wlm_status wlmi_prefix_rows(const wlmi_prefix *prefix, const wlmi_codec *codec, size_t from, size_t to, wlmi_rows *rows,
                            wlm_error *error)
{
    WLMI_TRY(wlmi_rows_reserve(rows, to - from, error));
    put(prefix, codec, from, to, rows);
    wlmi_rows_close(rows);
    return WLM_OK;
}

wlm_status wlmi_prefix_ask(const wlmi_prefix *prefix, const wlmi_net *net, const wlmi_codec *codec, size_t from,
                           int task, wlmi_rows *rows, wlm_error *error)
{
    int32_t none = (int32_t)codec->roles, packets = (int32_t)prefix->packets;
    WLMI_TRY(wlmi_rows_reserve(rows, prefix->tokens.count + WLMI_QUERY_ROWS, error));
    put(prefix, codec, from, 1 + prefix->tokens.count, rows);
    wlmi_rows_put(rows, (int32_t)codec->vocabulary + WLMI_ASK_ROW, packets, none);
    wlmi_rows_put(rows, net->task[task].row, packets, none);
    wlmi_rows_close(rows);
    return WLM_OK;
}
