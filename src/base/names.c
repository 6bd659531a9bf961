/* names.c: text for the public enumerations. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

void wlm_text_free(char *text)
{
    wlmi_free(text);
}

const char *wlm_flow_start_name(wlm_flow_start start)
{
    static const char *const name[] = {"syn", "synack", "mid", "first"};
    return (unsigned)start < 4 ? name[start] : "unknown";
}

const char *wlm_flow_end_name(wlm_flow_end end)
{
    static const char *const name[] = {"closed", "timeout", "eof", "evicted", "budget", "open"};
    return (unsigned)end < 6 ? name[end] : "unknown";
}

const char *wlm_part_name(wlm_part part)
{
    static const char *const name[] = {"train", "val", "test", "none"};
    return (unsigned)part < 4 ? name[part] : "unknown";
}

const char *wlm_unit_name(wlm_unit unit)
{
    static const char *const name[] = {"flow", "capture"};
    return (unsigned)unit < 2 ? name[unit] : "unknown";
}

wlm_status wlm_unit_parse(const char *name, wlm_unit *unit)
{
    for (int i = WLM_UNIT_FLOW; i <= WLM_UNIT_CAPTURE; i++)
        if (!strcmp(name, wlm_unit_name((wlm_unit)i))) {
            *unit = (wlm_unit)i;
            return WLM_OK;
        }
    return WLM_ERR_ARGUMENT;
}

const char *wlm_dtype_name(wlm_dtype dtype)
{
    static const char *const name[] = {"f32", "bf16"};
    return (unsigned)dtype < 2 ? name[dtype] : "unknown";
}

wlm_status wlm_dtype_parse(const char *name, wlm_dtype *dtype)
{
    for (int i = WLM_DTYPE_F32; i <= WLM_DTYPE_BF16; i++)
        if (!strcmp(name, wlm_dtype_name((wlm_dtype)i))) {
            *dtype = (wlm_dtype)i;
            return WLM_OK;
        }
    return WLM_ERR_ARGUMENT;
}

const char *wlm_hide_name(wlm_hide hide)
{
    switch (hide) {
    case WLM_HIDE_NONE: return "none";
    case WLM_HIDE_IDS: return "ids";
    case WLM_HIDE_IMPLICIT: return "implicit";
    case WLM_HIDE_SHAPE: return "shape";
    }
    return "unknown";
}

wlm_status wlm_hide_parse(const char *name, wlm_hide *hide)
{
    static const wlm_hide all[] = {WLM_HIDE_NONE, WLM_HIDE_IDS, WLM_HIDE_IMPLICIT, WLM_HIDE_SHAPE};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(name, wlm_hide_name(all[i]))) {
            *hide = all[i];
            return WLM_OK;
        }
    return WLM_ERR_ARGUMENT;
}
