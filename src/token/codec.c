/* codec.c: the table of codecs, their hashes, runs of tokens. */
#include "token/codec.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/digest.h"

/* The first is the default. */
static const wlmi_codec *const codecs[] = {&wlmi_codec_fields, &wlmi_codec_bytes};

const wlmi_codec *wlmi_codec_at(size_t i)
{
    return i < sizeof codecs / sizeof *codecs ? codecs[i] : NULL;
}

const wlmi_codec *wlmi_codec_find(const char *name)
{
    const wlmi_codec *codec;
    for (size_t i = 0; (codec = wlmi_codec_at(i)); i++)
        if (!name || !strcmp(name, codec->name))
            return codec;
    return NULL;
}

uint32_t wlmi_codec_cut(const wlmi_codec *codec, uint32_t payload)
{
    return codec->limits_payload ? WLM_PAYLOAD_FULL : payload;
}

void wlmi_codec_limit(const wlmi_codec *codec, uint32_t payload, wlmi_coder_options *options)
{
    options->payload_limited = codec->limits_payload && payload != WLM_PAYLOAD_FULL;
    options->payload_limit = options->payload_limited ? payload : 0;
}

wlm_token_options wlm_token_options_default(void)
{
    return (wlm_token_options){.codec = codecs[0]->name, .payload = WLM_PAYLOAD_FULL};
}

wlm_status wlmi_codec_choose(const wlm_token_options *options, const wlmi_codec **codec, wlmi_coder_options *coding,
                             wlm_error *error)
{
    const wlm_token_options o = options ? *options : wlm_token_options_default();
    *codec = wlmi_codec_find(o.codec);
    if (!*codec)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "there is no codec '%s'", o.codec);
    if (o.payload != WLM_PAYLOAD_FULL && !(*codec)->limits_payload)
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, NULL, WLM_NO_OFFSET,
                         "codec '%s' tells all payload; another limit needs another codec", (*codec)->name);
    *coding = (wlmi_coder_options){.capture = o.unit == WLM_UNIT_CAPTURE,
                                   .seed = o.payload == WLM_PAYLOAD_FULL ? 0 : o.seed};
    wlmi_codec_limit(*codec, o.payload, coding);
    return WLM_OK;
}

wlm_status wlm_token_options_check(const wlm_token_options *options, wlm_error *error)
{
    const wlmi_codec *codec;
    wlmi_coder_options coding;
    return wlmi_codec_choose(options, &codec, &coding, error);
}

void wlmi_codec_hash(const wlmi_codec *codec, char hex[65])
{
    size_t words = (codec->vocabulary + 63) / 64;
    wlmi_sha256 sha;
    char text[128];
    int n = snprintf(text, sizeof text, "%s %u %u %u\n", codec->name, codec->version, codec->vocabulary, codec->roles);
    wlmi_sha256_init(&sha);
    wlmi_sha256_update(&sha, text, (size_t)n);
    for (uint32_t role = 0; role < codec->roles; role++) {
        wlmi_sha256_update(&sha, codec->role_names[role], strlen(codec->role_names[role]) + 1);
        for (size_t word = 0; word < words; word++) {
            uint8_t bytes[8];
            wlmi_store_le64(bytes, codec->rows[role * words + word]);
            wlmi_sha256_update(&sha, bytes, sizeof bytes);
        }
    }
    wlmi_sha256_final(&sha, hex);
}

wlmi_end wlmi_end_of(wlm_flow_end end)
{
    return end == WLM_END_CLOSED ? WLMI_END_CLOSED : end == WLM_END_TIMEOUT ? WLMI_END_TIMEOUT : WLMI_END_CUT;
}

int wlmi_tokens_reserve(wlmi_tokens *tokens, size_t more)
{
    size_t token = tokens->capacity, role = tokens->capacity, packet = tokens->capacity, measure = tokens->capacity;
    size_t need = tokens->count + more;
    if (more > SIZE_MAX - tokens->count || !wlmi_grow(&tokens->token, &token, need, sizeof *tokens->token) ||
        !wlmi_grow(&tokens->role, &role, need, sizeof *tokens->role) ||
        !wlmi_grow(&tokens->packet, &packet, need, sizeof *tokens->packet) ||
        !wlmi_grow(&tokens->measure, &measure, need, sizeof *tokens->measure))
        return 0;
    tokens->capacity = token;
    return 1;
}

void wlmi_tokens_free(wlmi_tokens *tokens)
{
    wlmi_free(tokens->token);
    wlmi_free(tokens->role);
    wlmi_free(tokens->packet);
    wlmi_free(tokens->measure);
    *tokens = (wlmi_tokens){0};
}

void wlmi_tokens_look_ahead(const wlmi_codec *codec, const wlmi_coder *coder, wlmi_tokens *tokens, size_t from)
{
    if (from >= tokens->count)
        return;
    memmove(tokens->role + from, tokens->role + from + 1, tokens->count - from - 1);
    tokens->role[tokens->count - 1] = codec->role(coder);
    if (!codec->measure)
        memset(tokens->measure + from, 0, (tokens->count - from) * sizeof *tokens->measure);
}
