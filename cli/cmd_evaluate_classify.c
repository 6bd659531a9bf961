/* cmd_evaluate_classify.c: wirelm evaluate classify: labels of imported flows, by one model or several, under one hide
 * policy or several. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "html.h"
#include "wirelm_evaluate.h"

enum { POLICIES = 4 };

typedef struct asked {
    wlm_evaluate_options options;
    list models;
    wlm_hide policy[POLICIES];
    size_t policies;
    uint32_t threads;
    int int8;
    char **report; /* [models, policies], so far */
    size_t reports;
    const char *page; /* NULL: none */
} asked;

/* "ids,shape". */
static int parse_policies(const char *text, asked *a)
{
    while (a->policies < POLICIES) {
        char word[16];
        size_t length = strcspn(text, ",");
        snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1), text);
        if (wlm_hide_parse(word, &a->policy[a->policies++]) != WLM_OK)
            return 0;
        if (!text[length])
            return 1;
        text += length + 1;
    }
    return 0;
}

static int parse_dev(const char *text, wlm_part *part)
{
    for (int p = WLM_PART_TRAIN; p <= WLM_PART_NONE; p++)
        if (!strcmp(text, wlm_part_name((wlm_part)p))) {
            *part = (wlm_part)p;
            return 1;
        }
    return 0;
}

static wlm_status run_model(asked *a, const char *path, wlm_error *error)
{
    wlm_model *model = NULL;
    wlm_status status = open_model(&model, path, a->threads, a->int8, error);
    for (size_t p = 0; status == WLM_OK && p < a->policies; p++) {
        a->options.hide = a->policy[p];
        status = wlm_evaluate_classify(model, &a->options, &a->report[a->reports], error);
        a->reports += status == WLM_OK;
    }
    wlm_model_free(model);
    return status;
}

/* One report as it is; several beside what they have in common. */
static int print_reports(const asked *a)
{
    json_t *runs = json_array(), *value;
    char *summary = NULL;
    wlm_error error;
    for (size_t i = 0; i < a->reports; i++)
        json_array_append_new(runs, json_loads(a->report[i], 0, NULL));
    if (a->reports == 1) {
        value = json_incref(json_array_get(runs, 0));
        json_decref(runs);
        return print_report(a->page, &html_classify, value);
    }
    if (wlm_evaluate_summary((const char *const *)a->report, a->reports, &summary, &error) != WLM_OK) {
        json_decref(runs);
        return report_error(&error);
    }
    value = json_pack("{s:o,s:o}", "summary", json_loads(summary, 0, NULL), "runs", runs);
    wlm_text_free(summary);
    return print_report(a->page, &html_classify, value);
}

static int run_all(asked *a)
{
    wlm_error error;
    wlm_status status = WLM_OK;
    int exit_status;
    a->report = calloc(a->models.count * a->policies, sizeof *a->report);
    if (!a->report)
        return fprintf(stderr, "wirelm: out of memory\n"), EXIT_FAILED;
    for (size_t i = 0; status == WLM_OK && i < a->models.count; i++)
        status = run_model(a, a->models.item[i], &error);
    end_progress();
    if (status == WLM_OK) {
        exit_status = print_reports(a);
    } else if (status == WLM_STOPPED) {
        fprintf(stderr, "wirelm: stopped; a part of the flows gives no score\n");
        exit_status = EXIT_FAILED;
    } else {
        exit_status = report_error(&error);
    }
    for (size_t i = 0; i < a->reports; i++)
        wlm_text_free(a->report[i]);
    free(a->report);
    return exit_status;
}

int run_evaluate_classify(const command *self, int argc, char **argv)
{
    asked a = {.options = wlm_evaluate_options_default()};
    wlm_evaluate_options *o = &a.options;
    list data = {NULL, 0}, strangers = {NULL, 0};
    const char *policies = wlm_hide_name(o->hide), *dev = wlm_part_name(o->calibrate_on);
    uint32_t draws = (uint32_t)o->draws;
    const char *shipped = NULL;
    int exit_status;
    const option table[] = {
        {'m', "model", OPTION_LIST, "MODEL", &a.models,
         "checkpoints to use (the one that ships); of several, mean and deviation too", 0},
        {'d', "data", OPTION_LIST, "DIR", &data, "imported folders", 1},
        {0, "split", OPTION_PART, "PART", &o->part, "train, val or test (%default)", 0},
        {0, "task", OPTION_TEXT, "T", &o->task, "task to score (the model's first)", 0},
        {0, "controls", OPTION_FLAG, NULL, &o->controls,
         "also what could be had without the model: a tree on shortcuts, neighbours and a probe on its vectors", 0},
        {0, "curves", OPTION_FLAG, NULL, &o->curves, "also after 1, 2, 4 ... packets and 32, 64 ... tokens", 0},
        {0, "calibrate-on", OPTION_TEXT, "PART", &dev, "part to fit a temperature on: val, train, none (%default)", 0},
        {0, "open-set", OPTION_FLAG, NULL, &o->open_set,
         "labels that the model does not know are strangers' labels", 0},
        {0, "left-out", OPTION_TEXT, "L,L", &o->left_out, "the same for these labels alone", 0},
        {0, "strangers", OPTION_LIST, "DIR", &strangers, "imported folders all of whose flows are strangers", 0},
        {0, "stress", OPTION_TEXT, "NAME,..|all", &o->stress,
         "also with every flow altered so: docs/ALTERATIONS.md", 0},
        {0, "predictions", OPTION_TEXT, "OUT", &o->predictions, "write a line of JSON for each flow", 0},
        ROW_HTML(&a.page),
        {0, "draws", OPTION_U32, "N", &draws, "resampled captures for intervals (%default)", 0},
        {0, "seed", OPTION_U64, "N", &o->seed, "seed of these (%default)", 0},
        ROW_MAX_PACKETS(&o->max_packets),
        {0, "context", OPTION_U32, "N", &o->context, "longest sequence in tokens (0: as trained)", 0},
        ROW_CODEC(&o->codec),
        {0, "unit", OPTION_UNIT, "UNIT", &o->unit, "flow: labels belong to flows (the only one)", 0},
        {0, "hide", OPTION_TEXT, "POLICY,..", &policies,
         "what to hide from the model: none, ids, implicit, shape; of several, a report each (%default)", 0},
        ROW_PAYLOAD(&o->payload),
        ROW_FORCE(&o->force),
        ROW_INT8(&a.int8),
        ROW_THREADS(&a.threads),
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    html_remember_command(self, argc, argv);
    exit_status = parse_options(self, table, argc, argv, NULL);
    if (exit_status >= 0)
        return exit_status;
    if (!parse_policies(policies, &a))
        return usage_error(self, "--hide takes none, ids, implicit, shape, with commas between them");
    if (!parse_dev(dev, &o->calibrate_on))
        return usage_error(self, "--calibrate-on takes val, train, test or none");
    if (o->predictions && a.models.count * a.policies > 1)
        return usage_error(self, "--predictions is for one model and one policy at a time");
    if (!html_possible(a.page))
        return EXIT_FAILED;
    o->data = data.item;
    o->data_count = data.count;
    o->strangers = strangers.item;
    o->stranger_count = strangers.count;
    o->draws = draws;
    o->stop = install_stop();
    o->progress = show_progress;
    if (!a.models.count)
        a.models = (list){&shipped, 1};
    return run_all(&a);
}
