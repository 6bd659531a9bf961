/* sources.h: which captures an import reads. */
#ifndef WLMI_SOURCES_H
#define WLMI_SOURCES_H

#include "task/labels.h"

typedef struct wlmi_source {
    char *path;          /* as it was given or found */
    char *name;          /* below the folder that was given, or as the CSV writes it: does not change when data moves */
    char *folder;        /* name of the folder that it stands in */
    uint32_t label_file; /* number in labels->paths, or WLMI_NO_STRING */
    int found;           /* by walking a folder: may well be no capture */
} wlmi_source;

typedef struct wlmi_sources { /* zero-initialise */
    wlmi_source *item;
    size_t count, capacity;
    wlmi_strings seen;   /* resolved paths: no file is read twice */
    uint64_t missing;    /* files that the CSV names beside the paths, but that do not exist */
    char missing_first[256];
} wlmi_sources;

/* Files of the paths, folders walked; without paths, the files of the CSV, where one that does not exist is
 * WLM_ERR_FORMAT (with paths it is but counted: the CSV may tell of more than is at hand). labels may be NULL. */
wlm_status wlmi_sources_gather(wlmi_sources *sources, const char *const *paths, size_t count,
                               const wlmi_labels *labels, wlm_error *error);
void wlmi_sources_free(wlmi_sources *sources);

#endif
