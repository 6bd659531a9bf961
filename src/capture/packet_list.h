/* packet_list.h: packets kept in memory, in one block. */
#ifndef WLMI_PACKET_LIST_H
#define WLMI_PACKET_LIST_H

#include "base/status.h"

typedef struct wlmi_packet_list { /* zero-initialise */
    wlm_packet *packet;           /* [count]; data is only valid through wlmi_packet_list_at() */
    size_t *offset;               /* [count]: of the data in bytes */
    uint8_t *bytes;
    size_t count, capacity, offset_capacity, used, room;
} wlmi_packet_list;

/* Appends a copy. */
wlm_status wlmi_packet_list_add(wlmi_packet_list *list, const wlm_packet *packet, wlm_error *error);
/* Packet i; its data stays valid until the next add. */
wlm_packet wlmi_packet_list_at(const wlmi_packet_list *list, size_t i);
void wlmi_packet_list_cut(wlmi_packet_list *list, size_t count); /* forgets all but the first `count` */
void wlmi_packet_list_free(wlmi_packet_list *list);

#endif
