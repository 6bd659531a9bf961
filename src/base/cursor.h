/* cursor.h: checked reads from bytes that came from outside, and little stores.
 * A read past the end returns 0 and sets `overrun`; test it once after a group of reads. */
#ifndef WLMI_CURSOR_H
#define WLMI_CURSOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct wlmi_cursor {
    const uint8_t *data;
    size_t size, at;
    int overrun;
} wlmi_cursor;

static inline wlmi_cursor wlmi_cursor_over(const void *data, size_t size)
{
    wlmi_cursor c = {(const uint8_t *)data, size, 0, 0};
    return c;
}

static inline size_t wlmi_left(const wlmi_cursor *c)
{
    return c->size - c->at;
}

/* n bytes at the cursor, which moves on; NULL and overrun where fewer are left. */
static inline const uint8_t *wlmi_take(wlmi_cursor *c, size_t n)
{
    const uint8_t *p;
    if (c->overrun || n > wlmi_left(c)) {
        c->overrun = 1;
        return NULL;
    }
    p = c->data + c->at;
    c->at += n;
    return p;
}

static inline uint16_t wlmi_load_be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint16_t wlmi_load_le16(const uint8_t *p) { return (uint16_t)(p[1] << 8 | p[0]); }
static inline uint32_t wlmi_load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint32_t wlmi_load_le32(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}
static inline uint64_t wlmi_load_le64(const uint8_t *p)
{
    return (uint64_t)wlmi_load_le32(p + 4) << 32 | wlmi_load_le32(p);
}
static inline uint64_t wlmi_load_be64(const uint8_t *p)
{
    return (uint64_t)wlmi_load_be32(p) << 32 | wlmi_load_be32(p + 4);
}
static inline void wlmi_store_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void wlmi_store_be32(uint8_t *p, uint32_t v)
{
    wlmi_store_be16(p, (uint16_t)(v >> 16));
    wlmi_store_be16(p + 2, (uint16_t)v);
}
static inline void wlmi_store_le16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static inline void wlmi_store_le32(uint8_t *p, uint32_t v)
{
    wlmi_store_le16(p, (uint16_t)v);
    wlmi_store_le16(p + 2, (uint16_t)(v >> 16));
}
static inline void wlmi_store_le64(uint8_t *p, uint64_t v)
{
    wlmi_store_le32(p, (uint32_t)v);
    wlmi_store_le32(p + 4, (uint32_t)(v >> 32));
}

static inline uint8_t wlmi_u8(wlmi_cursor *c)
{
    const uint8_t *p = wlmi_take(c, 1);
    return p ? *p : 0;
}
static inline uint16_t wlmi_be16(wlmi_cursor *c)
{
    const uint8_t *p = wlmi_take(c, 2);
    return p ? wlmi_load_be16(p) : 0;
}
static inline uint32_t wlmi_be32(wlmi_cursor *c)
{
    const uint8_t *p = wlmi_take(c, 4);
    return p ? wlmi_load_be32(p) : 0;
}
static inline uint16_t wlmi_le16(wlmi_cursor *c)
{
    const uint8_t *p = wlmi_take(c, 2);
    return p ? wlmi_load_le16(p) : 0;
}
static inline uint32_t wlmi_le32(wlmi_cursor *c)
{
    const uint8_t *p = wlmi_take(c, 4);
    return p ? wlmi_load_le32(p) : 0;
}
static inline uint64_t wlmi_le64(wlmi_cursor *c)
{
    const uint8_t *p = wlmi_take(c, 8);
    return p ? wlmi_load_le64(p) : 0;
}

#endif
