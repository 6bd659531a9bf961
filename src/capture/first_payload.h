/* first_payload.h: what the first payload of a flow looks like, and whom the flow goes to: enough to give a generated
 * flow ports that programs which read it expect. */
#ifndef WLMI_FIRST_PAYLOAD_H
#define WLMI_FIRST_PAYLOAD_H

#include "wirelm.h"

typedef enum wlmi_first { /* numbers stand in checkpoints: new ones go to the end */
    WLMI_FIRST_NONE,      /* no packet has payload */
    WLMI_FIRST_OTHER,
    WLMI_FIRST_DNS,       /* a message of RFC 1035, over UDP or, behind its length, TCP */
    WLMI_FIRST_MDNS,      /* one with the id and flags of RFC 6762 */
    WLMI_FIRST_NETBIOS,   /* one about a NetBIOS name, RFC 1002 */
    WLMI_FIRST_TLS,       /* a handshake record */
    WLMI_FIRST_HTTP,      /* a request or a response */
    WLMI_FIRST_NTP,       /* 48 bytes, RFC 5905 */
    WLMI_FIRST_DHCP,      /* BOOTP with the cookie of RFC 2131 */
    WLMI_FIRST_SSDP,      /* HTTP over UDP */
    WLMI_FIRST_QUIC,      /* a long header, RFC 8999 */
    WLMI_FIRST_SSH,       /* RFC 4253, 4.2 */
    WLMI_FIRST_DNS_TURNED, /* the same, in a flow whose first packet is the server's */
    WLMI_FIRST_TLS_TURNED,
    WLMI_FIRST_HTTP_TURNED,
    WLMI_FIRST_COUNT
} wlmi_first;

/* proto: 6 or 17. Never one that is turned. */
wlmi_first wlmi_first_of(int proto, const uint8_t *payload, uint32_t size);
/* The port that such payload is registered for (IANA); 0: none. */
uint16_t wlmi_first_port(wlmi_first first);
int wlmi_first_is_turned(wlmi_first first);

typedef struct wlmi_look { /* zero before a flow's first packet */
    uint8_t proto;         /* of the first IP packet; 0: none yet */
    uint8_t group;         /* it goes to a group or broadcast address */
    uint8_t address[16];   /* who sent it */
    uint16_t port;
    wlmi_first first;
} wlmi_look;

/* Takes a flow's next packet, hidden or not. 1: there is no more to learn. */
int wlmi_look_at(wlmi_look *look, const wlm_packet *packet);
int wlmi_is_group(const uint8_t *address, uint32_t length); /* or broadcast */

#endif
