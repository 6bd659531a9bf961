/* alter.c: alterations by name, and those that leave packets out, cut them, or move them in time. */
#include "capture/alter_parts.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "capture/flow_key.h"

static const double sample_share = 0.1, loss_share = 0.01, swap_share = 0.1, jitter_deviation = 0.5;
enum { MIDSTREAM_MOST = 8, REACH_MOST = 4096 };

/* ---------------------------------------------------------------- fewer packets */

static wlm_status copy_packets(wlmi_altering *a, size_t first, wlm_error *error)
{
    for (size_t i = first; i < a->in->count; i++) {
        wlm_packet packet = wlmi_packet_list_at(a->in, i);
        WLMI_TRY(wlmi_packet_list_add(a->out, &packet, error));
    }
    return WLM_OK;
}

static int is_backward(const wlmi_altering *a, const wlm_packet *packet)
{
    wlmi_headers h;
    wlmi_decode(packet, &h);
    return wlmi_flow_key_is_backward(a->key, packet->data, &h);
}

/* Where nobody speaks in the drawn direction, the other one is what the capture saw. */
static wlm_status oneway(wlmi_altering *a, wlm_error *error)
{
    int wanted = (int)wlmi_rng_below(&a->rng, 2);
    for (size_t i = 0; i < a->in->count; i++) {
        wlm_packet packet = wlmi_packet_list_at(a->in, i);
        if (is_backward(a, &packet) == wanted)
            WLMI_TRY(wlmi_packet_list_add(a->out, &packet, error));
    }
    return a->out->count ? WLM_OK : copy_packets(a, 0, error);
}

static wlm_status midstream(wlmi_altering *a, wlm_error *error)
{
    size_t most = a->in->count - 1 < MIDSTREAM_MOST ? a->in->count - 1 : MIDSTREAM_MOST;
    return copy_packets(a, most ? 1 + wlmi_rng_below(&a->rng, most) : 0, error);
}

/* Keeps each packet with this probability. Where none is left, one that is drawn. */
static wlm_status thin(wlmi_altering *a, double share, wlm_error *error)
{
    wlm_packet packet;
    for (size_t i = 0; i < a->in->count; i++) {
        packet = wlmi_packet_list_at(a->in, i);
        if (wlmi_rng_uniform(&a->rng) < share)
            WLMI_TRY(wlmi_packet_list_add(a->out, &packet, error));
    }
    if (a->out->count)
        return WLM_OK;
    packet = wlmi_packet_list_at(a->in, wlmi_rng_below(&a->rng, a->in->count));
    return wlmi_packet_list_add(a->out, &packet, error);
}

static wlm_status sample10(wlmi_altering *a, wlm_error *error)
{
    return thin(a, sample_share, error);
}

static wlm_status loss1(wlmi_altering *a, wlm_error *error)
{
    return thin(a, 1 - loss_share, error);
}

/* ---------------------------------------------------------------- fewer bytes */

static wlm_status snap(wlmi_altering *a, uint32_t length, wlm_error *error)
{
    for (size_t i = 0; i < a->in->count; i++) {
        wlm_packet packet = wlmi_packet_list_at(a->in, i);
        if (packet.captured > length)
            packet.captured = length;
        WLMI_TRY(wlmi_packet_list_add(a->out, &packet, error));
    }
    return WLM_OK;
}

static wlm_status snap96(wlmi_altering *a, wlm_error *error)
{
    return snap(a, 96, error);
}

static wlm_status snap128(wlmi_altering *a, wlm_error *error)
{
    return snap(a, 128, error);
}

/* ---------------------------------------------------------------- time */

/* Times belong to places: what came later comes earlier, at the other's time. */
static wlm_status reorder(wlmi_altering *a, wlm_error *error)
{
    for (size_t i = 0; i < a->in->count;) {
        size_t swapped = i + 1 < a->in->count && wlmi_rng_uniform(&a->rng) < swap_share;
        for (size_t j = 0; j <= swapped; j++) {
            wlm_packet packet = wlmi_packet_list_at(a->in, i + swapped - j);
            packet.time_ns = a->in->packet[i + j].time_ns;
            WLMI_TRY(wlmi_packet_list_add(a->out, &packet, error));
        }
        i += 1 + swapped;
    }
    return WLM_OK;
}

