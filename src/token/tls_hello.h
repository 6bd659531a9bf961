/* tls_hello.h: the bodies of TLS hellos (RFC 8446, 4.1 and 4.2): lists whose lengths add up, extensions in use. */
#ifndef WLMI_TLS_HELLO_H
#define WLMI_TLS_HELLO_H

#include "token/reader.h"
#include "token/tls_exchange.h"

enum { WLMI_TLS_CLIENT_HELLO = 1, WLMI_TLS_SERVER_HELLO = 2 };
enum { WLMI_TLS_CLIENT_LEAST = 41, WLMI_TLS_SERVER_LEAST = 38 }; /* bytes of the shortest */
enum { WLMI_TLS_SERVER_1_3 = 81 }; /* from here on it has room for what TLS 1.3 needs */

/* The bodies of hellos, from the reader's place to `end`; that may lie behind what there is to be. A server agrees to a
 * suite that can be. */
wlmi_progress wlmi_tls_read_client_hello(wlmi_reader *r, uint32_t end);
wlmi_progress wlmi_tls_read_server_hello(wlmi_reader *r, wlmi_can_be can_agree, const void *context, uint32_t end);
/* What a server's hello, whose body is from `body` to the reader's place or behind it, agrees to; zero where the reader
 * broke off before that. */
wlmi_tls_agreed wlmi_tls_agreed_by(const wlmi_reader *r, uint32_t body);

#endif
