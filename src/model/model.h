/* model.h: the causal transformer over the backend table: configuration, parameters, forward, backward, recurrent use.
 *
 * Rows of the embedding (tied with the output): first the codec's tokens [0, V), then WLMI_SPECIALS special rows
 * (<flow>, <ask>), then for each task one row for the task and one for each of its labels. Rows after V are addressed
 * by name in checkpoints, so that a task is added by appending rows. An id in a batch is a row. */
#ifndef WLMI_MODEL_H
#define WLMI_MODEL_H

#include "tensor/backend.h"

enum { WLMI_FLOW_ROW = 0, WLMI_ASK_ROW = 1, WLMI_SPECIALS = 2 }; /* offsets from V */

enum { WLMI_MAX_LAYERS = 128, WLMI_MAX_GROUPS = 4, WLMI_MAX_WIDTH = 8192, WLMI_MAX_TASKS = 256, WLMI_MAX_LABELS = 16384 };

typedef enum wlmi_mixer_kind { WLMI_MIXER_FULL, WLMI_MIXER_WINDOW, WLMI_MIXER_LINEAR, WLMI_MIXER_DELTA,
                              WLMI_MIXER_KINDS } wlmi_mixer_kind;

typedef struct wlmi_head_group {
    wlmi_mixer_kind kind;
    int heads;
    int window; /* WLMI_MIXER_WINDOW */
} wlmi_head_group;

/* What the heads of a layer are. */
typedef struct wlmi_plan {
    int groups;
    wlmi_head_group group[WLMI_MAX_GROUPS];
} wlmi_plan;

typedef struct wlmi_config {
    char preset[32];
    int vocabulary;      /* V: the codec's tokens, at most 65536 */
    int width;           /* D */
    int layers;
    int head_width;      /* K */
    wlmi_plan plan;      /* of every layer, but */
    int every;           /* for each every-th one, which follows */
    wlmi_plan other;     /* this plan; every 0: none does */
    int hidden;          /* F of SwiGLU */
    int shift;           /* token shift before each block's two halves */
    int reversible;      /* two residual streams, see net.c */
    int packet_rows;     /* NetGPT's segment embedding: packet index, the last row for all later ones; 0: none */
    int role_rows;       /* 0: none */
    int place_rows;      /* WLMI_PLACE_ROWS (place.h), or 0: none */
    int summary_trees;   /* of each task, in a summary (summary.h); 0: none */
    int summary_tasks, summary_labels; /* tasks, and rows of tasks and labels, that it knows */
    int context;         /* longest segment in training */
} wlmi_config;

/* Fills all but vocabulary (and role_rows, which follow the codec), or WLM_ERR_ARGUMENT. */
wlm_status wlmi_config_preset(wlmi_config *config, const char *name, wlm_error *error);
const char *wlmi_preset_name(size_t i); /* NULL past the last */
wlm_status wlmi_config_check(const wlmi_config *config, wlm_error *error);

enum {
    WLMI_PORT_CLASSES = 16, /* of first payloads: whoever counts says which */
    WLMI_PORT_ROWS = 8,     /* named, for each IP protocol */
    WLMI_PORTS_MOST = 2 * (WLMI_PORT_ROWS + 2)
};

typedef struct wlmi_port_row { /* training flows of one label between such ports */
    uint8_t proto;             /* 6 or 17 */
    uint8_t group;             /* 1: to a group or broadcast address */
    uint16_t client;           /* 0: an ephemeral port */
    uint16_t server;           /* 0: any that has no row */
    uint64_t flows[WLMI_PORT_CLASSES]; /* by class of the first payload */
} wlmi_port_row;

enum { WLMI_PORT_QUARTERS = 4 }; /* of all port numbers, 16,384 each */

typedef struct wlmi_ports { /* of one label */
    int rows;
    /* Training flows whose client has an ephemeral port, of TCP and of UDP, by where that lies. */
    uint64_t clients[2][WLMI_PORT_QUARTERS];
    wlmi_port_row row[WLMI_PORTS_MOST];
} wlmi_ports;

/* How a task's logits become answers: probabilities are softmax(logits / temperature), and below the threshold they say
 * 'unknown'. 1, 0, 0: not calibrated. */
