/* fields_raw.h: what the raw packets of a stream are expected to be, from those before: their bytes, their length, and
 * whether they end with a right frame check sequence. */
#ifndef WLMI_FIELDS_RAW_H
#define WLMI_FIELDS_RAW_H

#include "wirelm.h"

enum {
    WLMI_RAW_EXPECTED = 256, /* bytes of a packet that are predicted: its first */
    WLMI_RAW_CONTEXTS = 4,
    WLMI_RAW_SLOTS = 2048,
    WLMI_RAW_STATES = 16,
    WLMI_RAW_LENGTHS = 64
};

typedef struct wlmi_raw_guess { /* what came in a context */
    uint8_t check; /* of the context's hash, odd; 0: nothing came yet */
    uint8_t byte;  /* that came last */
    uint8_t step;  /* from the one before */
    uint8_t state; /* how steady it was */
} wlmi_raw_guess;

typedef struct wlmi_raw_contexts { /* of a byte: where in the table they are */
    uint16_t slot[WLMI_RAW_CONTEXTS];
    uint8_t check[WLMI_RAW_CONTEXTS];
} wlmi_raw_contexts;

typedef struct wlmi_raw {
    wlmi_raw_guess guess[WLMI_RAW_CONTEXTS][WLMI_RAW_SLOTS];
    uint16_t trust[WLMI_RAW_CONTEXTS][WLMI_RAW_STATES]; /* how often such a guess was right, of 65536 */
    uint32_t next_length[WLMI_RAW_LENGTHS];             /* the one that came last after a length, by its hash */
    uint32_t length;                                    /* of the last packet */
    uint32_t check_start;                               /* that made the last check right, where it is open */
    uint8_t unchecked;                                  /* the last packet that could end with a check did not */
    uint64_t packets;
    wlmi_raw_contexts contexts[WLMI_RAW_EXPECTED];      /* of the packet being told */
} wlmi_raw;

void wlmi_raw_clear(wlmi_raw *raw);
/* The byte expected at `at` < WLMI_RAW_EXPECTED, after those before it, the only ones that need be there. */
uint8_t wlmi_raw_expect(wlmi_raw *raw, const wlm_packet *packet, uint32_t at);
uint32_t wlmi_raw_length(const wlmi_raw *raw, uint32_t link_type);
/* Whether the packet ends with the check that is expected; it must be able to. */
int wlmi_raw_checked(const wlmi_raw *raw, const wlm_packet *packet);
/* Takes in a packet; each of its first bytes must have been asked for, but for a right check. */
void wlmi_raw_learn(wlmi_raw *raw, const wlm_packet *packet);

#endif
