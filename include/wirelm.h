/* wirelm.h: the whole public interface of libwirelm.
 *
 * Conventions
 *  - A call that can fail returns wlm_status and takes, last, a wlm_error that may be NULL.
 *  - The library never prints, exits, aborts or reads the environment.
 *  - A handle made by wlm_X_open or wlm_X_new is released by wlm_X_close or wlm_X_free; both accept NULL.
 *  - Strings are UTF-8 and end in NUL. Text returned as char ** belongs to the caller: wlm_text_free().
 *  - Sizes are in bytes, times in nanoseconds since 1970-01-01 UTC unless a name says otherwise.
 *  - Files are written beside their final name and renamed when complete: a failed call leaves nothing behind.
 *  - A handle may be used by one thread at a time; different handles are independent.
 */
#ifndef WIRELM_H
#define WIRELM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WLM_VERSION_MAJOR 0
#define WLM_VERSION_MINOR 1
#define WLM_VERSION_PATCH 0

#if defined(__GNUC__)
#define WLM_API __attribute__((visibility("default")))
#else
#define WLM_API
#endif

/* ---------------------------------------------------------------- status */

typedef enum wlm_status {
    WLM_OK = 0,
    WLM_END,             /* nothing more to read; not a failure */
    WLM_STOPPED,         /* the caller's stop flag was seen; what was promised to survive was saved */
    WLM_ERR_ARGUMENT,    /* the caller asked for something that makes no sense */
    WLM_ERR_IO,          /* the operating system said no */
    WLM_ERR_FORMAT,      /* a file is truncated, corrupt or not what it claims to be */
    WLM_ERR_MEMORY,      /* out of memory, or over a stated memory bound */
    WLM_ERR_UNSUPPORTED, /* well-formed, but not known to this build */
    WLM_ERR_REFUSED,     /* possible, but misleading; an explicit option allows it */
    WLM_ERR_DIVERGED     /* training left the finite numbers and did not come back */
} wlm_status;

#define WLM_NO_OFFSET UINT64_MAX

typedef struct wlm_error {
    wlm_status status;
    uint64_t offset;  /* byte in the (uncompressed) file, or WLM_NO_OFFSET */
    char file[512];   /* empty where no file is to blame */
    char cause[512];  /* one line without a full stop */
} wlm_error;

/* Short name of a status ("format", "io", ...). Never NULL. */
WLM_API const char *wlm_status_name(wlm_status status);

/* Version of the library that is running, "0.1.0". */
WLM_API const char *wlm_version(void);

WLM_API void wlm_text_free(char *text);

/* Set to non-zero, from a signal handler or another thread, to end a long call early and cleanly. */
typedef volatile int wlm_stop;

/* Files under path in bytewise order of their names, folders walked, hidden names skipped; a file gives itself, and
 * so does "-". Calls each(user, path) until it returns something other than WLM_OK, and returns that. */
WLM_API wlm_status wlm_walk(const char *path, wlm_status (*each)(void *user, const char *path, wlm_error *error),
                            void *user, wlm_error *error);

/* ---------------------------------------------------------------- captures */

/* One captured packet. `data` is borrowed: valid until the next call on the handle that gave it. */
typedef struct wlm_packet {
    int64_t time_ns;      /* capture time, cut to nanoseconds */
    uint32_t captured;    /* bytes at data */
    uint32_t wire;        /* bytes that were on the wire, as the file says; may be below captured in odd files */
    uint32_t link_type;   /* LINKTYPE_* number of the capture formats */
    uint32_t interface;   /* pcapng: index over all sections; else 0 */
    uint64_t number;      /* from 1, in capture order */
    const uint8_t *data;
    const char *comment;  /* writer: pcapng comment for this packet, or NULL; reader: always NULL */
} wlm_packet;

typedef enum wlm_format { WLM_FORMAT_PCAP = 0, WLM_FORMAT_PCAPNG = 1 } wlm_format;

typedef struct wlm_capture wlm_capture;

