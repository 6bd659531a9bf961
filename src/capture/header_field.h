/* header_field.h: which header field a byte of a packet belongs to. */
#ifndef WLMI_HEADER_FIELD_H
#define WLMI_HEADER_FIELD_H

#include "capture/decode.h"

/* Index of the field at that offset, or -1: payload, or a header that is not known. */
int wlmi_header_field(const wlm_packet *packet, const wlmi_headers *headers, uint32_t offset);
/* Their names, as the codec `fields` calls them where it has them; NULL past the last. */
const char *wlmi_header_field_name(int field);

#endif
