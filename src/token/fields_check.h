/* fields_check.h: frame check sequences: the CRC at the end of frames of some link types. */
#ifndef WLMI_FIELDS_CHECK_H
#define WLMI_FIELDS_CHECK_H

#include "wirelm.h"

enum { WLMI_CHECK_MAX = 4, WLMI_CHECK_START = 0xaaaaaa /* Bluetooth LE: of advertising (0x555555, bits turned) */ };

/* Bytes of the check that frames of the link type can end with; 0: none is known. */
uint32_t wlmi_check_size(uint32_t link_type);
/* Of the packet, all of whose bytes must have been captured. */
static inline uint32_t wlmi_check_of(const wlm_packet *packet)
{
    uint32_t size = packet->wire == packet->captured ? wlmi_check_size(packet->link_type) : 0;
    return packet->captured >= size ? size : 0;
}
/* The check of the frame that begins with the packet's first `size` bytes. start: that of its shift register, where the
 * link type leaves it open (Bluetooth LE: each connection has its own). */
void wlmi_check_make(uint32_t link_type, uint32_t start, const uint8_t *data, uint32_t size,
                     uint8_t check[WLMI_CHECK_MAX]);
/* The start that makes the check right that the whole packet ends with; `start` where it is not open. */
uint32_t wlmi_check_start(uint32_t link_type, uint32_t start, const uint8_t *data, uint32_t size);

#endif