/* Opens a pcap or pcapng file, plain or compressed with gzip or zstd; "-" is standard input. */
WLM_API wlm_status wlm_capture_open(wlm_capture **capture, const char *path, wlm_error *error);
/* The same over memory that the caller keeps alive; name is used in errors. */
WLM_API wlm_status wlm_capture_open_memory(wlm_capture **capture, const void *data, size_t size, const char *name,
                                           wlm_error *error);
/* WLM_OK and a packet; WLM_END at the end; WLM_ERR_FORMAT where the file breaks off or turns to garbage
 * (packets before that point are good). After anything but WLM_OK further calls return the same. */
WLM_API wlm_status wlm_capture_next(wlm_capture *capture, wlm_packet *packet, wlm_error *error);
WLM_API wlm_format wlm_capture_format(const wlm_capture *capture);
WLM_API void wlm_capture_close(wlm_capture *capture);

typedef struct wlm_writer_options {
    wlm_format format;
    uint32_t link_type;
    uint32_t snap_length; /* 0: 262144 */
    int nanosecond;       /* pcap: nanosecond magic; pcapng is always written with 9 decimal digits */
} wlm_writer_options;

typedef struct wlm_writer wlm_writer;

/* "-" is standard output. In pcapng a packet whose link type is new opens an interface for it;
 * in pcap a packet of another link type is WLM_ERR_ARGUMENT. */
WLM_API wlm_status wlm_writer_open(wlm_writer **writer, const char *path, const wlm_writer_options *options,
                                   wlm_error *error);
WLM_API wlm_status wlm_writer_packet(wlm_writer *writer, const wlm_packet *packet, wlm_error *error);
/* Completes the file under its name. The writer is gone afterwards, whatever the status. */
WLM_API wlm_status wlm_writer_finish(wlm_writer *writer, wlm_error *error);
/* Gives up: nothing stays behind. */
WLM_API void wlm_writer_discard(wlm_writer *writer);

/* A compiled BPF filter (libpcap syntax). One filter serves every link type it can be compiled for. */
typedef struct wlm_filter wlm_filter;
WLM_API wlm_status wlm_filter_new(wlm_filter **filter, const char *expression, wlm_error *error);
/* 1: the packet passes, 0: it does not (also where the filter makes no sense for its link type). */
WLM_API int wlm_filter_match(wlm_filter *filter, const wlm_packet *packet);
WLM_API void wlm_filter_free(wlm_filter *filter);

/* ---------------------------------------------------------------- flows */

typedef enum wlm_flow_start { WLM_START_SYN, WLM_START_SYNACK, WLM_START_MID, WLM_START_FIRST } wlm_flow_start;
typedef enum wlm_flow_end {
    WLM_END_CLOSED,  /* TCP FIN from both sides, or RST */
    WLM_END_TIMEOUT, /* idle, or older than the active timeout */
    WLM_END_EOF,     /* the capture ended first */
    WLM_END_EVICTED, /* the flow table was full */
    WLM_END_BUDGET,  /* labelled and let go: enough packets were seen */
    WLM_END_OPEN     /* it has not ended: a label on the way */
} wlm_flow_end;

WLM_API const char *wlm_flow_start_name(wlm_flow_start start); /* syn, synack, mid, first */
WLM_API const char *wlm_flow_end_name(wlm_flow_end end);       /* closed, timeout, eof, evicted,
                                                                   budget, open */

/* Who talks to whom. Source is who opened the flow, as far as the packets tell. */
typedef struct wlm_flow_key {
    uint8_t src[16], dst[16]; /* network order; IPv4 in the first 4 bytes, link-layer endpoints likewise */
    uint8_t addr_len;         /* 4, 16; else length of link-layer endpoints, 0 where there are none */
    uint8_t proto;            /* IP protocol number; 0 where there is no IP */
    uint16_t src_port, dst_port;
    uint32_t link_type, interface;
} wlm_flow_key;

/* ---------------------------------------------------------------- hiding, progress */

