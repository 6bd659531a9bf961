/* fuzz_checkpoint.c: any bytes as a checkpoint: loaded or refused, never a crash. */
#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wlmi_net *net;
    wlmi_checkpoint_load_memory(&net, data, size, "fuzz", &wlmi_backend_ref, NULL);
    wlmi_net_free(net);
    return 0;
}
