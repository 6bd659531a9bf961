/* transcode.c: captures to token files and back, and the proof that both agree. */
#include "token/transcode.h"

#include <string.h>

#include "base/alloc.h"
#include "base/io.h"

static wlm_status to_output(void *owner, const void *data, size_t size, wlm_error *error)
{
    return wlmi_output_write(owner, data, size, error);
}

static wlm_status from_input(void *owner, void *out, size_t size, size_t *got, wlm_error *error)
{
    return wlmi_input_read(owner, out, size, got, error);
}

/* The end of every call: WLM_END is success, failures name the file that was read. */
static wlm_status conclude(wlm_status status, const wlm_token_report *from, wlm_token_report *report, const char *in,
                           wlm_error *error)
{
    if (status != WLM_END)
        return wlmi_in_file(error, status, in);
    if (report)
        *report = *from;
    return WLM_OK;
}

wlm_status wlm_encode_file(const char *in, const char *out, const wlm_token_options *options,
                           wlm_token_report *report, wlm_error *error)
{
    const wlmi_codec *codec;
    wlmi_coder_options coding;
    wlm_capture *capture;
    wlmi_packer *packer = NULL;
    wlmi_output *output;
    wlm_status status;
    WLMI_TRY(wlmi_codec_choose(options, &codec, &coding, error));
    WLMI_TRY(wlm_capture_open(&capture, in, error));
    status = wlmi_output_open(&output, out, error);
    if (status != WLM_OK) {
        wlm_capture_close(capture);
        return status;
    }
    status = wlmi_packer_new(&packer, capture, codec, &coding, (wlmi_sink){to_output, output}, (wlmi_sink){NULL, NULL},
                             error);
    while (status == WLM_OK)
        status = wlmi_packer_step(packer, error);
    status = conclude(status, packer ? wlmi_packer_report(packer) : NULL, report, in, error);
    wlmi_packer_free(packer);
    if (status == WLM_OK)
        return wlmi_output_finish(output, error);
    wlmi_output_discard(output);
    return status;
}

wlm_status wlm_decode_file(const char *in, const char *out, const wlm_token_options *expected,
                           wlm_token_report *report, wlm_error *error)
{
    wlmi_unpacker *unpacker = NULL;
    wlmi_input *input;
    wlmi_output *output = NULL;
    wlm_status status;
    WLMI_TRY(wlmi_input_open(&input, in, error));
    WLMI_TRY_GOTO(status, wlmi_output_open(&output, out, error), done);
    WLMI_TRY_GOTO(status, wlmi_unpacker_new(&unpacker, (wlmi_source){from_input, input, wlmi_input_name(input)},
                                            (wlmi_sink){to_output, output}, error), done);
    wlmi_unpacker_expect(unpacker, expected);
    while (status == WLM_OK)
        status = wlmi_unpacker_step(unpacker, error);
    status = conclude(status, wlmi_unpacker_report(unpacker), report, in, error);
    if (status == WLM_OK) {
        status = wlmi_output_finish(output, error);
        output = NULL;
    }
done:
    wlmi_unpacker_free(unpacker);
    wlmi_output_discard(output);
    wlmi_input_close(input);
    return status;
}

/* ---- verify: packer and unpacker in step; what the one wrote the other reads at once, and what it then writes must
 * be what the capture had. Memory: a frame's worth of each. */

typedef struct queue { /* bytes between a writer and a reader */
    uint8_t *bytes;
    size_t from, size, capacity;
} queue;

static wlm_status append(void *owner, const void *data, size_t size, wlm_error *error)
{
    queue *q = owner;
    if (q->from && q->from >= q->size - q->from) { /* half was read: moving the rest costs no more than that did */
        memmove(q->bytes, q->bytes + q->from, q->size - q->from);
        q->size -= q->from;
        q->from = 0;
    }
    if (!wlmi_grow(&q->bytes, &q->capacity, q->size + size, 1))
        return WLMI_NO_MEMORY(error);
    if (size)
        memcpy(q->bytes + q->size, data, size);
    q->size += size;
    return WLM_OK;
}

static wlm_status take(void *owner, void *out, size_t size, size_t *got, wlm_error *error)
{
    queue *q = owner;
    (void)error;
    *got = size < q->size - q->from ? size : q->size - q->from;
    if (*got)
        memcpy(out, q->bytes + q->from, *got);
    q->from += *got;
    return WLM_OK;
}

typedef struct comparison {
    queue original;
    uint64_t offset;
} comparison;

static wlm_status compare(void *owner, const void *data, size_t size, wlm_error *error)
{
    comparison *c = owner;
    const uint8_t *a = c->original.bytes + c->original.from, *b = data;
    size_t same = 0, left = c->original.size - c->original.from;
    if (size <= left && !memcmp(a, b, size)) {
        c->original.from += size;
        c->offset += size;
        return WLM_OK;
    }
    while (same < size && same < left && a[same] == b[same])
        same++;
    return wlmi_fail(error, WLM_ERR_FORMAT, NULL, c->offset + same, "the decoded capture differs from here on");
}

static wlm_status run_in_step(wlmi_packer *packer, wlmi_unpacker *unpacker, const queue *tokens, wlm_error *error)
{
    wlm_status packed = WLM_OK, unpacked = WLM_OK;
    while (packed == WLM_OK) {
        packed = wlmi_packer_step(packer, error);
        if (packed != WLM_OK && packed != WLM_END)
            return packed;
        while (tokens->from < tokens->size && unpacked == WLM_OK)
            unpacked = wlmi_unpacker_step(unpacker, error);
        if (unpacked != WLM_OK && unpacked != WLM_END)
            return unpacked;
    }
    return unpacked;
}

wlm_status wlmi_verify_capture(wlm_capture *capture, const char *name, const wlmi_codec *codec,
                               const wlmi_coder_options *options, wlm_token_report *report, wlm_error *error)
{
    queue tokens = {0};
    comparison check = {0};
    wlmi_packer *packer;
    wlmi_unpacker *unpacker = NULL;
    wlm_status status = wlmi_packer_new(&packer, capture, codec, options, (wlmi_sink){append, &tokens},
                                        (wlmi_sink){append, &check.original}, error);
    if (status == WLM_OK)
        status = wlmi_unpacker_new(&unpacker, (wlmi_source){take, &tokens, name}, (wlmi_sink){compare, &check}, error);
    if (status == WLM_OK)
        status = run_in_step(packer, unpacker, &tokens, error);
    if (status == WLM_END && check.original.from != check.original.size)
        status = wlmi_fail(error, WLM_ERR_FORMAT, name, check.offset, "the decoded capture ends early");
    status = conclude(status, packer ? wlmi_packer_report(packer) : NULL, report, name, error);
    wlmi_packer_free(packer);
    wlmi_unpacker_free(unpacker);
    wlmi_free(tokens.bytes);
    wlmi_free(check.original.bytes);
    return status;
}

wlm_status wlm_verify_file(const char *in, const wlm_token_options *options, wlm_token_report *report,
                           wlm_error *error)
{
    const wlmi_codec *codec;
    wlmi_coder_options coding;
    wlm_capture *capture;
    WLMI_TRY(wlmi_codec_choose(options, &codec, &coding, error));
    WLMI_TRY(wlm_capture_open(&capture, in, error));
    return wlmi_verify_capture(capture, in, codec, &coding, report, error);
}
