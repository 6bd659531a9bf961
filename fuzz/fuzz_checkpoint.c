/* fuzz_checkpoint.c: any bytes as a checkpoint: described and loaded, or refused, never a crash. */
#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wlmi_net *net;
    char *text;
    wlmi_checkpoint_describe(data, size, "fuzz", &text, NULL);
    wlm_text_free(text);
    wlmi_checkpoint_load_memory(&net, data, size, "fuzz", &wlmi_backend_ref, NULL);
    wlmi_net_free(net);
    return 0;
}
