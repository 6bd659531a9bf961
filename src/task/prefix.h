/* prefix.h: what a model sees of one flow, taken in packet by packet in bounded memory: the same tokens as a classify
 * prompt has (prompt.h), kept without the packets. Hider and coder are lent to a flow from a pool until it has all
 * the packets that the model uses. */
#ifndef WLMI_PREFIX_H
#define WLMI_PREFIX_H

#include "task/prompt.h"

typedef struct wlmi_prefixes wlmi_prefixes; /* the pool, and the view it serves */

typedef struct wlmi_prefix {       /* one flow's part; zero-initialise */
    struct wlmi_encoder *encoder;  /* NULL before the first packet and once complete */
    wlmi_tokens tokens;            /* each with the role of the token after it */
    uint64_t hide_key;             /* what stands for hidden names derives from it; set it before the first packet */
    uint8_t first_role;            /* of the first of them */
    uint32_t packets;              /* of which tokens are there */
    uint8_t complete;              /* takes no more */
    uint8_t clipped;               /* bytes of a packet were not shown: payload limit, capture length or context */
} wlmi_prefix;

wlm_status wlmi_prefixes_new(wlmi_prefixes **pool, const wlmi_view *view, wlm_error *error);
/* Takes the flow's next packet, if the model still uses it. On failure the prefix is as before, or complete. */
wlm_status wlmi_prefix_take(wlmi_prefixes *pool, wlmi_prefix *prefix, const wlm_flow_key *key,
                            const wlm_packet *packet, wlm_error *error);
/* No more packets will come: gives hider and coder back. */
void wlmi_prefix_end(wlmi_prefixes *pool, wlmi_prefix *prefix);
void wlmi_prefix_free(wlmi_prefixes *pool, wlmi_prefix *prefix);
void wlmi_prefixes_free(wlmi_prefixes *pool);

enum { WLMI_QUERY_ROWS = 3 }; /* rows of a query that are no tokens: <flow>, <ask>, <task> */

/* Appends the classify prompt of a prefix as one segment, or what of it stands behind its first `from` rows. */
wlm_status wlmi_prefix_ask(const wlmi_prefix *prefix, const wlmi_net *net, const wlmi_codec *codec, size_t from,
                           int task, wlmi_rows *rows, wlm_error *error);

/* Appends rows [from, to) of <flow> and the tokens behind it as one segment. */
wlm_status wlmi_prefix_rows(const wlmi_prefix *prefix, const wlmi_codec *codec, size_t from, size_t to, wlmi_rows *rows,
                            wlm_error *error);

#endif
