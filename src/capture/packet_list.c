/* packet_list.c: packets kept in memory. */
#include "capture/packet_list.h"

#include <string.h>

#include "base/alloc.h"

wlm_status wlmi_packet_list_add(wlmi_packet_list *list, const wlm_packet *packet, wlm_error *error)
{
    if (!wlmi_grow(&list->packet, &list->capacity, list->count + 1, sizeof *list->packet) ||
        !wlmi_grow(&list->offset, &list->offset_capacity, list->count + 1, sizeof *list->offset) ||
        !wlmi_grow(&list->bytes, &list->room, list->used + packet->captured + 1, 1))
        return WLMI_NO_MEMORY(error);
    if (packet->captured)
        memcpy(list->bytes + list->used, packet->data, packet->captured);
    list->packet[list->count] = *packet;
    list->offset[list->count++] = list->used;
    list->used += packet->captured;
    return WLM_OK;
}

wlm_packet wlmi_packet_list_at(const wlmi_packet_list *list, size_t i)
{
    wlm_packet packet = list->packet[i];
    packet.data = list->bytes + list->offset[i];
    return packet;
}

void wlmi_packet_list_cut(wlmi_packet_list *list, size_t count)
{
    if (count >= list->count)
        return;
    list->used = list->offset[count];
    list->count = count;
}

void wlmi_packet_list_free(wlmi_packet_list *list)
{
    wlmi_free(list->packet);
    wlmi_free(list->offset);
    wlmi_free(list->bytes);
    memset(list, 0, sizeof *list);
}