/* The time `gap` after another, as far as times go. */
static int64_t later(int64_t time, double gap)
{
    int64_t whole = gap < 0x1p62 ? (int64_t)gap : INT64_MAX / 2;
    return time > INT64_MAX - whole ? INT64_MAX : time + whole;
}

/* Each time between two packets is multiplied by a log-normal factor of median 1. Where time goes back, it stays. */
static wlm_status jitter(wlmi_altering *a, wlm_error *error)
{
    int64_t time = a->in->packet[0].time_ns, highest = a->in->packet[0].time_ns;
    for (size_t i = 0; i < a->in->count; i++) {
        wlm_packet packet = wlmi_packet_list_at(a->in, i);
        double factor = exp(jitter_deviation * wlmi_rng_normal(&a->rng));
        if (packet.time_ns > highest) {
            time = later(time, (double)((uint64_t)packet.time_ns - (uint64_t)highest) * factor);
            highest = packet.time_ns;
        }
        packet.time_ns = time;
        WLMI_TRY(wlmi_packet_list_add(a->out, &packet, error));
    }
    return WLM_OK;
}

/* ---------------------------------------------------------------- the table */

static const struct {
    const char *name;
    wlm_status (*alter)(wlmi_altering *a, wlm_error *error);
    uint32_t reach; /* packets that make one */
} table[WLMI_ALTERATIONS] = {
    [WLMI_ALTER_NAT] = {"nat", wlmi_alter_nat, 1},
    [WLMI_ALTER_ONEWAY] = {"oneway", oneway, 4},
    [WLMI_ALTER_MIDSTREAM] = {"midstream", midstream, 1},
    [WLMI_ALTER_SNAP96] = {"snap96", snap96, 1},
    [WLMI_ALTER_SNAP128] = {"snap128", snap128, 1},
    [WLMI_ALTER_SAMPLE10] = {"sample10", sample10, 16},
    [WLMI_ALTER_LOSS1] = {"loss1", loss1, 1},
    [WLMI_ALTER_REORDER] = {"reorder", reorder, 1},
    [WLMI_ALTER_JITTER] = {"jitter", jitter, 1},
    [WLMI_ALTER_NONAME] = {"noname", wlmi_alter_noname, 1},
    [WLMI_ALTER_OFFLOAD] = {"offload", wlmi_alter_offload, 16},
    [WLMI_ALTER_RANDOMISE] = {"randomise", wlmi_alter_randomise, 1},
};

const char *wlmi_alter_name(size_t i)
{
    return i < WLMI_ALTERATIONS ? table[i].name : NULL;
}

const char *wlm_alteration_name(size_t i)
{
    return wlmi_alter_name(i);
}

int wlmi_alter_find(const char *name)
{
    for (int i = 0; i < WLMI_ALTERATIONS; i++)
        if (!strcmp(table[i].name, name))
            return i;
    return -1;
}

uint64_t wlmi_alter_reach(wlmi_alteration kind, uint64_t wanted)
{
    const uint64_t spare = 4 * MIDSTREAM_MOST; /* for what goes at the beginning, or is lost */
    return wanted > REACH_MOST / table[kind].reach - spare ? REACH_MOST : wanted * table[kind].reach + spare;
}

wlm_status wlmi_alter_flow(wlmi_alterer *alterer, wlmi_alteration kind, uint64_t seed, wlm_flow_key *key,
                           const wlmi_packet_list *in, wlmi_packet_list *out, wlm_error *error)
{
    wlmi_altering a = {.alterer = alterer, .seed = seed, .key = key, .in = in, .out = out};
    wlmi_packet_list_cut(out, 0);
    if (!in->count)
        return WLM_OK;
    wlmi_rng_seed(&a.rng, seed);
    return table[kind].alter(&a, error);
}

wlm_status wlmi_alterer_new(wlmi_alterer **alterer, wlm_error *error)
{
    *alterer = wlmi_alloc_zero(1, sizeof **alterer);
    return *alterer ? WLM_OK : WLMI_NO_MEMORY(error);
}

void wlmi_alterer_free(wlmi_alterer *alterer)
{
    if (!alterer)
        return;
    wlmi_free(alterer->buffer);
    wlmi_free(alterer);
}
