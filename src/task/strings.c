/* strings.c: a table of distinct strings. */
#include "task/strings.h"

#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"

uint64_t wlmi_hash(const void *data, size_t size)
{
    const uint8_t *p = data;
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, finished by a mixer */
    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return wlmi_mix(h);
}

/* The slot that holds the string, or the free one where it belongs. There is always a free one. */
static size_t slot_of(const wlmi_strings *s, const char *text)
{
    size_t at = (size_t)wlmi_hash(text, strlen(text)) & (s->slots - 1);
    while (s->slot[at] && strcmp(s->text[s->slot[at] - 1], text))
        at = (at + 1) & (s->slots - 1);
    return at;
}

uint32_t wlmi_strings_find(const wlmi_strings *s, const char *text)
{
    uint32_t index = s->slots ? s->slot[slot_of(s, text)] : 0;
    return index ? index - 1 : WLMI_NO_STRING;
}

static int widen(wlmi_strings *s)
{
    size_t slots = s->slots ? 2 * s->slots : 64;
    uint32_t *slot = wlmi_alloc_zero(slots, sizeof *slot);
    if (!slot)
        return 0;
    wlmi_free(s->slot);
    s->slot = slot;
    s->slots = slots;
    for (size_t i = 0; i < s->count; i++)
        s->slot[slot_of(s, s->text[i])] = (uint32_t)i + 1;
    return 1;
}

uint32_t wlmi_strings_add(wlmi_strings *s, const char *text)
{
    uint32_t index = wlmi_strings_find(s, text);
    if (index != WLMI_NO_STRING)
        return index;
    if (s->count >= WLMI_NO_STRING - 1 || (2 * (s->count + 1) > s->slots && !widen(s)) ||
        !wlmi_grow(&s->text, &s->capacity, s->count + 1, sizeof *s->text))
        return WLMI_NO_STRING;
    s->text[s->count] = wlmi_strdup(text);
    if (!s->text[s->count])
        return WLMI_NO_STRING;
    s->slot[slot_of(s, text)] = (uint32_t)s->count + 1;
    return (uint32_t)s->count++;
}

void wlmi_strings_free(wlmi_strings *s)
{
    for (size_t i = 0; i < s->count; i++)
        wlmi_free(s->text[i]);
    wlmi_free(s->text);
    wlmi_free(s->slot);
    memset(s, 0, sizeof *s);
}
