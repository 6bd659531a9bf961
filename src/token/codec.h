/* codec.h: packets as integers and back. A codec is three things over one state: an encoder, a decoder and a grammar.
 *
 * Grammar: a finite control of at most 256 roles plus registers. After any prefix the state names the role of the
 * next token; which tokens may follow is that role's bit row, cut to an interval, less at most one token, in constant
 * time. Flow state changes only through the reconstructed packet, so that encoder, decoder and sampler agree.
 * Every complete walk through the grammar decodes. The absolute start time and file-level facts are not in the
 * tokens; they travel beside them. */
#ifndef WLMI_CODEC_H
#define WLMI_CODEC_H

#include "base/status.h"

typedef uint16_t wlmi_token;

/* How a flow's token stream ends. */
typedef enum wlmi_end { WLMI_END_CLOSED, WLMI_END_TIMEOUT, WLMI_END_CUT } wlmi_end;
wlmi_end wlmi_end_of(wlm_flow_end end); /* closed, timeout; everything else is a cut */

/* A growing run of tokens; role, packet (index in its flow) and measure (base/measure.h) stand beside each. Zero-initialise;
 * reuse by setting count = 0. */
typedef struct wlmi_tokens {
    wlmi_token *token;
    uint8_t *role;
    uint32_t *packet;
    int64_t *measure;
    size_t count, capacity;
} wlmi_tokens;
int wlmi_tokens_reserve(wlmi_tokens *tokens, size_t more); /* room for so many more; 0 on failure */
void wlmi_tokens_free(wlmi_tokens *tokens);

typedef struct wlmi_allowed {
    const uint64_t *row;   /* bits of the role: (vocabulary + 63) / 64 words; valid until the next push */
    wlmi_token low, high;  /* inclusive */
    int32_t except;        /* a token that may not follow, or -1 */
} wlmi_allowed;

static inline int wlmi_is_allowed(const wlmi_allowed *a, wlmi_token t)
{
    return t >= a->low && t <= a->high && (int32_t)t != a->except && (a->row[t >> 6] >> (t & 63) & 1);
}

enum {
    WLMI_GENERATING_WHOLE = 1, /* captured length = wire length */
    WLMI_GENERATING_CUT        /* wire length may be more: for models that see only the first bytes of payload */
};

typedef struct wlmi_coder_options {
    int64_t start_ns;  /* time zero of the stream: travels beside the tokens */
    int generating;    /* 0, or WLMI_GENERATING_...: narrows the grammar to what a sampler should write: time never
                          runs back, packets are not empty and at most snap_length bytes are captured */
    uint32_t snap_length; /* generating: longest packet; 0: 65535 */
    /* What follows only `fields` knows. */
    int capture;          /* unit: packets of any flows, each naming its own; else all are of one flow */
    int payload_limited;  /* payload beyond the first payload_limit bytes of a packet has no tokens; decoding fills it
                             from the seed, so that lengths and checksum classes hold */
    uint32_t payload_limit;
    int shuffle;          /* a packet's tags in an order drawn from the seed; the grammar then takes any order */
    uint64_t seed;
} wlmi_coder_options;

typedef enum wlmi_pushed {
    WLMI_PUSHED,        /* inside a packet */
    WLMI_PUSHED_PACKET, /* the token completed a packet */
    WLMI_PUSHED_END     /* the token ended the stream */
} wlmi_pushed;

typedef struct wlmi_coder wlmi_coder; /* state of one stream, encoding or decoding */

typedef enum wlmi_group { /* what a token tells of */
    WLMI_GROUP_TIME,
    WLMI_GROUP_LINK, /* and flow, shape, ends */
    WLMI_GROUP_NETWORK,
    WLMI_GROUP_TRANSPORT,
    WLMI_GROUP_PAYLOAD,
    WLMI_GROUP_RAW,
    WLMI_GROUP_DATA /* a byte of the packet: of which layer its place tells */
} wlmi_group;
enum { WLMI_GROUPS = WLMI_GROUP_DATA + 1 };

enum { WLMI_NO_FIELD = -1, WLMI_SAME_FIELD = -2 }; /* a token of no value; one more of the value before */

