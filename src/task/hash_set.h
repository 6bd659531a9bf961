/* hash_set.h: a set of 64-bit hashes. */
#ifndef WLMI_HASH_SET_H
#define WLMI_HASH_SET_H

#include "base/status.h"

typedef struct wlmi_hash_set { /* zero-initialise */
    uint64_t *slot; /* open addressing; 0: free */
    size_t slots, count;
} wlmi_hash_set;

/* *added may be NULL. */
wlm_status wlmi_hash_set_add(wlmi_hash_set *set, uint64_t hash, int *added, wlm_error *error);
int wlmi_hash_set_has(const wlmi_hash_set *set, uint64_t hash);
void wlmi_hash_set_free(wlmi_hash_set *set);

#endif
