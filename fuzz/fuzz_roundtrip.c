/* fuzz_roundtrip.c: whatever a capture holds, every codec gives its packets back, in both units. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "token/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void roundtrip(const wlmi_codec *codec, const wlmi_coder_options *options, const uint8_t *data, size_t size)
{
    wlm_capture *capture;
    wlm_packet packet;
    wlmi_coder *writer = NULL, *reader = NULL;
    wlmi_tokens tokens = {0};
    if (wlm_capture_open_memory(&capture, data, size, "input", NULL) != WLM_OK)
        return;
    if (codec->make(&writer, NULL) != WLM_OK || codec->make(&reader, NULL) != WLM_OK)
        abort();
    codec->start(writer, options);
    codec->start(reader, options);
    while (wlm_capture_next(capture, &packet, NULL) == WLM_OK) {
        wlmi_pushed what = WLMI_PUSHED;
        const wlm_packet *back;
        tokens.count = 0;
        if (codec->encode(writer, &packet, &tokens, NULL) != WLM_OK)
            break; /* out of memory, or longer than a record can be */
        for (size_t i = 0; i < tokens.count; i++)
            if (codec->role(reader) != tokens.role[i] || codec->push(reader, tokens.token[i], &what, NULL) != WLM_OK ||
                (codec->measure && codec->measure(reader) != tokens.measure[i]) ||
                (what == WLMI_PUSHED_PACKET) != (i == tokens.count - 1))
                abort();
        back = codec->packet(reader);
        if (back->time_ns != packet.time_ns || back->captured != packet.captured || back->wire != packet.wire ||
            back->link_type != packet.link_type ||
            (packet.captured && memcmp(back->data, packet.data, packet.captured) != 0))
            abort();
    }
    wlm_capture_close(capture);
    wlmi_tokens_free(&tokens);
    codec->drop(writer);
    codec->drop(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const wlmi_codec *codec;
    for (size_t i = 0; (codec = wlmi_codec_at(i)); i++) {
        roundtrip(codec, &(wlmi_coder_options){.start_ns = 0}, data, size);
        roundtrip(codec, &(wlmi_coder_options){.capture = 1, .shuffle = 1, .seed = size}, data, size);
    }
    return 0;
}
