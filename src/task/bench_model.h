/* bench_model.h: a new model, the batches it is measured on, and its training step under a meter. */
#ifndef WLMI_BENCH_MODEL_H
#define WLMI_BENCH_MODEL_H

#include "task/rows.h"
#include "task/trainer.h"
#include "tensor/meter.h"
#include "token/codec.h"
#include "wirelm_bench.h"

/* Batches: segments of `context` tokens, every position scored, rows packed. Sequence i of context + 1 tokens is cut
 * from the captures' tokens, laid end to end, or, without captures, drawn from the seed and i: three times of four the
 * token that a seeded permutation sends the last one to, else any. So there is something to learn, and quickly.
 * A token's role is its id modulo the role embedding's rows; its packet is its place in the segment / 64. */
typedef struct wlmi_bench_model {
    const wlm_bench_model_options *options; /* borrowed */
    const wlmi_backend *backend;            /* the plain one */
    const wlmi_codec *codec;
    int threads;             /* at least 1 */
    wlmi_net *net;
    int context, segments;   /* of a batch, as the options say */
    wlmi_meter meter;
    int metering;
    wlmi_trainer trainer;    /* zeroed until wlmi_bench_model_train() */
    wlmi_tokens tokens;      /* of the captures */
    wlmi_rows rows;
    int32_t *sequence;       /* scratch of sequence_room */
    size_t sequence_room;
} wlmi_bench_model;

/* On failure the model is to be closed too. */
wlm_status wlmi_bench_model_open(wlmi_bench_model *model, const wlm_bench_model_options *options, wlm_error *error);
void wlmi_bench_model_close(wlmi_bench_model *model);

/* Memory for training. */
wlm_status wlmi_bench_model_train(wlmi_bench_model *model, wlm_error *error);
/* Tokens of sequence i: out [n]. */
void wlmi_bench_model_sequence(const wlmi_bench_model *model, uint64_t i, int32_t *out, size_t n);
/* model->rows becomes batch `index` of so many segments of `context` tokens. */
wlm_status wlmi_bench_model_batch(wlmi_bench_model *model, int context, int segments, uint64_t index,
                                  wlm_error *error);
/* One training step on model->rows: *seconds of forward, backward and optimiser. *loss: mean nats, may be NULL. */
wlm_status wlmi_bench_model_step(wlmi_bench_model *model, double *seconds, double *loss, wlm_error *error);
/* WLM_STOPPED where the caller's flag is set. */
wlm_status wlmi_bench_model_stopped(const wlmi_bench_model *model);
/* Writes DUMP.safetensors, the net as it is, and DUMP.npy, the tokens of the first batches of that shape, int32 [batches,
 * segments, context + 1] in NumPy's format. */
wlm_status wlmi_bench_model_dump(const wlmi_bench_model *model, int context, int segments, int batches,
                                 wlm_error *error);
/* {"bench", "preset", "codec", "backend", "threads", "parameters", ...}: what was measured. NULL: out of memory. */
json_t *wlmi_bench_model_json(const wlmi_bench_model *model, const char *bench);
/* That and the figures, an object whose reference is taken, as text. */
wlm_status wlmi_bench_report(const wlmi_bench_model *model, const char *bench, json_t *figures, char **text,
                             wlm_error *error);
/* The step's settings: {"name", "rate", "beta1", ...}. */
json_t *wlmi_bench_model_optimiser_json(void);

#endif
