/* test_bytes.c: the codec `bytes`: packets and tokens determine each other, and the grammar knows. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "capture/decode.h"
#include "token/codec.h"

static const wlmi_codec *const codec = &wlmi_codec_bytes;

typedef struct stream { /* a packet sequence that owns its bytes */
    wlm_packet packet[64];
    uint8_t *data[64];
    size_t count;
    wlmi_end end;
    int64_t start_ns;
} stream;

static void drop_stream(stream *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->data[i]);
    s->count = 0;
}

static void keep(stream *s, const wlm_packet *packet)
{
    uint8_t *copy = malloc(packet->captured + 1u);
    assert_non_null(copy);
    if (packet->captured)
        memcpy(copy, packet->data, packet->captured);
    s->data[s->count] = copy;
    s->packet[s->count] = *packet;
    s->packet[s->count++].data = copy;
}

static void assert_same_stream(const stream *a, const stream *b)
{
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->end, b->end);
    for (size_t i = 0; i < a->count; i++) {
        const wlm_packet *p = &a->packet[i], *q = &b->packet[i];
        assert_true(p->time_ns == q->time_ns);
        assert_int_equal(p->captured, q->captured);
        assert_int_equal(p->wire, q->wire);
        assert_int_equal(p->link_type, q->link_type);
        assert_memory_equal(p->data, q->data, p->captured);
    }
}

static uint64_t pick(wlmi_rng *rng, const uint64_t *from, size_t count)
{
    return from[wlmi_rng_below(rng, count)];
}

static int64_t any_time(wlmi_rng *rng, int64_t before)
{
    static const uint64_t odd[] = {0, 1, INT64_MAX, (uint64_t)INT64_MIN, (uint64_t)-1, 1000000000, UINT64_C(1) << 62};
    switch (wlmi_rng_below(rng, 4)) {
    case 0: return (int64_t)pick(rng, odd, sizeof odd / sizeof *odd);
    case 1: return (int64_t)wlmi_rng_next(rng);
    case 2: return before;
    default: /* a step of any magnitude, either way */
        return (int64_t)((uint64_t)before + (wlmi_rng_next(rng) >> wlmi_rng_below(rng, 64)) *
                                                (wlmi_rng_below(rng, 2) ? 1 : UINT64_MAX));
    }
}

static void random_stream(wlmi_rng *rng, stream *s)
{
    static const uint64_t links[] = {0, 1, 101, 253, 254, 255, 256, 276, 65535, 65536, UINT32_MAX};
    static const uint64_t lengths[] = {0, 1, 60, 255, 256, 1514, 65279, 65280, 65281, 70000};
    static const uint64_t wires[] = {0, 1, 65279, 65280, 65535, 65536, UINT32_MAX};
    static uint8_t bytes[70000];
    uint32_t link = (uint32_t)pick(rng, links, 11);
    s->count = 0;
    s->start_ns = any_time(rng, 0);
    s->end = (wlmi_end)wlmi_rng_below(rng, 3);
    int64_t time = s->start_ns;
    for (size_t n = wlmi_rng_below(rng, 12); n > 0; n--) {
        int usual = wlmi_rng_below(rng, 8) != 0;
        wlm_packet p = {.time_ns = time = any_time(rng, time), .data = bytes};
        p.captured = (uint32_t)(usual ? wlmi_rng_below(rng, 100) : pick(rng, lengths, 10));
        p.wire = wlmi_rng_below(rng, 2) ? p.captured
                 : wlmi_rng_below(rng, 2) ? p.captured + (uint32_t)wlmi_rng_below(rng, 3) - 1
                                          : (uint32_t)pick(rng, wires, 7);
        if (wlmi_rng_below(rng, 3) == 0)
            link = (uint32_t)pick(rng, links, 11);
        p.link_type = link;
        for (uint32_t i = 0; i < p.captured; i++)
            bytes[i] = (uint8_t)wlmi_rng_next(rng);
        keep(s, &p);
    }
}

static wlmi_coder *coder_at(int64_t start_ns)
{
    wlmi_coder *coder;
    wlm_error error;
    assert_ok(codec->make(&coder, &error), &error);
    codec->start(coder, &(wlmi_coder_options){.start_ns = start_ns});
    return coder;
}

