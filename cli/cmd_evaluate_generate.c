/* cmd_evaluate_generate.c: wirelm evaluate generate: generated flows beside real ones. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "html.h"
#include "wirelm_evaluate.h"
#include "programs.h"

typedef struct request {
    wlm_evaluate_generate_options options;
    wlm_generate_options generate;
    const char *model;
    uint32_t threads;
    list label, fake, real, train;
    wlm_flow_source *fake_source, *real_source, *train_source;
    char folder[4096]; /* for what is written on the way; empty: not made yet */
    char **made;       /* [label.count, or 1]: captures that the model wrote */
    size_t made_count;
    const char **like; /* [train.count]: those of a label */
    int no_programs;
    const char *page; /* NULL: none */
} request;

/* ---------------------------------------------------------------- sources */

/* "LABEL=PATH", or a path alone. The word is cut at the sign. */
static wlm_flow_source source_of(const char *word)
{
    const char *sign = strchr(word, '=');
    wlm_flow_source source = {word, NULL};
    if (sign && sign > word && access(word, F_OK) != 0) {
        *(char *)(uintptr_t)sign = 0;
        source.label = word;
        source.path = sign + 1;
    }
    return source;
}

static wlm_flow_source *sources_of(const list *words)
{
    wlm_flow_source *source = calloc(words->count + 1, sizeof *source);
    for (size_t i = 0; source && i < words->count; i++)
        source[i] = source_of(words->item[i]);
    return source;
}

/* ---------------------------------------------------------------- a folder for what is written on the way */

static int make_folder(request *q)
{
    const char *where = getenv("TMPDIR");
    if (q->folder[0])
        return 1;
    snprintf(q->folder, sizeof q->folder, "%s/wirelm-XXXXXX", where && *where ? where : "/tmp");
    if (mkdtemp(q->folder))
        return 1;
    fprintf(stderr, "wirelm: %s: no folder for temporary files\n", q->folder);
    q->folder[0] = 0;
    return 0;
}

static void remove_folder(request *q)
{
    for (size_t i = 0; i < q->made_count; i++) {
        unlink(q->made[i]);
        free(q->made[i]);
    }
    free(q->made);
    if (q->folder[0])
        rmdir(q->folder);
}

/* ---------------------------------------------------------------- generating */

/* Training flows for the label at hand: sources of that label, and those without one. */
static void choose_like(request *q)
{
    const char *label = q->generate.label;
    q->generate.like_count = 0;
    for (size_t i = 0; q->generate.candidates && i < q->train.count; i++) {
        const wlm_flow_source *source = &q->train_source[i];
        if (!source->label || (label && !strcmp(source->label, label)))
            q->like[q->generate.like_count++] = source->path;
    }
    q->generate.like = q->like;
}

/* Flows of every label that was asked for, each into a capture of its own. */
static wlm_status generate(request *q, wlm_error *error)
{
    size_t count = q->label.count ? q->label.count : 1;
    wlm_model *model = NULL;
    wlm_status status = open_writer(&model, q->model, q->threads, 0, error);
    for (size_t i = 0; status == WLM_OK && i < count; i++) {
        wlm_generate_report report;
        char *path = malloc(sizeof q->folder + 32);
        if (!path)
            break;
        snprintf(path, sizeof q->folder + 32, "%s/fake-%zu.pcap", q->folder, i);
        q->made[q->made_count++] = path;
        q->fake_source[i] = (wlm_flow_source){path, q->label.count ? q->label.item[i] : NULL};
        q->generate.label = q->fake_source[i].label;
        choose_like(q);
        q->generate.out = path;
        status = wlm_generate(model, &q->generate, &report, error);
        if (status == WLM_OK && report.note[0])
            fprintf(stderr, "wirelm: %s\n", report.note);
    }
    wlm_model_free(model);
    q->options.fake_count = q->made_count;
    return status;
}

static int prepare(const command *self, request *q, wlm_error *error)
{
    size_t made = q->label.count ? q->label.count : 1;
    if (q->model && q->fake.count)
        return usage_error(self, "give either a model to generate with, or the generated flows");
    if (!q->fake.count && q->label.count && !q->generate.task)
        return usage_error(self, "a label needs its task: --task");
    q->fake_source = q->fake.count ? sources_of(&q->fake) : calloc(made, sizeof *q->fake_source);
    q->made = calloc(made, sizeof *q->made);
    q->like = calloc(q->train.count + 1, sizeof *q->like);
    q->real_source = sources_of(&q->real);
    q->train_source = sources_of(&q->train);
    if (!q->fake_source || !q->real_source || !q->train_source || !q->made || !q->like) {
        fprintf(stderr, "wirelm: out of memory\n");
        return EXIT_FAILED;
    }
    q->options.fake = q->fake_source;
    q->options.fake_count = q->fake.count;
    q->options.real = q->real_source;
    q->options.real_count = q->real.count;
    q->options.train = q->train_source;
    q->options.train_count = q->train.count;
    q->options.labels = q->label.item;
    q->options.label_count = q->label.count;
    q->options.seed = q->generate.seed;
    q->options.stop = q->generate.stop = install_stop();
    q->generate.progress = show_progress;
    q->options.threads = (int)(q->threads < 4096 ? q->threads : 4096);
    q->options.progress = show_progress;
    if ((!q->fake.count || !q->no_programs || q->options.neural_steps) && !make_folder(q))
        return EXIT_FAILED;
    q->options.captures = q->no_programs && !q->options.neural_steps ? NULL : q->folder;
    if (q->fake.count)
        return -1;
    return generate(q, error) == WLM_OK ? -1 : report_error(error);
}

