/* recordings.h: captures one after the other, each in memory: from files and folders, or from what imported folders
 * hold of them; all, or a seeded sample. */
#ifndef WLMI_RECORDINGS_H
#define WLMI_RECORDINGS_H

#include "task/recording.h"
#include "task/shard.h"

typedef struct wlmi_recordings_options {
    const char *const *path; /* captures and folders of captures; or */
    size_t paths;
    const char *const *data; /* imported folders */
    size_t datas;
    wlm_part part;           /* of imported flows */
    wlm_unit unit;           /* of what stands beside the tokens */
    uint64_t bytes, flows;   /* ends with the packet that reaches so many bytes of pcap files; takes no more flows than
                                that; 0: all. Either makes the order of captures one that the seed draws */
    uint64_t seed;
    wlm_stop *stop;
} wlmi_recordings_options;

typedef struct wlmi_recordings wlmi_recordings;

typedef struct wlmi_recordings_report {
    uint64_t files, skipped, damaged; /* read; in folders, but no captures; broken off somewhere */
    wlm_error damage;                 /* the first */
    uint64_t bytes, flows, packets;
} wlmi_recordings_report;

/* Options are borrowed. */
wlm_status wlmi_recordings_new(wlmi_recordings **recordings, const wlmi_recordings_options *options, wlm_error *error);
/* WLM_OK and the next capture that has packets, not hidden yet; or WLM_END. *file: its place among all in their own
 * order, by which its flows are hidden; *name: borrowed. Of a damaged one what stands before the damage. */
wlm_status wlmi_recordings_next(wlmi_recordings *recordings, wlmi_recording *recording, uint64_t *file,
                                const char **name, wlm_error *error);
const wlmi_recordings_report *wlmi_recordings_reported(const wlmi_recordings *recordings);
void wlmi_recordings_free(wlmi_recordings *recordings);

#endif
