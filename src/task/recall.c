/* recall.c: what a stream has shown already, mixed into what a model says. */
#include "task/recall.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

enum {
    SLOT_BITS = 22, WAYS = 4, MOST_SEEN = 60, /* of slots; how often a slot is counted */
    MATCH_BITS = 17, SHORT_MATCH = 5, LONG_MATCH = 16, LONGEST_MATCH = 64, MOST_MISSES = 8, ROLES = 256,
    CONTEXTS = 9, MODEL = CONTEXTS, MATCH, BIAS, INPUTS,
    CONFIDENCES = 8, LEVELS = 24, LENGTHS = 16, MATCH_SETS = 4
};

static const float LEARNING_RATE = .005f, MAP_RATE = .01f, LEAST = 1e-6f, FLOOR = 1e-12f;

typedef struct slot { /* what followed a context, as far as one decision goes */
    uint16_t stream; /* of another one: free */
    uint16_t check;
    uint16_t one;    /* share of ones, in 2^-16 */
    uint16_t seen;
} slot;

struct wlmi_recall {
    uint32_t vocabulary;
    double *below;              /* [vocabulary + 1]: the model's share of all tokens below, not normalised */
    slot *slot;                 /* [2^SLOT_BITS] */
    uint16_t stream;            /* number of this one, from 1 */
    uint16_t *past;             /* tokens of the stream */
    size_t count, room;
    uint32_t *place[2];         /* [2^MATCH_BITS]: count after the last SHORT_MATCH, LONG_MATCH tokens of this hash; one
                                   of a former stream never agrees with this one */
    size_t match;               /* place in past of what should follow; 0: none */
    unsigned matched, misses;   /* tokens that agreed; misses among the last ones */
    uint16_t of_role[ROLES][2]; /* what stood in this role last, and before */
    size_t packet, packet_before; /* where they begin in past */
    float after_counts[CONTEXTS][CONFIDENCES][LEVELS]; /* how often a one followed where counts looked so */
    float after_match[LENGTHS]; /* how often a match is right */
    float by_match[MATCH_SETS][INPUTS], by_role[ROLES][INPUTS]; /* weights: their sum counts */
};

/* ---------------------------------------------------------------- life */

wlm_status wlmi_recall_new(wlmi_recall **recall, uint32_t vocabulary, wlm_error *error)
{
    wlmi_recall *r = wlmi_alloc_zero(1, sizeof *r);
    *recall = NULL;
    if (!r)
        return WLMI_NO_MEMORY(error);
    r->vocabulary = vocabulary;
    r->below = wlmi_alloc_array((size_t)vocabulary + 1, sizeof *r->below);
    r->slot = wlmi_alloc_zero((size_t)1 << SLOT_BITS, sizeof *r->slot);
    for (int i = 0; i < 2; i++)
        r->place[i] = wlmi_alloc_zero((size_t)1 << MATCH_BITS, sizeof *r->place[i]);
    if (!r->below || !r->slot || !r->place[0] || !r->place[1]) {
        wlmi_recall_free(r);
        return WLMI_NO_MEMORY(error);
    }
    wlmi_recall_start(r);
    *recall = r;
    return WLM_OK;
}

void wlmi_recall_free(wlmi_recall *r)
{
    if (!r)
        return;
    wlmi_free(r->below);
    wlmi_free(r->slot);
    wlmi_free(r->past);
    wlmi_free(r->place[0]);
    wlmi_free(r->place[1]);
    wlmi_free(r);
}

static float squash(float x)
{
    return 1 / (1 + expf(-x));
}

static float stretch(float p)
{
    p = p < LEAST ? LEAST : p > 1 - LEAST ? 1 - LEAST : p;
    return logf(p / (1 - p));
}

void wlmi_recall_start(wlmi_recall *r)
{
    if (++r->stream == 0) {
        memset(r->slot, 0, ((size_t)1 << SLOT_BITS) * sizeof *r->slot);
        r->stream = 1;
    }
    r->count = r->match = r->matched = r->misses = r->packet = r->packet_before = 0;
    memset(r->of_role, 0, sizeof r->of_role);
    for (int c = 0; c < CONTEXTS; c++)
        for (int n = 0; n < CONFIDENCES; n++)
            for (int l = 0; l < LEVELS; l++)
                r->after_counts[c][n][l] = ((float)l + .5f) / LEVELS;
    for (int n = 0; n < LENGTHS; n++)
        r->after_match[n] = 1 - .4f / (float)(1 + n);
    memset(r->by_match, 0, sizeof r->by_match);
    memset(r->by_role, 0, sizeof r->by_role);
    for (int s = 0; s < MATCH_SETS; s++) {
        for (int i = 0; i < CONTEXTS; i++)
            r->by_match[s][i] = .05f;
        r->by_match[s][MODEL] = s ? .7f : .9f;
        r->by_match[s][MATCH] = .3f * (float)s;
    }
}

