/* model.h: tiny models and random packed batches for tests. */
#ifndef WLMI_TEST_MODEL_H
#define WLMI_TEST_MODEL_H

#include "model/place.h"

/* Shrunk to a few hundred parameters per layer but of the preset's kind; 11 tokens, packet and role rows where asked.
 * "mixed": window and linear heads, and in every second layer full ones. "reversible": wire-nano with token shift and two
 * streams. */
wlmi_config test_config(const char *preset);
/* A net of it with tasks "app" (3 labels) and "vpn-use" (2 labels). Fails the test where it cannot. */
wlmi_net *test_net(const char *preset, const wlmi_backend *backend);
/* Trees at random for its summary. */
void test_fill_summary(wlmi_net *net);

typedef struct test_batch {
    wlmi_batch batch;
    int64_t measure[256];
    int32_t id[256], packet[256], role[256], target[256], first[256], last[256], starts[17];
    float weight[256];
} test_batch;
/* Segments of these lengths (0 ends the list) filled from the seed: random rows; next-token targets over the tokens,
 * and at each segment's end a label of one of the tasks. */
void test_batch_fill(test_batch *b, const wlmi_net *net, const int *lengths, uint64_t seed);
/* Has each of its segments ask for its label. */
void test_batch_ask(test_batch *b, const wlmi_net *net);
/* Segment s of it as a batch of its own. */
wlmi_batch test_batch_segment(const test_batch *b, int s, int32_t one_start[2]);

#endif
