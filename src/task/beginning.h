/* beginning.h: the packets that every generated flow begins with, out of a capture. */
#ifndef WLMI_BEGINNING_H
#define WLMI_BEGINNING_H

#include "capture/packet_list.h"
#include "task/handle.h"

/* Appends the packets of the capture's first IP flow, hidden as the model's training flows were. */
wlm_status wlmi_beginning_read(wlmi_packet_list *packets, const wlm_model *model, const char *path, wlm_error *error);

#endif
