/* describe.c: what a checkpoint, or a run put aside, says about itself, without loading it. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/digest.h"
#include "base/io.h"
#include "model/checkpoint.h"

int wlmi_checkpoint_is(const void *data, size_t size)
{
    wlmi_cursor c = wlmi_cursor_over(data, size);
    uint64_t length = wlmi_le64(&c);
    return wlmi_u8(&c) == '{' && !c.overrun && length < size;
}

static wlm_status fill(json_t *root, const wlmi_safetensors *file, wlm_error *error)
{
    static const char *const keys[] = {"config", "tasks", "record", "run", "run_options"};
    char hash[65];
    int is_run = json_object_get(json_object_get(file->header, "__metadata__"), "run") != NULL;
    json_object_set_new(root, "kind", json_string(is_run ? "unfinished training run" : "model"));
    json_object_set_new(root, "parameters", json_integer((json_int_t)(is_run ? file->count / 3 : file->count)));
    json_object_set_new(root, "dtype", json_string(wlm_dtype_name(wlmi_safetensors_dtype(file))));
    json_object_set_new(root, "bytes", json_integer((json_int_t)file->size));
    wlmi_sha256_of(file->data, file->size, hash);
    json_object_set_new(root, "sha256", json_string(hash));
    for (size_t i = 0; i < (is_run ? 5 : 3); i++) {
        json_t *value;
        WLMI_TRY(wlmi_safetensors_json(file, keys[i], &value, error));
        json_object_set_new(root, keys[i], value);
    }
    return WLM_OK;
}

wlm_status wlmi_checkpoint_describe(const void *data, size_t size, const char *name, char **json, wlm_error *error)
{
    wlmi_safetensors file;
    json_t *root;
    char *text = NULL;
    wlm_status status;
    *json = NULL;
    WLMI_TRY(wlmi_safetensors_open(&file, data, size, name, error));
    root = json_object();
    status = fill(root, &file, error);
    if (status == WLM_OK) {
        text = json_dumps(root, JSON_COMPACT);
        *json = text ? wlmi_strdup(text) : NULL;
        status = *json ? WLM_OK : WLMI_NO_MEMORY(error);
    }
    free(text);
    json_decref(root);
    wlmi_safetensors_close(&file);
    return status;
}
