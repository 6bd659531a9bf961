/* prompt.h: flows as training and query sequences.
 * plain     <flow> tokens... end
 * classify  <flow> tokens...        <ask> <task>  -> label   (softmax over that task's labels; any whole number of
 *                                                             packets may stand before <ask>)
 * generate  <task> <label> tokens... end
 * A sequence holds whole packets only; where not even the first fits the context, as many of its tokens as do.
 * The end token stands only behind the flow's last packet. */
#ifndef WLMI_PROMPT_H
#define WLMI_PROMPT_H

#include "capture/hide.h"
#include "task/mix.h"
#include "task/rows.h"
#include "task/shard.h"

typedef enum wlmi_prompt { WLMI_PROMPT_PLAIN, WLMI_PROMPT_CLASSIFY, WLMI_PROMPT_GENERATE } wlmi_prompt;

typedef struct wlmi_view { /* how packets become tokens: an option of train and evaluate, never of import */
    const wlmi_codec *codec;
    wlm_hide hide;
    uint32_t payload;
    uint32_t max_packets; /* 0: as many as fit */
    int context;          /* rows per sequence, at least WLMI_MIN_CONTEXT */
    float flow_weight;    /* classify: weight of the loss on each flow token */
    float label_weight;   /* classify: weight of the loss on the label; 0: the default */
    int uncut;            /* classify: no flow is drawn short, only questions stand along it */
    uint64_t shuffle_fields; /* seed of the order of tags within packets, another for each draw; 0: not shuffled */
    wlm_unit unit;        /* capture: only where batches are made, of pieces (pieces.h) */
    wlmi_mixture mix;         /* what is drawn instead, but for draw 0; what is empty there is as above */
    int alter;            /* what befalls every flow, seeded by its hide_key: a wlmi_alteration, or -1 */
} wlmi_view;
enum { WLMI_MIN_CONTEXT = 16 };
/* Hide ids, full payload, no packet limit, not shuffled, context 1024, flow_weight 0.1, label_weight 50: a label counts
 * like 50 tokens, however long its flow. Nothing is mixed or altered. */
wlmi_view wlmi_view_default(const wlmi_codec *codec);

/* A flow from anywhere. get: packet j of `packets`, in capture order; data stays valid until the next call. */
typedef struct wlmi_flow_packets {
    const wlm_flow_key *key;
    uint64_t packets;
    wlm_flow_end end;
    uint64_t hide_key; /* stand-ins for hidden names and addresses derive from it */
    wlm_status (*get)(const void *user, uint64_t j, wlm_packet *packet, wlm_error *error);
    const void *user;
    int more;          /* the flow goes on behind these packets */
} wlmi_flow_packets;

typedef struct wlmi_prompter wlmi_prompter; /* hider, coder and buffers */
/* The net is borrowed; it may gain tasks. WLM_ERR_ARGUMENT where the codec cannot do what the view asks. */
wlm_status wlmi_prompter_new(wlmi_prompter **prompter, const wlmi_view *view, const wlmi_net *net, wlm_error *error);
/* Appends one segment for a flow; on failure rows are as before. task, label: indices in the net (label -1: a query
 * without a known answer, no loss on it; generate needs both).
 * draw: 0 shows the flow from its start, as much as fits. Anything else seeds a choice of what to show, in training:
 * classify, so that a label can be asked for after any packet: a quarter of the time a random number of packets, else
 * questions also behind the first, second, fourth ... packet (docs/DATA.md); one flow token in eight has a loss;
 * plain: a quarter of the time from a random packet on (so that the middle of long flows is seen).
 * Only then are fields shuffled, and hide policy, limits and alteration drawn, where the view says so: what is evaluated
 * or asked stands in the codec's own order and as the view's own policy and limits have it. What generate shows is what a
 * model is to write: unaltered, by the view's own policy, with the longest of the payload limits.
 * packets_used: how many packets went in, a cut one included (may be NULL). */
wlm_status wlmi_prompter_flow(wlmi_prompter *prompter, const wlmi_flow_packets *flow, wlmi_prompt prompt, int task,
                              int label, uint64_t draw, wlmi_rows *rows, uint64_t *packets_used, wlm_error *error);
/* The same for a flow of an imported folder; it is hidden by a key of its own place in the folder. */
wlm_status wlmi_prompter_append(wlmi_prompter *prompter, const wlmi_dataset *data, uint64_t flow, wlmi_prompt prompt,
                                int task, int label, uint64_t draw, wlmi_rows *rows, uint64_t *packets_used,
                                wlm_error *error);
void wlmi_prompter_free(wlmi_prompter *prompter);

/* The seed of the alteration that a view asks for, of a flow with this hide key. */
uint64_t wlmi_prompt_alter_seed(uint64_t hide_key);

/* Appends tokens, each the target of the row before it by this weight (0: of none); rows were reserved. */
void wlmi_prompt_tokens(wlmi_rows *rows, const wlmi_tokens *tokens, int32_t vocabulary, float weight);

#endif