typedef enum wlm_hide { /* each includes the one before; docs/HIDING.md says what each hides */
    WLM_HIDE_NONE = 0, WLM_HIDE_IDS = 1, WLM_HIDE_IMPLICIT = 2, WLM_HIDE_SHAPE = 3
} wlm_hide;
WLM_API const char *wlm_hide_name(wlm_hide hide);
/* WLM_OK and *hide, or WLM_ERR_ARGUMENT. */
WLM_API wlm_status wlm_hide_parse(const char *name, wlm_hide *hide);

/* What can befall a recording of a flow, docs/ALTERATIONS.md; the last one is for training alone. NULL past it. */
WLM_API const char *wlm_alteration_name(size_t i);

#define WLM_PAYLOAD_FULL UINT32_MAX

typedef enum wlm_unit { /* what one stream of tokens tells */
    WLM_UNIT_FLOW = 0,   /* one flow */
    WLM_UNIT_CAPTURE = 1 /* all packets of a capture, flows interleaved */
} wlm_unit;
WLM_API const char *wlm_unit_name(wlm_unit unit); /* flow, capture */
/* WLM_OK and *unit, or WLM_ERR_ARGUMENT. */
WLM_API wlm_status wlm_unit_parse(const char *name, wlm_unit *unit);

/* As the checkpoint or token file has it that is read. */
#define WLM_HIDE_INHERIT ((wlm_hide)255)
#define WLM_PAYLOAD_INHERIT (UINT32_MAX - 1)
#define WLM_UNIT_INHERIT ((wlm_unit)255)

typedef struct wlm_progress {
    const char *what;      /* "train", "import", ... */
    uint64_t done, total;  /* in `unit`; total 0: unknown */
    const char *unit;      /* "steps", "bytes", "flows" */
    double elapsed_s, remaining_s; /* remaining < 0: unknown */
    double tokens_per_s;   /* 0 where it has no meaning */
    double loss;           /* nats per token, NaN where it has no meaning */
    double learning_rate;
    const char *note;      /* one line to show as it is, or NULL */
    double loss_val;       /* the last on the val parts, in the same unit; 0 where none was measured */
} wlm_progress;
typedef void wlm_progress_fn(void *user, const wlm_progress *progress);

/* ---------------------------------------------------------------- tokens */

typedef struct wlm_token_options {
    const char *codec; /* "fields", "bytes"; NULL: the default, fields */
    uint32_t payload;  /* first bytes of payload per packet that are told, or WLM_PAYLOAD_FULL. Decoding draws the
                          others from the seed; lengths, and whether checksums are right, are always told */
    uint64_t seed;
    wlm_unit unit;     /* flow: each flow a stream of its own; either way the file keeps capture order */
} wlm_token_options;

WLM_API wlm_token_options wlm_token_options_default(void);
/* WLM_OK, or why nothing can be encoded so. WLM_ERR_ARGUMENT: no such codec; WLM_ERR_UNSUPPORTED: it tells all
 * payload. */
WLM_API wlm_status wlm_token_options_check(const wlm_token_options *options, wlm_error *error);

typedef struct wlm_token_report {
    uint64_t packets, flows, tokens;
    uint64_t capture_bytes, token_file_bytes;
    wlm_unit unit;
    uint32_t payload;       /* the limit of the options */
    int lossy;              /* encode, verify: some packet decodes to other bytes than it had, for want of payload */
    char sha256[65];        /* of the uncompressed capture; with limited payload, of that which decoding gives */
    uint64_t damage_offset; /* where the capture broke off or turned to garbage, else WLM_NO_OFFSET */
    char damage[256];       /* why; empty where all was well */
} wlm_token_report;

/* Captures to token files and back. options NULL: the defaults. report may be NULL. */
WLM_API wlm_status wlm_encode_file(const char *in, const char *out, const wlm_token_options *options,
                                   wlm_token_report *report, wlm_error *error);
/* expected: what the token file has to be, WLM_ERR_ARGUMENT where it is not: codec (NULL: any), unit and payload
 * (..._INHERIT: any); NULL: whatever it is. */
