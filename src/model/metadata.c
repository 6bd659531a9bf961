/* metadata.c: configuration, tasks and record to JSON and back. */
#include "model/metadata.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "model/mixer.h"
#include "model/ports_json.h"

static wlm_status bad(wlm_error *error, const char *what, const char *key)
{
    return wlmi_fail(error, WLM_ERR_FORMAT, NULL, 8, "metadata: %s of '%s' is missing or makes no sense", what, key);
}

/* An integer in [0, high], or 0 returned. */
static int get_integer(const json_t *json, uint64_t high, uint64_t *value)
{
    json_int_t n = json_integer_value(json);
    if (!json_is_integer(json) || n < 0 || (uint64_t)n > high)
        return 0;
    *value = (uint64_t)n;
    return 1;
}

/* ---------------------------------------------------------------- configuration */

static const struct {
    const char *key;
    size_t at;
} config_ints[] = {
    {"vocabulary", offsetof(wlmi_config, vocabulary)}, {"width", offsetof(wlmi_config, width)},
    {"layers", offsetof(wlmi_config, layers)},         {"head_width", offsetof(wlmi_config, head_width)},
    {"hidden", offsetof(wlmi_config, hidden)},         {"shift", offsetof(wlmi_config, shift)},
    {"packet_rows", offsetof(wlmi_config, packet_rows)}, {"role_rows", offsetof(wlmi_config, role_rows)},
    {"context", offsetof(wlmi_config, context)},
    {"every", offsetof(wlmi_config, every)},           {"reversible", offsetof(wlmi_config, reversible)},
    {"place_rows", offsetof(wlmi_config, place_rows)},
    {"summary_trees", offsetof(wlmi_config, summary_trees)}, {"summary_tasks", offsetof(wlmi_config, summary_tasks)},
    {"summary_labels", offsetof(wlmi_config, summary_labels)},
};
enum { CONFIG_INTS = sizeof config_ints / sizeof *config_ints, SURE_INTS = CONFIG_INTS - 6 }; /* others: absent where 0 */

static json_t *plan_to_json(const wlmi_plan *plan)
{
    json_t *groups = json_array();
    for (int g = 0; g < plan->groups; g++) {
        const wlmi_head_group *group = &plan->group[g];
        json_t *entry = json_pack("{s:s, s:i}", "kind", wlmi_mixer_of(group->kind)->name, "heads", group->heads);
        if (group->kind == WLMI_MIXER_WINDOW)
            json_object_set_new(entry, "window", json_integer(group->window));
        json_array_append_new(groups, entry);
    }
    return groups;
}

json_t *wlmi_config_to_json(const wlmi_config *config)
{
    json_t *root = json_pack("{s:s}", "preset", config->preset);
    for (int i = 0; i < CONFIG_INTS; i++) {
        int value;
        memcpy(&value, (const char *)config + config_ints[i].at, sizeof value);
        if (value || i < SURE_INTS)
            json_object_set_new(root, config_ints[i].key, json_integer(value));
    }
    json_object_set_new(root, "groups", plan_to_json(&config->plan));
    if (config->every)
        json_object_set_new(root, "other_groups", plan_to_json(&config->other));
    return root;
}

static wlm_status group_from_json(wlmi_head_group *group, const json_t *json, wlm_error *error)
{
    const char *kind = json_string_value(json_object_get(json, "kind"));
    uint64_t heads, window = 0;
    if (!kind || !get_integer(json_object_get(json, "heads"), INT_MAX, &heads))
        return bad(error, "the configuration's groups", "kind or heads");
    group->kind = wlmi_mixer_find(kind);
    if (group->kind == WLMI_MIXER_KINDS)
        return wlmi_fail(error, WLM_ERR_UNSUPPORTED, NULL, 8, "heads of kind '%.40s' are not known to this build", kind);
    if (group->kind == WLMI_MIXER_WINDOW && !get_integer(json_object_get(json, "window"), INT_MAX, &window))
        return bad(error, "the configuration's groups", "window");
    group->heads = (int)heads;
    group->window = (int)window;
    return WLM_OK;
}

static wlm_status plan_from_json(wlmi_plan *plan, const json_t *groups, wlm_error *error)
{
    if (json_array_size(groups) > WLMI_MAX_GROUPS)
        return bad(error, "the configuration's value", "groups");
    plan->groups = (int)json_array_size(groups);
    for (int g = 0; g < plan->groups; g++)
        WLMI_TRY(group_from_json(&plan->group[g], json_array_get(groups, (size_t)g), error));
    return WLM_OK;
}

