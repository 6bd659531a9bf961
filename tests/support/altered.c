/* altered.c: flows to alter. */
#include "support/altered.h"

#include <string.h>

#include "capture/flow_key.h"
#include "support/support.h"

void test_altered_add(test_altered *f, const test_packet *ip, int64_t time_ns)
{
    test_packet p = test_ethernet(ip);
    wlm_packet view = test_view(&p, WLMI_LINK_ETHERNET, time_ns);
    wlm_error error;
    view.number = f->in.count + 1;
    if (!f->in.count) {
        wlmi_headers h;
        wlmi_decode(&view, &h);
        wlmi_flow_key_of(&view, &h, &f->key);
    }
    assert_ok(wlmi_packet_list_add(&f->in, &view, &error), &error);
}

test_altered test_altered_begin(void)
{
    test_altered f;
    wlm_error error;
    memset(&f, 0, sizeof f);
    assert_ok(wlmi_alterer_new(&f.alterer, &error), &error);
    return f;
}

void test_altered_end(test_altered *f)
{
    wlmi_alterer_free(f->alterer);
    wlmi_packet_list_free(&f->in);
    wlmi_packet_list_free(&f->out);
}

/* What a client and a server say: a handshake, then `segments` of the server's in bursts of four, each with a push at
 * its end and an acknowledgement behind it. */
test_altered test_altered_talk(test_end from, test_end to, int segments)
{
    test_altered f = test_altered_begin();
    uint8_t payload[1000];
    int64_t t = INT64_C(1700000000000000000);
    test_packet p;
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 7);
    p = test_tcp_seq(from, to, WLMI_TCP_SYN, 999, 0, "", 0);
    test_altered_add(&f, &p, t);
    p = test_tcp_seq(to, from, WLMI_TCP_SYN | WLMI_TCP_ACK, 1999, 1000, "", 0);
    test_altered_add(&f, &p, t += 1000);
    for (int i = 0; i < segments; i++) {
        int last = i % 4 == 3;
        p = test_tcp_seq(to, from, WLMI_TCP_ACK | (last ? WLMI_TCP_PSH : 0), 2000 + 1000 * (uint32_t)i, 1000, payload,
                         sizeof payload);
        test_altered_add(&f, &p, t += 1000);
        if (last) {
            p = test_tcp_seq(from, to, WLMI_TCP_ACK, 1000, 3000 + 1000 * (uint32_t)i, "", 0);
            test_altered_add(&f, &p, t += 50000);
        }
    }
    return f;
}

wlm_flow_key test_alter(test_altered *f, wlmi_alteration kind, uint64_t seed)
{
    wlm_flow_key key = f->key;
    wlm_error error;
    assert_ok(wlmi_alter_flow(f->alterer, kind, seed, &key, &f->in, &f->out, &error), &error);
    return key;
}

wlmi_headers test_altered_headers(const wlm_packet *p)
{
    wlmi_headers h;
    wlmi_decode(p, &h);
    return h;
}

static int same_packet(const wlm_packet *a, const wlm_packet *b)
{
    return a->captured == b->captured && a->wire == b->wire && a->time_ns == b->time_ns && a->number == b->number &&
           a->link_type == b->link_type && !memcmp(a->data, b->data, a->captured);
}

int test_altered_same(const wlmi_packet_list *a, const wlmi_packet_list *b)
{
    for (size_t i = 0; i < a->count && a->count == b->count; i++) {
        wlm_packet p = wlmi_packet_list_at(a, i), q = wlmi_packet_list_at(b, i);
        if (!same_packet(&p, &q))
            return 0;
    }
    return a->count == b->count;
}

/* All checksums right, lengths those of the bytes, times not going back. */
void test_altered_sound(const wlmi_packet_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        wlm_packet p = wlmi_packet_list_at(list, i);
        wlmi_headers h = test_altered_headers(&p);
        assert_int_equal(h.reason, WLMI_DECODED);
        assert_int_equal(h.network_wire_end, p.wire);
        if (h.ip_version == 4)
            assert_int_equal(wlmi_check_network(p.data, &h), WLMI_SUM_RIGHT);
        assert_int_equal(wlmi_check_transport(p.data, &h), WLMI_SUM_RIGHT);
        if (i)
            assert_true(p.time_ns >= list->packet[i - 1].time_ns);
    }
}

/* Whether every packet is one of the flow's, in its order. */
int test_altered_subset(const test_altered *f)
{
    size_t j = 0;
    for (size_t i = 0; i < f->out.count; i++, j++) {
        wlm_packet p = wlmi_packet_list_at(&f->out, i), q;
        do {
            if (j == f->in.count)
                return 0;
            q = wlmi_packet_list_at(&f->in, j);
        } while (!same_packet(&p, &q) && ++j);
    }
    return 1;
}
