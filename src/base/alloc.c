/* alloc.c: allocation with overflow checks and a failure hook for tests. */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint_fast64_t count, fail_at;

void wlmi_alloc_fail_at(uint64_t k)
{
    atomic_store(&count, 0);
    atomic_store(&fail_at, k);
}

uint64_t wlmi_alloc_count(void)
{
    return atomic_load(&count);
}

static int refused(void)
{
    uint64_t n = atomic_fetch_add_explicit(&count, 1, memory_order_relaxed) + 1;
    uint64_t k = atomic_load_explicit(&fail_at, memory_order_relaxed);
    return k != 0 && n >= k;
}

void *wlmi_alloc(size_t size)
{
    return refused() ? NULL : malloc(size ? size : 1);
}

void *wlmi_alloc_zero(size_t n, size_t size)
{
    return refused() ? NULL : calloc(n ? n : 1, size ? size : 1);
}

void *wlmi_alloc_array(size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size)
        return NULL;
    return wlmi_alloc(n * size);
}

void *wlmi_realloc(void *block, size_t size)
{
    return refused() ? NULL : realloc(block, size ? size : 1);
}

void *wlmi_alloc_aligned(size_t size)
{
    void *block;
    if (size > SIZE_MAX - 64 || refused())
        return NULL;
    size = size ? (size + 63) & ~(size_t)63 : 64;
    block = aligned_alloc(64, size);
    if (block)
        memset(block, 0, size);
    return block;
}

void wlmi_free(void *block)
{
    free(block);
}

char *wlmi_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = wlmi_alloc(size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

int wlmi_grow(void *array_pointer, size_t *capacity, size_t need, size_t size)
{
    void *old, *grown;
    size_t room = *capacity ? *capacity : 16;
    if (need <= *capacity)
        return 1;
    while (room < need) {
        if (room > SIZE_MAX / 2)
            return 0;
        room *= 2;
    }
    if (size && room > SIZE_MAX / size)
        return 0;
    memcpy(&old, array_pointer, sizeof old);
    grown = wlmi_realloc(old, room * size);
    if (!grown)
        return 0;
    memcpy(array_pointer, &grown, sizeof grown);
    *capacity = room;
    return 1;
}
