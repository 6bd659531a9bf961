/* text.c: a capture's tokens for people, one packet a line, in unit capture. */
#include <stdio.h>
#include <string.h>

#include "token/codec.h"

enum { LINE = 4096 };

typedef struct texter {
    const wlmi_codec *codec;
    wlmi_coder *writer, *reader;
    wlmi_coder_options options;
    wlmi_tokens tokens;
    char line[LINE];
} texter;

/* Token by token, of a codec that has no better form. */
static void plain_text(texter *t)
{
    size_t used = 0;
    for (size_t i = 0; i < t->tokens.count && used < LINE - 32; i++) {
        char name[32];
        used += (size_t)snprintf(t->line + used, LINE - used, "%s%s", i ? " " : "",
                                 t->codec->token_name(t->tokens.token[i], name));
    }
}

static wlm_status text_packets(texter *t, wlm_capture *capture, int (*line)(void *user, const char *text), void *user,
                               wlm_error *error)
{
    wlm_packet packet;
    wlm_status status;
    for (int first = 1; (status = wlm_capture_next(capture, &packet, error)) == WLM_OK; first = 0) {
        if (first) {
            t->options.capture = 1;
            t->options.start_ns = packet.time_ns;
            t->codec->start(t->writer, &t->options);
            t->codec->start(t->reader, &t->options);
        }
        t->tokens.count = 0;
        WLMI_TRY(t->codec->encode(t->writer, &packet, &t->tokens, error));
        if (t->codec->text)
            t->codec->text(t->reader, &t->tokens, t->line, LINE);
        else
            plain_text(t);
        if (line(user, t->line) != 0)
            return WLM_STOPPED;
    }
    return status == WLM_END ? WLM_OK : status;
}

wlm_status wlm_token_text(const char *path, const wlm_token_options *options,
                          int (*line)(void *user, const char *text), void *user, wlm_error *error)
{
    texter t = {0};
    wlm_capture *capture;
    WLMI_TRY(wlmi_codec_choose(options, &t.codec, &t.options, error));
    WLMI_TRY(wlm_capture_open(&capture, path, error));
    wlm_status status = t.codec->make(&t.writer, error);
    if (status == WLM_OK)
        status = t.codec->make(&t.reader, error);
    if (status == WLM_OK)
        status = text_packets(&t, capture, line, user, error);
    if (t.writer)
        t.codec->drop(t.writer);
    if (t.reader)
        t.codec->drop(t.reader);
    wlmi_tokens_free(&t.tokens);
    wlm_capture_close(capture);
    return status;
}
