/* zalloc.h: zlib's allocation hooks, so that its memory comes from where all memory does. */
#ifndef WLMI_ZALLOC_H
#define WLMI_ZALLOC_H

#include <zlib.h>

#include "base/alloc.h"

static inline voidpf wlmi_zalloc(voidpf owner, uInt count, uInt size)
{
    (void)owner;
    return wlmi_alloc_zero(count, size);
}

static inline void wlmi_zfree(voidpf owner, voidpf block)
{
    (void)owner;
    wlmi_free(block);
}

#endif
