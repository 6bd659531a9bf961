/* cli.h: what the subcommands share: the option table, progress, stopping, errors.
 * One table per command drives parsing, --help, the man page and shell completion. */
#ifndef WIRELM_CLI_H
#define WIRELM_CLI_H

#include <stdio.h>

#include "wirelm.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef struct list {
    const char **item;
    size_t count;
} list;

typedef enum option_kind {
    OPTION_FLAG,     /* int: set to 1 */
    OPTION_TEXT,     /* const char * */
    OPTION_LIST,     /* list; the option may be repeated, and takes the following words up to the next option */
    OPTION_U64,      /* uint64_t */
    OPTION_U32,      /* uint32_t */
    OPTION_REAL,     /* double */
    OPTION_SECONDS,  /* double: 90, 90s, 10m, 2h */
    OPTION_TIME,     /* int64_t, nanoseconds: RFC 3339 or seconds since 1970 */
    OPTION_HIDE,     /* wlm_hide */
    OPTION_PART,     /* wlm_part */
    OPTION_PARTS,    /* the same, or "all": WLM_PART_NONE */
    OPTION_PAYLOAD,  /* uint32_t: a number, "full", or "none" for 0 */
    OPTION_UNIT,     /* wlm_unit */
    OPTION_DTYPE     /* wlm_dtype */
} option_kind;

typedef struct option {
    char letter;          /* 0: none */
    const char *name;     /* long name without dashes */
    option_kind kind;
    const char *argument; /* its name in the help; NULL for a flag */
    void *target;
    const char *help;     /* one line; "%default" is replaced by the target's value before parsing */
    int required;
} option;

/* Rows that several tables have, in the same words. */
#define ROW_MODEL(target) \
    {'m', "model", OPTION_TEXT, "MODEL", target, "checkpoint to use (the one that ships)", 0}
#define ROW_CODEC(target) \
    {0, "codec", OPTION_TEXT, "NAME", target, "codec that the model must have (the model's)", 0}
#define ROW_HIDE(target) \
    {0, "hide", OPTION_HIDE, "POLICY", target, \
     "what to hide from the model: none, ids, implicit, shape (%default)", 0}
#define ROW_PAYLOAD(target) \
    {0, "payload", OPTION_PAYLOAD, "N", target, \
     "payload bytes per packet to show: full, none or a number (as trained)", 0}
#define ROW_MAX_PACKETS(target) \
    {0, "max-packets", OPTION_U32, "N", target, \
     "packets of a flow to look at (0: as trained)", 0}
#define ROW_FORCE(target) \
    {0, "force", OPTION_FLAG, NULL, target, "allow what to hide or show to differ from training", 0}
#define ROW_INT8(target) \
    {0, "int8", OPTION_FLAG, NULL, target, "matrix products in int8: faster, a little less exact", 0}
#define ROW_HTML(target) \
    {0, "html", OPTION_TEXT, "FILE", target, "also write the report as a page with charts", 0}
#define ROW_THREADS(target) \
    {0, "threads", OPTION_U32, "N", target, "processor threads (0: all)", 0}

typedef struct command {
    const char *name;
    const char *summary;
    const char *synopsis; /* after the command's name */
    int (*run)(const struct command *command, int argc, char **argv); /* argv[0] is the command's name */
} command;

extern const command *const commands[]; /* ends in NULL */

/* Runs one of the parts that a command consists of; parts end in a NULL name, and are named "COMMAND WHAT". */
int run_part(const command *self, const command *parts, int argc, char **argv);

/* Parts that stand in files of their own. */
int run_bench_ablate(const command *self, int argc, char **argv);
int run_evaluate_classify(const command *self, int argc, char **argv);
int run_evaluate_generate(const command *self, int argc, char **argv);
int run_evaluate_tokens(const command *self, int argc, char **argv);

/* Parses argv by the table. Words that are no options go to rest (NULL: there may be none). Lists and the filter
 * belong to the parser and live as long as the program. Answers --help itself.
 * Returns -1 to go on, else the exit status. */
int parse_options(const command *self, const option *table, int argc, char **argv, list *rest);
/* The same for a command whose options end in a pcap filter: all rest words joined by spaces, NULL where none.
 * A list then takes only words that name files. */
int parse_options_filter(const command *self, const option *table, int argc, char **argv, const char **filter);

/* "2026-01-02T03:04:05.678901Z", with that many digits behind the point; UTC. */
void time_text(int64_t time_ns, int digits, char text[64]);
/* That form (the fraction optional, "+01:00" for "Z"), or seconds since 1970. 0 where text is neither. */
int parse_time(const char *text, int64_t *time_ns);

/* Prints "wirelm: file: offset N: cause" on stderr and gives the exit status. */
int report_error(const wlm_error *error);
/* Prints "wirelm COMMAND: message" and a pointer to --help on stderr; gives EXIT_USAGE. */
int usage_error(const command *self, const char *message, ...) __attribute__((format(printf, 2, 3)));

/* The models that ship: what tells labels, and what writes flows. */
#define SHIPPED_MODEL "wire-tiny.safetensors"
#define SHIPPED_WRITER "wire-tiny-generate.safetensors"
enum { MODEL_PATH = 8192 };

/* The model to use: the one named; else, where named is NULL, what WIRELM_MODEL says; else the shipped one, beside the
 * installed program or in the source tree that it was built in. An error names the places. */
wlm_status find_model(const char *named, const char *shipped, char path[MODEL_PATH], wlm_error *error);
/* Loads it; int8: its products are done so. */
wlm_status open_model(wlm_model **model, const char *named, uint32_t threads, int int8, wlm_error *error);
/* The same of what writes flows. */
wlm_status open_writer(wlm_model **model, const char *named, uint32_t threads, int int8, wlm_error *error);

/* Counts SIGINT and SIGTERM; the flag that library calls watch. A second signal ends the program at once. */
wlm_stop *install_stop(void);

/* A bar on a terminal, a line now and then elsewhere. user: NULL. */
void show_progress(void *user, const wlm_progress *progress);
/* Ends the bar's line. */
void end_progress(void);

typedef struct found_file {
    char *path;
    size_t name; /* where in the path its name begins: below the folder that was given, or the last part */
} found_file;

typedef struct file_list { /* zero-initialise */
    found_file *item;
    size_t count, capacity;
} file_list;

/* Adds the files of paths and folders, in order; 0 where one is not there, which is then told. */
int find_files(file_list *found, const list *in);
void free_files(file_list *found);

/* What is done with each of many files. */
typedef struct file_work {
    size_t result_size;
    void (*work)(void *user, size_t i, void *result);      /* several at a time; result comes zeroed */
    int (*tell)(void *user, size_t i, const void *result); /* one at a time, in order; 0: nothing more is to be done */
    void *user;
} file_work;

/* Files 0 .. count - 1 on so many threads (0: one per processor), each on one. 0: it ended early, and why was told. */
int each_file(const file_work *work, size_t count, uint32_t threads);

/* What happened to a capture, as a JSON object with "file"; NULL where memory is short. */
struct json_t;
struct json_t *token_report_json(const char *file, const wlm_token_report *report);
/* Adds what is counted to a sum, and the sum's fields to a JSON object. */
void add_token_report(wlm_token_report *sum, const wlm_token_report *report);
struct json_t *token_sum_json(struct json_t *object, const wlm_token_report *sum);
/* One line on stderr where the capture was damaged. */
void report_damage(const char *file, const wlm_token_report *report);

/* Prints one JSON value and a newline: compact, or indented where stdout is a terminal. Takes the reference. */
int print_json(struct json_t *value);

#endif
