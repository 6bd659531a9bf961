/* mixer.c: the table of mixer kinds. */
#include "model/mixer.h"

#include <string.h>

static const wlmi_mixer *const table[WLMI_MIXER_KINDS] = {
    [WLMI_MIXER_FULL] = &wlmi_mixer_full,
    [WLMI_MIXER_WINDOW] = &wlmi_mixer_window,
    [WLMI_MIXER_LINEAR] = &wlmi_mixer_linear,
    [WLMI_MIXER_DELTA] = &wlmi_mixer_delta,
};

const wlmi_mixer *wlmi_mixer_of(wlmi_mixer_kind kind)
{
    return table[kind];
}

wlmi_mixer_kind wlmi_mixer_find(const char *name)
{
    int kind = 0;
    while (kind < WLMI_MIXER_KINDS && strcmp(table[kind]->name, name))
        kind++;
    return (wlmi_mixer_kind)kind;
}
