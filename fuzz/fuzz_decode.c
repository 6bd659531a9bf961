/* fuzz_decode.c: decode, checksums, flow table and hiding over arbitrary packets.
 * Input: a byte that chooses the link type, then packets, each behind its length (2 bytes, little-endian) and a byte
 * of time. Traps where a promise of decode.h or hide.h is broken. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "capture/flow.h"
#include "capture/hide.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int promise)
{
    if (!promise)
        __builtin_trap();
}

static void check_headers(const wlm_packet *p, const wlmi_headers *h)
{
    must(h->network_end <= p->captured && h->network_end <= h->network_wire_end);
    must(h->payload <= h->network_end && h->payload_len <= h->network_end - h->payload);
    must(h->payload_len <= h->payload_wire_len);
    must(h->ip_version == 0 || h->network + h->network_len <= h->network_end);
    must(h->transport == WLMI_ABSENT || h->transport + h->transport_len <= h->network_end);
}

static void check_hidden(const wlm_packet *in, const wlmi_headers *before, const wlm_packet *out)
{
    wlmi_headers after;
    wlmi_decode(out, &after);
    check_headers(out, &after);
    if (!before->ip_version)
        return;
    must(out->captured == before->network_end - before->network);
    must(after.ip_version == before->ip_version);
    if (before->reason == WLMI_CUT || before->reason == WLMI_MALFORMED)
        return; /* what lies behind is content, where addresses may recur */
    must(after.reason == before->reason);
    must(after.transport_len == before->transport_len && after.payload_len == before->payload_len);
    /* A checksum that was left out is not moved, so that chance may make it right. */
    const uint8_t *sum = in->data + before->network + 10;
    if (before->ip_version == 4 && (sum[0] || sum[1]))
        must(wlmi_check_network(out->data, &after) == wlmi_check_network(in->data, before));
    wlmi_checksum state = wlmi_check_transport(in->data, before);
    if (state == WLMI_SUM_RIGHT)
        must(wlmi_check_transport(out->data, &after) == state);
}

/* Policy implicit leaves no checksum wrong that can be computed. */
static void check_sums(const wlm_packet *in, const wlmi_headers *before, const wlm_packet *out)
{
    wlmi_headers after;
    wlmi_decode(out, &after);
    check_headers(out, &after);
    must(out->captured <= in->captured);
    if (before->ip_version && before->reason != WLMI_CUT && before->reason != WLMI_MALFORMED)
        must(wlmi_check_network(out->data, &after) != WLMI_SUM_WRONG &&
             wlmi_check_transport(out->data, &after) != WLMI_SUM_WRONG);
}

typedef void promise(const wlm_packet *in, const wlmi_headers *before, const wlm_packet *out);

static void hide(wlmi_hider *hider, const wlm_packet *p, const wlmi_headers *h, const wlm_flow_key *key,
                 promise *check)
{
    wlm_packet out;
    wlmi_hider_start(hider, key, 7, p->time_ns / 2);
    if (wlmi_hide_packet(hider, p, &out, NULL) == WLM_OK && check)
        check(p, h, &out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t links[] = {101, 1, 113, 276, 0, 9, 50, 108, 12, 228, 229, 195};
    static promise *const checks[4] = {check_hidden, NULL, NULL, check_sums};
    static const wlmi_flow_options options = {.max_flows = 4, .user_size = 8};
    wlmi_cursor c = wlmi_cursor_over(data, size);
    wlmi_flow_table *table = NULL;
    wlmi_hider *hider[4] = {NULL};
    uint32_t link_type = links[wlmi_u8(&c) % (sizeof links / sizeof *links)];
    int64_t now = 0;

    if (wlmi_flow_table_new(&table, &options, NULL, NULL, NULL) != WLM_OK ||
        wlmi_hider_new(&hider[0], WLM_HIDE_IDS, WLM_PAYLOAD_FULL, NULL) != WLM_OK ||
        wlmi_hider_new(&hider[1], WLM_HIDE_SHAPE, WLM_PAYLOAD_FULL, NULL) != WLM_OK ||
        wlmi_hider_new(&hider[2], WLM_HIDE_IDS, 5, NULL) != WLM_OK ||
        wlmi_hider_new(&hider[3], WLM_HIDE_IMPLICIT, WLM_PAYLOAD_FULL, NULL) != WLM_OK)
        goto done;
    for (uint64_t number = 1; wlmi_left(&c) > 3; number++) {
        uint32_t length = wlmi_le16(&c);
        now += ((int64_t)wlmi_u8(&c) - 64) * 1000000000;
        uint32_t captured = length < wlmi_left(&c) ? length : (uint32_t)wlmi_left(&c);
        uint8_t *copy = malloc(captured ? captured : 1); /* so that a read behind the end is seen */
        if (!copy)
            break;
        if (captured)
            memcpy(copy, wlmi_take(&c, captured), captured);
        wlm_packet p = {.time_ns = now, .captured = captured, .wire = length, .link_type = link_type,
                        .number = number, .data = copy};
        wlmi_headers h;
        wlmi_flow *flow;
        int backward;
        wlmi_decode(&p, &h);
        check_headers(&p, &h);
        if (wlmi_flow_of(table, &p, &h, &flow, &backward, NULL) == WLM_OK) {
            char text[64];
            wlmi_community_id(&flow->key, text);
            for (int i = 0; i < 4; i++)
                hide(hider[i], &p, &h, &flow->key, checks[i]);
        }
        wlmi_mend_checksums(copy, &h);
        must(wlmi_check_network(copy, &h) != WLMI_SUM_WRONG && wlmi_check_transport(copy, &h) != WLMI_SUM_WRONG);
        free(copy);
    }
    wlmi_flow_table_flush(table);
done:
    wlmi_flow_table_free(table);
    for (int i = 0; i < 4; i++)
        wlmi_hider_free(hider[i]);
    return 0;
}