/* ---------------------------------------------------------------- contexts */

static uint64_t scramble(uint64_t x)
{
    x = (x ^ x >> 31) * UINT64_C(0x9E3779B97F4A7C15);
    return x ^ x >> 29;
}

/* Of the last n tokens, what there are of them. */
static uint64_t hash_last(const wlmi_recall *r, size_t n)
{
    uint64_t hash = n;
    for (size_t i = 1; i <= n && i <= r->count; i++)
        hash = scramble(hash + r->past[r->count - i] + 1);
    return hash;
}

static void make_contexts(const wlmi_recall *r, uint8_t role, uint64_t context[CONTEXTS])
{
    static const size_t orders[] = {1, 2, 3, 4, 6};
    const size_t at = r->count - r->packet, above = r->packet_before + at;
    const uint64_t before = above < r->packet ? r->past[above] + 1u : 0;
    int n = 0;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        context[n++] = hash_last(r, orders[i]);
    context[n++] = r->of_role[role][0];
    context[n++] = (uint64_t)r->of_role[role][0] << 16 | r->of_role[role][1];
    context[n++] = (uint64_t)at << 17 | before;
    context[n++] = scramble((uint64_t)at << 17 | before) + hash_last(r, 1);
    for (int i = 0; i < CONTEXTS; i++)
        context[i] = scramble(scramble(context[i]) + (uint64_t)i * ROLES + role);
}

static slot *find_slot(wlmi_recall *r, uint64_t context, uint32_t node)
{
    const uint64_t hash = scramble(context + node * UINT64_C(0xD6E8FEB86659FD93));
    const uint16_t check = (uint16_t)hash;
    slot *first = &r->slot[(hash >> 16 & (((uint64_t)1 << SLOT_BITS) - 1)) & ~(uint64_t)(WAYS - 1)], *worst = first;
    for (slot *s = first; s < first + WAYS; s++) {
        if (s->stream != r->stream) {
            worst = s;
            break;
        }
        if (s->check == check)
            return s;
        if (s->seen < worst->seen)
            worst = s;
    }
    *worst = (slot){.stream = r->stream, .check = check, .one = 1u << 15};
    return worst;
}

/* ---------------------------------------------------------------- matches */

static size_t place_of(const wlmi_recall *r, int which)
{
    return hash_last(r, which ? LONG_MATCH : SHORT_MATCH) >> 7 & (((size_t)1 << MATCH_BITS) - 1);
}

static unsigned agreement(const wlmi_recall *r, size_t place)
{
    unsigned n = 0;
    while (n < LONGEST_MATCH && n < place && r->past[place - 1 - n] == r->past[r->count - 1 - n])
        n++;
    return n;
}

/* After a token: the match goes on, or another is looked for. */
static void follow(wlmi_recall *r)
{
    if (r->match) {
        const int right = r->past[r->match] == r->past[r->count - 1];
        r->match++;
        r->matched = right ? r->matched + (r->matched < LONGEST_MATCH) : 0;
        r->misses = right ? r->misses - (r->misses && r->matched % 16 == 0) : r->misses + 1;
        if (r->misses > MOST_MISSES)
            r->match = 0;
    }
    for (int which = 1; which >= 0; which--) {
        const size_t least = which ? LONG_MATCH : SHORT_MATCH;
        size_t place;
        if (r->count < least)
            continue;
        place = r->place[which][place_of(r, which)];
        if ((!r->match || r->matched < least) && place && place < r->count) {
            const unsigned n = agreement(r, place);
            if (n >= least && (!r->match || n > r->matched)) {
                r->match = place;
                r->matched = n;
                r->misses = 0;
            }
        }
        r->place[which][place_of(r, which)] = (uint32_t)r->count;
    }
}

/* ---------------------------------------------------------------- decisions */

typedef struct decision {
    float input[INPUTS], *weight[2];
    slot *slot[CONTEXTS];
    float *mapped[CONTEXTS];
    float *matched;
    int expected;
} decision;

static int confidence(unsigned seen)
{
    return seen < 4 ? (int)seen : seen < 7 ? 4 : seen < 13 ? 5 : seen < 30 ? 6 : 7;
}

static int length_class(unsigned matched)
{
    return matched < 8 ? (int)matched : matched < 32 ? 6 + (int)matched / 4 : matched < LONGEST_MATCH ? 14 : 15;
}

static void look(wlmi_recall *r, decision *d, const uint64_t *context, uint32_t node, float model, int expected)
{
    for (int i = 0; i < CONTEXTS; i++) {
        slot *s = d->slot[i] = find_slot(r, context[i], node);
        d->mapped[i] = &r->after_counts[i][confidence(s->seen)][s->one * LEVELS >> 16];
        d->input[i] = s->seen ? stretch(*d->mapped[i]) : 0;
    }
    d->input[MODEL] = stretch(model);
    d->expected = expected;
    d->matched = NULL;
    d->input[MATCH] = 0;
    if (expected >= 0) {
        d->matched = &r->after_match[length_class(r->matched)];
        d->input[MATCH] = expected ? stretch(*d->matched) : -stretch(*d->matched);
    }
    d->input[BIAS] = .3f;
}

