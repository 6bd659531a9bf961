/* cmd_info.c: wirelm info. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static void print_task(const json_t *task, int first)
{
    const json_t *labels = json_object_get(task, "labels"), *flows = json_object_get(task, "flows");
    const json_t *cut = json_object_get(task, "flows_cut");
    printf("\ntask %s%s: %zu labels\n  %-32s %14s %10s\n", text_of(task, "name"), first ? " (asked by default)" : "",
           json_array_size(labels), "label", "training flows", "broken off");
    for (size_t i = 0; i < json_array_size(labels); i++)
        printf("  %-32s %14lld %10lld\n", json_string_value(json_array_get(labels, i)),
               (long long)json_integer_value(json_array_get(flows, i)),
               (long long)json_integer_value(json_array_get(cut, i)));
}

/* Hide policies: one as text, or a list. */
static void print_hide(const json_t *hide)
{
    printf("hides       %s", json_is_string(hide) ? json_string_value(hide) : "");
    for (size_t i = 0; i < json_array_size(hide); i++)
        printf("%s%s", i ? ", " : "", json_string_value(json_array_get(hide, i)));
    printf("\n");
}

static void print_model(const json_t *model)
{
    const json_t *config = json_object_get(model, "config"), *record = json_object_get(model, "record"), *task;
    long long payload = number_of(record, "payload"), packets = number_of(record, "max_packets");
    size_t i;
    printf("model       %s\nsha256      %s\n", text_of(model, "file"), text_of(model, "sha256"));
    printf("size        %.1f MB, %lld parameters in %s\n", (double)number_of(model, "bytes") / 1e6,
           number_of(model, "parameters"), text_of(model, "dtype"));
    printf("shape       %s, context of %lld tokens\n", text_of(config, "preset"), number_of(config, "context"));
    printf("reads       unit %s, codec %s\n", text_of(record, "unit"), text_of(record, "codec"));
    print_hide(json_object_get(record, "hide"));
    if (payload == WLM_PAYLOAD_FULL)
        printf("payload     in full\n");
    else
        printf("payload     the first %lld bytes of each packet\n", payload);
    if (packets)
        printf("packets     the first %lld of a flow\n", packets);
    printf("trained     %lld steps, %lld tokens\n", number_of(record, "steps"), number_of(record, "tokens"));
    json_array_foreach(json_object_get(model, "tasks"), i, task)
        print_task(task, i == 0);
}

static wlm_status read_model(const char *named, json_t **value, wlm_error *error)
{
    char path[MODEL_PATH], *text = NULL;
    wlm_status status = find_model(named, SHIPPED_MODEL, path, error);
    if (status == WLM_OK)
        status = wlm_info_file(path, &text, error);
    if (status != WLM_OK)
        return status;
    *value = json_loads(text, 0, NULL);
    json_object_set_new(*value, "file", json_string(path));
    wlm_text_free(text);
    return WLM_OK;
}

static int run_model(const char *named, int text)
{
    json_t *value;
    wlm_error error;
    if (read_model(named, &value, &error) != WLM_OK)
        return report_error(&error);
    if (strcmp(text_of(value, "kind"), "model")) {
        fprintf(stderr, "wirelm: %s: no model\n", text_of(value, "file"));
        json_decref(value);
        return EXIT_FAILED;
    }
    if (!text && !isatty(1))
        return print_json(value);
    print_model(value);
    json_decref(value);
    return EXIT_DONE;
}

static int run(const command *self, int argc, char **argv)
{
    int build = 0, model = 0, plain = 0;
    char *text = NULL;
    wlm_error error;
    wlm_status status;
    list rest = {NULL, 0};
    json_t *value;
    const option table[] = {
        {0, "model", OPTION_FLAG, NULL, &model, "the model in FILE, or the one that ships: its tasks and labels", 0},
        {0, "build", OPTION_FLAG, NULL, &build, "version, libraries, presets, codecs, processor features", 0},
        {0, "text", OPTION_FLAG, NULL, &plain, "with --model: as a table (the default on a terminal)", 0},
        {0, NULL, OPTION_FLAG, NULL, NULL, NULL, 0},
    };
    int exit_status = parse_options(self, table, argc, argv, &rest);
    if (exit_status >= 0)
        return exit_status;
    if (model && !build && rest.count <= 1)
        return run_model(rest.count ? rest.item[0] : NULL, plain);
    if (model || (build ? rest.count != 0 : rest.count != 1))
        return usage_error(self, "takes one FILE, or --model, or --build");
    status = build ? wlm_info_build(&text, &error) : wlm_info_file(rest.item[0], &text, &error);
    if (status != WLM_OK)
        return report_error(&error);
    value = json_loads(text, JSON_DECODE_ANY, NULL);
    wlm_text_free(text);
    return print_json(value);
}

const command command_info = {"info",
                              "what is in a capture, token file, imported folder or model; what this build supports",
                              "FILE | --model [FILE] | --build", run};
