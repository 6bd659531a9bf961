/* test_fields_walk.c: random walks through the grammar of `fields`: whatever the walk, it decodes; without tags, to packets
 * that a correct machine would send. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "support/hostile.h"
#include "support/roundtrip.h"
#include "support/sound.h"
#include "task/report_tcp.h"
#include "token/fields_coder.h"

#ifndef WALKS /* fewer where the build is slow: see tests/CMakeLists.txt */
#define WALKS 10000
#endif

static const wlmi_codec *const codec = &wlmi_codec_fields;

typedef struct walker {
    wlmi_coder *coder;
    wlmi_coder_options options;
    wlmi_rng rng;
    int plain; /* takes no tag that could be left out, and no raw packet */
} walker;

static int is_tag(wlmi_token t)
{
    return t > WLMI_T_BEFORE_TAGS && t < WLMI_T_LEN_SAME;
}

static int is_raw(wlmi_token t)
{
    return t == WLMI_T_LINK_SHORT || t == WLMI_T_LINK_LONG || t == WLMI_T_KIND + WLMI_KIND_RAW ||
           t == WLMI_T_KIND + WLMI_KINDS + WLMI_KIND_RAW;
}

static uint64_t below(walker *w, uint64_t n)
{
    return wlmi_rng_below(&w->rng, n);
}

/* All the tokens that may follow. */
static int list_allowed(const wlmi_allowed *a, wlmi_token *all)
{
    int n = 0;
    for (unsigned word = a->low >> 6; word <= a->high >> 6 && a->low <= a->high; word++)
        for (uint64_t bits = a->row[word]; bits; bits &= bits - 1) {
            wlmi_token t = (wlmi_token)(word * 64 + (unsigned)__builtin_ctzll(bits));
            if (wlmi_is_allowed(a, t))
                all[n++] = t;
        }
    return n;
}

/* One of those from..to that may follow; where there is none, any. */
static wlmi_token choose_from(walker *w, const wlmi_allowed *a, unsigned from, unsigned to)
{
    static wlmi_token all[WLMI_T_COUNT];
    wlmi_allowed part = *a;
    part.low = (wlmi_token)(from > a->low ? from : a->low);
    part.high = (wlmi_token)(to < a->high ? to : a->high);
    for (int tries = 0; tries < 8 && part.low <= part.high; tries++) {
        wlmi_token t = (wlmi_token)(part.low + below(w, (uint64_t)(part.high - part.low) + 1));
        if (wlmi_is_allowed(&part, t) && !(w->plain && is_raw(t)))
            return t;
    }
    int n = list_allowed(&part, all), kept = 0;
    for (int i = 0; i < n; i++)
        if (!w->plain || !is_raw(all[i]))
            all[kept++] = all[i];
    if (kept == 0)
        kept = list_allowed(a, all);
    assert_true(kept > 0);
    return all[below(w, (uint64_t)kept)];
}

/* Packets mostly go on, until there are enough; lengths mostly stay short; tags are few. */
static wlmi_token choose(walker *w, size_t walked)
{
    wlmi_allowed a;
    codec->allowed(w->coder, &a);
    if (codec->at_border(w->coder)) {
        int stop = walked > 60 || below(w, 8) == 0;
        return stop ? choose_from(w, &a, WLMI_T_END, WLMI_T_NEW - 1) : choose_from(w, &a, WLMI_T_NEW, WLMI_T_COUNT - 1);
    }
    if (a.high < WLMI_T_LEN || a.high >= WLMI_T_RUN) /* no tags, no lengths */
        return choose_from(w, &a, 0, WLMI_T_COUNT - 1);
    if (!w->plain && below(w, 2))
        return choose_from(w, &a, WLMI_T_TAG, WLMI_T_LEN_SAME - 1);
    if (below(w, 60) == 0)
        return choose_from(w, &a, WLMI_T_LEN_SAME, WLMI_T_RUN - 1);
    return choose_from(w, &a, WLMI_T_LEN_SAME, WLMI_T_LEN + 11);
}

