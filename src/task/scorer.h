/* scorer.h: what streams of packets cost a model: -log2 p of every token, the softmax taken over what the grammar
 * allows.
 *
 * A stream is shown in pieces that fit the view's context, cut at packet borders, each coded afresh, so that every
 * packet counts, under any codec. A packet that does not fit alone goes on in the next piece. Short pieces share batches; a
 * piece longer than a batch goes through a recurrent state, so that a context of any length is exact. */
#ifndef WLMI_SCORER_H
#define WLMI_SCORER_H

#include "task/prompt.h"
#include "task/tally.h"

typedef struct wlmi_scorer wlmi_scorer;

typedef struct wlmi_scorer_options {
    int rows;        /* of a batch */
    int same_tokens; /* pieces are not coded afresh: the model forgets, the codec does not, and any context is measured
                        on the same tokens */
    int recall;      /* what a stream has shown is mixed into what the model says (recall.h); the most likely token stays
                        the model's own */
    wlm_stop *stop;  /* WLM_STOPPED where it is seen; may be NULL */
} wlmi_scorer_options;

/* Net and view are borrowed; of the view codec, payload, context and unit are read: packets come as they are to be
 * shown. */
wlm_status wlmi_scorer_new(wlmi_scorer **scorer, wlmi_net *net, const wlmi_view *view,
                           const wlmi_scorer_options *options, wlm_error *error);
/* Begins a stream. also: what its tokens cost is added there too, at the latest by wlmi_scorer_flush(); may be NULL. */
void wlmi_scorer_start(wlmi_scorer *scorer, double *also);
/* The stream's next packet. flow: of the packet, a small number; 0 in unit flow. */
wlm_status wlmi_scorer_packet(wlmi_scorer *scorer, const wlm_packet *packet, size_t flow, int backward,
                              wlm_error *error);
/* Ends the stream, with an end token unless end is NULL. One without packets is none. */
wlm_status wlmi_scorer_end(wlmi_scorer *scorer, const wlmi_end *end, wlm_error *error);
/* Pays for what waits. */
wlm_status wlmi_scorer_flush(wlmi_scorer *scorer, wlm_error *error);
const wlmi_tally *wlmi_scorer_tally(const wlmi_scorer *scorer);
double wlmi_scorer_own_bits(const wlmi_scorer *scorer); /* all tokens, without recall */
uint64_t wlmi_scorer_tokens(const wlmi_scorer *scorer); /* paid for */
uint64_t wlmi_scorer_pieces(const wlmi_scorer *scorer);
void wlmi_scorer_free(wlmi_scorer *scorer);

/* -log2 of the token's share of the softmax over what is allowed; *best: the most likely token, the lowest of equals.
 * scratch: [vocabulary]. */
double wlmi_token_bits(const float *logits, const wlmi_allowed *allowed, wlmi_token token, float *scratch,
                       wlmi_token *best);

#endif
