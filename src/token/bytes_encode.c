/* bytes_encode.c: packets to tokens of the codec `bytes`. */
#include <string.h>

#include "capture/capture.h"
#include "token/bytes.h"

static void put(wlmi_tokens *out, int role, unsigned token)
{
    out->role[out->count] = (uint8_t)role;
    out->token[out->count++] = (wlmi_token)token;
}

static void put_digits(wlmi_tokens *out, int role, uint64_t value, int digits)
{
    while (digits-- > 0)
        put(out, role, (unsigned)(value >> 8 * digits & 255));
}

static void put_link(wlmi_tokens *out, const wlmi_coder *c, uint32_t link)
{
    if (c->packets && link == c->packet.link_type) {
        put(out, LINK, SAME);
    } else if (link < LINK_2) {
        put(out, LINK, link);
    } else {
        int two = link <= UINT16_MAX;
        put(out, LINK, two ? LINK_2 : LINK_4);
        put_digits(out, LINK_LONG, link, two ? 2 : 4);
    }
}

static void put_time(wlmi_tokens *out, int64_t before, int64_t time)
{
    uint64_t step = (uint64_t)time - (uint64_t)before;
    int backward = step >> 63 != 0, bits;
    step = backward ? 0 - step : step;
    bits = bits_of(step);
    put(out, TIME, (unsigned)(backward ? BACKWARD + bits - 1 : bits));
    if (bits <= 1 || bits == 64)
        return;
    step ^= UINT64_C(1) << (bits - 1);
    for (int digits = (bits + 6) / 8; digits > 0; digits--)
        put(out, TIME_1 + digits - 1, (unsigned)(step >> 8 * (digits - 1) & 255));
}

static void put_length(wlmi_tokens *out, int role, uint32_t length)
{
    if (length < SHORT_LENGTHS) {
        put(out, role, length >> 8);
        put(out, role + 1, length & 255);
    } else {
        put(out, role, LENGTH_4);
        put_digits(out, role + 2, length, 4);
    }
}

wlm_status wlmi_bytes_encode(wlmi_coder *c, const wlm_packet *packet, wlmi_tokens *out, wlm_error *error)
{
    size_t first = out->count;
    if (c->role != BORDER || packet->captured > WLMI_RECORD_MAX)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET,
                         c->role != BORDER ? "a packet cannot begin here" : "a packet is too long to encode");
    if (!wlmi_tokens_reserve(out, 32 + (size_t)packet->captured))
        return WLMI_NO_MEMORY(error);
    put(out, BORDER, START);
    put_link(out, c, packet->link_type);
    put_time(out, c->packet.time_ns, packet->time_ns);
    put_length(out, CAPTURED, packet->captured);
    if (packet->wire == packet->captured)
        put(out, WIRE, SAME);
    else
        put_length(out, WIRE, packet->wire);
    for (uint32_t i = 0; i < packet->captured; i++)
        out->token[out->count + i] = packet->data[i];
    memset(out->role + out->count, DATA, packet->captured);
    out->count += packet->captured;
    for (size_t i = first; i < out->count; i++)
        out->packet[i] = (uint32_t)c->packets;
    c->packet.link_type = packet->link_type;
    c->packet.time_ns = packet->time_ns;
    c->packets++;
    return WLM_OK;
}

wlm_status wlmi_bytes_encode_end(wlmi_coder *c, wlmi_end end, wlmi_tokens *out, wlm_error *error)
{
    if (c->role != BORDER)
        return wlmi_fail(error, WLM_ERR_ARGUMENT, NULL, WLM_NO_OFFSET, "a stream cannot end here");
    if (!wlmi_tokens_reserve(out, 1))
        return WLMI_NO_MEMORY(error);
    out->packet[out->count] = (uint32_t)c->packets;
    put(out, BORDER, (unsigned)(CLOSED + end));
    c->end = end;
    c->role = DONE;
    return WLM_OK;
}
