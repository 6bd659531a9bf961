/* io.h: byte streams from files, pipes and memory, decompressed on the way; files written whole or not at all. */
#ifndef WLMI_IO_H
#define WLMI_IO_H

#include "base/status.h"

/* ---- input: plain, gzip (members may follow each other) or zstd (frames may follow each other), told by content */

typedef struct wlmi_input wlmi_input;

/* "-" is standard input. */
wlm_status wlmi_input_open(wlmi_input **input, const char *path, wlm_error *error);
/* Memory is borrowed until close; name is for errors. Compressed memory is decompressed too. */
wlm_status wlmi_input_open_memory(wlmi_input **input, const void *data, size_t size, const char *name,
                                  wlm_error *error);
/* Reads exactly `size` bytes unless the stream ends first; *got says how many.
 * A compressed stream that is damaged: what was decompressed before is given, then WLM_ERR_FORMAT. */
wlm_status wlmi_input_read(wlmi_input *input, void *out, size_t size, size_t *got, wlm_error *error);
/* Uncompressed bytes read so far. */
uint64_t wlmi_input_offset(const wlmi_input *input);
const char *wlmi_input_name(const wlmi_input *input);
void wlmi_input_close(wlmi_input *input);

/* ---- output: written to a temporary neighbour, renamed into place by finish */

typedef struct wlmi_output wlmi_output;

/* "-" is standard output (then finish flushes and discard does nothing).
 * A path ending in .gz or .zst is compressed. */
wlm_status wlmi_output_open(wlmi_output **output, const char *path, wlm_error *error);
wlm_status wlmi_output_write(wlmi_output *output, const void *data, size_t size, wlm_error *error);
uint64_t wlmi_output_offset(const wlmi_output *output); /* bytes written, before compression */
/* Flushes, syncs, renames, frees; on failure discards. */
wlm_status wlmi_output_finish(wlmi_output *output, wlm_error *error);
void wlmi_output_discard(wlmi_output *output);

/* ---- whole files */

/* A read-only memory map; size 0 is a valid map. */
typedef struct wlmi_map {
    const uint8_t *data;
    size_t size;
} wlmi_map;
wlm_status wlmi_map_open(wlmi_map *map, const char *path, wlm_error *error);
void wlmi_map_close(wlmi_map *map);

/* Files under path in bytewise order of their names, folders walked, hidden names skipped; a file gives itself.
 * Calls each(user, path) until it returns something other than WLM_OK. */
wlm_status wlmi_walk(const char *path, wlm_status (*each)(void *user, const char *path, wlm_error *error), void *user,
                     wlm_error *error);

/* Seconds on a clock that only moves forward. */
double wlmi_clock(void);
/* Seconds of processor time that all threads of the process have had. */
double wlmi_processor_clock(void);
/* The most memory that the process has held at once. */
uint64_t wlmi_peak_bytes(void);

#endif
