/* recall.h: what a stream has shown already, mixed into what a model says of its next token, so that what repeats is
 * cheap however long ago it stood.
 *
 * A token is told as binary decisions, the highest bit of its number first. Of each, the model's share of the tokens
 * that remain, counts of what followed the same context in this stream, and what followed the longest match, are mixed
 * in the logistic domain by weights that learn as they go (Mahoney, Adaptive Weighing of Context Models for Lossless Data
 * Compression, 2005). Everything that adapts begins anew with each stream, so that a stream can be decoded without any
 * other. What the grammar forbids stays impossible. */
#ifndef WLMI_RECALL_H
#define WLMI_RECALL_H

#include "token/codec.h"

typedef struct wlmi_recall wlmi_recall;

/* For tokens below `vocabulary`. Takes 36 MiB. */
wlm_status wlmi_recall_new(wlmi_recall **recall, uint32_t vocabulary, wlm_error *error);
/* Begins a stream: nothing has been seen. */
void wlmi_recall_start(wlmi_recall *recall);
/* *bits: -log2 of the mixed probability of the stream's next token, which is allowed and then known. logits [vocabulary]:
 * the model's; those of tokens that are not allowed are not read. */
wlm_status wlmi_recall_take(wlmi_recall *recall, const float *logits, const wlmi_allowed *allowed, uint8_t role,
                            wlmi_token token, double *bits, wlm_error *error);
/* The token last taken ended a packet. */
void wlmi_recall_border(wlmi_recall *recall);
void wlmi_recall_free(wlmi_recall *recall);

#endif
