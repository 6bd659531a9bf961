/* bench_tokens.c: wlm_bench_tokens: how fast codecs are. */
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "capture/packet_list.h"
#include "task/bench.h"
#include "token/codec.h"

enum {
    PIECE_TOKENS = 1 << 16, /* encoded, then decoded, so that memory does not grow with the capture */
    PAYLOAD_FEW = 64
};

typedef struct variant { /* a codec and how much payload it tells */
    const wlmi_codec *codec;
    uint32_t payload;
    wlmi_coder *writer, *reader;
    uint64_t tokens;             /* of the whole capture */
    double *encode_s, *decode_s; /* [runs] */
} variant;

typedef struct bench {
    const char *path;
    const wlm_bench_options *options;
    wlmi_packet_list packets;
    wlmi_tokens tokens; /* of the piece at hand */
    variant *variant;
    size_t variants, variant_capacity;
} bench;

wlm_bench_options wlm_bench_options_default(void)
{
    wlm_bench_options options = {.runs = WLM_BENCH_RUNS};
    return options;
}

static wlm_status read_packets(bench *b, wlm_error *error)
{
    wlm_capture *capture;
    wlm_packet packet;
    wlm_status status;
    WLMI_TRY(wlm_capture_open(&capture, b->path, error));
    while ((status = wlm_capture_next(capture, &packet, error)) == WLM_OK)
        WLMI_TRY_GOTO(status, wlmi_packet_list_add(&b->packets, &packet, error), done);
done:
    wlm_capture_close(capture);
    if (status != WLM_END)
        return status;
    if (b->packets.count == 0)
        return wlmi_fail(error, WLM_ERR_FORMAT, b->path, WLM_NO_OFFSET, "no packets to measure with");
    return WLM_OK;
}

static wlm_status add_variant(bench *b, const wlmi_codec *codec, uint32_t payload, wlm_error *error)
{
    if (!wlmi_grow(&b->variant, &b->variant_capacity, b->variants + 1, sizeof *b->variant))
        return WLMI_NO_MEMORY(error);
    variant *v = &b->variant[b->variants++];
    *v = (variant){.codec = codec, .payload = payload};
    v->encode_s = wlmi_alloc_zero(b->options->runs, sizeof *v->encode_s);
    v->decode_s = wlmi_alloc_zero(b->options->runs, sizeof *v->decode_s);
    if (!v->encode_s || !v->decode_s)
        return WLMI_NO_MEMORY(error);
    WLMI_TRY(codec->make(&v->writer, error));
    return codec->make(&v->reader, error);
}

static wlm_status add_variants(bench *b, wlm_error *error)
{
    const wlmi_codec *codec, *only = b->options->codec ? wlmi_codec_find(b->options->codec) : NULL;
    if (b->options->codec && !only)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no codec '%s'", b->options->codec);
    for (size_t i = 0; (codec = wlmi_codec_at(i)); i++) {
        if (only && codec != only)
            continue;
        if (codec->limits_payload)
            WLMI_TRY(add_variant(b, codec, PAYLOAD_FEW, error));
        WLMI_TRY(add_variant(b, codec, WLM_PAYLOAD_FULL, error));
    }
    return WLM_OK;
}

/* The packet that came back against the one that went in; payload without tokens comes back as something else. */
static wlm_status check(const bench *b, const variant *v, size_t i, wlm_error *error)
{
    const wlm_packet *got = v->codec->packet(v->reader), want = wlmi_packet_list_at(&b->packets, i);
    if (got->time_ns == want.time_ns && got->captured == want.captured && got->wire == want.wire &&
        (v->payload != WLM_PAYLOAD_FULL || got->captured == 0 || !memcmp(got->data, want.data, got->captured)))
        return WLM_OK;
    return wlmi_fail(error, WLM_ERR_FORMAT, b->path, WLM_NO_OFFSET, "codec %s gives packet %zu back changed",
                     v->codec->name, i + 1);
}

/* From packet *next on, until the piece is full. */
static wlm_status encode_piece(bench *b, const variant *v, size_t *next, wlm_error *error)
{
    b->tokens.count = 0;
    while (*next < b->packets.count && b->tokens.count < PIECE_TOKENS) {
        wlm_packet packet = wlmi_packet_list_at(&b->packets, *next);
        WLMI_TRY(v->codec->encode(v->writer, &packet, &b->tokens, error));
        ++*next;
    }
    return WLM_OK;
}

static wlm_status decode_piece(const bench *b, const variant *v, size_t *next, int compare, wlm_error *error)
{
    wlmi_pushed what;
    for (size_t i = 0; i < b->tokens.count; i++) {
        WLMI_TRY(v->codec->push(v->reader, b->tokens.token[i], &what, error));
        if (what != WLMI_PUSHED_PACKET)
            continue;
        if (compare)
            WLMI_TRY(check(b, v, *next, error));
        ++*next;
    }
    return WLM_OK;
}

