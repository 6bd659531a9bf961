/* dns.h: which byte can come next in a DNS message (RFC 1035) of a known size: so that records end where the message
 * ends, names where their data ends, and pointers go back to names. mDNS and LLMNR look the same. */
#ifndef WLMI_DNS_H
#define WLMI_DNS_H

#include "token/dns_asked.h"

/* row: a bit for each byte that can follow message [have < size]. 0: what is there is no DNS message of that size, or
 * none that this knows (a standard query or its answer, of 15 questions and 255 records at most, of types and
 * classes in use); row is left alone.
 * Of the header any protocol may have the first bytes: only the caller knows whether to heed what is said of them. Reads
 * the message from its beginning. Where the other direction asked, and a query's question has room, it is the answer to
 * one: it has its number and its question. asked may be NULL. */
int wlmi_dns_next(const uint8_t *message, uint32_t have, uint32_t size, const wlmi_dns_asked *asked, int direction,
                  uint64_t row[4]);
/* Whether what is there, if wlmi_dns_next() knows it, is likely to be DNS and not another protocol: a whole header; or one
 * question, that asks for recursion or is answered. */
int wlmi_dns_begins(const uint8_t *message, uint32_t have);

#endif