static void encode(const stream *s, wlmi_tokens *out)
{
    wlmi_coder *coder = coder_at(s->start_ns);
    wlm_error error;
    out->count = 0;
    for (size_t i = 0; i < s->count; i++)
        assert_ok(codec->encode(coder, &s->packet[i], out, &error), &error);
    assert_ok(codec->encode_end(coder, s->end, out, &error), &error);
    codec->drop(coder);
}

/* Decodes, and checks on the way that grammar, roles and segments agree with what the encoder said. */
static void decode(const wlmi_tokens *tokens, int64_t start_ns, stream *s)
{
    wlmi_coder *coder = coder_at(start_ns);
    wlmi_pushed what = WLMI_PUSHED;
    wlm_error error;
    s->count = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        wlmi_allowed allowed;
        codec->allowed(coder, &allowed);
        assert_true(wlmi_is_allowed(&allowed, tokens->token[i]));
        assert_int_equal(codec->role(coder), tokens->role[i]);
        assert_int_equal(codec->segment(coder), tokens->packet[i]);
        assert_int_equal(codec->at_border(coder), tokens->role[i] == 0);
        assert_ok(codec->push(coder, tokens->token[i], &what, &error), &error);
        if (what == WLMI_PUSHED_PACKET)
            keep(s, codec->packet(coder));
    }
    assert_int_equal(what, WLMI_PUSHED_END);
    s->end = codec->end(coder);
    codec->drop(coder);
}

static void packets_come_back(void **state)
{
    wlmi_tokens tokens = {0};
    stream *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    wlmi_rng rng;
    (void)state;
    wlmi_rng_seed(&rng, 11);
    for (int round = 0; round < 400; round++) {
        random_stream(&rng, a);
        encode(a, &tokens);
        decode(&tokens, a->start_ns, b);
        assert_same_stream(a, b);
        drop_stream(a);
        drop_stream(b);
    }
    wlmi_tokens_free(&tokens);
    free(a);
    free(b);
}

/* One of the allowed tokens; most walks take short packets so that they end. */
static wlmi_token choose(wlmi_rng *rng, const wlmi_coder *coder, size_t walked)
{
    wlmi_allowed allowed;
    wlmi_token all[512];
    size_t n = 0;
    codec->allowed(coder, &allowed);
    for (wlmi_token t = allowed.low; t <= allowed.high && t < codec->vocabulary; t++)
        if (wlmi_is_allowed(&allowed, t))
            all[n++] = t;
    assert_true(n > 0);
    if (codec->at_border(coder) && walked > 40 && n > 1)
        return all[1 + wlmi_rng_below(rng, n - 1)];
    if (!strcmp(codec->role_names[codec->role(coder)], "captured") && wlmi_rng_below(rng, 500))
        return all[0];
    return wlmi_rng_below(rng, 4) ? all[wlmi_rng_below(rng, n)] : all[wlmi_rng_below(rng, 2) ? 0 : n - 1];
}

/* Walks to an end token; gives up, cleanly, past a bound. */
static int walk(wlmi_rng *rng, const wlmi_coder_options *options, wlmi_tokens *tokens, stream *s)
{
    wlmi_coder *coder = coder_at(0);
    wlmi_pushed what = WLMI_PUSHED;
    wlm_error error;
    codec->start(coder, options);
    tokens->count = 0;
    s->count = 0;
    while (what != WLMI_PUSHED_END && tokens->count < 3000) {
        wlmi_token token = choose(rng, coder, tokens->count);
        assert_true(wlmi_tokens_reserve(tokens, 1));
        tokens->role[tokens->count] = codec->role(coder);
        tokens->packet[tokens->count] = codec->segment(coder);
        tokens->token[tokens->count++] = token;
        assert_ok(codec->push(coder, token, &what, &error), &error);
        if (what == WLMI_PUSHED_PACKET)
            keep(s, codec->packet(coder));
    }
    s->start_ns = options->start_ns;
    s->end = codec->end(coder);
    codec->drop(coder);
    return what == WLMI_PUSHED_END;
}

