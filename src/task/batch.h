/* batch.h: the stream of packed batches that training reads: a pure function of data, net, view, options and cursor,
 * so that a run resumes by storing one number.
 *
 * Sequence i of the stream has a kind of prompt, by the shares, and a flow of the train parts: for plain, every flow of
 * every folder once per epoch, in a seeded order; for classify and generate, flows with a label (labelled.h).
 *
 * In unit capture there are plain prompts only, over pieces of whole captures (pieces.h): each packet of the train parts
 * begins one piece per epoch, in a seeded order. */
#ifndef WLMI_BATCH_H
#define WLMI_BATCH_H

#include "task/pieces.h"

typedef struct wlmi_batch_options {
    double plain, classify, generate; /* shares of the sequences, >= 0, not all 0; need not sum to 1 */
    double balance;                   /* 0: labels of a task as frequent as they are, 1: all equally often; default 0.5 */
    double task_balance;              /* the same for tasks by their flows; default 0.5 */
    const char *task_shares;          /* "device=1,service=2": instead; names all tasks that have flows. NULL: none */
    uint64_t per_label;               /* labelled flows of each label that are used, chosen by `draw`; 0: all */
    uint64_t draw;
    const char *leave_out;            /* "a,b": flows with these labels stand in plain prompts only. NULL: none */
    int tokens;                       /* most rows in a batch; at least the view's context */
    uint64_t seed;
} wlmi_batch_options;
wlmi_batch_options wlmi_batch_options_default(void); /* plain only, 4096 tokens, seed 1 */

/* Whether a list "a,b" (NULL: an empty one) names the label. */
int wlmi_batch_leaves_out(const char *list, const char *label);

typedef struct wlmi_batches wlmi_batches;

/* Folders, net and the view's codec are borrowed. A folder with a task needs that task, with all the folder's labels
 * but those left out, in the net where classify or generate has a share (wlmi_net_add_task first).
 * WLM_ERR_ARGUMENT where a share has no training flow to draw from, or options contradict each other. */
wlm_status wlmi_batches_new(wlmi_batches **batches, const wlmi_dataset *const *data, size_t count, const wlmi_net *net,
                            const wlmi_view *view, const wlmi_batch_options *options, wlm_error *error);
/* Clears rows and fills them with the sequences from *cursor on (0 at the beginning), as many as fit whole; *cursor
 * moves to the first that did not. The stream never ends. */
wlm_status wlmi_batches_next(wlmi_batches *batches, uint64_t *cursor, wlmi_rows *rows, wlm_error *error);
/* The same over one part's flows, each once, as one kind of prompt, for a validation loss. The order is a mixed one, so
 * that the first flows are a sample of all folders and captures, but the same whatever the seed. Unit capture: over its
 * captures, a piece after the other. classify and generate pass over flows without a label. WLM_END, and no rows, at the
 * end. */
wlm_status wlmi_batches_sweep(wlmi_batches *batches, wlm_part part, wlmi_prompt prompt, uint64_t *cursor,
                              wlmi_rows *rows, wlm_error *error);
/* Flows of a part that a kind of prompt can use, over all folders; in unit capture, packets. */
uint64_t wlmi_batches_flows(const wlmi_batches *batches, wlm_part part, wlmi_prompt prompt);
void wlmi_batches_free(wlmi_batches *batches);

#endif
