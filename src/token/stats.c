/* stats.c: what a capture costs in tokens, flow by flow: headers and times apart from payload, by protocol and layer,
 * and in bits under one fixed adaptive coder, so that fewer tokens cannot hide dearer ones. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/scale.h"
#include "capture/flow.h"
#include "token/codec.h"

enum { HELD_FLOWS = 4096, TABLE_BITS = 22, RATE = 5, HALF = 1 << 15, BORDER_CONTEXT = 0xffff };

typedef struct tracked { /* beside each flow */
    wlmi_coder *coder;
    uint8_t class, spoke[2];
} tracked;

struct wlm_token_counter {
    const wlmi_codec *codec;
    wlmi_coder_options options;
    wlmi_coder *spare[HELD_FLOWS + 1]; /* coders of flows that ended */
    size_t spares;
    wlmi_tokens tokens;
    uint16_t *chance;    /* of a one, in 1/65536, by context and bits read so far */
    uint32_t before[2];  /* last header tokens */
    wlm_token_stats stats;
    wlm_link_stats *link; /* ascending */
    size_t links, link_room;
    wlmi_scale *scale;
    wlm_status status;   /* of what happened in expired() */
};

wlm_status wlm_token_counter_new(wlm_token_counter **counter, const wlm_token_options *options, wlm_error *error)
{
    const wlmi_codec *codec;
    wlmi_coder_options coding;
    wlm_token_counter *c;
    *counter = NULL;
    WLMI_TRY(wlmi_codec_choose(options, &codec, &coding, error));
    coding.capture = 0;
    c = wlmi_alloc_zero(1, sizeof *c);
    if (!c)
        return WLMI_NO_MEMORY(error);
    c->codec = codec;
    c->options = coding;
    c->chance = wlmi_alloc_array((size_t)1 << TABLE_BITS, sizeof *c->chance);
    if (!c->chance) {
        wlm_token_counter_free(c);
        return WLMI_NO_MEMORY(error);
    }
    for (size_t i = 0; i < (size_t)1 << TABLE_BITS; i++)
        c->chance[i] = HALF;
    wlm_status status = wlmi_scale_new(&c->scale, error);
    if (status == WLM_OK)
        *counter = c;
    else
        wlm_token_counter_free(c);
    return status;
}

void wlm_token_counter_free(wlm_token_counter *c)
{
    if (!c)
        return;
    while (c->spares)
        c->codec->drop(c->spare[--c->spares]);
    wlmi_tokens_free(&c->tokens);
    wlmi_scale_free(c->scale);
    wlmi_free(c->link);
    wlmi_free(c->chance);
    wlmi_free(c);
}

/* Bits of a header token after the two before it: binary decisions from the highest bit, each with an adaptive chance
 * of its own context. */
static double bits_of(wlm_token_counter *c, uint32_t token)
{
    uint32_t context = (c->before[0] * 2654435761u ^ c->before[1] * 2246822519u) * 3266489917u;
    double bits = 0;
    for (uint32_t node = 1, bit = 1u << 12; bit; bit >>= 1) {
        uint32_t at = (context ^ node * 668265263u) >> (32 - TABLE_BITS);
        uint16_t *chance = &c->chance[at];
        int one = (token & bit) != 0;
        bits -= log2((one ? *chance : 65536.0 - *chance) / 65536.0);
        *chance = (uint16_t)(one ? *chance + ((65504 - *chance) >> RATE) : *chance - ((*chance - 32) >> RATE));
        node = node << 1 | (uint32_t)one;
        context += node * 374761393u;
    }
    c->before[0] = c->before[1];
    c->before[1] = token;
    return bits;
}

