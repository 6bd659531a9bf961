/* info.c: what a file holds, and what this build supports. */
#include <jansson.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/status.h"
#include "task/shard.h"

wlm_status wlm_info_build(char **json, wlm_error *error)
{
    json_t *root = json_pack("{s:s}", "version", wlm_version());
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    *json = text ? wlmi_strdup(text) : NULL;
    free(text);
    return *json ? WLM_OK : WLMI_NO_MEMORY(error);
}

static wlm_status info_dataset(const char *folder, char **json, wlm_error *error)
{
    wlmi_dataset *dataset;
    wlm_status status;
    WLMI_TRY(wlmi_dataset_open(&dataset, folder, error));
    status = wlmi_dataset_describe(dataset, json, error);
    wlmi_dataset_close(dataset);
    return status;
}

wlm_status wlm_info_file(const char *path, char **json, wlm_error *error)
{
    *json = NULL;
    if (wlmi_dataset_is(path))
        return info_dataset(path, json, error);
    return wlmi_fail(error, WLM_ERR_UNSUPPORTED, path, WLM_NO_OFFSET, "not a file that wirelm knows");
}
