/* json.c: see json.h. */
#include "task/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *wlmi_json_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *wlmi_json_text(const char *text)
{
    json_t *value = json_string(text);
    char *plain = value || !text ? NULL : strdup(text);
    if (!plain)
        return text ? value : json_null();
    for (char *c = plain; *c; c++)
        *c = (unsigned char)*c < 128 ? *c : '?';
    value = json_string(plain);
    free(plain);
    return value;
}

wlm_status wlmi_json_line(wlmi_output *out, json_t *object, unsigned digits, wlm_error *error)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(digits)) : NULL;
    wlm_status status = text ? wlmi_output_write(out, text, strlen(text), error) : WLMI_NO_MEMORY(error);
    if (status == WLM_OK)
        status = wlmi_output_write(out, "\n", 1, error);
    free(text);
    json_decref(object);
    return status;
}