static uint32_t least_offset(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Counts the packet's tokens. headers: of the packet, for a codec whose tokens are its bytes; NULL: an
 * end. Returns those that are no payload. */
static uint64_t count_tokens(wlm_token_counter *c, const wlmi_headers *headers, uint32_t captured)
{
    wlm_token_stats *s = &c->stats;
    uint64_t told = 0;
    for (size_t i = 0; i < c->tokens.count; i++) {
        wlmi_group group = c->codec->group(c->tokens.role[i], c->tokens.token[i]);
        if (group == WLMI_GROUP_DATA) { /* the packet's bytes stand at the end */
            uint32_t at = (uint32_t)(i - (c->tokens.count - captured));
            group = at < least_offset(headers->network, headers->payload)     ? WLMI_GROUP_LINK
                    : at < least_offset(headers->transport, headers->payload) ? WLMI_GROUP_NETWORK
                    : at < headers->payload                                   ? WLMI_GROUP_TRANSPORT
                    : at < headers->payload + headers->payload_len            ? WLMI_GROUP_PAYLOAD
                                                                              : WLMI_GROUP_LINK;
        }
        switch (group) {
        case WLMI_GROUP_TIME: s->time_tokens++; break;
        case WLMI_GROUP_LINK: s->link_tokens++; break;
        case WLMI_GROUP_NETWORK: s->network_tokens++; break;
        case WLMI_GROUP_TRANSPORT: s->transport_tokens++; break;
        case WLMI_GROUP_RAW: s->raw_tokens++; break;
        default: s->payload_tokens++; continue;
        }
        told++;
        s->header_bits += bits_of(c, c->tokens.token[i]);
    }
    return told;
}

static void expired(void *owner, wlmi_flow *flow)
{
    wlm_token_counter *c = owner;
    tracked *t = flow->user;
    if (!t->coder) /* none could be made */
        return;
    c->tokens.count = 0;
    if (c->codec->encode_end(t->coder, wlmi_end_of(flow->end), &c->tokens, NULL) == WLM_OK)
        c->stats.tokens[t->class] += count_tokens(c, NULL, 0);
    else
        c->status = WLM_ERR_MEMORY;
    c->stats.flows++;
    c->spare[c->spares++] = t->coder;
}

static wlm_status begin(wlm_token_counter *c, tracked *t, const wlm_packet *p, wlm_error *error)
{
    if (c->spares)
        t->coder = c->spare[--c->spares];
    else
        WLMI_TRY(c->codec->make(&t->coder, error));
    c->options.start_ns = p->time_ns;
    c->codec->start(t->coder, &c->options);
    c->before[0] = c->before[1] = BORDER_CONTEXT;
    return WLM_OK;
}

/* The link type's counts, made where they are new; NULL: out of memory. */
static wlm_link_stats *link_of(wlm_token_counter *c, uint32_t link_type)
{
    size_t at = c->links;
    while (at > 0 && c->link[at - 1].link_type >= link_type)
        at--;
    if (at < c->links && c->link[at].link_type == link_type)
        return &c->link[at];
    if (!wlmi_grow(&c->link, &c->link_room, c->links + 1, sizeof *c->link))
        return NULL;
    memmove(&c->link[at + 1], &c->link[at], (c->links++ - at) * sizeof *c->link);
    c->link[at] = (wlm_link_stats){.link_type = link_type};
    return &c->link[at];
}

static wlm_status count_packet(wlm_token_counter *c, wlmi_flow_table *flows, const wlm_packet *p, wlm_error *error)
{
    wlmi_headers headers;
    wlmi_flow *flow;
    int backward;
    wlmi_decode(p, &headers);
    WLMI_TRY(wlmi_flow_of(flows, p, &headers, &flow, &backward, error));
    tracked *t = flow->user;
    if (!t->coder)
        WLMI_TRY(begin(c, t, p, error));
    t->class = (uint8_t)(!headers.ip_version                     ? WLM_TOKENS_OTHER
                         : headers.proto == WLMI_PROTO_TCP ? WLM_TOKENS_TCP
                         : headers.proto == WLMI_PROTO_UDP ? WLM_TOKENS_UDP
                                                           : WLM_TOKENS_OTHER);
    c->tokens.count = 0;
    WLMI_TRY(c->codec->encode(t->coder, p, &c->tokens, error));
    uint64_t told = count_tokens(c, &headers, p->captured);
    c->stats.packets[t->class]++;
    c->stats.tokens[t->class] += told;
    if (t->class != WLM_TOKENS_OTHER) {
        *(t->spoke[backward] ? &c->stats.continuing_packets : &c->stats.opening_packets) += 1;
        *(t->spoke[backward] ? &c->stats.continuing_tokens : &c->stats.opening_tokens) += told;
    }
    t->spoke[backward] = 1;
    wlm_link_stats *link = link_of(c, p->link_type);
    if (!link)
        return WLMI_NO_MEMORY(error);
    int reason = c->codec->raw ? c->codec->raw(t->coder) : 0;
    link->packets++;
    if (reason > 0 && reason <= WLM_RAW_REASONS) {
        link->raw[reason - 1]++;
        c->stats.raw[reason - 1]++;
    }
    return WLM_OK;
}

static wlm_status count_bytes(wlm_token_counter *c, const char *path, wlm_error *error)
{
    wlmi_sizes sizes = {0};
    WLMI_TRY(wlmi_scale_add(c->scale, path, &sizes, error));
    c->stats.capture_bytes += sizes.plain;
    c->stats.gzip_bytes += sizes.gzip;
    c->stats.zstd_bytes += sizes.zstd;
    return WLM_OK;
}

wlm_status wlm_token_counter_add(wlm_token_counter *c, const char *path, wlm_error *error)
{
    const wlmi_flow_options options = {.max_flows = HELD_FLOWS, .user_size = sizeof(tracked)};
    wlm_capture *capture;
    wlmi_flow_table *flows;
    wlm_packet packet;
    wlm_status status;
    WLMI_TRY(wlm_capture_open(&capture, path, error));
    status = wlmi_flow_table_new(&flows, &options, expired, c, error);
    if (status != WLM_OK) {
        wlm_capture_close(capture);
        return status;
    }
    c->status = WLM_OK;
    do {
        status = wlm_capture_next(capture, &packet, error);
        if (status == WLM_OK)
            status = count_packet(c, flows, &packet, error);
    } while (status == WLM_OK);
    wlmi_flow_table_flush(flows);
    wlmi_flow_table_free(flows);
    wlm_capture_close(capture);
    if (status == WLM_END || status == WLM_ERR_FORMAT) /* packets before damage count */
        status = c->status == WLM_OK ? WLM_OK : WLMI_NO_MEMORY(error);
    return status == WLM_OK ? count_bytes(c, path, error) : status;
}

void wlm_token_counter_read(const wlm_token_counter *c, wlm_token_stats *stats)
{
    *stats = c->stats;
}

int wlm_token_counter_link(const wlm_token_counter *c, size_t i, wlm_link_stats *stats)
{
    if (i >= c->links)
        return 0;
    *stats = c->link[i];
    return 1;
}

const char *wlm_raw_reason_name(size_t i)
{
    static const char *const names[WLM_RAW_REASONS] = {"link", "cut", "lengths", "rebuild"};
    return i < WLM_RAW_REASONS ? names[i] : NULL;
}