typedef struct wlmi_calibration {
    double temperature, threshold;
    double summary_share; /* of the summary's logits (summary.h); 0: the model's own alone */
} wlmi_calibration;

enum { WLMI_SHOWN_HEADERS, WLMI_SHOWN_SHAPE, WLMI_SHOWN }; /* headers as a policy leaves them; sizes and times alone */

typedef struct wlmi_task {
    char *name;
    int labels;
    char **label;
    int row;             /* of the task; its labels are row + 1 .. row + labels */
    /* Facts about the training part, for generation and reports; per label. */
    uint64_t *flows;     /* training flows */
    uint64_t *flows_cut; /* of those, broken off */
    uint16_t *port;      /* most common server port, 0 where none has a fifth of the flows */
    uint8_t *proto;      /* 6 or 17, the more common */
    wlmi_ports *ports;   /* no rows: not known, as in checkpoints from before there were any */
    wlmi_calibration calibration[WLMI_SHOWN]; /* by what is shown of flows: see wlmi_task_calibration() */
} wlmi_task;

static inline wlmi_calibration *wlmi_task_calibration(wlmi_task *task, wlm_hide hide)
{
    return &task->calibration[hide == WLM_HIDE_SHAPE ? WLMI_SHOWN_SHAPE : WLMI_SHOWN_HEADERS];
}

/* One parameter tensor inside the flat parameter buffer. First values are normal with `deviation`, or, where that is
 * 0, uniform in [low, high]. */
typedef struct wlmi_param {
    char name[96];       /* as in the checkpoint: "layers.0.mixer.qkv" */
    int dims;            /* 1 or 2 */
    int shape[2];
    size_t offset, count;
    int decay;           /* weight decay applies */
    int fixed;           /* no optimiser changes it: it is grown from data */
    float deviation, low, high;
    int in_products;     /* it is a matrix that activations are multiplied by */
    wlmi_weight *weight; /* its values made ready for that; see wlmi_net_refresh() */
} wlmi_param;

enum { WLMI_SHARES_TEXT = 256 };

/* How the model was made and may be used: what a checkpoint's metadata says. */
typedef struct wlmi_record {
    char codec[32];
    char codec_hash[65];
    wlm_unit unit;
    wlm_hide hide;
    uint32_t payload;
    uint32_t max_packets;
    uint64_t shuffle_fields; /* seed of the order of tags within packets; 0: they were not shuffled */
    /* Several of these, drawn for each sequence, hide, payload and max_packets being the first: "ids=.6,shape=.4". Empty:
     * that one alone; without alterations. */
    char hide_shares[WLMI_SHARES_TEXT], payload_shares[WLMI_SHARES_TEXT], max_packets_shares[WLMI_SHARES_TEXT];
    char alter[2 * WLMI_SHARES_TEXT];
    uint64_t per_label, draw; /* labelled flows per label that it saw, and the seed that chose them; 0: all */
    uint64_t steps, tokens, seed;
    double loss;
    char split_note[256]; /* e.g. "split by flow: no captures named"; empty: nothing to say */
} wlmi_record;

typedef struct wlmi_net {
    wlmi_config config;
    wlmi_record record;
    int tasks;
    wlmi_task *task;
    int rows;            /* of the embedding: V + specials + tasks + labels */
    int params;
    wlmi_param *param;
    int layer_param[WLMI_MAX_LAYERS + 1]; /* index of each layer's first, and of the first after them */
    size_t count;        /* of all parameters */
    const wlmi_backend *backend;
    wlmi_real *value;    /* [count]; wlmi_net_refresh() after each change */
    wlmi_real *grad;     /* [count], NULL until wlmi_net_train_memory */
    int recompute;       /* backward makes each layer's activations anew, so that one layer's at a time are kept, and
                          * the residual stream at each layer's input: of a reversible model, for which it is set from
                          * the start, not even that. Gradients stay the same bits */
    /* Called by backward when the gradient of parameters first .. first + count - 1 is whole, layer by layer from the
     * last, then for the rest: the same calls whatever the batch. NULL: nobody waits for it. */
    void (*grad_done)(void *user, size_t first, size_t count);
    void *grad_user;
    struct wlmi_workspace *work; /* activations, grown to the largest batch seen */
    struct wlmi_infer *infer;    /* those of wlmi_net_logits */
} wlmi_net;

