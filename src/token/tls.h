/* tls.h: which byte can come next in what one side of a TLS connection sends (RFC 5246, RFC 8446), a segment at a time
 * and in order: so that records end where segments end, and hellos and certificates where their records do. */
#ifndef WLMI_TLS_H
#define WLMI_TLS_H

#include "token/tls_exchange.h"

typedef struct wlmi_tls_side {
    uint8_t begun;    /* it has sent something */
    uint8_t is_tls;   /* its last segment was records */
    uint8_t has_certificate, has_finished;
    uint8_t sender;   /* client or server; 0: not known */
    uint8_t stage;    /* of the handshake: how far its messages have come */
    uint8_t ciphered; /* what it sends cannot be read any more */
    uint8_t record, message;                  /* types of those that the last segment's end cut off */
    uint32_t record_left, message_left, part_left; /* bytes of them to come; of a certificate in a message */
} wlmi_tls_side;

typedef struct wlmi_tls { /* zero-initialise */
    wlmi_tls_agreed agreed;
    wlmi_tls_side side[2];
} wlmi_tls;

/* Payload of a segment from side `from`. pushed: its sender had no more to send at the time. */
typedef struct wlmi_tls_segment {
    const uint8_t *payload;
    uint32_t size;
    int from, pushed;
} wlmi_tls_segment;

/* row: a bit for each byte that can follow the first `have` of the segment's bytes, have < size. 0: what is there is no
 * TLS, or that is not clear yet; row is left alone. What comes behind records, or answers a hello, is held to be TLS from
 * its first byte, other payload from its fourth. */
int wlmi_tls_next(const wlmi_tls *tls, const wlmi_tls_segment *segment, uint32_t have, uint64_t row[4]);
/* Takes note of a segment of which `have` bytes are known. */
void wlmi_tls_said(wlmi_tls *tls, const wlmi_tls_segment *segment, uint32_t have);

#endif
