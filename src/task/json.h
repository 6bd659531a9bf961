/* json.h: what reports and lines of JSON are made of. */
#ifndef WLMI_JSON_H
#define WLMI_JSON_H

#include <jansson.h>

#include "base/io.h"

json_t *wlmi_json_real(double value); /* null where it is not finite */
/* Names of files and labels are bytes: what is no UTF-8 shows as '?'. NULL: null. */
json_t *wlmi_json_text(const char *text);
/* Writes the object as a line, reals with so many digits, and takes it over; NULL is WLM_ERR_MEMORY. */
wlm_status wlmi_json_line(wlmi_output *out, json_t *object, unsigned digits, wlm_error *error);

#endif