wlm_status wlmi_config_from_json(wlmi_config *config, const json_t *json, wlm_error *error)
{
    const char *preset = json_string_value(json_object_get(json, "preset"));
    memset(config, 0, sizeof *config);
    if (!preset)
        return bad(error, "the configuration's value", "preset");
    snprintf(config->preset, sizeof config->preset, "%s", preset);
    for (int i = 0; i < CONFIG_INTS; i++) {
        const json_t *entry = json_object_get(json, config_ints[i].key);
        uint64_t value = 0;
        int narrow;
        if (!entry && i >= SURE_INTS)
            continue;
        if (!get_integer(entry, INT_MAX, &value))
            return bad(error, "the configuration's value", config_ints[i].key);
        narrow = (int)value;
        memcpy((char *)config + config_ints[i].at, &narrow, sizeof narrow);
    }
    WLMI_TRY(plan_from_json(&config->plan, json_object_get(json, "groups"), error));
    if (config->every)
        WLMI_TRY(plan_from_json(&config->other, json_object_get(json, "other_groups"), error));
    return wlmi_config_check(config, error);
}

/* ---------------------------------------------------------------- tasks */

static const char *const calibration_key[WLMI_SHOWN] = {"calibration", "calibration_shape"};

static void put_calibration(json_t *task, const char *key, const wlmi_calibration *c)
{
    if (c->temperature != 1 || c->threshold > 0 || c->summary_share > 0)
        json_object_set_new(task, key, json_pack("{s:f, s:f, s:f}", "temperature", c->temperature, "threshold",
                                                 c->threshold, "summary_share", c->summary_share));
}

json_t *wlmi_tasks_to_json(const wlmi_net *net)
{
    json_t *root = json_array();
    for (int t = 0; t < net->tasks; t++) {
        const wlmi_task *task = &net->task[t];
        json_t *labels = json_array(), *flows = json_array(), *cut = json_array(), *port = json_array();
        json_t *proto = json_array(), *entry;
        for (int i = 0; i < task->labels; i++) {
            json_array_append_new(labels, json_string(task->label[i]));
            json_array_append_new(flows, json_integer((json_int_t)task->flows[i]));
            json_array_append_new(cut, json_integer((json_int_t)task->flows_cut[i]));
            json_array_append_new(port, json_integer(task->port[i]));
            json_array_append_new(proto, json_integer(task->proto[i]));
        }
        entry = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "name", task->name, "labels", labels, "flows", flows,
                          "flows_cut", cut, "port", port, "proto", proto, "ports", wlmi_ports_to_json(task));
        for (int i = 0; i < WLMI_SHOWN; i++)
            put_calibration(entry, calibration_key[i], &task->calibration[i]);
        json_array_append_new(root, entry);
    }
    return root;
}

static const struct {
    const char *key;
    uint64_t high;
} facts[] = {{"flows", INT64_MAX}, {"flows_cut", INT64_MAX}, {"port", UINT16_MAX}, {"proto", UINT8_MAX}};

static uint64_t fact(const json_t *task, size_t which, size_t label)
{
    return (uint64_t)json_integer_value(json_array_get(json_object_get(task, facts[which].key), label));
}

static int is_between(const json_t *json, double low, double high)
{
    return json_is_number(json) && json_number_value(json) >= low && json_number_value(json) <= high;
}

/* As without calibration where there is none; 0: it makes no sense. */
static int get_calibration(const json_t *task, int shown, wlmi_calibration *c)
{
    const json_t *json = json_object_get(task, calibration_key[shown]);
    const json_t *t = json_object_get(json, "temperature"), *u = json_object_get(json, "threshold");
    const json_t *share = json_object_get(json, "summary_share");
    *c = (wlmi_calibration){json ? json_number_value(t) : 1, json_number_value(u), json_number_value(share)};
    return !json || (is_between(t, 1e-3, 1e3) && is_between(u, 0, 1) && (!share || is_between(share, 0, 1)));
}

