/* wirelm_bench.h: the part of libwirelm's public interface that measures: how fast this machine is, and what a choice of
 * model is worth. The conventions are those of wirelm.h. */
#ifndef WIRELM_BENCH_H
#define WIRELM_BENCH_H

#include "wirelm.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { WLM_BENCH_RUNS = 5 };       /* fewest timed runs, and the default */

typedef struct wlm_bench_options {
    const char *codec;             /* NULL: every codec */
    uint32_t runs;
    wlm_progress_fn *progress;
    void *user;
    wlm_stop *stop;
} wlm_bench_options;

WLM_API wlm_bench_options wlm_bench_options_default(void);
/* *json: packets and megabytes (of captured bytes) per second of each codec on one core, encoding and decoding, as
 * median, min and max of the runs; with the first 64 bytes of payload, where the codec knows such a limit, and with
 * all of it. Packets are read into memory before a clock runs, and a pass that is not timed compares what comes back.
 * WLM_ERR_FORMAT also for a damaged or empty capture. */
WLM_API wlm_status wlm_bench_tokens(const char *path, const wlm_bench_options *options, char **json, wlm_error *error);

/* What a new model is measured with. Each bench reads what it needs. */
typedef struct wlm_bench_model_options {
    const char *preset;            /* NULL: wire-tiny */
    const char *codec;             /* whose vocabulary; NULL: the default */
    const char *backend;           /* NULL: cpu */
    const char *const *paths;      /* captures and folders whose tokens are trained on; none: drawn from the seed */
    size_t path_count;
    const char *model;             /* quantised, drift: a checkpoint, in the place of preset and codec; NULL: a new model */
    const char *data;              /* quantised: imported folder that the checkpoint is measured on */
    uint32_t steps;                /* quantised: that a new model is trained; 0: 64. drift: 0: none */
    uint32_t tokens;               /* drift: 0: 65536 */
    const char *dump;              /* train: writes DUMP.safetensors, the first values, and DUMP.npy, the tokens of all
                                      steps, int32 [steps, segments, context + 1]; NULL: neither */
    uint32_t context;              /* tokens per segment; 0: the preset's */
    uint32_t short_context;        /* length: the shorter sequences, of which the context is a multiple; 0: 2048 */
    uint32_t streams;              /* stream: 0: 256 */
    uint32_t chunk;                /* stream: tokens that each takes at once, as those of a packet are; 0: 1 */
    int ask;                       /* stream: labels are read by a peek behind each chunk, not behind its last token */
    uint32_t tokens_per_batch;     /* a step has as many whole segments as fit, one at least; 0: 2048 */
    int recompute;                 /* train, length: as in training */
    uint32_t runs;
    int threads;                   /* 0: as many as there are processors */
    uint64_t seed;
    wlm_progress_fn *progress;
    void *user;
    wlm_stop *stop;
} wlm_bench_model_options;

WLM_API wlm_bench_model_options wlm_bench_model_options_default(void);
/* *json: tokens/s and FLOP/s of whole training steps (forward, backward, AdamW), beside the FLOP/s that oneDNN alone
 * reaches on the matrix products of a step, in turn: docs/BENCH.md has the fields. WLM_ERR_REFUSED while another
 * thread of the process measures a model. */
WLM_API wlm_status wlm_bench_train(const wlm_bench_model_options *options, char **json, wlm_error *error);

/* *json: how much faster a step is with several threads than with one, over how much faster oneDNN's products are. */
WLM_API wlm_status wlm_bench_threads(const wlm_bench_model_options *options, char **json, wlm_error *error);
/* *json: what a token costs in sequences of `context` tokens (0: 65536) over what it costs in shorter ones, in training
 * and in use, and the memory for activations. */
WLM_API wlm_status wlm_bench_length(const wlm_bench_model_options *options, char **json, wlm_error *error);
/* *json: tokens/s where many streams, of `context` tokens (0: 256) each, take `chunk` tokens more at a time. */
WLM_API wlm_status wlm_bench_stream(const wlm_bench_model_options *options, char **json, wlm_error *error);

/* *json: how far apart two streams are that take the same `tokens` (0: 65536) in, one with keys and values in the rounded
 * form in which window heads remember them, the other with all of them in float: the difference of the logits and of the
 * bits per token, at positions 1024, 2048, 4096 and so on. */
WLM_API wlm_status wlm_bench_drift(const wlm_bench_model_options *options, char **json, wlm_error *error);

/* *json: what int8 costs in bits per token and saves in time: on the test part of `data` with a checkpoint, or on
 * batches kept back with a new model that is trained for a few steps. */
WLM_API wlm_status wlm_bench_quantised(const wlm_bench_model_options *options, char **json, wlm_error *error);

/* The same small model with each kind of heads, under each codec, with and without embeddings of roles: trained on the
 * train parts for as many tokens, then measured in bits per captured byte on another part. */
typedef struct wlm_ablate_options {
    const char *const *data;       /* imported folders */
    size_t data_count;
    const char *out;               /* JSON Lines, appended; rows that stand there already, asked for with the same
                                      options, are not run again. NULL: none */
    const char *heads, *codec;     /* only these; NULL: all */
    uint64_t seeds, tokens;        /* of training, per row */
    uint64_t bytes;                /* captured bytes to measure, 0: all of the part */
    uint32_t context, window;
    double learning_rate;
    wlm_hide hide;
    wlm_part part;                 /* to measure on */
    int threads;
    void (*row)(void *user, const char *json); /* each row when it is done */
    wlm_progress_fn *progress;
    void *user;
    wlm_stop *stop;
} wlm_ablate_options;
WLM_API wlm_ablate_options wlm_ablate_options_default(void);
WLM_API wlm_status wlm_bench_ablate(const wlm_ablate_options *options, wlm_error *error);

typedef struct wlm_bench_classify_options {
    const char *model;             /* checkpoint, or NULL: a new model */
    const char *preset;            /* of that; NULL: wire-tiny */
    const char *path;              /* capture whose IP flows of enough packets are used; NULL: drawn from the seed */
    uint32_t packets, payload;     /* of a flow, and bytes of payload of each, that the model sees: 16, 64 */
    uint32_t open_flows;           /* whose memory is measured: 100000; 0: not measured */
    double seconds;                /* of packets in real time: 20; a timed pass is about a fifth of it */
    uint32_t runs;
    int threads;                   /* 0: as many as there are processors */
    uint64_t seed;
    wlm_progress_fn *progress;
    void *user;
    wlm_stop *stop;
} wlm_bench_classify_options;

WLM_API wlm_bench_classify_options wlm_bench_classify_options_default(void);
/* *json: packets in, labels out: flows per second, the time from the packet that completes a flow's evidence to its
 * label when packets come in real time at half that rate, and the process's memory with many flows open:
 * docs/BENCH.md has the fields. */
WLM_API wlm_status wlm_bench_classify(const wlm_bench_classify_options *options, char **json, wlm_error *error);

#ifdef __cplusplus
}
#endif
#endif
