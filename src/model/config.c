/* config.c: the presets, and what a configuration may be. */
#include <string.h>

#include "model/summary.h"
#include "model/place.h"

/* Wide and shallow: at equal time on two cores, two layers of width 256 reach a lower loss than four of width 128. */
static const wlmi_config presets[] = {
    {.preset = "netgpt-nano", .width = 256, .layers = 2, .head_width = 32, .plan = {1, {{WLMI_MIXER_FULL, 6, 0}}},
     .hidden = 320, .packet_rows = 32, .context = 512},
    {.preset = "netgpt-tiny", .width = 384, .layers = 3, .head_width = 32, .plan = {1, {{WLMI_MIXER_FULL, 12, 0}}},
     .hidden = 576, .packet_rows = 32, .context = 512},
    {.preset = "trafficgpt-nano", .width = 256, .layers = 2, .head_width = 32,
     .plan = {2, {{WLMI_MIXER_WINDOW, 4, 256}, {WLMI_MIXER_LINEAR, 2, 0}}}, .hidden = 320, .shift = 1, .context = 1024},
    {.preset = "trafficgpt-tiny", .width = 384, .layers = 3, .head_width = 32,
     .plan = {2, {{WLMI_MIXER_WINDOW, 8, 256}, {WLMI_MIXER_LINEAR, 4, 0}}}, .hidden = 576, .shift = 1, .context = 2048},
    /* The published shape, but for the embedding (512 wide rather than 256 and a matrix) and SwiGLU, of as many
     * parameters as an MLP of width 2048 without a gate. */
    {.preset = "trafficgpt-paper", .width = 512, .layers = 24, .head_width = 256,
     .plan = {2, {{WLMI_MIXER_WINDOW, 8, 256}, {WLMI_MIXER_LINEAR, 4, 0}}}, .hidden = 1360, .shift = 1,
     .reversible = 1, .context = 12032},
    {.preset = "wire-nano", .width = 256, .layers = 2, .head_width = 32, .plan = {1, {{WLMI_MIXER_DELTA, 6, 0}}},
     .every = 2, .other = {2, {{WLMI_MIXER_DELTA, 4, 0}, {WLMI_MIXER_WINDOW, 2, 512}}}, .hidden = 320, .context = 2048},
    /* As wide as nano: at equal time, labels are learned best by what sees the most flows. */
    {.preset = "wire-tiny", .width = 256, .layers = 3, .head_width = 32, .plan = {1, {{WLMI_MIXER_DELTA, 6, 0}}},
     .every = 3, .other = {2, {{WLMI_MIXER_DELTA, 4, 0}, {WLMI_MIXER_WINDOW, 2, 512}}}, .hidden = 320, .context = 4096},
    {.preset = "wire-small", .width = 768, .layers = 4, .head_width = 64, .plan = {1, {{WLMI_MIXER_DELTA, 12, 0}}},
     .every = 2, .other = {2, {{WLMI_MIXER_DELTA, 10, 0}, {WLMI_MIXER_WINDOW, 2, 1024}}}, .hidden = 1280,
     .context = 4096},
    {.preset = "wire-base", .width = 1024, .layers = 8, .head_width = 64, .plan = {1, {{WLMI_MIXER_DELTA, 16, 0}}},
     .every = 2, .other = {2, {{WLMI_MIXER_DELTA, 14, 0}, {WLMI_MIXER_WINDOW, 2, 1536}}}, .hidden = 2304,
     .context = 4096},
};

enum { MAX_HIDDEN = 65536, MAX_HEADS = 1024, MAX_VOCABULARY = 65536, MAX_PACKET_ROWS = 65536,
       MAX_ROLE_ROWS = 256, MAX_SUMMARY_LABELS = 1 << 14, MAX_CONTEXT = 1 << 20 };

const char *wlmi_preset_name(size_t i)
{
    return i < sizeof presets / sizeof *presets ? presets[i].preset : NULL;
}

wlm_status wlmi_config_preset(wlmi_config *config, const char *name, wlm_error *error)
{
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (!strcmp(presets[i].preset, name)) {
            *config = presets[i];
            return WLM_OK;
        }
    return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "no preset is called '%s'", name);
}

static wlm_status in_range(const char *what, int value, int low, int high, wlm_error *error)
{
    if (value >= low && value <= high)
        return WLM_OK;
    return wlmi_fail(error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "the configuration's %s is %d, not in %d..%d", what,
                     value, low, high);
}

static wlm_status check_plan(const wlmi_plan *plan, wlm_error *error)
{
    WLMI_TRY(in_range("number of head groups", plan->groups, 1, WLMI_MAX_GROUPS, error));
    for (int g = 0; g < plan->groups; g++) {
        WLMI_TRY(in_range("heads", plan->group[g].heads, 1, MAX_HEADS, error));
        WLMI_TRY(in_range("kind of heads", (int)plan->group[g].kind, 0, WLMI_MIXER_KINDS - 1, error));
        if (plan->group[g].kind == WLMI_MIXER_WINDOW)
            WLMI_TRY(in_range("window", plan->group[g].window, 1, MAX_CONTEXT, error));
    }
    return WLM_OK;
}

wlm_status wlmi_config_check(const wlmi_config *config, wlm_error *error)
{
    WLMI_TRY(in_range("vocabulary", config->vocabulary, 1, MAX_VOCABULARY, error));
    WLMI_TRY(in_range("width", config->width, 2, WLMI_MAX_WIDTH, error));
    WLMI_TRY(in_range("layers", config->layers, 1, WLMI_MAX_LAYERS, error));
    WLMI_TRY(in_range("head_width", config->head_width, 2, WLMI_MAX_HEAD_WIDTH, error));
    WLMI_TRY(check_plan(&config->plan, error));
    WLMI_TRY(in_range("every", config->every, 0, WLMI_MAX_LAYERS, error));
    if (config->every)
        WLMI_TRY(check_plan(&config->other, error));
    WLMI_TRY(in_range("hidden", config->hidden, 1, MAX_HIDDEN, error));
    WLMI_TRY(in_range("shift", config->shift, 0, 1, error));
    WLMI_TRY(in_range("reversible", config->reversible, 0, 1, error));
    WLMI_TRY(in_range("packet_rows", config->packet_rows, 0, MAX_PACKET_ROWS, error));
    WLMI_TRY(in_range("role_rows", config->role_rows, 0, MAX_ROLE_ROWS, error));
    WLMI_TRY(in_range("place_rows", config->place_rows, config->place_rows ? WLMI_PLACE_ROWS : 0, WLMI_PLACE_ROWS, error));
    WLMI_TRY(in_range("summary_trees", config->summary_trees, 0, WLMI_SUMMARY_MOST_TREES, error));
    WLMI_TRY(in_range("summary_tasks", config->summary_tasks, config->summary_trees > 0, MAX_SUMMARY_LABELS, error));
    WLMI_TRY(in_range("summary_labels", config->summary_labels, config->summary_tasks, MAX_SUMMARY_LABELS, error));
    WLMI_TRY(in_range("context", config->context, 1, MAX_CONTEXT, error));
    if (config->width % 2 || config->head_width % 2)
        return wlmi_fail(error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "the configuration's widths must be even");
    return WLM_OK;
}
