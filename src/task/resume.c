/* resume.c: puts a training run aside and takes it up again, bit for bit. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "model/checkpoint.h"
#include "task/trainer.h"

enum { BUFFERS = 3 };
static const char *const prefix[BUFFERS] = {"value.", "m.", "v."};

static void buffers_of(const wlmi_trainer *t, wlmi_real *buffer[BUFFERS])
{
    buffer[0] = t->net->value;
    buffer[1] = t->optimiser.m;
    buffer[2] = t->optimiser.v;
}

/* ---------------------------------------------------------------- the run's numbers as text, exact */

typedef struct number {
    const char *key;
    uint64_t *integer; /* one of the two */
    double *real;
} number;
enum { NUMBERS = 10 };

static void numbers_of(wlmi_trainer *t, number list[NUMBERS])
{
    const number all[NUMBERS] = {
        {"step", &t->step, NULL}, {"updates", &t->optimiser.updates, NULL}, {"skipped", &t->skipped, NULL},
        {"skipped_in_row", &t->skipped_in_row, NULL},
        {"tokens", &t->tokens, NULL}, {"cursor", &t->cursor, NULL}, {"elapsed_s", NULL, &t->elapsed_s},
        {"loss_first", NULL, &t->loss_first}, {"loss_sum", NULL, &t->loss_sum}, {"loss_count", NULL, &t->loss_count},
    };
    memcpy(list, all, sizeof all);
}

static json_t *numbers_to_json(const wlmi_trainer *trainer)
{
    wlmi_trainer copy = *trainer;
    number list[NUMBERS];
    json_t *root = json_object();
    numbers_of(&copy, list);
    for (int i = 0; i < NUMBERS; i++) {
        char text[40];
        if (list[i].integer)
            snprintf(text, sizeof text, "%" PRIu64, *list[i].integer);
        else
            snprintf(text, sizeof text, "%a", *list[i].real);
        json_object_set_new(root, list[i].key, json_string(text));
    }
    return root;
}

static wlm_status numbers_from_json(wlmi_trainer *t, const json_t *json, wlm_error *error)
{
    number list[NUMBERS];
    numbers_of(t, list);
    for (int i = 0; i < NUMBERS; i++) {
        const char *text = json_string_value(json_object_get(json, list[i].key));
        char *end = NULL;
        if (text && list[i].integer)
            *list[i].integer = strtoull(text, &end, 10);
        else if (text)
            *list[i].real = strtod(text, &end);
        if (!text || end == text || *end)
            return wlmi_fail(error, WLM_ERR_FORMAT, NULL, 8, "metadata: '%s' of the run is missing or makes no sense",
                             list[i].key);
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- options */

static wlm_status compare_options(const json_t *then, json_t *now, wlm_error *error)
{
    const char *key;
    json_t *value;
    json_object_foreach(now, key, value) {
        const json_t *before = json_object_get(then, key);
        char *text;
        if (before && json_equal(before, value))
            continue;
        text = before ? json_dumps(before, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6)) : NULL;
        wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "cannot resume with another %s: the run had %.200s", key,
                  text ? text : "none");
        free(text);
        return WLM_ERR_ARGUMENT;
    }
    return WLM_OK;
}

/* The object's JSON as a JSON string; takes the reference. */
static json_t *as_text(json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_t *value = text ? json_string(text) : NULL;
    free(text);
    json_decref(object);
    return value;
}

/* ---------------------------------------------------------------- files */

wlm_status wlmi_resume_save(const wlmi_trainer *t, const json_t *options, const char *path, wlm_error *error)
{
    json_t *metadata = wlmi_checkpoint_metadata(t->net), *copy = json_deep_copy(options);
    wlmi_tensor_out *all = NULL;
    wlmi_real *buffer[BUFFERS];
    int count = 0, failed = !metadata || !copy;
    wlm_status status;
    buffers_of(t, buffer);
    failed |= json_object_set_new(metadata, "run", as_text(numbers_to_json(t))) != 0;
    failed |= json_object_set_new(metadata, "run_options", as_text(copy)) != 0;
    for (int i = 0; i < BUFFERS && !failed; i++) {
        wlmi_tensor_out *part = wlmi_checkpoint_tensors(t->net, buffer[i], prefix[i], &count);
        if (!all && part)
            all = wlmi_alloc_array((size_t)(BUFFERS * count), sizeof *all);
        failed = !part || !all;
        if (!failed)
            memcpy(all + i * count, part, (size_t)count * sizeof *part);
        wlmi_free(part);
    }
    if (failed) {
        json_decref(metadata);
        status = WLMI_NO_MEMORY(error);
    } else
        status = wlmi_safetensors_write(path, t->net->backend, all, BUFFERS * count, metadata, error);
    wlmi_free(all);
    return status;
}

static wlm_status load(wlmi_trainer *t, wlmi_net **net, wlmi_safetensors *file, json_t *options,
                       const wlmi_backend *backend, wlm_error *error)
{
    json_t *run = NULL, *then = NULL;
    wlmi_real *buffer[BUFFERS];
    wlm_status status = wlmi_safetensors_json(file, "run_options", &then, error);
    if (status == WLM_OK)
        status = compare_options(then, options, error);
    if (status == WLM_OK)
        status = wlmi_checkpoint_make_net(net, file, BUFFERS, backend, error);
    if (status == WLM_OK)
        status = wlmi_trainer_init(t, *net, error);
    if (status == WLM_OK)
        status = wlmi_safetensors_json(file, "run", &run, error);
    if (status == WLM_OK)
        status = numbers_from_json(t, run, error);
    if (status == WLM_OK)
        buffers_of(t, buffer);
    for (int i = 0; status == WLM_OK && i < BUFFERS; i++)
        status = wlmi_checkpoint_read(file, *net, buffer[i], prefix[i], error);
    if (status == WLM_OK) {
        wlmi_net_refresh(*net);
        status = backend->status(error);
    }
    if (status == WLM_OK)
        status = wlmi_safetensors_all_read(file, error);
    json_decref(run);
    json_decref(then);
    return status;
}

wlm_status wlmi_resume_load(wlmi_trainer *trainer, wlmi_net **net, const json_t *options, const char *path,
                            const wlmi_backend *backend, wlm_error *error)
{
    wlmi_map map;
    wlmi_safetensors file;
    json_t *copy = json_deep_copy(options);
    wlm_status status;
    *net = NULL;
    memset(trainer, 0, sizeof *trainer);
    status = copy ? wlmi_map_open(&map, path, error) : WLMI_NO_MEMORY(error);
    if (status == WLM_OK) {
        status = wlmi_safetensors_open(&file, map.data, map.size, path, error);
        if (status == WLM_OK) {
            status = wlmi_in_file(error, load(trainer, net, &file, copy, backend, error), path);
            wlmi_safetensors_close(&file);
        }
        wlmi_map_close(&map);
    }
    json_decref(copy);
    if (status != WLM_OK) {
        wlmi_trainer_clear(trainer);
        wlmi_net_free(*net);
        *net = NULL;
    }
    return status;
}