/* Once through the capture. run -1: nothing is timed, but what comes back is compared, and buffers get their size. */
static wlm_status go_through(bench *b, variant *v, int run, wlm_error *error)
{
    wlmi_coder_options options = {.start_ns = wlmi_packet_list_at(&b->packets, 0).time_ns, .capture = 1};
    size_t encoded = 0, decoded = 0;
    double encode_s = 0, decode_s = 0;
    wlmi_codec_limit(v->codec, v->payload, &options);
    v->codec->start(v->writer, &options);
    v->codec->start(v->reader, &options);
    v->tokens = 0;
    while (encoded < b->packets.count) {
        double start_s = wlmi_clock(), between_s;
        WLMI_TRY(encode_piece(b, v, &encoded, error));
        between_s = wlmi_clock();
        WLMI_TRY(decode_piece(b, v, &decoded, run < 0, error));
        decode_s += wlmi_clock() - between_s;
        encode_s += between_s - start_s;
        v->tokens += b->tokens.count;
        if (decoded != encoded)
            return wlmi_fail(error, WLM_ERR_FORMAT, b->path, WLM_NO_OFFSET, "codec %s gives %zu packets back of %zu",
                             v->codec->name, decoded, encoded);
        if (b->options->stop && *b->options->stop)
            return WLM_STOPPED;
    }
    if (run >= 0) {
        v->encode_s[run] = encode_s;
        v->decode_s[run] = decode_s;
    }
    return WLM_OK;
}

/* Codecs take turns, so that a neighbour on the machine slows all of them down alike. */
static wlm_status measure(bench *b, wlm_error *error)
{
    double start_s = wlmi_clock();
    uint64_t done = 0, total = ((uint64_t)b->options->runs + 1) * b->variants;
    for (int run = -1; run < (int)b->options->runs; run++)
        for (size_t i = 0; i < b->variants; i++) {
            WLMI_TRY(go_through(b, &b->variant[i], run, error));
            wlmi_bench_show(b->options->progress, b->options->user, ++done, total, start_s);
        }
    return WLM_OK;
}

static json_t *speed_json(const bench *b, double *seconds)
{
    uint32_t runs = b->options->runs;
    return json_pack("{s:o,s:o}", "packets_per_s", wlmi_rate_json((double)b->packets.count, seconds, runs), "mb_per_s",
                     wlmi_rate_json((double)b->packets.used / 1e6, seconds, runs));
}

static json_t *variant_json(const bench *b, const variant *v)
{
    json_t *payload = v->payload == WLM_PAYLOAD_FULL ? json_string("full") : json_integer((json_int_t)v->payload);
    return json_pack("{s:s,s:o,s:f,s:o,s:o}", "codec", v->codec->name, "payload", payload, "tokens_per_packet",
                     (double)v->tokens / (double)b->packets.count, "encode", speed_json(b, v->encode_s), "decode",
                     speed_json(b, v->decode_s));
}

static wlm_status report(const bench *b, char **json, wlm_error *error)
{
    json_t *results = json_array(), *root;
    for (size_t i = 0; i < b->variants; i++)
        json_array_append_new(results, variant_json(b, &b->variant[i]));
    root = json_pack("{s:s,s:s,s:I,s:I,s:s,s:i,s:i,s:b,s:o}", "bench", "tokens", "file", b->path, "packets",
                     (json_int_t)b->packets.count, "bytes", (json_int_t)b->packets.used, "unit", "capture", "threads",
                     1, "runs", (int)b->options->runs, "file_reading_timed", 0, "results", results);
    return wlmi_bench_text(root, json, error);
}

wlm_status wlm_bench_tokens(const char *path, const wlm_bench_options *options, char **json, wlm_error *error)
{
    bench b = {.path = path, .options = options};
    wlm_status status;
    *json = NULL;
    WLMI_TRY(wlmi_bench_check_runs(options->runs, error));
    WLMI_TRY_GOTO(status, add_variants(&b, error), done);
    WLMI_TRY_GOTO(status, read_packets(&b, error), done);
    status = measure(&b, error);
    if (status == WLM_OK)
        status = report(&b, json, error);
    else if (status != WLM_STOPPED)
        status = wlmi_in_file(error, status, path);
done:
    for (size_t i = 0; i < b.variants; i++) {
        variant *v = &b.variant[i];
        if (v->writer)
            v->codec->drop(v->writer);
        if (v->reader)
            v->codec->drop(v->reader);
        wlmi_free(v->encode_s);
        wlmi_free(v->decode_s);
    }
    wlmi_free(b.variant);
    wlmi_tokens_free(&b.tokens);
    wlmi_packet_list_free(&b.packets);
    return status;
}