/* A batch of packed segments. All arrays [tokens]. */
typedef struct wlmi_batch {
    int tokens;
    const int32_t *id;
    const int32_t *packet;  /* packet index in the flow */
    const int32_t *role;
    const int32_t *target;  /* row predicted at this position, -1: none */
    const int32_t *first, *last; /* columns of the softmax */
    const float *weight;    /* of this position's loss */
    wlmi_segments segments;
    const int64_t *measure; /* base/measure.h; may be NULL where the net has neither summary nor places */
} wlmi_batch;

wlm_status wlmi_net_new(wlmi_net **net, const wlmi_config *config, const wlmi_backend *backend, uint64_t seed,
                        wlm_error *error);
void wlmi_net_free(wlmi_net *net);
/* Appends a task with its labels; a task that exists gains the labels that it does not have yet, behind its own, and
 * the rows of later tasks move up. Rows are initialised from the seed and the names. Task names are 1 to 64 of
 * A-Z a-z 0-9 _ -; labels are not empty and differ from each other. Drops grad: call before wlmi_net_train_memory. */
wlm_status wlmi_net_add_task(wlmi_net *net, const char *name, const char *const *labels, int count, uint64_t seed,
                             wlm_error *error);
/* Embeddings that the net was made without, so many rows each (0: as it is), and a summary of so many trees for each task
 * that it has, all zero: it answers as before until it is taught. WLM_ERR_ARGUMENT where it has one of other length. Drops
 * grad: call before wlmi_net_train_memory. */
wlm_status wlmi_net_extend(wlmi_net *net, int packet_rows, int role_rows, int place_rows, int summary_trees,
                           wlm_error *error);
/* Takes the summary away, which was made for the rest as it is. Drops grad. */
wlm_status wlmi_net_forget_summary(wlmi_net *net, wlm_error *error);
int wlmi_net_find_task(const wlmi_net *net, const char *name); /* index or -1 */
int wlmi_task_find_label(const wlmi_task *task, const char *label);
/* As of a model that was not calibrated. has_summary: which then has a fixed share. */
void wlmi_task_uncalibrate(wlmi_task *task, int has_summary);
wlm_status wlmi_net_train_memory(wlmi_net *net, wlm_error *error);
/* Makes the matrices ready for products again after their values have changed. A failure is for the backend's status()
 * to tell, as that of an op is. */
void wlmi_net_refresh(wlmi_net *net);
/* Moves each value by this share of the way to the other's: shares 1/2, 1/3, 1/4 ... give the mean of so many models.
 * Calibrations are forgotten. WLM_ERR_ARGUMENT: the shapes, the codec or the tasks are not the same. */
wlm_status wlmi_net_average(wlmi_net *net, const wlmi_net *other, double share, wlm_error *error);
/* on: forward products take int8 copies of the matrices, until the next wlmi_net_refresh(); off: the matrices again.
 * WLM_ERR_UNSUPPORTED: the backend has no such products. On failure they are off. */
wlm_status wlmi_net_quantise(wlmi_net *net, int on, wlm_error *error);

/* Sums over the positions with a target, of weight * nats and of the weights, apart for positions that predict
 * tokens and positions that predict labels (their softmax begins after the special rows). */
typedef struct wlmi_loss {
    double tokens, tokens_weight;
    double labels, labels_weight;
} wlmi_loss;

/* Writes *loss and keeps what backward needs. A batch that does not fit the net is WLM_ERR_ARGUMENT. */
wlm_status wlmi_net_forward(wlmi_net *net, const wlmi_batch *batch, wlmi_loss *loss, wlm_error *error);
/* Adds d(loss->tokens + loss->labels)/d(param) to grad. Call once after forward with the same batch. */
wlm_status wlmi_net_backward(wlmi_net *net, const wlmi_batch *batch, wlm_error *error);
/* What the model remembers of one stream of rows: constant in size where all heads are window heads or recurrent, else
 * growing; what holds tokens one by one grows with use. Belongs to one net, which gains no task meanwhile. */
