/* info.c: what a file holds, and what this build supports. */
#include <jansson.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/status.h"
#include "model/model.h"
#include "task/info_capture.h"
#include "task/mpi_world.h"
#include "task/shard.h"
#include "token/codec.h"

static json_t *presets(void)
{
    json_t *list = json_array();
    for (size_t i = 0; wlmi_preset_name(i); i++)
        json_array_append_new(list, json_string(wlmi_preset_name(i)));
    return list;
}

static json_t *codecs(void)
{
    json_t *list = json_object();
    const wlmi_codec *codec;
    for (size_t i = 0; (codec = wlmi_codec_at(i)); i++) {
        char hash[65];
        wlmi_codec_hash(codec, hash);
        json_object_set_new(list, codec->name, json_pack("{s:i, s:i, s:s}", "version", (int)codec->version,
                                                         "vocabulary", (int)codec->vocabulary, "hash", hash));
    }
    return list;
}

static json_t *backends(void)
{
    static const char *const names[] = {"cpu", "ref"};
    json_t *list = json_object();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        json_object_set_new(list, names[i], json_string(wlmi_backend_find(names[i])->describe()));
    return list;
}

wlm_status wlm_info_build(char **json, wlm_error *error)
{
    json_t *root = json_pack("{s:s, s:o, s:o, s:o, s:s?}", "version", wlm_version(), "codecs", codecs(), "presets",
                             presets(), "backends", backends(), "mpi",
                             wlmi_world_library());
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

static wlm_status info_bytes(const char *path, const wlmi_map *map, char **json, wlm_error *error)
{
    if (wlmi_checkpoint_is(map->data, map->size))
        return wlmi_checkpoint_describe(map->data, map->size, path, json, error);
    return wlmi_describe_packets(path, json, error);
}

wlm_status wlm_info_file(const char *path, char **json, wlm_error *error)
{
    wlmi_map map;
    wlm_status status;
    *json = NULL;
    if (wlmi_dataset_is(path))
        return info_dataset(path, json, error);
    WLMI_TRY(wlmi_map_open(&map, path, error));
    status = info_bytes(path, &map, json, error);
    wlmi_map_close(&map);
    return status;
}
