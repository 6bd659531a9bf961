/* fuzz_pcap.c: whatever is a capture at all comes back from its tokens byte for byte. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "token/transcode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const wlmi_coder_options whole = {0};
    wlm_capture *capture;
    wlm_error error;
    if (wlm_capture_open_memory(&capture, data, size, "input", &error) != WLM_OK)
        return 0;
    if (wlmi_verify_capture(capture, "input", wlmi_codec_find(NULL), &whole, NULL, &error) != WLM_OK) {
        fprintf(stderr, "offset %llu: %s\n", (unsigned long long)error.offset, error.cause);
        abort();
    }
    return 0;
}
