/* fields_raw.c: raw packets predicted byte by byte. Contexts of several kinds (where the byte stands, what stands before
 * it) each remember the byte that came last and how it changed; of their guesses that one is taken whose kind was right
 * most often when it was as steady as now. */
#include "token/fields_raw.h"

#include <string.h>

#include "token/fields_check.h"

enum { /* states of a guess: the same byte 1 to 8 times; changed by the same step 1 to 8 times */
    SAME,
    STEPPED = SAME + 8,
    RATE = 5 /* of trust */
};

void wlmi_raw_clear(wlmi_raw *raw)
{
    memset(raw, 0, sizeof *raw);
    raw->check_start = WLMI_CHECK_START;
    for (int i = 0; i < WLMI_RAW_CONTEXTS; i++)
        for (int state = SAME; state < WLMI_RAW_STATES; state++)
            raw->trust[i][state] = (uint16_t)(32768 + 1024 * (state < STEPPED ? state : state - STEPPED) + i);
}

/* Of the byte at `at`, from those before it. */
static void find_contexts(const wlm_packet *p, uint32_t at, wlmi_raw_contexts *c)
{
    uint64_t before = 0, kind = (uint64_t)p->link_type << 32;
    for (uint32_t i = at < 3 ? 0 : at - 3; i < at; i++)
        before = before << 8 | p->data[i];
    const uint64_t key[WLMI_RAW_CONTEXTS] = {
        (before & 0xff) | at << 8, at | (uint64_t)p->captured << 8, before | (uint64_t)(p->captured - at) << 24, before};
    for (int i = 0; i < WLMI_RAW_CONTEXTS; i++) {
        uint64_t hash = (key[i] + kind) * UINT64_C(0x9e3779b97f4a7c15);
        c->slot[i] = (uint16_t)(hash >> 53);
        c->check[i] = (uint8_t)(hash >> 45) | 1; /* 0: nothing came there */
    }
}
_Static_assert(WLMI_RAW_SLOTS == 1 << 11, "a slot is 11 bits of the hash");

static uint8_t guessed(const wlmi_raw_guess *g)
{
    return (uint8_t)(g->state >= STEPPED ? g->byte + g->step : g->byte);
}

uint8_t wlmi_raw_expect(wlmi_raw *raw, const wlm_packet *p, uint32_t at)
{
    wlmi_raw_contexts *c = &raw->contexts[at];
    uint32_t best = 0; /* trust and byte in one, so that no branch is guessed wrong */
    find_contexts(p, at, c);
    for (int i = 0; i < WLMI_RAW_CONTEXTS; i++) {
        const wlmi_raw_guess *g = &raw->guess[i][c->slot[i]];
        uint32_t found = (uint32_t)raw->trust[i][g->state] << 8 | guessed(g);
        found &= 0u - (g->check == c->check[i]);
        best = found > best ? found : best;
    }
    return (uint8_t)best;
}

static uint8_t next_state(const wlmi_raw_guess *g, uint8_t step)
{
    int state = g->state, same = state >= STEPPED ? SAME : state + (state < STEPPED - 1);
    int again = state < STEPPED ? STEPPED + 1 : state + (state < WLMI_RAW_STATES - 1);
    int other = (uint8_t)(step + 1) <= 2 ? STEPPED : SAME; /* by one: it may count */
    return (uint8_t)(step == 0 ? same : step == g->step ? again : other);
}

static void learn_byte(wlmi_raw *raw, const wlmi_raw_contexts *c, uint8_t byte)
{
    for (int i = 0; i < WLMI_RAW_CONTEXTS; i++) {
        wlmi_raw_guess *g = &raw->guess[i][c->slot[i]];
        if (g->check != c->check[i]) {
            *g = (wlmi_raw_guess){c->check[i], byte, 0, SAME};
            continue;
        }
        uint16_t *trust = &raw->trust[i][g->state];
        uint8_t step = (uint8_t)(byte - g->byte);
        int aim = guessed(g) == byte ? 65535 : 31;
        *trust = (uint16_t)(*trust + (aim - *trust) / (1 << RATE));
        g->state = next_state(g, step);
        g->step = step;
        g->byte = byte;
    }
}

/* Lengths come in turns: the next is the one that came after a length like the last. */
static uint32_t length_slot(const wlmi_raw *raw, uint32_t link_type)
{
    return ((raw->length + link_type * 31) * 0x9e3779b1u) >> 26;
}
_Static_assert(WLMI_RAW_LENGTHS == 64, "length_slot takes 6 bits");

uint32_t wlmi_raw_length(const wlmi_raw *raw, uint32_t link_type)
{
    uint32_t next = raw->next_length[length_slot(raw, link_type)];
    return next ? next : raw->length;
}

int wlmi_raw_checked(const wlmi_raw *raw, const wlm_packet *p)
{
    uint8_t check[WLMI_CHECK_MAX];
    uint32_t size = wlmi_check_of(p), told = p->captured - size;
    wlmi_check_make(p->link_type, raw->check_start, p->data, told, check);
    return memcmp(check, p->data + told, size) == 0;
}

void wlmi_raw_learn(wlmi_raw *raw, const wlm_packet *p)
{
    uint32_t size = wlmi_check_of(p), told = p->captured;
    if (size) {
        raw->unchecked = !wlmi_raw_checked(raw, p);
        raw->check_start = wlmi_check_start(p->link_type, raw->check_start, p->data, p->captured);
        told -= raw->unchecked ? 0 : size;
    }
    for (uint32_t at = 0; at < told && at < WLMI_RAW_EXPECTED; at++)
        learn_byte(raw, &raw->contexts[at], p->data[at]);
    raw->next_length[length_slot(raw, p->link_type)] = p->captured;
    raw->length = p->captured;
    raw->packets++;
}
