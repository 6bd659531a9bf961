/* embed_table.c: vectors of flows as NumPy's arrays or JSON Lines. */
#include "task/embed_table.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "capture/flow.h"
#include "task/json.h"

enum { NPY_HEADER = 128 };

wlm_status wlmi_embed_table_add(wlmi_embed_table *t, const wlmi_embedded *flow, wlm_error *error)
{
    if (!wlmi_grow(&t->flow, &t->capacity, t->count + 1, sizeof *t->flow) ||
        !wlmi_grow(&t->vector, &t->vector_capacity, (t->count + 1) * t->width, sizeof *t->vector))
        return WLMI_NO_MEMORY(error);
    t->flow[t->count] = *flow;
    memset(t->vector + t->count * t->width, 0, t->width * sizeof *t->vector);
    t->count++;
    return WLM_OK;
}

void wlmi_embed_table_free(wlmi_embed_table *t)
{
    wlmi_free(t->flow);
    wlmi_free(t->vector);
}

/* ---------------------------------------------------------------- order */

static int by_place(const void *a, const void *b)
{
    const wlmi_embedded *x = *(wlmi_embedded *const *)a, *y = *(wlmi_embedded *const *)b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return (x->flow_id > y->flow_id) - (x->flow_id < y->flow_id);
}

static const float *vector_of(const wlmi_embed_table *t, const wlmi_embedded *flow)
{
    return t->vector + (size_t)(flow - t->flow) * t->width;
}

/* ---------------------------------------------------------------- JSON */

static json_t *address_json(const uint8_t *address, uint8_t size)
{
    char text[64] = "";
    if (size == 4 || size == 16)
        inet_ntop(size == 4 ? AF_INET : AF_INET6, address, text, sizeof text);
    return json_string(text);
}

static json_t *flow_json(const wlmi_embed_table *t, const wlmi_embedded *f, int with_vector)
{
    char community_id[40];
    json_t *object, *vector = with_vector ? json_array() : NULL;
    wlmi_community_id(&f->key, community_id);
    for (size_t i = 0; vector && i < t->width; i++)
        json_array_append_new(vector, json_real((double)vector_of(t, f)[i]));
    object = json_pack("{s:o,s:I,s:s,s:o,s:i,s:o,s:i,s:i,s:I,s:I,s:I}", "file", wlmi_json_text(f->file), "flow_id",
                       (json_int_t)f->flow_id, "community_id", community_id, "src_ip",
                       address_json(f->key.src, f->key.addr_len), "src_port", f->key.src_port, "dest_ip",
                       address_json(f->key.dst, f->key.addr_len), "dest_port", f->key.dst_port, "proto", f->key.proto,
                       "packets", (json_int_t)f->packets, "packets_used", (json_int_t)f->packets_used, "tokens_used",
                       (json_int_t)f->tokens_used);
    if (f->label)
        json_object_set_new(object, "label", json_string(f->label));
    if (f->label && f->task)
        json_object_set_new(object, "task", json_string(f->task));
    if (f->part != WLM_PART_NONE)
        json_object_set_new(object, "part", json_string(wlm_part_name(f->part)));
    if (vector)
        json_object_set_new(object, "vector", vector);
    return object;
}

static wlm_status write_json(const wlmi_embed_table *t, wlmi_embedded *const *order, int with_vector, wlmi_output *out,
                             wlm_error *error)
{
    for (size_t i = 0; i < t->count; i++)
        WLMI_TRY(wlmi_json_line(out, flow_json(t, order[i], with_vector), 9, error));
    return WLM_OK;
}

/* ---------------------------------------------------------------- NumPy */

/* NumPy's format 1.0: magic, version, length of the description, which is padded to a multiple of 64 in all. */
static wlm_status write_npy(const wlmi_embed_table *t, wlmi_embedded *const *order, wlmi_output *out, wlm_error *error)
{
    char header[NPY_HEADER + 1], text[NPY_HEADER - 10];
    snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", t->count, t->width);
    snprintf(header, sizeof header, "%cNUMPY%c%c%c%c%-*s\n", 0x93, 1, 1, NPY_HEADER - 10, 1, NPY_HEADER - 11, text);
    header[7] = header[9] = 0;
    WLMI_TRY(wlmi_output_write(out, header, NPY_HEADER, error));
    for (size_t i = 0; i < t->count; i++)
        WLMI_TRY(wlmi_output_write(out, vector_of(t, order[i]), t->width * sizeof *t->vector, error));
    return WLM_OK;
}

/* ---------------------------------------------------------------- files */

typedef enum form { AS_NPY, AS_INDEX, AS_LINES } form;

static wlm_status write_file(const wlmi_embed_table *t, wlmi_embedded *const *order, const char *path, form as,
                             wlm_error *error)
{
    wlmi_output *out;
    wlm_status status;
    WLMI_TRY(wlmi_output_open(&out, path, error));
    status = as == AS_NPY ? write_npy(t, order, out, error) : write_json(t, order, as == AS_LINES, out, error);
    if (status == WLM_OK)
        return wlmi_output_finish(out, error);
    wlmi_output_discard(out);
    return status;
}

/* The index of an array goes where the caller said, else beside it. */
static wlm_status write_index(const wlmi_embed_table *t, wlmi_embedded *const *order, const char *path,
                              const char *index, wlm_error *error)
{
    const size_t size = strlen(path) + sizeof ".jsonl";
    char *beside = index ? NULL : wlmi_alloc(size);
    wlm_status status;
    if (!index && !beside)
        return WLMI_NO_MEMORY(error);
    if (beside)
        snprintf(beside, size, "%s.jsonl", path);
    status = write_file(t, order, index ? index : beside, AS_INDEX, error);
    wlmi_free(beside);
    return status;
}

wlm_status wlmi_embed_table_write(const wlmi_embed_table *t, const char *path, const char *index, wlm_error *error)
{
    const size_t length = strlen(path);
    const int npy = length > 4 && !strcmp(path + length - 4, ".npy");
    wlmi_embedded **order = wlmi_alloc_array(t->count, sizeof *order);
    wlm_status status;
    if (!order)
        return WLMI_NO_MEMORY(error);
    for (size_t i = 0; i < t->count; i++)
        order[i] = &t->flow[i];
    if (t->count)
        qsort(order, t->count, sizeof(wlmi_embedded *), by_place);
    status = write_file(t, order, path, npy ? AS_NPY : AS_LINES, error);
    if (status == WLM_OK && npy)
        status = write_index(t, order, path, index, error);
    wlmi_free(order);
    return status;
}