WLM_API wlm_status wlm_decode_file(const char *in, const char *out, const wlm_token_options *expected,
                                   wlm_token_report *report, wlm_error *error);
/* Encodes and decodes in memory-bounded form and compares every byte. WLM_OK only where all are the same; with limited
 * payload, where all outside the packets are, and the decoded capture gives the same tokens again. */
WLM_API wlm_status wlm_verify_file(const char *in, const wlm_token_options *options, wlm_token_report *report,
                                   wlm_error *error);

/* A capture's tokens as text, one packet a line, until line() returns something other than 0 (WLM_STOPPED). Unit flow:
 * flow by flow, in the order in which they end, each under a line that names it. */
WLM_API wlm_status wlm_token_text(const char *path, const wlm_token_options *options,
                                  int (*line)(void *user, const char *text), void *user, wlm_error *error);

/* What captures cost in tokens, flow by flow: headers and times, raw packets whole, flow ends; payload apart. */
enum { WLM_TOKENS_TCP, WLM_TOKENS_UDP, WLM_TOKENS_OTHER, WLM_TOKENS_CLASSES };
enum { WLM_RAW_REASONS = 4 };
WLM_API const char *wlm_raw_reason_name(size_t i); /* link, cut, lengths, rebuild; NULL past the last */

typedef struct wlm_token_stats {
    uint64_t flows, packets[WLM_TOKENS_CLASSES], tokens[WLM_TOKENS_CLASSES];
    uint64_t opening_packets, opening_tokens;       /* TCP and UDP: the first packet of each direction */
    uint64_t continuing_packets, continuing_tokens; /* the others */
    uint64_t time_tokens, link_tokens, network_tokens, transport_tokens, raw_tokens, payload_tokens;
    uint64_t raw[WLM_RAW_REASONS];                  /* packets that had to be told as bytes, by reason */
    double header_bits;                             /* of all but payload, under one adaptive order-2 coder */
    uint64_t capture_bytes, gzip_bytes, zstd_bytes; /* of the captures, and of each under gzip -9 and zstd -19 */
} wlm_token_stats;

typedef struct wlm_link_stats {
    uint32_t link_type;                             /* LINKTYPE_ number */
    uint64_t packets, raw[WLM_RAW_REASONS];         /* all; those told as bytes, by reason */
} wlm_link_stats;

typedef struct wlm_token_counter wlm_token_counter;
/* options NULL: the defaults. */
WLM_API wlm_status wlm_token_counter_new(wlm_token_counter **counter, const wlm_token_options *options,
                                         wlm_error *error);
/* Adds a capture; of a damaged one what stands before the damage. */
WLM_API wlm_status wlm_token_counter_add(wlm_token_counter *counter, const char *path, wlm_error *error);
WLM_API void wlm_token_counter_read(const wlm_token_counter *counter, wlm_token_stats *stats);
/* The i-th link type seen, in ascending order. 0: there are no more. */
WLM_API int wlm_token_counter_link(const wlm_token_counter *counter, size_t i, wlm_link_stats *stats);
WLM_API void wlm_token_counter_free(wlm_token_counter *counter);

/* ---------------------------------------------------------------- data */

typedef enum wlm_split_by {
    WLM_SPLIT_CAPTURE,
    WLM_SPLIT_FLOW,
    WLM_SPLIT_GIVEN, /* as the CSV's column says */
    WLM_SPLIT_AUTO   /* the default: given where the CSV has that column, else by capture */
} wlm_split_by;
typedef enum wlm_part { WLM_PART_TRAIN, WLM_PART_VAL, WLM_PART_TEST, WLM_PART_NONE } wlm_part;
WLM_API const char *wlm_part_name(wlm_part part); /* train, val, test, none */

