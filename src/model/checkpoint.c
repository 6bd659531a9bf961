/* checkpoint.c: a net as a safetensors file that Python reads without our help. */
#include "model/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "model/metadata.h"
#include "model/params.h"

static const char format_version[] = "1";

/* ---------------------------------------------------------------- tensors */

typedef struct list {
    const wlmi_net *net;
    const wlmi_real *buffer;
    const char *prefix;
    wlmi_tensor_out *tensor;
    int count;
} list;

static wlmi_tensor_out *append(list *l, size_t offset, int dims, size_t rows, size_t cols)
{
    wlmi_tensor_out *t = &l->tensor[l->count++];
    t->dims = dims;
    t->shape[0] = rows;
    t->shape[1] = cols;
    t->value = wlmi_at(l->net->backend, l->buffer, offset);
    return t;
}

static void append_rows(list *l, int first, int rows, const char *task, const char *what)
{
    size_t D = (size_t)l->net->config.width;
    wlmi_tensor_out *t = append(l, wlmi_embed_param(l->net)->offset + (size_t)first * D, 2, (size_t)rows, D);
    if (task)
        snprintf(t->name, sizeof t->name, "%stasks.%s.%s", l->prefix, task, what);
    else
        snprintf(t->name, sizeof t->name, "%sembed.%s", l->prefix, what);
}

wlmi_tensor_out *wlmi_checkpoint_tensors(const wlmi_net *net, const wlmi_real *buffer, const char *prefix, int *count)
{
    list l = {net, buffer, prefix, NULL, 0};
    l.tensor = wlmi_alloc_zero((size_t)(net->params + 1 + 2 * net->tasks), sizeof *l.tensor);
    if (!l.tensor)
        return NULL;
    for (int i = 0; i < net->params - 1; i++) {
        const wlmi_param *p = &net->param[i];
        wlmi_tensor_out *t = append(&l, p->offset, p->dims, (size_t)p->shape[0], (size_t)p->shape[1]);
        snprintf(t->name, sizeof t->name, "%s%s", prefix, p->name);
    }
    append_rows(&l, 0, net->config.vocabulary, NULL, "tokens");
    append_rows(&l, net->config.vocabulary, WLMI_SPECIALS, NULL, "special");
    for (int t = 0; t < net->tasks; t++) {
        append_rows(&l, net->task[t].row, 1, net->task[t].name, "query");
        if (net->task[t].labels)
            append_rows(&l, net->task[t].row + 1, net->task[t].labels, net->task[t].name, "labels");
    }
    *count = l.count;
    return l.tensor;
}

wlm_status wlmi_checkpoint_read(wlmi_safetensors *file, const wlmi_net *net, wlmi_real *buffer, const char *prefix,
                                wlm_error *error)
{
    int count;
    wlm_status status = WLM_OK;
    wlmi_tensor_out *tensor = wlmi_checkpoint_tensors(net, buffer, prefix, &count);
    if (!tensor)
        return WLMI_NO_MEMORY(error);
    for (int i = 0; status == WLM_OK && i < count; i++) {
        const wlmi_tensor_out *t = &tensor[i];
        size_t offset = (size_t)((const char *)t->value - (const char *)buffer) / net->backend->real_size;
        status = wlmi_safetensors_read(file, net->backend, t->name, t->dims, t->shape[0], t->shape[1],
                                       wlmi_at(net->backend, buffer, offset), error);
    }
    wlmi_free(tensor);
    return status;
}

/* ---------------------------------------------------------------- metadata */

/* The object's JSON as a JSON string; NULL where memory ran out. Takes the reference. */
static json_t *as_text(json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_t *value = text ? json_string(text) : NULL;
    json_decref(object);
    free(text);
    return value;
}

json_t *wlmi_checkpoint_metadata(const wlmi_net *net)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "format", "wirelm", "format_version", format_version,
                     "codec", net->record.codec, "codec_hash", net->record.codec_hash, "config",
                     as_text(wlmi_config_to_json(&net->config)), "tasks", as_text(wlmi_tasks_to_json(net)), "record",
                     as_text(wlmi_record_to_json(&net->record)));
}

typedef struct description {
    json_t *config, *tasks, *record;
} description;

