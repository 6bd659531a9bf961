/* dns_asked.h: the queries of a flow that wait for an answer (RFC 1035), so that one that is written can be made to fit. */
#ifndef WLMI_DNS_ASKED_H
#define WLMI_DNS_ASKED_H

#include <stdint.h>

enum { WLMI_DNS_HEADER = 12, WLMI_DNS_ANSWER = 0x80 /* in its third byte */ };
enum { WLMI_DNS_NAME = 255, WLMI_DNS_LABEL = 63 }; /* the longest */
enum { WLMI_DNS_QUESTION = 4 }; /* bytes behind the name */
enum { WLMI_DNS_ASKED = 4 };

/* Queries of a flow that no answer came to yet: those with one question, of class IN, whose name is told in full. */
typedef struct wlmi_dns_query {
    uint8_t id[2], question[WLMI_DNS_NAME + WLMI_DNS_QUESTION];
    uint16_t size; /* of the question */
    uint8_t direction;
} wlmi_dns_query;

typedef struct wlmi_dns_asked { /* zero-initialise */
    wlmi_dns_query query[WLMI_DNS_ASKED]; /* the latest last */
    int count;
} wlmi_dns_asked;

/* Takes note of a message of that direction: a query is kept, the oldest making room; an answer strikes its query out. */
void wlmi_dns_said(wlmi_dns_asked *asked, const uint8_t *message, uint32_t size, int direction);

#endif