static void every_walk_decodes_and_is_canonical(void **state)
{
    wlmi_tokens walked = {0}, again = {0};
    stream *s = calloc(1, sizeof *s);
    wlmi_rng rng;
    int complete = 0;
    (void)state;
    wlmi_rng_seed(&rng, 5);
    for (int i = 0; complete < 20000; i++) {
        wlmi_coder_options options = {.start_ns = any_time(&rng, 0)};
        assert_true(i < 60000);
        if (walk(&rng, &options, &walked, s)) {
            complete++;
            encode(s, &again);
            assert_int_equal(again.count, walked.count);
            assert_memory_equal(again.token, walked.token, walked.count * sizeof *walked.token);
            assert_memory_equal(again.role, walked.role, walked.count);
        }
        drop_stream(s);
    }
    wlmi_tokens_free(&walked);
    wlmi_tokens_free(&again);
    free(s);
}

static void generated_walks_are_plausible(void **state)
{
    static const uint32_t known[] = {0, 1, 9, 12, 14, 50, 101, 108, 113, 228, 229, 276};
    static const uint32_t snaps[] = {0, 1, 255, 256, 1500, 65535, 70000};
    wlmi_tokens walked = {0};
    stream *s = calloc(1, sizeof *s);
    wlmi_rng rng;
    int complete = 0, seen[12] = {0};
    (void)state;
    wlmi_rng_seed(&rng, 6);
    for (int i = 0; complete < 5000; i++) {
        int64_t before = wlmi_rng_below(&rng, 4) ? INT64_C(1700000000000000000) : INT64_MAX - 1000;
        wlmi_coder_options options = {.start_ns = before, .generating = 1,
                                      .snap_length = snaps[wlmi_rng_below(&rng, 7)]};
        uint32_t snap = options.snap_length ? options.snap_length : 65535;
        assert_true(i < 20000);
        complete += walk(&rng, &options, &walked, s) != 0;
        for (size_t p = 0; p < s->count; p++) {
            const wlm_packet *packet = &s->packet[p];
            int link = 0;
            while (link < 12 && known[link] != packet->link_type)
                link++;
            assert_true(link < 12);
            seen[link] = 1;
            assert_true(packet->time_ns >= before && packet->time_ns - before <= INT64_C(3600000000000));
            assert_in_range(packet->captured, 1, snap);
            assert_int_equal(packet->captured, packet->wire);
            assert_int_equal(packet->link_type, s->packet[0].link_type);
            before = packet->time_ns;
        }
        drop_stream(s);
    }
    for (int link = 0; link < 12; link++)
        assert_true(seen[link]);
    wlmi_tokens_free(&walked);
    free(s);
}

static void a_forbidden_token_changes_nothing(void **state)
{
    wlmi_coder *coder = coder_at(0);
    wlmi_tokens tokens = {0};
    stream s = {.count = 0, .end = WLMI_END_CUT};
    wlmi_pushed what;
    wlm_error error;
    wlm_packet p = {.time_ns = 77777, .captured = 3, .wire = 70000, .link_type = 300, .data = (const uint8_t *)"abc"};
    (void)state;
    keep(&s, &p);
    p.link_type = 65537;
    keep(&s, &p);
    encode(&s, &tokens);
    for (size_t i = 0; i < tokens.count; i++) {
        wlmi_allowed allowed;
        codec->allowed(coder, &allowed);
        for (unsigned t = 0; t < 300; t++)
            if (t >= codec->vocabulary || !wlmi_is_allowed(&allowed, (wlmi_token)t))
                assert_int_equal(codec->push(coder, (wlmi_token)t, &what, &error), WLM_ERR_FORMAT);
        assert_int_equal(codec->push(coder, UINT16_MAX, &what, &error), WLM_ERR_FORMAT);
        assert_ok(codec->push(coder, tokens.token[i], &what, &error), &error);
    }
    assert_int_equal(what, WLMI_PUSHED_END);
    assert_int_equal(codec->push(coder, 256, &what, &error), WLM_ERR_FORMAT);
    codec->drop(coder);
    drop_stream(&s);
    wlmi_tokens_free(&tokens);
}