typedef struct wlm_import_options {
    const char *out;          /* folder, made where absent; replaced only on success */
    const char *task;         /* NULL: unlabelled, for pre-training */
    const char *labels;       /* CSV, or NULL: with a task, the folder of each file is its label */
    int keep_unlabelled;      /* with a task: flows without a label too, to pre-train on */
    wlm_split_by split;
    wlm_part part;            /* other than NONE: all in that part */
    uint64_t seed;
    const char *const *paths; /* files and folders */
    size_t path_count;
    int threads;              /* that read captures, beside the caller's, which writes: 1: that one does both; 0: one
                                 per processor. The folder is the same to the last byte */
    wlm_progress_fn *progress;
    void *user;
    wlm_stop *stop;
} wlm_import_options;

typedef struct wlm_import_report {
    uint64_t files, files_damaged, packets, flows, labelled, unlabelled_dropped, bytes, labels;
    uint64_t csv_unmatched;   /* CSV lines that matched no flow */
    uint64_t part_flows[3];   /* train, val, test */
    int fell_back;            /* asked to split by capture, had to split by flow */
} wlm_import_report;

WLM_API wlm_import_options wlm_import_options_default(void);
WLM_API wlm_status wlm_import(const wlm_import_options *options, wlm_import_report *report, wlm_error *error);

/* ---------------------------------------------------------------- models */

typedef struct wlm_model wlm_model;

/* Reads a checkpoint (safetensors). threads 0: as many as there are processors. */
WLM_API wlm_status wlm_model_load(wlm_model **model, const char *path, int threads, wlm_error *error);
/* on: the model's matrix products are done in int8 from now on, 8 bits for each weight and activation; off: as before.
 * docs/MODEL.md says how values are rounded and what it costs. On failure they are off. */
WLM_API wlm_status wlm_model_quantise(wlm_model *model, int on, wlm_error *error);
/* Moves the model this share of the way to another of the same shape, codec and tasks (else WLM_ERR_ARGUMENT): shares
 * 1/2, 1/3, 1/4 ... make it the mean of so many. Calibrations are forgotten; all else is as the model has it. */
WLM_API wlm_status wlm_model_average(wlm_model *model, const wlm_model *other, double share, wlm_error *error);
typedef enum wlm_dtype { WLM_DTYPE_F32, WLM_DTYPE_BF16 } wlm_dtype;
WLM_API const char *wlm_dtype_name(wlm_dtype dtype); /* f32, bf16 */
/* WLM_OK and *dtype, or WLM_ERR_ARGUMENT. */
WLM_API wlm_status wlm_dtype_parse(const char *name, wlm_dtype *dtype);
/* Writes the model as a checkpoint. bf16: matrices and embeddings rounded to the nearest, ties to even, vectors as they
 * are: half the size. What else the checkpoint says stays. */
WLM_API wlm_status wlm_model_save(const wlm_model *model, const char *path, wlm_dtype dtype, wlm_error *error);
WLM_API void wlm_model_free(wlm_model *model);

/* Who trains: this process alone, or all that MPI started together (mpirun -n K), each with batches of its own. The
 * library begins MPI where the program has not, and then ends it when wlm_train returns: once per process. */
typedef enum wlm_ranks { WLM_RANKS_ALONE, WLM_RANKS_MPI } wlm_ranks;

