/* dns.h: which byte can come next in a DNS message (RFC 1035) of a known size: so that records end where the message
 * ends, names where their data ends, and pointers go back to names. mDNS and LLMNR look the same. */
#ifndef WLMI_DNS_H
#define WLMI_DNS_H

#include <stdint.h>

enum { WLMI_DNS_HEADER = 12 };

/* row: a bit for each byte that can follow message [have < size]. 0: anything can, as what is there is no header that
 * size bytes can follow, or no DNS; row is left alone. Reads the message from its beginning. */
int wlmi_dns_next(const uint8_t *message, uint32_t have, uint32_t size, uint64_t row[4]);

#endif