static wlm_status read_description(description *d, const wlmi_safetensors *file, wlm_error *error)
{
    const char *version;
    WLMI_TRY(wlmi_safetensors_text(file, "format_version", &version, error));
    if (strcmp(version, format_version))
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, file->name, WLM_NO_OFFSET,
                         "format version %.20s is not known to this build", version);
    WLMI_TRY(wlmi_safetensors_json(file, "config", &d->config, error));
    WLMI_TRY(wlmi_safetensors_json(file, "tasks", &d->tasks, error));
    return wlmi_safetensors_json(file, "record", &d->record, error);
}

static wlm_status make_net(wlmi_net **net, const description *d, size_t values, const wlmi_backend *backend,
                           wlm_error *error)
{
    wlmi_config config;
    uint64_t rows;
    WLMI_TRY(wlmi_config_from_json(&config, d->config, error));
    WLMI_TRY(wlmi_tasks_count_rows(d->tasks, &rows, error));
    if (rows > values / (size_t)config.width || wlmi_config_count(&config) > values - rows * (size_t)config.width)
        return wlmi_fail(error, WLM_ERR_FORMAT, NULL, 8, "fewer values than the configuration and the tasks need");
    WLMI_TRY(wlmi_net_make(net, &config, backend, error));
    WLMI_TRY(wlmi_tasks_from_json(*net, d->tasks, error));
    return wlmi_record_from_json(&(*net)->record, d->record, error);
}

wlm_status wlmi_checkpoint_make_net(wlmi_net **net, const wlmi_safetensors *file, int copies,
                                    const wlmi_backend *backend, wlm_error *error)
{
    description d = {NULL, NULL, NULL};
    wlm_status status = read_description(&d, file, error);
    *net = NULL;
    if (status == WLM_OK)
        status = wlmi_in_file(error, make_net(net, &d, file->count / (size_t)copies, backend, error), file->name);
    json_decref(d.config);
    json_decref(d.tasks);
    json_decref(d.record);
    if (status != WLM_OK) {
        wlmi_net_free(*net);
        *net = NULL;
    }
    return status;
}

/* ---------------------------------------------------------------- files */

wlm_status wlmi_checkpoint_save_as(const wlmi_net *net, const char *path, wlm_dtype dtype, wlm_error *error)
{
    int count;
    wlm_status status;
    wlmi_tensor_out *tensor = wlmi_checkpoint_tensors(net, net->value, "", &count);
    if (!tensor)
        return WLMI_NO_MEMORY(error);
    for (int i = 0; i < count; i++)
        if (tensor[i].dims == 2)
            tensor[i].dtype = dtype;
    status = wlmi_safetensors_write(path, net->backend, tensor, count, wlmi_checkpoint_metadata(net), error);
    wlmi_free(tensor);
    return status;
}

wlm_status wlmi_checkpoint_save(const wlmi_net *net, const char *path, wlm_error *error)
{
    return wlmi_checkpoint_save_as(net, path, WLM_DTYPE_F32, error);
}

static wlm_status load(wlmi_net **net, wlmi_safetensors *file, const wlmi_backend *backend, wlm_error *error)
{
    WLMI_TRY(wlmi_checkpoint_make_net(net, file, 1, backend, error));
    WLMI_TRY(wlmi_checkpoint_read(file, *net, (*net)->value, "", error));
    wlmi_net_refresh(*net);
    WLMI_TRY(backend->status(error));
    return wlmi_safetensors_all_read(file, error);
}

wlm_status wlmi_checkpoint_load_memory(wlmi_net **net, const void *data, size_t size, const char *name,
                                       const wlmi_backend *backend, wlm_error *error)
{
    wlmi_safetensors file;
    wlm_status status;
    *net = NULL;
    WLMI_TRY(wlmi_safetensors_open(&file, data, size, name, error));
    status = load(net, &file, backend, error);
    wlmi_safetensors_close(&file);
    if (status != WLM_OK) {
        wlmi_net_free(*net);
        *net = NULL;
    }
    return status;
}

wlm_status wlmi_checkpoint_load(wlmi_net **net, const char *path, const wlmi_backend *backend, wlm_error *error)
{
    wlmi_map map;
    wlm_status status;
    *net = NULL;
    WLMI_TRY(wlmi_map_open(&map, path, error));
    status = wlmi_checkpoint_load_memory(net, map.data, map.size, path, backend, error);
    wlmi_map_close(&map);
    return status;
}
