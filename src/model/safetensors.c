/* safetensors.c: writes and reads the safetensors container. */
#include "model/safetensors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bf16.h"
#include "base/cursor.h"
#include "base/io.h"

enum { LENGTH_BYTES = 8, ALIGN = 64, CHUNK = 4096, MAX_HEADER = 64 << 20 };

static const struct {
    const char *name; /* as the format has it */
    size_t bytes;
} types[] = {[WLM_DTYPE_F32] = {"F32", 4}, [WLM_DTYPE_BF16] = {"BF16", 2}};
enum { TYPES = sizeof types / sizeof *types };

/* ---------------------------------------------------------------- writing */

static size_t values_of(const wlmi_tensor_out *t)
{
    return t->shape[0] * (t->dims == 2 ? t->shape[1] : 1);
}

static json_t *describe(const wlmi_tensor_out *t, size_t at)
{
    json_t *shape = json_array();
    for (int d = 0; d < t->dims; d++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[d]));
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", types[t->dtype].name, "shape", shape, "data_offsets", (json_int_t)at,
                     (json_int_t)(at + types[t->dtype].bytes * values_of(t)));
}

/* NULL: out of memory. Takes the metadata's reference. */
static char *header_text(const wlmi_tensor_out *tensors, int count, json_t *metadata)
{
    json_t *root = json_object();
    size_t at = 0;
    char *text = NULL;
    int failed = json_object_set_new(root, "__metadata__", metadata) != 0;
    for (int type = 0; type < TYPES; type++)
        for (int i = 0; i < count; i++) {
            if ((int)tensors[i].dtype != type)
                continue;
            failed |= json_object_set_new(root, tensors[i].name, describe(&tensors[i], at)) != 0;
            at += types[type].bytes * values_of(&tensors[i]);
        }
    if (!failed)
        text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

static wlm_status write_header(wlmi_output *out, const char *text, wlm_error *error)
{
    static const char spaces[ALIGN + 1] = "                                                                ";
    size_t length = strlen(text), pad = (ALIGN - (LENGTH_BYTES + length) % ALIGN) % ALIGN;
    uint8_t size[LENGTH_BYTES];
    wlmi_store_le64(size, length + pad);
    WLMI_TRY(wlmi_output_write(out, size, sizeof size, error));
    WLMI_TRY(wlmi_output_write(out, text, length, error));
    return wlmi_output_write(out, spaces, pad, error);
}

static void store(uint8_t *bytes, float value, wlm_dtype dtype)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (dtype == WLM_DTYPE_BF16)
        wlmi_store_le16(bytes, wlmi_to_bf16(value));
    else
        wlmi_store_le32(bytes, bits);
}

static wlm_status write_values(wlmi_output *out, const wlmi_backend *b, const wlmi_tensor_out *t, wlm_error *error)
{
    const size_t n = values_of(t), width = types[t->dtype].bytes;
    float chunk[CHUNK];
    uint8_t bytes[4 * CHUNK];
    for (size_t done = 0; done < n;) {
        size_t now = n - done < CHUNK ? n - done : CHUNK;
        b->to_float(chunk, wlmi_at(b, t->value, done), now);
        for (size_t i = 0; i < now; i++)
            store(bytes + width * i, chunk[i], t->dtype);
        WLMI_TRY(wlmi_output_write(out, bytes, width * now, error));
        done += now;
    }
    return WLM_OK;
}

wlm_status wlmi_safetensors_write(const char *path, const wlmi_backend *backend, const wlmi_tensor_out *tensors,
                                  int count, json_t *metadata, wlm_error *error)
{
    wlmi_output *out;
    char *text = header_text(tensors, count, metadata);
    wlm_status status = text ? wlmi_output_open(&out, path, error) : WLMI_NO_MEMORY(error);
    if (status == WLM_OK) {
        status = write_header(out, text, error);
        for (int type = 0; type < TYPES; type++)
            for (int i = 0; status == WLM_OK && i < count; i++)
                if ((int)tensors[i].dtype == type)
                    status = write_values(out, backend, &tensors[i], error);
        if (status == WLM_OK)
            status = wlmi_output_finish(out, error);
        else
            wlmi_output_discard(out);
    }
    free(text);
    return status;
}

/* ---------------------------------------------------------------- reading */

static wlm_status bad_tensor(const wlmi_safetensors *file, const char *name, const char *why, wlm_error *error)
{
    return wlmi_fail(error, WLM_ERR_FORMAT, file->name, LENGTH_BYTES, "tensor '%.120s' %s", name, why);
}

