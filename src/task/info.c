/* info.c: what a file holds, and what this build supports. */
#include <jansson.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/status.h"

wlm_status wlm_info_build(char **json, wlm_error *error)
{
    json_t *root = json_pack("{s:s}", "version", wlm_version());
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    *json = text ? wlmi_strdup(text) : NULL;
    free(text);
    return *json ? WLM_OK : WLMI_NO_MEMORY(error);
}

wlm_status wlm_info_file(const char *path, char **json, wlm_error *error)
{
    *json = NULL;
    return wlmi_fail(error, WLM_ERR_UNSUPPORTED, path, WLM_NO_OFFSET, "not a file that wirelm knows");
}
