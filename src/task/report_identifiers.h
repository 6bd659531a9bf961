/* report_identifiers.h: what names people and machines: addresses, hosts' names, credentials; and what of that
 * generated flows have from training. */
#ifndef WLMI_REPORT_IDENTIFIERS_H
#define WLMI_REPORT_IDENTIFIERS_H

#include <jansson.h>

#include "task/report_flows.h"

typedef enum wlmi_identifier {
    WLMI_ID_ADDRESS,    /* IP addresses of headers, and IPv4 addresses as text in payload; documentation ranges and
                           addresses that are no host's do not count */
    WLMI_ID_MAC,        /* of Ethernet headers; broadcast, multicast and locally administered ones do not count */
    WLMI_ID_NAME,       /* DNS questions, TLS server names, HTTP hosts */
    WLMI_ID_CREDENTIAL, /* values of Authorization, Cookie, Set-Cookie, USER, PASS */
    WLMI_IDENTIFIERS
} wlmi_identifier;

/* Calls found(user, kind, text, length) for every identifier of a packet; names in small letters. Stops at the first
 * status other than WLM_OK and gives it. */
typedef wlm_status wlmi_identifier_fn(void *user, wlmi_identifier kind, const char *text, size_t length,
                                      wlm_error *error);
wlm_status wlmi_identifiers_of(const wlm_packet *packet, wlmi_identifier_fn *found, void *user, wlm_error *error);

/* For each kind: how many distinct ones the generated flows have, how many of them occur in training, the first few of
 * those; and the same counts of the real flows. */
wlm_status wlmi_report_identifiers(const wlmi_flow_view *real, const wlmi_flow_view *fake,
                                   const wlmi_flow_view *train, json_t **report, wlm_error *error);

#endif
