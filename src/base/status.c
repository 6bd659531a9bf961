/* status.c: the error idiom. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)

const char *wlm_version(void)
{
    return STRINGIFY(WLM_VERSION_MAJOR) "." STRINGIFY(WLM_VERSION_MINOR) "." STRINGIFY(WLM_VERSION_PATCH);
}

const char *wlm_status_name(wlm_status status)
{
    switch (status) {
    case WLM_OK: return "ok";
    case WLM_END: return "end";
    case WLM_STOPPED: return "stopped";
    case WLM_ERR_ARGUMENT: return "argument";
    case WLM_ERR_IO: return "io";
    case WLM_ERR_FORMAT: return "format";
    case WLM_ERR_MEMORY: return "memory";
    case WLM_ERR_UNSUPPORTED: return "unsupported";
    case WLM_ERR_REFUSED: return "refused";
    case WLM_ERR_DIVERGED: return "diverged";
    }
    return "unknown";
}

wlm_status wlmi_fail(wlm_error *error, wlm_status status, const char *file, uint64_t offset, const char *cause, ...)
{
    if (error) {
        va_list args;
        error->status = status;
        error->offset = offset;
        snprintf(error->file, sizeof error->file, "%s", file ? file : "");
        va_start(args, cause);
        vsnprintf(error->cause, sizeof error->cause, cause, args);
        va_end(args);
    }
    return status;
}

wlm_status wlmi_in_file(wlm_error *error, wlm_status status, const char *file)
{
    if (error && status != WLM_OK && !error->file[0])
        snprintf(error->file, sizeof error->file, "%s", file);
    return status;
}