/* Whether the walk came to an end; its packets. */
static int walk(walker *w, hostile_packets *s)
{
    wlmi_pushed what = WLMI_PUSHED;
    wlm_error error;
    size_t count = 0;
    codec->start(w->coder, &w->options);
    hostile_clear(s);
    while (what != WLMI_PUSHED_END && count < 1200) {
        wlmi_token token = choose(w, count++);
        int role = codec->role(w->coder);
        assert_ok(codec->push(w->coder, token, &what, &error), &error);
        if (what == WLMI_PUSHED_PACKET && !hostile_keep(s, codec->packet(w->coder)))
            return 0;
        if (w->plain && is_tag(token) && !strncmp(codec->role_names[role], "tags", 4))
            return 0; /* there was no length without one */
    }
    return what == WLMI_PUSHED_END;
}

/* The packets encode and come back, in the other unit and the tags in another order too. */
static void every_walk_decodes(void **state)
{
    hostile_packets *s = calloc(1, sizeof *s);
    walker w = {.plain = 0};
    roundtrip r;
    int complete = 0;
    (void)state;
    roundtrip_make(&r);
    w.coder = r.reader;
    wlmi_rng_seed(&w.rng, 8);
    for (int i = 0; complete < WALKS / 10 * 7; i++) {
        wlmi_coder_options again = {.capture = i % 2 == 0, .shuffle = i % 5 == 0, .seed = (uint64_t)i};
        w.options = (wlmi_coder_options){.capture = i % 4 == 0, .shuffle = i % 3 == 0, .seed = (uint64_t)i,
                                         .generating = i % 7 == 0, .start_ns = i % 11 ? 0 : INT64_MAX - 1000};
        assert_true(i < 3 * WALKS);
        if (!walk(&w, s))
            continue;
        complete++;
        again.start_ns = w.options.start_ns;
        if (roundtrip_try(&r, &again, s))
            roundtrip_shrink(&r, &again, s, (uint64_t)i);
    }
    roundtrip_drop(&r);
    free(s);
}

static void a_walk_without_tags_is_sound(void **state)
{
    hostile_packets *s = calloc(1, sizeof *s);
    walker w = {.plain = 1};
    wlm_error error;
    int complete = 0, packets = 0;
    (void)state;
    assert_ok(codec->make(&w.coder, &error), &error);
    wlmi_rng_seed(&w.rng, 9);
    for (int i = 0; complete < WALKS / 10 * 3; i++) {
        sound_flow flow = {0};
        w.options = (wlmi_coder_options){.generating = i % 2};
        assert_true(i < 2 * WALKS);
        if (!walk(&w, s))
            continue;
        complete++;
        for (size_t k = 0; k < s->count; k++) {
            const char *wrong = sound_packet(&flow, &s->packet[k]);
            packets++;
            if (wrong)
                fail_msg("walk %d, packet %zu of %zu: %s", i, k + 1, s->count, wrong);
        }
    }
    assert_true(packets > 2 * complete);
    codec->drop(w.coder);
    free(s);
}

/* What a side's options have told so far. */
typedef struct told {
    int syn, offers[9]; /* of the SYN, by the option's kind */
    int has_time;
    uint32_t time;
} told;