static wlm_status check_task(const json_t *task, uint64_t *rows, wlm_error *error)
{
    const char *name = json_string_value(json_object_get(task, "name"));
    const json_t *labels = json_object_get(task, "labels");
    size_t count = json_array_size(labels);
    wlmi_calibration unused;
    if (!name)
        return bad(error, "a task's value", "name");
    for (int i = 0; i < WLMI_SHOWN; i++)
        if (!get_calibration(task, i, &unused))
            return bad(error, "a task's value", calibration_key[i]);
    if (!json_is_array(labels) || count > WLMI_MAX_LABELS)
        return bad(error, "a task's value", "labels");
    for (size_t i = 0; i < count; i++)
        if (!json_is_string(json_array_get(labels, i)))
            return bad(error, "a task's value", "labels");
    for (size_t f = 0; f < sizeof facts / sizeof *facts; f++) {
        const json_t *list = json_object_get(task, facts[f].key);
        uint64_t value;
        if (json_array_size(list) != count)
            return bad(error, "a task's value", facts[f].key);
        for (size_t i = 0; i < count; i++)
            if (!get_integer(json_array_get(list, i), facts[f].high, &value))
                return bad(error, "a task's value", facts[f].key);
    }
    if (!wlmi_ports_are_valid(json_object_get(task, "ports"), count))
        return bad(error, "a task's value", "ports");
    *rows += 1 + count;
    return WLM_OK;
}

wlm_status wlmi_tasks_count_rows(const json_t *json, uint64_t *rows, wlm_error *error)
{
    *rows = 0;
    if (!json_is_array(json) || json_array_size(json) > WLMI_MAX_TASKS)
        return bad(error, "the value", "tasks");
    for (size_t t = 0; t < json_array_size(json); t++)
        WLMI_TRY(check_task(json_array_get(json, t), rows, error));
    return WLM_OK;
}

wlm_status wlmi_tasks_from_json(wlmi_net *net, const json_t *json, wlm_error *error)
{
    for (size_t t = 0; t < json_array_size(json); t++) {
        const json_t *entry = json_array_get(json, t), *labels = json_object_get(entry, "labels");
        size_t count = json_array_size(labels);
        const char **label = wlmi_alloc_array(count, sizeof *label);
        wlmi_task *task;
        wlm_status status;
        if (!label)
            return WLMI_NO_MEMORY(error);
        for (size_t i = 0; i < count; i++)
            label[i] = json_string_value(json_array_get(labels, i));
        status = wlmi_net_add_task(net, json_string_value(json_object_get(entry, "name")), label, (int)count, 0, error);
        wlmi_free(label);
        if (status == WLM_ERR_MEMORY)
            return status;
        if (status != WLM_OK)
            return bad(error, "a task's value", "name or labels");
        task = &net->task[net->tasks - 1];
        if (net->tasks != (int)t + 1 || task->labels != (int)count)
            return bad(error, "a task's or label's name, said twice,", "tasks");
        for (int shown = 0; shown < WLMI_SHOWN; shown++)
            get_calibration(entry, shown, &task->calibration[shown]);
        for (size_t i = 0; i < count; i++) {
            task->flows[i] = fact(entry, 0, i);
            task->flows_cut[i] = fact(entry, 1, i);
            task->port[i] = (uint16_t)fact(entry, 2, i);
            task->proto[i] = (uint8_t)fact(entry, 3, i);
        }
        wlmi_ports_from_json(task, json_object_get(entry, "ports"));
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- record */

json_t *wlmi_record_to_json(const wlmi_record *r)
{
    json_t *loss = isfinite(r->loss) ? json_real(r->loss) : json_null();
    char seed[24], shuffle[24]; /* text: JSON has no unsigned 64-bit integers */
    const struct {
        const char *key, *text;
    } mixed[] = {{"hide_shares", r->hide_shares}, {"payload_shares", r->payload_shares},
                 {"max_packets_shares", r->max_packets_shares}, {"alter", r->alter}};
    json_t *root;
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)r->seed);
    snprintf(shuffle, sizeof shuffle, "%llu", (unsigned long long)r->shuffle_fields);
    root = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:I, s:I, s:s, s:o, s:s}", "codec", r->codec, "codec_hash",
                     r->codec_hash, "unit", wlm_unit_name(r->unit), "hide", wlm_hide_name(r->hide),
                     "payload", (json_int_t)r->payload, "max_packets",
                     (json_int_t)r->max_packets, "shuffle_fields", shuffle, "steps", (json_int_t)r->steps, "tokens",
                     (json_int_t)r->tokens, "seed", seed, "loss", loss, "split_note", r->split_note);
    for (size_t i = 0; i < sizeof mixed / sizeof *mixed; i++)
        if (mixed[i].text[0])
            json_object_set_new(root, mixed[i].key, json_string(mixed[i].text));
    if (r->per_label) {
        snprintf(seed, sizeof seed, "%llu", (unsigned long long)r->draw);
        json_object_set_new(root, "per_label", json_integer((json_int_t)r->per_label));
        json_object_set_new(root, "draw", json_string(seed));
    }
    return root;
}