typedef struct wlm_train_options {
    const char *const *data;  /* imported folders */
    size_t data_count;
    const char *out;          /* checkpoint; the state to resume from stands beside it as OUT.resume */
    const char *preset;       /* for a new model; see wlm_preset_name(); NULL: trafficgpt-nano */
    int roles;                /* the model also sees the role of the token to come, as the codec's grammar gives it;
                                 like the next three: one that init lacks is added, of zeros */
    int places;               /* and where a payload's next byte stands: codec `fields` */
    uint32_t segments;        /* and the packet's index in its flow, in so many rows, the last for all later packets;
                                 0: as the preset has it */
    const char *init;         /* or a checkpoint to start from */
    int summary;              /* grows a summary of flows for init, in place of one that it has, from as many batches
                                 as there are steps, and teaches nothing else (docs/MODEL.md) */
    int resume;               /* take up the run that OUT.resume holds; all options that matter must be the same */
    double plain, classify, generate; /* shares of the prompts; classify and generate need labels. All 0: by the
                                         data: .2, .6, .2 where some flow has a label, else plain only */
    const char *codec;        /* NULL: fields, or init's */
    wlm_unit unit;            /* capture: plain prompts only, over pieces of whole captures; codec `fields` */
    wlm_hide hide;
    uint32_t payload;         /* first bytes of payload per packet, or WLM_PAYLOAD_FULL */
    uint32_t max_packets;     /* per flow; 0: as init has it, or as many as fit */
    /* NULL, or several of the three above, drawn for each sequence: "ids=.6,shape=.4", "64=.8,full=.2", "16=.8,32=.2".
     * The model serves them all; the first is its own: what val parts and queries see unless asked */
    const char *hide_shares, *payload_shares, *max_packets_shares;
    const char *alter;        /* alterations, likewise; shares of all sequences, sum at most 1. NULL: as init, or none */
    double balance, task_balance; /* labels of a task, and tasks, of n flows are drawn n^(1 - balance) times */
    const char *task_shares;  /* or tasks so: "device=1,service=2". NULL: by task_balance */
    uint32_t per_label;       /* use so many labelled training flows of each label; 0: all */
    uint64_t draw;            /* which ones */
    const char *leave_out;    /* "a,b": labels that the model is not taught; their flows stand in plain prompts only */
    uint64_t shuffle_fields;  /* seed of the order in which the tags of a packet stand, another for every sequence;
                                 codec `fields` only; 0: as init has it, or never shuffled. Source: NetGPT (arXiv
                                 2304.09513) */
    uint64_t steps;           /* 0: until `seconds` */
    double seconds;           /* of training, without what is read before it and measured after it; 0: until `steps`.
                                 Both: whichever ends first; none: 1000 steps. Only a run of steps is reproducible */
    uint32_t tokens_per_batch; /* 0: 2048, or the context where that is longer */
    uint32_t accumulate;      /* batches per step and rank */
    uint32_t context;         /* longest sequence in tokens; 0: the preset's, or init's */
    int recompute;            /* keep the residual stream between layers alone, and let backward make a layer's
                                 activations anew: the same run to the last bit, slower and in less memory. Reversible
                                 models do so in any case, and keep no more than the last streams */
    double learning_rate, warmup, weight_decay, clip; /* warmup: share of the run; clip 0: never */
    const char *schedule;     /* "cosine", "wsd" (arXiv 2405.18392), "constant": docs/MODEL.md; NULL: cosine */
    const char *optimiser;    /* "adamw"; "muon" (Jordan et al., 2024) for the layers' matrices; NULL: adamw */
    int decay_embeddings;     /* weight decay on the embeddings too; norms never decay */
    uint64_t seed;
    int threads;
    uint64_t validate_every;  /* steps between losses on the val parts, in log and progress; 0: only at the end */
    uint64_t checkpoint_every; /* steps after which OUT is written as it stands; 0: only at the end */
    double save_every_s;      /* how often OUT.resume is written; 0: only when stopped */
    const char *backend;      /* "cpu", "ref"; NULL: cpu */
    wlm_ranks ranks;          /* all have the same options and folders; rank 0 alone writes and calls progress */
    const char *reduce;       /* in which gradients travel between ranks: "f32" or "bf16"; NULL: f32 */
    const char *log;          /* JSON Lines, appended; NULL: none */
    wlm_progress_fn *progress;
    void *user;
    wlm_stop *stop;
} wlm_train_options;

typedef struct wlm_train_report {
    int rank, ranks;          /* this process's number, from 0, and how many there are */
    uint64_t steps, skipped, tokens, parameters; /* skipped: loss or gradient was not finite */
    double loss_first, loss_last, loss_val; /* nats per position with a target, weighted as in training; last: mean
                                               of about 20 steps; NaN where there was nothing to measure */
    double seconds, tokens_per_s;
} wlm_train_report;

