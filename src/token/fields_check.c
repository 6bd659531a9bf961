/* fields_check.c: frame check sequences: CRC-16/KERMIT of IEEE 802.15.4, CRC-24 of Bluetooth LE (Core specification,
 * volume 6, part B, 3.1.1), CRC-32 of IEEE 802.11. All shift towards the lowest bit. */
#include "token/fields_check.h"

#include <stddef.h>
#include <zlib.h>

#include "base/cursor.h"

enum { IN_HEADER = 255 }; /* the packet's third and fourth byte say how long its pseudo header is */

typedef struct kind {
    uint16_t link_type;
    uint8_t size, skip; /* bytes of the check; bytes before those that it is made of */
} kind;

static const kind kinds[] = {
    {105, 4, 0},           /* 802.11 */
    {127, 4, IN_HEADER},   /* 802.11 behind radiotap */
    {192, 4, IN_HEADER},   /* PPI, mostly 802.11 */
    {195, 2, 0},           /* 802.15.4 */
    {251, 3, 4},           /* Bluetooth LE: the access address has no part in it */
    {256, 3, 10 + 4},      /* the same behind a pseudo header */
    {272, 3, 7 + 10 + 4},  /* and behind that of nRF Sniffer */
    {283, 2, IN_HEADER},   /* 802.15.4 TAP */
};

static const kind *kind_of(uint32_t link_type)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].link_type == link_type)
            return &kinds[i];
    return NULL;
}

uint32_t wlmi_check_size(uint32_t link_type)
{
    const kind *k = kind_of(link_type);
    return k ? k->size : 0;
}

static uint32_t skip_of(const kind *k, const uint8_t *data, uint32_t size)
{
    uint32_t skip = k->skip == IN_HEADER ? (size >= 4 ? wlmi_load_le16(data + 2) : size) : k->skip;
    return skip < size ? skip : size;
}

static uint32_t polynomial(const kind *k)
{
    return k->size == 2 ? 0x8408 : 0xda6000;
}

void wlmi_check_make(uint32_t link_type, uint32_t start, const uint8_t *data, uint32_t size,
                     uint8_t check[WLMI_CHECK_MAX])
{
    const kind *k = kind_of(link_type);
    uint32_t half[16], crc = k->size == 3 ? start : 0, from = skip_of(k, data, size);
    if (k->size == 4) {
        wlmi_store_le32(check, (uint32_t)crc32(0, data + from, size - from));
        return;
    }
    for (uint32_t i = 0; i < 16; i++) {
        half[i] = i;
        for (int bit = 0; bit < 4; bit++)
            half[i] = half[i] >> 1 ^ (half[i] & 1 ? polynomial(k) : 0);
    }
    for (uint32_t i = from; i < size; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ half[crc & 15];
        crc = crc >> 4 ^ half[crc & 15];
    }
    wlmi_store_le32(check, crc);
}

uint32_t wlmi_check_start(uint32_t link_type, uint32_t start, const uint8_t *data, uint32_t size)
{
    const kind *k = kind_of(link_type);
    if (!k || k->size != 3 || size < 3)
        return start;
    const uint8_t *end = data + size - 3;
    uint32_t skip = skip_of(k, data, size - 3), crc = (uint32_t)end[2] << 16 | (uint32_t)end[1] << 8 | end[0];
    for (uint32_t i = size - 3; i-- > skip;) /* the register run backward */
        for (int bit = 7; bit >= 0; bit--) {
            uint32_t out = crc >> 23 & 1;
            crc = ((crc ^ (out ? polynomial(k) : 0)) << 1 | (out ^ (data[i] >> bit & 1u))) & 0xffffff;
        }
    return crc;
}
