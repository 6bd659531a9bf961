/* prompt.h: flows as training and query sequences.
 * plain     <flow> tokens... end
 * classify  <flow> tokens...        <ask> <task>  -> label   (softmax over that task's labels; any whole number of
 *                                                             packets may stand before <ask>)
 * generate  <task> <label> tokens... end */
#ifndef WLMI_PROMPT_H
#define WLMI_PROMPT_H

#include "model/model.h"
#include "task/shard.h"
#include "capture/hide.h"

typedef enum wlmi_prompt { WLMI_PROMPT_PLAIN, WLMI_PROMPT_CLASSIFY, WLMI_PROMPT_GENERATE } wlmi_prompt;

typedef struct wlmi_view { /* how packets become tokens: an option of train and evaluate, never of import */
    const wlmi_codec *codec;
    wlm_hide hide;
    uint32_t payload;
    uint32_t max_packets; /* 0: as many as fit */
    int context;          /* rows per sequence */
} wlmi_view;

/* One sequence being built, then many of them packed: the arrays behind a wlmi_batch. */
typedef struct wlmi_rows {
    int tokens, capacity;
    int32_t *id, *packet, *role, *target, *first, *last;
    float *weight;
    int32_t *starts; /* [segments + 1] */
    int segments, segment_capacity;
} wlmi_rows;
void wlmi_rows_clear(wlmi_rows *rows);
void wlmi_rows_free(wlmi_rows *rows);
wlmi_batch wlmi_rows_batch(const wlmi_rows *rows);

typedef struct wlmi_prompter wlmi_prompter; /* hider, coder and buffers */
wlm_status wlmi_prompter_new(wlmi_prompter **prompter, const wlmi_view *view, const wlmi_net *net, wlm_error *error);
/* Appends one segment for a flow. key: hiding and cut points derive from it. task, label: indices in the net (label -1
 * for a query without a known answer: no loss). packets_used: how many packets went in (may be NULL). */
wlm_status wlmi_prompter_append(wlmi_prompter *prompter, const wlmi_dataset *data, uint64_t flow, wlmi_prompt prompt,
                                int task, int label, uint64_t key, wlmi_rows *rows, uint64_t *packets_used,
                                wlm_error *error);
void wlmi_prompter_free(wlmi_prompter *prompter);

#endif