static float mix(const decision *d)
{
    float sum = 0;
    for (int i = 0; i < INPUTS; i++)
        sum += d->input[i] * (d->weight[0][i] + d->weight[1][i]);
    sum = squash(sum);
    return sum < LEAST ? LEAST : sum > 1 - LEAST ? 1 - LEAST : sum;
}

static void learn(decision *d, float said, int bit)
{
    const float step = LEARNING_RATE * ((float)bit - said);
    for (int i = 0; i < INPUTS; i++) {
        d->weight[0][i] += step * d->input[i];
        d->weight[1][i] += step * d->input[i];
    }
    for (int i = 0; i < CONTEXTS; i++) {
        slot *s = d->slot[i];
        if (s->seen)
            *d->mapped[i] += MAP_RATE * ((float)bit - *d->mapped[i]);
        s->one = (uint16_t)((float)s->one + ((float)(bit * 65535) - (float)s->one) / ((float)s->seen + 1.5f));
        s->seen = (uint16_t)(s->seen + (s->seen < MOST_SEEN));
    }
    if (d->matched)
        *d->matched += MAP_RATE * ((float)(d->expected == bit) - *d->matched);
}

/* ---------------------------------------------------------------- tokens */

/* The model's shares, added up. */
static void add_up(wlmi_recall *r, const float *logits, const wlmi_allowed *allowed)
{
    const uint32_t first = allowed->low, last = allowed->high < r->vocabulary ? allowed->high : r->vocabulary - 1;
    float max = -INFINITY;
    double sum = 0;
    for (uint32_t t = first; t <= last; t++)
        if (wlmi_is_allowed(allowed, (wlmi_token)t) && logits[t] > max)
            max = logits[t];
    for (uint32_t t = 0; t <= first; t++)
        r->below[t] = 0;
    for (uint32_t t = first; t <= last; t++) {
        if (wlmi_is_allowed(allowed, (wlmi_token)t))
            sum += (double)(expf(logits[t] - max) + FLOOR);
        r->below[t + 1] = sum;
    }
    for (uint32_t t = last + 1; t <= r->vocabulary; t++)
        r->below[t] = sum;
}

static double below(const wlmi_recall *r, uint32_t token)
{
    return r->below[token < r->vocabulary ? token : r->vocabulary];
}

static int match_set(const wlmi_recall *r)
{
    return !r->match ? 0 : r->matched < 8 ? 1 : r->matched < 32 ? 2 : 3;
}

static double decide(wlmi_recall *r, uint8_t role, wlmi_token token)
{
    uint64_t context[CONTEXTS];
    uint32_t low = 0, size = 1;
    int32_t expected = r->match ? r->past[r->match] : -1;
    double bits = 0;
    decision d;
    make_contexts(r, role, context);
    d.weight[0] = r->by_match[match_set(r)];
    d.weight[1] = r->by_role[role];
    while (size < r->vocabulary)
        size *= 2;
    for (uint32_t node = 1; size > 1; size /= 2) {
        const uint32_t middle = low + size / 2;
        const double zero = below(r, middle) - below(r, low), one = below(r, low + size) - below(r, middle);
        const int bit = token >= middle;
        if (expected >= 0 && (expected < (int32_t)low || expected >= (int32_t)(low + size)))
            expected = -1;
        if (zero > 0 && one > 0) {
            float said;
            look(r, &d, context, node, (float)(one / (zero + one)), expected < 0 ? -1 : expected >= (int32_t)middle);
            said = mix(&d);
            bits -= log2((double)(bit ? said : 1 - said));
            learn(&d, said, bit);
        }
        node = 2 * node + (uint32_t)bit;
        low = bit ? middle : low;
    }
    return bits;
}

wlm_status wlmi_recall_take(wlmi_recall *r, const float *logits, const wlmi_allowed *allowed, uint8_t role,
                            wlmi_token token, double *bits, wlm_error *error)
{
    if (!wlmi_grow(&r->past, &r->room, r->count + 1, sizeof *r->past))
        return WLMI_NO_MEMORY(error);
    add_up(r, logits, allowed);
    *bits = decide(r, role, token);
    r->past[r->count++] = token;
    follow(r);
    r->of_role[role][1] = r->of_role[role][0];
    r->of_role[role][0] = (uint16_t)(token + 1);
    return WLM_OK;
}

void wlmi_recall_border(wlmi_recall *r)
{
    r->packet_before = r->packet;
    r->packet = r->count;
}