WLM_API wlm_train_options wlm_train_options_default(void);
/* WLM_STOPPED where the stop flag was seen: OUT.resume is written, and the same call with `resume` goes on as if
 * nothing had happened, to the last bit (same machine kind, backend and thread count). OUT is written, and OUT.resume
 * removed, when the run is complete. WLM_ERR_DIVERGED after 10 skipped steps in a row: OUT.resume stays as last saved.
 * Ranks: what fails on one ends all, with the same error. WLM_ERR_UNSUPPORTED in a build without MPI. */
WLM_API wlm_status wlm_train(const wlm_train_options *options, wlm_train_report *report, wlm_error *error);
/* The i-th preset's name, NULL past the last. */
WLM_API const char *wlm_preset_name(size_t i);

/* ---------------------------------------------------------------- classification */

#define WLM_TOP_MAX 16
#define WLM_THRESHOLD_INHERIT (-1.0) /* as wlm_calibrate (wirelm_evaluate.h) has chosen it */

typedef struct wlm_label {
    const char *task, *label;
    double confidence;             /* probability at the task's temperature */
} wlm_label;

typedef struct wlm_flow_result {
    const char *file;
    uint64_t flow_id;              /* from 1 within the run */
    const char *community_id;      /* "1:...", empty where the flow has none */
    wlm_flow_key key;
    int64_t first_ns, last_ns;
    wlm_flow_start start;
    wlm_flow_end end;
    int oneway;                    /* packets were seen in one direction only */
    int truncated;                 /* not all packets or bytes of the flow were shown to the model */
    uint64_t packets, packets_used, tokens_used;
    uint64_t first_packet;         /* number of the flow's first packet in its file */
    const char *label;             /* "unknown" below the threshold */
    wlm_label top[WLM_TOP_MAX];
    size_t top_count;
    wlm_hide hide;
    uint32_t payload;              /* limit: bytes of each packet's payload that the model was shown */
    const char *model;             /* "sha256:..." of the checkpoint file */
} wlm_flow_result;

typedef struct wlm_classify_options {
    const char *tasks;             /* "a,b", "all"; NULL: the model's only or first task */
    size_t top;
    double threshold;              /* or WLM_THRESHOLD_INHERIT: each task's own, 0 where it is not calibrated */
    const char *codec;             /* NULL: the model's; another one is WLM_ERR_ARGUMENT */
    wlm_unit unit;                 /* flow or WLM_UNIT_INHERIT: labels belong to flows, capture is refused */
    uint32_t max_packets;          /* 0: as trained */
    wlm_hide hide;
    uint32_t payload;              /* WLM_PAYLOAD_INHERIT: as trained */
    int force;                     /* allow a hide policy or a payload limit that the model was not trained on */
    const char *filter;            /* BPF expression or NULL */
    const char *write;             /* pcapng with labels as packet comments, or NULL */
    uint32_t every;                /* also label after each so many packets that the model saw: end WLM_END_OPEN; 0: only
                                      at a flow's end */
    size_t state_bytes;            /* with every: bytes of model state that flows keep, the least recently used dropped
                                      and, when asked about again, computed again */
    int early;                     /* label as soon as the model has seen all the packets it looks at (WLM_END_BUDGET),
                                      and not again */
    void (*result)(void *user, const wlm_flow_result *result); /* once per flow, or label on the way, and task */
    void *user;
    wlm_progress_fn *progress;
    wlm_stop *stop;
} wlm_classify_options;

typedef struct wlm_classify_report {
    uint64_t files, files_damaged, packets, packets_filtered, packets_unusable, flows;
    uint64_t flows_evicted;
    uint64_t states_dropped, states_recomputed; /* for want of state_bytes */
    uint64_t state_bytes;          /* most that were held */
    wlm_error damage;              /* the first damaged file; status WLM_OK where there was none */
} wlm_classify_report;

WLM_API wlm_classify_options wlm_classify_options_default(void);
/* paths: captures and folders. Flows still open at the end, or when stopped, are labelled before it returns. */
WLM_API wlm_status wlm_classify(wlm_model *model, const char *const *paths, size_t path_count,
                                const wlm_classify_options *options, wlm_classify_report *report, wlm_error *error);