static wlm_status read_header(wlmi_safetensors *file, size_t *data_at, wlm_error *error)
{
    json_error_t problem;
    uint64_t length;
    if (file->size < LENGTH_BYTES)
        return wlmi_fail(error, WLM_ERR_FORMAT, file->name, file->size, "too short for a safetensors file");
    length = wlmi_load_le64(file->data);
    if (length > MAX_HEADER || length > file->size - LENGTH_BYTES)
        return wlmi_fail(error, WLM_ERR_FORMAT, file->name, 0, "not a safetensors file, or broken off: header of %llu "
                         "bytes in a file of %llu", (unsigned long long)length, (unsigned long long)file->size);
    file->header = json_loadb((const char *)file->data + LENGTH_BYTES, (size_t)length, JSON_REJECT_DUPLICATES, &problem);
    if (!file->header)
        return wlmi_fail(error, WLM_ERR_FORMAT, file->name, LENGTH_BYTES + (uint64_t)problem.position,
                         "bad header: %.160s", problem.text);
    if (!json_is_object(file->header))
        return wlmi_fail(error, WLM_ERR_FORMAT, file->name, LENGTH_BYTES, "bad header: not an object");
    *data_at = LENGTH_BYTES + (size_t)length;
    return WLM_OK;
}

static wlm_status read_entry(wlmi_safetensors *file, const char *name, json_t *entry, size_t data_at, wlm_error *error)
{
    wlmi_tensor_in *t = &file->tensor[file->tensors];
    json_t *shape = json_object_get(entry, "shape"), *offsets = json_object_get(entry, "data_offsets");
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    size_t room = file->size - data_at, values;
    int type = 0;
    json_int_t begin = json_integer_value(json_array_get(offsets, 0)), end = json_integer_value(json_array_get(offsets, 1));
    while (type < TYPES && (!dtype || strcmp(dtype, types[type].name)))
        type++;
    if (type == TYPES)
        return bad_tensor(file, name, "is not of type F32 or BF16", error);
    if (json_array_size(shape) < 1 || json_array_size(shape) > 2)
        return bad_tensor(file, name, "does not have 1 or 2 dimensions", error);
    t->name = name;
    t->dtype = (wlm_dtype)type;
    values = room / types[type].bytes;
    t->dims = (int)json_array_size(shape);
    t->count = 1;
    for (int d = 0; d < t->dims; d++) {
        json_int_t extent = json_integer_value(json_array_get(shape, (size_t)d)); /* 0 where it is no integer */
        if (extent < 1 || (uint64_t)extent > values / t->count)
            return bad_tensor(file, name, "has a shape that does not fit the file", error);
        t->shape[d] = (size_t)extent;
        t->count *= (size_t)extent;
    }
    if (json_array_size(offsets) != 2 || begin < 0 || end < begin || (uint64_t)end > room ||
        (uint64_t)(end - begin) != types[type].bytes * t->count)
        return bad_tensor(file, name, "has offsets that do not fit its shape and the file", error);
    t->at = data_at + (size_t)begin;
    file->tensors++;
    return WLM_OK;
}

static int by_place(const void *a, const void *b)
{
    size_t x = ((const wlmi_tensor_in *)a)->at, y = ((const wlmi_tensor_in *)b)->at;
    return (x > y) - (x < y);
}

static wlm_status read_entries(wlmi_safetensors *file, size_t data_at, wlm_error *error)
{
    const char *name;
    json_t *entry;
    size_t at = data_at;
    file->tensor = wlmi_alloc_zero(json_object_size(file->header), sizeof *file->tensor);
    if (!file->tensor)
        return WLMI_NO_MEMORY(error);
    json_object_foreach(file->header, name, entry)
        if (strcmp(name, "__metadata__"))
            WLMI_TRY(read_entry(file, name, entry, data_at, error));
    qsort(file->tensor, (size_t)file->tensors, sizeof *file->tensor, by_place);
    for (int i = 0; i < file->tensors; i++) {
        if (file->tensor[i].at != at)
            return bad_tensor(file, file->tensor[i].name, "overlaps its neighbour or leaves a gap", error);
        at += types[file->tensor[i].dtype].bytes * file->tensor[i].count;
        file->count += file->tensor[i].count;
    }
    if (at != file->size)
        return wlmi_fail(error, WLM_ERR_FORMAT, file->name, at, "%llu bytes that belong to no tensor",
                         (unsigned long long)(file->size - at));
    return WLM_OK;
}

