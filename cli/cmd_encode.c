/* cmd_encode.c: wirelm encode. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

typedef struct result { /* of one capture */
    wlm_status status;
    wlm_token_report report;
    wlm_error error;
} result;

typedef struct encoding {
    wlm_token_options options;
    const char *folder;
    file_list found;
    uint64_t files, encoded;
    wlm_token_report sum;
} encoding;

static int print_text(void *user, const char *text)
{
    (void)user;
    return puts(text) == EOF;
}

/* ---------------------------------------------------------------- many captures, into a folder */

static int is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Where a capture's tokens go, to be freed; NULL: out of memory. */
static char *token_path(const encoding *e, size_t i)
{
    const char *name = e->found.item[i].path + e->found.item[i].name;
    size_t size = strlen(e->folder) + strlen(name) + sizeof "/.tok";
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s/%s.tok", e->folder, name);
    return path;
}

static wlm_status fail(wlm_error *error, wlm_status status, const char *path, const char *cause)
{
    *error = (wlm_error){.status = status, .offset = WLM_NO_OFFSET};
    snprintf(error->file, sizeof error->file, "%s", path);
    snprintf(error->cause, sizeof error->cause, "%s", cause);
    return status;
}

/* The folders above a file. */
static wlm_status make_folders(char *path, wlm_error *error)
{
    wlm_status status = WLM_OK;
    for (char *slash = strchr(path + 1, '/'); slash && status == WLM_OK; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            status = fail(error, WLM_ERR_IO, path, strerror(errno));
        *slash = '/';
    }
    return status;
}

static void encode(void *user, size_t i, void *of)
{
    const encoding *e = user;
    result *r = of;
    char *out = token_path(e, i);
    r->report.damage_offset = WLM_NO_OFFSET;
    r->status = out ? make_folders(out, &r->error) : fail(&r->error, WLM_ERR_MEMORY, "", "out of memory");
    if (r->status == WLM_OK)
        r->status = wlm_encode_file(e->found.item[i].path, out, &e->options, &r->report, &r->error);
    free(out);
}

static int tell(void *user, size_t i, const void *of)
{
    encoding *e = user;
    const result *r = of;
    const char *path = e->found.item[i].path;
    e->files++;
    if (r->status != WLM_OK) {
        report_error(&r->error);
        return print_json(json_pack("{s:s*, s:s}", "file", path, "error", r->error.cause)) == EXIT_DONE;
    }
    report_damage(path, &r->report);
    e->encoded++;
    add_token_report(&e->sum, &r->report);
    return print_json(token_report_json(path, &r->report)) == EXIT_DONE;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Two captures of one name would be one file. */
static int check_names(const command *self, const file_list *found)
{
    const char **name = malloc((found->count + 1) * sizeof *name), *twice = NULL;
    for (size_t i = 0; name && i < found->count; i++)
        name[i] = found->item[i].path + found->item[i].name;
    if (name)
        qsort(name, found->count, sizeof *name, by_text);
    for (size_t i = 1; name && i < found->count && !twice; i++)
        twice = strcmp(name[i - 1], name[i]) ? NULL : name[i];
    free(name);
    return twice ? usage_error(self, "two captures are called '%s'", twice) : -1;
}

static int encode_many(const command *self, encoding *e, const list *in, uint32_t threads)
{
    const file_work work = {sizeof(result), encode, tell, e};
    int failed, exit_status;
    for (size_t i = 0; i < in->count; i++)
        if (!strcmp(in->item[i], "-"))
            return usage_error(self, "standard input is not one of several captures");
    failed = !find_files(&e->found, in);
    exit_status = check_names(self, &e->found);
    if (exit_status < 0) {
        failed |= !each_file(&work, e->found.count, threads);
        failed |= print_json(token_sum_json(json_pack("{s:I, s:I}", "files", (json_int_t)e->files, "files_encoded",
                                                      (json_int_t)e->encoded), &e->sum)) != EXIT_DONE;
        exit_status = failed || e->encoded != e->files || !e->files ? EXIT_FAILED : EXIT_DONE;
    }
    free_files(&e->found);
    return exit_status;
}

/* ---------------------------------------------------------------- one capture */

static int encode_one(const char *in, const char *out, const wlm_token_options *options)
{
    wlm_token_report report;
    wlm_error error;
    if (wlm_encode_file(in, out, options, &report, &error) != WLM_OK)
        return report_error(&error);
    report_damage(in, &report);
    return strcmp(out, "-") ? print_json(token_report_json(in, &report)) : EXIT_DONE;
}

static int show_text(const char *in, const wlm_token_options *options)
{
    wlm_error error;
    wlm_status status = wlm_token_text(in, options, print_text, NULL, &error);
    return status == WLM_OK ? EXIT_DONE : status == WLM_STOPPED ? EXIT_FAILED : report_error(&error);
}

static int run(const command *self, int argc, char **argv)
{
    list in = {NULL, 0};
    encoding e = {.options = wlm_token_options_default()};
    wlm_error error;
    uint32_t threads = 0;
    int text = 0, exit_status;
    const option table[] = {
        {'r', "read", OPTION_LIST, "PATH", &in,
         "pcap or pcapng, plain or compressed, - is standard input; or several, or folders of them", 1},
        {'w', "write", OPTION_TEXT, "OUT", &e.folder,
         "token file to write, - is standard output; of several captures, a folder: NAME.tok for each", 0},
        {0, "codec", OPTION_TEXT, "NAME", &e.options.codec, "fields or bytes (%default)", 0},
        {0, "unit", OPTION_UNIT, "UNIT", &e.options.unit,
         "flow: each flow a stream of its own; capture: one stream of all (%default)", 0},
        {0, "payload", OPTION_PAYLOAD, "N", &e.options.payload,
         "payload bytes per packet that are told: full, none or a number (%default)", 0},
        {0, "seed", OPTION_U64, "N", &e.options.seed, "of the payload that decode puts for the rest (%default)", 0},
        {0, "text", OPTION_FLAG, NULL, &text, "print tokens of one capture for people instead, one packet a line", 0},
        {0, "threads", OPTION_U32, "N", &threads, "captures at a time, 0: one per processor (default %default)", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    if (!e.folder == !text)
        return usage_error(self, "either -w OUT or --text");
    if (threads > 4096)
        return usage_error(self, "option '--threads' cannot be '%u'", threads);
    if (wlm_token_options_check(&e.options, &error) != WLM_OK)
        return report_error(&error);
    if (text && in.count > 1)
        return usage_error(self, "--text shows one capture");
    if (text)
        return show_text(in.item[0], &e.options);
    if (in.count > 1 || is_folder(in.item[0]) || is_folder(e.folder))
        return encode_many(self, &e, &in, threads);
    return encode_one(in.item[0], e.folder, &e.options);
}

const command command_encode = {
    "encode", "a capture to a token file, from which decode gives the same capture; or many to a folder",
    "-r IN... (-w OUT | --text) [--codec NAME] [--unit UNIT] [--payload N] [--threads N]", run};