/* Shows each label's captures to other programs, and removes them. */
static void ask_programs(const request *q, json_t *report)
{
    json_t *of_label;
    const char *label;
    json_object_foreach(json_object_get(report, "labels"), label, of_label) {
        const json_t *captures = json_object_get(of_label, "captures");
        const char *real = json_string_value(json_object_get(captures, "real"));
        const char *fake = json_string_value(json_object_get(captures, "fake"));
        const char *training = json_string_value(json_object_get(captures, "training"));
        if (!real || !fake)
            continue;
        if (!*q->options.stop && !q->no_programs)
            json_object_set_new(of_label, "programs", what_programs_see(real, fake, training, q->folder));
        unlink(real);
        unlink(fake);
        if (training)
            unlink(training);
        json_object_del(of_label, "captures");
    }
}

static int report(request *q, wlm_error *error)
{
    char *text = NULL;
    json_t *value;
    wlm_status status = wlm_evaluate_generate(&q->options, &text, error);
    end_progress();
    if (status == WLM_STOPPED) {
        fprintf(stderr, "wirelm: stopped\n");
        return EXIT_FAILED;
    }
    if (status != WLM_OK)
        return report_error(error);
    value = json_loads(text, 0, NULL);
    wlm_text_free(text);
    ask_programs(q, value);
    return print_report(q->page, &html_generate, value);
}

int run_evaluate_generate(const command *self, int argc, char **argv)
{
    static request q;
    wlm_error error;
    int exit_status;
    q.options = wlm_evaluate_generate_options_default();
    q.generate = wlm_generate_options_default();
    q.generate.flows = 1000;
    const option table[] = {
        {'m', "model", OPTION_TEXT, "MODEL", &q.model, "checkpoint to generate with (the one that ships for it)", 0},
        {0, "task", OPTION_TEXT, "T", &q.generate.task, "task of the labels", 0},
        {0, "label", OPTION_LIST, "L", &q.label, "labels to generate and compare (those of the generated flows)", 0},
        {0, "flows", OPTION_U64, "N", &q.generate.flows, "to generate, for each label (%default)", 0},
        {0, "seed", OPTION_U64, "S", &q.generate.seed, "of generation and of samples (%default)", 0},
        {0, "temperature", OPTION_REAL, "X", &q.generate.temperature, "as of generate (%default)", 0},
        {0, "top-k", OPTION_U32, "N", &q.generate.top_k, "as of generate (0: off)", 0},
        {0, "top-p", OPTION_REAL, "X", &q.generate.top_p, "as of generate (%default)", 0},
        {0, "max-tokens", OPTION_U32, "N", &q.generate.max_tokens, "as of generate (0: the model's context)", 0},
        {0, "allow-cut", OPTION_FLAG, NULL, &q.generate.allow_cut,
         "as of generate: real flows may begin or break off in the middle", 0},
        {0, "candidates", OPTION_U32, "N", &q.generate.candidates,
         "as of generate, to be like --train (0: write every flow that is sampled)", 0},
        {0, "fake", OPTION_LIST, "[LABEL=]PATH", &q.fake, "generated flows, instead of a model: captures, folders of "
         "captures, imported folders", 0},
        {0, "real", OPTION_LIST, "[LABEL=]PATH", &q.real, "real flows that no model has seen; of imported folders the "
         "part of --split", 1},
        {0, "train", OPTION_LIST, "[LABEL=]PATH", &q.train, "flows that the model was trained on; of imported folders "
         "the train part", 0},
        {0, "split", OPTION_PART, "PART", &q.options.part, "train, val or test (%default)", 0},
        {0, "addresses", OPTION_FLAG, NULL, &q.options.addresses, "compare addresses too", 0},
        {0, "neural", OPTION_U64, "STEPS", &q.options.neural_steps,
         "also train a small model to tell them by their bytes, five times so many steps (0: do not)", 0},
        {0, "no-programs", OPTION_FLAG, NULL, &q.no_programs, "do not ask tshark, ndpiReader, tcptrace and Suricata", 0},
        ROW_HTML(&q.page),
        ROW_THREADS(&q.threads),
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    html_remember_command(self, argc, argv);
    exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    if (!html_possible(q.page))
        return EXIT_FAILED;
    exit_status = prepare(self, &q, &error);
    if (exit_status < 0)
        exit_status = report(&q, &error);
    remove_folder(&q);
    free(q.fake_source);
    free(q.real_source);
    free(q.train_source);
    free(q.like);
    return exit_status;
}
