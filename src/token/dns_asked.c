/* dns_asked.c: a short list, the latest query last. */
#include "token/dns_asked.h"

#include <string.h>

#include "base/cursor.h"

/* Size of the only question of a message: 0 where it has none, more, no name in full, or one of NetBIOS, whose answers
 * repeat no question. */
static uint32_t question_size(const uint8_t *message, uint32_t size)
{
    enum { NETBIOS = 32, CLASS_IN = 1 };
    uint32_t at = WLMI_DNS_HEADER;
    if (size < WLMI_DNS_HEADER + 1 + WLMI_DNS_QUESTION || wlmi_load_be16(message + 4) != 1 || message[at] == NETBIOS)
        return 0;
    while (at < size && message[at] && message[at] <= WLMI_DNS_LABEL)
        at += 1u + message[at];
    if (at + 1 + WLMI_DNS_QUESTION > size || message[at] || at + 1 - WLMI_DNS_HEADER > WLMI_DNS_NAME ||
        wlmi_load_be16(message + at + 3) != CLASS_IN)
        return 0;
    return at + 1 + WLMI_DNS_QUESTION - WLMI_DNS_HEADER;
}

static void strike_out(wlmi_dns_asked *asked, int i)
{
    asked->count--;
    memmove(&asked->query[i], &asked->query[i + 1], (size_t)(asked->count - i) * sizeof *asked->query);
}

void wlmi_dns_said(wlmi_dns_asked *asked, const uint8_t *message, uint32_t size, int direction)
{
    const uint32_t question = question_size(message, size);
    if (!question)
        return;
    const int is_answer = (message[2] & WLMI_DNS_ANSWER) != 0;
    for (int i = asked->count - 1; i >= 0; i--)
        if ((asked->query[i].direction != direction) == is_answer && !memcmp(asked->query[i].id, message, 2))
            strike_out(asked, i);
    if (is_answer)
        return;
    if (asked->count == WLMI_DNS_ASKED)
        strike_out(asked, 0);
    wlmi_dns_query *q = &asked->query[asked->count++];
    memcpy(q->id, message, sizeof q->id);
    memcpy(q->question, message + WLMI_DNS_HEADER, question);
    q->size = (uint16_t)question;
    q->direction = (uint8_t)direction;
}