typedef struct wlmi_stream { /* wlmi_stream_new makes it, or zero-initialise */
    uint64_t position; /* rows fed */
    int room;          /* rows that heads can remember one by one */
    size_t size;       /* values at block */
    wlmi_real *block;  /* for each layer [2, D/2] of the row before (with shift), then its groups' states; at the end the summary's,
                        * floats */
} wlmi_stream;

wlm_status wlmi_stream_new(wlmi_stream *stream, const wlmi_net *net, wlm_error *error);
void wlmi_stream_reset(wlmi_stream *stream, const wlmi_net *net); /* to position 0 */
/* Replaces *to, made or not, by a copy. */
wlm_status wlmi_stream_fork(wlmi_stream *to, const wlmi_stream *from, const wlmi_net *net, wlm_error *error);
size_t wlmi_stream_bytes(const wlmi_stream *stream, const wlmi_net *net); /* memory of its state */
void wlmi_stream_free(wlmi_stream *stream);
/* *bytes [*size]: the state with a checksum, for wlmi_free. `identity` names the net's values. */
wlm_status wlmi_stream_save(const wlmi_stream *stream, const wlmi_net *net, const char *identity, void **bytes,
                            size_t *size, wlm_error *error);
/* Replaces *stream, made or not. WLM_ERR_FORMAT: damaged; WLM_ERR_UNSUPPORTED: of another net or kind of machine. */
wlm_status wlmi_stream_restore(wlmi_stream *stream, const wlmi_net *net, const char *identity, const void *bytes,
                               size_t size, wlm_error *error);

/* Forward without what backward needs, then logits of chosen positions only: out [n, last-first] floats for columns
 * first .. last-1. Of the batch only tokens, id, packet, role, measure and segments are read.
 * streams NULL: each segment is a stream of its own. Else [segments], all different: segment s goes on streams[s], at
 * the same cost wherever that stands (full heads: growing). keep: the streams take the rows in; else this is a peek,
 * which leaves them as they are. A failure of memory can leave streams without meaning: reset them.
 * Heads give the same bits however rows are cut into calls; products as many bits as the backend keeps. */
wlm_status wlmi_net_logits(wlmi_net *net, const wlmi_batch *batch, wlmi_stream *const *streams, int keep,
                           const int32_t *positions, int n, int first, int last, float *out, wlm_error *error);
/* The same in parts, for positions that need few columns: the first part's positions stand first. */
typedef struct wlmi_logits {
    int n, first, last;
    float *out; /* [n, last-first] */
    double summary_share; /* of the summary's logits, at questions whose labels the columns are */
} wlmi_logits;
wlm_status wlmi_net_logits_parts(wlmi_net *net, const wlmi_batch *batch, wlmi_stream *const *streams, int keep,
                                 const int32_t *positions, const wlmi_logits *part, int parts, wlm_error *error);

/* The same up to the final norm, each segment a stream of its own: out [n, D] is what logits are the products of. */
wlm_status wlmi_net_hidden(wlmi_net *net, const wlmi_batch *batch, const int32_t *positions, int n, float *out,
                           wlm_error *error);

/* Checkpoints: safetensors; configuration, codec hash, tasks, labels and record in the metadata. Atomic. */
wlm_status wlmi_checkpoint_save(const wlmi_net *net, const char *path, wlm_error *error);
/* The same with its matrices and embeddings in another type: norms and other vectors stay F32. */
wlm_status wlmi_checkpoint_save_as(const wlmi_net *net, const char *path, wlm_dtype dtype, wlm_error *error);
wlm_status wlmi_checkpoint_load(wlmi_net **net, const char *path, const wlmi_backend *backend, wlm_error *error);
wlm_status wlmi_checkpoint_load_memory(wlmi_net **net, const void *data, size_t size, const char *name,
                                       const wlmi_backend *backend, wlm_error *error);
/* Whether bytes begin like a safetensors file. */
int wlmi_checkpoint_is(const void *data, size_t size);
/* *json: kind, parameters, configuration, tasks and record, without loading the values. */
wlm_status wlmi_checkpoint_describe(const void *data, size_t size, const char *name, char **json, wlm_error *error);

#endif