/* ---------------------------------------------------------------- sessions */

/* What a model remembers of one stream of tokens. For models without heads of kind full its size is bounded, and a token
 * costs the same at position 10 and at position 1,000,000. The model outlives its sessions; a model and its sessions are
 * used by one thread at a time. */
typedef struct wlm_session wlm_session;

#define WLM_TOKEN_FLOW (-1)        /* begins a flow: the first thing to feed */

typedef struct wlm_input {
    int32_t token;                 /* of the model's codec, or WLM_TOKEN_FLOW */
    int32_t packet;                /* index of its packet in the flow */
    int32_t role;                  /* of the token to come, as the codec names it; 0 will do for models without role
                                      embeddings */
    int64_t measure;               /* of the token, as the codec gives it; 0: none, which will do for models without
                                      a summary and places */
} wlm_input;

WLM_API wlm_status wlm_session_new(wlm_session **session, wlm_model *model, wlm_error *error);
/* Takes in tokens, many at a time if they are there. WLM_ERR_ARGUMENT: one that the model does not have; nothing was
 * taken in then. */
WLM_API wlm_status wlm_session_feed(wlm_session *session, const wlm_input *input, size_t count, wlm_error *error);
/* Logits of the token to come, [*count], until the next call; WLM_ERR_ARGUMENT before anything was fed since the session
 * was made or restored. */
WLM_API wlm_status wlm_session_logits(const wlm_session *session, const float **logits, size_t *count, wlm_error *error);
/* Draws the token to come from these logits: temperature 0: the most likely; top_k 0 and top_p 1: off. allowed: a bit
 * for each token, lowest first in 64-bit words, or NULL: all; a grammar is the caller's business. The same seed and
 * position draw the same. */
WLM_API wlm_status wlm_session_sample(const wlm_session *session, double temperature, uint32_t top_k, double top_p,
                                      const uint64_t *allowed, uint64_t seed, int32_t *token, wlm_error *error);
/* The *count (at most) most likely labels of a task (NULL: the first) for the flow so far, of which `packets` packets
 * were fed, by a peek: the session goes on as if it had not been asked. Names are the model's. */
WLM_API wlm_status wlm_session_ask(wlm_session *session, const char *task, uint32_t packets, wlm_label *top,
                                   size_t *count, wlm_error *error);
/* The confidence below which the task (NULL: the first) is calibrated to say "unknown"; 0: it is not calibrated. */
WLM_API wlm_status wlm_model_threshold(const wlm_model *model, const char *task, double *threshold, wlm_error *error);
/* A session of its own that goes on from here. */
WLM_API wlm_status wlm_session_fork(const wlm_session *session, wlm_session **copy, wlm_error *error);
/* *bytes [*size], for wlm_bytes_free(), with which the same model goes on elsewhere. */
WLM_API wlm_status wlm_session_save(const wlm_session *session, void **bytes, size_t *size, wlm_error *error);
/* WLM_ERR_FORMAT: they are damaged; WLM_ERR_UNSUPPORTED: they are another model's. */
WLM_API wlm_status wlm_session_restore(wlm_session **session, wlm_model *model, const void *bytes, size_t size,
                                       wlm_error *error);
WLM_API void wlm_bytes_free(void *bytes);
WLM_API uint64_t wlm_session_position(const wlm_session *session);  /* tokens taken in */
WLM_API size_t wlm_session_state_bytes(const wlm_session *session); /* memory that its state takes */
WLM_API void wlm_session_free(wlm_session *session);

/* ---------------------------------------------------------------- generation */

#include "wirelm_generate.h"

/* ---------------------------------------------------------------- information */

/* *json: what is in a capture, token file, imported folder or checkpoint. */
WLM_API wlm_status wlm_info_file(const char *path, char **json, wlm_error *error);
/* *json: version, codecs with their hashes, presets, and backends with the libraries and data types they use here. */
WLM_API wlm_status wlm_info_build(char **json, wlm_error *error);

#ifdef __cplusplus
}
#endif
#endif
