/* report_vector.c: flows as rows of numbers. */
#include "task/report_vector.h"

#include <math.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "capture/hide.h"

typedef struct spread { /* of a series of numbers */
    double n, sum, squares, least, greatest;
} spread;

static void add(spread *s, double value)
{
    s->least = s->n == 0 || value < s->least ? value : s->least;
    s->greatest = s->n == 0 || value > s->greatest ? value : s->greatest;
    s->n++;
    s->sum += value;
    s->squares += value * value;
}

static float mean(const spread *s)
{
    return s->n > 0 ? (float)(s->sum / s->n) : NAN;
}

static float deviation(const spread *s)
{
    double variance = s->n > 0 ? s->squares / s->n - s->sum / s->n * (s->sum / s->n) : NAN;
    return variance < 0 ? 0 : (float)sqrt(variance);
}

typedef struct tally {
    spread length[2], gap, ttl, window;
    double flag[4];
    int64_t last_ns;
    size_t packets;
    int told[2]; /* first payload of the direction was seen */
} tally;

static void count_header(tally *t, const wlm_packet *packet, const wlmi_headers *h)
{
    add(&t->ttl, packet->data[h->network + (h->ip_version == 4 ? 8 : 7)]);
    if (h->proto != WLMI_PROTO_TCP || h->transport == WLMI_ABSENT || h->transport_len < 16)
        return;
    add(&t->window, wlmi_load_be16(packet->data + h->transport + 14));
    t->flag[0] += (h->tcp_flags & WLMI_TCP_FIN) != 0;
    t->flag[1] += (h->tcp_flags & WLMI_TCP_SYN) != 0;
    t->flag[2] += (h->tcp_flags & WLMI_TCP_RST) != 0;
    t->flag[3] += (h->tcp_flags & WLMI_TCP_PSH) != 0;
}

/* first [2 * WLMI_VECTOR_PACKETS]: signed length and gap of each */
static void count_packet(tally *t, const wlm_packet *packet, const wlmi_headers *h, int backward, float *first)
{
    double length = wlmi_ip_length(h), gap = t->packets ? (double)(packet->time_ns - t->last_ns) / 1e9 : 0;
    add(&t->length[backward], length);
    if (t->packets)
        add(&t->gap, gap);
    if (t->packets < WLMI_VECTOR_PACKETS) {
        first[2 * t->packets] = (float)(backward ? -length : length);
        first[2 * t->packets + 1] = (float)gap;
    }
    count_header(t, packet, h);
    t->last_ns = packet->time_ns;
    t->packets++;
}

/* The first payload of each direction, a byte a number. */
static wlm_status keep_payload(tally *t, wlmi_hider *hider, const wlm_packet *packet, int backward, float *bytes,
                               wlm_error *error)
{
    wlm_packet hidden;
    wlmi_headers h;
    WLMI_TRY(wlmi_hide_packet(hider, packet, &hidden, error));
    wlmi_decode(&hidden, &h);
    if (t->told[backward] || !h.payload_len)
        return WLM_OK;
    t->told[backward] = 1;
    for (uint32_t i = 0; i < WLMI_VECTOR_PAYLOAD && i < h.payload_len; i++)
        bytes[backward * WLMI_VECTOR_PAYLOAD + (int)i] = hidden.data[h.payload + i];
    return WLM_OK;
}

static void write_statistics(const tally *t, float *x)
{
    for (int d = 0; d < 2; d++, x += WLMI_VECTOR_DIRECTION) {
        const spread *s = &t->length[d];
        x[0] = (float)s->n;
        x[1] = mean(s);
        x[2] = deviation(s);
        x[3] = s->n > 0 ? (float)s->least : NAN;
        x[4] = s->n > 0 ? (float)s->greatest : NAN;
    }
    *x++ = deviation(&t->gap);
    *x++ = t->gap.n > 0 ? (float)t->gap.least : NAN;
    *x++ = t->gap.n > 0 ? (float)t->gap.greatest : NAN;
    for (int i = 0; i < 4; i++)
        *x++ = (float)(t->flag[i] / (double)t->packets);
    *x++ = mean(&t->window);
    *x = mean(&t->ttl);
}

/* x [WLMI_VECTOR] */
static wlm_status read_flow(const wlmi_flow_set *set, size_t index, const wlmi_columns *columns, wlmi_hider *hider,
                            float *x, wlm_error *error)
{
    const wlmi_report_flow *flow = &set->flow[index];
    tally t = {.packets = 0};
    for (int i = 0; i < WLMI_VECTOR; i++)
        x[i] = NAN;
    for (int i = 0; i < WLMI_FEATURES; i++)
        x[i] = (float)columns->feature[i][index];
    for (size_t p = flow->first; p < flow->first + flow->count; p++) {
        wlm_packet packet = wlmi_flow_set_packet(set, p);
        wlmi_headers h;
        int backward;
        wlmi_decode(&packet, &h);
        backward = wlmi_report_backward(flow, &packet, &h);
        if (p == flow->first)
            wlmi_hider_start(hider, &flow->key, 0, packet.time_ns);
        count_packet(&t, &packet, &h, backward, x + WLMI_VECTOR_SHAPE - 2 * WLMI_VECTOR_PACKETS);
        if (!t.told[0] || !t.told[1])
            WLMI_TRY(keep_payload(&t, hider, &packet, backward, x + WLMI_VECTOR_SHAPE, error));
    }
    write_statistics(&t, x + WLMI_FEATURES);
    return WLM_OK;
}

wlm_status wlmi_vectors_read(const wlmi_flow_view *view, const wlmi_columns *columns, float **x, wlm_error *error)
{
    wlmi_hider *hider = NULL;
    wlm_status status = wlmi_hider_new(&hider, WLM_HIDE_IDS, WLM_PAYLOAD_FULL, error);
    *x = wlmi_alloc_array(view->flows, WLMI_VECTOR * sizeof **x);
    if (status == WLM_OK && !*x)
        status = WLMI_NO_MEMORY(error);
    for (size_t i = 0; status == WLM_OK && i < view->flows; i++)
        status = read_flow(view->set, view->flow[i], columns, hider, *x + i * WLMI_VECTOR, error);
    wlmi_hider_free(hider);
    if (status != WLM_OK) {
        wlmi_free(*x);
        *x = NULL;
    }
    return status;
}
