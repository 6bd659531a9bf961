/* labels.h: a CSV of labels, and which of its lines a flow belongs to.
 * Columns by name, in any order: path, label, src_ip, src_port, dst_ip, dst_port, proto, split, capture.
 * docs/DATA.md is the reference. */
#ifndef WLMI_LABELS_H
#define WLMI_LABELS_H

#include "task/csv.h"
#include "task/strings.h"

typedef struct wlmi_label_line {
    uint64_t line;       /* in the CSV, from 1 */
    uint32_t file;       /* number in labels->paths */
    const char *label;   /* NULL: none given */
    const char *capture; /* NULL: none given */
    wlm_part part;       /* WLM_PART_NONE: none given */
    wlm_flow_key key;    /* of the 5-tuple, what `given` names */
    uint8_t given;       /* bits: src_ip, dst_ip, src_port, dst_port, proto */
    uint64_t hash;       /* of a complete 5-tuple, else 0 */
    int matched;
} wlmi_label_line;

typedef struct wlmi_labels {
    wlmi_csv csv;
    wlmi_strings paths;  /* of the files that the CSV names, resolved; in order of appearance */
    wlmi_strings names;  /* the same as the CSV writes them (one for each of paths) */
    wlmi_label_line *item;
    size_t count, capacity;
    size_t *first;       /* [paths + 1]: lines of a file are first[file] .. first[file + 1] - 1 of item */
    wlmi_label_line *agreed; /* [paths]: part and capture where all lines of a file give the same; nothing else */
    int has_split, has_capture;
    char unknown[128];   /* columns that mean nothing here, or empty */
    uint64_t no_address; /* lines left out: their src_ip or dst_ip is no address */
    char no_address_first[160];
} wlmi_labels;

/* Reads the CSV. need_label: the label column must be there. A path that does not exist stays as it is, behind the
 * CSV's folder. */
wlm_status wlmi_labels_open(wlmi_labels *labels, const char *path, int need_label, wlm_error *error);
/* The line for a flow of a file: the one that names most about it, the first of those; NULL where none does. */
wlmi_label_line *wlmi_labels_match(wlmi_labels *labels, uint32_t file, const wlm_flow_key *key);
/* The first line of the CSV that names a file. */
uint64_t wlmi_labels_first_line(const wlmi_labels *labels, uint32_t file);
void wlmi_labels_close(wlmi_labels *labels);

/* Hash of a 5-tuple, the same for both directions; interface and link type do not count, nor do ports where the
 * protocol has none. Never 0. */
uint64_t wlmi_tuple_hash(const wlm_flow_key *key);

/* path where it is absolute, else folder/path; where that exists, without links, "." and "..".
 * NULL where memory is out. */
char *wlmi_resolve(const char *folder, const char *path);

#endif