static void encoding_and_pushing_can_alternate(void **state)
{
    wlmi_coder *writer = coder_at(5), *both = coder_at(5);
    wlmi_tokens tokens = {0}, other = {0};
    wlmi_pushed what;
    wlm_error error;
    (void)state;
    for (int i = 0; i < 20; i++) {
        wlm_packet p = {.time_ns = i * i * 1000 + 5, .captured = 4, .wire = 4, .link_type = (uint32_t)(1 + i / 7),
                        .data = (const uint8_t *)"data"};
        size_t from = tokens.count;
        assert_ok(codec->encode(writer, &p, &tokens, &error), &error);
        if (i % 2)
            assert_ok(codec->encode(both, &p, &other, &error), &error);
        else
            for (size_t t = from; t < tokens.count; t++)
                assert_ok(codec->push(both, tokens.token[t], &what, &error), &error);
    }
    assert_int_equal(codec->segment(both), 20);
    assert_int_equal(codec->push(both, 256, &what, &error), WLM_OK);
    assert_int_equal(codec->encode_end(both, WLMI_END_CLOSED, &other, &error), WLM_ERR_ARGUMENT);
    codec->drop(writer);
    codec->drop(both);
    wlmi_tokens_free(&tokens);
    wlmi_tokens_free(&other);
}

static void the_usual_packet_costs_few_tokens(void **state)
{
    wlmi_coder *coder = coder_at(0);
    wlmi_tokens tokens = {0};
    wlm_error error;
    wlm_packet p = {.time_ns = 0, .captured = 4, .wire = 4, .link_type = 101, .data = (const uint8_t *)"data"};
    (void)state;
    assert_ok(codec->encode(coder, &p, &tokens, &error), &error);
    assert_int_equal(tokens.count, 4 + 6);
    p.time_ns += 1000000; /* a millisecond: 20 bits, 19 below the leading one */
    assert_ok(codec->encode(coder, &p, &tokens, &error), &error);
    assert_int_equal(tokens.count, 4 + 6 + 4 + 9);
    codec->drop(coder);
    wlmi_tokens_free(&tokens);
}

static void memory_that_fails_is_a_status(void **state)
{
    wlmi_tokens tokens = {0};
    wlmi_coder *coder;
    wlm_error error;
    wlm_packet p = {.captured = 4, .wire = 4, .link_type = 1, .data = (const uint8_t *)"data"};
    uint64_t k = 1;
    (void)state;
    for (;; k++) {
        wlm_status status;
        wlmi_pushed what;
        wlmi_alloc_fail_at(k);
        status = codec->make(&coder, &error);
        if (status == WLM_OK) {
            codec->start(coder, &(wlmi_coder_options){0});
            status = codec->encode(coder, &p, &tokens, &error);
            codec->start(coder, &(wlmi_coder_options){0});
            for (size_t i = 0; i < tokens.count && status == WLM_OK; i++)
                status = codec->push(coder, tokens.token[i], &what, &error);
            codec->drop(coder);
        }
        wlmi_alloc_fail_at(0);
        wlmi_tokens_free(&tokens);
        if (status == WLM_OK)
            break;
        assert_int_equal(status, WLM_ERR_MEMORY);
        assert_true(k < 20);
    }
    assert_true(k > 4);
}

static void the_codec_is_found_and_hashed(void **state)
{
    char hex[65], again[65];
    wlmi_codec other = *codec;
    (void)state;
    assert_ptr_equal(wlmi_codec_find("bytes"), codec);
    assert_null(wlmi_codec_find("no such codec"));
    wlmi_codec_hash(codec, hex);
    other.version++;
    wlmi_codec_hash(&other, again);
    assert_string_not_equal(hex, again);
    /* Token ids and grammar are fixed by name and version: a change of either must come with a new version. */
    assert_int_equal(codec->version, 1);
    assert_string_equal(hex, "7d9235a7d5168c83ea96b38cbd1bd240a16cb20fb8d68873faf30dc2790f3428");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_come_back),
        cmocka_unit_test(every_walk_decodes_and_is_canonical),
        cmocka_unit_test(generated_walks_are_plausible),
        cmocka_unit_test(a_forbidden_token_changes_nothing),
        cmocka_unit_test(encoding_and_pushing_can_alternate),
        cmocka_unit_test(the_usual_packet_costs_few_tokens),
        cmocka_unit_test(memory_that_fails_is_a_status),
        cmocka_unit_test(the_codec_is_found_and_hashed),
    };
    return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
