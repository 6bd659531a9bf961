/* report_tcp.h: follows the two ends of a TCP flow and says what a correct pair of hosts would not have sent: RFC 9293.
 * It knows nothing of codecs. */
#ifndef WLMI_REPORT_TCP_H
#define WLMI_REPORT_TCP_H

#include "capture/decode.h"

enum { /* bits: what is wrong with a packet */
    WLMI_TCP_HANDSHAKE = 1,    /* out of the order SYN, SYN-ACK, ACK, or acknowledging another number than SYN's */
    WLMI_TCP_GAP = 2,          /* begins behind what was sent: bytes are missing */
    WLMI_TCP_OVERLAP = 4,      /* begins before it: sent again, or never moved on; keep-alives do not count */
    WLMI_TCP_ACK_UNSEEN = 8,   /* acknowledges what the other end has not sent */
    WLMI_TCP_ACK_BACK = 16,    /* acknowledges less than before */
    WLMI_TCP_NO_ACK = 32,      /* neither SYN nor RST, and acknowledges nothing */
    WLMI_TCP_AFTER_CLOSE = 64, /* data behind the sender's own FIN or RST */
    WLMI_TCP_SEQUENCE = WLMI_TCP_GAP | WLMI_TCP_OVERLAP | WLMI_TCP_ACK_UNSEEN | WLMI_TCP_ACK_BACK |
                        WLMI_TCP_AFTER_CLOSE
};

typedef enum wlmi_tcp_opening {
    WLMI_TCP_NOTHING, /* no packet yet */
    WLMI_TCP_MIDSTREAM, WLMI_TCP_SYN_SENT, WLMI_TCP_SYN_ANSWERED, WLMI_TCP_OPEN
} wlmi_tcp_opening;

typedef struct wlmi_tcp_end {
    int seen, acked, closed; /* packets of it; one with ACK; FIN or RST */
    uint32_t start, next;    /* of its sequence numbers: the first, the one to come */
    uint32_t ack;            /* the last */
} wlmi_tcp_end;

typedef struct wlmi_tcp_flow { /* zero-initialise */
    wlmi_tcp_opening opening;
    int opener;                /* the end that sent the first SYN */
    wlmi_tcp_end end[2];
} wlmi_tcp_flow;

/* The flow's next packet, from end 0 or 1: bits of the above. A packet whose header is cut has none. */
unsigned wlmi_tcp_follow(wlmi_tcp_flow *flow, int from, const wlm_packet *packet, const wlmi_headers *headers);

#endif