/* RFC 7323 and 2018, of a raw IP packet with a whole TCP header; NULL: nothing is wrong. */
static const char *options_wrong(told side[2], int from, const uint8_t *ip)
{
    enum { END, NOP, MSS, SCALE, SACK_PERMITTED, SACK, TIME = 8, FLAGS = 13, SYN = 2, RST = 4, ACK = 16 };
    static const int offers[] = {SCALE, SACK_PERMITTED, TIME};
    const uint8_t *tcp = ip + (ip[0] >> 4 == 4 ? 4 * (ip[0] & 15) : 40), *end = tcp + 4 * (tcp[12] >> 4);
    told *d = &side[from], *e = &side[!from];
    int there[256] = {0}, syn = tcp[FLAGS] & SYN;
    for (const uint8_t *o = tcp + 20; o < end && *o != END; o += *o == NOP ? 1 : o[1]) {
        const uint32_t time = (uint32_t)o[2] << 24 | (uint32_t)o[3] << 16 | (uint32_t)o[4] << 8 | o[5];
        there[*o] = 1;
        if (*o == TIME && d->has_time && (int32_t)(time - d->time) < 0)
            return "a clock that runs back";
        if (*o == TIME) {
            d->has_time = 1;
            d->time = time;
        }
    }
    if (syn ? there[SACK] : there[MSS] || there[SCALE] || there[SACK_PERMITTED])
        return "an option of other segments";
    for (int i = 0; i < 3; i++) {
        if (syn && tcp[FLAGS] & ACK && e->syn && there[offers[i]] && !e->offers[offers[i]])
            return "an answer that nobody asked for";
        if (syn)
            d->offers[offers[i]] = there[offers[i]];
    }
    if (!syn && !(tcp[FLAGS] & RST) && d->syn && e->syn && there[TIME] != (d->offers[TIME] && e->offers[TIME]))
        return "timestamps as not agreed";
    d->syn |= syn != 0;
    return NULL;
}

/* Any tags; sequence numbers, handshakes, options and ends as an independent judge sees them. */
static void generated_tcp_is_sound(void **state)
{
    walker w = {.plain = 0};
    wlm_error error;
    int tcp = 0, opened = 0;
    (void)state;
    assert_ok(codec->make(&w.coder, &error), &error);
    wlmi_rng_seed(&w.rng, 10);
    for (int i = 0; i < WALKS; i++) {
        wlmi_pushed what = WLMI_PUSHED;
        wlmi_tcp_flow flow = {.opening = WLMI_TCP_NOTHING};
        told options[2] = {{0}};
        int packets = 0, reset = 0;
        w.options = (wlmi_coder_options){
            .generating = WLMI_GENERATING_WHOLE, .shuffle = i % 3 == 0, .seed = (uint64_t)i};
        codec->start(w.coder, &w.options);
        for (size_t count = 0; what != WLMI_PUSHED_END; count++) {
            wlmi_token token = choose(&w, count);
            wlmi_headers h;
            if (count == 0) /* TCP, raw */
                token = (wlmi_token)(WLMI_T_SHAPE + WLMI_FL_RAW * WLMI_FIELDS_NETS + (i % 2 ? WLMI_FN_6 : 0));
            assert_ok(codec->push(w.coder, token, &what, &error), &error);
            if (what != WLMI_PUSHED_PACKET)
                continue;
            wlmi_decode(codec->packet(w.coder), &h);
            unsigned wrong = wlmi_tcp_follow(&flow, w.coder->values.direction, codec->packet(w.coder), &h);
            packets++;
            if (wrong || reset)
                fail_msg("walk %d, packet %d: fault %u, after a reset %d", i, packets, wrong, reset);
            const char *why = options_wrong(options, w.coder->values.direction, codec->packet(w.coder)->data);
            if (why)
                fail_msg("walk %d, packet %d: %s", i, packets, why);
            reset = h.tcp_flags & WLMI_TCP_RST;
            tcp++;
        }
        opened += flow.opening == WLMI_TCP_OPEN;
    }
    print_message("%d packets, %d openings complete\n", tcp, opened);
    assert_true(tcp > WALKS && opened > WALKS / 100);
    codec->drop(w.coder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_walk_decodes),
        cmocka_unit_test(a_walk_without_tags_is_sound),
        cmocka_unit_test(generated_tcp_is_sound),
    };
    return cmocka_run_group_tests_name("fields_walk", tests, NULL, NULL);
}