wlm_status wlmi_safetensors_open(wlmi_safetensors *file, const void *data, size_t size, const char *name,
                                 wlm_error *error)
{
    size_t data_at;
    wlm_status status;
    memset(file, 0, sizeof *file);
    file->data = data;
    file->size = size;
    file->name = name;
    status = read_header(file, &data_at, error);
    if (status == WLM_OK)
        status = read_entries(file, data_at, error);
    if (status != WLM_OK)
        wlmi_safetensors_close(file);
    return status;
}

void wlmi_safetensors_close(wlmi_safetensors *file)
{
    json_decref(file->header);
    wlmi_free(file->tensor);
    memset(file, 0, sizeof *file);
}

wlm_dtype wlmi_safetensors_dtype(const wlmi_safetensors *file)
{
    size_t count[TYPES] = {0};
    int most = 0;
    for (int i = 0; i < file->tensors; i++)
        count[file->tensor[i].dtype] += file->tensor[i].count;
    for (int type = 1; type < TYPES; type++)
        if (count[type] > count[most])
            most = type;
    return (wlm_dtype)most;
}

wlm_status wlmi_safetensors_text(const wlmi_safetensors *file, const char *key, const char **text, wlm_error *error)
{
    *text = json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
    if (*text)
        return WLM_OK;
    return wlmi_fail(error, WLM_ERR_FORMAT, file->name, LENGTH_BYTES, "the metadata has no '%s': not a file of wirelm's",
                     key);
}

wlm_status wlmi_safetensors_json(const wlmi_safetensors *file, const char *key, json_t **value, wlm_error *error)
{
    json_error_t problem;
    const char *text;
    *value = NULL;
    WLMI_TRY(wlmi_safetensors_text(file, key, &text, error));
    *value = json_loads(text, JSON_REJECT_DUPLICATES, &problem);
    if (*value)
        return WLM_OK;
    return wlmi_fail(error, WLM_ERR_FORMAT, file->name, LENGTH_BYTES, "metadata '%s': %.160s", key, problem.text);
}

static float fetch(const uint8_t *bytes, wlm_dtype dtype)
{
    uint32_t bits;
    float value;
    if (dtype == WLM_DTYPE_BF16)
        return wlmi_from_bf16(wlmi_load_le16(bytes));
    bits = wlmi_load_le32(bytes);
    memcpy(&value, &bits, sizeof value);
    return value;
}

static wlm_status read_values(const wlmi_safetensors *file, const wlmi_backend *b, const wlmi_tensor_in *t,
                              wlmi_real *value, wlm_error *error)
{
    float chunk[CHUNK];
    for (size_t done = 0; done < t->count;) {
        size_t now = t->count - done < CHUNK ? t->count - done : CHUNK;
        for (size_t i = 0; i < now; i++) {
            size_t at = t->at + types[t->dtype].bytes * (done + i);
            chunk[i] = fetch(file->data + at, t->dtype);
            if (!isfinite(chunk[i]))
                return wlmi_fail(error, WLM_ERR_FORMAT, file->name, at, "tensor '%s' holds a value that is not finite",
                                 t->name);
        }
        b->from_float(wlmi_at(b, value, done), chunk, now);
        done += now;
    }
    return WLM_OK;
}

wlm_status wlmi_safetensors_read(wlmi_safetensors *file, const wlmi_backend *backend, const char *name, int dims,
                                 size_t rows, size_t cols, wlmi_real *value, wlm_error *error)
{
    for (int i = 0; i < file->tensors; i++) {
        wlmi_tensor_in *t = &file->tensor[i];
        if (strcmp(t->name, name))
            continue;
        if (t->dims != dims || t->shape[0] != rows || (dims == 2 && t->shape[1] != cols))
            return bad_tensor(file, name, "does not have the shape that the configuration gives it", error);
        t->used = 1;
        return read_values(file, backend, t, value, error);
    }
    return bad_tensor(file, name, "is missing", error);
}

wlm_status wlmi_safetensors_all_read(const wlmi_safetensors *file, wlm_error *error)
{
    for (int i = 0; i < file->tensors; i++)
        if (!file->tensor[i].used)
            return bad_tensor(file, file->tensor[i].name, "is not one of this model's", error);
    return WLM_OK;
}
