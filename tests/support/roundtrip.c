/* roundtrip.c: packets through the codec `fields` and back. */
#include "support/roundtrip.h"

#include <stdlib.h>
#include <string.h>

#include "support/support.h"

static const wlmi_codec *const codec = &wlmi_codec_fields;

const char *roundtrip_encode(wlmi_coder *coder, const wlmi_coder_options *options, const hostile_packets *s,
                          wlmi_tokens *out)
{
    wlm_error error;
    out->count = 0;
    codec->start(coder, options);
    for (size_t i = 0; i < s->count; i++)
        if (codec->encode(coder, &s->packet[i], out, &error) != WLM_OK)
            return "a packet is refused";
    return codec->encode_end(coder, WLMI_END_CUT, out, &error) == WLM_OK ? NULL : "the end is refused";
}

static int same_packet(const wlm_packet *p, const wlm_packet *q)
{
    return p->time_ns == q->time_ns && p->captured == q->captured && p->wire == q->wire &&
           p->link_type == q->link_type && (p->captured == 0 || !memcmp(p->data, q->data, p->captured));
}

/* Decodes against the packets, and checks that roles, segments, measures and grammar are those of the encoder. */
static const char *compare(wlmi_coder *coder, const wlmi_coder_options *options, const hostile_packets *s,
                           const wlmi_tokens *tokens)
{
    wlmi_pushed what = WLMI_PUSHED;
    size_t packets = 0;
    codec->start(coder, options);
    for (size_t i = 0; i < tokens->count; i++) {
        wlmi_allowed allowed;
        wlm_error error;
        codec->allowed(coder, &allowed);
        if (!wlmi_is_allowed(&allowed, tokens->token[i]))
            return "the grammar forbids what the encoder wrote";
        if (!(codec->rows[codec->role(coder) * ((codec->vocabulary + 63) / 64) + (tokens->token[i] >> 6)] >>
                  (tokens->token[i] & 63) & 1))
            return "a token is outside its role's row";
        if (codec->role(coder) != tokens->role[i])
            return "roles differ";
        if (codec->segment(coder) != tokens->packet[i])
            return "segments differ";
        if (codec->push(coder, tokens->token[i], &what, &error) != WLM_OK)
            return "a token is refused";
        if (codec->measure(coder) != tokens->measure[i])
            return "measures differ";
        if (what == WLMI_PUSHED_PACKET) {
            if (packets == s->count || !same_packet(&s->packet[packets], codec->packet(coder)))
                return "a packet is another";
            packets++;
        }
    }
    return packets == s->count && what == WLMI_PUSHED_END ? NULL : "packets are missing";
}

void roundtrip_make(roundtrip *r)
{
    wlm_error error;
    memset(r, 0, sizeof *r);
    assert_ok(codec->make(&r->writer, &error), &error);
    assert_ok(codec->make(&r->reader, &error), &error);
}

void roundtrip_drop(roundtrip *r)
{
    codec->drop(r->writer);
    codec->drop(r->reader);
    wlmi_tokens_free(&r->tokens);
}

const char *roundtrip_try(roundtrip *r, const wlmi_coder_options *options, const hostile_packets *s)
{
    const char *why = roundtrip_encode(r->writer, options, s, &r->tokens);
    return why ? why : compare(r->reader, options, s, &r->tokens);
}

void roundtrip_shrink(roundtrip *r, const wlmi_coder_options *options, const hostile_packets *s, uint64_t seed)
{
    hostile_packets *small = malloc(sizeof *small);
    const char *why = roundtrip_try(r, options, s);
    assert_non_null(small);
    *small = *s;
    for (size_t i = 0; i < small->count;) {
        hostile_packets before = *small;
        memmove(&small->packet[i], &small->packet[i + 1], (small->count - i - 1) * sizeof *small->packet);
        small->count--;
        const char *still = roundtrip_try(r, options, small);
        why = still ? still : why;
        if (!still) {
            *small = before;
            i++;
        }
    }
    for (size_t i = 0; i < small->count; i++) {
        const wlm_packet *p = &small->packet[i];
        print_error("link %u time %lld captured %u wire %u:", p->link_type, (long long)p->time_ns, p->captured, p->wire);
        for (uint32_t k = 0; k < p->captured && k < 120; k++)
            print_error(" %02x", p->data[k]);
        print_error("\n");
    }
    free(small);
    fail_msg("seed %llu, unit %s: %s", (unsigned long long)seed, options->capture ? "capture" : "flow", why);
}
