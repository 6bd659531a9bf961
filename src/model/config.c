/* config.c: the presets, one line each, and what a configuration may be. */
#include <string.h>

#include "model/model.h"

/* Wide and shallow: at equal time on two cores, two layers of width 256 reach a lower loss than four of width 128. */
static const wlmi_config presets[] = {
    /* name             V  D    L  K   groups                                                      F    shift packet role context */
    {"netgpt-nano",     0, 256, 2, 32, 1, {{WLMI_MIXER_FULL, 6, 0}},                               320, 0,    32,    0,   512},
    {"netgpt-tiny",     0, 384, 3, 32, 1, {{WLMI_MIXER_FULL, 12, 0}},                              576, 0,    32,    0,   512},
    {"trafficgpt-nano", 0, 256, 2, 32, 2, {{WLMI_MIXER_WINDOW, 4, 256}, {WLMI_MIXER_LINEAR, 2, 0}}, 320, 1,    0,     0,   1024},
    {"trafficgpt-tiny", 0, 384, 3, 32, 2, {{WLMI_MIXER_WINDOW, 8, 256}, {WLMI_MIXER_LINEAR, 4, 0}}, 576, 1,    0,     0,   2048},
};

enum { MAX_HIDDEN = 65536, MAX_HEADS = 1024, MAX_HEAD_WIDTH = 512, MAX_VOCABULARY = 65536, MAX_PACKET_ROWS = 65536,
       MAX_ROLE_ROWS = 256, MAX_CONTEXT = 1 << 20 };

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

wlm_status wlmi_config_check(const wlmi_config *config, wlm_error *error)
{
    WLMI_TRY(in_range("vocabulary", config->vocabulary, 1, MAX_VOCABULARY, error));
    WLMI_TRY(in_range("width", config->width, 2, WLMI_MAX_WIDTH, error));
    WLMI_TRY(in_range("layers", config->layers, 1, WLMI_MAX_LAYERS, error));
    WLMI_TRY(in_range("head_width", config->head_width, 2, MAX_HEAD_WIDTH, error));
    WLMI_TRY(in_range("number of head groups", config->groups, 1, WLMI_MAX_GROUPS, error));
    for (int g = 0; g < config->groups; g++) {
        WLMI_TRY(in_range("heads", config->group[g].heads, 1, MAX_HEADS, error));
        WLMI_TRY(in_range("kind of heads", (int)config->group[g].kind, 0, WLMI_MIXER_KINDS - 1, error));
        if (config->group[g].kind == WLMI_MIXER_WINDOW)
            WLMI_TRY(in_range("window", config->group[g].window, 1, MAX_CONTEXT, error));
    }
    WLMI_TRY(in_range("hidden", config->hidden, 1, MAX_HIDDEN, error));
    WLMI_TRY(in_range("shift", config->shift, 0, 1, error));
    WLMI_TRY(in_range("packet_rows", config->packet_rows, 0, MAX_PACKET_ROWS, error));
    WLMI_TRY(in_range("role_rows", config->role_rows, 0, MAX_ROLE_ROWS, error));
    WLMI_TRY(in_range("context", config->context, 1, MAX_CONTEXT, error));
    if (config->width % 2 || config->head_width % 2)
        return wlmi_fail(error, WLM_ERR_FORMAT, NULL, WLM_NO_OFFSET, "the configuration's widths must be even");
    return WLM_OK;
}
