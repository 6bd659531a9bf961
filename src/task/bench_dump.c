/* bench_dump.c: a model's first values and its batches, so that another program can do the same steps. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "task/bench_model.h"

enum { NPY_HEADER = 128 };

static wlm_status write_tokens(const wlmi_bench_model *model, const char *path, int context, int segments, int batches,
                               wlm_error *error)
{
    wlmi_output *out;
    char header[NPY_HEADER + 1], text[NPY_HEADER - 10];
    size_t n = (size_t)context + 1, room = 0;
    int32_t *sequence = NULL;
    wlm_status status;
    /* NumPy's format 1.0: magic, version, length of the description, which is padded to a multiple of 64 in all. */
    snprintf(text, sizeof text, "{'descr': '<i4', 'fortran_order': False, 'shape': (%d, %d, %zu), }", batches,
             segments, n);
    snprintf(header, sizeof header, "%cNUMPY%c%c%c%c%-*s\n", 0x93, 1, 1, NPY_HEADER - 10, 1, NPY_HEADER - 11, text);
    header[7] = header[9] = 0;
    WLMI_TRY(wlmi_output_open(&out, path, error));
    if (!wlmi_grow(&sequence, &room, n, sizeof *sequence))
        status = WLMI_NO_MEMORY(error);
    else
        status = wlmi_output_write(out, header, NPY_HEADER, error);
    for (uint64_t i = 0; status == WLM_OK && i < (uint64_t)batches * (uint64_t)segments; i++) {
        wlmi_bench_model_sequence(model, i, sequence, n);
        status = wlmi_output_write(out, sequence, n * sizeof *sequence, error);
    }
    wlmi_free(sequence);
    if (status == WLM_OK)
        return wlmi_output_finish(out, error);
    wlmi_output_discard(out);
    return status;
}

wlm_status wlmi_bench_model_dump(const wlmi_bench_model *model, int context, int segments, int batches,
                                 wlm_error *error)
{
    const char *prefix = model->options->dump;
    size_t size = strlen(prefix) + sizeof ".safetensors";
    char *path = wlmi_alloc(size);
    wlm_status status;
    if (!path)
        return WLMI_NO_MEMORY(error);
    snprintf(path, size, "%s.safetensors", prefix);
    status = wlmi_checkpoint_save(model->net, path, error);
    snprintf(path, size, "%s.npy", prefix);
    if (status == WLM_OK)
        status = write_tokens(model, path, context, segments, batches, error);
    wlmi_free(path);
    return status;
}
