/* report_tcp.c: openings, sequence numbers and acknowledgements of one TCP flow. */
#include "task/report_tcp.h"

#include "base/cursor.h"

enum { TCP_HEADER = 20 };

typedef struct segment {
    unsigned flags;
    uint32_t seq, ack, length; /* length: payload bytes on the wire */
} segment;

/* Serial arithmetic: below 0 where a comes before b. */
static int32_t behind(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b);
}

static int is_syn(const segment *s)
{
    return (s->flags & (WLMI_TCP_SYN | WLMI_TCP_ACK)) == WLMI_TCP_SYN;
}

static int is_answer(const segment *s)
{
    return (s->flags & (WLMI_TCP_SYN | WLMI_TCP_ACK)) == (WLMI_TCP_SYN | WLMI_TCP_ACK);
}

/* A segment that repeats the SYN which its sender began with. */
static int repeats_syn(const wlmi_tcp_end *here, const segment *s)
{
    return here->seen && s->flags & WLMI_TCP_SYN && s->seq == here->start;
}

static unsigned check_opening(wlmi_tcp_flow *flow, int from, const segment *s)
{
    wlmi_tcp_end *here = &flow->end[from], *there = &flow->end[!from];
    if (s->flags & WLMI_TCP_RST)
        return 0;
    switch (flow->opening) {
    case WLMI_TCP_NOTHING:
        flow->opening = is_syn(s) ? WLMI_TCP_SYN_SENT : WLMI_TCP_MIDSTREAM;
        flow->opener = from;
        return 0;
    case WLMI_TCP_MIDSTREAM: return 0;
    case WLMI_TCP_SYN_SENT:
        if (from == flow->opener)
            return repeats_syn(here, s) ? 0 : WLMI_TCP_HANDSHAKE;
        if (!is_answer(s) || s->ack != there->start + 1)
            return WLMI_TCP_HANDSHAKE;
        flow->opening = WLMI_TCP_SYN_ANSWERED;
        return 0;
    case WLMI_TCP_SYN_ANSWERED:
        if (from != flow->opener || repeats_syn(here, s))
            return s->flags & WLMI_TCP_SYN && !repeats_syn(here, s) ? WLMI_TCP_HANDSHAKE : 0;
        if (!(s->flags & WLMI_TCP_ACK) || behind(s->ack, there->start + 1) < 0)
            return WLMI_TCP_HANDSHAKE;
        flow->opening = WLMI_TCP_OPEN;
        return 0;
    case WLMI_TCP_OPEN: break;
    }
    return s->flags & WLMI_TCP_SYN && !repeats_syn(here, s) ? WLMI_TCP_HANDSHAKE : 0;
}

static unsigned check_sequence(wlmi_tcp_end *here, const segment *s)
{
    int32_t ahead = behind(s->seq, here->next);
    uint32_t size = s->length + !!(s->flags & WLMI_TCP_SYN) + !!(s->flags & WLMI_TCP_FIN);
    unsigned wrong = 0;
    if (here->seen && !(s->flags & WLMI_TCP_RST)) {
        int keep_alive = ahead == -1 && size <= 1 && !(s->flags & (WLMI_TCP_SYN | WLMI_TCP_FIN));
        wrong |= ahead > 0 ? WLMI_TCP_GAP : 0;
        wrong |= ahead < 0 && !keep_alive ? WLMI_TCP_OVERLAP : 0;
        wrong |= here->closed && s->length && behind(s->seq + s->length, here->next) > 0 ? WLMI_TCP_AFTER_CLOSE : 0;
    }
    if (!here->seen) {
        here->start = s->seq;
        here->next = s->seq;
    }
    if (!(s->flags & WLMI_TCP_RST) && behind(s->seq + size, here->next) > 0)
        here->next = s->seq + size;
    here->seen = 1;
    here->closed |= (s->flags & (WLMI_TCP_FIN | WLMI_TCP_RST)) != 0;
    return wrong;
}

static unsigned check_acknowledgement(wlmi_tcp_end *here, const wlmi_tcp_end *there, const segment *s)
{
    unsigned wrong = 0;
    if (s->flags & WLMI_TCP_RST)
        return 0;
    if (!(s->flags & WLMI_TCP_ACK))
        return s->flags & WLMI_TCP_SYN ? 0 : WLMI_TCP_NO_ACK;
    wrong |= there->seen && behind(s->ack, there->next) > 0 ? WLMI_TCP_ACK_UNSEEN : 0;
    wrong |= here->acked && behind(s->ack, here->ack) < 0 ? WLMI_TCP_ACK_BACK : 0;
    here->acked = 1;
    here->ack = s->ack;
    return wrong;
}

unsigned wlmi_tcp_follow(wlmi_tcp_flow *flow, int from, const wlm_packet *packet, const wlmi_headers *headers)
{
    const uint8_t *tcp;
    segment s;
    unsigned wrong;
    if (headers->proto != WLMI_PROTO_TCP || headers->transport == WLMI_ABSENT || headers->transport_len < TCP_HEADER)
        return 0;
    tcp = packet->data + headers->transport;
    s = (segment){tcp[13], wlmi_load_be32(tcp + 4), wlmi_load_be32(tcp + 8), headers->payload_wire_len};
    wrong = check_opening(flow, from, &s);
    wrong |= check_sequence(&flow->end[from], &s);
    return wrong | check_acknowledgement(&flow->end[from], &flow->end[!from], &s);
}
