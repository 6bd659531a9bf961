/* alloc.h: every allocation of the library goes through here, so that tests can fail the k-th one. */
#ifndef WLMI_ALLOC_H
#define WLMI_ALLOC_H

#include <stddef.h>
#include <stdint.h>

void *wlmi_alloc(size_t size);                     /* uninitialised; NULL on failure; size 0 gives a pointer too */
void *wlmi_alloc_zero(size_t count, size_t size);  /* zeroed; overflow of count * size is a failure */
void *wlmi_alloc_array(size_t count, size_t size); /* uninitialised, overflow-checked */
void *wlmi_realloc(void *block, size_t size);
void *wlmi_alloc_aligned(size_t size);             /* zeroed, 64-byte aligned, for tensors; released by wlmi_free */
void wlmi_free(void *block);
char *wlmi_strdup(const char *text);

/* Grows *array (element size `size`, room for *capacity) to hold at least `need` elements. 0 on failure:
 * the array is untouched. Doubling, so that appending costs constant time. */
int wlmi_grow(void *array_pointer, size_t *capacity, size_t need, size_t size);

/* Tests only: the k-th allocation from now fails (k from 1), and every one after it; 0 turns it off. */
void wlmi_alloc_fail_at(uint64_t k);
/* Allocations since the last wlmi_alloc_fail_at(). */
uint64_t wlmi_alloc_count(void);

#endif
