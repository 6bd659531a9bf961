/* tls_exchange.h: the bodies of the messages in which TLS 1.2 and its forerunners agree on keys (RFC 5246, 7.4; RFC 8422),
 * which depend on the suite that the server chose. */
#ifndef WLMI_TLS_EXCHANGE_H
#define WLMI_TLS_EXCHANGE_H

#include "token/reader.h"

enum { /* types of messages */
    WLMI_TLS_SERVER_EXCHANGE = 12,
    WLMI_TLS_CERTIFICATE_REQUEST = 13,
    WLMI_TLS_CERTIFICATE_VERIFY = 15,
    WLMI_TLS_CLIENT_EXCHANGE = 16
};

enum { WLMI_TLS_1_3_SUITE = 0x1301 /* one of those whose first byte is that */ };

typedef struct wlmi_tls_agreed { /* zero: nothing yet */
    uint16_t suite;
    uint8_t minor; /* of the version: 3 is TLS 1.2, or what says in an extension that it is more */
} wlmi_tls_agreed;

/* Whether no message can be read behind the hellos: TLS 1.3. */
int wlmi_tls_ends_with_hello(const wlmi_tls_agreed *agreed);
/* Whether a message of one of the types above can be so long. */
int wlmi_tls_exchange_fits(const wlmi_tls_agreed *agreed, unsigned type, uint32_t size);
/* One of them, from the reader's place to `end`; of suites that are not known, and of other types, any bytes. */
wlmi_progress wlmi_tls_read_exchange(wlmi_reader *r, const wlmi_tls_agreed *agreed, unsigned type, uint32_t end);

#endif