static wlm_status get_text(const json_t *json, const char *key, char *out, size_t size, wlm_error *error)
{
    const char *text = json_string_value(json_object_get(json, key));
    if (!text || strlen(text) >= size)
        return bad(error, "the record's value", key);
    memcpy(out, text, strlen(text) + 1);
    return WLM_OK;
}

static wlm_status get_text_or_none(const json_t *json, const char *key, char *out, size_t size, wlm_error *error)
{
    return json_object_get(json, key) ? get_text(json, key, out, size, error) : WLM_OK;
}

/* What many records lack. */
static wlm_status get_mixed(wlmi_record *r, const json_t *json, wlm_error *error)
{
    char draw[24] = "0";
    WLMI_TRY(get_text_or_none(json, "hide_shares", r->hide_shares, sizeof r->hide_shares, error));
    WLMI_TRY(get_text_or_none(json, "payload_shares", r->payload_shares, sizeof r->payload_shares, error));
    WLMI_TRY(get_text_or_none(json, "max_packets_shares", r->max_packets_shares, sizeof r->max_packets_shares, error));
    WLMI_TRY(get_text_or_none(json, "alter", r->alter, sizeof r->alter, error));
    if (!json_object_get(json, "per_label"))
        return WLM_OK;
    if (!get_integer(json_object_get(json, "per_label"), INT64_MAX, &r->per_label))
        return bad(error, "the record's value", "per_label");
    WLMI_TRY(get_text_or_none(json, "draw", draw, sizeof draw, error));
    return sscanf(draw, "%" SCNu64, &r->draw) == 1 ? WLM_OK : bad(error, "the record's value", "draw");
}

wlm_status wlmi_record_from_json(wlmi_record *r, const json_t *json, wlm_error *error)
{
    static const struct {
        const char *key;
        uint64_t high;
    } numbers[] = {{"payload", UINT32_MAX}, {"max_packets", UINT32_MAX}, {"steps", INT64_MAX}, {"tokens", INT64_MAX}};
    char hide[16], seed[24], shuffle[24] = "0", unit[16] = "flow"; /* older records lack these two */
    uint64_t value[4];
    const json_t *loss = json_object_get(json, "loss");
    memset(r, 0, sizeof *r);
    WLMI_TRY(get_text(json, "codec", r->codec, sizeof r->codec, error));
    WLMI_TRY(get_text(json, "codec_hash", r->codec_hash, sizeof r->codec_hash, error));
    WLMI_TRY(get_text(json, "split_note", r->split_note, sizeof r->split_note, error));
    WLMI_TRY(get_text(json, "seed", seed, sizeof seed, error));
    WLMI_TRY(get_text(json, "hide", hide, sizeof hide, error));
    WLMI_TRY(get_text_or_none(json, "shuffle_fields", shuffle, sizeof shuffle, error));
    WLMI_TRY(get_text_or_none(json, "unit", unit, sizeof unit, error));
    WLMI_TRY(get_mixed(r, json, error));
    if (wlm_unit_parse(unit, &r->unit) != WLM_OK)
        return bad(error, "the record's value", "unit");
    if (wlm_hide_parse(hide, &r->hide) != WLM_OK)
        return bad(error, "the record's value", "hide");
    if (sscanf(seed, "%" SCNu64, &r->seed) != 1)
        return bad(error, "the record's value", "seed");
    if (sscanf(shuffle, "%" SCNu64, &r->shuffle_fields) != 1)
        return bad(error, "the record's value", "shuffle_fields");
    for (size_t i = 0; i < 4; i++)
        if (!get_integer(json_object_get(json, numbers[i].key), numbers[i].high, &value[i]))
            return bad(error, "the record's value", numbers[i].key);
    r->payload = (uint32_t)value[0];
    r->max_packets = (uint32_t)value[1];
    r->steps = value[2];
    r->tokens = value[3];
    r->loss = json_is_number(loss) ? json_number_value(loss) : NAN;
    return WLM_OK;
}