typedef struct wlmi_codec {
    const char *name;
    uint32_t version;
    uint32_t vocabulary;
    uint32_t roles;
    uint32_t flows;     /* unit capture: in its table of flows; 0: it does not tell flows apart */
    int limits_payload; /* knows payload_limit; else packets must be cut before they come */
    int shuffles;       /* knows shuffle; else a packet's tokens have one order only */
    const char *const *role_names;
    const uint64_t *rows; /* [roles][(vocabulary + 63) / 64]: which tokens a role can ever be */
    wlm_status (*make)(wlmi_coder **coder, wlm_error *error);
    void (*start)(wlmi_coder *coder, const wlmi_coder_options *options); /* (re)starts a stream, no allocation */
    void (*drop)(wlmi_coder *coder);
    /* Appends the packet's tokens; advances the state as push of the same tokens would. */
    wlm_status (*encode)(wlmi_coder *coder, const wlm_packet *packet, wlmi_tokens *out, wlm_error *error);
    wlm_status (*encode_end)(wlmi_coder *coder, wlmi_end end, wlmi_tokens *out, wlm_error *error);
    /* Takes one token. A token that is not allowed is WLM_ERR_FORMAT and leaves the state as it was.
     * After WLMI_PUSHED_PACKET, packet() gives it until the next push. */
    wlm_status (*push)(wlmi_coder *coder, wlmi_token token, wlmi_pushed *what, wlm_error *error);
    const wlm_packet *(*packet)(const wlmi_coder *coder);
    wlmi_end (*end)(const wlmi_coder *coder); /* after WLMI_PUSHED_END */
    /* About the token to come. */
    void (*allowed)(const wlmi_coder *coder, wlmi_allowed *allowed);
    uint8_t (*role)(const wlmi_coder *coder);
    int64_t (*measure)(const wlmi_coder *coder); /* of the token last pushed; NULL: none has one */
    /* Index in its flow of the packet that the next token belongs to; a token that names another flow still counts to
     * the flow before. */
    uint32_t (*segment)(const wlmi_coder *coder);
    int (*at_border)(const wlmi_coder *coder);    /* the next token begins a packet or ends the stream */
    const char *(*token_name)(wlmi_token token, char text[32]);
    /* A packet's tokens, which the reader takes, as a line for people. NULL: their names in a row will do. */
    void (*text)(wlmi_coder *reader, const wlmi_tokens *tokens, char *text, size_t size);
    wlmi_group (*group)(uint8_t role, wlmi_token token);
    /* Unit capture, where `flows` is not 0. set_flow: the packet encoded next is of the flow with this number, whatever
     * its addresses say: hidden flows look alike. Of the packet last encoded or read, flow: how many flows had been
     * opened before its own. */
    void (*set_flow)(wlmi_coder *coder, uint64_t number);
    uint64_t (*flow)(const wlmi_coder *coder);
    /* The values that packets are told in, by name (NULL ends them): the one that a token is of, or WLMI_NO_FIELD or
     * WLMI_SAME_FIELD. Tokens of a value follow each other. */
    const char *const *field_names;
    int (*field)(uint8_t role, wlmi_token token);
    /* In this role a value's token says of those with lower tokens, which could follow as well, that they are as
     * predicted. NULL: none does. */
    int (*passes)(uint8_t role);
    int (*raw)(const wlmi_coder *coder); /* why the packet last encoded went raw, from 1; 0: it did not. NULL: none can */
} wlmi_codec;

static inline int64_t wlmi_codec_measure(const wlmi_codec *codec, const wlmi_coder *coder)
{
    return codec->measure ? codec->measure(coder) : 0;
}

extern const wlmi_codec wlmi_codec_bytes, wlmi_codec_fields;

/* Gives each token from `from` on the role of the one after it, and the last the role that the coder waits for: what a
 * model may know of the token to come. Levels stay; those of a codec without any become 0. */
void wlmi_tokens_look_ahead(const wlmi_codec *codec, const wlmi_coder *coder, wlmi_tokens *tokens, size_t from);

/* Payload that must be cut away before such a codec sees a packet, and what it is told of the rest, so that models
 * see no more than the first `payload` bytes (or WLM_PAYLOAD_FULL). */
uint32_t wlmi_codec_cut(const wlmi_codec *codec, uint32_t payload);
void wlmi_codec_limit(const wlmi_codec *codec, uint32_t payload, wlmi_coder_options *options);
/* The codec that the options (NULL: the defaults) name, and what it is told of unit and payload. */
wlm_status wlmi_codec_choose(const wlm_token_options *options, const wlmi_codec **codec, wlmi_coder_options *coding,
                             wlm_error *error);
/* NULL name: the default. NULL where there is none of that name. */
const wlmi_codec *wlmi_codec_find(const char *name);
const wlmi_codec *wlmi_codec_at(size_t i); /* NULL past the last */
/* SHA-256 over name, version, vocabulary and grammar rows: what a model or token file was made with. */
void wlmi_codec_hash(const wlmi_codec *codec, char hex[65]);

#endif
