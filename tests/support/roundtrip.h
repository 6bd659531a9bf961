/* roundtrip.h: packets through the codec `fields` and back: same packets, same roles, segments and grammar. */
#ifndef WLMI_TEST_ROUNDTRIP_H
#define WLMI_TEST_ROUNDTRIP_H

#include "support/hostile.h"
#include "token/codec.h"

typedef struct roundtrip {
    wlmi_coder *writer, *reader;
    wlmi_tokens tokens; /* of the last one */
} roundtrip;

void roundtrip_make(roundtrip *r);
void roundtrip_drop(roundtrip *r);
/* NULL, or what went wrong. */
const char *roundtrip_encode(wlmi_coder *coder, const wlmi_coder_options *options, const hostile_packets *packets,
                             wlmi_tokens *out);
const char *roundtrip_try(roundtrip *r, const wlmi_coder_options *options, const hostile_packets *packets);
/* Leaves out packets as long as it still goes wrong, shows the rest and fails. */
void roundtrip_shrink(roundtrip *r, const wlmi_coder_options *options, const hostile_packets *packets, uint64_t seed);

#endif
