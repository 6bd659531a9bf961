/* fuzz_walk.c: the input chooses a walk through the grammar of `fields`: there is always a token that may follow, every
 * one of them is taken, and the packets that the walk decodes to encode and decode again to themselves. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "token/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The n-th allowed token, n modulo their number. */
static wlmi_token choose(const wlmi_allowed *a, uint32_t n)
{
    uint32_t count = 0;
    for (uint32_t t = a->low; t <= a->high; t++)
        count += wlmi_is_allowed(a, (wlmi_token)t) != 0;
    if (count == 0)
        abort();
    n %= count;
    for (uint32_t t = a->low; t <= a->high; t++)
        if (wlmi_is_allowed(a, (wlmi_token)t) && n-- == 0)
            return (wlmi_token)t;
    abort();
}

static void check(const wlmi_codec *codec, wlmi_coder *writer, wlmi_coder *reader, const wlm_packet *packet,
                  wlmi_tokens *tokens)
{
    wlmi_pushed what = WLMI_PUSHED;
    tokens->count = 0;
    if (codec->encode(writer, packet, tokens, NULL) != WLM_OK)
        abort();
    for (size_t i = 0; i < tokens->count; i++)
        if (codec->push(reader, tokens->token[i], &what, NULL) != WLM_OK)
            abort();
    const wlm_packet *back = codec->packet(reader);
    if (what != WLMI_PUSHED_PACKET || back->time_ns != packet->time_ns || back->captured != packet->captured ||
        back->wire != packet->wire || back->link_type != packet->link_type ||
        (packet->captured && memcmp(back->data, packet->data, packet->captured) != 0))
        abort();
}

/* First byte: options. Then one byte for each choice, two where there are many. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const wlmi_codec *codec = &wlmi_codec_fields;
    wlmi_coder *walker, *writer, *reader;
    wlmi_tokens tokens = {0};
    wlmi_pushed what = WLMI_PUSHED;
    if (size == 0)
        return 0;
    wlmi_coder_options options = {.capture = data[0] & 1, .shuffle = data[0] >> 1 & 1, .generating = data[0] >> 2 & 1,
                                  .seed = data[0]};
    wlmi_coder_options again = {.capture = options.capture, .seed = data[0]};
    if (codec->make(&walker, NULL) || codec->make(&writer, NULL) || codec->make(&reader, NULL))
        abort();
    codec->start(walker, &options);
    codec->start(writer, &again);
    codec->start(reader, &again);
    for (size_t at = 1; at < size && what != WLMI_PUSHED_END; at++) {
        wlmi_allowed allowed;
        codec->allowed(walker, &allowed);
        uint32_t n = data[at];
        if (allowed.high - allowed.low > 255 && at + 1 < size)
            n = n << 8 | data[++at];
        if (codec->push(walker, choose(&allowed, n), &what, NULL) != WLM_OK)
            abort();
        if (what == WLMI_PUSHED_PACKET)
            check(codec, writer, reader, codec->packet(walker), &tokens);
    }
    wlmi_tokens_free(&tokens);
    codec->drop(walker);
    codec->drop(writer);
    codec->drop(reader);
    return 0;
}
