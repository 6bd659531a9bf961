/* reader.c: numbers byte by byte: of those that can be, each permits its own next byte. */
#include "token/reader.h"

#include "base/cursor.h"

int wlmi_can_take(const void *room, uint32_t length)
{
    const wlmi_room *r = room;
    return length && length <= r->left && (length == r->left ? r->can_take_all : r->left - length >= r->least);
}

void wlmi_permit(wlmi_reader *r, unsigned from, unsigned to)
{
    for (unsigned b = from; b <= to; b++)
        r->row[b >> 6] |= UINT64_C(1) << (b & 63);
}

wlmi_progress wlmi_read_any(wlmi_reader *r, uint32_t count)
{
    if (r->have - r->at < count) {
        wlmi_permit(r, 0, 255);
        return WLMI_HERE;
    }
    r->at += count;
    return WLMI_READ;
}

wlmi_progress wlmi_read_byte(wlmi_reader *r, unsigned from, unsigned to)
{
    if (r->at == r->have) {
        wlmi_permit(r, from, to);
        return WLMI_HERE;
    }
    const unsigned byte = r->bytes[r->at++];
    return byte >= from && byte <= to ? WLMI_READ : WLMI_WRONG;
}

wlmi_progress wlmi_read_value(wlmi_reader *r, unsigned bytes, uint32_t value)
{
    for (unsigned i = bytes; i--;)
        WLMI_STEP(wlmi_read_byte(r, value >> 8 * i & 255, value >> 8 * i & 255));
    return WLMI_READ;
}

static wlmi_progress read_one(wlmi_reader *r, wlmi_can_be can_be, const void *context, uint32_t *number)
{
    if (r->at < r->have) {
        *number = r->bytes[r->at];
        const int can = can_be(context, *number);
        r->at++;
        return can ? WLMI_READ : WLMI_WRONG;
    }
    for (unsigned n = 0; n < 256; n++)
        if (can_be(context, n))
            wlmi_permit(r, n, n);
    return WLMI_HERE;
}

wlmi_progress wlmi_read_number(wlmi_reader *r, unsigned bytes, wlmi_can_be can_be, const void *context, uint32_t most,
                               uint32_t *number)
{
    const uint32_t there = r->have - r->at;
    const uint32_t first = there == 1 ? (uint32_t)r->bytes[r->at] << 8 : 0;
    const uint32_t last = there == 1 ? first | 255 : UINT16_MAX;
    if (bytes == 1)
        return read_one(r, can_be, context, number);
    if (there >= 2) {
        *number = wlmi_load_be16(r->bytes + r->at);
        const int can = can_be(context, *number);
        r->at += 2;
        return can ? WLMI_READ : WLMI_WRONG;
    }
    for (uint32_t n = first; n <= last && n <= most; n++)
        if (can_be(context, n)) {
            wlmi_permit(r, there ? n & 255 : n >> 8, there ? n & 255 : n >> 8);
            n |= there ? 0 : 255; /* one is enough for a first byte */
        }
    return WLMI_HERE;
}

wlmi_progress wlmi_read_listed(wlmi_reader *r, const uint16_t *list, int count, wlmi_can_be can_be, const void *context,
                               uint32_t *number)
{
    const uint32_t there = r->have - r->at;
    wlmi_progress read = there < 2 ? WLMI_HERE : WLMI_WRONG;
    for (int i = 0; i < count; i++) {
        const unsigned first = list[i] >> 8, last = list[i] & 255;
        if ((there && first != r->bytes[r->at]) || !can_be(context, list[i]))
            continue;
        if (there < 2) {
            wlmi_permit(r, there ? last : first, there ? last : first);
        } else if (last == r->bytes[r->at + 1]) {
            *number = list[i];
            read = WLMI_READ;
        }
    }
    r->at += read == WLMI_READ ? 2 : 0;
    return read;
}
