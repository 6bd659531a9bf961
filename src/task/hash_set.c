/* hash_set.c: open addressing, linear probing, at most half full. */
#include "task/hash_set.h"

#include "base/alloc.h"

/* Hashes are well mixed: their low bits are a place. 0 marks a free slot, so it goes by another name. */
static uint64_t *find(const wlmi_hash_set *set, uint64_t hash)
{
    size_t i = hash & (set->slots - 1);
    while (set->slot[i] && set->slot[i] != hash)
        i = (i + 1) & (set->slots - 1);
    return &set->slot[i];
}

static int grow(wlmi_hash_set *set)
{
    wlmi_hash_set wider = {.slots = set->slots ? 2 * set->slots : 1024, .count = set->count};
    wider.slot = wlmi_alloc_zero(wider.slots, sizeof *wider.slot);
    if (!wider.slot)
        return 0;
    for (size_t i = 0; i < set->slots; i++)
        if (set->slot[i])
            *find(&wider, set->slot[i]) = set->slot[i];
    wlmi_free(set->slot);
    *set = wider;
    return 1;
}

wlm_status wlmi_hash_set_add(wlmi_hash_set *set, uint64_t hash, int *added, wlm_error *error)
{
    uint64_t *slot;
    hash = hash ? hash : 1;
    if (2 * (set->count + 1) > set->slots && !grow(set))
        return WLMI_NO_MEMORY(error);
    slot = find(set, hash);
    if (added)
        *added = !*slot;
    set->count += !*slot;
    *slot = hash;
    return WLM_OK;
}

int wlmi_hash_set_has(const wlmi_hash_set *set, uint64_t hash)
{
    return set->slots && *find(set, hash ? hash : 1) != 0;
}

void wlmi_hash_set_free(wlmi_hash_set *set)
{
    wlmi_free(set->slot);
}
