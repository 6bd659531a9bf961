/* fuzz_shard.c: an imported folder from memory. Input: u32 size of dataset.json, u32 size of packets.index (both
 * little-endian), then dataset.json, packets.index, and the rest is packets.data. */
#include <stdint.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "task/shard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_through(const wlmi_dataset *dataset)
{
    char *json = NULL;
    volatile uint8_t byte = 0;
    wlm_error error;
    for (uint64_t i = 0; i < wlmi_dataset_flows(dataset); i++) {
        wlmi_shard_flow flow;
        wlmi_dataset_flow(dataset, i, &flow);
        if (!wlmi_dataset_file(dataset, flow.file))
            abort();
        if (flow.label != WLMI_NO_LABEL && !wlmi_dataset_label(dataset, flow.label))
            abort();
        for (uint64_t j = 0; j < flow.packets; j++) {
            wlm_packet packet;
            if (wlmi_dataset_packet(dataset, i, j, &packet, &error) == WLM_OK && packet.captured)
                byte = (uint8_t)(byte + packet.data[0] + packet.data[packet.captured - 1]);
        }
    }
    if (wlmi_dataset_describe(dataset, &json, &error) == WLM_OK)
        wlm_text_free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wlmi_cursor c = wlmi_cursor_over(data, size);
    uint32_t json_size = wlmi_le32(&c), index_size = wlmi_le32(&c);
    const uint8_t *json = wlmi_take(&c, json_size), *index = wlmi_take(&c, index_size);
    wlmi_dataset *dataset;
    wlm_error error;
    if (c.overrun)
        return 0;
    if (wlmi_dataset_open_memory(&dataset, "fuzz", json, json_size, index, index_size, data + c.at, size - c.at,
                                 &error) == WLM_OK)
        read_through(dataset);
    wlmi_dataset_close(dataset);
    return 0;
}
