/* stratum.h: what kind of traffic a flow is to someone who watches: readable, under TLS with its server's name or
 * without, QUIC, or something else. It goes by the bytes of the first packets, never by ports. */
#ifndef WLMI_STRATUM_H
#define WLMI_STRATUM_H

#include "capture/decode.h"

typedef enum wlmi_stratum {
    WLMI_STRATUM_PLAIN,    /* TCP or UDP with a payload that does not look like chance */
    WLMI_STRATUM_TLS_SNI,  /* TLS over TCP, and the client named the server where one can read it */
    WLMI_STRATUM_TLS,      /* TLS over TCP without that: none was sent, or no packet that holds it was captured */
    WLMI_STRATUM_QUIC,     /* a long header of a known version (RFC 8999, 9000, 9369, drafts, Google's) */
    WLMI_STRATUM_OTHER,    /* no TCP or UDP payload, or one whose bytes look like chance: unknown ciphers, compressed */
    WLMI_STRATA
} wlmi_stratum;
const char *wlmi_stratum_name(wlmi_stratum stratum); /* plain, tls_sni, tls_no_sni, quic, other */

enum {
    WLMI_STRATUM_PACKETS = 32,  /* of a flow are looked at */
    WLMI_STRATUM_SAMPLE = 2048, /* payload bytes that are counted */
    WLMI_STRATUM_HELLO = 8192   /* bytes of a TLS ClientHello that are put together */
};

typedef struct wlmi_stratum_watch { /* of one flow; zero-initialise */
    uint32_t packets, payload;
    uint32_t byte[256];         /* how often each was seen among the first payload bytes */
    int tls, quic, named;
    /* A ClientHello over several segments. */
    int gathering;
    uint16_t from_port;         /* who sends it, and the sequence number of its next byte */
    uint32_t next, size;
    uint8_t hello[WLMI_STRATUM_HELLO];
} wlmi_stratum_watch;

/* 0: no more packets are needed. */
int wlmi_stratum_take(wlmi_stratum_watch *watch, const wlm_packet *packet);
wlmi_stratum wlmi_stratum_of(const wlmi_stratum_watch *watch);

#endif
